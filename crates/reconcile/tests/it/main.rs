//! The proof holds where everything adds up, and names what does not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod audit;
mod bytes;
