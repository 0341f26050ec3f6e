//! The columns of a run of fragments.
//!
//! One Parquet row is one fragment. The sort key comes first. What other engines filter and group by has a column of its own;
//! all else lies in two, which only gridtrail reads, since a look-up pays for each column that it reads:
//!
//! | column | meaning, and what empty means |
//! |---|---|
//! | `device_id` | Device, 8 bytes; of a row that names none, what stands for its meter point or User (`anchor`) |
//! | `received_at` | placement time, to the millisecond |
//! | `user_id` | the User that the row belongs to, 8 bytes |
//! | `service_reference_variant` | text |
//! | `mpxn`, `csp_region` | as named |
//! | `foreign_counter` | counter of the row's id where that names another target than the Device: such rows are found by it |
//! | `shape`, `tail` | all else, see `packed` |

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::{Arc, LazyLock};

/// Column numbers, in the order of the schema.
pub(crate) mod column {
    pub(crate) const DEVICE: usize = 0;
    pub(crate) const RECEIVED: usize = 1;
    pub(crate) const USER: usize = 2;
    pub(crate) const VARIANT: usize = 3;
    pub(crate) const MPXN: usize = 4;
    pub(crate) const REGION: usize = 5;
    pub(crate) const FOREIGN_COUNTER: usize = 6;
    pub(crate) const SHAPE: usize = 7;
    pub(crate) const TAIL: usize = 8;
    pub(crate) const COUNT: usize = 9;
}

/// Columns whose values come from a small set, or repeat from row to row: the only ones with a dictionary.
pub(crate) const DICTIONARY_COLUMNS: &[&str] =
    &["user_id", "service_reference_variant", "mpxn", "csp_region", "shape"];

/// The Arrow schema of a run. Times have milliseconds and no more, and so take ten bits less than with Delta's microseconds,
/// as which every reader takes them.
pub(crate) static FRAGMENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns: [_; column::COUNT] = [
        ("device_id", DataType::Binary, true),
        ("received_at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        ("user_id", DataType::Binary, false),
        ("service_reference_variant", DataType::Utf8, true),
        ("mpxn", DataType::Utf8, true),
        ("csp_region", DataType::Utf8, true),
        ("foreign_counter", DataType::Int64, true),
        ("shape", DataType::Binary, false),
        ("tail", DataType::Binary, false),
    ];
    Arc::new(Schema::new(columns.map(|(name, kind, nullable)| Field::new(name, kind, nullable)).to_vec()))
});

/// What files of fragments need of whoever reads them: that it knows how `shape` and `tail` are packed.
pub(crate) const PACKED: &[&str] = &["packed-rows"];
