//! The main table: runs of fragments by month, compacted by levels and buckets.

use crate::kept_for::KeptFor;
use crate::limits::BUCKETS;
use crate::rows::bucket::{self, Bucket};
use crate::rows::one_row::OneRow;
use crate::rows::run::{FragmentSummary, RunFile, TRAILS};
use crate::tables::check::FileCheck;
use crate::tables::run_check;
use crate::tables::table::{Compacting, LakeTable, Rewriting, Work};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use gridtrail_model::Fragment;
use gridtrail_runs::{
    Changes, Definition, LevelRule, OpenRun, Rows, RunCache, RunsError, Table, gather, plan,
};
use std::sync::Arc;

/// The position that says how many buckets were chosen.
pub(crate) const BUCKETS_CHOSEN: &str = "buckets";

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
        run_check::fragments(file).await
    }

    fn is_rewritten(&self) -> bool {
        true
    }

    async fn rewrite(&self, of: &Rewriting<'_>) -> Result<Option<Changes>, RunsError> {
        let (summary, month) = (RunFile::summary_of(of.file)?, of.file.month.clone().unwrap_or_default());
        let (path, guard) = match summary.bucket {
            Some(bucket) => (bucket.run_path(Some(&month)), fence(&month, bucket)),
            None => (self.definition().new_path(Some(&month)), level_0_fence(&month)),
        };
        let guard = gather::moved(of.table, guard);
        of.in_its_place(path, FragmentSummary::anew(Some(month), &summary), guard).await.map(Some)
    }

    fn is_in_buckets(&self) -> bool {
        true
    }

    fn compaction(&self, of: &Compacting<'_>) -> Vec<Work> {
        of.by_levels(TrailLevels, of.trails.iter(), std::convert::identity)
    }
}

/// Into how many buckets a month of a table's runs is sorted.
pub(crate) fn buckets_of(table: &Table) -> u32 {
    let chosen = table.position(BUCKETS_CHOSEN).and_then(|n| u32::try_from(n).ok());
    chosen.filter(|n| *n > 0).unwrap_or(BUCKETS)
}

/// The position that guards the runs of a month and bucket.
pub(crate) fn fence(month: &str, bucket: Bucket) -> String {
    plan::fence(Some(month), bucket)
}

/// The position that guards the runs of a month's level 0.
pub(crate) fn level_0_fence(month: &str) -> String {
    gather::fence(Some(month))
}

/// How the main table is written anew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrailLevels;

impl LevelRule for TrailLevels {
    type Run = RunFile;
    type Rows = OneRow;
    type Summary = FragmentSummary;

    async fn rows(
        &self,
        cache: &RunCache,
        runs: Vec<Arc<OpenRun>>,
        stays: bool,
    ) -> Result<OneRow, RunsError> {
        // What is gathered is written again soon, and has few rows of a Device.
        OneRow::new(cache, runs, stays).await
    }

    fn buckets(&self, batch: &RecordBatch, of: u32) -> Result<Vec<u32>, RunsError> {
        bucket::of_rows(batch, of)
    }

    fn summary(
        &self,
        month: Option<String>,
        bucket: Option<Bucket>,
        since_ms: Option<i64>,
    ) -> FragmentSummary {
        FragmentSummary::new(month, bucket, since_ms)
    }
}

impl Rows for OneRow {
    /// Rows that lie at another time than some of their fragments did, as far as links lead to them.
    type Beside = Fragment;

    fn next(&mut self) -> impl Future<Output = Result<Option<RecordBatch>, RunsError>> + Send {
        Self::next(self)
    }

    fn rows_in(&self) -> u64 {
        Self::rows_in(self)
    }

    fn into_beside(self) -> Vec<Fragment> {
        self.into_moved()
    }
}
