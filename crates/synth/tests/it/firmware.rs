//! New firmware of a region, folded, is what its truth says: every version that a Device had, and every way that a story can end.

use crate::it::region;
use gridtrail_inventory::{InventoryEvent, InventoryFragment};
use gridtrail_model::{DeviceId, Named, Simplified, State, Timestamp};
use gridtrail_synth::{ExpectedTrail, FirmwareStory};
use std::collections::{BTreeMap, BTreeSet};

/// A version with its first instant and the first one after it.
type Known = (String, Timestamp, Option<Timestamp>);

#[test]
fn the_versions_of_every_device_are_known_as_they_must_be() {
    let world = region(5, 60_000, 20);
    let stories: Vec<FirmwareStory> = world.firmware().collect();
    let told: Vec<InventoryEvent> = stories.iter().flat_map(|story| story.inventory.clone()).collect();
    let ids: BTreeSet<&str> = told.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), told.len(), "each event has an id of its own");
    let end = world.settings().end();
    assert!(told.iter().all(|event| event.recorded_at < end));
    let mut fragments: BTreeMap<DeviceId, InventoryFragment> = BTreeMap::new();
    for event in told.iter().cloned().chain(world.inventory_events()) {
        for named in event.about() {
            if let Named::Device(device) = named {
                let new = || InventoryFragment::new(named);
                fragments.entry(device).or_insert_with(new).add(event.clone());
            }
        }
    }
    let mut truth: BTreeMap<DeviceId, Vec<Known>> = BTreeMap::new();
    for one in world.firmware_versions() {
        truth.entry(one.device).or_default().push((one.version.to_owned(), one.from, one.until));
    }
    let mut changed = 0;
    for (device, fragment) in &fragments {
        let versions = fragment.known().firmware_versions();
        let of = versions.periods().iter().map(|one| (one.value.to_string(), one.from, one.until));
        let found: Vec<Known> = of.collect();
        assert_eq!(found, truth.remove(device).unwrap_or_default(), "{device}");
        changed += usize::from(found.len() > 1);
    }
    assert!(truth.is_empty() && changed > 50, "{changed} meters have new firmware");
}

/// Firmware that is not distributed, does not pass its verification, is not activated, is at the second attempt, or at its time.
#[test]
fn a_story_can_end_in_every_way() {
    let world = region(5, 600_000, 20);
    assert_eq!(world.firmware().collect::<Vec<_>>(), world.firmware().collect::<Vec<_>>());
    let stories: Vec<FirmwareStory> = world.firmware().collect();
    let is_of = |trail: &ExpectedTrail, variant: &str| {
        trail.variant.is_some_and(|of| of.to_string() == variant) && trail.key.command_variant().is_some()
    };
    let signed = |story: &FirmwareStory| -> Vec<ExpectedTrail> {
        let legs = story.trails.iter().filter(|trail| is_of(trail, "11.3"));
        legs.filter(|trail| trail.command_variant.is_some_and(|leg| leg.number() == 5)).copied().collect()
    };
    let alerted = |story: &FirmwareStory, code: &str| {
        story.trails.iter().any(|trail| trail.alert_code.is_some_and(|of| of.as_str() == code))
    };
    let count = |of: &dyn Fn(&FirmwareStory) -> bool| stories.iter().filter(|story| of(story)).count();
    let failed = |story: &FirmwareStory| {
        signed(story).first().is_some_and(|first| first.simplified == Simplified::Failure)
    };
    let ways = [
        count(&|story| story.undistributed.is_some() && alerted(story, "N18")),
        count(&|story| alerted(story, "8F1C") && signed(story).is_empty()),
        count(&|story| story.version.is_some() && signed(story).len() == 1),
        count(&|story| story.version.is_some() && failed(story)),
        count(&|story| signed(story).iter().any(|leg| leg.current_status == State::InstructionDone)),
        count(&|story| signed(story).iter().any(|leg| leg.current_status == State::InstructionFailed)),
    ];
    assert!(ways.iter().all(|count| *count > 0), "{ways:?} of {}", stories.len());
    let distributions = stories.iter().flat_map(|story| &story.trails).filter(|trail| is_of(trail, "11.1"));
    assert!(distributions.map(|trail| trail.current_status).all(|status| status == State::CompletedDccOnly));
}
