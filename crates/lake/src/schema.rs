//! The columns of a run of fragments.
//!
//! One Parquet row is one fragment. The sort key comes first; a look-up's filter columns are next to it. Values
//! that can be told from other columns are left empty, which is what keeps a row small:
//!
//! | column | meaning, and what empty means |
//! |---|---|
//! | `device_id` | Device, 8 bytes; empty: the request names none |
//! | `received_at` | placement time |
//! | `user_id` | the User that the row belongs to, 8 bytes |
//! | `service_reference_variant` | text |
//! | `subject` | 1 leg, 2 scheduled run, 3 alert, 4 unjoined |
//! | `command_variant` | legs only |
//! | `alert_code`, `throttle_sequence` | alerts only |
//! | `id_counter` | counter of the RequestID (1, 4) or ResponseID (2, 3); unsigned 64 bits in a signed column |
//! | `id_user` | User side of that id, 8 bytes; empty: equal to `user_id` |
//! | `id_target` | other side of that id, 8 bytes; empty: equal to `device_id` |
//! | `foreign_counter` | `id_counter` again where `id_target` is set: a small column to find such rows by |
//! | `gbcs_counter`, `gbcs_counter_is_id_counter` | GBCS originator counter; only the flag when it equals `id_counter` |
//! | `mpxn`, `csp_region`, `mode`, `preceding_request_id`, `execution_at`, `schedule_id` | as named |
//! | `response_is_mirror` | the ResponseID is the one that the key implies |
//! | `response_ids` | other ResponseIDs, texts joined by a space |
//! | `history_shape`, `history_times` | Status Change History, see `history_bytes` |
//! | `recorded_lag_ms` | youngest `recorded_at` less the last history time |
//! | `other_claims` | JSON object of the claims that are not shown |

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake_core::kernel::{DataType as DeltaType, PrimitiveType, StructField};
use std::sync::{Arc, LazyLock};

/// Column numbers, in the order of the schema.
pub(crate) mod column {
    pub(crate) const DEVICE: usize = 0;
    pub(crate) const RECEIVED: usize = 1;
    pub(crate) const USER: usize = 2;
    pub(crate) const VARIANT: usize = 3;
    pub(crate) const SUBJECT: usize = 4;
    pub(crate) const COMMAND_VARIANT: usize = 5;
    pub(crate) const ALERT_CODE: usize = 6;
    pub(crate) const THROTTLE_SEQUENCE: usize = 7;
    pub(crate) const ID_COUNTER: usize = 8;
    pub(crate) const ID_USER: usize = 9;
    pub(crate) const ID_TARGET: usize = 10;
    pub(crate) const FOREIGN_COUNTER: usize = 11;
    pub(crate) const GBCS_COUNTER: usize = 12;
    pub(crate) const GBCS_IS_ID: usize = 13;
    pub(crate) const MPXN: usize = 14;
    pub(crate) const REGION: usize = 15;
    pub(crate) const MODE: usize = 16;
    pub(crate) const PRECEDING: usize = 17;
    pub(crate) const EXECUTION_AT: usize = 18;
    pub(crate) const SCHEDULE_ID: usize = 19;
    pub(crate) const RESPONSE_IS_MIRROR: usize = 20;
    pub(crate) const RESPONSE_IDS: usize = 21;
    pub(crate) const HISTORY_SHAPE: usize = 22;
    pub(crate) const HISTORY_TIMES: usize = 23;
    pub(crate) const RECORDED_LAG: usize = 24;
    pub(crate) const OTHER_CLAIMS: usize = 25;
    /// How many columns there are.
    pub(crate) const COUNT: usize = 26;
}

/// Columns whose values come from a small set: the only ones with a dictionary, which a look-up must decode whole.
pub(crate) const DICTIONARY_COLUMNS: &[&str] = &[
    "user_id",
    "service_reference_variant",
    "subject",
    "command_variant",
    "alert_code",
    "csp_region",
    "mode",
    "history_shape",
];

/// The Arrow schema of a run.
pub(crate) static FRAGMENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let columns: [_; column::COUNT] = [
        ("device_id", DataType::Binary, true),
        ("received_at", time(), false),
        ("user_id", DataType::Binary, false),
        ("service_reference_variant", DataType::Utf8, true),
        ("subject", DataType::Int8, false),
        ("command_variant", DataType::Int8, true),
        ("alert_code", DataType::Utf8, true),
        ("throttle_sequence", DataType::Int64, true),
        ("id_counter", DataType::Int64, false),
        ("id_user", DataType::Binary, true),
        ("id_target", DataType::Binary, true),
        ("foreign_counter", DataType::Int64, true),
        ("gbcs_counter", DataType::Int64, true),
        ("gbcs_counter_is_id_counter", DataType::Boolean, false),
        ("mpxn", DataType::Utf8, true),
        ("csp_region", DataType::Utf8, true),
        ("mode", DataType::Utf8, true),
        ("preceding_request_id", DataType::Utf8, true),
        ("execution_at", time(), true),
        ("schedule_id", DataType::Int64, true),
        ("response_is_mirror", DataType::Boolean, false),
        ("response_ids", DataType::Utf8, true),
        ("history_shape", DataType::Binary, false),
        ("history_times", DataType::Binary, false),
        ("recorded_lag_ms", DataType::Int64, false),
        ("other_claims", DataType::Utf8, true),
    ];
    Arc::new(Schema::new(columns.map(|(name, kind, nullable)| Field::new(name, kind, nullable)).to_vec()))
});

/// The Delta columns of an Arrow schema, for creating its table.
pub(crate) fn delta_columns(schema: &Schema) -> Vec<StructField> {
    let primitive = |kind: &DataType| match kind {
        DataType::Binary => PrimitiveType::Binary,
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int8 => PrimitiveType::Byte,
        DataType::Int64 => PrimitiveType::Long,
        DataType::Timestamp(..) => PrimitiveType::Timestamp,
        _ => PrimitiveType::String,
    };
    schema
        .fields()
        .iter()
        .map(|f| StructField::new(f.name(), DeltaType::Primitive(primitive(f.data_type())), f.is_nullable()))
        .collect()
}
