//! The columns of a copy, by the names that the API has for the specification's fields: those of SQL, each of a type that Delta Lake has.
//!
//! Words have no dictionary, times are in microseconds, and counters of 64 bits are decimals of twenty digits, since its whole numbers have a
//! sign.

use crate::identity::{identity, print};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use gridtrail_access::{Access, Disclosure};
use gridtrail_lake::{Found, TrailField, View};
use gridtrail_model::Trail;
use gridtrail_search::InventoryDevice;
use gridtrail_sql::InventoryTable;
use std::sync::{Arc, LazyLock};

/// What tells a row from all others that are filed at the same time, and stays with it.
pub(crate) const TRAIL_ID: &str = "trail_id";
/// The time that a row is filed under: when its request was received; where that is not known, when its answer was sent.
pub(crate) const PLACED_AT: &str = "placed_at";
/// "Service Request Received Date/Time".
pub(crate) const RECEIVED_AT: &str = TrailField::ReceivedAt.name();

const UTC: &str = "UTC";
/// As many digits as 64 bits can have.
const COUNTER: DataType = DataType::Decimal128(20, 0);

/// "Device ID", by which the tables of the inventory are sorted.
pub(crate) const DEVICE_ID: &str = "device_id";

/// The columns of `audit_trails`.
pub(crate) static AUDIT_TRAILS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::Audit));
/// The columns of `meter_reads`.
pub(crate) static METER_READS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::MeterReads));

/// The columns of `inventory_devices`.
pub(crate) static INVENTORY_DEVICES: LazyLock<SchemaRef> =
    LazyLock::new(|| inventory(InventoryTable::Devices));
/// The columns of `inventory_history`.
pub(crate) static INVENTORY_HISTORY: LazyLock<SchemaRef> =
    LazyLock::new(|| inventory(InventoryTable::History));

fn inventory(table: InventoryTable) -> SchemaRef {
    let schema = table.schema();
    let field = |of: &Field| Field::new(of.name(), plain(of.data_type()), of.is_nullable());
    Arc::new(Schema::new(schema.fields().iter().map(|of| field(of)).collect::<Vec<_>>()))
}

fn schema(view: View) -> SchemaRef {
    let of_the_copy =
        [Field::new(TRAIL_ID, DataType::Int64, false), Field::new(PLACED_AT, time(), false)].into_iter();
    let field = |field: TrailField| Field::new(field.name(), plain(&field.kind()), field.is_nullable());
    Arc::new(Schema::new(of_the_copy.chain(TrailField::of_view(view).map(field)).collect::<Vec<_>>()))
}

/// The type that a copy has for one of SQL.
fn plain(kind: &DataType) -> DataType {
    let field = |name: &str, of: &Field| Field::new(name, plain(of.data_type()), of.is_nullable());
    match kind {
        DataType::Dictionary(_, words) => plain(words),
        DataType::Timestamp(..) => time(),
        DataType::UInt64 => COUNTER,
        // As Parquet calls it.
        DataType::List(of) => DataType::List(Arc::new(field("element", of))),
        DataType::Struct(of) => {
            DataType::Struct(of.iter().map(|of| field(of.name(), of)).collect::<Fields>())
        }
        other => other.clone(),
    }
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// Some rows, as far as a caller may see them, in the columns of a view's table.
pub(crate) fn batch((who, view): (&Access, View), rows: &[Found]) -> Result<RecordBatch, ArrowError> {
    let shown = |found: &Found| {
        let whole = Trail::from(&found.fragment);
        match who.disclosure(found.fragment.key.user) {
            Disclosure::Whole => whole,
            Disclosure::MeterRead => whole.into_meter_read(),
        }
    };
    let trails: Vec<Trail> = rows.iter().map(shown).collect();
    let id = |found: &Found| print(&identity(found.fragment.anchor(), &found.fragment.key));
    let ids: Int64Array = rows.iter().map(|found| Some(id(found))).collect();
    let placed: TimestampMillisecondArray = rows.iter().map(|found| Some(found.placement.millis())).collect();
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(placed.with_timezone(UTC))];
    for field in TrailField::of_view(view) {
        arrays.push(field.of_trails(&trails)?);
    }
    let schema = match view {
        View::Audit => &AUDIT_TRAILS,
        View::MeterReads => &METER_READS,
    };
    as_plain(&arrays, schema, rows.len())
}

/// Some Devices in the columns of a table of the inventory.
pub(crate) fn of_devices(
    table: InventoryTable,
    devices: &[InventoryDevice],
) -> Result<RecordBatch, ArrowError> {
    let schema = match table {
        InventoryTable::Devices => &INVENTORY_DEVICES,
        InventoryTable::History => &INVENTORY_HISTORY,
    };
    let rows = table.rows_of(devices)?;
    as_plain(rows.columns(), schema, rows.num_rows())
}

fn as_plain(arrays: &[ArrayRef], schema: &SchemaRef, rows: usize) -> Result<RecordBatch, ArrowError> {
    // A value that does not fit is an error, and no NULL.
    let fitting = CastOptions { safe: false, ..CastOptions::default() };
    let plain = arrays.iter().zip(schema.fields());
    let plain = plain.map(|(array, field)| cast_with_options(array, field.data_type(), &fitting));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), plain.collect::<Result<_, _>>()?, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type of SQL has one of a copy, in lists and structs as well.
    #[test]
    fn types_are_those_that_delta_lake_has() {
        fn held(kind: &DataType) -> bool {
            match kind {
                DataType::List(of) => held(of.data_type()),
                DataType::Struct(of) => of.iter().all(|of| held(of.data_type())),
                DataType::Boolean | DataType::Int32 | DataType::Int64 | DataType::Utf8 => true,
                other => *other == time() || *other == COUNTER,
            }
        }
        let of_trails = AUDIT_TRAILS.fields().iter().chain(METER_READS.fields());
        for field in of_trails.chain(INVENTORY_DEVICES.fields()).chain(INVENTORY_HISTORY.fields()) {
            assert!(held(field.data_type()), "{field}");
        }
        for table in [InventoryTable::Devices, InventoryTable::History] {
            let rows = of_devices(table, &[]).unwrap();
            assert_eq!(rows.schema().field(0).name(), DEVICE_ID);
        }
        for schema in [&AUDIT_TRAILS, &METER_READS] {
            let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
            assert_eq!(names[..3], [TRAIL_ID, PLACED_AT, "user_id"]);
        }
    }
}
