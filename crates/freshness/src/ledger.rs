//! The ledger: the evidence of commits, folded into what a report needs and no more.

use crate::level::{Level, Levels};
use gridtrail_lake::{Commit, Delay, EvidenceSummary, OpenLetters};
use gridtrail_model::Timestamp;

/// Folded evidence, and the levels that it is judged by.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) levels: Levels,
    pub(crate) evidence: EvidenceSummary,
}

impl Ledger {
    /// An empty one. What is late is late by these levels.
    pub fn new(levels: Levels) -> Self {
        Self { levels, evidence: EvidenceSummary::default() }
    }

    /// The version up to which evidence was taken in.
    pub fn version(&self) -> Option<u64> {
        self.evidence.last
    }

    /// There is no evidence up to this version but what was taken in.
    pub fn reached(&mut self, version: u64) {
        self.evidence.last = self.evidence.last.max(Some(version));
    }

    /// Takes in the evidence of a commit, and gives how long its records took; see [`EvidenceSummary::take`].
    pub fn take(&mut self, commit: &Commit, seen: Option<Timestamp>) -> Vec<Delay> {
        self.evidence.take(commit, seen)
    }

    /// Takes in what the evidence of the commits that follow comes to.
    pub fn absorb(&mut self, later: EvidenceSummary) {
        self.evidence.absorb(later);
    }
}

/// How bad it is that dead letters are open, beside their age. An event of access that names nobody may be a rescission of any pair, which nothing
/// suspends; of one that names somebody the pairs are suspended, which somebody will miss.
pub(crate) fn level_of(letters: &OpenLetters) -> Option<Level> {
    match (letters.naming_nobody.is_empty(), letters.suspending.is_empty()) {
        (false, _) => Some(Level::Breach),
        (true, false) => Some(Level::Critical),
        (true, true) => None,
    }
}
