//! `pertaining_devices` and `unattached_hubs`: the Devices that pertain to the User IDs of a session of reports, as they are now, a row for each Device and User ID.
//!
//! A Device pertains to a User ID that is the Responsible Supplier, the Network Party or the Registered Supplier Agent of a meter point at which
//! it is or at which the Smart Meters are that lead to it. Of other User IDs nothing is said.

use crate::error::InventoryError;
use crate::listed::{ColumnOf, Columns, OpenHolding, text, texts, time, times, words, words_of};
use crate::tables::inventory::InventorySource;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::stream::{self, StreamExt as _};
use gridtrail_search::{
    NoRoom, PertainingDevice, PertainingScan, Reading, Room, UnattachedHub, UnattachedHubScan,
};
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
        fill: |rows| texts(rows, |row| Some(row.device)),
    },
    ColumnOf {
        name: "device_type",
        comment: "\"Device Type\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.device_type),
    },
    ColumnOf {
        name: "smi_status",
        comment: "\"SMI Status\": none of a Type 2 Device",
        kind: words,
        fill: |rows| words_of(rows, |row| row.smi_status),
    },
    ColumnOf {
        name: "smi_status_since",
        comment: "Since when it has that",
        kind: time,
        fill: |rows| times(rows, |row| row.smi_status_since),
    },
    ColumnOf {
        name: "commissioned_at",
        comment: "When it was first Commissioned, as far as its history goes back",
        kind: time,
        fill: |rows| times(rows, |row| row.commissioned_at),
    },
    ColumnOf {
        name: "manufacturer",
        comment: "\"Manufacturer\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.manufacturer.as_ref()),
    },
    ColumnOf {
        name: "device_model",
        comment: "\"Device Model\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.model.as_ref()),
    },
    ColumnOf {
        name: "firmware_version",
        comment: "\"Firmware Version\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.firmware_version.as_ref()),
    },
    ColumnOf {
        name: "smets_chts_version",
        comment: "\"SMETS Version\"; of a Communications Hub, the version of CHTS",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.smets_chts_version.as_ref()),
    },
    ColumnOf {
        name: "esme_variant",
        comment: "ESME Variant",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.esme_variant),
    },
    ColumnOf {
        name: "csp_region",
        comment: "The CSP region in which a Communications Hub is",
        kind: words,
        fill: |rows| words_of(rows, |row| row.region),
    },
    ColumnOf {
        name: "mpxns",
        comment: "The meter points at which it is, or to which the Smart Meters lead, the first 100, ascending, with spaces between",
        kind: text,
        fill: |rows| texts(rows, |row| Some(joined(&row.mpxns, " "))),
    },
    ColumnOf {
        name: "hub_device_id",
        comment: "The Communications Hub that it is Associated with, either way round; of several the first",
        kind: text,
        fill: |rows| texts(rows, |row| row.hub),
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
        fill: |rows| texts(rows, |row| Some(row.hub.device)),
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
        fill: |rows| words_of(rows, |row| row.hub.smi_status),
    },
    ColumnOf {
        name: "smi_status_since",
        comment: "Since when it has that",
        kind: time,
        fill: |rows| times(rows, |row| row.hub.smi_status_since),
    },
    ColumnOf {
        name: "commissioned_at",
        comment: "When it was first Commissioned, as far as its history goes back",
        kind: time,
        fill: |rows| times(rows, |row| row.hub.commissioned_at),
    },
    ColumnOf {
        name: "device_model",
        comment: "\"Device Model\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.details.model.as_ref()),
    },
    ColumnOf {
        name: "firmware_version",
        comment: "\"Firmware Version\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.details.firmware_version.as_ref()),
    },
    ColumnOf {
        name: "han_variant",
        comment: "The variant of the HAN that it offers",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.details.han_variant.as_ref()),
    },
    ColumnOf {
        name: "wan_technology_type",
        comment: "WAN Technology Type",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.details.wan_technology_type.as_ref()),
    },
    ColumnOf {
        name: "csp_region",
        comment: "The CSP region in which it is",
        kind: words,
        fill: |rows| words_of(rows, |row| row.hub.region),
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

/// What a scan of all that pertains to the caller holds of the memory of its statement.
struct Held(MemoryReservation);

impl Room for Held {
    fn hold(&self, bytes: usize) -> Result<(), NoRoom> {
        self.0.try_resize(bytes).map_err(|_| NoRoom)
    }
}

fn reading(source: &InventorySource, held: MemoryReservation) -> Reading {
    Reading { at_once: source.parts, room: Arc::new(Held(held)) }
}

/// All hubs without Devices that pertain to the caller.
pub(crate) fn open_hubs(source: InventorySource) -> OpenHolding<UnattachedHub> {
    Arc::new(move |held| {
        let reading = reading(&source, held);
        let InventorySource { snapshot, who, rules, .. } = source.clone();
        let scan = UnattachedHubScan::new(snapshot, who, rules, reading);
        let rows = stream::try_unfold(scan, |mut scan| async move {
            let hubs = scan.next().await.map_err(InventoryError::from)?;
            Ok(hubs.map(|hubs| (hubs, scan)))
        });
        rows.boxed()
    })
}

/// All Devices that pertain to the caller.
pub(crate) fn open(source: InventorySource) -> OpenHolding<PertainingDevice> {
    Arc::new(move |held| {
        let reading = reading(&source, held);
        let InventorySource { snapshot, who, rules, .. } = source.clone();
        let scan = PertainingScan::new(snapshot, who, rules, reading);
        let rows = stream::try_unfold(scan, |mut scan| async move {
            let devices = scan.next().await.map_err(InventoryError::from)?;
            Ok(devices.map(|devices| (devices, scan)))
        });
        rows.boxed()
    })
}

fn joined(values: impl IntoIterator<Item = impl Display>, between: &str) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(between)
}
