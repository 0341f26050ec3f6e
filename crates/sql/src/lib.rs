//! SQL for analysts, under the row filter of the searches.
//!
//! [`SecuredSession::new`] is the one door: over a pinned snapshot, for an [`Access`](gridtrail_access::Access), within
//! [`SqlLimits`]. [`SecuredSession::query`] answers one statement; [`SecuredSession::prepare`] plans one whose values come later, and
//! [`SecuredSession::tables`] says what there is to ask.
//!
//! A session that is [`recorded`](SecuredSession::recorded) leaves a row in the access log for each statement, and one that knows the
//! [`Rights`] of its caller ends what runs when those are lost.
//!
//! What keeps a session from what it may not see, from below:
//!
//! 1. Rows come from [`Snapshot::scan`](gridtrail_lake::Snapshot::scan), which decodes no row that a search would not show (invariant I4).
//!    No expression of a query is ever evaluated on another, so no error, cast or division can tell of one.
//! 2. A table's scan is an opaque node. It tells no statistics and no metrics, so that no count or minimum is answered from what files say;
//!    the conditions that it takes in (`pushdown`) are compared in this crate with what rows lie under, and stand above it as well.
//! 3. A session has the tables that its roles allow, and no others: the rest is as unknown as what does not exist (`catalogue`).
//! 4. Statements, nodes of plans, expressions and functions are admitted by lists of what is allowed (`admission`); what a later version of
//!    the engine adds is refused until somebody has looked at it.
//! 5. Nothing is shared between sessions: each has its own state, memory and tables, and none outlives its [`Access`].
//!
//! This crate knows no gRPC and no terminal, and of files those alone that a statement puts what does not fit into (`spill`). Nothing else of the workspace knows the engine (DataFusion).
//!
//! [`Access`]: gridtrail_access::Access

mod admission;
mod answer;
mod apart;
mod asking;
mod catalogue;
mod columns;
mod comments;
mod elsewhere;
mod error;
mod functions;
mod groups;
mod growth;
mod keys;
mod lengths;
mod limits;
mod listed;
mod parameters;
mod passed;
mod past;
mod pool;
mod prepared;
mod printed;
mod pushdown;
mod record;
mod rights;
mod scan;
mod scanned;
mod script;
mod session;
mod sorted_groups;
mod spill;
mod state;
mod statement;
mod stop;
mod table;
mod tables;
mod weight;
mod yielding;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_sql;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use answer::SqlAnswer;
pub use arrow::array::RecordBatch;
pub use arrow::datatypes::SchemaRef;
pub use catalogue::{CATALOGUE, SCHEMA};
pub use elsewhere::{Lakes, PlanBytes, PlanCodec};
pub use error::{SqlError, SqlErrorKind};
pub use functions::{aggregate_functions, scalar_functions, window_functions};
pub use limits::{STACK_BYTES, STATEMENT_BYTES_MAX, SqlLimits};
pub use prepared::Prepared;
pub use printed::{ParquetFile, cells_of, json_of, names_of};
pub use record::Recording;
pub use rights::Rights;
pub use script::statements_of;
pub use session::SecuredSession;
pub use spill::Spill;
pub use table::TableInfo;
pub use tables::freshness::Freshened;
pub use tables::inventory::InventoryTable;
