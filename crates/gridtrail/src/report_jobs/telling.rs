//! What a worker came to, in the log, in metrics, and at its end.

use crate::args::ListFormat;
use crate::exit::Failure;
use crate::metrics;
use crate::output::{self, count_of, table_with};
use gridtrail_report_jobs::{DeliveryKey, Outcome, OutcomeKind, Step, Waiting};
use gridtrail_runtime::{Clock, with_causes};
use serde::Serialize;
use std::io;

/// Tells of a step.
pub(crate) fn tell(step: &Step) {
    match step {
        Step::Ended(Outcome { key, what }) => {
            metrics::report_ended(&key.job, state_of(what));
            match what {
                OutcomeKind::Published { rows, files, may_miss_rows } => {
                    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
                    if *may_miss_rows {
                        tracing::warn!(%key, rows, "published a report whose period is not all in the lake: rows may be missing");
                    } else {
                        tracing::info!(%key, rows, bytes, "published a report");
                    }
                }
                OutcomeKind::Skipped { why } => tracing::warn!(%key, why, "a missed report is not made"),
                OutcomeKind::Withdrawn { why } => tracing::warn!(%key, why, "a report is not published"),
            }
        }
        Step::Failed { key, error } => {
            let error = with_causes(error);
            match key {
                Some(key) => {
                    metrics::report_failed(&key.job);
                    tracing::warn!(%key, error, "a report failed; it is tried again");
                }
                None => tracing::warn!(error, "what became of reports cannot be read; it is tried again"),
            }
        }
        Step::Idle { .. } => {}
    }
}

/// Tells for how long the oldest report of each of some jobs has been due, of what is open.
pub(super) fn tell_late(jobs: &[String], open: &[(DeliveryKey, Waiting)]) {
    let now = Clock::system().now().millis();
    for job in jobs {
        // What waits for the lake is the lake's to alert of.
        let is_late =
            |(key, why): &&(DeliveryKey, Waiting)| key.job == *job && !matches!(why, Waiting::Data { .. });
        let oldest = open.iter().find(is_late).map_or(now, |(key, _)| key.due.millis());
        metrics::reports_late(job, now - oldest);
    }
}

const fn state_of(what: &OutcomeKind) -> &'static str {
    match what {
        OutcomeKind::Published { .. } => "published",
        OutcomeKind::Skipped { .. } => "skipped",
        OutcomeKind::Withdrawn { .. } => "withdrawn",
    }
}

/// A report that ended. The fields are an interface: programs read them as JSON.
#[derive(Serialize)]
struct EndedRow {
    job: String,
    due: String,
    user_id: String,
    state: &'static str,
    rows: Option<u64>,
    may_miss_rows: bool,
    files: Vec<String>,
}

impl EndedRow {
    fn of(Outcome { key, what }: &Outcome) -> Self {
        let (rows, may_miss_rows, files) = match what {
            OutcomeKind::Published { rows, files, may_miss_rows } => {
                (Some(*rows), *may_miss_rows, &files[..])
            }
            OutcomeKind::Skipped { .. } | OutcomeKind::Withdrawn { .. } => (None, false, &[][..]),
        };
        Self {
            job: key.job.clone(),
            due: key.due.to_string(),
            user_id: key.user_id.to_string(),
            state: state_of(what),
            rows,
            may_miss_rows,
            files: files.iter().map(|file| file.name.clone()).filter(|name| is_data(name)).collect(),
        }
    }
}

/// Whether a file has rows, and does not only belong to one that has.
pub(crate) fn is_data(name: &str) -> bool {
    !name.ends_with(".about.json") && !name.ends_with(".sha256")
}

/// What ended.
pub(crate) fn print(ended: &[Outcome], format: ListFormat) -> Result<(), Failure> {
    let rows: Vec<EndedRow> = ended.iter().map(EndedRow::of).collect();
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &rows);
    }
    let mut table = table_with(&["Job", "Due", "User", "State", "Rows", "Files"]);
    for row in &rows {
        let count = row.rows.map(|rows| rows.to_string()).unwrap_or_default();
        table.add_row([&row.job, &row.due, &row.user_id, row.state, &count, &row.files.join(" ")]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &table.csv()?);
    }
    let footer = count_of(rows.len(), "report");
    let text = if rows.is_empty() { "nothing was due\n".to_owned() } else { format!("{table}\n{footer}\n") };
    output::write(&mut out, text.as_bytes())
}
