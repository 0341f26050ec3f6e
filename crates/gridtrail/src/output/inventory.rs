//! Devices of the inventory, as UC_Inventory_001 and UC_Inventory_002 list their fields.

use super::trails::completeness;
use super::{Grid, count_of, printable, proto3, table_with, write};
use crate::args::ListFormat;
use crate::client::time;
use crate::exit::Failure;
use gridtrail_proto::query::v1::{
    AssociatedDevice, DeviceGroup, DevicePremises, DeviceWithGroups, GetDeviceResponse, GroupedDevice,
    InventoryDevice, InventorySearchResponse, ListedDevice,
};
use std::io::Write;

/// Writes the answer of a search.
///
/// Errors: the writer's.
pub(crate) fn write_listed(
    out: &mut impl Write,
    answer: &InventorySearchResponse,
    format: ListFormat,
) -> Result<(), Failure> {
    let table = match format {
        ListFormat::Json => return proto3::write_json(out, answer),
        ListFormat::Csv => return proto3::write_csv(out, &answer.devices),
        ListFormat::Table if answer.devices.is_empty() => String::new(),
        ListFormat::Table => format!("{}\n", table_of(&answer.devices)),
    };
    let footer = Footer {
        count: answer.devices.len(),
        complete_up_to: answer.complete_up_to,
        premises_matched: answer.premises_matched,
        left_out: answer.not_commissioned_left_out,
        next: &answer.next_page_token,
    };
    write(out, (table + &footer.text()).as_bytes())
}

/// Writes the answer of a call for Devices.
///
/// Errors: the writer's.
pub(crate) fn write_devices(
    out: &mut impl Write,
    answer: &GetDeviceResponse,
    format: ListFormat,
) -> Result<(), Failure> {
    let printed = match format {
        ListFormat::Json => return proto3::write_json(out, answer),
        ListFormat::Csv => return proto3::write_csv(out, &answer.devices),
        ListFormat::Table => answer.devices.iter().map(whole).collect::<String>(),
    };
    let footer = Footer {
        count: answer.devices.len(),
        complete_up_to: answer.complete_up_to,
        premises_matched: answer.premises_matched,
        left_out: answer.not_commissioned_left_out,
        next: &answer.next_page_token,
    };
    write(out, (printed + &footer.text()).as_bytes())
}

/// The table of results of UC_Inventory_001, one line a Device.
fn table_of(devices: &[ListedDevice]) -> Grid {
    let mut table = table_with(&[
        "Device ID",
        "Device Type",
        "SMI Status",
        "MPxN",
        "First line of address",
        "Property",
        "Postcode",
        "UPRN",
        "Found through",
    ]);
    for device in devices {
        let column = |of: fn(&DevicePremises) -> &String| joined(device.premises.iter().map(of));
        table.add_row([
            device.device_id.clone(),
            device.device_type.clone(),
            device.smi_status.clone(),
            column(|premises| &premises.mpxn),
            column(|premises| &premises.first_line_of_address),
            column(|premises| &premises.property),
            column(|premises| &premises.postcode),
            column(|premises| &premises.uprn),
            device.found_through_device_id.clone(),
        ]);
    }
    table
}

/// Different texts, each once, in the order in which they come.
fn joined<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        let text = printable(text);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join("; ")
}

/// A Device and those around it, each field on a line.
fn whole(found: &DeviceWithGroups) -> String {
    let device = found.device.clone().unwrap_or_default();
    let mut printed = format!("Device {}\n", device.device_id) + &details_of(&device);
    for GroupedDevice { groups, device } in &found.others {
        let device = device.clone().unwrap_or_default();
        let groups: Vec<&str> = groups.iter().map(|group| group_name(*group)).collect();
        printed.push_str(&format!("\nGroup {}: Device {}\n", groups.join(", "), device.device_id));
        printed.push_str(&details_of(&device));
    }
    printed + "\n"
}

/// The groups of H8.16(a)(i), as the Code numbers them.
fn group_name(group: i32) -> &'static str {
    match DeviceGroup::try_from(group).unwrap_or_default() {
        DeviceGroup::Unspecified => "?",
        DeviceGroup::I => "I",
        DeviceGroup::Ii => "II",
        DeviceGroup::Iii => "III",
        DeviceGroup::Iv => "IV",
    }
}

fn details_of(device: &InventoryDevice) -> String {
    let fields = [
        ("Device Type", &device.device_type),
        ("Description", &device.description),
        ("Manufacturer", &device.manufacturer),
        ("Device Model", &device.device_model),
        ("ESME Variant", &device.esme_variant),
        ("SMETS or CHTS Version", &device.smets_chts_version),
        ("WAN Technology Type", &device.wan_technology_type),
        ("HAN Variant", &device.han_variant),
        ("Firmware Version", &device.firmware_version),
        ("SMI Status", &device.smi_status),
    ];
    let mut lines: Vec<String> = Vec::new();
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<23} {}\n", printable(value)));
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        line(name, value);
    }
    for period in &device.smi_status_history {
        line("  since", &spanned(&period.smi_status, period.from, period.until));
    }
    for region in &device.csp_regions {
        line("CSP Region", &spanned(&region.csp_region, region.from, region.until));
    }
    for premises in &device.premises {
        line("Premises", &where_it_is(premises));
    }
    for (name, related) in [
        ("Associated Device", &device.associated_devices),
        ("Associated with", &device.associated_with_devices),
    ] {
        related.iter().for_each(|related| line(name, &beside(related)));
    }
    lines.concat()
}

/// A value with its time: `2026-03-01T09:00:00.000Z  Commissioned  until ...`.
fn spanned(
    value: &str,
    from: Option<pbjson_types::Timestamp>,
    until: Option<pbjson_types::Timestamp>,
) -> String {
    let until = time(until).map(|until| format!("  until {until}")).unwrap_or_default();
    format!("{}  {value}{until}", time(from).unwrap_or_default())
}

fn where_it_is(premises: &DevicePremises) -> String {
    let uprn = if premises.uprn.is_empty() { String::new() } else { format!("UPRN {}", premises.uprn) };
    let through = if premises.through_device_id.is_empty() {
        String::new()
    } else {
        format!("through {}", premises.through_device_id)
    };
    let parts = [
        &premises.mpxn,
        &premises.property,
        &premises.first_line_of_address,
        &premises.postcode,
        &uprn,
        &through,
    ];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

fn beside(related: &AssociatedDevice) -> String {
    let parts = [&related.device_id, &related.smi_status, &related.description];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}

/// What there is to say about an answer as a whole.
struct Footer<'a> {
    count: usize,
    complete_up_to: Option<pbjson_types::Timestamp>,
    premises_matched: u32,
    left_out: u32,
    next: &'a str,
}

impl Footer<'_> {
    fn text(&self) -> String {
        let mut lines = vec![completeness(&count_of(self.count, "Device"), self.complete_up_to)];
        if self.premises_matched > 1 {
            lines.push(format!("Note: {} premises matched", self.premises_matched));
        }
        if self.left_out > 0 {
            let left_out = count_of(self.left_out as usize, "Device");
            lines.push(format!(
                "Note: {left_out} left out, of an SMI Status that is not Commissioned; --include-not-commissioned shows them"
            ));
        }
        if !self.next.is_empty() {
            lines.push(format!("There is more: --page-token {}", self.next));
        }
        lines.join("\n") + "\n"
    }
}
