//! The columns of a copy, by the names that the API has for the specification's fields, and how rows fill them.
//!
//! Every type is one that Delta Lake has: times in microseconds, counters of 64 bits as decimals of twenty digits, since its whole numbers have a
//! sign.

use crate::identity::{identity, print};
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, ListArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use gridtrail_access::{Access, Disclosure};
use gridtrail_lake::{Found, View};
use gridtrail_model::{HistoryEntry, Timestamp, Trail};
use std::fmt::Display;
use std::sync::{Arc, LazyLock};

/// What tells a row from all others that are filed at the same time, and stays with it.
pub(crate) const TRAIL_ID: &str = "trail_id";
/// The time that a row is filed under: when its request was received; where that is not known, when its answer was sent.
pub(crate) const PLACED_AT: &str = "placed_at";
/// "Service Request Received Date/Time".
pub(crate) const RECEIVED_AT: &str = "service_request_received_at";

const UTC: &str = "UTC";

/// A row of a copy.
struct Row {
    trail_id: i64,
    placed_at: Timestamp,
    trail: Trail,
}

impl std::ops::Deref for Row {
    type Target = Trail;

    fn deref(&self) -> &Trail {
        &self.trail
    }
}

/// One column: its name, its type, and its values of some rows.
struct Column {
    name: &'static str,
    kind: fn() -> DataType,
    nullable: bool,
    fill: fn(&[Row]) -> Result<ArrayRef, ArrowError>,
}

const fn column(
    name: &'static str,
    kind: fn() -> DataType,
    fill: fn(&[Row]) -> Result<ArrayRef, ArrowError>,
) -> Column {
    Column { name, kind, nullable: true, fill }
}

const fn always(
    name: &'static str,
    kind: fn() -> DataType,
    fill: fn(&[Row]) -> Result<ArrayRef, ArrowError>,
) -> Column {
    Column { name, kind, nullable: false, fill }
}

/// What tells a row of a copy from the others.
const OF_THE_COPY: &[Column] = &[
    always(TRAIL_ID, id, |rows| {
        Ok(Arc::new(rows.iter().map(|row| Some(row.trail_id)).collect::<Int64Array>()))
    }),
    always(PLACED_AT, time, |rows| times(rows, |row| Some(row.placed_at))),
];

/// What UC_MeterRead_001 lists, of which another User's row says no more ([`Trail::into_meter_read`]).
const OF_ALL_ROWS: &[Column] = &[
    always("user_id", text, |rows| texts(rows, |row| Some(row.user_id))),
    column("device_id", text, |rows| texts(rows, |row| row.device_id)),
    column("gbcs_transaction_sequence_number", counter, |rows| {
        counters(rows, |row| row.gbcs_transaction_sequence_number)
    }),
    column("mpxn", text, |rows| texts(rows, |row| row.mpxn)),
    column(RECEIVED_AT, time, |rows| times(rows, |row| row.received_at)),
    column("service_response_sent_at", time, |rows| times(rows, |row| row.sent_at)),
    column("service_reference", text, |rows| texts(rows, |row| row.service_reference())),
    column("service_reference_variant", text, |rows| texts(rows, |row| row.variant)),
    column("service_reference_variant_name", text, |rows| {
        texts(rows, |row| row.variant.and_then(|variant| variant.entry()).map(|entry| entry.name))
    }),
    always("simplified_transaction_status", text, |rows| texts(rows, |row| Some(row.simplified))),
    column("request_id", text, |rows| texts(rows, |row| row.request_id)),
    column("response_id", text, |rows| texts(rows, |row| row.response_id)),
    always("csp_region", text, |rows| texts(rows, |row| Some(row.csp_region))),
    always("mode_of_operation", text, |rows| texts(rows, |row| Some(row.mode))),
    column("preceding_request_id", text, |rows| texts(rows, |row| row.preceding_request_id)),
    column("command_variant", number, |rows| {
        numbers(rows.iter().map(|row| row.command_variant.map(|variant| variant.number().into())))
    }),
    column("response_code", text, |rows| texts(rows, |row| row.response_code)),
    always("current_status", text, |rows| texts(rows, |row| Some(row.current_status))),
    always("anomaly_detection_flag", flag, |rows| flags(rows, |row| row.anomaly_detection_flag)),
    always("status_change_history", history, histories),
];

/// What the audit trail has beside that.
const OF_OWN_ROWS: &[Column] = &[
    column("csp_region_raw", text, |rows| texts(rows, |row| row.csp_region_raw)),
    column("alert_code", text, |rows| texts(rows, |row| row.alert_code)),
    column("dsp_schedule_id", counter, |rows| counters(rows, |row| row.schedule_id)),
    column("execution_at", time, |rows| times(rows, |row| row.execution_at)),
    always("awaiting_request", flag, |rows| flags(rows, |row| row.awaiting_request)),
    always("concerned_device_ids", list_of_texts, |rows| {
        lists(rows.iter().map(|row| row.concerned_devices.first.iter().map(ToString::to_string).collect()))
    }),
    always("concerned_mpxns", list_of_texts, |rows| {
        lists(rows.iter().map(|row| row.concerned_mpxns.first.iter().map(ToString::to_string).collect()))
    }),
    always("disputes", disputed, disputes),
    column("last_recorded_at", time, |rows| times(rows, |row| row.recorded_at_max)),
];

fn columns_of(view: View) -> impl Iterator<Item = &'static Column> {
    let own = match view {
        View::Audit => OF_OWN_ROWS,
        View::MeterReads => &[],
    };
    OF_THE_COPY.iter().chain(OF_ALL_ROWS).chain(own)
}

/// The columns of `audit_trails`.
pub(crate) static AUDIT_TRAILS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::Audit));
/// The columns of `meter_reads`.
pub(crate) static METER_READS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::MeterReads));

fn schema(view: View) -> SchemaRef {
    let field = |column: &Column| Field::new(column.name, (column.kind)(), column.nullable);
    Arc::new(Schema::new(columns_of(view).map(field).collect::<Vec<_>>()))
}

/// Some rows, as far as a caller may see them, in the columns of a view's table.
pub(crate) fn batch((who, view): (&Access, View), rows: &[Found]) -> Result<RecordBatch, ArrowError> {
    let shown = |found: &Found| {
        let whole = Trail::from(&found.fragment);
        let trail = match who.disclosure(found.fragment.key.user) {
            Disclosure::Whole => whole,
            Disclosure::MeterRead => whole.into_meter_read(),
        };
        let trail_id = print(&identity(found.fragment.anchor(), &found.fragment.key));
        Row { trail_id, placed_at: found.placement, trail }
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let rows: Vec<Row> = rows.iter().map(shown).collect();
    let arrays = columns_of(view).map(|column| (column.fill)(&rows));
    let schema = match view {
        View::Audit => &AUDIT_TRAILS,
        View::MeterReads => &METER_READS,
    };
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays.collect::<Result<_, _>>()?, &options)
}

fn text() -> DataType {
    DataType::Utf8
}

fn id() -> DataType {
    DataType::Int64
}

/// As many digits as 64 bits can have.
const COUNTER: (u8, i8) = (20, 0);

fn counter() -> DataType {
    DataType::Decimal128(COUNTER.0, COUNTER.1)
}

fn number() -> DataType {
    DataType::Int32
}

fn flag() -> DataType {
    DataType::Boolean
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

fn item(kind: DataType) -> FieldRef {
    // As Parquet calls it.
    Arc::new(Field::new("element", kind, false))
}

fn list_of_texts() -> DataType {
    DataType::List(item(text()))
}

fn history_fields() -> Fields {
    Fields::from(vec![
        Field::new("at", time(), false),
        Field::new("state", text(), false),
        Field::new("response_code", text(), true),
        Field::new("cause", text(), true),
        Field::new("instruction_number", number(), true),
        Field::new("instruction_total", number(), true),
    ])
}

fn history() -> DataType {
    DataType::List(item(DataType::Struct(history_fields())))
}

fn dispute_fields() -> Fields {
    Fields::from(vec![Field::new("field", text(), false), Field::new("other_claims", list_of_texts(), false)])
}

fn disputed() -> DataType {
    DataType::List(item(DataType::Struct(dispute_fields())))
}

fn texts<T: Display>(rows: &[Row], of: impl Fn(&Row) -> Option<T>) -> Result<ArrayRef, ArrowError> {
    texts_of(rows.iter().map(of))
}

fn texts_of<T: Display>(values: impl Iterator<Item = Option<T>>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(values.map(|value| value.map(|value| value.to_string())).collect::<StringArray>()))
}

fn counters(rows: &[Row], of: impl Fn(&Row) -> Option<u64>) -> Result<ArrayRef, ArrowError> {
    let values = rows.iter().map(|row| of(row).map(i128::from)).collect::<Decimal128Array>();
    Ok(Arc::new(values.with_precision_and_scale(COUNTER.0, COUNTER.1)?))
}

fn numbers(values: impl Iterator<Item = Option<i32>>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(values.collect::<Int32Array>()))
}

fn flags(rows: &[Row], of: impl Fn(&Row) -> bool) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>()))
}

fn times(rows: &[Row], of: impl Fn(&Row) -> Option<Timestamp>) -> Result<ArrayRef, ArrowError> {
    times_of(rows.iter().map(of))
}

fn times_of(values: impl Iterator<Item = Option<Timestamp>>) -> Result<ArrayRef, ArrowError> {
    // The years of a timestamp keep this within 64 bits.
    let micros = values.map(|at| at.map(|at| at.millis() * 1_000)).collect::<TimestampMicrosecondArray>();
    Ok(Arc::new(micros.with_timezone(UTC)))
}

fn list(lengths: impl Iterator<Item = usize>, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item(values.data_type().clone()), offsets, values, None)?))
}

fn lists(rows: impl Iterator<Item = Vec<String>>) -> Result<ArrayRef, ArrowError> {
    let rows: Vec<Vec<String>> = rows.collect();
    let values: StringArray = rows.iter().flatten().map(Some).collect();
    list(rows.iter().map(Vec::len), Arc::new(values))
}

fn histories(rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let entries: Vec<&HistoryEntry> = rows.iter().flat_map(|row| &row.history).collect();
    let entries = || entries.iter();
    let columns = vec![
        times_of(entries().map(|entry| Some(entry.at)))?,
        texts_of(entries().map(|entry| Some(entry.state)))?,
        texts_of(entries().map(|entry| entry.code))?,
        Arc::new(
            entries().map(|entry| entry.cause.as_ref().map(ToString::to_string)).collect::<StringArray>(),
        ) as _,
        numbers(entries().map(|entry| entry.instruction.map(|instruction| instruction.number.into())))?,
        numbers(entries().map(|entry| entry.instruction.map(|instruction| instruction.total.into())))?,
    ];
    let count = rows.iter().map(|row| row.history.len());
    let values = StructArray::try_new_with_length(history_fields(), columns, None, count.clone().sum())?;
    list(count, Arc::new(values))
}

fn disputes(rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let disputes = || rows.iter().flat_map(|row| &row.disputes);
    let columns = vec![
        Arc::new(disputes().map(|dispute| Some(dispute.field)).collect::<StringArray>()) as _,
        lists(disputes().map(|dispute| dispute.others.clone()))?,
    ];
    let count = rows.iter().map(|row| row.disputes.len());
    let values = StructArray::try_new_with_length(dispute_fields(), columns, None, count.clone().sum())?;
    list(count, Arc::new(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every column is of the type that the schema says, also without a row.
    #[test]
    fn columns_are_what_their_schema_says() {
        for view in [View::Audit, View::MeterReads] {
            for column in columns_of(view) {
                let array = (column.fill)(&[]).unwrap();
                assert_eq!(*array.data_type(), (column.kind)(), "{}", column.name);
            }
        }
    }
}
