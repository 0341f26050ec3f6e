//! What a DUIS message says of the inventory beside its own event: facts, which go into the batch of the event, and are counted nowhere.
//!
//! Only what is a fact by itself is taken: what a request asks for, and the outcome that would make it one, are two messages that any two batches
//! may hold, and nothing keeps the one for the other yet.

use gridtrail_codec::DecodeError;
use gridtrail_codec::duis::{SaidOfInventory, is_of_inventory};
use gridtrail_inventory::InventoryEvent;
use gridtrail_model::Event;

/// The facts that the message of an event tells. `read` reads the message once more, which few need.
pub(crate) fn facts(
    event: &Event,
    read: impl FnOnce() -> Result<SaidOfInventory, DecodeError>,
) -> Vec<InventoryEvent> {
    if !is_of_inventory(event) {
        return Vec::new();
    }
    match read() {
        Ok(said) => said.facts,
        // A message that could be read as an event can be read as this, too: a fault of ours, of which the event is not to be lost.
        Err(error) => {
            tracing::error!(event = event.id.as_str(), %error, "what a message says of the inventory was not read");
            Vec::new()
        }
    }
}
