//! The codec as others use it: real and synthetic messages, round trips, hostile bytes.

mod access;
mod anomaly;
mod defaults;
mod duis_inventory;
mod duis_schedules;
mod fuzz;
mod inventory;
mod random;
mod round_trip;
mod samples;
mod schema;
mod support;
mod synthetic;
mod traps;

/// Says what a test did not do. Past the test runner, which shows no output of a test that passes.
fn skipped(what: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("skipped: {what}\n").as_bytes()).unwrap();
}
