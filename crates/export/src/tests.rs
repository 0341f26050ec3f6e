//! A copy has what a scan of the version that it is of gives, each row once, whatever happened in between.

mod crashed;
mod equal;
mod for_a_party;
mod inventory;
mod world;
