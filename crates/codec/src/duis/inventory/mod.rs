//! What a DUIS message says of the Smart Metering Inventory, beside its own event (decision 0107).
//!
//! A value that cannot be read is left out, and with it what it would have said: whether the message is an event is settled by
//! [`super::decode`] alone, and no fact is made of half a statement.
//!
//! **Invariant:** no registration data: neither UPRN, address and postcode, nor anything about suppliers.

mod alert;
mod request;
mod response;

use super::derived_id;
use super::element::Element;
use crate::charset::Charset;
use crate::{DecodeError, Receipt, xml};
use gridtrail_inventory::{
    AskedChange, DeviceDetails, Effective, FactOrigin, InventoryEvent, InventoryFact, InventoryStatement,
    RequestOutcome, StatedFact,
};
use gridtrail_model::{Body, DeviceId, DeviceType, Event, EventId, Mpxn, SmiStatus, Timestamp};

/// What a message says of the inventory; nearly always nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaidOfInventory {
    /// What is so, as the DCC says.
    pub facts: Vec<InventoryEvent>,
    /// What a request asks for, which is no fact until its outcome says so.
    pub asked: Option<AskedChange>,
    /// What became of a request.
    pub outcome: Option<RequestOutcome>,
}

impl SaidOfInventory {
    /// Whether the message says nothing of the inventory.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.asked.is_none() && self.outcome.is_none()
    }
}

/// Whether the message that this event was read from may say anything of the inventory: a DCC Alert, or a message of a Service Reference
/// Variant of the inventory. Of all others [`inventory()`] finds nothing.
pub fn is_of_inventory(event: &Event) -> bool {
    matches!(event.body, Body::DccAlert(_))
        || event.correlation.variant.is_some_and(|variant| variant.is_of_inventory())
}

/// Reads what a message says of the inventory.
///
/// Errors: those of [`crate::decode`] that are of XML; of a message that `decode` reads there are none.
pub fn inventory(bytes: &[u8], receipt: &Receipt) -> Result<SaidOfInventory, DecodeError> {
    inventory_in(bytes, None, receipt)
}

/// `charset` is that of the capture around it; `None`: the message says it.
pub(crate) fn inventory_in(
    bytes: &[u8],
    charset: Option<Charset>,
    receipt: &Receipt,
) -> Result<SaidOfInventory, DecodeError> {
    let text = xml::document("a DUIS message", bytes, charset)?;
    let Some(root) = Element::read(&text)? else { return Ok(SaidOfInventory::default()) };
    let event_id = match &receipt.event_id {
        Some(id) => id.clone(),
        None => derived_id(bytes)?,
    };
    let message = Message { header: root.child("Header"), event_id, recorded_at: receipt.recorded_at };
    let choice = root.child("Body").and_then(Element::only);
    let said = choice.and_then(|choice| match (root.name(), choice.name()) {
        ("Request", _) => request::said(&message, choice),
        ("Response", "ResponseMessage" | "SMETS1ResponseMessage") => response::said(&message, choice),
        ("Response", "DCCAlertMessage") => alert::said(&message, choice),
        _ => None,
    });
    Ok(said.unwrap_or_default())
}

/// What is known of a message beside its body.
struct Message<'e> {
    header: Option<&'e Element>,
    event_id: EventId,
    recorded_at: Timestamp,
}

impl Message<'_> {
    fn header<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.header?.value(name)
    }

    /// A fact that the message tells, since a time.
    fn tells(&self, from: Timestamp, fact: InventoryFact) -> InventoryEvent {
        let told =
            InventoryStatement::Fact(StatedFact { effective: Effective::since(from), corrects: None, fact });
        InventoryEvent {
            recorded_at: self.recorded_at,
            id: self.event_id.clone(),
            origin: FactOrigin::Duis,
            told,
        }
    }
}

/// That a Device is of a type.
fn of_type(device: DeviceId, device_type: DeviceType) -> InventoryFact {
    let details = DeviceDetails { device_type: Some(device_type), ..DeviceDetails::default() };
    InventoryFact::Device { device, details }
}

const fn status(device: DeviceId, status: SmiStatus) -> InventoryFact {
    InventoryFact::SmiStatus { device, status: Some(status) }
}

/// The meter points that an element names as those of a meter: import, secondary import and export. One that is none, of the forms that
/// schema 5.4 allows, is left out.
fn meter_points(of: &Element) -> impl Iterator<Item = Mpxn> {
    ["ImportMPxN", "SecondaryImportMPAN", "ExportMPAN"].into_iter().filter_map(|name| of.value(name))
}

/// That a Device is installed at the meter points that an element names, or no longer.
fn installations(device: DeviceId, of: &Element, installed: bool) -> impl Iterator<Item = InventoryFact> {
    meter_points(of).map(move |mpxn| InventoryFact::Installation { device, mpxn, installed })
}
