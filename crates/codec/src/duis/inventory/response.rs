//! What a Service Response says: what became of its request, and what stands in the inventory.

use super::{Element, Message, SaidOfInventory, installations, status};
use gridtrail_inventory::{DeviceDetails, InventoryEvent, InventoryFact, OutcomeOf, RequestOutcome};
use gridtrail_model::{
    CspRegion, DeviceId, DeviceType, ResponseCode, ServiceReferenceVariant, SmiStatus, Timestamp,
};

/// Contents that are no outcome: a command to be signed or delivered, the report on an instruction, a run of a schedule.
const NO_OUTCOMES: [&str; 4] =
    ["PreCommand", "LocalCommand", "FutureDatedDeviceAlertMessage", "DSPScheduledMessage"];

pub(super) fn said(message: &Message<'_>, body: &Element) -> Option<SaidOfInventory> {
    let variant: ServiceReferenceVariant = body.value("ServiceReferenceVariant")?;
    let code: ResponseCode = message.header("ResponseCode")?;
    let at: Timestamp = message.header("ResponseDateTime")?;
    if !variant.is_of_inventory() || NO_OUTCOMES.iter().any(|name| body.child(name).is_some()) {
        return None;
    }
    let devices = body.child("DSPInventory").filter(|_| !code.is_failure());
    let devices = devices.into_iter().flat_map(|inventory| inventory.all("Device"));
    let facts = devices.filter_map(|device| listed(message, device, at)).flatten().collect();
    let outcome = message.header("RequestID").map(|request_id| RequestOutcome {
        request_id,
        variant: Some(variant),
        of: OutcomeOf::Response,
        code,
        at,
        recorded_at: message.recorded_at,
        event_id: message.event_id.clone(),
    });
    Some(SaidOfInventory { facts, asked: None, outcome })
}

/// A Device of the answer to 8.2.
fn listed(message: &Message<'_>, of: &Element, at: Timestamp) -> Option<Vec<InventoryEvent>> {
    let device: DeviceId = of.value("DeviceID")?;
    let details = DeviceDetails {
        device_type: of.value("DeviceType"),
        manufacturer: of.value("DeviceManufacturer"),
        model: of.value("DeviceModel"),
        esme_variant: of.value("ESMEVariant"),
        smets_chts_version: of.value("SMETSCHTSVersion"),
        wan_technology_type: None,
        firmware_version: of.value("DeviceFirmwareVersion"),
        han_variant: of.value("HANVariant"),
    };
    let is_hub = details.device_type == Some(DeviceType::Chf);
    let mut facts = vec![message.tells(at, InventoryFact::Device { device, details })];
    if let Some(told) = of.value::<SmiStatus>("DeviceStatus") {
        let commissioned = date(of, "DateCommissioned").filter(|date| *date < at);
        let since = commissioned.filter(|_| told == SmiStatus::Commissioned).unwrap_or(at);
        facts.push(message.tells(since, status(device, told)));
    }
    facts.extend(installations(device, of, true).map(|fact| message.tells(at, fact)));
    let region = of.value::<CspRegion>("CSPRegion").filter(|region| is_hub && *region != CspRegion::Unknown);
    facts.extend(region.map(|region| message.tells(at, InventoryFact::Region { hub: device, region })));
    Some(facts)
}

/// The first instant of an `xs:date`, whose zone is passed over: it is told to the day.
fn date(of: &Element, name: &str) -> Option<Timestamp> {
    of.child(name)?.text().get(..10)?.parse().ok()
}
