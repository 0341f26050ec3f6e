//! The fields of a trail as columns: what each is called by code, of what type its column is, and its values of some rows.

use crate::read::query::View;
use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, ListArray, StringArray, StringDictionaryBuilder, StructArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int32Type, TimeUnit};
use arrow::error::ArrowError;
use gridtrail_model::{HistoryEntry, Timestamp, Trail};
use std::fmt::Display;
use std::sync::Arc;

/// As a time zone is written that needs no table of zones.
pub const UTC: &str = "+00:00";

/// A field of a trail, as UC_ServiceAudit_001 and UC_MeterRead_001 list them: up to the history what both do, then what the audit trail has
/// beside that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is called as the field of a trail is")]
pub enum TrailField {
    UserId,
    DeviceId,
    GbcsTransactionSequenceNumber,
    Mpxn,
    ReceivedAt,
    SentAt,
    ServiceReference,
    Variant,
    VariantName,
    Simplified,
    RequestId,
    ResponseId,
    CspRegion,
    Mode,
    PrecedingRequestId,
    CommandVariant,
    ResponseCode,
    CurrentStatus,
    AnomalyDetectionFlag,
    History,
    CspRegionRaw,
    AlertCode,
    ScheduleId,
    ExecutionAt,
    AwaitingRequest,
    ConcernedDevices,
    ConcernedMpxns,
    Disputes,
    LastRecordedAt,
}

impl TrailField {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::UserId,
        Self::DeviceId,
        Self::GbcsTransactionSequenceNumber,
        Self::Mpxn,
        Self::ReceivedAt,
        Self::SentAt,
        Self::ServiceReference,
        Self::Variant,
        Self::VariantName,
        Self::Simplified,
        Self::RequestId,
        Self::ResponseId,
        Self::CspRegion,
        Self::Mode,
        Self::PrecedingRequestId,
        Self::CommandVariant,
        Self::ResponseCode,
        Self::CurrentStatus,
        Self::AnomalyDetectionFlag,
        Self::History,
        Self::CspRegionRaw,
        Self::AlertCode,
        Self::ScheduleId,
        Self::ExecutionAt,
        Self::AwaitingRequest,
        Self::ConcernedDevices,
        Self::ConcernedMpxns,
        Self::Disputes,
        Self::LastRecordedAt,
    ];

    /// The fields of a view's rows, in the order of [`TrailField::ALL`]: of meter reads what UC_MeterRead_001 lists, of which another User's row
    /// says no more ([`Trail::into_meter_read`]).
    pub fn of_view(view: View) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(move |field| matches!(view, View::Audit) || *field <= Self::History)
    }

    /// The name of its column: the one that the API has for the specification's field.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::DeviceId => "device_id",
            Self::GbcsTransactionSequenceNumber => "gbcs_transaction_sequence_number",
            Self::Mpxn => "mpxn",
            Self::ReceivedAt => "service_request_received_at",
            Self::SentAt => "service_response_sent_at",
            Self::ServiceReference => "service_reference",
            Self::Variant => "service_reference_variant",
            Self::VariantName => "service_reference_variant_name",
            Self::Simplified => "simplified_transaction_status",
            Self::RequestId => "request_id",
            Self::ResponseId => "response_id",
            Self::CspRegion => "csp_region",
            Self::Mode => "mode_of_operation",
            Self::PrecedingRequestId => "preceding_request_id",
            Self::CommandVariant => "command_variant",
            Self::ResponseCode => "response_code",
            Self::CurrentStatus => "current_status",
            Self::AnomalyDetectionFlag => "anomaly_detection_flag",
            Self::History => "status_change_history",
            Self::CspRegionRaw => "csp_region_raw",
            Self::AlertCode => "alert_code",
            Self::ScheduleId => "dsp_schedule_id",
            Self::ExecutionAt => "execution_at",
            Self::AwaitingRequest => "awaiting_request",
            Self::ConcernedDevices => "concerned_device_ids",
            Self::ConcernedMpxns => "concerned_mpxns",
            Self::Disputes => "disputes",
            Self::LastRecordedAt => "last_recorded_at",
        }
    }

    /// The type of its column.
    pub fn kind(self) -> DataType {
        match self {
            Self::UserId
            | Self::ServiceReference
            | Self::Variant
            | Self::VariantName
            | Self::Simplified
            | Self::CspRegion
            | Self::Mode
            | Self::ResponseCode
            | Self::CurrentStatus
            | Self::CspRegionRaw
            | Self::AlertCode => words(),
            Self::DeviceId | Self::Mpxn | Self::RequestId | Self::ResponseId | Self::PrecedingRequestId => {
                DataType::Utf8
            }
            Self::GbcsTransactionSequenceNumber | Self::ScheduleId => DataType::UInt64,
            Self::ReceivedAt | Self::SentAt | Self::ExecutionAt | Self::LastRecordedAt => time(),
            Self::CommandVariant => DataType::Int32,
            Self::AnomalyDetectionFlag | Self::AwaitingRequest => DataType::Boolean,
            Self::History => list_of(DataType::Struct(history_fields())),
            Self::ConcernedDevices | Self::ConcernedMpxns => list_of(DataType::Utf8),
            Self::Disputes => list_of(DataType::Struct(dispute_fields())),
        }
    }

    /// Whether a row may have no value of it.
    pub const fn is_nullable(self) -> bool {
        !matches!(
            self,
            Self::UserId
                | Self::Simplified
                | Self::CspRegion
                | Self::Mode
                | Self::CurrentStatus
                | Self::AnomalyDetectionFlag
                | Self::History
                | Self::AwaitingRequest
                | Self::ConcernedDevices
                | Self::ConcernedMpxns
                | Self::Disputes
        )
    }

    /// Its column of some rows.
    pub fn of_trails(self, rows: &[Trail]) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::UserId => dictionary(rows, |row| Some(row.user_id)),
            Self::DeviceId => texts(rows, |row| row.device_id),
            Self::GbcsTransactionSequenceNumber => counters(rows, |row| row.gbcs_transaction_sequence_number),
            Self::Mpxn => texts(rows, |row| row.mpxn),
            Self::ReceivedAt => times(rows.iter().map(|row| row.received_at)),
            Self::SentAt => times(rows.iter().map(|row| row.sent_at)),
            Self::ServiceReference => dictionary(rows, Trail::service_reference),
            Self::Variant => dictionary(rows, |row| row.variant),
            Self::VariantName => dictionary(rows, |row| {
                row.variant.and_then(|variant| variant.entry()).map(|entry| entry.name)
            }),
            Self::Simplified => dictionary(rows, |row| Some(row.simplified)),
            Self::RequestId => texts(rows, |row| row.request_id),
            Self::ResponseId => texts(rows, |row| row.response_id),
            Self::CspRegion => dictionary(rows, |row| Some(row.csp_region)),
            Self::Mode => dictionary(rows, |row| Some(row.mode)),
            Self::PrecedingRequestId => texts(rows, |row| row.preceding_request_id),
            Self::CommandVariant => {
                numbers(rows.iter().map(|row| row.command_variant.map(|variant| variant.number().into())))
            }
            Self::ResponseCode => dictionary(rows, |row| row.response_code),
            Self::CurrentStatus => dictionary(rows, |row| Some(row.current_status)),
            Self::AnomalyDetectionFlag => flags(rows, |row| row.anomaly_detection_flag),
            Self::History => histories(rows),
            Self::CspRegionRaw => dictionary(rows, |row| row.csp_region_raw),
            Self::AlertCode => dictionary(rows, |row| row.alert_code),
            Self::ScheduleId => counters(rows, |row| row.schedule_id),
            Self::ExecutionAt => times(rows.iter().map(|row| row.execution_at)),
            Self::AwaitingRequest => flags(rows, |row| row.awaiting_request),
            Self::ConcernedDevices => lists(rows.iter().map(|row| first_of(&row.concerned_devices.first))),
            Self::ConcernedMpxns => lists(rows.iter().map(|row| first_of(&row.concerned_mpxns.first))),
            Self::Disputes => disputes(rows),
            Self::LastRecordedAt => times(rows.iter().map(|row| row.recorded_at_max)),
        }
    }

    /// The text that a trail has in a field of few different ones, or of ones that it may have no more than others of its kind.
    pub(crate) fn word_of(self, trail: &Trail) -> Option<String> {
        fn word(value: Option<impl Display>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        match self {
            Self::ServiceReference => word(trail.service_reference()),
            Self::Variant => word(trail.variant),
            Self::VariantName => {
                word(trail.variant.and_then(|variant| variant.entry()).map(|entry| entry.name))
            }
            Self::Simplified => word(Some(trail.simplified)),
            Self::Mode => word(Some(trail.mode)),
            Self::ResponseCode => word(trail.response_code),
            Self::CurrentStatus => word(Some(trail.current_status)),
            Self::AlertCode => word(trail.alert_code),
            Self::CspRegion => word(Some(trail.csp_region)),
            Self::CspRegionRaw => word(trail.csp_region_raw),
            _ => None,
        }
    }
}

/// A text of a small set.
fn words() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, false))
}

fn list_of(kind: DataType) -> DataType {
    DataType::List(item(kind))
}

pub(crate) fn history_fields() -> Fields {
    Fields::from(vec![
        Field::new("at", time(), false),
        Field::new("state", words(), false),
        Field::new("response_code", words(), true),
        Field::new("cause", DataType::Utf8, true),
        Field::new("instruction_number", DataType::Int32, true),
        Field::new("instruction_total", DataType::Int32, true),
    ])
}

fn dispute_fields() -> Fields {
    Fields::from(vec![
        Field::new("field", DataType::Utf8, false),
        Field::new("other_claims", list_of(DataType::Utf8), false),
    ])
}

fn texts<T: Display>(rows: &[Trail], of: impl Fn(&Trail) -> Option<T>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(rows.iter().map(|row| of(row).map(|value| value.to_string())).collect::<StringArray>()))
}

fn dictionary<T: Display>(rows: &[Trail], of: impl Fn(&Trail) -> Option<T>) -> Result<ArrayRef, ArrowError> {
    words_of(rows.iter().map(of))
}

pub(crate) fn words_of<T: Display>(values: impl Iterator<Item = Option<T>>) -> Result<ArrayRef, ArrowError> {
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

pub(crate) fn numbers(values: impl Iterator<Item = Option<i32>>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(values.collect::<Int32Array>()))
}

fn flags(rows: &[Trail], of: impl Fn(&Trail) -> bool) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>()))
}

fn times(values: impl Iterator<Item = Option<Timestamp>>) -> Result<ArrayRef, ArrowError> {
    Ok(millis(values.map(|at| at.map(Timestamp::millis)).collect()))
}

/// Times of milliseconds since the epoch.
pub(crate) fn millis(millis: TimestampMillisecondArray) -> ArrayRef {
    Arc::new(millis.with_timezone(UTC))
}

/// Lists of so many of some values each, one list behind the other.
pub(crate) fn list(lengths: impl Iterator<Item = usize>, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item(values.data_type().clone()), offsets, values, None)?))
}

fn first_of<T: ToString>(first: &[T]) -> Vec<String> {
    first.iter().map(ToString::to_string).collect()
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
        times(entries().map(|entry| Some(entry.at)))?,
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
