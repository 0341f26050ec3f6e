//! The server over loopback, as its callers meet it: a real listener, real gRPC, a lake in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod errors;
mod fixture;
mod freshness;
mod life;
mod log_in;
mod recorded;
mod rights;
mod rows;
