//! The columns of the tables of rows, by the names that the API has for the specification's fields.

use arrow::datatypes::{Field, Schema, SchemaRef};
pub(crate) use gridtrail_lake::UTC;
use gridtrail_lake::{TrailField, View};
use std::sync::{Arc, LazyLock};

/// "Device ID".
pub(crate) const DEVICE_ID: &str = "device_id";
/// "Service Request Received Date/Time".
pub(crate) const RECEIVED_AT: &str = "service_request_received_at";

/// What UC_MeterRead_001 lists, of which another User's row says no more ([`Trail::into_meter_read`](gridtrail_model::Trail::into_meter_read)).
const OF_ALL_ROWS: &[(&str, TrailField)] = &[
    ("user_id", TrailField::UserId),
    (DEVICE_ID, TrailField::DeviceId),
    ("gbcs_transaction_sequence_number", TrailField::GbcsTransactionSequenceNumber),
    ("mpxn", TrailField::Mpxn),
    (RECEIVED_AT, TrailField::ReceivedAt),
    ("service_response_sent_at", TrailField::SentAt),
    ("service_reference", TrailField::ServiceReference),
    ("service_reference_variant", TrailField::Variant),
    ("service_reference_variant_name", TrailField::VariantName),
    ("simplified_transaction_status", TrailField::Simplified),
    ("request_id", TrailField::RequestId),
    ("response_id", TrailField::ResponseId),
    ("csp_region", TrailField::CspRegion),
    ("mode_of_operation", TrailField::Mode),
    ("preceding_request_id", TrailField::PrecedingRequestId),
    ("command_variant", TrailField::CommandVariant),
    ("response_code", TrailField::ResponseCode),
    ("current_status", TrailField::CurrentStatus),
    ("anomaly_detection_flag", TrailField::AnomalyDetectionFlag),
    ("status_change_history", TrailField::History),
];

/// What the audit trail has beside that.
const OF_OWN_ROWS: &[(&str, TrailField)] = &[
    ("csp_region_raw", TrailField::CspRegionRaw),
    ("alert_code", TrailField::AlertCode),
    ("dsp_schedule_id", TrailField::ScheduleId),
    ("execution_at", TrailField::ExecutionAt),
    ("awaiting_request", TrailField::AwaitingRequest),
    ("concerned_device_ids", TrailField::ConcernedDevices),
    ("concerned_mpxns", TrailField::ConcernedMpxns),
    ("disputes", TrailField::Disputes),
    ("last_recorded_at", TrailField::LastRecordedAt),
];

/// The columns of a view's table, in their order.
pub(crate) fn columns_of(view: View) -> impl Iterator<Item = (&'static str, TrailField)> {
    let own = match view {
        View::Audit => OF_OWN_ROWS,
        View::MeterReads => &[],
    };
    OF_ALL_ROWS.iter().chain(own).copied()
}

/// The field that a column shows.
pub(crate) fn field_of(name: &str) -> Option<TrailField> {
    columns_of(View::Audit).find(|(column, _)| *column == name).map(|(_, field)| field)
}

static AUDIT_TRAILS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::Audit));
static METER_READS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::MeterReads));

fn schema(view: View) -> SchemaRef {
    let field = |(name, field): (&str, TrailField)| Field::new(name, field.kind(), field.is_nullable());
    Arc::new(Schema::new(columns_of(view).map(field).collect::<Vec<_>>()))
}

/// The columns of a view's table.
pub(crate) fn schema_of(view: View) -> SchemaRef {
    Arc::clone(match view {
        View::Audit => &AUDIT_TRAILS,
        View::MeterReads => &METER_READS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every column is of the type that the schema says, also without a row.
    #[test]
    fn columns_are_what_their_schema_says() {
        for view in [View::Audit, View::MeterReads] {
            for (name, field) in columns_of(view) {
                assert_eq!(*field.of_trails(&[]).unwrap().data_type(), field.kind(), "{name}");
                assert_eq!(field_of(name), Some(field));
            }
        }
    }
}
