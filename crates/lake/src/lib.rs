//! The lake: an LSM of Parquet runs, committed by Delta Lake.
//!
//! [`Lake::open`] is the one door: [`Writer`] commits batches of fragments with the source positions they came
//! from, [`Snapshot`] answers look-ups by key for an `Access`, [`SharingReader`] follows who shares with whom, [`Appender`]
//! keeps the record of calls, [`Maintenance`] keeps house.
//!
//! Invariants: **I2** a run is sorted by `(anchor, placement time, trail key)`; **I3** a source position and the rows
//! it produced are committed together or not at all; **I4** a row leaves only through an `Access`.
//!
//! Its rooms use each other in one direction: `rows`, what fragments are as rows of runs; `tables`, one file each and the list of all; `read`,
//! for an `Access`; `lake`, which opens it; `past`, how it was and its evidence; `write`, with evidence; `keep`, housekeeping.
//!
//! Its tables stand on the crate of runs, which knows Delta and Parquet and no domain. Nothing here assumes local files.

mod commit_evidence;
mod error;
mod evidence;
mod keep;
mod kept_for;
mod lake;
mod limits;
mod marks;
mod month;
mod past;
mod place;
mod read;
mod rows;
mod site;
mod source_key;
mod spans;
mod stopped;
mod streams;
mod tables;
mod write;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_lake;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use commit_evidence::{Commit, Evidence};
pub use error::{LakeError, LakeErrorKind};
pub use evidence::{CommitKind, Expired, OpenTransaction, Skip, SkipReason, SourceEvidence};
pub use gridtrail_runs::{HitsAndMisses, RunsError, StoreUse, TableVacuumed, Windows, is_denied};
pub use keep::compaction::{Compacted, CompactionSettings};
pub use keep::maintenance::Maintenance;
pub use keep::placing::PlacedHold;
pub use keep::repair::{CommitRead, CommitTimes, DamagedRun, Replaced, Reread};
pub use keep::repair_inventory::DamagedInventory;
pub use keep::repair_side::DamagedSide;
pub use keep::retention::{Expiring, Retained};
pub use keep::status::{LakeStatus, MonthStatus, TableStatus};
pub use keep::sweep::{Swept, has_waited};
pub use keep::unite::United;
pub use keep::upgrade::{TableUpgraded, Upgraded};
pub use keep::verify::{Damage, DamageKind, TableVerified, Verified, VerifySettings};
pub use kept_for::{MonthRetained, RETENTION_MONTHS_DEFAULT, RETENTION_MONTHS_MIN};
pub use lake::{Lake, LakeCounts, LakeSettings, NamedFile};
pub use limits::{BUCKETS_MAX, DAYS_KEPT};
pub use marks::{MARKS_STEP_MS, MARKS_WINDOW_MS, Marks};
pub use month::{BadMonth, Month};
pub use past::as_of::{AsOf, BadAsOf};
pub use past::changes::RowChanges;
pub use past::evidence_log::{EvidenceEnd, EvidencePart};
pub use past::inventory_changes::{InventoryChanges, InventorySpan};
pub use past::letters::{LetterFilter, Letters};
pub use read::anomaly::RefusedAnswers;
pub use read::columns::{Columns, ScanColumns};
pub use read::command::HubCommand;
pub use read::condition::{Condition, Is};
pub use read::fields::{TrailField, UTC};
pub use read::hub::{DEVICES_BEHIND_MAX, Hub, HubFound, LAST_COMMANDS};
pub use read::inventory_devices::InventoryDevices;
pub use read::inventory_pass::Passing;
pub use read::query::{Cost, Counts, Found, KeyQuery, RowPosition, View};
pub use read::resolve::OnRecord;
pub use read::rows::{ScanPart, ScanQuery, ScanRows};
pub use read::schedules::SCHEDULE_ROWS_READ;
pub use read::sight::{Anchors, Elsewhere};
pub use read::snapshot::{Snapshot, SnapshotVersion, Waiting};
pub use read::touched::{TouchedKeys, TouchedRows, WaitingRows};
pub use rows::run::SortedFragments;
pub use site::DamagedFile;
pub use source_key::SourceKey;
pub use spans::{BadSpans, Spans};
pub use stopped::StoppedAt;
pub use streams::{Partition, Stream};
pub use tables::access_events::SharingReader;
pub use tables::access_log::{Appender, CallsFrom, LogReader, OwnCalls};
pub use tables::dead_letters::{DeadLetter, Extent, LetterReader};
pub use tables::evidence_summary::{
    Delay, EvidenceSummary, OpenLetters, PartitionState, SourceDay, SourceTotals,
};
pub use tables::fates::{Fate, Fates};
pub use tables::hold::{Hold, HoldChange, HoldScope};
pub use tables::registry::names as table_names;
pub use write::writer::{Batch, Writer};
