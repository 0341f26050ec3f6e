//! Sessions over lakes in memory: of generated regions, and of a few rows by hand.

mod equal;
mod groups;
mod leaks;
mod limits;
mod random;
mod refused;
mod spilled;
mod statements;
mod tables;
pub(crate) mod world;
