//! Inventory events: one fact each of the Smart Metering Inventory, or the withdrawal of one.

use super::{PlainRecord, Reads, RecordKind, nothing_aside, nothing_settled};
use gridtrail_codec::{Encoding, decode_inventory};
use gridtrail_inventory::InventoryEvent;
use gridtrail_lake::Batch;
use gridtrail_model::Timestamp;

/// Inventory events.
pub static INVENTORY_EVENTS: RecordKind = RecordKind {
    name: "inventory events",
    file_mark: Some("inventory"),
    topic_mark: Some("inventory-events"),
    topic: "gridtrail.inventory-events.v1",
    identity: Some("inventory events"),
    reads: Reads::Plain(read),
    put_aside: nothing_aside,
    settle: nothing_settled,
};

fn read(encoding: Encoding, bytes: &[u8]) -> Result<Box<dyn PlainRecord>, String> {
    match decode_inventory(encoding, bytes) {
        Ok(event) => Ok(Box::new(event)),
        Err(error) => Err(error.to_string()),
    }
}

impl PlainRecord for InventoryEvent {
    fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    fn put_into(self: Box<Self>, batch: &mut Batch) {
        batch.inventory.push(*self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_inventory::holds_inventory_events;

    /// The crate of the inventory tells its topics by the same mark.
    #[test]
    fn a_topic_of_inventory_events_is_one_for_everybody() {
        for topic in [INVENTORY_EVENTS.topic, "inventory-events", "x.inventory-events.y"] {
            assert!(holds_inventory_events(topic), "{topic}");
            assert_eq!(RecordKind::of_topic(topic), &INVENTORY_EVENTS, "{topic}");
        }
    }
}
