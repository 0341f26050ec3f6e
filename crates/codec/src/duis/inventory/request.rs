//! What a Service Request asks for.

use super::{Element, Message, SaidOfInventory, installations, of_type, status};
use gridtrail_inventory::{AskedChange, AskedFact, DeviceDetails, HubFields, InventoryFact, OutcomeOf};
use gridtrail_model::{
    CommandVariant, DeviceId, DeviceType, Mpxn, RequestId, ServiceReferenceVariant, SmiStatus, Timestamp,
};

pub(super) fn said(message: &Message<'_>, body: &Element) -> Option<SaidOfInventory> {
    let request_id: RequestId = message.header("RequestID")?;
    let variant: ServiceReferenceVariant = message.header("ServiceReferenceVariant")?;
    let command_variant: Option<CommandVariant> = message.header("CommandVariant");
    let non_device = command_variant == Some(CommandVariant::DCC_ONLY)
        || variant.entry().is_some_and(|entry| entry.non_device);
    let facts = facts(body, request_id.target)?;
    let asked = AskedChange {
        request_id,
        variant,
        non_device,
        recorded_at: message.recorded_at,
        event_id: message.event_id.clone(),
        facts,
    };
    (!asked.facts.is_empty()).then(|| SaidOfInventory { asked: Some(asked), ..SaidOfInventory::default() })
}

/// Facts that the Service Response brings about.
fn answered(facts: impl IntoIterator<Item = InventoryFact>) -> Vec<AskedFact> {
    let of = |fact| AskedFact { outcome: OutcomeOf::Response, from: None, fact };
    facts.into_iter().map(of).collect()
}

/// `target`: the Device that the request goes to, where it goes to one.
fn facts(body: &Element, target: DeviceId) -> Option<Vec<AskedFact>> {
    let device = || body.value::<DeviceId>("DeviceID");
    let other = || body.value::<DeviceId>("OtherDeviceID").filter(|other| *other != target);
    let joined =
        |with, associated| answered([InventoryFact::Association { device: target, with, associated }]);
    match body.name() {
        "DevicePrenotification" => Some(answered(pre_notified(body, device()?))),
        "CommissionDeviceSynchroniseClock" => Some(answered([status(target, SmiStatus::Commissioned)])),
        "DecommissionDevice" => Some(answered([status(device()?, SmiStatus::Decommissioned)])),
        "UpdateInventory" => Some(answered(updated(body, device()?))),
        "ServiceOptIn" => {
            let device = device()?;
            let of_type = body.value("DeviceType").map(|device_type| of_type(device, device_type));
            let points = body.child("MPxNs").into_iter().flat_map(|of| installations(device, of, true));
            Some(answered(of_type.into_iter().chain(points)))
        }
        "JoinServiceCritical" | "JoinServiceNonCritical" => Some(joined(other()?, true)),
        "UnjoinServiceCritical" | "UnjoinServiceNonCritical" => Some(joined(other()?, false)),
        "UpdateHANDeviceLog" => logged(body, device()?, target),
        "CHFInstallSuccessSMWAN" | "CHFInstallSuccessNoSMWAN" => Some(hub_installed(body, device()?)),
        "CHFFaultReturn" | "CHFNoFaultReturn" => Some(answered([of_type(device()?, DeviceType::Chf)])),
        _ => None,
    }
}

/// Details of a Device as requests name them.
fn details(of: &Element) -> DeviceDetails {
    DeviceDetails {
        device_type: of.value("DeviceType"),
        manufacturer: of.value("DeviceManufacturer"),
        model: of.value("DeviceModel"),
        esme_variant: of.value("ESMEVariant"),
        smets_chts_version: of.value("SMETSCHTSVersion"),
        firmware_version: of.value("FirmwareVersion"),
        ..DeviceDetails::default()
    }
}

/// 12.2. A Communications Hub is notified with its Gas Proxy Function.
fn pre_notified(body: &Element, device: DeviceId) -> Vec<InventoryFact> {
    let mut facts =
        vec![InventoryFact::Device { device, details: details(body) }, status(device, SmiStatus::Pending)];
    if let Some(gpf) = body.value::<DeviceId>("AssociatedGPFDeviceID").filter(|gpf| *gpf != device) {
        facts.push(of_type(gpf, DeviceType::Gpf));
        facts.push(status(gpf, SmiStatus::Pending));
        facts.push(InventoryFact::Association { device: gpf, with: device, associated: true });
    }
    facts
}

/// 8.4.
fn updated(body: &Element, device: DeviceId) -> Vec<InventoryFact> {
    let new_status = body.value("UpdateDeviceStatusExceptCH").or_else(|| body.value("UpdateDeviceStatusCH"));
    let new_details = body.child("UpdateDeviceDetails").map(details);
    let mut facts: Vec<InventoryFact> = new_status.map(|new| status(device, new)).into_iter().collect();
    facts.extend(new_details.map(|details| InventoryFact::Device { device, details }));
    facts.extend(body.child("DeleteDevice").map(|_| InventoryFact::DeviceRemoved { device }));
    facts.extend(body.child("UpdateMPxN").into_iter().flat_map(|of| installations(device, of, true)));
    facts
}

/// 8.11. The response says that the Device is on the whitelist of the hub, the DCC Alert on its result that it has joined.
fn logged(body: &Element, device: DeviceId, hub: DeviceId) -> Option<Vec<AskedFact>> {
    let associated = |associated| InventoryFact::Association { device, with: hub, associated };
    match body.child("RequestType")?.text() {
        _ if device == hub => None,
        "Add" => {
            let points = body.child("AddDeviceToCHFWhitelist").into_iter();
            let points = points.flat_map(|of| installations(device, of, true));
            let mut facts = answered(std::iter::once(status(device, SmiStatus::Whitelisted)).chain(points));
            facts.push(AskedFact { outcome: OutcomeOf::HanDeviceLog, from: None, fact: associated(true) });
            Some(facts)
        }
        "Remove" => Some(answered([associated(false)])),
        _ => None,
    }
}

/// 8.14.1 and 8.14.2.
fn hub_installed(body: &Element, hub: DeviceId) -> Vec<AskedFact> {
    let aerial_installed = match body.child("AerialInstall").map(Element::text) {
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        _ => None,
    };
    let mpxn: Option<Mpxn> = body.value("MPxN");
    let installed = mpxn.map(|mpxn| InventoryFact::Installation { device: hub, mpxn, installed: true });
    let aerial = aerial_installed
        .map(|_| InventoryFact::Hub { hub, fields: HubFields { aerial_installed, ..HubFields::default() } });
    let mut facts = answered(std::iter::once(of_type(hub, DeviceType::Chf)).chain(installed).chain(aerial));
    let from: Option<Timestamp> = body.value("InstallDateTime");
    facts.iter_mut().for_each(|fact| fact.from = from);
    facts
}
