//! The Smart Metering Inventory: which Devices there are, where they are installed, with which others they are Associated,
//! and who answers for the meter points.
//!
//! An [`InventoryEvent`] tells one fact, with the time since when it is so and the time when the DCC had it. An
//! [`InventoryFragment`] is what is known of one Device or meter point: a set of such events, whose merge is a union, so that
//! order, repeats and batch borders never matter (**I1**, as for trails). [`InventoryFragment::known_at`] gives a [`InventoryView`]: what was
//! known at a time; a view answers what was so at any other time.
//!
//! A [`InventoryRow`] is what one event says under one key, as a table of the lake holds it: sorted by key, merged by dropping equals.
//! [`PendingFacts`] is what a Service Request would change, kept until its outcome says that it did: rows of both are joined when they are read.
//!
//! This crate knows no input or output, no clock, no async and no storage format.
//!
//! Sources: Section H8.16(a) of the Smart Energy Code; Appendix AH, UC_Inventory_001 and 002, UC_HubStatus_001 and 002; DUIS
//! schema 5.4.

mod asked;
mod content;
mod event;
mod fragment;
mod intervals;
pub mod limits;
mod pending;
mod property;
mod row;
mod text;
mod timeline;
mod view;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_inventory;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use asked::rows_of_pending;
pub use content::{names_user, requests_in};
pub use event::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, NetworkStatus, Registration, StatedFact, Withdrawal, holds_inventory_events,
};
pub use fragment::InventoryFragment;
pub use intervals::Intervals;
pub use pending::{AskedChange, AskedFact, OutcomeOf, PendingFacts, PendingPart, RequestOutcome};
pub use property::{PropertyFilter, PropertyFit};
pub use row::{
    InventoryKey, InventoryRow, InventoryRowContent, InventoryRowError, InventoryRowKind, merge_rows, rows_of,
};
pub use text::ShortText;
pub use timeline::{Period, Timeline};
pub use view::{DeviceState, InventoryView, MeterPointState};
