//! The lake: an LSM of Parquet runs, committed by Delta Lake.
//!
//! [`Lake::open`] is the one door: [`Writer`] commits batches of fragments with the source positions they came
//! from, [`Snapshot`] answers look-ups by key for an `Access`, [`SharingReader`] follows who shares with whom, [`Appender`]
//! keeps the record of calls, [`Maintenance`] keeps house.
//!
//! Invariants: **I2** a run is sorted by `(anchor, placement time, trail key)`; **I3** a source position and the rows
//! it produced are committed together or not at all; **I4** a row leaves only through an `Access`.
//!
//! Its tables stand on the crate of runs, which knows Delta and Parquet and no domain. Nothing here assumes local files.

mod access_events;
mod access_log;
mod anchor;
mod as_of;
mod bits;
mod bucket;
mod closing;
mod compaction;
mod dead_letters;
mod decode;
mod encode;
mod error;
mod evidence;
mod evidence_log;
mod evidence_summary;
mod evidence_table;
mod history_bytes;
mod holds;
mod index;
mod intact;
mod inventory;
mod kept;
mod keyed;
mod lake;
mod limits;
mod lookup;
mod maintenance;
mod marks;
mod month;
mod named_rows;
mod nearby;
mod one_row;
mod openness;
mod packed;
mod pairs;
mod parked;
mod place;
mod rebucket;
mod repair;
mod resolve;
mod retention;
mod rewrite;
mod rules;
mod run;
mod scan;
mod schema;
mod sheet;
mod side_files;
mod sight;
mod snapshot;
mod source_key;
mod spans;
mod status;
mod stopped;
mod streams;
mod tables;
mod touched;
mod unite;
mod upgrade;
mod vacuum;
mod verify;
mod viewers;
mod writer;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_lake;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use access_events::SharingReader;
pub use access_log::{Appender, LogReader};
pub use as_of::{AsOf, BadAsOf};
pub use compaction::{Compacted, CompactionSettings};
pub use dead_letters::{DeadLetter, Extent, Fate, Fates, LetterReader};
pub use error::{LakeError, LakeErrorKind};
pub use evidence::{CommitKind, Expired, OpenTransaction, Skip, SkipReason, SourceEvidence};
pub use evidence_log::{Commit, Evidence, EvidenceEnd, EvidencePart};
pub use evidence_summary::{Delay, EvidenceSummary, OpenLetters, PartitionState, SourceDay, SourceTotals};
pub use gridtrail_runs::{HitsAndMisses, RunsError, StoreUse, TableVacuumed, Windows, is_denied};
pub use holds::{Hold, HoldChange, HoldScope, PlacedHold};
pub use intact::DamagedFile;
pub use lake::{Lake, LakeCounts, LakeSettings, NamedFile};
pub use limits::{BUCKETS_MAX, DAYS_KEPT};
pub use maintenance::{Maintenance, Swept, has_waited};
pub use marks::{MARKS_STEP_MS, MARKS_WINDOW_MS, Marks};
pub use month::{BadMonth, Month};
pub use repair::{CommitRead, DamagedRun, Replaced, Reread};
pub use resolve::OnRecord;
pub use retention::{MonthRetained, RETENTION_MONTHS_DEFAULT, RETENTION_MONTHS_MIN, Retained};
pub use run::SortedFragments;
pub use sight::{Anchors, Elsewhere};
pub use snapshot::{Cost, Found, KeyQuery, RowPosition, Snapshot, SnapshotVersion, View, Waiting};
pub use source_key::SourceKey;
pub use spans::{BadSpans, Spans};
pub use status::{Expiring, LakeStatus, MonthStatus, TableStatus};
pub use stopped::StoppedAt;
pub use streams::{Partition, Stream};
pub use tables::names as table_names;
pub use unite::United;
pub use upgrade::{TableUpgraded, Upgraded};
pub use verify::{Damage, DamageKind, TableVerified, Verified, VerifySettings};
pub use writer::{Batch, Writer};
