//! A synthetic smart-metering region: households, Users, everything that happens to their Service Requests in
//! some days, and the audit trails that this must give.
//!
//! [`World::events`] streams the events; [`World::truth`] streams what the audit trail must show, known from the
//! script of each transaction and not by folding its events, so tests and benches check answers, not only speed.
//!
//! Invariants:
//! - the same seed and settings give the same events in the same order, and the same truth, on every machine: there
//!   is no clock, no floating point and no hash of random seed in here;
//! - a transaction is a function of (seed, its number), so days can be made in parallel, or again, without the
//!   days before them;
//! - the settings of delivery (duplicates, jitter, lateness, bare responses) change the events' order and dress,
//!   never the truth;
//! - memory does not grow with the number of events: see [`Feed`].
//!
//! [`World::inventory_of`] has the inventory of a household: its events, and the facts that they must come to. Some of what changes takes effect
//! in the years before the run and some in it; a transaction is about the Devices that are installed, and from the supplier who supplies, when it
//! starts ([`World::household_at`]), and what is under way when a meter is exchanged ends with the one that it was sent to.
//!
//! [`World::anomaly`] has what is told of thresholds and quarantined communications, User by User and then transaction by transaction, and what must be
//! known of each.
//!
//! [`World::schedules`] has what is told of DSP schedules, household by household and then transaction by transaction, and what must be known of each.
//!
//! [`World::firmware`] has new firmware for meters of some households, beside all else: requests and alerts with their trails, and what the inventory
//! is told. None of it is in [`World::events`], [`World::truth`] or [`World::inventory_of`].
//!
//! Left out on purpose: payloads, wire formats (the codec's part), and storms that strike many households at once.

mod anomaly;
mod chance;
mod changes;
mod feed;
mod firmware;
mod household;
mod inventory;
mod inventory_state;
mod parties;
mod plot;
mod profile;
mod scenario;
mod schedules;
mod script;
mod settings;
mod truth;
mod users;
mod world;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_synth;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use anomaly::{AnomalyStory, ExpectedQuarantine, ExpectedThreshold};
pub use feed::Feed;
pub use firmware::{ExpectedVersion, FirmwareStory};
pub use household::{Household, Meter};
pub use inventory::{ExpectedFact, ExpectedState, HouseholdInventory};
pub use inventory_state::InventoryState;
pub use profile::NIGHT_SHARE_PER_MILLE;
pub use schedules::{ExpectedSchedule, ScheduleStory};
pub use settings::{Settings, SettingsError};
pub use truth::ExpectedTrail;
pub use users::{ACCESS_CONTROL_BROKER, User};
pub use world::{Truth, World};
