//! `gridtrail lake repair`: damaged runs, replaced by their rows from the sources.

use crate::args::{Format, RepairArgs};
use crate::exit::Failure;
use crate::kafka_properties::kafka_properties;
use crate::opening::open_existing;
use crate::output::{self, printable};
use gridtrail_ingest::{Lost, RepairSettings, Repaired, repair};
use gridtrail_kafka::KafkaSettings;
use serde::Serialize;
use std::io;

pub(crate) async fn run(args: &RepairArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let kafka = match &args.kafka {
        None => None,
        Some(bootstrap) => {
            let properties = kafka_properties(args.kafka_config.as_deref(), &args.kafka_settings)?;
            // Partitions are named, so no group is ever joined.
            let group = "gridtrail-repair".to_owned();
            Some(KafkaSettings { bootstrap: bootstrap.clone(), group, topics: Vec::new(), properties })
        }
    };
    let settings = RepairSettings {
        paths: args.from.clone(),
        kafka,
        recorded_at: args.recorded_at,
        dry: args.dry_run,
        accept_loss: args.accept_loss,
    };
    let runs: Vec<RunRow> = repair(&lake, &settings).await?.into_iter().map(RunRow::of).collect();
    let open = runs.iter().filter(|run| run.rows.is_none()).count() as u64;
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &runs)?,
        Format::Table => output::write(&mut out, text_of(&runs, args.dry_run).as_bytes())?,
    }
    if open == 0 { Ok(()) } else { Err(Failure::Unproven { faults: open }) }
}

/// What became of a damaged run. The fields are an interface.
#[derive(Debug, Serialize)]
struct RunRow {
    path: String,
    why: String,
    rows_before: u64,
    /// Ranges of sources that were looked for.
    ranges: u64,
    /// Rows of the run that took its place; left out where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    /// What cannot be read again.
    lost: Vec<LostRow>,
}

#[derive(Debug, Serialize)]
struct LostRow {
    source: String,
    name: String,
    from: i64,
    to: i64,
    records: u64,
    why: String,
}

impl RunRow {
    fn of(Repaired { path, why, rows_before, ranges, lost, rows }: Repaired) -> Self {
        let lost = lost.into_iter().map(|Lost { source, name, from, to, records, why }| LostRow {
            source,
            name,
            from,
            to,
            records,
            why,
        });
        Self { path, why, rows_before, ranges, rows, lost: lost.collect() }
    }
}

fn text_of(runs: &[RunRow], dry: bool) -> String {
    if runs.is_empty() {
        return "no run is damaged\n".to_owned();
    }
    let mut text = String::new();
    for RunRow { path, why, rows_before, ranges, rows, lost } in runs {
        let became = match rows {
            Some(rows) => format!("replaced by {rows} rows out of {ranges} ranges of sources"),
            None if !lost.is_empty() => {
                "it stays, since not all that may have gone into it can be read again".to_owned()
            }
            None if dry => format!("it can be replaced, out of {ranges} ranges of sources"),
            None => "it stays".to_owned(),
        };
        text.push_str(&format!("{} ({rows_before} rows): {why}; {became}\n", printable(path)));
        for LostRow { name, source, from, to, records, why } in lost {
            let (name, source, why) = (printable(name), printable(source), printable(why));
            text.push_str(&format!("  {records} records of {name}, {from} to {to} ({source}): {why}\n"));
        }
    }
    text
}
