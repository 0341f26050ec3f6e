//! Inventory events: `gridtrail.events.v1.InventoryEvent` as protobuf, frames and proto3 JSON.
//!
//! **Invariant:** no error repeats what stands where an address may stand.

use super::from_wire::{all, enumeration, mandatory, optional, required, time};
use super::to_wire::time as wire_time;
use super::{json_text, put_frame, put_protobuf, within_limit};
use crate::error::InField;
use crate::{DecodeError, Encoding};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, Registration, StatedFact, Withdrawal,
};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, EventId, Mpxn, Named, ParseError, SmiStatus};
use gridtrail_proto::events::v1 as wire;
use prost::Message;
use std::str::FromStr;
use wire::RegistrationField as Field;
use wire::inventory_event::Body;

/// Reads one inventory event.
///
/// Errors name the field and its rule, and a short piece of what was found unless it may be an address. What a DUIS message says of the
/// inventory is read by [`crate::duis::inventory`].
pub fn decode_inventory(encoding: Encoding, bytes: &[u8]) -> Result<InventoryEvent, DecodeError> {
    const WHAT: &str = "an InventoryEvent";
    within_limit("a record of the inventory", bytes)?;
    let wire = match encoding {
        Encoding::Protobuf => wire::InventoryEvent::decode(bytes).map_err(DecodeError::ProtobufInventory)?,
        Encoding::Json => serde_json::from_slice(json_text(WHAT, bytes)?)
            .map_err(|error| DecodeError::json_unquoted(WHAT, &error))?,
        Encoding::DuisXml => return Err(DecodeError::NoInventoryEventInDuis),
    };
    event(&wire)
}

fn event(from: &wire::InventoryEvent) -> Result<InventoryEvent, DecodeError> {
    const CORRECTS: &str = "corrects_event_id";
    let id: EventId = required(&from.event_id, "event_id")?;
    let recorded_at = mandatory(time(from.recorded_at, "recorded_at")?, "recorded_at")?;
    let corrects: Option<EventId> = optional(&from.corrects_event_id, CORRECTS)?;
    if corrects.as_ref() == Some(&id) {
        return Err(DecodeError::invalid(CORRECTS, "event id", "no event corrects itself", id.as_str()));
    }
    let told = match mandatory(from.body.as_ref(), "body")? {
        Body::Withdrawn(withdrawn) => {
            if let Some(corrected) = corrects {
                let rule = "a withdrawal corrects nothing; withdrawn.withdrawn_event_id names the event";
                return Err(DecodeError::invalid(CORRECTS, "event id", rule, corrected.as_str()));
            }
            InventoryStatement::Withdrawal(withdrawal(withdrawn, &id)?)
        }
        body => {
            InventoryStatement::Fact(StatedFact { effective: effective(from)?, corrects, fact: fact(body)? })
        }
    };
    Ok(InventoryEvent { recorded_at, id, origin: FactOrigin::Inventory, told })
}

fn effective(from: &wire::InventoryEvent) -> Result<Effective, DecodeError> {
    let begins = mandatory(time(from.effective_from, "effective_from")?, "effective_from")?;
    let ends = time(from.effective_until, "effective_until")?;
    Effective::new(begins, ends).in_field("effective_until")
}

fn withdrawal(from: &wire::FactWithdrawn, own: &EventId) -> Result<Withdrawal, DecodeError> {
    const OF: &str = "withdrawn.withdrawn_event_id";
    let of: EventId = required(&from.withdrawn_event_id, OF)?;
    if of == *own {
        return Err(DecodeError::invalid(OF, "event id", "no event withdraws itself", own.as_str()));
    }
    let devices: Vec<DeviceId> = all(&from.device_ids, "withdrawn.device_ids")?;
    let mpxns: Vec<Mpxn> = all(&from.mpxns, "withdrawn.mpxns")?;
    let about = devices.into_iter().map(Named::Device).chain(mpxns.into_iter().map(Named::Mpxn)).collect();
    Withdrawal::new(of, about).in_field("withdrawn.device_ids and withdrawn.mpxns")
}

fn fact(from: &Body) -> Result<InventoryFact, DecodeError> {
    Ok(match from {
        Body::Device(device) => InventoryFact::Device {
            device: required(&device.device_id, "device.device_id")?,
            details: details(device)?,
        },
        Body::DeviceRemoved(removed) => {
            InventoryFact::DeviceRemoved { device: required(&removed.device_id, "device_removed.device_id")? }
        }
        Body::SmiStatus(changed) => {
            let status = enumeration(changed.status, SmiStatus::from_number, "smi_status.status")?;
            InventoryFact::SmiStatus {
                device: required(&changed.device_id, "smi_status.device_id")?,
                status: Some(mandatory(status, "smi_status.status")?),
            }
        }
        Body::Installed(installed) => InventoryFact::Installation {
            device: required(&installed.device_id, "installed.device_id")?,
            mpxn: required(&installed.mpxn, "installed.mpxn")?,
            installed: true,
        },
        Body::Uninstalled(uninstalled) => InventoryFact::Installation {
            device: required(&uninstalled.device_id, "uninstalled.device_id")?,
            mpxn: required(&uninstalled.mpxn, "uninstalled.mpxn")?,
            installed: false,
        },
        Body::AssociationAdded(added) => association(
            required(&added.device_id, "association_added.device_id")?,
            (&added.with_device_id, "association_added.with_device_id"),
            true,
        )?,
        Body::AssociationRemoved(removed) => association(
            required(&removed.device_id, "association_removed.device_id")?,
            (&removed.with_device_id, "association_removed.with_device_id"),
            false,
        )?,
        Body::HubRegion(changed) => {
            let region = enumeration(changed.csp_region, CspRegion::from_number, "hub_region.csp_region")?;
            InventoryFact::Region {
                hub: required(&changed.device_id, "hub_region.device_id")?,
                region: mandatory(region, "hub_region.csp_region")?,
            }
        }
        Body::Registration(changed) => InventoryFact::Registration {
            mpxn: required(&changed.mpxn, "registration.mpxn")?,
            data: registration(changed)?,
        },
        Body::HubStatus(changed) => InventoryFact::Hub {
            hub: required(&changed.device_id, "hub_status.device_id")?,
            fields: hub_fields(changed)?,
        },
        // The one body that is no fact; `event` takes it.
        Body::Withdrawn(_) => {
            return Err(DecodeError::Missing { field: "body", rule: "a withdrawal tells no fact" });
        }
    })
}

fn association(
    device: DeviceId,
    with: (&str, &'static str),
    associated: bool,
) -> Result<InventoryFact, DecodeError> {
    let (text, field) = with;
    let with: DeviceId = required(text, field)?;
    if with == device {
        return Err(DecodeError::invalid(field, "Device ID", "no Device is Associated with itself", with));
    }
    Ok(InventoryFact::Association { device, with, associated })
}

fn details(from: &wire::DeviceChanged) -> Result<DeviceDetails, DecodeError> {
    Ok(DeviceDetails {
        device_type: enumeration(from.device_type, DeviceType::from_number, "device.device_type")?,
        manufacturer: optional(&from.manufacturer, "device.manufacturer")?,
        model: optional(&from.model, "device.model")?,
        esme_variant: optional(&from.esme_variant, "device.esme_variant")?,
        smets_chts_version: optional(&from.smets_chts_version, "device.smets_chts_version")?,
        wan_technology_type: optional(&from.wan_technology_type, "device.wan_technology_type")?,
        firmware_version: optional(&from.firmware_version, "device.firmware_version")?,
        han_variant: optional(&from.han_variant, "device.han_variant")?,
    })
}

fn registration(from: &wire::RegistrationChanged) -> Result<Registration, DecodeError> {
    const WITHOUT: &str = "registration.without";
    let is_field = |number: &i32| Field::try_from(*number).is_ok_and(|field| field != Field::Unspecified);
    let without: Vec<i32> = from.without.iter().copied().filter(|number| *number != 0).collect();
    if let Some(unknown) = without.iter().find(|number| !is_field(number)) {
        let rule = "one of the values that the contract lists";
        return Err(DecodeError::invalid(WITHOUT, "enum value", rule, unknown));
    }
    let without = |field: Field| without.contains(&i32::from(field));
    let data = Registration {
        uprn: said(&from.uprn, "registration.uprn", without(Field::Uprn))?,
        first_line: unquoted(said(
            &from.first_line_of_address,
            "registration.first_line_of_address",
            without(Field::FirstLineOfAddress),
        ))?,
        postcode: unquoted(said(&from.postcode, "registration.postcode", without(Field::Postcode)))?,
        property: unquoted(said(&from.property, "registration.property", without(Field::Property)))?,
        responsible_supplier: said(
            &from.responsible_supplier,
            "registration.responsible_supplier",
            without(Field::ResponsibleSupplier),
        )?,
        network_party: said(&from.network_party, "registration.network_party", without(Field::NetworkParty))?,
        registered_supplier_agent: said(
            &from.registered_supplier_agent,
            "registration.registered_supplier_agent",
            without(Field::RegisteredSupplierAgent),
        )?,
    };
    if data == Registration::default() {
        let rule = "it names the fields that changed, or in `without` those that have no value any more";
        return Err(DecodeError::Missing { field: "registration", rule });
    }
    Ok(data)
}

fn said<T: FromStr<Err = ParseError>>(
    text: &str,
    field: &'static str,
    without: bool,
) -> Result<FieldChange<T>, DecodeError> {
    match (optional(text, field)?, without) {
        (Some(_), true) => {
            let rule = "a field that `without` names has no value";
            Err(DecodeError::invalid(field, "registration", rule, ""))
        }
        (None, true) => Ok(FieldChange::Cleared),
        (value, false) => Ok(FieldChange::of(value)),
    }
}

/// The same error without the text that was found.
fn unquoted<T>(read: Result<T, DecodeError>) -> Result<T, DecodeError> {
    read.map_err(|error| match error {
        DecodeError::Invalid { field, source } => {
            let found = format!("{} characters", source.found.chars().count());
            DecodeError::Invalid { field, source: ParseError { found, ..source } }
        }
        other => other,
    })
}

fn hub_fields(from: &wire::HubStatusChanged) -> Result<HubFields, DecodeError> {
    let fields = HubFields {
        aerial_installed: from.aerial_installed,
        aerial_type: optional(&from.aerial_type, "hub_status.aerial_type")?,
        birth_event: time(from.birth_event, "hub_status.birth_event")?,
        network_status: optional(&from.network_status, "hub_status.network_status")?,
        deactivated_at: time(from.deactivated_at, "hub_status.deactivated_at")?,
        smwan_connectivity_status: optional(
            &from.smwan_connectivity_status,
            "hub_status.smwan_connectivity_status",
        )?,
        han_status: optional(&from.han_status, "hub_status.han_status")?,
        last_connection: time(from.last_connection, "hub_status.last_connection")?,
        last_tamper: time(from.last_tamper, "hub_status.last_tamper")?,
        last_outage: time(from.last_outage, "hub_status.last_outage")?,
        last_restore: time(from.last_restore, "hub_status.last_restore")?,
    };
    if fields == HubFields::default() {
        return Err(DecodeError::Missing { field: "hub_status", rule: "it names the fields that changed" });
    }
    Ok(fields)
}

/// Appends the event as a protobuf `InventoryEvent`. It reads back equal, but for who told it: the contract has inventory events alone.
pub fn encode_inventory_protobuf(event: &InventoryEvent, out: &mut Vec<u8>) {
    put_protobuf(&to_wire(event), out);
}

/// Appends the event as one record of an `.inventory.binpb` file: its length as a varint, then as [`encode_inventory_protobuf`].
pub fn encode_inventory_frame(event: &InventoryEvent, out: &mut Vec<u8>) {
    put_frame(&to_wire(event), out);
}

/// The event as one line of proto3 JSON, without the line break.
pub fn encode_inventory_json(event: &InventoryEvent) -> String {
    // As with service events: the contract has no map, and no time is out of range.
    serde_json::to_string(&to_wire(event)).unwrap_or_default()
}

fn to_wire(event: &InventoryEvent) -> wire::InventoryEvent {
    let mut to = wire::InventoryEvent {
        event_id: event.id.as_str().to_owned(),
        recorded_at: Some(wire_time(event.recorded_at)),
        ..wire::InventoryEvent::default()
    };
    match &event.told {
        InventoryStatement::Fact(stated) => {
            to.effective_from = Some(wire_time(stated.effective.from()));
            to.effective_until = stated.effective.until().map(wire_time);
            to.corrects_event_id =
                stated.corrects.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default();
            to.body = Some(fact_to_wire(&stated.fact));
        }
        InventoryStatement::Withdrawal(withdrawal) => to.body = Some(withdrawal_to_wire(withdrawal)),
    }
    to
}

fn withdrawal_to_wire(withdrawal: &Withdrawal) -> Body {
    let mut to = wire::FactWithdrawn {
        withdrawn_event_id: withdrawal.of.as_str().to_owned(),
        ..wire::FactWithdrawn::default()
    };
    for named in withdrawal.about() {
        match named {
            Named::Device(device) => to.device_ids.push(device.to_string()),
            Named::Mpxn(mpxn) => to.mpxns.push(mpxn.to_string()),
        }
    }
    Body::Withdrawn(to)
}

fn fact_to_wire(fact: &InventoryFact) -> Body {
    match fact {
        InventoryFact::Device { device, details } => Body::Device(device_to_wire(*device, details)),
        InventoryFact::DeviceRemoved { device } => {
            Body::DeviceRemoved(wire::DeviceRemoved { device_id: device.to_string() })
        }
        InventoryFact::SmiStatus { device, status } => Body::SmiStatus(wire::SmiStatusChanged {
            device_id: device.to_string(),
            status: status.map_or(0, |status| status.number().into()),
        }),
        InventoryFact::Installation { device, mpxn, installed } => {
            let (device_id, mpxn) = (device.to_string(), mpxn.to_string());
            if *installed {
                Body::Installed(wire::DeviceInstalled { device_id, mpxn })
            } else {
                Body::Uninstalled(wire::DeviceUninstalled { device_id, mpxn })
            }
        }
        InventoryFact::Association { device, with, associated } => {
            let (device_id, with_device_id) = (device.to_string(), with.to_string());
            if *associated {
                Body::AssociationAdded(wire::AssociationAdded { device_id, with_device_id })
            } else {
                Body::AssociationRemoved(wire::AssociationRemoved { device_id, with_device_id })
            }
        }
        InventoryFact::Region { hub, region } => Body::HubRegion(wire::HubRegionChanged {
            device_id: hub.to_string(),
            csp_region: region.number().into(),
        }),
        InventoryFact::Registration { mpxn, data } => Body::Registration(registration_to_wire(*mpxn, data)),
        InventoryFact::Hub { hub, fields } => Body::HubStatus(hub_to_wire(*hub, fields)),
    }
}

/// Absent texts are empty on the wire.
fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn device_to_wire(device: DeviceId, details: &DeviceDetails) -> wire::DeviceChanged {
    wire::DeviceChanged {
        device_id: device.to_string(),
        device_type: details.device_type.map_or(0, |of| of.number().into()),
        manufacturer: text(details.manufacturer.as_ref()),
        model: text(details.model.as_ref()),
        esme_variant: text(details.esme_variant.as_ref()),
        smets_chts_version: text(details.smets_chts_version.as_ref()),
        wan_technology_type: text(details.wan_technology_type.as_ref()),
        firmware_version: text(details.firmware_version.as_ref()),
        han_variant: text(details.han_variant.as_ref()),
    }
}

fn registration_to_wire(mpxn: Mpxn, data: &Registration) -> wire::RegistrationChanged {
    let without = [
        (data.uprn == FieldChange::Cleared, Field::Uprn),
        (data.first_line == FieldChange::Cleared, Field::FirstLineOfAddress),
        (data.postcode == FieldChange::Cleared, Field::Postcode),
        (data.property == FieldChange::Cleared, Field::Property),
        (data.responsible_supplier == FieldChange::Cleared, Field::ResponsibleSupplier),
        (data.network_party == FieldChange::Cleared, Field::NetworkParty),
        (data.registered_supplier_agent == FieldChange::Cleared, Field::RegisteredSupplierAgent),
    ];
    wire::RegistrationChanged {
        mpxn: mpxn.to_string(),
        uprn: text(data.uprn.value()),
        first_line_of_address: text(data.first_line.value()),
        postcode: text(data.postcode.value()),
        property: text(data.property.value()),
        responsible_supplier: text(data.responsible_supplier.value()),
        network_party: text(data.network_party.value()),
        registered_supplier_agent: text(data.registered_supplier_agent.value()),
        without: without.into_iter().filter(|(is_none, _)| *is_none).map(|(_, field)| field.into()).collect(),
    }
}

fn hub_to_wire(hub: DeviceId, fields: &HubFields) -> wire::HubStatusChanged {
    wire::HubStatusChanged {
        device_id: hub.to_string(),
        aerial_installed: fields.aerial_installed,
        aerial_type: text(fields.aerial_type.as_ref()),
        birth_event: fields.birth_event.map(wire_time),
        network_status: text(fields.network_status.as_ref()),
        deactivated_at: fields.deactivated_at.map(wire_time),
        smwan_connectivity_status: text(fields.smwan_connectivity_status.as_ref()),
        han_status: text(fields.han_status.as_ref()),
        last_connection: fields.last_connection.map(wire_time),
        last_tamper: fields.last_tamper.map(wire_time),
        last_outage: fields.last_outage.map(wire_time),
        last_restore: fields.last_restore.map(wire_time),
    }
}
