//! `gridtrail report`: the standard reports, over a lake, in this process, or from a server. Whoever can read the files of a lake can read all of
//! it, but what this writes is what the token's bearer may see.

mod remote;
mod shown;

use crate::admitted::{Call, Log, admission, recorded};
use crate::args::{AnyFormat, ReportCommand, RunReportArgs};
use crate::client::token_of;
use crate::exit::Failure;
use crate::opening::open_to_serve;
use crate::output::{self, Grid, printable};
use crate::report_worker;
use gridtrail_access::Admission;
use gridtrail_access_log::Entry;
use gridtrail_lake::Lake;
use gridtrail_model::UserId;
use gridtrail_reports::{
    About, Arguments, Asked, Catalogue, Order, Output, OutputError, OutputFile, OutputFormat, RecordBatch,
    Report, ReportError, ReportRows,
};
use gridtrail_runtime::Clock;
use gridtrail_sql::{Rights, SecuredSession, SqlLimits};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(crate) async fn run(command: &ReportCommand, format: AnyFormat) -> Result<(), Failure> {
    let reports = Catalogue::shared().map_err(ReportError::from)?;
    match command {
        ReportCommand::List(args) => match args.of.by.server() {
            Some(server) => remote::list((&args.of, &server), format.of_list()?).await,
            None => shown::list(reports.iter().map(shown::Listed::of), format.of_list()?),
        },
        ReportCommand::Describe(args) => match args.of.by.server() {
            Some(server) => remote::describe(args, &server, format.of_report()?).await,
            None => shown::describe(reports.require(&args.name)?, format.of_report()?),
        },
        ReportCommand::Run(args) => match args.by.server() {
            // Which reports there are is the server's to say.
            Some(server) => remote::make(args, &server, format).await,
            None => make(args, reports.require(&args.name)?, format).await,
        },
        ReportCommand::Schedule(args) => report_worker::schedule(args, format.of_list()?),
        ReportCommand::Worker(args) => Box::pin(report_worker::worker(args, format)).await,
        ReportCommand::History(args) => report_worker::history(args, format.of_list()?).await,
    }
}

/// How a report is written: as a table for people, or in a form that files have.
fn form_of(format: AnyFormat, to_file: bool) -> Result<Option<OutputFormat>, Failure> {
    let wrong = |reason: &str| Failure::Argument { argument: "--format", reason: reason.to_owned() };
    let form = match format {
        AnyFormat::Table if to_file => {
            return Err(wrong(
                "a file is csv, json, parquet, xlsx, html or appendix-aa; a table is for terminals",
            ));
        }
        AnyFormat::Table => return Ok(None),
        AnyFormat::Jsonl => return Err(wrong("a report is csv, json, parquet, xlsx, html or a table")),
        AnyFormat::Json => OutputFormat::Json,
        AnyFormat::Csv => OutputFormat::Csv,
        AnyFormat::Parquet => OutputFormat::Parquet,
        AnyFormat::Xlsx => OutputFormat::Xlsx,
        AnyFormat::Html => OutputFormat::Html,
        AnyFormat::AppendixAa => OutputFormat::AppendixAa,
    };
    let is_binary = matches!(form, OutputFormat::Parquet | OutputFormat::Xlsx);
    if is_binary && !to_file && io::stdout().is_terminal() {
        return Err(wrong("this is nothing for a terminal: name a file with --output"));
    }
    Ok(Some(form))
}

async fn make(args: &RunReportArgs, report: &Report, format: AnyFormat) -> Result<(), Failure> {
    let form = form_of(format, args.output.is_some())?;
    // What is typed wrongly is told before anything is opened.
    let given = args.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let given = given.chain(report.set_by(form));
    let arguments = report.arguments(given, Clock::system().now()).map_err(ReportError::from)?;
    let lake = open_to_serve(&args.lake, CACHE_MIB, args.read_only).await?;
    let whither = (args.access_log_lake.as_deref(), args.read_only);
    recorded(&lake, whither, "report", async |log| write(args, (report, form), arguments, &lake, log).await)
        .await
}

/// Makes the report and writes it, and records it in an access log, where there is one.
async fn write(
    args: &RunReportArgs,
    (report, form): (&Report, Option<OutputFormat>),
    arguments: Arguments,
    lake: &Lake,
    log: Option<Log>,
) -> Result<(), Failure> {
    let (clock, token) = (Clock::system(), token_of(&args.credential)?);
    let by = (args.key.as_path(), args.job_type_roles.as_deref(), args.access_lapse);
    let (admission, _following) = admission(lake, by).await?;
    let who = admission.admit(&token, clock.now()).await.map_err(ReportError::from)?;
    let user_ids: BTreeSet<UserId> = args.user_ids.iter().copied().collect();
    let mut call = Call::begin(log.as_ref(), "report", (lake, &who))?;
    note(&mut call.entry, report.asked(form, &arguments, &user_ids));
    let order = report.order(arguments, (&who, &user_ids), clock.now()).map_err(Failure::from);
    let done = match order {
        Ok(order) => {
            let token = token.as_str();
            carry_out(args, (report, form, order), (lake, admission, token), &mut call).await
        }
        Err(failure) => Err(failure),
    };
    call.end(&done);
    done
}

/// What is on record of a report that is asked for: what a server notes of one.
fn note(entry: &mut Entry, asked: Asked) {
    let Asked { keys, variants, detail } = asked;
    if !keys.is_empty() {
        let (kinds, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        (entry.key_kind, entry.key) = (Some(kinds.join(",").into()), Some(keys.join(",")));
    }
    (entry.variants, entry.detail) = (variants, Some(detail));
}

async fn carry_out(
    args: &RunReportArgs,
    (report, form, order): (&Report, Option<OutputFormat>, Order<'_>),
    (lake, admission, token): (&Lake, Admission, &str),
    call: &mut Call,
) -> Result<(), Failure> {
    let limits = SqlLimits {
        spill: None,
        memory_bytes: usize::try_from(args.memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.parts,
        time: Duration::from_secs(args.time.seconds().into()),
    };
    let sharing = admission.sharing().map_err(ReportError::from)?;
    let rights = |session: SecuredSession| session.with_rights(Rights::new(admission, token));
    let snapshot = lake.snapshot();
    // Rows of others have no part in a report.
    call.entry.version = Some(snapshot.version().to_string());
    (call.entry.rows, call.entry.rows_of_others) = (Some(0), Some(0));
    let rows = order.run((&snapshot, &sharing), (Clock::system(), limits), rights).await?;
    if !rows.about().fresh_enough {
        tracing::warn!(hours = report.freshness_hours, "the report rests on what is older than it needs");
    }
    let rows = Noted { rows, call };
    match (form, &args.output) {
        (None, _) => as_table(report, rows).await,
        (Some(form), Some(path)) => as_file((report, form), rows, path).await,
        (Some(form), None) => as_stream((report, form), rows).await,
    }
}

/// The rows of a report, which are counted on its record as they come.
struct Noted<'c> {
    rows: ReportRows,
    call: &'c mut Call,
}

impl Noted<'_> {
    const fn about(&self) -> &About {
        self.rows.about()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, ReportError> {
        let batch = self.rows.next().await?;
        let count = batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        self.call.entry.rows = self.call.entry.rows.map(|rows| rows + count);
        Ok(batch)
    }
}

async fn as_table(report: &Report, mut rows: Noted<'_>) -> Result<(), Failure> {
    let names: Vec<&str> = report.columns.iter().map(|column| column.name.as_str()).collect();
    let (mut grid, mut count) = (Grid::new(&names), 0);
    while let Some(batch) = rows.next().await? {
        count += batch.num_rows();
        for cells in report.texts_of(&batch) {
            grid.add_row(cells.iter().map(|cell| printable(cell)));
        }
    }
    let said = said(rows.about(), count as u64);
    output::write(&mut io::stdout().lock(), format!("{grid}\n{said}").as_bytes())
}

/// What a report says of itself, in lines.
fn said(about: &About, rows: u64) -> String {
    let line = |(name, values): (&str, Vec<String>)| format!("{name}: {}\n", printable(&values.join("; ")));
    about.said(rows).into_iter().map(line).collect()
}

async fn as_file(
    (report, form): (&Report, OutputFormat),
    mut rows: Noted<'_>,
    path: &Path,
) -> Result<(), Failure> {
    let mut file = OutputFile::create(path, form, report, rows.about())?;
    while let Some(batch) = rows.next().await? {
        file.write(&batch)?;
    }
    let count = file.publish()?;
    let text = format!("Written to {}\n{}", path.display(), said(rows.about(), count));
    output::write(&mut io::stdout().lock(), text.as_bytes())
}

/// To standard output. A reader that went away has what it wanted.
async fn as_stream((report, form): (&Report, OutputFormat), rows: Noted<'_>) -> Result<(), Failure> {
    match stream((report, form), rows).await {
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

async fn stream((report, form): (&Report, OutputFormat), mut rows: Noted<'_>) -> Result<(), Failure> {
    let failed = |error: OutputError| match error {
        OutputError::Io(error) => Failure::Output(error),
        other => Failure::ReportFile(other.into()),
    };
    let mut output = Output::new(form, report, rows.about(), io::stdout()).map_err(failed)?;
    while let Some(batch) = rows.next().await? {
        output.write(&batch).map_err(failed)?;
    }
    let (_, count) = output.finish().map_err(failed)?;
    tell(rows.about(), count);
    Ok(())
}

/// Says in the log what a report on standard output has no place for.
fn tell(about: &About, rows: u64) {
    let About { report, version, complete_up_to, users, .. } = about;
    let complete_up_to = complete_up_to.map_or("not known".to_owned(), |at| at.to_string());
    tracing::info!(report, version, complete_up_to, users = users.join("; "), rows, "made a report");
}
