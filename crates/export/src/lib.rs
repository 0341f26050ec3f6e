//! An open copy of a lake: Delta tables of one row a trail, and of the inventory, in plain columns, for engines that cannot read packed rows.
//!
//! [`Copy::open`], then [`Copy::bring_up_to`] a snapshot as often as there is a newer one, and [`Copy::gather`] and [`Copy::vacuum`] beside.
//! What is copied, and for whom, is said by an [`Access`](gridtrail_access::Access): rows leave the lake by its scans and look-ups alone (I4).
//!
//! 1. **What changed** between the version that a copy is of and a newer one is told by the lake's logs (`Lake::row_changes`) and by what
//!    waits for its request (`Snapshot::rows_that_wait`). Those rows are looked up; where they are many, a month is scanned.
//! 2. **What goes**: a row is known by its identity and the time that it is filed under. Of a row that changed, each time that one of its
//!    fragments claims is a time that it may have been filed under. Files that have it there are written anew without it.
//! 3. **One commit** takes those files away, adds the new ones, and moves the version of the lake that the copy is of. A copy that was cut short
//!    is at the version before it, and goes on from there.
//!
//! Files lie by month, and within it by time: what is new changes, and lies together. Tables of the inventory have a row for each Device that there
//! is, as it is at an instant, and lie by Device (`inventory`). The tables are made by the crate of runs, so they
//! have the checksums, checkpoints and refusals of the lake's own.

mod brought;
mod changed;
mod columns;
mod copy;
mod data;
mod error;
mod gathered;
mod identity;
mod inventory;
mod limits;
mod scanned;
mod tables;

#[cfg(test)]
mod tests;

pub use brought::Copied;
pub use copy::{Copy, Purpose};
pub use error::{ExportError, ExportErrorKind};
pub use gathered::Gathered;
pub use gridtrail_runs::{Location, TableVacuumed};
pub use tables::CopiedTable;
