//! The inventory as others use it: the laws of merging, and answers held against an oracle over random worlds.

mod events;
mod laws;
mod oracle;
mod pending;
mod world;

use gridtrail_model::Timestamp;

/// A setting from the environment of the test run.
fn setting(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var_os(name).and_then(|value| value.to_string_lossy().parse().ok());
    set.unwrap_or(otherwise)
}

/// So many hours after midnight of 1 March 2026.
fn at(hours: i64) -> Timestamp {
    "2026-03-01".parse::<Timestamp>().unwrap().plus_millis(hours * 3_600_000)
}
