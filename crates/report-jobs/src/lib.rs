//! Reports by a timetable: which report for whom and when ([`Schedule`]), who makes it ([`Worker`]), and what became of it ([`Journal`]).
//!
//! A *delivery* is the report of one job, of one period, for one User. Any number of workers share them by creating objects and by nothing else. A
//! lease keeps two from doing the same work; what a delivery comes to is decided by one object, created once (`decided`), which names the
//! files and their sums. The files lie aside by then, and whoever comes next gives them their names, however often the one before was killed.
//!
//! **Invariant:** of a delivery there is one decision, and the files that readers see are those that it names, whole.
//! **Invariant:** a report is made under a declared Access of one User, evaluated when it is made and again before its files get their names.
//! **Invariant:** what is due depends on the schedule alone, and not on when workers run.

mod board;
mod delivery;
mod destination;
mod error;
mod history;
mod journal;
mod key;
mod lease;
mod limits;
mod making;
mod schedule;
mod timetable;
mod worker;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_report_jobs;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use board::Waiting;
pub use error::JobError;
pub use history::{Past, PastState};
pub use journal::{FOLDER, FileSum, Journal};
pub use key::DeliveryKey;
pub use making::MakingLimits;
pub use schedule::{Job, Known, Schedule, ScheduleError};
pub use worker::{Outcome, OutcomeKind, Step, Worker};
