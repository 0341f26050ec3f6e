//! The audit: evidence, commit by commit, folded into what each source comes to.
//!
//! Memory: a few numbers a source, 16 bytes a commit, and the positions of dead letters. The ranges themselves are kept only of the sources that
//! are to be held against their topic, at 64 bytes each.

use crate::fault::{Fault, FaultKind};
use crate::proof::{ExpiredMonth, SourceProof};
use gridtrail_lake::{
    Commit, CommitKind, Evidence, Fate, Fates, Month, RETENTION_MONTHS_MIN, Skip, SourceEvidence,
};
use gridtrail_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops;

/// Faults that are kept one by one. Any more are counted: whoever reads so many has read enough.
const FAULTS_KEPT: usize = 1_000;

/// How far a clock may be ahead of the one that judges, in milliseconds.
const SKEW_MS: i64 = 5 * 60 * 1000;

/// What one commit read of a source, for holding it against the source itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) version: u64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Records that the topic gave, those without a value among them.
    pub(crate) records: u64,
    pub(crate) sha256: String,
}

/// Folds evidence.
#[derive(Debug, Default)]
pub struct Audit {
    pub(crate) sources: BTreeMap<String, SourceProof>,
    pub(crate) fates: Fates,
    pub(crate) commits: u64,
    pub(crate) expired: Vec<ExpiredMonth>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) fault_count: u64,
    /// The kind and the seals of each commit, hashed, to hold copies against each other.
    seen: BTreeMap<u64, u64>,
    /// From which position on the ranges of a source are kept.
    keep_from: BTreeMap<String, i64>,
    pub(crate) ranges: BTreeMap<String, Vec<Range>>,
}

impl Audit {
    /// An audit that also keeps what is needed to hold some sources against themselves, each from a position on.
    pub(crate) fn keeping(keep_from: BTreeMap<String, i64>) -> Self {
        Self { keep_from, ..Self::default() }
    }

    /// Takes in the evidence of a commit. Commits come oldest first.
    pub fn take(&mut self, commit: &Commit) {
        self.commits += 1;
        let version = commit.version;
        self.seen.insert(version, digest(commit));
        if CommitKind::named(&commit.kind).is_none() {
            let what = format!("its kind is {:?}, which no commit has", commit.kind);
            self.fault(FaultKind::BrokenEvidence, "", Some(version), what);
        }
        for evidence in &commit.sources {
            match evidence {
                Evidence::Broken(text) => {
                    let text: String = text.chars().take(200).collect();
                    let what = format!("it was changed since it was written: {text}");
                    self.fault(FaultKind::BrokenEvidence, "", Some(version), what);
                }
                Evidence::Whole(evidence) if evidence.expired.is_some() => {
                    self.take_expired(version, evidence)
                }
                Evidence::Whole(evidence) if evidence.letters_of().is_some() => {
                    self.take_letters(version, evidence);
                }
                // Such a commit reads no new position, and its rows are those that other commits read.
                Evidence::Whole(evidence) if evidence.repaired().is_some() => {}
                Evidence::Whole(evidence) => self.take_range(version, evidence),
            }
        }
        self.fates.take(commit);
    }

    /// Holds what the log says of the commits of some versions against what was taken in of them.
    pub(crate) fn compare(&mut self, versions: ops::Range<u64>, log: &BTreeMap<u64, u64>) {
        let copied: BTreeMap<u64, u64> = self.seen.range(versions).map(|(v, digest)| (*v, *digest)).collect();
        let both: BTreeSet<u64> = copied.keys().chain(log.keys()).copied().collect();
        for version in both.into_iter().filter(|version| copied.get(version) != log.get(version)) {
            let what = match (copied.get(&version), log.get(&version)) {
                (Some(_), Some(_)) => "the log and the table of commits say different things of it",
                (None, _) => "the log has evidence of it, and the table of commits has none",
                (_, None) => "the table of commits has evidence of it, and the log has none",
            };
            self.fault(FaultKind::BrokenEvidence, "", Some(version), what.to_owned());
        }
    }

    /// What does not add up so far, the first thousand.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(crate) fn fault(&mut self, kind: FaultKind, source: &str, version: Option<u64>, what: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(Fault { kind, source: source.to_owned(), version, what });
        }
    }

    /// Evidence of retention: it reads nothing, and says what went.
    fn take_expired(&mut self, version: u64, e: &SourceEvidence) {
        let Some(expired) = e.expired else { return };
        self.expired.push(ExpiredMonth { version, month: e.name.clone(), at_ms: e.committed_at_ms, expired });
    }

    /// Holds what retention is said to have taken against the clock of whoever audits: evidence says of its own time what it likes.
    pub fn judge_retention(&mut self, now: Timestamp) {
        // The clock of whoever took it may have been ahead.
        let latest = now.plus_millis(SKEW_MS);
        let first_kept = Month::of(latest).minus(RETENTION_MONTHS_MIN);
        for ExpiredMonth { version, month, at_ms, .. } in self.expired.clone() {
            let is_old = month.parse::<Month>().is_ok_and(|month| month < first_kept);
            if !is_old || at_ms > latest.millis() {
                let what = format!("retention is said to have taken {month}, which was not old enough");
                self.fault(FaultKind::TooSoon, "", Some(version), what);
            }
        }
    }

    /// Evidence that settles dead letters: there must have been such letters.
    fn take_letters(&mut self, version: u64, e: &SourceEvidence) {
        let Some(source) = e.letters_of() else { return };
        let mut settled = e.replayed_at.clone();
        settled.insert_all(&e.dismissed_at);
        let stray: Vec<_> =
            settled.iter().filter(|position| self.fates.of(source, *position).is_none()).take(3).collect();
        if !stray.is_empty() {
            let what = format!("it settles dead letters that were never put aside, such as {stray:?}");
            self.fault(FaultKind::Places, source, Some(version), what);
        }
        let open = |position: &i64| matches!(self.fates.of(source, *position), None | Some(Fate::Open));
        let open: Vec<_> = e.expired_at.iter().filter(open).take(3).collect();
        if !open.is_empty() {
            let what = format!("retention took dead letters that nobody had settled, such as {open:?}");
            self.fault(FaultKind::Places, source, Some(version), what);
        }
        let found = e.replayed_at.len() + e.dismissed_at.len();
        if e.records != e.replayed_at.len() || e.records != e.stored + e.parked || found != settled.len() {
            let what = format!(
                "it settles {found} dead letters, and says {} records, {} stored and {} parked",
                e.records, e.stored, e.parked
            );
            self.fault(FaultKind::Counts, source, Some(version), what);
        }
        if let Some(proof) = self.sources.get_mut(source) {
            proof.replayed += e.replayed_at.len();
            proof.dismissed += e.dismissed_at.len();
        }
    }

    fn take_range(&mut self, version: u64, e: &SourceEvidence) {
        let source = e.source.as_str();
        let known = self.sources.get(source).map(|proof| proof.to);
        let next = known.unwrap_or(0);
        let said = (e.from, e.to, next);
        if known.is_some() == e.first {
            let what =
                if e.first { "it is said to be the first, and is not" } else { "the first is missing" };
            let kind = if e.first { FaultKind::Overlap } else { FaultKind::Gap };
            self.fault(kind, source, Some(version), format!("{what}: {} to {}", said.0, said.1));
        }
        if e.from > next {
            let what = format!("nothing says what became of {next} to {}", e.from);
            self.fault(FaultKind::Gap, source, Some(version), what);
        } else if e.from < next {
            let what = format!("{} to {} were read before", e.from, e.to.min(next));
            self.fault(FaultKind::Overlap, source, Some(version), what);
        }
        for what in contradictions(e) {
            self.fault(FaultKind::Counts, source, Some(version), what);
        }
        for what in misplaced(e) {
            self.fault(FaultKind::Places, source, Some(version), what);
        }
        if self.keep_from.get(source).is_some_and(|from| e.from >= *from && e.from < e.to) {
            self.ranges.entry(source.to_owned()).or_default().push(Range {
                version,
                from: e.from,
                to: e.to,
                records: e.given(),
                sha256: e.sha256.clone(),
            });
        }
        self.sources.entry(source.to_owned()).or_insert_with(|| SourceProof::of(e)).add(e);
    }
}

/// What a commit says, in short: its kind and the seal of each piece, or the text of a broken one.
pub(crate) fn digest(commit: &Commit) -> u64 {
    let mut hasher = DefaultHasher::new();
    commit.kind.hash(&mut hasher);
    for evidence in &commit.sources {
        match evidence {
            Evidence::Whole(evidence) => evidence.seal.hash(&mut hasher),
            Evidence::Broken(text) => text.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Whether positions of this source are one a record. In files they are bytes.
fn counts_positions(e: &SourceEvidence) -> bool {
    e.source.starts_with("kafka:")
}

/// Counts that contradict each other.
fn contradictions(e: &SourceEvidence) -> Vec<String> {
    let mut found = Vec::new();
    let places = e.stored + e.parked + e.dead_lettered;
    if e.records != places {
        found.push(format!("{} records were read, and {places} ended somewhere", e.records));
    }
    if e.duplicates > e.stored + e.parked {
        found.push(format!("{} duplicates are more than all that was stored or parked", e.duplicates));
    }
    let positions = e.to.checked_sub(e.from).and_then(|n| u64::try_from(n).ok());
    let covered = e.records + e.skipped_count();
    match positions {
        None => found.push(format!("it ends at {}, before it starts at {}", e.to, e.from)),
        Some(positions) if counts_positions(e) && positions != covered => found.push(format!(
            "{} to {} are {positions} positions, and {covered} are records or skipped",
            e.from, e.to
        )),
        Some(_) => {}
    }
    for (count, at, name) in [
        (e.parked, &e.parked_at, "parked"),
        (e.duplicates, &e.duplicates_at, "duplicates"),
        (e.dead_lettered, &e.dead_lettered_at, "dead-lettered"),
    ] {
        if count != at.len() {
            found.push(format!("{count} records were {name}, and it names {} positions of such", at.len()));
        }
    }
    found
}

/// Positions that lie outside of the range, or are said to have ended in two places.
fn misplaced(e: &SourceEvidence) -> Vec<String> {
    let mut taken: Vec<(i64, i64, &str)> = Vec::new();
    let ranges = |at: &gridtrail_lake::Spans, name| -> Vec<(i64, i64, &'static str)> {
        at.ranges().iter().map(|(first, last)| (*first, last.saturating_add(1), name)).collect()
    };
    taken.extend(ranges(&e.parked_at, "parked"));
    taken.extend(ranges(&e.dead_lettered_at, "dead-lettered"));
    taken.extend(e.skipped.iter().map(|Skip { from, to, .. }| (*from, *to, "skipped")));
    taken.sort_unstable();
    let mut found = Vec::new();
    let duplicates = ranges(&e.duplicates_at, "duplicates");
    let outside = |(from, to, _): &&(i64, i64, &str)| *from < e.from || *to > e.to || from >= to;
    for (from, to, name) in taken.iter().chain(&duplicates).filter(outside) {
        found.push(format!("{from} to {to} were {name}, in a range of {} to {}", e.from, e.to));
    }
    for pair in taken.windows(2).filter(|pair| pair[1].0 < pair[0].1) {
        found.push(format!("{} was {} and {}", pair[1].0, pair[0].2, pair[1].2));
    }
    // A duplicate is stored or parked like any record, and so may share a place with what was parked.
    if e.duplicates_at.without(&e.dead_lettered_at) != e.duplicates_at {
        found.push("a record that could not be read is said to be a duplicate".to_owned());
    }
    found
}
