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

use crate::compaction::{self, Compacting, TrailLevels};
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::retention::{self, Went};
use crate::run::{self, FragmentSummary};
use crate::snapshot::RunFile;
use crate::tables::{Arriving, Expiry, KeptFor, LakeTable, Rewriting};
use crate::verify::{FileCheck, rows};
use crate::viewers;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use gridtrail_model::Fragment;
use gridtrail_runs::{Changes, Definition, RunsError, gather};
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

static TRAILS: Definition = Definition {
    name: "trails",
    schema: &FRAGMENTS,
    by_month: true,
    format: 2,
    needs: PACKED,
    keys: &[column::DEVICE, column::FOREIGN_COUNTER],
    layout: run::properties,
    note: Some(viewers::NOTE),
    made_with: retention::made_with,
};

/// The main table: a batch counts when it is committed to this one.
pub(crate) struct Trails;

#[async_trait]
impl LakeTable for Trails {
    fn definition(&self) -> &'static Definition {
        &TRAILS
    }

    fn is_looked_up(&self) -> bool {
        true
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Months
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        rows::fragments(file).await
    }

    async fn expire(&self, maintenance: &mut Maintenance, how: &Expiry<'_>) -> Result<Went, LakeError> {
        maintenance.expire_trails(how).await
    }

    fn is_rewritten(&self) -> bool {
        true
    }

    async fn rewrite(&self, of: &Rewriting<'_>) -> Result<Option<Changes>, RunsError> {
        let (summary, month) = (RunFile::summary_of(of.file)?, of.file.month.clone().unwrap_or_default());
        let (path, guard) = match summary.bucket {
            Some(bucket) => (bucket.run_path(Some(&month)), compaction::fence(&month, bucket)),
            None => (self.definition().new_path(Some(&month)), compaction::level_0_fence(&month)),
        };
        let guard = gather::moved(of.table, guard);
        of.in_its_place(path, FragmentSummary::anew(Some(month), &summary), guard).await.map(Some)
    }

    async fn compact(&self, of: &mut Compacting<'_>) -> Result<(), LakeError> {
        let beside = |moved: &[Fragment]| Arriving::placed(moved).side_files();
        of.by_levels(TrailLevels, |tables| &mut tables.trails, |tables| &tables.runs, beside).await
    }
}
