//! `gridtrail lake verify`: whether a lake is whole, as a table and as JSON.

use crate::args::{Format, VerifyArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count, printable, table_with};
use gridtrail_access_log::{ChainEnd, Findings};
use gridtrail_lake::{Damage, TableVerified, Verified, VerifySettings};
use gridtrail_runtime::Clock;
use serde::Serialize;
use std::io;

pub(crate) async fn run(args: &VerifyArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let settings = VerifySettings { rows: !args.quick, sample: args.sample, jobs: args.jobs };
    let answer = Answer::of(&args.of.lake, args.quick, lake.verify(&settings).await?);
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &answer)?,
        Format::Table => output::write(&mut out, text_of(&answer).as_bytes())?,
    }
    if answer.clean { Ok(()) } else { Err(Failure::Unproven { faults: answer.damage_count }) }
}

/// What was found, as programs read it. The fields are an interface.
#[derive(Debug, Serialize)]
struct Answer {
    /// When it was found.
    at: String,
    lake: String,
    /// Whether nothing is damaged.
    clean: bool,
    /// Whether only files were looked at, and no rows.
    quick: bool,
    tables: Vec<TableRow>,
    /// Devices whose fragments were merged in several orders.
    devices_sampled: u64,
    /// Rows of those that have more than one fragment.
    rows_merged: u64,
    /// Rows, of all, that lie at several times: compaction and maintenance will make each one.
    rows_at_several_times: u64,
    /// The chains of the access log; left out where they were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log: Option<LogRow>,
    damage_count: u64,
    /// The first thousand.
    damages: Vec<DamageRow>,
}

/// A table.
#[derive(Debug, Serialize)]
struct TableRow {
    table: &'static str,
    version: u64,
    files: u64,
    /// Files of earlier versions of gridtrail.
    without_checksum: u64,
    /// Bytes that were read.
    bytes: u64,
    /// Rows that were read.
    rows: u64,
    /// Files that a vacuum would take.
    orphans: u64,
}

/// The chains of the access log.
#[derive(Debug, Serialize)]
struct LogRow {
    chains: u64,
    rows: u64,
    /// Chains of processes that run, or were killed.
    open: Vec<OpenRow>,
    /// Rows before this time were let go.
    #[serde(skip_serializing_if = "Option::is_none")]
    trimmed_before: Option<String>,
    /// How many they were.
    rows_gone: u64,
    /// Rows from here on may not go, by this machine's clock and the retention setting in force.
    kept_from: String,
}

/// A chain without an end.
#[derive(Debug, Serialize)]
struct OpenRow {
    chain: String,
    last_seq: u64,
    last_at: String,
}

impl LogRow {
    fn of(found: Findings) -> Self {
        let open = |ChainEnd { chain, seq, at }: ChainEnd| OpenRow {
            chain: chain.to_string(),
            last_seq: seq,
            last_at: at.to_string(),
        };
        Self {
            chains: found.chains,
            rows: found.rows,
            open: found.open.into_iter().map(open).collect(),
            trimmed_before: found.trimmed_before.map(|at| at.to_string()),
            rows_gone: found.gone,
            kept_from: found.kept_from.to_string(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("access log: {} in {}", count(self.rows, "row"), count(self.chains, "chain"));
        if let Some(before) = &self.trimmed_before {
            text.push_str(&format!("; {} before {before} were let go", count(self.rows_gone, "row")));
        }
        text.push_str(&format!("; those from {} on are to be kept", self.kept_from));
        text.push('\n');
        for OpenRow { chain, last_seq, last_at } in &self.open {
            text.push_str(&format!(
                "  open: chain {chain}, of a process that runs or was killed; its last row is {last_seq}, of {last_at}\n"
            ));
        }
        text
    }
}

/// Something that is damaged.
#[derive(Debug, Serialize)]
struct DamageRow {
    kind: &'static str,
    path: String,
    what: String,
}

impl Answer {
    fn of(lake: &str, quick: bool, found: Verified) -> Self {
        let clean = found.is_clean();
        Self {
            at: Clock::system().now().to_string(),
            lake: lake.to_owned(),
            clean,
            quick,
            tables: found.tables.into_iter().map(TableRow::of).collect(),
            devices_sampled: found.devices,
            rows_merged: found.rows_merged,
            rows_at_several_times: found.rows_at_several_times,
            access_log: found.access_log.map(LogRow::of),
            damage_count: found.damage_count,
            damages: found.damages.into_iter().map(DamageRow::of).collect(),
        }
    }
}

impl TableRow {
    fn of(found: TableVerified) -> Self {
        let TableVerified { name, version, files, without_checksum, bytes, rows, orphans } = found;
        Self { table: name, version, files, without_checksum, bytes, rows, orphans }
    }
}

impl DamageRow {
    fn of(Damage { kind, path, what }: Damage) -> Self {
        Self { kind: kind.name(), path, what }
    }
}

/// The verdict, in a sentence.
fn verdict(answer: &Answer) -> String {
    let files: u64 = answer.tables.iter().map(|table| table.files).sum();
    let rows: u64 = answer.tables.iter().map(|table| table.rows).sum();
    let (files, rows) = (count(files, "file"), count(rows, "row"));
    let looked = if answer.quick { files } else { format!("{files}, {rows}") };
    match answer.damage_count {
        0 => format!("clean: {looked}"),
        1 => format!("1 thing is damaged ({looked})"),
        n => format!("{n} things are damaged ({looked})"),
    }
}

fn text_of(answer: &Answer) -> String {
    let mut table = table_with(&[
        "Table",
        "Version",
        "Files",
        "Without checksum",
        "Bytes read",
        "Rows read",
        "To vacuum",
    ]);
    for row in &answer.tables {
        let counts = [row.version, row.files, row.without_checksum, row.bytes, row.rows, row.orphans];
        let cells = std::iter::once(row.table.to_owned()).chain(counts.map(|count| count.to_string()));
        table.add_row(cells);
    }
    let mut text = format!("{table}\n");
    if answer.devices_sampled > 0 {
        text.push_str(&format!(
            "of {}, {} merged in several orders; of all rows, {} at several times, until maintenance makes each one\n",
            count(answer.devices_sampled, "Device"),
            count(answer.rows_merged, "row"),
            answer.rows_at_several_times
        ));
    }
    if let Some(log) = answer.access_log.as_ref().filter(|log| log.chains > 0) {
        text.push_str(&log.text());
    }
    for DamageRow { kind, path, what } in &answer.damages {
        text.push_str(&format!("{kind} {}: {}\n", printable(path), printable(what)));
    }
    let rest = answer.damage_count - answer.damages.len() as u64;
    if rest > 0 {
        text.push_str(&format!("and {rest} more\n"));
    }
    text.push_str(&verdict(answer));
    text.push('\n');
    text
}
