//! What a DUIS message says of the inventory beside its own event: facts, what a request asks for, and what became of one. All of it goes into the
//! batch of the event, and is counted nowhere. A request and its outcome are two messages that any two batches may hold: neither is looked for when the
//! other comes, for they are joined when they are read.

use gridtrail_codec::DecodeError;
use gridtrail_codec::duis::{SaidOfInventory, is_of_inventory};
use gridtrail_inventory::{PendingPart, RequestOutcome};
use gridtrail_lake::Batch;
use gridtrail_model::Event;

/// What the message of an event says. `read` reads the message once more, which few need.
pub(crate) fn said(
    event: &Event,
    read: impl FnOnce() -> Result<SaidOfInventory, DecodeError>,
) -> SaidOfInventory {
    if !is_of_inventory(event) {
        return SaidOfInventory::default();
    }
    match read() {
        Ok(said) => SaidOfInventory { outcome: said.outcome.filter(RequestOutcome::may_bring), ..said },
        // A message that could be read as an event can be read as this, too: a fault of ours, of which the event is not to be lost.
        Err(error) => {
            tracing::error!(event = event.id.as_str(), %error, "what a message says of the inventory was not read");
            SaidOfInventory::default()
        }
    }
}

/// Puts what messages say into a batch.
pub(crate) fn put_into(batch: &mut Batch, said: impl IntoIterator<Item = SaidOfInventory>) {
    for SaidOfInventory { facts, asked, outcome } in said {
        batch.inventory.extend(facts);
        batch.pending.extend(asked.map(PendingPart::Asked));
        batch.pending.extend(outcome.map(PendingPart::Outcome));
    }
}
