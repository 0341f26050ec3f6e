//! `gridtrail lake vacuum`: deleting what no version needs any more.

use crate::args::{Format, VacuumArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count, table_with};
use gridtrail_lake::TableVacuumed;
use serde::Serialize;
use std::io;

/// What went of a table. The fields are an interface.
#[derive(Debug, Serialize)]
struct TableRow {
    table: &'static str,
    files: u64,
    bytes: u64,
    log_entries: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    dry_run: bool,
    tables: Vec<TableRow>,
}

pub(crate) async fn run(args: &VacuumArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let vacuumed = lake.maintenance().await?.vacuum(args.dry_run).await?;
    let row = |TableVacuumed { name, files, bytes, log_entries }: TableVacuumed| TableRow {
        table: name,
        files,
        bytes,
        log_entries,
    };
    let answer = Answer { dry_run: args.dry_run, tables: vacuumed.into_iter().map(row).collect() };
    let mut out = io::stdout().lock();
    if format == Format::Json {
        return output::write_json(&mut out, &answer);
    }
    let mut table = table_with(&["Table", "Files", "Bytes", "Log entries"]);
    for row in &answer.tables {
        let counts = [row.files, row.bytes, row.log_entries].map(|count| count.to_string());
        table.add_row(std::iter::once(row.table.to_owned()).chain(counts));
    }
    let files: u64 = answer.tables.iter().map(|row| row.files).sum();
    let entries: u64 = answer.tables.iter().map(|row| row.log_entries).sum();
    let went = if answer.dry_run { "would be deleted" } else { "deleted" };
    let what = format!("{} and {}", count(files, "file"), count(entries, "log entry"));
    output::write(&mut out, format!("{table}\n{went}: {what}\n").as_bytes())
}
