//! `gridtrail lake upgrade`: a lake of an older format becomes one of this build's.

use crate::args::{Format, UpgradeArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count, table_with};
use crate::running::asked_to_stop;
use gridtrail_lake::{TableUpgraded, Upgraded};
use serde::Serialize;
use std::io;

pub(crate) async fn run(args: &UpgradeArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let asked = asked_to_stop()?;
    let mut maintenance = lake.maintenance().await?;
    let upgraded = tokio::select! {
        () = asked => {
            let told = "files that were written anew stay so; run it again for the rest".to_owned();
            return Err(Failure::Stopped { told });
        }
        upgraded = maintenance.upgrade(args.dry_run) => upgraded?,
    };
    let is_whole = upgraded.is_whole();
    let answer = Answer::of(upgraded, args.dry_run);
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &answer)?,
        Format::Table => output::write(&mut out, text_of(&answer).as_bytes())?,
    }
    match answer.tables.iter().map(|table| table.refused).sum() {
        0 if is_whole => Ok(()),
        0 => Err(Failure::Overtaken),
        files => Err(Failure::DamagedFiles { files }),
    }
}

/// What was done. The fields are an interface.
#[derive(Debug, Serialize)]
struct Answer {
    dry_run: bool,
    /// The tables that were of an older format.
    tables: Vec<TableRow>,
}

#[derive(Debug, Serialize)]
struct TableRow {
    table: &'static str,
    from: u32,
    to: u32,
    /// Files that were, or would be, written anew.
    files: u64,
    bytes: u64,
    /// Files that stay as they are, since they are damaged: the table then stays of its format.
    refused: u64,
    /// Commits that others were faster than.
    overtaken: u64,
}

impl Answer {
    fn of(upgraded: Upgraded, dry_run: bool) -> Self {
        let row = |of: TableUpgraded| {
            let TableUpgraded { name, from, to, files, bytes, refused, overtaken, is_whole: _ } = of;
            TableRow { table: name, from, to, files, bytes, refused, overtaken }
        };
        Self { dry_run, tables: upgraded.tables.into_iter().map(row).collect() }
    }
}

fn text_of(answer: &Answer) -> String {
    if answer.tables.is_empty() {
        return "every table is of this build's format\n".to_owned();
    }
    let mut table = table_with(&["Table", "From", "To", "Files written anew", "Bytes", "Damaged"]);
    for row in &answer.tables {
        let formats = [row.from, row.to].map(|format| format.to_string());
        let counts = [row.files, row.bytes, row.refused].map(|count| count.to_string());
        table.add_row(std::iter::once(row.table.to_owned()).chain(formats).chain(counts));
    }
    let would =
        if answer.dry_run { "nothing was changed: without --dry-run this is what is done\n" } else { "" };
    let overtaken = answer.tables.iter().map(|row| row.overtaken).sum::<u64>();
    let overtaken = match overtaken {
        0 => String::new(),
        commits => format!("others were faster: {}\n", count(commits, "commit")),
    };
    format!("{table}\n{overtaken}{would}")
}
