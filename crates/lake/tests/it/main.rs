//! The lake against real Delta tables: in memory, and in a folder where the test is about files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access_log;
mod access_only;
mod as_of;
mod compaction;
mod exactly_once;
mod faults;
mod first_format;
mod flips;
mod freshness;
mod logs;
mod lookup;
mod parked;
mod rebucket;
mod retention;
mod soak;
mod vacuum;
mod verify;
mod watermarks;
mod world;
