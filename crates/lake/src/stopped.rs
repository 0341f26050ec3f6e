//! Where a lake is not read on: an entry of a log that is not ours, or damaged.

use gridtrail_runs::{Stop, Table};

/// An entry of a log that is not answered from, nor anything that lies behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedAt {
    /// The table.
    pub table: &'static str,
    /// The version that is answered from: the one before the entry.
    pub version: u64,
    /// The entry, by its path from the root of the store.
    pub entry: String,
    /// Whether another engine wrote it; otherwise it is damaged, or missing.
    pub foreign: bool,
    /// What is wrong with it.
    pub why: String,
}

impl StoppedAt {
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let (foreign, entry, why) = match table.stop()?.clone() {
            Stop::NotOurs { path, what } => (true, path, what),
            Stop::Damaged { path, why } => (false, path, why),
        };
        Some(Self { table: table.name(), version: table.version(), entry, foreign, why })
    }

    /// What is so, without a path: for everybody.
    pub fn summary(&self) -> String {
        let Self { table, version, foreign, .. } = self;
        let what = if *foreign { "was not written by gridtrail" } else { "is damaged or missing" };
        format!(
            "the log entry of version {} of table {table} {what}; answers are those of version {version}",
            version + 1
        )
    }

    /// How to get rid of it.
    pub fn remedy(&self) -> String {
        let Self { version, entry, foreign, .. } = self;
        if *foreign {
            format!(
                "stop what writes to this table beside gridtrail; move {entry}, every later entry and every checkpoint of version {} or later \
                 out of its folder, with _last_checkpoint; gridtrail then goes on from version {version}, and `gridtrail lake verify` says \
                 whether all files of that version are still there",
                version + 1
            )
        } else {
            format!(
                "put {entry} back from a copy of the store; `gridtrail lake verify` says whether all is well then"
            )
        }
    }
}
