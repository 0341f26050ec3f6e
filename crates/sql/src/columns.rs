//! The columns of the tables of rows, by the names that the API has for the specification's fields.

use arrow::datatypes::{Field, Schema, SchemaRef};
pub(crate) use gridtrail_lake::UTC;
use gridtrail_lake::{TrailField, View};
use std::sync::{Arc, LazyLock};

/// "Device ID".
pub(crate) const DEVICE_ID: &str = TrailField::DeviceId.name();
/// "Service Request Received Date/Time".
pub(crate) const RECEIVED_AT: &str = TrailField::ReceivedAt.name();

/// The field that a column shows.
pub(crate) fn field_of(name: &str) -> Option<TrailField> {
    TrailField::of_view(View::Audit).find(|field| field.name() == name)
}

static AUDIT_TRAILS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::Audit));
static METER_READS: LazyLock<SchemaRef> = LazyLock::new(|| schema(View::MeterReads));

fn schema(view: View) -> SchemaRef {
    let field = |field: TrailField| Field::new(field.name(), field.kind(), field.is_nullable());
    Arc::new(Schema::new(TrailField::of_view(view).map(field).collect::<Vec<_>>()))
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
            for field in TrailField::of_view(view) {
                assert_eq!(*field.of_trails(&[]).unwrap().data_type(), field.kind(), "{}", field.name());
                assert_eq!(field_of(field.name()), Some(field));
            }
        }
    }
}
