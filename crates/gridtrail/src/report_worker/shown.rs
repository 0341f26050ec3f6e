//! What a schedule says, and what became of it.

use crate::args::{HistoryArgs, ListFormat, ScheduleArgs};
use crate::exit::Failure;
use crate::opening::open_to_serve;
use crate::output::{self, count_of, printable, table_with};
use crate::report_jobs::{is_data, journal_of, read_schedule};
use crate::serve::role_matrix;
use gridtrail_report_jobs::{Job, Past};
use gridtrail_reports::ReportError;
use gridtrail_runtime::Clock;
use serde::Serialize;
use std::io;

/// Memory for parts of runs, of which none are read.
const CACHE_MIB: u64 = 16;

/// A period of a job. The fields are an interface: programs read them as JSON.
#[derive(Serialize)]
struct NextRow {
    job: String,
    report: String,
    due: String,
    /// The same by the clocks of the job's zone.
    shown: String,
    /// The days and months that it is about.
    period: Vec<String>,
    /// Up to when the lake must be complete for it.
    needs_complete_up_to: String,
    user_ids: Vec<String>,
    to: String,
}

/// `gridtrail report schedule`: reads a schedule and says what comes next.
pub(crate) fn schedule(args: &ScheduleArgs, format: ListFormat) -> Result<(), Failure> {
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let schedule = read_schedule(&args.schedule, &roles, "FILE")?;
    let mut rows = Vec::new();
    for job in schedule.jobs() {
        rows.extend(next_of(job, args.next as usize)?);
    }
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &rows);
    }
    let mut table = table_with(&["Job", "Report", "Due", "By its clocks", "Period", "Users", "To"]);
    for row in &rows {
        let (period, users) = (row.period.join(" "), row.user_ids.len().to_string());
        table.add_row([&row.job, &row.report, &row.due, &row.shown, &period, &users, &printable(&row.to)]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &table.csv()?);
    }
    let jobs = count_of(schedule.jobs().count(), "job");
    output::write(&mut out, format!("{table}\n{jobs}: the schedule can be carried out\n").as_bytes())
}

fn next_of(job: &Job, count: usize) -> Result<Vec<NextRow>, Failure> {
    let row = |due| {
        let arguments = job.arguments(due).map_err(ReportError::from)?;
        Ok(NextRow {
            job: job.name().to_owned(),
            report: job.report().name.clone(),
            due: due.to_string(),
            shown: job.shown(due),
            period: arguments.days_and_months(),
            needs_complete_up_to: job.needs_complete_up_to(due).to_string(),
            user_ids: job.user_ids().map(|id| id.to_string()).collect(),
            to: job.to().to_owned(),
        })
    };
    job.due_from(Clock::system().now()).take(count).map(row).collect()
}

/// `gridtrail report history`: what became of the reports of schedules.
pub(crate) async fn history(args: &HistoryArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_to_serve(&args.lake, CACHE_MIB, true).await?;
    let past = journal_of(&lake)?.history(args.job.as_deref()).await?;
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &past);
    }
    let mut table = table_with(&[
        "Job",
        "Due",
        "User",
        "State",
        "Attempts",
        "Made",
        "Complete up to",
        "Rows",
        "Files",
        "Why",
    ]);
    for one in &past {
        table.add_row(cells_of(one));
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &table.csv()?);
    }
    let footer = count_of(past.len(), "report");
    let text = if past.is_empty() { "no reports\n".to_owned() } else { format!("{table}\n{footer}\n") };
    output::write(&mut out, text.as_bytes())
}

fn cells_of(past: &Past) -> [String; 10] {
    let complete = past.complete_up_to.clone().unwrap_or_default();
    let files = past.files.iter().map(|file| file.name.as_str()).filter(|name| is_data(name));
    [
        past.job.clone(),
        past.due.to_string(),
        past.user_id.to_string(),
        past.state.name().to_owned(),
        past.attempts.to_string(),
        past.made_at.clone().unwrap_or_default(),
        if past.may_miss_rows { format!("{complete} (rows may be missing)") } else { complete },
        past.rows.map(|rows| rows.to_string()).unwrap_or_default(),
        files.collect::<Vec<_>>().join(" "),
        printable(past.why.as_deref().unwrap_or_default()),
    ]
}
