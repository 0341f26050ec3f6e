//! How many rows a statement has read, by whose they are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the rows that the scans of a statement hand to the engine.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    of_others: AtomicU64,
}

impl Passed {
    /// So many more rows of other Users, whose rows the caller does not see otherwise.
    pub(crate) fn add_of_others(&self, rows: usize) {
        self.of_others.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn of_others(&self) -> u64 {
        self.of_others.load(Ordering::Relaxed)
    }
}
