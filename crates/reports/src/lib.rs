//! The standard reports of the Self-Service Interface (UC_Reports_001): what each is, what may be asked of it, and how it is written down.
//!
//! A report is a folder of `schemas/reports`: a manifest and a statement of SQL. [`Catalogue::built_in`] reads them all, [`Report::arguments`]
//! checks what somebody asks for, [`Order::run`] carries the statement out under the row filter of the searches, and [`Output`] writes
//! what comes as CSV, JSON, Parquet, a workbook or a page. [`OutputFile`] makes a file of it that is whole or not there.
//!
//! **Invariant:** rows come from a [`SecuredSession`](gridtrail_sql::SecuredSession) of reports and from nowhere else; what a caller gives is bound as a
//! value and never becomes text of a statement.
//! **Invariant:** every output says whose rows it has, of which report and version, asked how, complete up to when, made when, and how many.
//! **Invariant:** rows are never cut: what a format cannot hold is an error.
//!
//! Sources: Smart Energy Code Appendix AH, clauses 1.5.1 and 1.10.8. The DCC's own lists of columns are not public; these are ours.

mod about;
mod argument;
mod asked;
mod catalogue;
mod cell;
mod docs;
mod error;
mod file;
mod manifest;
mod output;
mod parameter;
mod report;
mod run;
mod statement;
mod uk;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_reports;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use about::{About, Freshness};
pub use argument::{ArgumentError, Arguments};
pub use arrow::array::RecordBatch;
pub use asked::Asked;
pub use catalogue::Catalogue;
pub use cell::{Cell, cells_of};
pub use docs::page_of;
pub use error::ReportError;
pub use file::{FileError, OutputFile, ReceivedFile};
pub use manifest::{ManifestError, ManifestFault};
pub use output::{Output, OutputError, OutputFormat, guarded};
pub use parameter::{Parameter, ParameterKind};
pub use report::{AnswerFile, Change, Chart, ChartKind, Column, ColumnKind, Period, Report, SortKey};
pub use run::{Order, ReportRows};
