//! DSP schedules: standing orders of Users, by which the DCC reads Devices again and again (Create Schedule 5.1, Read Schedule 5.2, Delete
//! Schedule 5.3).
//!
//! A [`ScheduleEvent`] is one fact that a message tells of the schedules of one User. [`Schedules`] is what is known of a User: its merge takes
//! of each fact the one that counts, so that order, repeats and batch borders never matter (**I1**, as for trails). [`Schedules::all`] gives a
//! [`Schedule`] each: what is read of which Device, how often, since when, and when and why it was removed. [`Schedule::next_due`] says when it
//! runs next.
//!
//! A [`ScheduleRow`] is what one event says, as a table of the lake holds it: sorted by User, merged by dropping equals.
//!
//! This crate knows no input or output, no clock, no async and no storage format. Whatever depends on the time is told the time.
//!
//! Source: DUIS schema 5.4, `DSPSchedule`, `DSPSchedulesRead` and `DSPScheduleRemoval`.

mod details;
mod due;
mod event;
mod fold;
mod over;
mod row;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_schedules;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use details::{DaysBack, Frequency, ReadWindow, ScheduleDay, ScheduleDetails, ScheduleId, TimeOfDay};
pub use event::{ScheduleEvent, ScheduleFact};
pub use fold::{Creation, Removal, RemovalReason, Schedule, SchedulePart, Schedules};
pub use over::Over;
pub use row::{ScheduleRow, ScheduleRowError, ScheduleRowKind, merge_rows, row_of};
