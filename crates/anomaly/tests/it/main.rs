//! Anomaly detection as others use it: the laws of merging, what follows from events step by step, and answers held against an oracle.

mod answer;
mod check;
mod laws;
mod oracle;
mod quarantine;
mod thresholds;
mod world;

use gridtrail_model::Timestamp;

/// So many hours after midnight of 1 March 2026.
pub(crate) fn at(hours: i64) -> Timestamp {
    "2026-03-01".parse::<Timestamp>().unwrap().plus_millis(hours * 3_600_000)
}
