//! Firmware in the region, where it is asked for: new versions for meters of some households, which their suppliers distribute and activate, and what
//! the inventory is told of it.
//!
//! The truth is written beside the events: trails as those of transactions are, and versions by when the script says that a meter runs the new one.

use crate::chance::{Chance, Lane};
use crate::changes::Span;
use crate::household::Household;
use crate::inventory::FIRST_VERSION;
use crate::plot::{DAY_MS, HOUR_MS, Plot, SECOND_MS};
use crate::profile::{COUNTERS_PER_TRANSACTION, Start};
use crate::scenario::roll_out;
use crate::script::{Script, Step};
use crate::truth::ExpectedTrail;
use crate::users::Users;
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, InventoryEvent, InventoryFact, InventoryStatement, StatedFact,
};
use gridtrail_model::{DeviceId, Event, EventId, RequestId, Timestamp};

/// The version that is distributed.
const NEXT_VERSION: &str = "00020130";
/// A version that was never there, told by mistake and corrected.
const WRONG_VERSION: &str = "0002013F";

/// Stories are numbered from here, above every transaction: event ids and chance tell them apart.
const FIRST_NUMBER: u64 = 1 << 41;
/// Their counters begin here: above those of schedules, and below those of transactions, which are Unix milliseconds or finer.
const FIRST_COUNTER: u64 = 200_000_000_000;
/// A distribution and two activations, as many as three transactions have.
const COUNTERS: u64 = 3 * COUNTERS_PER_TRANSACTION;

/// New firmware for a meter: what is told of it, and what must be known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirmwareStory {
    /// Events of the requests and alerts, by the time when they were recorded.
    pub events: Vec<Event>,
    /// The trails that they come to.
    pub trails: Vec<ExpectedTrail>,
    /// What the inventory is told, by the time when it was recorded.
    pub inventory: Vec<InventoryEvent>,
    /// The distribution of which a DCC Alert says that it failed, and when the alert was generated.
    pub undistributed: Option<(RequestId, Timestamp)>,
    /// The new version, where the meter came to run it.
    pub version: Option<ExpectedVersion>,
}

/// A firmware version that a Device must be known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// The Device.
    pub device: DeviceId,
    /// "Firmware Version".
    pub version: &'static str,
    /// Since when.
    pub from: Timestamp,
    /// The first instant at which it has it no more.
    pub until: Option<Timestamp>,
}

/// Makes the event of a step, by the number of its script and its place there.
pub(crate) type EventOf = fn(u64, usize, &Step, &Script) -> Event;

/// The story of a household, as it is when it begins; `None`: it has none.
pub(crate) fn of_household(
    (seed, users): (u64, &Users),
    (span, number): (Span, u32),
    event_of: EventOf,
    at: impl FnOnce(Timestamp) -> Option<Household>,
) -> Option<FirmwareStory> {
    let mut chance = Chance::of(seed, Lane::Firmware, number.into());
    if !chance.per_mille(400) {
        return None;
    }
    let run_ms = span.end.millis() - span.start.millis();
    let begins = span.start.plus_millis(chance.between(0, run_ms * 2 / 3));
    let household = at(begins)?;
    let meter = household.gas.filter(|_| chance.per_mille(300)).unwrap_or(household.electricity);
    let told = chance.bits();
    let mut script = Script::default();
    let start =
        Start { at_ms: begins.millis(), counter: FIRST_COUNTER + u64::from(number) * COUNTERS, night: false };
    let story = FIRST_NUMBER + u64::from(number);
    let mut plot = Plot::new(users, chance, household, (story, start), &mut script);
    let runs_since = roll_out(&mut plot, meter).filter(|at| *at < span.end.plus_millis(-SECOND_MS));
    let mut trails = Vec::new();
    script.truth(span.end, &mut trails);
    let steps = script.steps.iter().enumerate().filter(|(_, step)| step.recorded_at < span.end);
    let mut events: Vec<Event> = steps.map(|(place, step)| event_of(story, place, step, &script)).collect();
    events.sort_by_key(|event| event.recorded_at);
    let device = meter.device_id;
    let inventory = runs_since.map(|at| told_to_the_inventory((span, number), device, at, told));
    let version = runs_since.map(|from| ExpectedVersion { device, version: NEXT_VERSION, from, until: None });
    let undistributed = undistributed(&trails);
    Some(FirmwareStory { events, trails, inventory: inventory.unwrap_or_default(), undistributed, version })
}

/// The distribution of which the story has an alert: there is one of it.
fn undistributed(trails: &[ExpectedTrail]) -> Option<(RequestId, Timestamp)> {
    let is_alert = |trail: &&ExpectedTrail| trail.alert_code.is_some_and(|code| code.as_str() == "N18");
    let alert = trails.iter().find(is_alert)?;
    Some((trails.iter().find_map(|trail| trail.request_id)?, alert.received_at))
}

/// The new version: told soon or, one in twenty, days later; one in ten first as another, and corrected.
fn told_to_the_inventory(
    (span, number): (Span, u32),
    device: DeviceId,
    from: Timestamp,
    told: u64,
) -> Vec<InventoryEvent> {
    let id = |at: usize| -> EventId {
        // A number and two words: far below the 64 characters that an event id has room for.
        format!("firmware-{number}-{at}").parse().expect("an event id")
    };
    let mut chance = Chance::of(told, Lane::Firmware, number.into());
    let mut events: Vec<InventoryEvent> = Vec::new();
    let mut tell = |delay_ms: i64, version: &str, corrects: Option<EventId>| {
        let details = DeviceDetails { firmware_version: version.parse().ok(), ..DeviceDetails::default() };
        let fact = InventoryFact::Device { device, details };
        events.push(InventoryEvent {
            recorded_at: span.by_the_end(from.plus_millis(delay_ms)),
            id: id(events.len()),
            origin: FactOrigin::Inventory,
            told: InventoryStatement::Fact(StatedFact { effective: Effective::since(from), corrects, fact }),
        });
    };
    let late = if chance.per_mille(50) { chance.between(1, 3) * DAY_MS } else { 0 };
    let soon = chance.between(SECOND_MS, HOUR_MS);
    if chance.per_mille(100) {
        tell(soon, WRONG_VERSION, None);
        tell(soon + late + HOUR_MS, NEXT_VERSION, Some(id(0)));
    } else {
        tell(soon + late, NEXT_VERSION, None);
    }
    events
}

/// The versions of a Device that had its first since a time.
pub(crate) fn versions_of(
    device: DeviceId,
    from: Timestamp,
    story: Option<&FirmwareStory>,
) -> impl Iterator<Item = ExpectedVersion> + use<> {
    let next = story.and_then(|story| story.version).filter(|next| next.device == device);
    let first = ExpectedVersion { device, version: FIRST_VERSION, from, until: next.map(|next| next.from) };
    std::iter::once(first).chain(next)
}
