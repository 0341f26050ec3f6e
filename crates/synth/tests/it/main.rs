//! The synthetic region as its users see it.

mod anomaly;
mod determinism;
mod firmware;
mod inventory;
mod likeness;
mod memory;
mod schedules;
mod truth;

use gridtrail_synth::{Settings, World};

/// A region of about so many events, with clean delivery.
fn region(seed: u64, events: u64, days: u32) -> World {
    World::seeded(seed, Settings::for_events(events, days)).unwrap()
}

/// The same region with everything that may go wrong in delivery.
fn disordered(seed: u64, events: u64, days: u32) -> World {
    World::seeded(seed, Settings::for_events(events, days).with_disorder()).unwrap()
}
