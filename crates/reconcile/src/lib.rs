//! What became of every position of every source, proved from the evidence of the lake's commits.
//!
//! [`Audit`] folds the evidence; [`reconcile`] holds it against the lake as it stands, and [`against_kafka`] against the
//! topics themselves. Each thing that does not add up is a [`Fault`]; a [`Proof`] without any is clean.
//!
//! What a clean proof says of a source, up to the position at which the lake is:
//! 1. the ranges of the commits follow each other from the start without a gap or an overlap;
//! 2. in each, every position is a record that was stored, parked or dead-lettered, or a declared skip, and in one of
//!    those places only; of a file, whose positions are bytes, every record is;
//! 3. every dead letter is in its table, and every file that a log names is in the store;
//! 4. no evidence was changed since it was written;
//! 5. held against Kafka: the topic's records hash to what each range hashed to when it was read, and no transaction hides
//!    what the topic holds beyond; what is not read yet is counted.
//!
//! Left out on purpose: rows. That a stored record is found by a search is what the tests with a truth prove.

mod against;
mod audit;
mod fault;
mod proof;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_reconcile;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use against::against_kafka;
pub use audit::Audit;
pub use fault::{Fault, FaultKind, ReconcileError};
pub use proof::{Compared, ExpiredMonth, Proof, SourceProof, reconcile};
