//! A region's events, inventory and truth, with new firmware for its meters where that is asked for.

use gridtrail_inventory::InventoryEvent;
use gridtrail_model::Event;
use gridtrail_synth::{ExpectedTrail, FirmwareStory, World};
use serde_json::json;

fn stories(world: &World, is_asked: bool) -> impl Iterator<Item = FirmwareStory> + '_ {
    is_asked.then(|| world.firmware()).into_iter().flatten()
}

/// Every event: those of transactions first.
pub(super) fn events(world: &World, is_asked: bool) -> impl Iterator<Item = Event> + '_ {
    world.events().chain(stories(world, is_asked).flat_map(|story| story.events))
}

/// Every inventory event.
pub(super) fn inventory(world: &World, is_asked: bool) -> impl Iterator<Item = InventoryEvent> + '_ {
    world.inventory_events().chain(stories(world, is_asked).flat_map(|story| story.inventory))
}

/// The trails that a search must find.
pub(super) fn trails(world: &World, is_asked: bool) -> impl Iterator<Item = ExpectedTrail> + '_ {
    world.truth().chain(stories(world, is_asked).flat_map(|story| story.trails))
}

/// The versions that must be known, and the distributions that failed, in the generator's own words.
pub(super) fn truth(world: &World) -> impl Iterator<Item = String> + '_ {
    let versions = world.firmware_versions().map(|of| {
        json!({
            "device_id": of.device.to_string(),
            "firmware_version": of.version,
            "from": of.from.to_string(),
            "until": of.until.map(|until| until.to_string()),
        })
    });
    let failed = world.firmware().filter_map(|story| story.undistributed).map(|(request_id, at)| {
        json!({ "undistributed_request_id": request_id.to_string(), "alert_code": "N18", "alert_at": at.to_string() })
    });
    versions.chain(failed).map(|line| line.to_string())
}
