//! Arrow Flight SQL over secured sessions: what a message of the protocol asks, and its answer for one caller.
//!
//! [`FlightSql::question`] and [`FlightSql::question_of_ticket`] read what is asked, [`FlightSql::describe`] says what the answer will be,
//! and [`FlightSql::rows`] gives it, as messages of bounded size. [`FlightSql::act`] does what the protocol calls actions: preparing a
//! statement, cancelling one. Whoever calls has admitted the caller: each of these takes the [`Access`](gridtrail_access::Access) of now, or
//! an [`Asker`].
//!
//! Nothing is kept of a statement between two calls but values that were put for its parameters, what a prepared one gives, and whether it
//! was cancelled. Tickets and handles hold the statement itself, sealed for their caller and their rights, until a time; the session that
//! answers is made anew each time.
//!
//! This crate knows no tokens, no statuses, no access log and no connections.

mod actions;
mod answer;
mod columns;
mod command;
mod error;
mod info;
mod limits;
mod metadata;
mod options;
mod parameters;
mod question;
mod statement;
mod types;

pub use actions::{Deed, actions};
pub use answer::{Ends, Rows, Sheet};
pub use error::FlightError;
pub use gridtrail_sql::{Freshened, Recording, Rights, Spill, SqlError, SqlLimits};
pub use limits::{MESSAGE_BYTES_MAX, PUT_BYTES_MAX, TICKET_LIFE_MS};
pub use metadata::Metadata;
pub use parameters::Put;
pub use question::{Asker, FlightSql, Question, Served};
pub use statement::{Described, Statement};
