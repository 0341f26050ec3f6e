//! Up to when a partition was complete, at some times of the last half hour of its commits: what a trend is read from.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How far back the marks reach: long enough that a few slow commits are no trend, short against the hours between levels of freshness.
pub const MARKS_WINDOW_MS: i64 = 30 * 60_000;

/// How far apart they are at least.
pub const MARKS_STEP_MS: i64 = 60_000;

/// Times and marks, both in milliseconds since the epoch, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(VecDeque<(i64, i64)>);

impl Marks {
    /// The mark at a time. Times ascend.
    pub fn push(&mut self, at_ms: i64, complete_ms: i64) {
        if self.0.back().is_some_and(|(last, _)| at_ms - last < MARKS_STEP_MS) {
            return;
        }
        self.0.push_back((at_ms, complete_ms));
        // One from before the window stays, so that the marks always span it.
        while self.0.get(1).is_some_and(|(second, _)| *second <= at_ms - MARKS_WINDOW_MS) {
            self.0.pop_front();
        }
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }

    /// Takes in those of later commits.
    pub(crate) fn absorb(&mut self, later: &Self) {
        later.iter().for_each(|(at, complete)| self.push(at, complete));
    }
}
