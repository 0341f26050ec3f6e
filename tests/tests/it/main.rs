//! Tests of the whole system, in one binary: linking is slow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod access;
mod access_crash;
mod access_log;
mod access_world;
mod attacks;
mod circles;
mod compaction;
mod crash;
mod duis_names;
mod encryption;
mod end_to_end;
mod freshness;
mod guides;
mod hubs;
mod incidents;
mod inventory;
mod kafka;
mod layers;
mod maintenance;
mod opening;
mod report_jobs_crash;
mod reports;
mod support;
