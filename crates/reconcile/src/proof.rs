//! The proof: the audit, held against the lake as it stands.

use crate::audit::{Audit, digest};
use crate::fault::{Fault, FaultKind, ReconcileError};
use gridtrail_lake::{Expired, Lake, SkipReason, SourceEvidence, Spans};
use std::collections::BTreeMap;

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceProof {
    /// The source and partition, as in the evidence.
    pub source: String,
    /// The name that a person knows, as the newest evidence has it.
    pub name: String,
    /// Where it is read next: every position below is accounted for, unless a fault says otherwise.
    pub to: i64,
    /// Pieces of evidence that read any position.
    pub ranges: u64,
    /// Records read.
    pub records: u64,
    /// Records that went into trails.
    pub stored: u64,
    /// Records that waited for their request when they came.
    pub parked: u64,
    /// Records that told nothing that others of their batch had not told.
    pub duplicates: u64,
    /// Records that could not be read when they came.
    pub dead_lettered: u64,
    /// Those of them that were replayed since.
    pub replayed: u64,
    /// Those of them that were dismissed since.
    pub dismissed: u64,
    /// Positions that hold no record to read, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// What a person must know of.
    pub events: Vec<String>,
    /// How it compares with the topic as it is now, where it was compared.
    pub compared: Option<Compared>,
}

/// How the evidence of a partition compares with its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    /// Ranges whose records hash to what was read.
    pub same: u64,
    /// Ranges whose records the topic's retention has deleted since, in whole or in part, or that went with their topic.
    pub gone: u64,
    /// Ranges of a compacted topic that lost records to its compaction since.
    pub thinned: u64,
    /// Ranges that differ.
    pub different: u64,
}

impl SourceProof {
    pub(crate) fn of(e: &SourceEvidence) -> Self {
        Self { source: e.source.clone(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, e: &SourceEvidence) {
        self.name.clone_from(&e.name);
        self.to = self.to.max(e.to);
        self.ranges += u64::from(e.from < e.to);
        self.records += e.records;
        self.stored += e.stored;
        self.parked += e.parked;
        self.duplicates += e.duplicates;
        self.dead_lettered += e.dead_lettered;
        for skip in &e.skipped {
            *self.skipped.entry(skip.why).or_default() += skip.len();
        }
        self.events.extend(e.event.clone());
    }
}

/// What retention took away from a month in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredMonth {
    /// The version of the commit.
    pub version: u64,
    /// The month, as `2026-03`.
    pub month: String,
    /// When, by the clock of who did it, milliseconds since the epoch.
    pub at_ms: i64,
    /// What went, and what stayed.
    pub expired: Expired,
}

/// What a lake's evidence comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// The version of the main table up to which it was read.
    pub version: u64,
    /// Commits that carry evidence.
    pub commits: u64,
    /// Every source, by its id.
    pub sources: Vec<SourceProof>,
    /// Dead letters in their table whose records were read otherwise in the end: those of batches that came to nothing.
    pub letters_superseded: u64,
    /// What retention took away, oldest first.
    pub expired: Vec<ExpiredMonth>,
    /// Offsets that the topics held when they were looked at and the lake had not read, by topic and partition.
    pub unread: BTreeMap<String, u64>,
    /// Files that the logs of all tables name.
    pub files: u64,
    /// What does not add up, the first thousand.
    pub faults: Vec<Fault>,
    /// How much does not.
    pub fault_count: u64,
}

impl Proof {
    /// Whether everything adds up.
    pub fn is_clean(&self) -> bool {
        self.fault_count == 0
    }
}

/// Proves what became of every position of every source, from the evidence and the lake as it stands. The lake may be
/// written to meanwhile.
///
/// Cost: all evidence, all dead letters, and one listing of each table's files. Errors: `Lake`.
pub async fn reconcile(lake: &Lake) -> Result<Proof, ReconcileError> {
    conclude(lake, Audit::default()).await.map(|(proof, _)| proof)
}

/// The proof, and the audit that it was made from.
pub(crate) async fn conclude(lake: &Lake, mut audit: Audit) -> Result<(Proof, Audit), ReconcileError> {
    // What is read after the evidence holds at least what the evidence says: writers go on meanwhile.
    let end = lake.evidence(|commit| audit.take(&commit)).await?;
    let mut log = BTreeMap::new();
    let versions =
        lake.copied_evidence(end.version, |commit| log.extend([(commit.version, digest(&commit))])).await?;
    audit.compare(versions, &log);
    audit.judge_retention(lake.clock().now());
    check_positions(&mut audit, &end.positions);
    let letters_superseded = check_letters(&mut audit, lake).await?;
    let files = check_files(&mut audit, lake).await?;
    let proof = Proof {
        version: end.version,
        commits: audit.commits,
        sources: audit.sources.values().cloned().collect(),
        letters_superseded,
        expired: audit.expired.clone(),
        unread: BTreeMap::new(),
        files,
        faults: audit.faults.clone(),
        fault_count: audit.fault_count,
    };
    Ok((proof, audit))
}

/// The table is where its evidence is, of every source and of no other.
fn check_positions(audit: &mut Audit, positions: &BTreeMap<String, i64>) {
    let mut faults = Vec::new();
    for (source, at) in positions {
        match audit.sources.get(source).map(|proof| proof.to) {
            Some(to) if to == *at => {}
            Some(to) => faults.push((source, format!("the lake is at {at}, and its evidence at {to}"))),
            None => {
                faults.push((source, format!("the lake is at {at}, and no evidence says how it came there")))
            }
        }
    }
    let without: Vec<String> =
        audit.sources.keys().filter(|source| !positions.contains_key(*source)).cloned().collect();
    for (source, what) in faults {
        audit.fault(FaultKind::Position, source, None, what);
    }
    for source in without {
        audit.fault(FaultKind::Position, &source, None, "the lake has no position of it".to_owned());
    }
}

/// Every letter that the evidence names is there. Returns how many others are.
async fn check_letters(audit: &mut Audit, lake: &Lake) -> Result<u64, ReconcileError> {
    let mut there: BTreeMap<String, Spans> = BTreeMap::new();
    let mut superseded = 0;
    let mut letters = lake.dead_letters().await?;
    while let Some(file) = letters.next().await? {
        for letter in file {
            let read = audit.sources.get(&letter.source).is_some_and(|proof| letter.position < proof.to);
            superseded += u64::from(read && audit.fates.of(&letter.source, letter.position).is_none());
            there.entry(letter.source).or_default().insert(letter.position);
        }
    }
    let mut missing = Vec::new();
    for (source, put_aside, _) in audit.fates.sources() {
        let absent = there.get(source).map_or_else(|| put_aside.clone(), |there| put_aside.without(there));
        let absent = absent.without(&audit.fates.expired(source));
        if !absent.is_empty() {
            missing.push((source.to_owned(), absent));
        }
    }
    for (source, absent) in missing {
        let what = format!("{} dead letters are not in their table, at {absent}", absent.len());
        audit.fault(FaultKind::LetterMissing, &source, None, what);
    }
    Ok(superseded)
}

/// Every file that a log names is there. Returns how many they are.
async fn check_files(audit: &mut Audit, lake: &Lake) -> Result<u64, ReconcileError> {
    let files = lake.named_files().await?;
    for file in files.iter().filter(|file| file.found != Some(file.size)) {
        let what = match file.found {
            None => format!("{} is named and not there", file.path),
            Some(found) => format!("{} has {found} bytes, and is said to have {}", file.path, file.size),
        };
        audit.fault(FaultKind::FileMissing, "", None, what);
    }
    Ok(files.len() as u64)
}
