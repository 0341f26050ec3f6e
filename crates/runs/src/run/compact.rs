//! Carrying out a job of a [`plan`](super::plan): runs are merged, and written anew by level and bucket.

use crate::delta::commit::NewFile;
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::limits::{MERGED_RUN_BYTES, MERGED_RUNS, WRITER_BYTES};
use crate::pages::cache::{OpenRun, RunCache};
use crate::run::bucket::{self, Bucket};
use crate::run::index::{Run, since};
use crate::run::merge::{Merge, MergeRule};
use crate::run::plan::{Job, Kind};
use crate::run::writer::{RunWriter, Summary};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much compaction may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionSettings {
    /// Bytes of memory, about.
    pub memory_bytes: u64,
    /// Rows a second, at most; `None`: as many as it can.
    pub rows_per_second: Option<u64>,
    /// Jobs at the same time.
    pub jobs: usize,
    /// Whether all is compacted that can be, as if the lake had been quiet for long: one run a month and bucket.
    pub full: bool,
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, rows_per_second: None, jobs: 2, full: false }
    }
}

impl CompactionSettings {
    /// Runs of level 0 that one job merges, at most: as many as half of its memory has room for.
    pub fn merged_runs(&self) -> usize {
        let jobs = u64::try_from(self.jobs.max(1)).unwrap_or(u64::MAX);
        let runs = self.memory_bytes / 2 / jobs / MERGED_RUN_BYTES;
        usize::try_from(runs).unwrap_or(usize::MAX).max(MERGED_RUNS)
    }
}

/// Rows to be written anew, in the order of their table.
pub trait Rows: Send {
    /// What has to be known of rows, beside what is written of them, before they count.
    type Beside: Send + 'static;

    /// The next rows; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<RecordBatch>, RunsError>> + Send;

    /// Rows read so far.
    fn rows_in(&self) -> u64;

    /// What has to be known of the rows that were read.
    fn into_beside(self) -> Vec<Self::Beside>;
}

impl<R: MergeRule> Rows for Merge<R> {
    /// Each row stays where it was.
    type Beside = Infallible;

    fn next(&mut self) -> impl Future<Output = Result<Option<RecordBatch>, RunsError>> + Send {
        Self::next(self)
    }

    fn rows_in(&self) -> u64 {
        Self::rows_in(self)
    }

    fn into_beside(self) -> Vec<Infallible> {
        Vec::new()
    }
}

/// How the rows of a table are written anew by levels and buckets.
pub trait LevelRule: Send + Sync + 'static {
    /// A run, as the log lists it.
    type Run: Run;
    /// What some runs hold, merged.
    type Rows: Rows;
    /// What a commit says of a run.
    type Summary: Summary;

    /// What some runs hold, merged. `stays`: whether it is written to where it stays; what is gathered is written again soon.
    fn rows(
        &self,
        cache: &RunCache,
        runs: Vec<Arc<OpenRun>>,
        stays: bool,
    ) -> impl Future<Output = Result<Self::Rows, RunsError>> + Send;

    /// The bucket of each row of a batch.
    fn buckets(&self, batch: &RecordBatch, of: u32) -> Result<Vec<u32>, RunsError> {
        bucket::of_rows(batch, of)
    }

    /// What is to be said of a run of a month and bucket, with since when commits went into it.
    fn summary(&self, month: Option<String>, bucket: Option<Bucket>, since_ms: Option<i64>) -> Self::Summary;
}

/// What a job made, to be committed.
#[derive(Debug)]
pub struct Made<B> {
    /// Its runs.
    pub files: Vec<NewFile>,
    /// Rows read.
    pub rows_in: u64,
    /// What has to be known of its rows before they count.
    pub beside: Vec<B>,
}

/// Carries out a job, up to the commit. CPU-bound: give it a thread. Errors: `GivenUp` once nobody wants it any more.
pub async fn carry_out<L: LevelRule>(
    rule: &L,
    (cache, table): (&RunCache, &Table),
    job: &Job<L::Run>,
    settings: &CompactionSettings,
    given_up: &AtomicBool,
) -> Result<Made<<L::Rows as Rows>::Beside>, RunsError> {
    let mut made = Made { files: Vec::new(), rows_in: 0, beside: Vec::new() };
    let mut pace = Pace::new(settings.rows_per_second);
    let outputs = if let Kind::Flush { buckets } = job.kind { buckets } else { 1 };
    // So many buckets at a time as have room in memory; what is flushed is read again for each part of them.
    for pass in passes(outputs, settings) {
        let mut runs = Vec::with_capacity(job.inputs.len());
        for input in &job.inputs {
            runs.push(cache.open_to_rewrite(table, input.file()).await?);
        }
        let mut rows = rule.rows(cache, runs, job.kind != Kind::Gather).await?;
        let mut writers: BTreeMap<u32, RunWriter<L::Summary>> = BTreeMap::new();
        while let Some(batch) = rows.next().await? {
            if given_up.load(Ordering::Relaxed) {
                return Err(RunsError::GivenUp);
            }
            pace.keep(batch.num_rows()).await;
            // The parts of a batch, each with the number of the output that it goes to.
            let parts = match job.kind {
                Kind::Flush { buckets } => {
                    bucket::split(&batch, rule.buckets(&batch, buckets)?, |number| pass.contains(&number))?
                }
                Kind::Fold(_) | Kind::Gather => vec![(0, batch)],
            };
            for (number, part) in parts {
                let writer = match writers.entry(number) {
                    Entry::Occupied(writer) => writer.into_mut(),
                    Entry::Vacant(free) => free.insert(writer(rule, table, job, number)?),
                };
                writer.write(&part).await?;
            }
        }
        made.rows_in += rows.rows_in();
        made.beside.extend(rows.into_beside());
        for writer in writers.into_values() {
            made.files.push(writer.finish().await?);
        }
    }
    Ok(made)
}

/// Starts an output of a job.
fn writer<L: LevelRule>(
    rule: &L,
    table: &Table,
    job: &Job<L::Run>,
    number: u32,
) -> Result<RunWriter<L::Summary>, RunsError> {
    let summary = rule.summary(job.month.clone(), job.bucket(number), since(&job.inputs));
    RunWriter::new(table, job.path(number), summary)
}

/// The buckets of a flush, in parts that have room in memory.
pub fn passes(buckets: u32, settings: &CompactionSettings) -> Vec<Range<u32>> {
    let room =
        settings.memory_bytes / 4 * 3 / u64::try_from(settings.jobs.max(1)).unwrap_or(1) / WRITER_BYTES;
    let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
    (0..buckets).step_by(room as usize).map(|from| from..buckets.min(from.saturating_add(room))).collect()
}

/// Keeps to a number of rows a second.
#[derive(Debug)]
pub struct Pace {
    rows_per_second: Option<u64>,
    began: Instant,
    rows: u64,
}

impl Pace {
    /// Begins now. `None`: as many as there are.
    pub fn new(rows_per_second: Option<u64>) -> Self {
        Self { rows_per_second, began: Instant::now(), rows: 0 }
    }

    /// Waits until so many more are due.
    pub async fn keep(&mut self, rows: usize) {
        let Some(rate) = self.rows_per_second else { return };
        self.rows += rows as u64;
        let due = Duration::from_secs_f64(self.rows as f64 / rate.max(1) as f64);
        if let Some(early) = due.checked_sub(self.began.elapsed()) {
            tokio::time::sleep(early).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_merged_at_once_follow_the_memory_of_a_job() {
        let of = |mib: u64, jobs| {
            CompactionSettings { memory_bytes: mib << 20, jobs, ..CompactionSettings::default() }
                .merged_runs()
        };
        assert_eq!(CompactionSettings::default().merged_runs(), MERGED_RUNS);
        assert_eq!((of(64, 2), of(4_096, 2), of(4_096, 1)), (MERGED_RUNS, 256, 512));
    }
}
