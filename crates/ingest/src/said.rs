//! What a DUIS message says beside its own event: of the inventory facts, what a request asks for, and what became of one; and that a communication was
//! quarantined. All of it goes into the batch of the event, and is counted nowhere. A request and its outcome are two messages that any two batches may
//! hold: neither is looked for when the other comes, for they are joined when they are read.

use gridtrail_anomaly::AnomalyEvent;
use gridtrail_codec::DecodeError;
use gridtrail_codec::duis::{SaidOfInventory, is_of_inventory, is_of_quarantine};
use gridtrail_inventory::{PendingPart, RequestOutcome};
use gridtrail_lake::Batch;
use gridtrail_model::Event;

/// What a message says beside its own event; nearly always nothing.
#[derive(Debug, Default)]
pub(crate) struct Said {
    inventory: SaidOfInventory,
    quarantined: Option<AnomalyEvent>,
}

impl Said {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.inventory.is_empty() && self.quarantined.is_none()
    }
}

/// What the message of an event says. The message is read once more, by `inventory` and by `quarantined`, which few need.
pub(crate) fn said(
    event: &Event,
    inventory: impl FnOnce() -> Result<SaidOfInventory, DecodeError>,
    quarantined: impl FnOnce() -> Result<Option<AnomalyEvent>, DecodeError>,
) -> Said {
    let mut said = Said::default();
    if is_of_inventory(event) {
        said.inventory = read(event, inventory);
        said.inventory.outcome = said.inventory.outcome.filter(RequestOutcome::may_bring);
    }
    if is_of_quarantine(event) {
        said.quarantined = read(event, quarantined);
    }
    said
}

fn read<T: Default>(event: &Event, read: impl FnOnce() -> Result<T, DecodeError>) -> T {
    // A message that could be read as an event can be read as this, too: a fault of ours, of which the event is not to be lost.
    read().unwrap_or_else(|error| {
        tracing::error!(event = event.id.as_str(), %error, "what a message says beside its event was not read");
        T::default()
    })
}

/// Puts what messages say into a batch.
pub(crate) fn put_into(batch: &mut Batch, said: impl IntoIterator<Item = Said>) {
    for Said { inventory: SaidOfInventory { facts, asked, outcome }, quarantined } in said {
        batch.inventory.extend(facts);
        batch.pending.extend(asked.map(PendingPart::Asked));
        batch.pending.extend(outcome.map(PendingPart::Outcome));
        batch.anomaly.extend(quarantined);
    }
}
