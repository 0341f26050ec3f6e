//! DUIS XML: Service Requests, Signed Pre-Commands, Acknowledgements, Pre-Commands, Local Commands, Service
//! Responses, scheduled reads, Device Alerts and DCC Alerts, as the DCC sees them on the wire.
//!
//! Reading takes two steps: one pass over the document picks the few fields that an event needs (`message`), then
//! the event is made of them (`event`). Any prefix and any schema version is read; elements that are not known are
//! passed over, so that a message of a later schema still counts.
//!
//! A response does not say which leg it answers nor when its request was received; both stay empty and the fold
//! finds the leg. Writing covers what the generator and the demo need ([`write_request`], [`write_response`]).
//!
//! What a message says of the Smart Metering Inventory is read by a second pass ([`inventory()`]), over the few messages that can say
//! anything of it ([`is_of_inventory`]), so that all others cost nothing more.
//!
//! Which of three limits a quarantined request broke is read in the same way ([`quarantined`]), and so is what a message says of DSP schedules
//! ([`schedules()`]).
//!
//! Source: DUIS schema 5.4.

mod element;
mod event;
pub(crate) mod gbcs;
mod inventory;
mod message;
mod names;
mod quarantine;
mod schedules;
mod write;

pub(crate) use inventory::inventory_in;
pub use inventory::{SaidOfInventory, inventory, is_of_inventory};
pub(crate) use quarantine::quarantined_in;
pub use quarantine::{is_of_quarantine, quarantined};
pub(crate) use schedules::schedules_in;
pub use schedules::{is_of_schedules, schedules};
pub use write::{
    BreachKind, DccAlertBody, Request, RequestBody, Response, ResponseBody, write_request, write_response,
};

use crate::charset::Charset;
use crate::{DecodeError, Receipt, capture, is_utf16, xml};
use gridtrail_model::{Event, EventId};

/// `charset` is that of the capture around it; `None`: the message says it.
pub(crate) fn decode(
    bytes: &[u8],
    charset: Option<Charset>,
    receipt: Option<&Receipt>,
) -> Result<Event, DecodeError> {
    let receipt = receipt.ok_or(DecodeError::NoReceipt)?;
    let text = xml::document("a DUIS message", bytes, charset)?;
    if is_utf16(bytes) && capture::begins(&text) {
        return Err(DecodeError::xml(0, capture::UTF16));
    }
    let message = message::read(&text)?;
    let id = match &receipt.event_id {
        Some(id) => id.clone(),
        None => derived_id(bytes)?,
    };
    event::event(&message, id, receipt.recorded_at)
}

/// The identifier of a message that came without one: the same bytes always give the same.
fn derived_id(bytes: &[u8]) -> Result<EventId, DecodeError> {
    let text = format!("duis:{:016x}", xxhash_rust::xxh64::xxh64(bytes, 0));
    text.parse().map_err(|source| DecodeError::Invalid { field: "event_id", source })
}
