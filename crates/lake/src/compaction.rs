//! Compaction: what the lake does for it. Which runs become fewer, and how, is the same for every table ([`gridtrail_runs::plan`]).

use crate::bucket::{self, Bucket};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::maintenance::Wanted;
use crate::one_row::OneRow;
use crate::run::FragmentSummary;
use crate::snapshot::RunFile;
use crate::tables::{self, SideFiles, Tables};
use arrow::array::RecordBatch;
use futures::{StreamExt, stream};
use gridtrail_model::{Fragment, Timestamp};
pub use gridtrail_runs::CompactionSettings;
use gridtrail_runs::{
    Job, LevelRule, Made, OpenRun, Rows, Run, RunCache, RunIndex, RunsError, Table, carry_out, gather, plan,
};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Jobs that were committed.
    pub jobs: u64,
    /// Jobs whose runs another process had compacted meanwhile.
    pub overtaken: u64,
    /// Jobs that found a run of theirs damaged, and left it where it is: [`Lake::damaged_files`] names it.
    pub refused: u64,
    /// Runs that were taken away.
    pub runs_in: u64,
    /// Runs that were added.
    pub runs_out: u64,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Rows of which a fragment was moved to the time of the others: see [`Maintenance::unite`](crate::Maintenance::unite).
    pub rows_united: u64,
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

/// What has to be known of the rows of a table before they count where they are written.
type BesideOf<L> = <<L as LevelRule>::Rows as Rows>::Beside;

/// A compaction under way.
pub(crate) struct Compacting<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) tables: &'a mut Tables,
    pub(crate) settings: CompactionSettings,
    pub(crate) done: &'a mut Compacted,
}

impl Compacting<'_> {
    /// Carries out what a table is due that is compacted by levels and buckets, until nothing is. `table` and `runs` say which of the
    /// tables it is, and where its runs are listed; `beside` says what goes into other tables first.
    pub(crate) async fn by_levels<L: LevelRule + Copy>(
        &mut self,
        rule: L,
        table: fn(&mut Tables) -> &mut Table,
        runs: fn(&Tables) -> &RunIndex<L::Run>,
        beside: fn(&[BesideOf<L>]) -> Result<SideFiles, RunsError>,
    ) -> Result<(), LakeError> {
        // Jobs have threads of their own, which go on when this is dropped, until they see that it was.
        let wanted = Wanted::default();
        loop {
            self.tables.refresh().await?;
            let jobs = self.due(table, runs);
            if jobs.is_empty() {
                return Ok(());
            }
            let before = (self.done.jobs, self.done.refused);
            let own = table(self.tables).clone();
            let mut making = stream::iter(jobs)
                .map(|job| make(rule, self.lake.clone(), own.clone(), job, self.settings, wanted.watch()))
                .buffer_unordered(self.settings.jobs.max(1));
            while let Some((job, made)) = making.next().await {
                match made {
                    Ok(made) => {
                        let now = self.lake.clock().now();
                        self.tables.commit_beside(beside(&made.beside)?, now).await?;
                        commit(&job, table(self.tables), made, self.done, now).await?;
                    }
                    // The others go on without the damaged file.
                    Err(error) => {
                        let inputs: Vec<_> = job.inputs.iter().map(|run| run.path()).collect();
                        self.lake.leave_alone(error, &inputs)?;
                        self.done.refused += 1;
                    }
                }
            }
            drop(making);
            self.lake.refresh().await?;
            if (self.done.jobs, self.done.refused) == before {
                // Others are at work on the same runs: leave them to it.
                return Ok(());
            }
        }
    }

    fn due<R: Run>(
        &mut self,
        table: fn(&mut Tables) -> &mut Table,
        runs: fn(&Tables) -> &RunIndex<R>,
    ) -> Vec<Job<R>> {
        let now = if self.settings.full { Timestamp::MAX } else { self.lake.clock().now() };
        let own = table(self.tables).clone();
        let whole = runs(self.tables).iter().filter(|run| !self.lake.is_left_alone(run.path()));
        plan::plan(whole, tables::buckets_of(&own), now.millis(), |id| own.position(id))
    }
}

/// Carries out a job on a thread of its own.
async fn make<L: LevelRule>(
    rule: L,
    lake: Lake,
    table: Table,
    job: Job<L::Run>,
    settings: CompactionSettings,
    given_up: Arc<AtomicBool>,
) -> (Job<L::Run>, Result<Made<BesideOf<L>>, RunsError>) {
    let (runtime, detached, own) = (tokio::runtime::Handle::current(), lake.detached().clone(), job.clone());
    let work = move || runtime.block_on(carry_out(&rule, (lake.cache(), &table), &own, &settings, &given_up));
    let made = detached.spawn_blocking(work).await;
    (job, made.unwrap_or(Err(RunsError::Internal("a compaction panicked"))))
}

/// Commits what a job made, and counts it. A job that was overtaken is dropped: its files are seen by nobody.
async fn commit<R: Run, B>(
    job: &Job<R>,
    table: &mut Table,
    made: Made<B>,
    done: &mut Compacted,
    now: Timestamp,
) -> Result<(), RunsError> {
    let changes = job.changes(made.files, now.millis());
    if table.commit_unless_moved(&changes).await?.is_none() {
        done.overtaken += 1;
        return Ok(());
    }
    done.jobs += 1;
    done.rows_in += made.rows_in;
    done.runs_in += changes.remove.len() as u64;
    done.runs_out += changes.add.len() as u64;
    done.bytes_in += changes.remove.iter().map(|file| file.size).sum::<u64>();
    done.bytes_out += changes.add.iter().map(|file| file.written.size).sum::<u64>();
    done.rows_out += changes.add.iter().map(|file| file.rows).sum::<u64>();
    Ok(())
}
