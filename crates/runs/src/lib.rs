//! The run machinery: what is the same for every table, whatever its rows are.
//!
//! A table is what its [`Definition`] says. [`Table`] opens one, follows its Delta log entry by entry, and commits to it: files
//! that were uploaded, and positions that move with them. [`RunWriter`] and [`Encoded`] write files of sorted rows, with the checksums of
//! their pages; [`RunCache`] keeps parts of them, and [`Page`] reads one in place. [`Merge`] merges files by the rule of their table,
//! [`gather`](gather::gather) makes small ones fewer, [`vacuum`] deletes what no version needs.
//!
//! A table is compacted by size, which is gathering alone, or by levels and buckets: [`plan`](plan::plan) says what is due,
//! [`carry_out`] does it by the table's [`LevelRule`], and a [`RunIndex`] says by a key which runs a look-up touches.
//!
//! [`lookup`](run::lookup) finds the pages of a run that can hold a key, a [`Sheet`] holds some columns of them, decoded, and [`Touching`] goes
//! through many runs from the newest down.
//!
//! Invariants: **I3** a source position and the rows it produced are committed together or not at all; nothing that was not
//! written by gridtrail, or is not whole, is answered from.
//!
//! This crate knows Delta and Parquet, and no domain: no Device, no User, no fragment. Times are milliseconds since the epoch.

mod definition;
mod delta;
mod error;
#[cfg(test)]
mod example;
mod format;
mod keep;
mod limits;
mod pages;
mod run;

pub use definition::Definition;
pub use delta::checksum;
pub use delta::commit::{Changes, EVIDENCE, Move, NewFile, commit_info};
pub use delta::location::Location;
pub use delta::log::entry::{EntryFiles, new_rows};
pub use delta::log::{FileChanges, Log, Stop, TableFile};
pub use delta::table::Table;
pub use delta::windows::Windows;
pub use error::{RunsError, is_denied};
pub use keep::vacuum::{TableVacuumed, orphans, vacuum};
pub use keep::verify_files::{FaultKind, FileFault, FileRead, TableRead, verify_file};
pub use limits::{
    ENCODE_ROWS, FLUSH_AGE_MS, FLUSH_ROWS, FOLD_RUNS, GATHER_RUNS, IDLE_MONTH_MS, LOG_READS_AT_ONCE,
    PAGE_ROWS, RUNS_AT_ONCE,
};
pub use pages::cache::{HitsAndMisses, OpenRun, Part, PartName, Requests, RunCache, StoreUse};
pub use pages::chunk::{Chunk, Coded, NO_VALUE, Texts, Wanted, is_among};
pub use pages::dictionary::Dictionary;
pub use pages::levels::varint;
pub use pages::note::{GatherNote, Note, NoteKind};
pub use pages::page::{Beside, Page, try_partition_point};
pub use pages::sheet::{Plan, Sheet};
pub use pages::sums::PageSums;
pub use pages::writer::{Encoded, PagedWriter};
pub use run::bucket::{self, Bucket};
pub use run::compact::{CompactionSettings, LevelRule, Made, Pace, Rows, carry_out, passes};
pub use run::copy::copy;
pub use run::gather;
pub use run::index::{Run, RunFacts, RunIndex, since};
pub use run::keyed::{ByKey, KeyedRun, KeyedSummary};
pub use run::keyed_file::{KeyedFile, KeyedFiles};
pub use run::list::{FileList, Listed};
pub use run::lookup::{self, Seeks};
pub use run::merge::{Kept, Merge, MergeKey, MergeRule, Scan};
pub use run::plan::{self, Job, Kind};
pub use run::touched::Touching;
pub use run::writer::{RunWriter, Summary};
