//! From plain Devices of the inventory to messages.

use crate::row::{count, shown, text, wire_time};
use gridtrail_model::DeviceType;
use gridtrail_proto::query::v1;
use gridtrail_search::{
    DeviceWithGroups, Group, GroupedDevice, InventoryDevice, ListedDevice, Premises, RegionPeriod,
    RelatedDevice, StatusPeriod,
};

/// A row of the table of results.
pub(super) fn listed_device(device: &ListedDevice, may_follow_audit_trail: bool) -> v1::ListedDevice {
    v1::ListedDevice {
        device_id: shown(device.device),
        device_type: text(device.device_type),
        smi_status: text(device.smi_status),
        premises: device.premises.iter().map(premises).collect(),
        found_through_device_id: text(device.found_through),
        may_follow_audit_trail,
    }
}

/// A Device, and those around it.
pub(super) fn grouped_device(found: &DeviceWithGroups, may_follow_audit_trail: bool) -> v1::DeviceWithGroups {
    let other = |GroupedDevice { groups, device }: &GroupedDevice| v1::GroupedDevice {
        groups: groups.iter().map(|group| wire_group(*group).into()).collect(),
        device: Some(inventory_device(device, may_follow_audit_trail)),
    };
    v1::DeviceWithGroups {
        device: Some(inventory_device(&found.device, may_follow_audit_trail)),
        others: found.others.iter().map(other).collect(),
    }
}

const fn wire_group(group: Group) -> v1::DeviceGroup {
    match group {
        Group::II => v1::DeviceGroup::Ii,
        Group::III => v1::DeviceGroup::Iii,
        Group::IV => v1::DeviceGroup::Iv,
    }
}

fn inventory_device(device: &InventoryDevice, may_follow_audit_trail: bool) -> v1::InventoryDevice {
    let details = &device.details;
    v1::InventoryDevice {
        device_id: shown(device.device),
        manufacturer: text(details.manufacturer.as_ref()),
        device_model: text(details.model.as_ref()),
        device_type: text(details.device_type),
        description: description(details.device_type),
        esme_variant: text(details.esme_variant),
        smets_chts_version: text(details.smets_chts_version.as_ref()),
        wan_technology_type: text(details.wan_technology_type.as_ref()),
        firmware_version: text(details.firmware_version.as_ref()),
        han_variant: text(details.han_variant.as_ref()),
        csp_regions: device.regions.iter().map(region).collect(),
        premises: device.premises.iter().map(premises).collect(),
        smi_status: text(device.smi_status),
        smi_status_history: device.smi_statuses.iter().map(status).collect(),
        smi_status_history_count: count(device.smi_status_count),
        associated_devices: device.associated.iter().map(related).collect(),
        associated_device_count: count(device.associated_count),
        associated_with_devices: device.associated_with.iter().map(related).collect(),
        associated_with_device_count: count(device.associated_with_count),
        may_follow_audit_trail,
    }
}

fn description(of: Option<DeviceType>) -> String {
    of.map_or("", DeviceType::description).to_owned()
}

fn premises(premises: &Premises) -> v1::DevicePremises {
    v1::DevicePremises {
        mpxn: shown(premises.mpxn),
        first_line_of_address: text(premises.first_line.as_ref()),
        property: text(premises.property.as_ref()),
        postcode: text(premises.postcode),
        uprn: text(premises.uprn),
        through_device_id: text(premises.through),
    }
}

fn region(period: &RegionPeriod) -> v1::DeviceRegion {
    v1::DeviceRegion {
        csp_region: shown(period.region.to_ssi()),
        csp_region_raw: shown(period.region),
        from: Some(wire_time(period.from)),
        until: period.until.map(wire_time),
    }
}

fn status(period: &StatusPeriod) -> v1::SmiStatusPeriod {
    v1::SmiStatusPeriod {
        smi_status: shown(period.status),
        from: Some(wire_time(period.from)),
        until: period.until.map(wire_time),
    }
}

fn related(device: &RelatedDevice) -> v1::AssociatedDevice {
    v1::AssociatedDevice {
        device_id: shown(device.device),
        smi_status: text(device.smi_status),
        description: description(device.device_type),
    }
}
