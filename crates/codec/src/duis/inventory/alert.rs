//! What a DCC Alert says. Its element tells what it is about, never its code, but for a result that no element tells apart.

use super::{Element, Message, SaidOfInventory, installations, of_type, status};
use gridtrail_inventory::{DeviceDetails, HubFields, InventoryFact, OutcomeOf, RequestOutcome};
use gridtrail_model::{AlertCode, DeviceId, DeviceType, RequestId, SmiStatus, Timestamp};

pub(super) fn said(message: &Message<'_>, body: &Element) -> Option<SaidOfInventory> {
    let at: Timestamp = message.header("ResponseDateTime")?;
    let code: AlertCode = body.value("DCCAlertCode")?;
    let alert = body.child("DCCAlert")?.only()?;
    if alert.name() == "UpdateHANDeviceLogResult" {
        let outcome = han_device_log(message, alert, code, at);
        return Some(SaidOfInventory { outcome, ..SaidOfInventory::default() });
    }
    let facts = facts(alert)?.into_iter().map(|fact| message.tells(at, fact)).collect();
    Some(SaidOfInventory { facts, ..SaidOfInventory::default() })
}

/// N24 says that an update of the HAN Device Log succeeded, N25 that it did not.
fn han_device_log(
    message: &Message<'_>,
    alert: &Element,
    code: AlertCode,
    at: Timestamp,
) -> Option<RequestOutcome> {
    let request_id: RequestId = alert.value("UpdateHANDeviceLogServiceRequestID")?;
    (code.as_str() == "N24").then_some(RequestOutcome {
        request_id,
        variant: None,
        of: OutcomeOf::HanDeviceLog,
        code: message.header("ResponseCode")?,
        at,
        recorded_at: message.recorded_at,
        event_id: message.event_id.clone(),
    })
}

fn facts(alert: &Element) -> Option<Vec<InventoryFact>> {
    let device = |name| alert.value::<DeviceId>(name);
    match alert.name() {
        "DeviceStatusChangeEvent" => {
            status_changed(device("DeviceID")?, alert.child("DeviceStatusChange")?.only()?)
        }
        "PowerOutageEvent" => {
            let hub = device("CommsHubDeviceID")?;
            let last_outage: Option<Timestamp> = alert.value("StartDateTime");
            let outage = last_outage.map(|_| InventoryFact::Hub {
                hub,
                fields: HubFields { last_outage, ..HubFields::default() },
            });
            Some(std::iter::once(of_type(hub, DeviceType::Chf)).chain(outage).collect())
        }
        "FirmwareVersionMismatch" => {
            let details = DeviceDetails {
                device_type: alert.value("DeviceType"),
                firmware_version: alert.value("FirmwareVersionDevice"),
                ..DeviceDetails::default()
            };
            Some(vec![InventoryFact::Device { device: device("DeviceID")?, details }])
        }
        "CommsHubFirmwareActivation" => hub_firmware(alert),
        "SMETS1CHFirmwareNotification" => {
            let activated = alert.child("FirmwareVersionUpdateStatus")?.text() == "ActivationSuccessful";
            if activated { hub_firmware(alert) } else { None }
        }
        "ALCSHCALCSConfigurationChange" => {
            let esme = device("ESMEDeviceID")?;
            let details = DeviceDetails {
                device_type: Some(DeviceType::Esme),
                esme_variant: alert.value("ESMEVariant"),
                ..DeviceDetails::default()
            };
            Some(vec![InventoryFact::Device { device: esme, details }])
        }
        "PPMIDRemoval" => {
            let (ppmid, hub) = (device("PPMIDDeviceID")?, device("CHFDeviceID")?);
            let mut facts = vec![of_type(ppmid, DeviceType::Ppmid), of_type(hub, DeviceType::Chf)];
            let apart = InventoryFact::Association { device: ppmid, with: hub, associated: false };
            facts.extend(Some(apart).filter(|_| ppmid != hub));
            Some(facts)
        }
        "DeviceLogRestored" => {
            let ids = alert.child("CHFDeviceLog").or_else(|| alert.child("GPFDeviceLog"))?;
            let of = |name, device_type| ids.value(name).map(|device| of_type(device, device_type));
            let hubs = ["OldCHFDeviceID", "NewCHFDeviceID"].map(|name| of(name, DeviceType::Chf));
            let proxies = ["OldGPFDeviceID", "NewGPFDeviceID"].map(|name| of(name, DeviceType::Gpf));
            Some(hubs.into_iter().chain(proxies).flatten().collect())
        }
        _ => None,
    }
}

fn hub_firmware(alert: &Element) -> Option<Vec<InventoryFact>> {
    let details = DeviceDetails {
        device_type: Some(DeviceType::Chf),
        firmware_version: alert.value("FirmwareVersion"),
        ..DeviceDetails::default()
    };
    Some(vec![InventoryFact::Device { device: alert.value("DeviceID")?, details }])
}

/// `DeviceStatusChangeEvent`. What the schema leaves open is not guessed (decision 0107).
fn status_changed(device: DeviceId, change: &Element) -> Option<Vec<InventoryFact>> {
    let is_now = |to| Some(vec![status(device, to)]);
    match change.name() {
        "MeterIdentity" => {
            let points = change.child("MeterMPxNs")?;
            let mut facts: Vec<InventoryFact> = installations(device, points, true).collect();
            let details =
                DeviceDetails { esme_variant: change.value("ESMEVariant"), ..DeviceDetails::default() };
            facts.push(InventoryFact::Device { device, details });
            Some(facts)
        }
        "MeterDecommissioningOrWithdrawal" => {
            let points = change.child("MeterDecommissionOrWithdrawal")?;
            let mut facts = vec![status(device, SmiStatus::Decommissioned)];
            facts.extend(installations(device, points, false));
            let associated = change.all("AssociatedType1Device");
            facts.extend(
                associated.filter_map(|of| Some(of_type(of.value("DeviceID")?, of.value("DeviceType")?))),
            );
            Some(facts)
        }
        "DeviceRemovedFromInventory" => Some(vec![InventoryFact::DeviceRemoved { device }]),
        "CHFDecommissioning" => {
            Some(vec![of_type(device, DeviceType::Chf), status(device, SmiStatus::Decommissioned)])
        }
        "DeviceSuspended" => is_now(SmiStatus::Suspended),
        "DeviceRestored" => Some(vec![InventoryFact::SmiStatus { device, status: None }]),
        "RecoveryComplete" | "RecoveryCompleteACBCredentials" => is_now(SmiStatus::Recovered),
        _ => None,
    }
}
