//! Compaction: fewer and larger runs, of which a look-up has to touch few.
//!
//! A month's new runs, one a commit, are its level 0. Three kinds of job make them fewer:
//! 1. **gather**: runs of level 0 that are of one size become one run of level 0, when there are four of them;
//! 2. **flush**: all of level 0 becomes one run of level 1 in each bucket, when it is large or has become old;
//! 3. **fold**: the runs of a bucket become fewer, when there are three: the two smaller ones, or all when the middle one has
//!    reached the geometric mean of its neighbours; that keeps their sizes in proportion, and the number of times that a row
//!    is written small.
//!
//! A flush waits until every bucket of its month has room, so that a bucket never has more than three runs.
//!
//! **Fences.** Two compactions of the same runs must not both win, and the library lets them: it does not look at what a
//! rewrite takes away. So every job moves a position of its own, `<month>/L0` or `<month>/<bucket>`, from where it was when
//! the job was planned; of two, one finds it moved, and drops what it made. Ingest takes nothing away and moves none of them.

use crate::bucket::{self, Bucket};
use crate::lake::Lake;
use crate::limits::{FLUSH_AGE_MS, FLUSH_ROWS, FOLD_RUNS, IDLE_MONTH_MS, WRITER_BYTES};
use crate::one_row::OneRow;
use crate::run::{self, FragmentSummary};
use crate::snapshot::RunFile;
use arrow::array::RecordBatch;
use gridtrail_model::Timestamp;
use gridtrail_runs::gather::{self, alike};
use gridtrail_runs::{Changes, Move, NewFile, OpenRun, RunWriter, RunsError, Table};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// One job: runs that become fewer.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) kind: JobKind,
    pub(crate) month: String,
    pub(crate) inputs: Vec<Arc<RunFile>>,
    /// Where its guard was at the version that it was planned at.
    guarded_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobKind {
    Fold(Bucket),
    Flush { buckets: u32 },
    Gather,
}

impl Job {
    fn fence(&self) -> String {
        match self.kind {
            JobKind::Fold(bucket) => fence(&self.month, bucket),
            JobKind::Flush { .. } | JobKind::Gather => level_0_fence(&self.month),
        }
    }

    fn rows(&self) -> u64 {
        self.inputs.iter().map(|input| input.summary.rows).sum()
    }
}

/// The position that guards the runs of a bucket.
pub(crate) fn fence(month: &str, bucket: Bucket) -> String {
    format!("{month}/{}-{}", bucket.number, bucket.of)
}

/// The position that guards the runs of a month's level 0.
pub(crate) fn level_0_fence(month: &str) -> String {
    gather::fence(Some(month))
}

/// The runs of one month.
#[derive(Debug, Default)]
struct Month<'a> {
    level_0: Vec<&'a Arc<RunFile>>,
    buckets: BTreeMap<Bucket, Vec<&'a Arc<RunFile>>>,
}

/// The jobs that are due, of which no two touch the same runs. `guard` says where a position is at the version of the runs.
pub(crate) fn plan<'a>(
    runs: impl Iterator<Item = &'a Arc<RunFile>>,
    buckets: u32,
    now: Timestamp,
    guard: impl Fn(&str) -> Option<i64>,
) -> Vec<Job> {
    let mut months: BTreeMap<&str, Month<'_>> = BTreeMap::new();
    for run in runs {
        let month = months.entry(run.file.month.as_deref().unwrap_or_default()).or_default();
        match run.summary.bucket {
            Some(bucket) => month.buckets.entry(bucket).or_default().push(run),
            None => month.level_0.push(run),
        }
    }
    let mut jobs: Vec<Job> = months.iter().flat_map(|(name, month)| month.jobs(name, buckets, now)).collect();
    for job in &mut jobs {
        job.guarded_at = guard(&job.fence());
    }
    // What makes room first, and of that the smallest.
    jobs.sort_by_key(|job| (job.kind, job.rows()));
    jobs
}

impl Month<'_> {
    fn jobs(&self, name: &str, buckets: u32, now: Timestamp) -> Vec<Job> {
        let idle = self.level_0.is_empty() && self.last_written(now) >= IDLE_MONTH_MS;
        let folds = self.buckets.iter().filter_map(|(bucket, runs)| {
            let mut runs = runs.clone();
            runs.sort_by_key(|run| std::cmp::Reverse(run.summary.rows));
            let folded = match runs.as_slice() {
                [_, _, ..] if idle => runs.as_slice(),
                [a, b, c, ..] => {
                    let rows = [a, b, c].map(|run| run.summary.rows);
                    let large =
                        u128::from(rows[1] + rows[2]).pow(2) >= u128::from(rows[0]) * u128::from(rows[2]);
                    if large || runs.len() > FOLD_RUNS { runs.as_slice() } else { &runs[1..] }
                }
                _ => return None,
            };
            Some(job(JobKind::Fold(*bucket), name, folded))
        });
        let mut jobs: Vec<Job> = folds.collect();
        let room = self.buckets.values().all(|runs| runs.len() < FOLD_RUNS);
        let rows: u64 = self.level_0.iter().map(|run| run.summary.rows).sum();
        let oldest = self.level_0.iter().map(|run| run.file.written_ms).min();
        let old = oldest.is_some_and(|ms| now.millis() - ms >= FLUSH_AGE_MS);
        if (rows >= FLUSH_ROWS * u64::from(buckets) || old) && room {
            jobs.push(job(JobKind::Flush { buckets }, name, &self.level_0));
        } else if let Some(alike) = alike(&self.level_0, |run| run.summary.rows) {
            jobs.push(job(JobKind::Gather, name, &alike));
        }
        jobs
    }

    /// How long ago the newest of its runs was written.
    fn last_written(&self, now: Timestamp) -> i64 {
        let newest = self.buckets.values().flatten().map(|run| run.file.written_ms).max();
        newest.map_or(0, |ms| now.millis() - ms)
    }
}

fn job(kind: JobKind, month: &str, inputs: &[&Arc<RunFile>]) -> Job {
    let inputs = inputs.iter().map(|run| Arc::clone(run)).collect();
    Job { kind, month: month.to_owned(), inputs, guarded_at: None }
}

/// What a job made, to be committed.
pub(crate) struct Made {
    pub(crate) files: Vec<NewFile>,
    pub(crate) rows_in: u64,
}

/// Carries out a job, up to the commit. CPU-bound: give it a thread.
pub(crate) async fn carry_out(
    lake: &Lake,
    table: &Table,
    job: &Job,
    settings: &CompactionSettings,
    given_up: &AtomicBool,
) -> Result<Made, RunsError> {
    let mut made = Made { files: Vec::new(), rows_in: 0 };
    let mut pace = Pace::new(settings.rows_per_second);
    let outputs = if let JobKind::Flush { buckets } = job.kind { buckets } else { 1 };
    // So many buckets at a time as have room in memory; what is flushed is read again for each part of them.
    for pass in passes(outputs, settings) {
        // What is gathered is written again soon, and has few rows of a Device.
        let joins = job.kind != JobKind::Gather;
        let mut merge = OneRow::new(lake.cache(), job.open(lake, table).await?, joins).await?;
        let mut writers: BTreeMap<u32, RunWriter<FragmentSummary>> = BTreeMap::new();
        while let Some(batch) = merge.next().await? {
            if given_up.load(Ordering::Relaxed) {
                return Err(RunsError::GivenUp);
            }
            pace.keep(batch.num_rows()).await;
            for (number, part) in job.split(batch, &pass)? {
                let writer = match writers.entry(number) {
                    Entry::Occupied(writer) => writer.into_mut(),
                    Entry::Vacant(free) => free.insert(job.writer(table, number)?),
                };
                writer.write(&part).await?;
            }
        }
        made.rows_in += merge.rows_in();
        for writer in writers.into_values() {
            made.files.push(writer.finish().await?);
        }
    }
    Ok(made)
}

impl Job {
    async fn open(&self, lake: &Lake, table: &Table) -> Result<Vec<Arc<OpenRun>>, RunsError> {
        let mut runs = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            runs.push(lake.cache().open_to_rewrite(table, &input.file).await?);
        }
        Ok(runs)
    }

    /// The parts of a batch, each with the number of the output that it goes to.
    fn split(&self, batch: RecordBatch, pass: &Range<u32>) -> Result<Vec<(u32, RecordBatch)>, RunsError> {
        match self.kind {
            JobKind::Flush { buckets } => bucket::split(&batch, buckets, |number| pass.contains(&number)),
            JobKind::Fold(_) | JobKind::Gather => Ok(vec![(0, batch)]),
        }
    }

    fn bucket(&self, number: u32) -> Option<Bucket> {
        match self.kind {
            JobKind::Fold(bucket) => Some(bucket),
            JobKind::Flush { buckets } => Some(Bucket { number, of: buckets }),
            JobKind::Gather => None,
        }
    }

    fn writer(&self, table: &Table, number: u32) -> Result<RunWriter<FragmentSummary>, RunsError> {
        let summary =
            FragmentSummary::new(Some(self.month.clone()), self.bucket(number), run::since(&self.inputs));
        RunWriter::new(table, self.path(number), summary)
    }

    /// Where a run that it makes lies.
    fn path(&self, number: u32) -> String {
        match self.bucket(number) {
            Some(bucket) => bucket.run_path(&self.month),
            None => format!("month={}/l0-{}.parquet", self.month, uuid::Uuid::now_v7()),
        }
    }

    /// The commit of what it made.
    fn changes(&self, files: Vec<NewFile>, now: Timestamp) -> Changes {
        let from = self.guarded_at;
        Changes {
            add: files,
            remove: self.inputs.iter().map(|input| Arc::clone(&input.file)).collect(),
            moves: vec![Move { app_id: self.fence(), from, to: from.unwrap_or(0) + 1 }],
            now_ms: now.millis(),
            ..Changes::default()
        }
    }
}

impl Job {
    /// Commits what the job made, and counts it. A job that was overtaken is dropped: its files are seen by nobody.
    pub(crate) async fn commit(
        &self,
        table: &mut Table,
        made: Made,
        done: &mut Compacted,
        now: Timestamp,
    ) -> Result<(), RunsError> {
        let changes = self.changes(made.files, now);
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
}

/// The buckets of a flush, in parts that have room in memory.
pub(crate) fn passes(buckets: u32, settings: &CompactionSettings) -> Vec<Range<u32>> {
    let room =
        settings.memory_bytes / 4 * 3 / u64::try_from(settings.jobs.max(1)).unwrap_or(1) / WRITER_BYTES;
    let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
    (0..buckets).step_by(room as usize).map(|from| from..buckets.min(from.saturating_add(room))).collect()
}

/// Keeps to a number of rows a second.
pub(crate) struct Pace {
    rows_per_second: Option<u64>,
    began: std::time::Instant,
    rows: u64,
}

impl Pace {
    pub(crate) fn new(rows_per_second: Option<u64>) -> Self {
        Self { rows_per_second, began: std::time::Instant::now(), rows: 0 }
    }

    pub(crate) async fn keep(&mut self, rows: usize) {
        let Some(rate) = self.rows_per_second else { return };
        self.rows += rows as u64;
        let due = Duration::from_secs_f64(self.rows as f64 / rate.max(1) as f64);
        if let Some(early) = due.checked_sub(self.began.elapsed()) {
            tokio::time::sleep(early).await;
        }
    }
}

#[cfg(test)]
mod tests;
