//! Connections over real sockets: what is let in, what is refused, and how certificates change meanwhile.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod authority;
mod connections;
mod hello;
