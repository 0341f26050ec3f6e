//! Tests of the reports from outside: over lakes, and of what is written.

mod asked;
mod firmware;
mod inventory;
mod law;
mod outputs;
mod page;
mod quarantine;
mod scheduled;
mod truth;
mod world;
