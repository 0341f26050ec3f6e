//! `gridtrail report`: the standard reports, over a lake, in this process. Whoever can read the files of a lake can read all of it, but what this
//! writes is what the token's bearer may see.

mod shown;

use crate::args::{AnyFormat, ReportCommand, RunReportArgs};
use crate::client::token_of;
use crate::exit::Failure;
use crate::opening::{open_existing, open_to_serve};
use crate::output::{self, Grid, printable};
use crate::rights::{Feed, keep_rights};
use crate::running::wait_for_detached;
use crate::serve::{other_than, role_matrix};
use gridtrail_access::{Admission, DevKey};
use gridtrail_access_log::AccessLog;
use gridtrail_lake::Lake;
use gridtrail_model::UserId;
use gridtrail_reports::{
    About, Arguments, Catalogue, Output, OutputError, OutputFile, OutputFormat, Report, ReportError,
    ReportRows,
};
use gridtrail_runtime::Clock;
use gridtrail_sql::{Recording, Rights, SecuredSession, SqlLimits};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(crate) async fn run(command: &ReportCommand, format: AnyFormat) -> Result<(), Failure> {
    let reports = Catalogue::built_in().map_err(ReportError::from)?;
    match command {
        ReportCommand::List => shown::list(&reports, format.of_list()?),
        ReportCommand::Describe(args) => shown::describe(named(&reports, &args.name)?, format.of_report()?),
        ReportCommand::Run(args) => make(args, named(&reports, &args.name)?, format).await,
    }
}

fn named<'a>(reports: &'a Catalogue, name: &str) -> Result<&'a Report, ReportError> {
    reports.named(name).ok_or_else(|| ReportError::NoReport {
        name: name.chars().take(64).collect(),
        known: reports.iter().map(|report| report.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// How a report is written: as a table for people, or in a form that files have.
fn form_of(format: AnyFormat, to_file: bool) -> Result<Option<OutputFormat>, Failure> {
    let wrong = |reason: &str| Failure::Argument { argument: "--format", reason: reason.to_owned() };
    let form = match format {
        AnyFormat::Table if to_file => {
            return Err(wrong("a file is csv, json, parquet, xlsx or html; a table is for terminals"));
        }
        AnyFormat::Table => return Ok(None),
        AnyFormat::Jsonl => return Err(wrong("a report is csv, json, parquet, xlsx, html or a table")),
        AnyFormat::Json => OutputFormat::Json,
        AnyFormat::Csv => OutputFormat::Csv,
        AnyFormat::Parquet => OutputFormat::Parquet,
        AnyFormat::Xlsx => OutputFormat::Xlsx,
        AnyFormat::Html => OutputFormat::Html,
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
    let arguments = report.arguments(given, Clock::system().now()).map_err(ReportError::from)?;
    let lake = open_to_serve(&args.lake, CACHE_MIB, args.read_only).await?;
    let calls = match &args.access_log_lake {
        Some(address) => Some(other_than(&lake, open_existing(address).await?)?),
        None => (!args.read_only).then(|| lake.clone()),
    };
    let Some(calls) = calls else { return write(args, (report, form), arguments, &lake, None).await };
    let (log, recording) = AccessLog::open(calls.access_log().await, Clock::system(), "report").await?;
    let written = write(args, (report, form), arguments, &lake, Some(log)).await;
    // Whoever asked has the report: a record that was noted and not written down is told, and no failure of the report.
    if let Err(error) = recording.close().await {
        tracing::warn!(%error, "the record of the report could not be ended: its chain stays open");
    }
    wait_for_detached(&lake).await;
    wait_for_detached(&calls).await;
    written
}

/// Makes the report and writes it, and records it in an access log, where there is one.
async fn write(
    args: &RunReportArgs,
    (report, form): (&Report, Option<OutputFormat>),
    arguments: Arguments,
    lake: &Lake,
    log: Option<AccessLog>,
) -> Result<(), Failure> {
    let (clock, token) = (Clock::system(), token_of(&args.credential)?);
    let (admission, _following) = admission(args, lake).await?;
    let who = admission.admit(&token, clock.now()).await.map_err(ReportError::from)?;
    let user_ids: BTreeSet<UserId> = args.user_ids.iter().copied().collect();
    let order = report.order(arguments, (&who, &user_ids), clock.now())?;
    let limits = SqlLimits {
        memory_bytes: usize::try_from(args.memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.parts,
        time: Duration::from_secs(args.time.seconds().into()),
    };
    let sharing = admission.sharing().map_err(ReportError::from)?;
    let dress = |session: SecuredSession| {
        let session = session.with_rights(Rights::new(admission, &token));
        match log {
            Some(log) => session.recorded(Recording { log, call: "report", peer: None }),
            None => session,
        }
    };
    let rows = order.run((&lake.snapshot(), &sharing), (clock, limits), dress).await?;
    if !rows.about().fresh_enough {
        tracing::warn!(hours = report.freshness_hours, "the report rests on what is older than it needs");
    }
    match (form, &args.output) {
        (None, _) => as_table(report, rows).await,
        (Some(form), Some(path)) => as_file((report, form), rows, path).await,
        (Some(form), None) => as_stream((report, form), rows).await,
    }
}

/// Who is let in, and what follows their rights until the report is made: those that are lost meanwhile end it.
async fn admission(args: &RunReportArgs, lake: &Lake) -> Result<(Admission, AbortOnDropHandle<()>), Failure> {
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let key = DevKey::from_pem(&crate::text::key(&args.key)?);
    let key = key.map_err(|error| Failure::Argument { argument: "--key", reason: error.to_string() })?;
    let sharing = lake.sharing().await?;
    let admission = Admission::new(key.with_roles(roles).gatekeeper()?, sharing.current());
    let feed = Feed::new(lake.clone(), Duration::from_secs(args.access_lapse.seconds().into()));
    feed.judge(&admission);
    let following = tokio::spawn(keep_rights(feed, sharing, admission.clone()));
    Ok((admission, AbortOnDropHandle::new(following)))
}

async fn as_table(report: &Report, mut rows: ReportRows) -> Result<(), Failure> {
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
    mut rows: ReportRows,
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
async fn as_stream((report, form): (&Report, OutputFormat), rows: ReportRows) -> Result<(), Failure> {
    match stream((report, form), rows).await {
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

async fn stream((report, form): (&Report, OutputFormat), mut rows: ReportRows) -> Result<(), Failure> {
    let failed = |error: OutputError| match error {
        OutputError::Io(error) => Failure::Output(error),
        other => Failure::ReportFile(other.into()),
    };
    let mut output = Output::new(form, report, rows.about(), io::stdout()).map_err(failed)?;
    while let Some(batch) = rows.next().await? {
        output.write(&batch).map_err(failed)?;
    }
    let (_, count) = output.finish().map_err(failed)?;
    let About { report, version, complete_up_to, users, .. } = rows.about();
    let complete_up_to = complete_up_to.map_or("not known".to_owned(), |at| at.to_string());
    tracing::info!(report, version, complete_up_to, users = users.join("; "), rows = count, "made a report");
    Ok(())
}
