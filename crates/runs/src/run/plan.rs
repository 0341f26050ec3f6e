//! Which runs of a table are to become fewer, where the table is compacted by levels and buckets.
//!
//! A month's new runs, one a commit, are its level 0. Three kinds of job make them fewer:
//! 1. **gather**: runs of level 0 that are of one size become one run of level 0, when there are four of them; and the smallest, as many as there
//!    is memory for, where a load of files left more than one job merges;
//! 2. **flush**: all of level 0 becomes one run of level 1 in each bucket, when it is large or has become old;
//! 3. **fold**: the runs of a bucket become fewer, when there are three: the two smaller ones, or all when the middle one has
//!    reached the geometric mean of its neighbours; that keeps their sizes in proportion, and the number of times that a row
//!    is written small.
//!
//! A flush waits until every bucket of its month has room, so that a bucket never has more than three runs. A table that is not by month
//! is one month, without a name.
//!
//! **Fences.** Two compactions of the same runs must not both win, and a commit alone does not look at what another
//! takes away. So every job moves a position of its own, `<month>/L0` or `<month>/<bucket>`, from where it was when
//! the job was planned; of two, one finds it moved, and drops what it made. Whoever only adds runs moves none of them.

use crate::delta::commit::{Changes, Move, NewFile};
use crate::limits::{FLUSH_AGE_MS, FLUSH_ROWS, FOLD_RUNS, IDLE_MONTH_MS};
use crate::run::bucket::{Bucket, level_0_path};
use crate::run::gather::{self, alike};
use crate::run::index::Run;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One job: runs that become fewer.
#[derive(Debug)]
pub struct Job<R> {
    /// What it does.
    pub kind: Kind,
    /// The month of its runs, where the table is by month.
    pub month: Option<String>,
    /// Its runs.
    pub inputs: Vec<Arc<R>>,
    /// The positions that guard its runs, each with where it was at the version that the job was planned at.
    guards: Vec<(String, Option<i64>)>,
}

// A run need not be cloned for it.
impl<R> Clone for Job<R> {
    fn clone(&self) -> Self {
        let Self { kind, month, inputs, guards } = self;
        Self { kind: *kind, month: month.clone(), inputs: inputs.clone(), guards: guards.clone() }
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Runs of a bucket become one.
    Fold(Bucket),
    /// All of level 0, or all runs of other numbers of buckets, become a run in each bucket.
    Flush {
        /// How many there are.
        buckets: u32,
    },
    /// Runs of level 0 become one.
    Gather,
}

/// The position that guards the runs of a bucket.
pub fn fence(month: Option<&str>, Bucket { number, of }: Bucket) -> String {
    match month {
        Some(month) => format!("{month}/{number}-{of}"),
        None => format!("{number}-{of}"),
    }
}

impl<R: Run> Job<R> {
    /// The position that guards its runs.
    fn fence(&self) -> String {
        match self.kind {
            Kind::Fold(bucket) => fence(self.month.as_deref(), bucket),
            Kind::Flush { .. } | Kind::Gather => gather::fence(self.month.as_deref()),
        }
    }

    /// The rows of its runs.
    pub fn rows(&self) -> u64 {
        self.inputs.iter().map(|input| input.facts().rows).sum()
    }

    /// The bucket of an output, by its number.
    pub(super) fn bucket(&self, number: u32) -> Option<Bucket> {
        match self.kind {
            Kind::Fold(bucket) => Some(bucket),
            Kind::Flush { buckets } => Some(Bucket { number, of: buckets }),
            Kind::Gather => None,
        }
    }

    /// Where an output lies in its table.
    pub(super) fn path(&self, number: u32) -> String {
        let month = self.month.as_deref();
        self.bucket(number).map_or_else(|| level_0_path(month), |bucket| bucket.run_path(month))
    }

    /// The commit of what it made.
    pub fn changes(&self, files: Vec<NewFile>, now_ms: i64) -> Changes {
        let moved = |(app_id, from): &(String, Option<i64>)| Move {
            app_id: app_id.clone(),
            from: *from,
            to: from.unwrap_or(0) + 1,
        };
        Changes {
            add: files,
            remove: self.inputs.iter().map(|input| Arc::clone(input.file())).collect(),
            moves: self.guards.iter().map(moved).collect(),
            now_ms,
            ..Changes::default()
        }
    }
}

/// The runs of one month.
#[derive(Debug)]
struct Month<'a, R> {
    level_0: Vec<&'a Arc<R>>,
    buckets: BTreeMap<Bucket, Vec<&'a Arc<R>>>,
}

/// The jobs that are due, of which no two touch the same runs, and none merges more than `merged` of level 0. `guard` says where a position is at the version of the runs.
pub fn plan<'a, R: Run>(
    runs: impl Iterator<Item = &'a Arc<R>>,
    (buckets, merged): (u32, usize),
    now_ms: i64,
    guard: impl Fn(&str) -> Option<i64>,
) -> Vec<Job<R>> {
    let mut months: BTreeMap<Option<&str>, Month<'_, R>> = BTreeMap::new();
    for run in runs {
        let none = || Month { level_0: Vec::new(), buckets: BTreeMap::new() };
        let month = months.entry(run.file().month.as_deref()).or_insert_with(none);
        match run.facts().bucket {
            Some(bucket) => month.buckets.entry(bucket).or_default().push(run),
            None => month.level_0.push(run),
        }
    }
    let mut jobs: Vec<Job<R>> =
        months.iter().flat_map(|(name, month)| month.jobs(*name, (buckets, merged), now_ms)).collect();
    for job in &mut jobs {
        let fence = job.fence();
        job.guards = vec![(fence.clone(), guard(&fence))];
    }
    // What makes room first, and of that the smallest.
    jobs.sort_by_key(|job| (job.kind, job.rows()));
    jobs
}

/// The runs of other numbers of buckets than one, of each month, as a job that sorts their rows into that many. Level 0 has no buckets yet, and runs
/// that have the right number stay as they are. `guard` says where a position is at the version of the runs.
pub fn into_buckets<'a, R: Run>(
    runs: impl Iterator<Item = &'a Arc<R>>,
    buckets: u32,
    guard: impl Fn(&str) -> Option<i64>,
) -> Vec<Job<R>> {
    let mut months: BTreeMap<Option<&str>, BTreeMap<Bucket, Vec<&'a Arc<R>>>> = BTreeMap::new();
    for run in runs {
        if let Some(bucket) = run.facts().bucket.filter(|bucket| bucket.of != buckets) {
            let month = months.entry(run.file().month.as_deref()).or_default();
            month.entry(bucket).or_default().push(run);
        }
    }
    let of_month = |(name, month): (Option<&str>, BTreeMap<Bucket, Vec<&'a Arc<R>>>)| {
        let fences = month.keys().map(|bucket| fence(name, *bucket));
        let guards = fences.map(|fence| (fence.clone(), guard(&fence))).collect();
        let inputs: Vec<&Arc<R>> = month.values().flatten().copied().collect();
        Job { guards, ..job(Kind::Flush { buckets }, name, &inputs) }
    };
    months.into_iter().map(of_month).collect()
}

impl<R: Run> Month<'_, R> {
    fn jobs(&self, name: Option<&str>, (buckets, merged): (u32, usize), now_ms: i64) -> Vec<Job<R>> {
        let idle = self.level_0.is_empty() && self.last_written(now_ms) >= IDLE_MONTH_MS;
        let folds = self.buckets.iter().filter_map(|(bucket, runs)| {
            let mut runs = runs.clone();
            runs.sort_by_key(|run| std::cmp::Reverse(run.facts().rows));
            let folded = match runs.as_slice() {
                [_, _, ..] if idle => runs.as_slice(),
                [a, b, c, ..] => {
                    let rows = [a, b, c].map(|run| run.facts().rows);
                    let large =
                        u128::from(rows[1] + rows[2]).pow(2) >= u128::from(rows[0]) * u128::from(rows[2]);
                    if large || runs.len() > FOLD_RUNS { runs.as_slice() } else { &runs[1..] }
                }
                _ => return None,
            };
            Some(job(Kind::Fold(*bucket), name, folded))
        });
        let mut jobs: Vec<Job<R>> = folds.collect();
        let room = self.buckets.values().all(|runs| runs.len() < FOLD_RUNS);
        let rows: u64 = self.level_0.iter().map(|run| run.facts().rows).sum();
        let oldest = self.level_0.iter().map(|run| run.file().written_ms).min();
        let old = oldest.is_some_and(|ms| now_ms - ms >= FLUSH_AGE_MS);
        if self.level_0.len() > merged {
            let mut smallest = self.level_0.clone();
            smallest.sort_by_key(|run| run.facts().rows);
            smallest.truncate(merged);
            jobs.push(job(Kind::Gather, name, &smallest));
        } else if (rows >= FLUSH_ROWS * u64::from(buckets) || old) && room {
            jobs.push(job(Kind::Flush { buckets }, name, &self.level_0));
        } else if let Some(alike) = alike(&self.level_0, |run| run.facts().rows) {
            jobs.push(job(Kind::Gather, name, &alike));
        }
        jobs
    }

    /// How long ago the newest of its runs was written.
    fn last_written(&self, now_ms: i64) -> i64 {
        let newest = self.buckets.values().flatten().map(|run| run.file().written_ms).max();
        newest.map_or(0, |ms| now_ms - ms)
    }
}

fn job<R>(kind: Kind, month: Option<&str>, inputs: &[&Arc<R>]) -> Job<R> {
    let inputs = inputs.iter().map(|run| Arc::clone(run)).collect();
    Job { kind, month: month.map(str::to_owned), inputs, guards: Vec::new() }
}

#[cfg(test)]
mod tests;
