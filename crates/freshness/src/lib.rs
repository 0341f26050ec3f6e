//! How fresh the lake is, as data: what the reader's own snapshot holds, against what the sources held.
//!
//! [`Ledger`] folds the evidence of commits, [`Ledger::report`] says what it comes to at a time: a row a source, a
//! row a partition beneath it, a row a day and source. [`Watch`] does so for a process that answers searches, and
//! times when each version came into its sight. [`Levels`] turn a lag into a [`Level`].
//!
//! **I5: no statement is better than the truth.** What is not known counts as the worst: a partition that was never
//! complete is at [`Level::Breach`], and so is a lake that says nothing of any source. A count that the evidence does
//! not give is stated as its two bounds.
//!
//! "Complete up to T" means: what the source held before T is in this process's snapshot, or is a dead letter that
//! stands in this report, or is a gap that does. It says nothing of what a producer has not handed to the source
//! yet. Times are those of the clocks that stated them; a clock that is wrong by some minutes makes the statement wrong
//! by as much. `tests/it/truth.rs` holds both against a simulated world.
//!
//! Left out on purpose: rows. Nothing here sees an event, a User or a Device.

mod ledger;
mod level;
mod limits;
mod outward;
mod report;
mod trend;
mod watch;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_freshness;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use gridtrail_lake::{DAYS_KEPT, Delay, SourceKey};
pub use ledger::Ledger;
pub use level::{Level, Levels, LevelsError};
pub use outward::Outward;
pub use report::{DayReport, Inputs, PartitionReport, Report, SourceReport, WaitingReport, day_text};
pub use watch::{Freshness, Watch};
