//! Reports that a server makes: the same outputs, of what comes over a connection.

use super::{form_of, said, shown};
use crate::args::{
    AnyFormat, DescribeReportArgs, Format, ListFormat, ReportsOfServer, RunReportArgs, ServerArgs,
};
use crate::client::{Caller, time, timestamp_of, token_from, token_of};
use crate::exit::Failure;
use crate::output::{self, Grid, printable, proto3};
use crate::progress::counting;
use gridtrail_proto::query::v1::report_cell::Value;
use gridtrail_proto::query::v1::run_report_response::Part;
use gridtrail_proto::query::v1::{
    ReportAbout, ReportCell, ReportEnd, ReportForm, RunReportRequest, RunReportResponse,
};
use gridtrail_reports::{About, ArgumentError, FileError, OutputFormat, ReceivedFile, ReportError};
use indicatif::ProgressBar;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::Path;
use tonic::Streaming;

/// Somebody who asks a server what reports it has.
async fn caller_of(of: &ReportsOfServer, server: &ServerArgs) -> Result<Caller, Failure> {
    Caller::connect(server, &token_from(of.token.as_deref(), of.token_file.as_deref())?).await
}

pub(super) async fn list(
    (of, server): (&ReportsOfServer, &ServerArgs),
    format: ListFormat,
) -> Result<(), Failure> {
    let listed = caller_of(of, server).await?.reports().await?;
    shown::list(listed.reports.into_iter().map(shown::Listed::told), format)
}

/// What a server says of a report: its page, or as JSON the message of the API.
pub(super) async fn describe(
    args: &DescribeReportArgs,
    server: &ServerArgs,
    format: Format,
) -> Result<(), Failure> {
    let described = caller_of(&args.of, server).await?.describe_report(&args.name).await?;
    let mut out = io::stdout().lock();
    match format {
        Format::Json => proto3::write_json(&mut out, &described.report.ok_or_else(no_report)?),
        Format::Table if described.page.is_empty() => Err(Failure::Process(
            "the server has no page for people: it is of an earlier version; take --format json",
        )),
        Format::Table => {
            let lines = described.page.lines().map(|line| format!("{}\n", printable(line)));
            output::write(&mut out, lines.collect::<String>().as_bytes())
        }
    }
}

pub(super) async fn make(
    args: &RunReportArgs,
    server: &ServerArgs,
    format: AnyFormat,
) -> Result<(), Failure> {
    let form = form_of(format, args.output.is_some())?;
    let request = request_of(args, form)?;
    let caller = Caller::connect(server, &token_of(&args.credential)?).await?;
    let report = Coming::begin(&caller, request).await?;
    if !report.about.fresh_enough {
        tracing::warn!("the report rests on what is older than it needs");
    }
    match (form, &args.output) {
        (None, _) => as_table(report).await,
        (Some(_), Some(path)) => as_file(report, path).await,
        (Some(_), None) => match as_stream(report).await {
            // A reader that went away has what it wanted.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        },
    }
}

fn request_of(args: &RunReportArgs, form: Option<OutputFormat>) -> Result<RunReportRequest, Failure> {
    let mut parameters = HashMap::new();
    for (name, value) in &args.parameters {
        if parameters.insert(name.clone(), value.clone()).is_some() {
            return Err(ReportError::from(ArgumentError::Twice { name: name.clone() }).into());
        }
    }
    let form = match form {
        None => ReportForm::Rows,
        Some(OutputFormat::Csv) => ReportForm::Csv,
        Some(OutputFormat::Json) => ReportForm::Json,
        Some(OutputFormat::Parquet) => ReportForm::Parquet,
        Some(OutputFormat::Xlsx) => ReportForm::Xlsx,
        Some(OutputFormat::Html) => ReportForm::Html,
        Some(OutputFormat::AppendixAa) => ReportForm::AppendixAa,
    };
    let user_ids = args.user_ids.iter().map(ToString::to_string).collect();
    // Whichever version the server has: what it says of itself names it.
    Ok(RunReportRequest { name: args.name.clone(), version: 0, parameters, user_ids, form: form.into() })
}

/// A report that is on its way here.
struct Coming<'a> {
    caller: &'a Caller,
    about: About,
    /// The names of its columns.
    columns: Vec<String>,
    messages: Streaming<RunReportResponse>,
    /// How many rows the server has made.
    rows: ProgressBar,
}

/// The server speaks another protocol.
const fn no_report() -> Failure {
    Failure::Process("what the server sends is no report: it may be of another version than this command")
}

impl<'a> Coming<'a> {
    async fn begin(caller: &'a Caller, request: RunReportRequest) -> Result<Self, Failure> {
        let mut messages = caller.run_report(request).await?;
        let Some(Part::About(about)) = caller.next_of(&mut messages).await?.and_then(|first| first.part)
        else {
            return Err(no_report());
        };
        let columns = about.columns.iter().map(|column| column.name.clone()).collect();
        let about = about_of(about).ok_or_else(no_report)?;
        Ok(Self { caller, about, columns, messages, rows: counting(None, "rows") })
    }

    /// The next piece; progress goes to the terminal.
    async fn next(&mut self) -> Result<Part, Failure> {
        loop {
            // Without its last message it is not whole, whatever came.
            let message = self.caller.next_of(&mut self.messages).await?.ok_or_else(no_report)?;
            match message.part {
                Some(Part::Progress(progress)) => self.rows.set_position(progress.rows),
                Some(part) => return Ok(part),
                // Something that later versions say beside.
                None => {}
            }
        }
    }

    /// The next bytes of its form.
    async fn bytes(&mut self) -> Result<Bytes, Failure> {
        match self.next().await? {
            Part::Data(bytes) => Ok(Bytes::Some(bytes)),
            Part::End(end) => Ok(Bytes::End(end)),
            _ => Err(no_report()),
        }
    }
}

/// What comes of a form.
enum Bytes {
    Some(Vec<u8>),
    End(ReportEnd),
}

async fn as_table(mut report: Coming<'_>) -> Result<(), Failure> {
    let mut grid = Grid::new(&report.columns);
    let end = loop {
        match report.next().await? {
            Part::Rows(rows) => {
                for row in rows.rows {
                    grid.add_row(row.cells.into_iter().map(|cell| printable(&text_of(cell)).to_string()));
                }
            }
            Part::End(end) => break end,
            _ => return Err(no_report()),
        }
    };
    report.rows.finish_and_clear();
    let said = said(&report.about, end.row_count);
    output::write(&mut io::stdout().lock(), format!("{grid}\n{said}").as_bytes())
}

async fn as_file(mut report: Coming<'_>, path: &Path) -> Result<(), Failure> {
    let mut file = ReceivedFile::create(path, &report.about)?;
    let end = loop {
        match report.bytes().await? {
            Bytes::Some(bytes) => file.write(&bytes)?,
            Bytes::End(end) => break end,
        }
    };
    report.rows.finish_and_clear();
    let count = file.publish(end.row_count, &end.sha256)?;
    let text = format!("Written to {}\n{}", path.display(), said(&report.about, count));
    output::write(&mut io::stdout().lock(), text.as_bytes())
}

async fn as_stream(mut report: Coming<'_>) -> Result<(), Failure> {
    let (mut out, mut hash) = (io::stdout(), Sha256::new());
    let end = loop {
        match report.bytes().await? {
            Bytes::Some(bytes) => {
                hash.update(&bytes);
                out.write_all(&bytes).map_err(Failure::Output)?;
            }
            Bytes::End(end) => break end,
        }
    };
    out.flush().map_err(Failure::Output)?;
    report.rows.finish_and_clear();
    if hex::encode(hash.finalize()) != end.sha256 {
        return Err(FileError::Damaged.into());
    }
    super::tell(&report.about, end.row_count);
    Ok(())
}

/// What a report says of itself. `None`: without the time at which it was made.
fn about_of(message: ReportAbout) -> Option<About> {
    Some(About {
        report: message.report,
        title: message.title,
        version: message.version,
        users: message.users,
        party: message.party,
        asked_by: message.asked_by,
        parameters: message.parameters.into_iter().collect(),
        complete_up_to: message.complete_up_to.and_then(timestamp_of),
        needed_up_to: None,
        fresh_enough: message.fresh_enough,
        lake_version: message.snapshot_version,
        made_at: message.made_at.and_then(timestamp_of)?,
    })
}

/// A cell as tables show it.
fn text_of(cell: ReportCell) -> String {
    match cell.value {
        None => String::new(),
        Some(Value::Text(text) | Value::UkTime(text) | Value::Date(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Decimal(number)) => number.to_string(),
        Some(Value::Time(at)) => time(Some(at)).unwrap_or_default(),
        Some(Value::Flag(flag)) => if flag { "yes" } else { "no" }.to_owned(),
    }
}
