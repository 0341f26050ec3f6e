//! Workers over lakes in memory, with destinations on disk and in memory, whose stores fail, stop for ever, or have rights change under them.

mod faults;
mod kills;
mod rights;
mod shared;
mod stores;
mod world;
