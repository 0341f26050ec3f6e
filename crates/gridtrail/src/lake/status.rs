//! `gridtrail lake status`: what a lake holds, and what is due.

use crate::args::{Format, StatusArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count, printable, table_with};
use gridtrail_lake::{Expiring, LakeStatus, MonthStatus, StoppedAt, TableStatus};
use gridtrail_model::Timestamp;
use serde::Serialize;
use std::io;

/// What a lake holds, as programs read it. The fields are an interface.
#[derive(Debug, Serialize)]
struct Answer {
    tables: Vec<TableRow>,
    months: Vec<MonthRow>,
    buckets: u32,
    compactions_due: u64,
    retention_months: u32,
    /// Months from which retention would take rows now.
    expiring: Vec<ExpiringRow>,
    holds: u64,
    /// For how long files, log entries, versions and page tokens are kept, in seconds.
    kept_seconds: KeptRow,
    /// Log entries that are not gridtrail's, or damaged: nothing is answered from them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stopped: Vec<StoppedRow>,
}

#[derive(Debug, Serialize)]
struct StoppedRow {
    table: &'static str,
    /// The version that answers are of.
    version: u64,
    entry: String,
    why: String,
    remedy: String,
}

impl StoppedRow {
    fn of(at: &StoppedAt) -> Self {
        let StoppedAt { table, version, entry, why, .. } = at.clone();
        Self { table, version, entry, why, remedy: at.remedy() }
    }
}

#[derive(Debug, Serialize)]
struct TableRow {
    table: &'static str,
    /// The format that it is of.
    format: u32,
    /// The format that this build makes of it, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade_to: Option<u32>,
    version: u64,
    files: u64,
    bytes: u64,
    /// Left out where the log does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
}

#[derive(Debug, Serialize)]
struct MonthRow {
    month: String,
    level_0_runs: u64,
    bucket_runs: u64,
    /// The most that any bucket has.
    bucket_runs_max: u64,
    rows: u64,
    bytes: u64,
    oldest: Option<String>,
    newest: Option<String>,
}

#[derive(Debug, Serialize)]
struct ExpiringRow {
    month: String,
    rows: u64,
    /// Whether all rows would go.
    whole: bool,
}

#[derive(Debug, Serialize)]
struct KeptRow {
    files: u64,
    log: u64,
    as_of: u64,
    page_token: u64,
}

pub(crate) async fn run(args: &StatusArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let answer = Answer::of(lake.inspection().await?.status().await?);
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &answer),
        Format::Table => output::write(&mut out, text_of(&answer).as_bytes()),
    }
}

impl Answer {
    fn of(status: LakeStatus) -> Self {
        let table = |of: TableStatus| {
            let TableStatus { name, format, newest_format, version, files, bytes, rows } = of;
            let upgrade_to = (format < newest_format).then_some(newest_format);
            TableRow { table: name, format, upgrade_to, version, files, bytes, rows }
        };
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let month = |month: MonthStatus| MonthRow {
            month: month.month,
            level_0_runs: month.level_0,
            bucket_runs: month.bucketed,
            bucket_runs_max: month.bucket_max,
            rows: month.rows,
            bytes: month.bytes,
            oldest: text(month.oldest),
            newest: text(month.newest),
        };
        let expiring =
            |Expiring { month, rows, whole }: Expiring| ExpiringRow { month: month.to_string(), rows, whole };
        let windows = status.windows;
        Self {
            tables: status.tables.into_iter().map(table).collect(),
            months: status.months.into_iter().map(month).collect(),
            buckets: status.buckets,
            compactions_due: status.compactions_due,
            retention_months: status.retention_months,
            expiring: status.expiring.into_iter().map(expiring).collect(),
            holds: status.holds,
            kept_seconds: KeptRow {
                files: windows.files.as_secs(),
                log: windows.log.as_secs(),
                as_of: windows.as_of.as_secs(),
                page_token: windows.page_token.as_secs(),
            },
            stopped: status.stopped.iter().map(StoppedRow::of).collect(),
        }
    }
}

fn text_of(answer: &Answer) -> String {
    let mut tables = table_with(&["Table", "Format", "Version", "Files", "Bytes", "Rows"]);
    for row in &answer.tables {
        let rows = row.rows.map(|rows| rows.to_string()).unwrap_or_default();
        let format = row.format.to_string();
        let counts = [row.version, row.files, row.bytes].map(|count| count.to_string());
        tables.add_row([row.table.to_owned(), format].into_iter().chain(counts).chain([rows]));
    }
    let mut months =
        table_with(&["Month", "Level 0", "In buckets", "Most in one", "Rows", "Bytes", "Oldest", "Newest"]);
    for row in &answer.months {
        let counts = [row.level_0_runs, row.bucket_runs, row.bucket_runs_max, row.rows, row.bytes];
        let times = [&row.oldest, &row.newest].map(|time| time.clone().unwrap_or_default());
        let counts = counts.map(|count| count.to_string());
        months.add_row(std::iter::once(row.month.clone()).chain(counts).chain(times));
    }
    let mut text = format!("{tables}\n");
    if !answer.months.is_empty() {
        text.push_str(&format!("{months}\n"));
    }
    let hours = |seconds: u64| seconds / 3_600;
    let kept = &answer.kept_seconds;
    text.push_str(&format!(
        "{} a month; {} due; {}\nrecords are kept for {}; removed files for {} h, the log for {} h\n",
        count(answer.buckets, "bucket"),
        count(answer.compactions_due, "compaction"),
        count(answer.holds, "legal hold"),
        count(answer.retention_months, "month"),
        hours(kept.files),
        hours(kept.log)
    ));
    let older: Vec<&str> =
        answer.tables.iter().filter(|row| row.upgrade_to.is_some()).map(|row| row.table).collect();
    if !older.is_empty() {
        text.push_str(&format!(
            "of an older format: {}; `gridtrail lake upgrade` makes them of this build's\n",
            older.join(", ")
        ));
    }
    for row in &answer.expiring {
        let what = if row.whole { "all" } else { "some" };
        let rows = count(row.rows, "row");
        text.push_str(&format!("retention would take {what} of {rows} of {}\n", row.month));
    }
    for StoppedRow { table, version, entry, why, remedy } in &answer.stopped {
        let (entry, why, remedy) = (printable(entry), printable(why), printable(remedy));
        text.push_str(&format!(
            "table {table} is answered from version {version}, and nothing is written to it: {entry}: {why}\n  To go on: {remedy}\n"
        ));
    }
    text
}
