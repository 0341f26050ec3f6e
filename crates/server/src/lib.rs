//! The gRPC face of gridtrail: the query services of `proto/gridtrail/query/v1`, and Arrow Flight SQL.
//!
//! [`serve`] is the one door. Wire types end here: a request becomes a plain query (`request`), plain
//! rows become messages (`row`), and every error becomes a status in one place (`status`), which tells the
//! caller what to do and the log what went wrong. A call is admitted by its bearer token; logins, health and reflection
//! alone go without one. Each call leaves a row in the access log (`record`), of what left the process
//! (`outgoing`). No answer is larger than what clients take: it comes in pages.
//!
//! **Invariant:** no message names another User's data or what lies beneath an error, and no log line a token.
//!
//! Where the console is served, a request that is no call is one for a page of it, or of its logins (`front`); a call that one of its pages makes
//! brings the session's cookie in place of a token.
//!
//! Operators are let in by tokens of their own, to a service of their own, where there is one (`operate`).
//!
//! Left out on purpose: CORS, which stays closed: a browser on another origin is let in by the proxy that serves its
//! pages.

mod callers;
mod deadline;
mod flight;
mod freshness;
mod freshness_page;
mod front;
mod held;
mod hub;
mod inventory;
mod lasting;
mod limits;
mod log_in;
mod operate;
mod outgoing;
mod own_calls;
mod record;
mod reports;
mod request;
mod row;
mod serve;
mod service;
mod status;
mod switch;
mod witness;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_server;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use callers::{CallerLimits, Limits};
pub use flight::SqlParts;
pub use freshness::freshness_response;
pub use front::Console;
pub use hub::DeviceLink;
pub use limits::{
    ANSWERS_BYTES_MAX, CALLER_ANSWERS_BYTES_MAX, CONNECTION_STREAMS_MAX, DRAIN_LIFE, HEADER_BYTES_MAX,
    PAGE_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_LIFE, REQUESTS_MAX, RESPONSE_BYTES_MAX,
    STATEMENT_MESSAGE_BYTES_MAX,
};
pub use log_in::LoginParts;
pub use operate::OperatorParts;
pub use own_calls::CallRecord;
pub use reports::ReportParts;
pub use serve::{FRESHNESS_HEALTH, Parts, ServeError, serve, terms};
pub use service::COST_HEADER;
pub use witness::LoginRecords;
