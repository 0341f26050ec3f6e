//! The lake against real Delta tables: in memory, and in a folder where the test is about files.

mod access_log;
mod access_only;
pub(crate) mod anomaly;
mod as_of;
mod columns;
pub(crate) mod compaction;
mod exactly_once;
pub(crate) mod faults;
mod flips;
pub(crate) mod formats;
mod freshness;
mod hub;
mod inventory;
mod logs;
mod lookup;
mod one_row;
mod openness;
mod parked;
mod rebucket;
mod retention;
mod scan;
mod side_tables;
mod soak;
mod vacuum;
mod verify;
mod watermarks;
pub(crate) mod world;
