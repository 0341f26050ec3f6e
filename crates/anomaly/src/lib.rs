//! Threshold anomaly detection: the thresholds that Users and the DCC set, and what became of the communications that were quarantined.
//!
//! An [`AnomalyEvent`] tells one fact about one User, with the time when it was so and the time when the DCC had it. An [`AnomalyFragment`] is
//! what is known of a User: a set of such events, whose merge is a union, so that order, repeats and batch borders never matter (**I1**, as
//! for trails). [`AnomalyFragment::known_at`] gives an [`AnomalyView`]: what was known at a time; a view answers what was so at any other:
//! the thresholds in force ([`AnomalyView::thresholds_at`]), the Thresholds Files and what became of them, and the communications that a report
//! may show ([`AnomalyView::reported`]). [`flagged`] holds volumes against the thresholds in force.
//!
//! An [`AnomalyRow`] is what one event says under one key, as a table of the lake holds it: sorted by key, merged by dropping equals.
//!
//! This crate knows no input or output, no clock, no async and no storage format. Whatever depends on the time is told the time.
//!
//! Source: Smart Energy Code Appendix AA (Threshold Anomaly Detection Procedures), "AA" here, clauses 2 to 4; DUIS schema 5.4,
//! `QuarantinedRequest`.

mod answer;
mod check;
mod event;
mod fragment;
pub mod limits;
mod packing;
mod quarantine;
mod reference;
mod row;
mod thresholds;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_anomaly;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use answer::{ActionFile, Faults, is_validated_late, reason};
pub use check::{Flagged, Volumes, flagged};
pub use event::{
    Action, ActionsAccepted, ActionsRefused, Advice, AnomalyEvent, AnomalyFact, AnomalyStatement,
    ArchiveOpened, Breach, Exceeded, FileName, Origin, Quarantined, Scope, Settlement, Threshold,
    ThresholdKind, ThresholdsFile,
};
pub use fragment::{AnomalyFragment, AnomalyView};
pub use packing::AnomalyRowKind;
pub use quarantine::{Answer, QuarantineState, QuarantinedCommunication};
pub use reference::{FileHash, Period, QuarantineEventRef, Reason, Reference};
pub use row::{AnomalyKey, AnomalyRow, AnomalyRowError, goes_at, merge_rows, rows_of};
pub use thresholds::{FileState, FileStatus, InForce, Stretch};
