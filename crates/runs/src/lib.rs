//! The run machinery: what is the same for every table, whatever its rows are.
//!
//! A table is what its [`Definition`] says. [`Table`] opens one, follows its Delta log entry by entry, and commits to it: files
//! that were uploaded, and positions that move with them. [`PagedWriter`] writes a file with the checksums of its pages, and
//! [`Page`] reads one of them in place. Vacuum deletes what no version needs.
//!
//! Invariants: **I3** a source position and the rows it produced are committed together or not at all; nothing that was not
//! written by gridtrail, or is not whole, is answered from.
//!
//! This crate knows Delta and Parquet, and no domain: no Device, no User, no fragment. Times are milliseconds since the epoch.

mod definition;
mod delta;
mod error;
mod keep;
mod limits;
mod pages;

pub use definition::Definition;
pub use delta::checksum;
pub use delta::commit::{Changes, EVIDENCE, Move, NewFile, commit_info};
pub use delta::location::Location;
pub use delta::log::entry::new_rows;
pub use delta::log::{FileChanges, Log, Stop, TableFile};
pub use delta::table::Table;
pub use delta::windows::Windows;
pub use error::{RunsError, is_denied};
pub use keep::vacuum::{TableVacuumed, orphans, vacuum};
pub use limits::LOG_READS_AT_ONCE;
pub use pages::page::{Dictionary, Page, dictionary, halve};
pub use pages::sums::PageSums;
pub use pages::writer::{Encoded, PagedWriter};
