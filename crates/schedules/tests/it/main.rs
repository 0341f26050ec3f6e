//! Tests of schedules from outside.

mod fold;
mod laws;
