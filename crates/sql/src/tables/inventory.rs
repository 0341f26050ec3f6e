//! `inventory_devices` and `inventory_history`: the Smart Metering Inventory as its searches show it (UC_Inventory_002), of the session's snapshot,
//! so as it is known now.
//!
//! By the rules of those searches: Type 2 Devices have no SMI Status, and those that are no In-Home Displays are shown only where the service
//! shows them; nothing of who supplies is there. What is not Commissioned is there, with its status: a condition leaves it out.

use crate::error::InventoryError;
use crate::listed::{ColumnOf, Columns, Open, Rows, schema_of, text, texts, time, times, words, words_of};
use arrow::array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Access;
use gridtrail_lake::Snapshot;
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_search::{InventoryDevice, InventoryRules, InventoryScan, Premises, RelatedDevice};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;

pub(crate) const DEVICES: &str =
    "Smart metering inventory (UC_Inventory_001 and _002): a row a Device, as it is now";
pub(crate) const HISTORY: &str = "Smart metering inventory: a row for each SMI Status and each firmware version that a Device had, and each CSP region that a Communications Hub was in";

pub(crate) static DEVICE_COLUMNS: Columns<InventoryDevice> = &[
    ColumnOf {
        name: "device_id",
        comment: "\"Device ID\": EUI-64",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.device)),
    },
    ColumnOf {
        name: "device_type",
        comment: "\"Device Type\": ESME, GSME, GPF, CHF, HCALCS, PPMID, IHD or CAD",
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
        name: "esme_variant",
        comment: "\"For Electricity Smart Meters, the applicable ESME Variant\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.esme_variant),
    },
    ColumnOf {
        name: "smets_chts_version",
        comment: "\"SMETS Version\"; of a Communications Hub, the version of CHTS",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.smets_chts_version.as_ref()),
    },
    ColumnOf {
        name: "wan_technology_type",
        comment: "\"For Communications Hubs, the WAN Technology Type\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.wan_technology_type.as_ref()),
    },
    ColumnOf {
        name: "firmware_version",
        comment: "\"Firmware Version\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.firmware_version.as_ref()),
    },
    ColumnOf {
        name: "han_variant",
        comment: "The variant of the HAN that a Communications Hub offers",
        kind: words,
        fill: |rows| words_of(rows, |row| row.details.han_variant.as_ref()),
    },
    ColumnOf {
        name: "csp_region",
        comment: "The CSP region in which a Communications Hub is",
        kind: words,
        fill: |rows| {
            words_of(rows, |row| {
                row.regions.last().filter(|last| last.until.is_none()).map(|last| last.region)
            })
        },
    },
    ColumnOf {
        name: "premises",
        comment: "\"MPxN\", \"first line of address\", \"UPRN\", \"full postcode\" of where it is: the first 100, ascending by meter point",
        kind: premises_kind,
        fill: premises,
    },
    ColumnOf {
        name: "associated_device_ids",
        comment: "\"Associated Devices\": those Associated with this one, the first 100, ascending",
        kind: list_of_texts,
        fill: |rows| related(rows, |row| &row.associated),
    },
    ColumnOf {
        name: "associated_with_device_ids",
        comment: "\"Devices with which that Device is Associated\", the first 100, ascending",
        kind: list_of_texts,
        fill: |rows| related(rows, |row| &row.associated_with),
    },
];

/// Something that was so of a Device for a time.
pub(crate) struct Period {
    device: DeviceId,
    field: &'static str,
    value: String,
    from: Timestamp,
    until: Option<Timestamp>,
}

pub(crate) static HISTORY_COLUMNS: Columns<Period> = &[
    ColumnOf {
        name: "device_id",
        comment: "\"Device ID\": EUI-64",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.device)),
    },
    ColumnOf {
        name: "field",
        comment: "SMI Status, Firmware Version, or CSP Region of a Communications Hub",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.field)),
    },
    ColumnOf {
        name: "value",
        comment: "What it was: the newest 100 of each field",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(&row.value)),
    },
    ColumnOf {
        name: "valid_from",
        comment: "Since when",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.from)),
    },
    ColumnOf {
        name: "valid_until",
        comment: "The first instant at which it was no more; NULL: it still is",
        kind: time,
        fill: |rows| times(rows, |row| row.until),
    },
];

impl Period {
    /// All that was so of a Device.
    fn of(device: &InventoryDevice) -> Vec<Self> {
        let period = |field, value: &dyn Display, from, until| Self {
            device: device.device,
            field,
            value: value.to_string(),
            from,
            until,
        };
        let statuses = device.smi_statuses.iter();
        let statuses = statuses.map(|one| period("SMI Status", &one.status, one.from, one.until));
        let regions = device.regions.iter();
        let regions = regions.map(|one| period("CSP Region", &one.region, one.from, one.until));
        let versions = device.firmware_versions.iter();
        let versions = versions.map(|one| period("Firmware Version", &one.version, one.from, one.until));
        statuses.chain(regions).chain(versions).collect()
    }
}

/// A table of the inventory, for whoever keeps a copy of it: its rows are made of Devices as a scan gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InventoryTable {
    /// `inventory_devices`: a row a Device.
    Devices,
    /// `inventory_history`: a row for each thing that was so of a Device for a time.
    History,
}

impl InventoryTable {
    /// Its columns, as statements see them.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Devices => schema_of(DEVICE_COLUMNS),
            Self::History => schema_of(HISTORY_COLUMNS),
        }
    }

    /// Its rows of some Devices, in the order of these.
    ///
    /// Errors: columns that do not fit each other, which is a fault of our own.
    pub fn rows_of(self, devices: &[InventoryDevice]) -> Result<RecordBatch, ArrowError> {
        match self {
            Self::Devices => filled(DEVICE_COLUMNS, devices),
            Self::History => {
                filled(HISTORY_COLUMNS, &devices.iter().flat_map(Period::of).collect::<Vec<_>>())
            }
        }
    }
}

fn filled<T: 'static>(columns: Columns<T>, rows: &[T]) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter().map(|column| (column.fill)(rows)).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema_of(columns), arrays, &options)
}

/// What the Devices of a snapshot are read by.
#[derive(Clone)]
pub(crate) struct InventorySource {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) who: Access,
    pub(crate) rules: InventoryRules,
    /// How much is read at the same time, where that goes by parts.
    pub(crate) parts: NonZeroU32,
}

fn read(source: &InventorySource, of: Option<Arc<BTreeSet<DeviceId>>>) -> Rows<InventoryDevice> {
    let source = source.clone();
    let rows = stream::try_unfold(None, move |scan| {
        let (InventorySource { snapshot, who, rules, .. }, of) = (source.clone(), of.clone());
        async move {
            let mut scan = match (scan, of) {
                (Some(scan), _) => scan,
                (None, Some(devices)) => InventoryScan::of_devices(snapshot, who, rules, (*devices).clone()),
                (None, None) => {
                    InventoryScan::new(snapshot, who, rules).await.map_err(InventoryError::from)?
                }
            };
            let devices = scan.next().await.map_err(InventoryError::from)?;
            Ok::<_, DataFusionError>(devices.map(|devices| (devices, Some(scan))))
        }
    });
    rows.boxed()
}

/// All Devices that searches could show, ascending.
pub(crate) fn open_devices(source: InventorySource) -> Open<InventoryDevice> {
    Arc::new(move || read(&source, None))
}

/// What was so of each, or of some.
pub(crate) fn open_history(source: InventorySource, of: Option<Arc<BTreeSet<DeviceId>>>) -> Open<Period> {
    Arc::new(move || {
        read(&source, of.clone()).map_ok(|devices| devices.iter().flat_map(Period::of).collect()).boxed()
    })
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, false))
}

fn list_of_texts() -> DataType {
    DataType::List(item(text()))
}

fn premises_fields() -> Fields {
    let fields = ["mpxn", "first_line_of_address", "property", "postcode", "uprn", "through_device_id"];
    fields.into_iter().map(|name| Field::new(name, text(), true)).collect()
}

fn premises_kind() -> DataType {
    DataType::List(item(DataType::Struct(premises_fields())))
}

type Filled = Result<ArrayRef, ArrowError>;

fn list(lengths: impl Iterator<Item = usize>, values: ArrayRef) -> Filled {
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item(values.data_type().clone()), offsets, values, None)?))
}

fn related(rows: &[InventoryDevice], of: impl Fn(&InventoryDevice) -> &[RelatedDevice]) -> Filled {
    let devices = rows.iter().flat_map(&of).map(|related| Some(related.device.to_string()));
    let devices: StringArray = devices.collect();
    list(rows.iter().map(|row| of(row).len()), Arc::new(devices))
}

fn premises(rows: &[InventoryDevice]) -> Filled {
    let all: Vec<&Premises> = rows.iter().flat_map(|row| &row.premises).collect();
    let columns = vec![
        texts(&all, |one| Some(one.mpxn))?,
        texts(&all, |one| one.first_line.as_ref())?,
        texts(&all, |one| one.property.as_ref())?,
        texts(&all, |one| one.postcode)?,
        texts(&all, |one| one.uprn)?,
        texts(&all, |one| one.through)?,
    ];
    let values = StructArray::try_new_with_length(premises_fields(), columns, None, all.len())?;
    list(rows.iter().map(|row| row.premises.len()), Arc::new(values))
}
