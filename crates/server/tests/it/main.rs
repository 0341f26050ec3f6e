//! The server over loopback, as its callers meet it: a real listener, real gRPC, and a lake in memory, which is a fake
//! that obeys the test or, for the matrix of rights, a real one.

mod attacks;
mod console;
mod errors;
mod fields;
mod fixture;
mod flight;
mod freshness;
mod hubs;
mod inventory;
mod large;
mod life;
mod log_in;
mod matrix;
mod open_rows;
mod operators;
mod own_calls;
mod recorded;
mod reports;
mod rights;
mod rows;
