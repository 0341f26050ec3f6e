//! `pertaining_devices` and `unattached_hubs`: the Devices that pertain to the User IDs of a session of reports, as they are now, a row for each Device and User ID.
//!
//! A Device pertains to a User ID that is the Responsible Supplier, the Network Party or the Registered Supplier Agent of a meter point at which
//! it is or at which the Smart Meters are that lead to it. Of other User IDs nothing is said.

use crate::error::InventoryError;
use crate::listed::{ColumnOf, Columns, Open, text, texts, time, times, words, words_of};
use crate::tables::inventory::InventorySource;
use futures::stream::{self, StreamExt as _};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, SmiStatus, Timestamp};
use gridtrail_search::{InventoryScan, PertainingDevice, UnattachedHub};
use std::fmt::Display;
use std::sync::Arc;

pub(crate) const COMMENT: &str =
    "Devices that pertain to the caller's User IDs now: a row a Device and User ID";

pub(crate) static COLUMNS: Columns<PertainingDevice> = &[
    ColumnOf {
        name: "user_id",
        comment: "The User ID that it pertains to",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.user)),
    },
    ColumnOf {
        name: "pertains_as",
        comment: "As what: Responsible Supplier, Network Party, Registered Supplier Agent",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(joined(&row.capacities, ", "))),
    },
    ColumnOf {
        name: "device_id",
        comment: "\"Device ID\": EUI-64",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.device.device)),
    },
    ColumnOf {
        name: "device_type",
        comment: "\"Device Type\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.details.device_type),
    },
    ColumnOf {
        name: "smi_status",
        comment: "\"SMI Status\": none of a Type 2 Device",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.smi_status),
    },
    ColumnOf {
        name: "smi_status_since",
        comment: "Since when it has that",
        kind: time,
        fill: |rows| times(rows, |row| row.device.smi_statuses.last().map(|last| last.from)),
    },
    ColumnOf {
        name: "commissioned_at",
        comment: "When it was first Commissioned, as far as its history goes back",
        kind: time,
        fill: |rows| times(rows, commissioned_at),
    },
    ColumnOf {
        name: "manufacturer",
        comment: "\"Manufacturer\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.details.manufacturer.as_ref()),
    },
    ColumnOf {
        name: "device_model",
        comment: "\"Device Model\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.details.model.as_ref()),
    },
    ColumnOf {
        name: "firmware_version",
        comment: "\"Firmware Version\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.details.firmware_version.as_ref()),
    },
    ColumnOf {
        name: "smets_chts_version",
        comment: "\"SMETS Version\"; of a Communications Hub, the version of CHTS",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.details.smets_chts_version.as_ref()),
    },
    ColumnOf {
        name: "esme_variant",
        comment: "ESME Variant",
        kind: words,
        fill: |rows| words_of(rows, |row| row.device.details.esme_variant),
    },
    ColumnOf {
        name: "csp_region",
        comment: "The CSP region in which a Communications Hub is",
        kind: words,
        fill: |rows| words_of(rows, region_of),
    },
    ColumnOf {
        name: "mpxns",
        comment: "The meter points at which it is, or to which the Smart Meters lead, the first 100, ascending, with spaces between",
        kind: text,
        fill: |rows| {
            texts(rows, |row| Some(joined(row.device.premises.iter().map(|premises| premises.mpxn), " ")))
        },
    },
    ColumnOf {
        name: "hub_device_id",
        comment: "The Communications Hub that it is Associated with, either way round; of several the first",
        kind: text,
        fill: |rows| texts(rows, hub_of),
    },
];

pub(crate) const HUBS: &str =
    "Communications Hubs without Devices that pertain to the caller's User IDs: a row a hub and User ID";

pub(crate) static HUB_COLUMNS: Columns<UnattachedHub> = &[
    ColumnOf {
        name: "user_id",
        comment: "The User ID that it pertains to",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.hub.user)),
    },
    ColumnOf {
        name: "pertains_as",
        comment: "As what its last Devices do: Responsible Supplier, Network Party, Registered Supplier Agent",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(joined(&row.hub.capacities, ", "))),
    },
    ColumnOf {
        name: "device_id",
        comment: "\"Device ID\": EUI-64",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.hub.device.device)),
    },
    ColumnOf {
        name: "gas_proxy_device_id",
        comment: "Its Gas Proxy Function, where that is Associated with it still",
        kind: text,
        fill: |rows| texts(rows, |row| row.gas_proxy),
    },
    ColumnOf {
        name: "smi_status",
        comment: "\"SMI Status\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.device.smi_status),
    },
    ColumnOf {
        name: "smi_status_since",
        comment: "Since when it has that",
        kind: time,
        fill: |rows| times(rows, |row| row.hub.device.smi_statuses.last().map(|last| last.from)),
    },
    ColumnOf {
        name: "commissioned_at",
        comment: "When it was first Commissioned, as far as its history goes back",
        kind: time,
        fill: |rows| times(rows, |row| commissioned_at(&row.hub)),
    },
    ColumnOf {
        name: "device_model",
        comment: "\"Device Model\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.device.details.model.as_ref()),
    },
    ColumnOf {
        name: "firmware_version",
        comment: "\"Firmware Version\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.device.details.firmware_version.as_ref()),
    },
    ColumnOf {
        name: "han_variant",
        comment: "The variant of the HAN that it offers",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.device.details.han_variant.as_ref()),
    },
    ColumnOf {
        name: "wan_technology_type",
        comment: "WAN Technology Type",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.device.details.wan_technology_type.as_ref()),
    },
    ColumnOf {
        name: "csp_region",
        comment: "The CSP region in which it is",
        kind: words,
        fill: |rows| words_of(rows, |row| region_of(&row.hub)),
    },
    ColumnOf {
        name: "unattached_since",
        comment: "Since when it has no Device",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.since)),
    },
    ColumnOf {
        name: "last_device_ids",
        comment: "The Devices that it had last, ascending, with spaces between",
        kind: text,
        fill: |rows| texts(rows, |row| Some(joined(&row.last_devices, " "))),
    },
];

/// All hubs without Devices that pertain to the caller.
pub(crate) fn open_hubs(source: InventorySource) -> Open<UnattachedHub> {
    Arc::new(move || {
        let source = source.clone();
        let rows = stream::try_unfold(None, move |scan| {
            let InventorySource { snapshot, who, rules } = source.clone();
            async move {
                let mut scan = match scan {
                    Some(scan) => scan,
                    None => InventoryScan::new(snapshot, who, rules).await.map_err(InventoryError::from)?,
                };
                let hubs = scan.next_unattached_hubs().await.map_err(InventoryError::from)?;
                Ok(hubs.map(|hubs| (hubs, Some(scan))))
            }
        });
        rows.boxed()
    })
}

/// All Devices that pertain to the caller.
pub(crate) fn open(source: InventorySource) -> Open<PertainingDevice> {
    Arc::new(move || {
        let source = source.clone();
        let rows = stream::try_unfold(None, move |scan| {
            let InventorySource { snapshot, who, rules } = source.clone();
            async move {
                let mut scan = match scan {
                    Some(scan) => scan,
                    None => InventoryScan::new(snapshot, who, rules).await.map_err(InventoryError::from)?,
                };
                let devices = scan.next_pertaining().await.map_err(InventoryError::from)?;
                Ok(devices.map(|devices| (devices, Some(scan))))
            }
        });
        rows.boxed()
    })
}

fn joined(values: impl IntoIterator<Item = impl Display>, between: &str) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(between)
}

fn region_of(row: &PertainingDevice) -> Option<CspRegion> {
    row.device.regions.last().filter(|last| last.until.is_none()).map(|last| last.region)
}

fn commissioned_at(row: &PertainingDevice) -> Option<Timestamp> {
    let statuses = row.device.smi_statuses.iter();
    statuses.filter(|period| period.status == SmiStatus::Commissioned).map(|period| period.from).min()
}

fn hub_of(row: &PertainingDevice) -> Option<DeviceId> {
    let related = row.device.associated.iter().chain(&row.device.associated_with);
    related.filter(|other| other.device_type == Some(DeviceType::Chf)).map(|hub| hub.device).min()
}
