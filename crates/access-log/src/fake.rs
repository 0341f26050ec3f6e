//! A store in memory, which fails where a test says so.

use crate::{Head, LogStore, Row, StoreFailed};
use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// How a store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happens.
    Refused,
    /// The rows are kept, and the answer is lost.
    AnswerLost,
}

#[derive(Debug, Default)]
struct Kept {
    rows: Vec<Row>,
    commits: u64,
    /// What becomes of the next commits; `None`: it goes well.
    failures: VecDeque<Option<Failure>>,
    refuses: bool,
}

/// Keeps rows in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Arc<Mutex<Kept>>);

impl MemoryLog {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows, as they came.
    pub fn rows(&self) -> Vec<Row> {
        self.kept().rows.clone()
    }

    /// How many commits there were.
    pub fn commits(&self) -> u64 {
        self.kept().commits
    }

    /// What becomes of the next commits.
    pub fn fail(&self, failures: impl IntoIterator<Item = Option<Failure>>) {
        self.kept().failures.extend(failures);
    }

    /// Refuses every commit, or no longer does.
    pub fn refuse(&self, refuses: bool) {
        self.kept().refuses = refuses;
    }

    /// The last row of each chain, by the count that a table keeps beside them.
    pub fn counted(&self) -> BTreeMap<uuid::Uuid, u64> {
        self.kept().rows.iter().map(|row| (row.chain, row.seq)).collect()
    }
}

#[async_trait]
impl LogStore for MemoryLog {
    async fn heads(&mut self) -> Result<Vec<Head>, StoreFailed> {
        let heads: BTreeMap<_, Head> =
            self.kept().rows.iter().map(|row| (row.chain, Head::of(row))).collect();
        Ok(heads.into_values().collect())
    }

    async fn append(&mut self, rows: &[Row]) -> Result<(), StoreFailed> {
        let mut kept = self.kept();
        let failure = kept.failures.pop_front().flatten();
        if kept.refuses || failure == Some(Failure::Refused) {
            return Err(StoreFailed::new("refused"));
        }
        if !rows.first().is_some_and(|first| kept.rows.contains(first)) {
            kept.rows.extend_from_slice(rows);
            kept.commits += 1;
        }
        failure.map_or(Ok(()), |_| Err(StoreFailed::new("the answer was lost")))
    }
}
