//! `gridtrail reconcile`: what became of every position of every source, as a table, as JSON and as a page.

mod page;

use crate::args::{Format, ReconcileArgs};
use crate::exit::Failure;
use crate::kafka_properties::kafka_properties;
use crate::opening::open_existing;
use crate::output::{self, count, count_of, printable, table_with};
use gridtrail_kafka::KafkaSettings;
use gridtrail_lake::Expired;
use gridtrail_model::Timestamp;
use gridtrail_reconcile::{Compared, ExpiredMonth, Fault, Proof, SourceProof, against_kafka, reconcile};
use gridtrail_runtime::Clock;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

pub(crate) async fn run(args: &ReconcileArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.lake).await?;
    let proof = match &args.against_kafka {
        None => reconcile(&lake).await?,
        Some(bootstrap) => {
            let properties = kafka_properties(args.kafka_config.as_deref(), &args.kafka_settings)?;
            let settings = KafkaSettings {
                bootstrap: bootstrap.clone(),
                // Partitions are named, so no group is ever joined.
                group: "gridtrail-reconcile".to_owned(),
                topics: Vec::new(),
                properties,
            };
            against_kafka(&lake, &settings).await?
        }
    };
    let answer = Answer::of(&args.lake, proof);
    if let Some(path) = &args.html {
        std::fs::write(path, page::html_of(&answer)).map_err(Failure::file("write", path))?;
    }
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &answer)?,
        Format::Table => output::write(&mut out, text_of(&answer).as_bytes())?,
    }
    if answer.clean { Ok(()) } else { Err(Failure::Unproven { faults: answer.fault_count }) }
}

/// The proof as programs read it. The fields are an interface.
#[derive(Debug, Serialize)]
struct Answer {
    /// When it was made.
    at: String,
    lake: String,
    /// The version of the main table up to which it holds.
    version: u64,
    /// Whether everything adds up.
    clean: bool,
    /// Commits that carry evidence.
    commits: u64,
    sources: Vec<SourceRow>,
    /// Files that the logs name.
    files: u64,
    /// Offsets that the topics held and the lake had not read, by topic and partition.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unread: BTreeMap<String, u64>,
    /// Dead letters of batches that came to nothing, whose records were read otherwise in the end.
    letters_superseded: u64,
    /// What retention took away, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retention: Vec<ExpiredRow>,
    fault_count: u64,
    /// The first thousand.
    faults: Vec<FaultRow>,
}

/// What retention took away from a month in one commit.
#[derive(Debug, Serialize)]
struct ExpiredRow {
    version: u64,
    month: String,
    at: String,
    files: u64,
    rows_dropped: u64,
    rows_kept: u64,
    rows_held: u64,
}

/// A source.
#[derive(Debug, Serialize)]
struct SourceRow {
    source: String,
    name: String,
    /// Every position below this one is accounted for.
    to: i64,
    ranges: u64,
    records: u64,
    stored: u64,
    parked: u64,
    duplicates: u64,
    dead_lettered: u64,
    replayed: u64,
    dismissed: u64,
    skipped: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against_kafka: Option<ComparedRow>,
}

/// Ranges, by how they compare with the topic as it is now.
#[derive(Debug, Serialize)]
struct ComparedRow {
    same: u64,
    /// Deleted by the topic's retention since.
    gone: u64,
    /// Thinned out by the topic's compaction since.
    thinned: u64,
    different: u64,
}

/// Something that does not add up.
#[derive(Debug, Serialize)]
struct FaultRow {
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    what: String,
}

impl Answer {
    fn of(lake: &str, proof: Proof) -> Self {
        Self {
            at: Clock::system().now().to_string(),
            lake: lake.to_owned(),
            version: proof.version,
            clean: proof.is_clean(),
            commits: proof.commits,
            sources: proof.sources.into_iter().map(SourceRow::of).collect(),
            files: proof.files,
            unread: proof.unread,
            letters_superseded: proof.letters_superseded,
            retention: proof.expired.into_iter().map(ExpiredRow::of).collect(),
            fault_count: proof.fault_count,
            faults: proof.faults.into_iter().map(FaultRow::of).collect(),
        }
    }
}

impl SourceRow {
    fn of(proof: SourceProof) -> Self {
        let compared =
            |Compared { same, gone, thinned, different }| ComparedRow { same, gone, thinned, different };
        Self {
            source: proof.source,
            name: proof.name,
            to: proof.to,
            ranges: proof.ranges,
            records: proof.records,
            stored: proof.stored,
            parked: proof.parked,
            duplicates: proof.duplicates,
            dead_lettered: proof.dead_lettered,
            replayed: proof.replayed,
            dismissed: proof.dismissed,
            skipped: proof.skipped.into_iter().map(|(why, count)| (why.name(), count)).collect(),
            events: proof.events,
            against_kafka: proof.compared.map(compared),
        }
    }

    /// Positions without a record, by reason.
    fn skipped_text(&self) -> String {
        let each: Vec<_> = self.skipped.iter().map(|(why, count)| format!("{count} {why}")).collect();
        each.join(", ")
    }

    fn compared_text(&self) -> String {
        let Some(ComparedRow { same, gone, thinned, different }) = self.against_kafka else {
            return String::new();
        };
        let each = [(same, "the same"), (gone, "gone"), (thinned, "thinned"), (different, "different")];
        let each: Vec<_> =
            each.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        each.join(", ")
    }
}

impl ExpiredRow {
    fn of(ExpiredMonth { version, month, at_ms, expired }: ExpiredMonth) -> Self {
        let Expired { files, rows_dropped, rows_kept, rows_held } = expired;
        let at = Timestamp::from_millis(at_ms).map(|at| at.to_string()).unwrap_or_default();
        Self { version, month, at, files, rows_dropped, rows_kept, rows_held }
    }
}

impl FaultRow {
    fn of(Fault { kind, source, version, what }: Fault) -> Self {
        Self { kind: kind.name(), source, version, what }
    }
}

/// The verdict, in a sentence.
fn verdict(answer: &Answer) -> String {
    let positions = [
        count_of(answer.sources.len(), "source"),
        count(answer.commits, "commit"),
        count(answer.files, "file"),
    ]
    .join(", ");
    let unread: u64 = answer.unread.values().sum();
    match answer.fault_count {
        0 if unread > 0 => format!(
            "clean up to where the lake is, at version {} ({positions}): {unread} offsets of the topics are not in it yet",
            answer.version
        ),
        0 => format!("clean: every position is accounted for, at version {} ({positions})", answer.version),
        1 => format!("1 thing does not add up, at version {} ({positions})", answer.version),
        n => format!("{n} things do not add up, at version {} ({positions})", answer.version),
    }
}

fn text_of(answer: &Answer) -> String {
    let compared = answer.sources.iter().any(|source| source.against_kafka.is_some());
    let mut header = vec![
        "Source",
        "Up to",
        "Records",
        "Stored",
        "Parked",
        "Duplicates",
        "Dead letters",
        "Replayed",
        "Dismissed",
        "Skipped",
    ];
    header.extend(compared.then_some("Against Kafka"));
    let mut table = table_with(&header);
    for source in &answer.sources {
        let mut cells = vec![printable(&source.name), source.to.to_string()];
        cells.extend(
            [
                source.records,
                source.stored,
                source.parked,
                source.duplicates,
                source.dead_lettered,
                source.replayed,
                source.dismissed,
            ]
            .map(|count| count.to_string()),
        );
        cells.push(source.skipped_text());
        cells.extend(compared.then(|| source.compared_text()));
        table.add_row(cells);
    }
    let mut text = if answer.sources.is_empty() { String::new() } else { format!("{table}\n") };
    for source in &answer.sources {
        for event in &source.events {
            text.push_str(&format!("Note: {}: {}\n", printable(&source.name), printable(event)));
        }
    }
    for (partition, offsets) in &answer.unread {
        text.push_str(&format!("Note: {}: {offsets} offsets are not read yet\n", printable(partition)));
    }
    for ExpiredRow { version, month, at, rows_dropped, rows_kept, .. } in &answer.retention {
        text.push_str(&format!(
            "Note: retention took {} of {} at {at}, version {version}; {rows_kept} stayed\n",
            count(*rows_dropped, "row"),
            printable(month)
        ));
    }
    for fault in &answer.faults {
        text.push_str(&format!("{}\n", printable(&fault_text(fault))));
    }
    let rest = answer.fault_count - answer.faults.len() as u64;
    if rest > 0 {
        text.push_str(&format!("and {rest} more\n"));
    }
    text.push_str(&verdict(answer));
    text.push('\n');
    text
}

/// A fault on one line.
fn fault_text(fault: &FaultRow) -> String {
    let version = fault.version.map(|version| format!(" of version {version}")).unwrap_or_default();
    let source = if fault.source.is_empty() { String::new() } else { format!(" {}", fault.source) };
    format!("{}{source}{version}: {}", fault.kind, fault.what)
}
