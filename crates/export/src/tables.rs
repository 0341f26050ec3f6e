//! The tables of a copy.

use crate::columns::{AUDIT_TRAILS, INVENTORY_DEVICES, INVENTORY_HISTORY, METER_READS, TRAIL_ID};
use crate::limits::GROUP_ROWS;
use gridtrail_access::Access;
use gridtrail_lake::View;
use gridtrail_runs::Definition;
use gridtrail_sql::InventoryTable;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fmt;
use std::str::FromStr;

/// A table that can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CopiedTable {
    /// The service audit trail: rows of the User IDs that the copy is for.
    AuditTrails,
    /// Meter reads: of the User IDs that the copy is for, and what is open of those of others.
    MeterReads,
    /// Devices of the Smart Metering Inventory: open to all Users.
    InventoryDevices,
    /// What was so of each of them for a time.
    InventoryHistory,
}

/// What rows of a table are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MadeOf {
    /// Trails, as a view has them.
    Trails(View),
    /// Devices of the inventory.
    Devices(InventoryTable),
}

/// There is no such table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a table that can be copied is audit_trails, meter_reads, inventory_devices or inventory_history")]
pub struct NoSuchTable;

static AUDIT: Definition = Definition { name: "audit_trails", schema: &AUDIT_TRAILS, ..OF_COPIES };
static METERS: Definition = Definition { name: "meter_reads", schema: &METER_READS, ..OF_COPIES };
static DEVICES: Definition =
    Definition { name: "inventory_devices", schema: &INVENTORY_DEVICES, by_month: false, ..OF_COPIES };
static HISTORY: Definition =
    Definition { name: "inventory_history", schema: &INVENTORY_HISTORY, by_month: false, ..OF_COPIES };

/// What is the same of all tables of a copy.
const OF_COPIES: Definition = Definition {
    name: "",
    schema: &AUDIT_TRAILS,
    by_month: true,
    format: 1,
    needs: &[],
    keys: &[],
    layout: properties,
    note: None,
    made_with: Vec::new,
};

impl CopiedTable {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AuditTrails, Self::MeterReads, Self::InventoryDevices, Self::InventoryHistory];

    /// Its name, and that of its folder.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    pub(crate) fn made_of(self) -> MadeOf {
        match self {
            Self::AuditTrails => MadeOf::Trails(View::Audit),
            Self::MeterReads => MadeOf::Trails(View::MeterReads),
            Self::InventoryDevices => MadeOf::Devices(InventoryTable::Devices),
            Self::InventoryHistory => MadeOf::Devices(InventoryTable::History),
        }
    }

    pub(crate) fn definition(self) -> &'static Definition {
        match self {
            Self::AuditTrails => &AUDIT,
            Self::MeterReads => &METERS,
            Self::InventoryDevices => &DEVICES,
            Self::InventoryHistory => &HISTORY,
        }
    }

    /// Whether it has rows of Users beyond the User IDs of an access. Whether such a row is open can change by what comes of quite another row.
    pub(crate) fn has_rows_of_others(self, who: &Access) -> bool {
        self == Self::MeterReads && !who.user_ids().is_all()
    }
}

#[cfg(test)]
impl CopiedTable {
    /// Those whose rows are trails.
    pub(crate) const OF_TRAILS: [Self; 2] = [Self::AuditTrails, Self::MeterReads];
}

impl fmt::Display for CopiedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CopiedTable {
    type Err = NoSuchTable;

    fn from_str(text: &str) -> Result<Self, NoSuchTable> {
        Self::ALL.into_iter().find(|table| table.name() == text).ok_or(NoSuchTable)
    }
}

/// The Parquet settings of files: what every engine reads, and as small as it gets at little cost.
fn properties() -> WriterProperties {
    let trail_id = ColumnPath::from(TRAIL_ID);
    WriterProperties::builder()
        // There is a level 3.
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_dictionary_enabled(trail_id.clone(), false)
        .set_column_encoding(trail_id, Encoding::PLAIN)
        .set_created_by(concat!("gridtrail ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}
