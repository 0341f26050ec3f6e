//! Evidence: what one commit read of each source, and what became of every position of it.

use crate::spans::Spans;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a batch read of one source and partition.
///
/// Every position from `from` up to `to` ended in exactly one place, so for a topic
/// `to - from = records + skipped`, and for every source `records = stored + parked + dead_lettered`. In a file a
/// position is a byte and a record has many, so there only the second holds. A duplicate is stored or parked like the record
/// that it repeats, and changes nothing there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEvidence {
    /// The source and partition: `file:<SHA-256 of the content>` or `kafka:<cluster id>:<topic id>:<partition>`; or
    /// `letters:` and one of those, for a commit that settles dead letters of it and reads no new position.
    pub source: String,
    /// A name that a person knows: the file's path, or `<topic>/<partition>`.
    pub name: String,
    /// Whether the lake knew nothing of the source before.
    pub first: bool,
    /// Where the batch starts: byte of a file, offset of a partition.
    pub from: i64,
    /// Where the next batch starts.
    pub to: i64,
    /// Records read.
    pub records: u64,
    /// Records that went into trails, or among the events of access.
    pub stored: u64,
    /// Records that wait for their request.
    pub parked: u64,
    /// Where those stand.
    pub parked_at: Spans,
    /// Records that told nothing that others of this batch had not told. What repeats a record of another batch changes as
    /// little, and is not counted: to know of it would cost a look-up a record.
    #[serde(default, skip_serializing_if = "is_none")]
    pub duplicates: u64,
    /// Where those stand.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub duplicates_at: Spans,
    /// Records that could not be read.
    pub dead_lettered: u64,
    /// Where those stand.
    pub dead_lettered_at: Spans,
    /// Of events of access: those of them that may have ended what was granted. What they name is suspended until they are settled.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub suspending_at: Spans,
    /// Likewise, those of which nothing says whom they name.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub naming_nobody_at: Spans,
    /// Positions that hold no record to read, each with the reason.
    pub skipped: Vec<Skip>,
    /// Of `letters:` alone: where the dead letters stand that were read again, and could be.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub replayed_at: Spans,
    /// Of `letters:` alone: where the dead letters stand that a person declared to be no events, for the reason in `event`.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub dismissed_at: Spans,
    /// Of `letters:` alone: where the dead letters stand that retention took out of their table, all of them settled before.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub expired_at: Spans,
    /// SHA-256 over the raw records, in hexadecimal. Of a file: the bytes from `from` to `to`. Of a partition: every
    /// record in turn, as its offset (8 bytes), its length (4 bytes, all ones for none), both big-endian, and its
    /// bytes.
    pub sha256: String,
    /// Smallest `recorded_at`, milliseconds since the epoch.
    pub recorded_min_ms: Option<i64>,
    /// Largest `recorded_at`, milliseconds since the epoch.
    pub recorded_max_ms: Option<i64>,
    /// Mean `recorded_at`, milliseconds since the epoch. The time from it to `committed_at_ms` is the mean lag.
    pub recorded_mean_ms: Option<i64>,
    /// Records whose `recorded_at` was in the future when they were read. They are kept, and never advance
    /// `complete_up_to_ms`.
    pub future: u64,
    /// Whether the source was read to its end.
    pub finished: bool,
    /// The source's end when it was last asked for, where it has one that moves: behind the last record that there is, be it
    /// readable or not.
    pub end: Option<i64>,
    /// Where reading is held back, of a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_transaction: Option<OpenTransaction>,
    /// Everything that the source held at this time, milliseconds since the epoch, is in the lake with this commit.
    pub complete_up_to_ms: Option<i64>,
    /// When the commit was made, by the writer's clock, milliseconds since the epoch. The writer sets it.
    pub committed_at_ms: i64,
    /// Of retention alone: what went from the month in `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Expired>,
    /// What a person must know of, such as a topic that was deleted and created again.
    pub event: Option<String>,
    /// SHA-256 over all of the above. The writer sets it.
    pub seal: String,
}

/// A count of nothing is not written: evidence of earlier versions had no such count, and its seals must hold.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A transaction that is not decided, the oldest of its partition: no committed reader sees its records, or any behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenTransaction {
    /// The last stable offset: its first record's.
    pub last_stable: i64,
    /// The time of that record, milliseconds since the epoch, where it could be learned.
    pub record_ms: Option<i64>,
    /// Whether that is when the broker appended it; else it is what the producer says.
    pub appended: bool,
}

/// What retention took away from a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expired {
    /// Files that were taken away.
    pub files: u64,
    /// Rows that went. Where no row stayed, fragments: the files were not read.
    pub rows_dropped: u64,
    /// Rows that stayed, since their latest message is younger than three months, or a legal hold keeps them.
    pub rows_kept: u64,
    /// Those of them that only a legal hold keeps.
    pub rows_held: u64,
}

/// A stretch of positions without a record to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The first position.
    pub from: i64,
    /// The position behind the last.
    pub to: i64,
    /// Why nothing is there.
    pub why: SkipReason,
}

/// Why positions hold no record to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// The source passed over them: compacted away, a transaction's marker, or a transaction that was aborted.
    NotDelivered,
    /// The source deleted them before they were read: its retention was shorter than the ingest was behind.
    Lost,
    /// The source deleted them before anyone read it for the first time.
    BeforeFirstRead,
    /// Records without a value, by which a compacted topic forgets a key. They tell of no event, and undo none.
    Tombstone,
}

impl SkipReason {
    /// The word for it in the evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotDelivered => "not-delivered",
            Self::Lost => "lost",
            Self::BeforeFirstRead => "before-first-read",
            Self::Tombstone => "tombstone",
        }
    }
}

impl Skip {
    /// How many positions.
    pub fn len(&self) -> u64 {
        u64::try_from(self.to - self.from).unwrap_or(0)
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

/// What a commit was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommitKind {
    /// Records of sources were read.
    #[default]
    Ingest,
    /// What waited for its request was joined to it.
    Sweep,
    /// Dead letters were read again.
    Replay,
    /// Dead letters were declared to be no events.
    Dismissal,
    /// What is older than it must be kept went.
    Retention,
    /// Rows of a damaged run were taken anew from their sources.
    Repair,
}

impl CommitKind {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Ingest, "ingest"),
        (Self::Sweep, "sweep"),
        (Self::Replay, "replay"),
        (Self::Dismissal, "dismissal"),
        (Self::Retention, "retention"),
        (Self::Repair, "repair"),
    ];

    /// The word for it in the evidence.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of this name. `None`: there is no such kind, so the evidence was changed, or is of a later version.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// What the sources of settled dead letters begin with.
const LETTERS: &str = "letters:";
/// What stands for the source of a damaged run's rows.
const REPAIR: &str = "repair:";

impl SourceEvidence {
    /// Evidence about dead letters of a source.
    pub fn of_letters(source: &str, name: &str) -> Self {
        Self { source: format!("{LETTERS}{source}"), name: name.to_owned(), ..Self::default() }
    }

    /// Evidence about what retention took away from a month, sealed.
    pub(crate) fn of_retention(month: &str, expired: Expired, committed_at_ms: i64) -> Self {
        let source = format!("retention:{month}");
        let expired = Some(expired);
        let mut evidence =
            Self { source, name: month.to_owned(), expired, committed_at_ms, ..Self::default() };
        evidence.seal = evidence.sealed_by();
        evidence
    }

    /// Evidence about a damaged run that was replaced, sealed.
    pub(crate) fn of_repair(path: &str, told: String, committed_at_ms: i64) -> Self {
        let (source, event) = (format!("{REPAIR}{path}"), Some(told));
        let mut evidence = Self { source, name: path.to_owned(), event, committed_at_ms, ..Self::default() };
        evidence.seal = evidence.sealed_by();
        evidence
    }

    /// The damaged run that was replaced, where this is about such: nothing else was read, and no position moved.
    pub fn repaired(&self) -> Option<&str> {
        self.source.strip_prefix(REPAIR)
    }

    /// The source whose dead letters this is about, where it is about such.
    pub fn letters_of(&self) -> Option<&str> {
        self.source.strip_prefix(LETTERS)
    }

    /// The records that the source gave: those that were read, and those without a value, which its hash covers as well.
    pub fn given(&self) -> u64 {
        let tombstones = self.skipped.iter().filter(|skip| skip.why == SkipReason::Tombstone);
        self.records + tombstones.map(Skip::len).sum::<u64>()
    }

    /// The positions that were skipped.
    pub fn skipped_count(&self) -> u64 {
        self.skipped.iter().map(Skip::len).sum()
    }

    /// The seal that belongs to everything else in it.
    pub fn sealed_by(&self) -> String {
        let bare = Self { seal: String::new(), ..self.clone() };
        // Strings, numbers and lists of them: writing those as JSON cannot fail.
        sha256(&serde_json::to_vec(&bare).unwrap_or_default())
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
