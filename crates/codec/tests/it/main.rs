//! The codec as others use it: real and synthetic messages, round trips, hostile bytes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and tell what they skipped"
)]

mod fuzz;
mod random;
mod round_trip;
mod samples;
mod schema;
mod support;
mod synthetic;
mod traps;
