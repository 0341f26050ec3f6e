//! The columns of the tables of rows, by the names that the API has for the specification's fields, and how rows fill them.

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, ListArray, RecordBatch, RecordBatchOptions, StringArray,
    StringDictionaryBuilder, StructArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use gridtrail_access::{Access, Disclosure};
use gridtrail_lake::{Found, View};
use gridtrail_model::{HistoryEntry, Timestamp, Trail};
use std::fmt::Display;
use std::sync::{Arc, LazyLock};

/// "Device ID".
pub(crate) const DEVICE_ID: &str = "device_id";
/// "Service Request Received Date/Time".
pub(crate) const RECEIVED_AT: &str = "service_request_received_at";

/// As a time zone is written that needs no table of zones.
pub(crate) const UTC: &str = "+00:00";

/// One column: its name, its type, and its values of some rows.
struct Column {
    name: &'static str,
    kind: fn() -> DataType,
    nullable: bool,
    fill: fn(&[Trail]) -> Result<ArrayRef, ArrowError>,
}

const fn column(
    name: &'static str,
    kind: fn() -> DataType,
    fill: fn(&[Trail]) -> Result<ArrayRef, ArrowError>,
) -> Column {
    Column { name, kind, nullable: true, fill }
}

const fn always(
    name: &'static str,
    kind: fn() -> DataType,
    fill: fn(&[Trail]) -> Result<ArrayRef, ArrowError>,
) -> Column {
    Column { name, kind, nullable: false, fill }
}

/// What UC_MeterRead_001 lists, of which another User's row says no more ([`Trail::into_meter_read`]).
const OF_ALL_ROWS: &[Column] = &[
    always("user_id", words, |rows| dictionary(rows, |row| Some(row.user_id))),
    column(DEVICE_ID, text, |rows| texts(rows, |row| row.device_id)),
    column("gbcs_transaction_sequence_number", counter, |rows| {
        counters(rows, |row| row.gbcs_transaction_sequence_number)
    }),
    column("mpxn", text, |rows| texts(rows, |row| row.mpxn)),
    column(RECEIVED_AT, time, |rows| times(rows, |row| row.received_at)),
    column("service_response_sent_at", time, |rows| times(rows, |row| row.sent_at)),
    column("service_reference", words, |rows| dictionary(rows, Trail::service_reference)),
    column("service_reference_variant", words, |rows| dictionary(rows, |row| row.variant)),
    column("service_reference_variant_name", words, |rows| {
        dictionary(rows, |row| row.variant.and_then(|variant| variant.entry()).map(|entry| entry.name))
    }),
    always("simplified_transaction_status", words, |rows| dictionary(rows, |row| Some(row.simplified))),
    column("request_id", text, |rows| texts(rows, |row| row.request_id)),
    column("response_id", text, |rows| texts(rows, |row| row.response_id)),
    always("csp_region", words, |rows| dictionary(rows, |row| Some(row.csp_region))),
    always("mode_of_operation", words, |rows| dictionary(rows, |row| Some(row.mode))),
    column("preceding_request_id", text, |rows| texts(rows, |row| row.preceding_request_id)),
    column("command_variant", number, |rows| {
        numbers(rows.iter().map(|row| row.command_variant.map(|variant| variant.number().into())))
    }),
    column("response_code", words, |rows| dictionary(rows, |row| row.response_code)),
    always("current_status", words, |rows| dictionary(rows, |row| Some(row.current_status))),
    always("anomaly_detection_flag", flag, |rows| flags(rows, |row| row.anomaly_detection_flag)),
    always("status_change_history", history, histories),
];

/// What the audit trail has beside that.
const OF_OWN_ROWS: &[Column] = &[
    column("csp_region_raw", words, |rows| dictionary(rows, |row| row.csp_region_raw)),
    column("alert_code", words, |rows| dictionary(rows, |row| row.alert_code)),
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
    OF_ALL_ROWS.iter().chain(own)
}

static AUDIT_TRAILS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::Audit));
static METER_READS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::MeterReads));

fn schema(view: View) -> SchemaRef {
    let field = |column: &Column| Field::new(column.name, (column.kind)(), column.nullable);
    Arc::new(Schema::new(columns_of(view).map(field).collect::<Vec<_>>()))
}

/// The columns of a view's table.
pub(crate) fn schema_of(view: View) -> SchemaRef {
    Arc::clone(match view {
        View::Audit => &AUDIT_TRAILS,
        View::MeterReads => &METER_READS,
    })
}

/// Some rows, as far as a caller may see them, in some columns of a view's table.
pub(crate) fn batch(
    (who, view): (&Access, View),
    rows: &[Found],
    (schema, wanted): (&SchemaRef, &[usize]),
) -> Result<RecordBatch, ArrowError> {
    let shown = |found: &Found| {
        let whole = Trail::from(&found.fragment);
        match who.disclosure(found.fragment.key.user) {
            Disclosure::Whole => whole,
            Disclosure::MeterRead => whole.into_meter_read(),
        }
    };
    let count = rows.len();
    let rows: Vec<Trail> = rows.iter().map(shown).collect();
    let all: Vec<&Column> = columns_of(view).collect();
    let arrays = wanted.iter().filter_map(|number| all.get(*number)).map(|column| (column.fill)(&rows));
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays.collect::<Result<_, _>>()?, &options)
}

fn text() -> DataType {
    DataType::Utf8
}

/// A text of a small set.
fn words() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn counter() -> DataType {
    DataType::UInt64
}

fn number() -> DataType {
    DataType::Int32
}

fn flag() -> DataType {
    DataType::Boolean
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, false))
}

fn list_of_texts() -> DataType {
    DataType::List(item(text()))
}

fn history_fields() -> Fields {
    Fields::from(vec![
        Field::new("at", time(), false),
        Field::new("state", words(), false),
        Field::new("response_code", words(), true),
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

fn texts<T: Display>(rows: &[Trail], of: impl Fn(&Trail) -> Option<T>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(rows.iter().map(|row| of(row).map(|value| value.to_string())).collect::<StringArray>()))
}

fn dictionary<T: Display>(rows: &[Trail], of: impl Fn(&Trail) -> Option<T>) -> Result<ArrayRef, ArrowError> {
    words_of(rows.iter().map(of))
}

fn words_of<T: Display>(values: impl Iterator<Item = Option<T>>) -> Result<ArrayRef, ArrowError> {
    let mut built = StringDictionaryBuilder::<Int32Type>::new();
    for value in values {
        match value {
            Some(value) => drop(built.append(value.to_string())?),
            None => built.append_null(),
        }
    }
    Ok(Arc::new(built.finish()))
}

fn counters(rows: &[Trail], of: impl Fn(&Trail) -> Option<u64>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(rows.iter().map(of).collect::<UInt64Array>()))
}

fn numbers(values: impl Iterator<Item = Option<i32>>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(values.collect::<Int32Array>()))
}

fn flags(rows: &[Trail], of: impl Fn(&Trail) -> bool) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>()))
}

fn times(rows: &[Trail], of: impl Fn(&Trail) -> Option<Timestamp>) -> Result<ArrayRef, ArrowError> {
    times_of(rows.iter().map(of))
}

fn times_of(values: impl Iterator<Item = Option<Timestamp>>) -> Result<ArrayRef, ArrowError> {
    let millis = values.map(|at| at.map(Timestamp::millis)).collect::<TimestampMillisecondArray>();
    Ok(Arc::new(millis.with_timezone(UTC)))
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

fn histories(rows: &[Trail]) -> Result<ArrayRef, ArrowError> {
    let entries: Vec<&HistoryEntry> = rows.iter().flat_map(|row| &row.history).collect();
    let entries = || entries.iter();
    let columns = vec![
        times_of(entries().map(|entry| Some(entry.at)))?,
        words_of(entries().map(|entry| Some(entry.state)))?,
        words_of(entries().map(|entry| entry.code))?,
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

fn disputes(rows: &[Trail]) -> Result<ArrayRef, ArrowError> {
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
