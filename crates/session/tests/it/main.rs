//! People log in at an Identity Provider of the tests, on servers that share nothing but a store, and attackers try to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod browser;
mod connections;
mod corrupt;
mod faults;
mod logins;
mod pages;
mod races;
mod register;
mod sessions;
mod sweep;
mod world;
