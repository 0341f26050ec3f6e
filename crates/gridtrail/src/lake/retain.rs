//! `gridtrail lake retain`: for how long records are kept, and letting go what is older.

use crate::args::{Format, RetainArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count, table_with};
use crate::running::asked_to_stop;
use gridtrail_lake::{Expired, MonthRetained, Retained};
use serde::Serialize;
use std::io;

pub(crate) async fn run(args: &RetainArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    if let Some(months) = args.months {
        lake.set_retention_months(months).await?;
    }
    if let Some(months) = args.access_log_months {
        lake.set_access_log_months(months).await?;
    }
    let (months, access_log_months) = (lake.retention_months().await, lake.access_log_months().await);
    let retained = if args.now {
        let asked = asked_to_stop()?;
        let mut maintenance = lake.maintenance().await?;
        let settings = args.compaction.settings();
        tokio::select! {
            () = asked => {
                let told = "what went is gone; run it again for the rest".to_owned();
                return Err(Failure::Stopped { told });
            }
            retained = maintenance.retain(&settings, args.dry_run) => Some(retained?),
        }
    } else {
        None
    };
    let answer =
        Answer { months, access_log_months, dry_run: args.dry_run, retained: retained.map(RetainedRow::of) };
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &answer),
        Format::Table => output::write(&mut out, text_of(&answer).as_bytes()),
    }
}

/// The setting, and what went. The fields are an interface.
#[derive(Debug, Serialize)]
struct Answer {
    /// Calendar months that records are kept for.
    months: u32,
    /// Those that the access log is kept for.
    access_log_months: u32,
    dry_run: bool,
    /// What went or would go; left out where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retained: Option<RetainedRow>,
}

#[derive(Debug, Serialize)]
struct RetainedRow {
    months: Vec<MonthRow>,
    parked: u64,
    dead_letters: u64,
    access_log: u64,
    overtaken: u64,
    /// Months and files that stay since a file is damaged.
    refused: u64,
}

#[derive(Debug, Serialize)]
struct MonthRow {
    month: String,
    files: u64,
    rows_dropped: u64,
    rows_kept: u64,
    /// Those of the rows kept that only a legal hold keeps.
    rows_held: u64,
}

impl RetainedRow {
    fn of(retained: Retained) -> Self {
        let [parked, dead_letters, access_log] =
            ["parked", "dead_letters", "access_log"].map(|table| retained.rows_of(table));
        let Retained { months, overtaken, refused, .. } = retained;
        let row = |MonthRetained { month, expired }: MonthRetained| {
            let Expired { files, rows_dropped, rows_kept, rows_held } = expired;
            MonthRow { month: month.to_string(), files, rows_dropped, rows_kept, rows_held }
        };
        Self {
            months: months.into_iter().map(row).collect(),
            parked,
            dead_letters,
            access_log,
            overtaken,
            refused,
        }
    }
}

fn text_of(answer: &Answer) -> String {
    let setting = format!(
        "records are kept for {}, and the access log for {}\n",
        count(answer.months, "month"),
        count(answer.access_log_months, "month")
    );
    let Some(retained) = &answer.retained else { return setting };
    let went = if answer.dry_run { "would go" } else { "went" };
    let mut text = String::new();
    if !retained.months.is_empty() {
        let mut table =
            table_with(&["Month", "Files", &format!("Rows that {went}"), "Rows that stay", "Held"]);
        for row in &retained.months {
            let counts = [row.files, row.rows_dropped, row.rows_kept, row.rows_held];
            let cells = std::iter::once(row.month.clone()).chain(counts.map(|count| count.to_string()));
            table.add_row(cells);
        }
        text = format!("{table}\n");
    }
    let rows: u64 = retained.months.iter().map(|row| row.rows_dropped).sum();
    text.push_str(&format!(
        "{went}: {}, {}, {} and {}\n",
        count(rows, "row"),
        count(retained.parked, "parked fragment"),
        count(retained.dead_letters, "dead letter"),
        count(retained.access_log, "row of the access log")
    ));
    if retained.overtaken > 0 {
        text.push_str(&format!("overtaken by others: {}\n", count(retained.overtaken, "commit")));
    }
    if retained.refused > 0 {
        text.push_str(&format!(
            "{} months or files stay, since a file is damaged: `gridtrail lake repair` takes its rows anew\n",
            retained.refused
        ));
    }
    text + &setting
}
