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
struct Contents {
    rows: Vec<Row>,
    commits: u64,
    /// What becomes of the next commits; `None`: it goes well.
    failures: VecDeque<Option<Failure>>,
    refuses: bool,
}

/// Keeps rows in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Arc<Mutex<Contents>>);

impl MemoryLog {
    fn contents(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows, as they came.
    pub fn rows(&self) -> Vec<Row> {
        self.contents().rows.clone()
    }

    /// How many commits there were.
    pub fn commits(&self) -> u64 {
        self.contents().commits
    }

    /// What becomes of the next commits.
    pub fn fail(&self, failures: impl IntoIterator<Item = Option<Failure>>) {
        self.contents().failures.extend(failures);
    }

    /// Refuses every commit, or no longer does.
    pub fn refuse(&self, refuses: bool) {
        self.contents().refuses = refuses;
    }

    /// The last row of each chain, by the count that a table keeps beside them.
    pub fn counted(&self) -> BTreeMap<uuid::Uuid, u64> {
        self.contents().rows.iter().map(|row| (row.chain, row.seq)).collect()
    }
}

#[async_trait]
impl LogStore for MemoryLog {
    async fn heads(&mut self) -> Result<Vec<Head>, StoreFailed> {
        let heads: BTreeMap<_, Head> =
            self.contents().rows.iter().map(|row| (row.chain, Head::of(row))).collect();
        Ok(heads.into_values().collect())
    }

    async fn append(&mut self, rows: &[Row]) -> Result<(), StoreFailed> {
        let mut contents = self.contents();
        let failure = contents.failures.pop_front().flatten();
        if contents.refuses || failure == Some(Failure::Refused) {
            return Err(StoreFailed::new("refused"));
        }
        if !rows.first().is_some_and(|first| contents.rows.contains(first)) {
            contents.rows.extend_from_slice(rows);
            contents.commits += 1;
        }
        failure.map_or(Ok(()), |_| Err(StoreFailed::new("the answer was lost")))
    }
}
