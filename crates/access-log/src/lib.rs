//! The access log: who asked for what, whence, and how many rows they were shown, in chains of hashes.
//!
//! 1. [`AccessLog`] takes an [`Entry`] for each call. [`AccessLog::note`] waits for nothing, [`AccessLog::write`] until the entry is
//!    on record, and [`AccessLog::refuse`] takes what nobody was admitted for, however much of it there is.
//! 2. Once a second a task makes [`Row`]s of them, a [`Chain`] of its own for each process, and has a [`LogStore`] keep them.
//! 3. [`Audit`] reads all rows again, in order of time, and says in [`Fault`]s what was changed, removed or added since.
//!
//! **Invariant:** every row's hash covers all of its fields and the hash of the row before it.
//! **Invariant:** memory is bounded, and what cannot be noted is not answered.
//! **Invariant:** no token, no secret and nothing of an authorising officer is in an entry.

mod audit;
mod chain;
mod committer;
mod entry;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod limits;
mod log;
mod refusals;
mod row;
mod store;

pub use audit::{Audit, ChainEnd, Fault, Findings, Grounds, Witnesses};
pub use chain::{Chain, Ended, Gone, Head, Started, Trimmed};
pub use entry::{Entry, RowKind};
pub use error::LogError;
pub use limits::{CLOSE_LIFE, HEADS_MAX, SKEW_MS};
pub use log::{AccessLog, Committing, Slot};
pub use row::Row;
pub use store::{LogStore, StoreFailed};
