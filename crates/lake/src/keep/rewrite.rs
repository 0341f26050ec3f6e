//! Writing a month anew: with its rows in another number of buckets, or without those that retention lets go.
//!
//! A month is written in parts that share no row, so that memory does not depend on how large it is. Where the numbers of
//! buckets, old and new, have a common divisor, rows of one bucket of that many stay together whatever the number: each part
//! is one such bucket. Runs of level 0 hold rows of every part, and are read for each.
//!
//! All parts are one commit, which moves every position that guards the month: of it and any job on the same runs, one wins.

use crate::keep::kept_rows::Keep;
use crate::rows::bucket::{self, Bucket};
use crate::rows::one_row::OneRow;
use crate::rows::run::{self, FragmentSummary, RunFile};
use crate::site::Site;
use crate::tables::trails::{fence, level_0_fence};
use arrow::array::RecordBatch;
use gridtrail_model::Fragment;
use gridtrail_runs::{CompactionSettings, Move, NewFile, Pace, RunWriter, RunsError, Table, passes};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A month to be written anew.
#[derive(Debug, Clone)]
pub(crate) struct MonthRewrite {
    pub(crate) month: String,
    pub(crate) inputs: Vec<Arc<RunFile>>,
    /// The number of buckets that its rows go into.
    pub(crate) buckets: u32,
    /// Which rows stay; `None`: all.
    pub(crate) keep: Option<Arc<Keep>>,
    /// Whether rows are only counted.
    pub(crate) dry: bool,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) files: Vec<NewFile>,
    pub(crate) rows_kept: u64,
    pub(crate) rows_dropped: u64,
    /// Rows among those kept that only a hold keeps.
    pub(crate) rows_held: u64,
    /// Rows that lie at another time than some of their fragments did, as far as links lead to them.
    pub(crate) moved: Vec<Fragment>,
}

/// Moves of all positions that guard the runs of a month.
pub(crate) fn fences<'a>(
    month: &str,
    runs: impl Iterator<Item = &'a Arc<RunFile>>,
    table: &Table,
) -> Vec<Move> {
    let buckets: BTreeSet<Bucket> = runs.filter_map(|run| run.summary.bucket).collect();
    let fences = buckets.into_iter().map(|bucket| fence(month, bucket));
    let moved = |app_id: String| {
        let from = table.position(&app_id);
        Move { app_id, from, to: from.unwrap_or(0) + 1 }
    };
    std::iter::once(level_0_fence(month)).chain(fences).map(moved).collect()
}

impl MonthRewrite {
    /// How many parts it is written in.
    pub(crate) fn parts(&self) -> u32 {
        let numbers = self.inputs.iter().filter_map(|run| run.summary.bucket).map(|bucket| bucket.of);
        numbers.fold(self.buckets, greatest_common_divisor).max(1)
    }

    /// Writes one part, up to the commit. CPU-bound: give it a thread.
    pub(crate) async fn write(
        &self,
        part: u32,
        (site, table): (&Site, &Table),
        settings: &CompactionSettings,
        given_up: &AtomicBool,
    ) -> Result<Rewritten, RunsError> {
        let parts = self.parts();
        let mut runs = Vec::new();
        for run in &self.inputs {
            if run.summary.bucket.is_none_or(|bucket| bucket.number % parts == part) {
                runs.push(site.cache().open_to_rewrite(table, &run.file).await?);
            }
        }
        let mut done = Rewritten::default();
        let mut pace = Pace::new(settings.rows_per_second);
        for pass in passes(self.buckets / parts, settings) {
            let mut merge = OneRow::new(site.cache(), runs.clone(), true).await?;
            let mut writers = Writers { of: self, table, writers: BTreeMap::new() };
            let wanted = |number: u32| number % parts == part && pass.contains(&(number / parts));
            while let Some(batch) = merge.next().await? {
                if given_up.load(Ordering::Relaxed) {
                    return Err(RunsError::GivenUp);
                }
                pace.keep(batch.num_rows()).await;
                for (number, rows) in bucket::split(&batch, self.buckets, wanted)? {
                    writers.write(number, &rows, &mut done).await?;
                }
            }
            for writer in writers.writers.into_values() {
                done.files.push(writer.finish().await?);
            }
            done.moved.extend(merge.into_moved());
        }
        Ok(done)
    }
}

/// The runs that are being written, by their bucket.
struct Writers<'a> {
    of: &'a MonthRewrite,
    table: &'a Table,
    writers: BTreeMap<u32, RunWriter<FragmentSummary>>,
}

impl Writers<'_> {
    async fn write(
        &mut self,
        number: u32,
        rows: &RecordBatch,
        done: &mut Rewritten,
    ) -> Result<(), RunsError> {
        let before = rows.num_rows() as u64;
        let (rows, mark) = match &self.of.keep {
            None => (rows.clone(), None),
            Some(keep) => {
                let kept = keep.select(rows)?;
                done.rows_held += kept.held;
                (kept.rows, Some(kept.mark))
            }
        };
        done.rows_kept += rows.num_rows() as u64;
        done.rows_dropped += before - rows.num_rows() as u64;
        if rows.num_rows() == 0 || self.of.dry {
            return Ok(());
        }
        let bucket = Bucket { number, of: self.of.buckets };
        let writer = match self.writers.entry(number) {
            Entry::Occupied(writer) => writer.into_mut(),
            Entry::Vacant(free) => free.insert(start(self.of, self.table, bucket)?),
        };
        if let Some(mark) = mark {
            writer.summary_mut().mark(mark);
        }
        writer.write(&rows).await
    }
}

fn start(of: &MonthRewrite, table: &Table, bucket: Bucket) -> Result<RunWriter<FragmentSummary>, RunsError> {
    let path = bucket.run_path(Some(&of.month));
    let summary = FragmentSummary::new(Some(of.month.clone()), Some(bucket), run::since(&of.inputs));
    RunWriter::new(table, path, summary)
}

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The months that have runs of another number of buckets than one, each as what is to be written anew.
pub(crate) fn with_other_buckets<'a>(
    months: impl Iterator<Item = (&'a str, Vec<&'a Arc<RunFile>>)>,
    buckets: u32,
) -> Vec<MonthRewrite> {
    let other = |run: &&&Arc<RunFile>| run.summary.bucket.is_some_and(|bucket| bucket.of != buckets);
    let months = months.filter(|(_, runs)| runs.iter().any(|run| other(&run)));
    let rewrite = |(month, runs): (&str, Vec<&Arc<RunFile>>)| MonthRewrite {
        month: month.to_owned(),
        // Level 0 has no buckets yet. A run that has the right number already may hold fragments of the same rows.
        inputs: runs.into_iter().filter(|run| run.summary.bucket.is_some()).cloned().collect(),
        buckets,
        keep: None,
        dry: false,
    };
    months.map(rewrite).collect()
}
