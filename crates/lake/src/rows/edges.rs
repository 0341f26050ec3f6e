//! Which rows cannot be read straight, for more of them may lie elsewhere: told by what they lie under.
//!
//! A row of a run is whole as a rule: compaction makes one row of a Device's fragments of one key (0077). It is not where
//!
//! 1. rows of one Device look like fragments of one key, in one run, as they may in a run that nobody compacted, or in two runs of a month;
//! 2. the same of rows at both sides of a month's end, less than a day from it.
//!
//! That takes a look at the keys of a run, once a process: what was found is kept with the run. Runs of level 0, which come and go, are
//! looked at each time.

use crate::limits::APART_MS;
use crate::month::Month;
use crate::rows::packed::Print;
use crate::rows::run::RunFile;
use crate::rows::schema::column;
use deltalake_core::Path;
use gridtrail_model::Timestamp;
use gridtrail_runs::{Bucket, Coded, OpenRun, RunCache, RunsError, is_among};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Row groups of a run whose prints are in memory at once, 32 bytes a row, while another run is held against them.
const GROUPS_AT_ONCE: usize = 4;

/// Whether two runs of one number of buckets or another can have rows under the same thing.
pub(crate) fn may_share(one: &RunFile, other: &RunFile) -> bool {
    match (one.summary.bucket, other.summary.bucket) {
        (Some(Bucket { number, of }), Some(other)) => of != other.of || number == other.number,
        _ => true,
    }
}

/// Rows of runs, by what tells which rows of other runs are of the same key.
#[derive(Debug, Default)]
struct Prints {
    /// What each lies under, and when it was received, in milliseconds; ascending.
    rows: Vec<(u64, i64)>,
    /// What each lies under, and the print of its key; ascending.
    keys: Vec<(u64, u64)>,
}

impl Prints {
    fn add(&mut self, under: u64, received: i64, print: u64) {
        self.rows.push((under, received));
        self.keys.push((under, print));
    }

    fn sort(&mut self) {
        self.rows.sort_unstable();
        self.keys.sort_unstable();
    }

    /// Those that lie under something.
    fn under(&self, under: u64) -> &[(u64, i64)] {
        let from = self.rows.partition_point(|(key, _)| *key < under);
        let rows = self.rows.get(from..).unwrap_or_default();
        rows.get(..rows.partition_point(|(key, _)| *key == under)).unwrap_or_default()
    }
}

/// Whether a row was received within a day of one of some, which ascend by when they were.
fn has_near(rows: &[(u64, i64)], received: i64) -> bool {
    let at = rows.partition_point(|(_, at)| *at < received.saturating_sub(APART_MS));
    rows.get(at).is_some_and(|(_, at)| *at <= received.saturating_add(APART_MS))
}

/// What rows of some runs of a month are not whole by, for another of the runs has rows that look like the same key: of what `has` says is
/// wanted.
///
/// Runs of one bucket are held against each other once a process. Runs of level 0 come and go, and all of them are held against the others
/// each time, which reads of those when and under what their rows lie, and more where rows lie under the same Device within a day.
pub(crate) async fn of_several(
    cache: &RunCache,
    runs: &[(Arc<RunFile>, Arc<OpenRun>)],
    has: &(dyn Fn(u64) -> bool + Sync),
) -> Result<BTreeSet<u64>, RunsError> {
    let buckets = runs.iter().filter_map(|(file, _)| Some(file.summary.bucket?.of)).max();
    let is_compacted = |file: &RunFile| file.summary.bucket.is_some_and(|bucket| Some(bucket.of) == buckets);
    let (compacted, loose): (Vec<_>, Vec<_>) = runs.iter().partition(|(file, _)| is_compacted(file));
    let mut prints = Prints::default();
    for (_, run) in loose {
        for group in groups_of(run) {
            each_print(
                cache,
                (run, group),
                |key, _| has(key),
                |under, at, print| prints.add(under, at, print),
            )
            .await?;
        }
    }
    prints.sort();
    let alike = prints.keys.windows(2).filter(|pair| pair[0] == pair[1]);
    let mut apart: BTreeSet<u64> = alike.map(|pair| pair[0].0).collect();
    for (number, one) in compacted.iter().enumerate() {
        apart.extend(alike_with(cache, &prints, &one.1).await?);
        for other in compacted.iter().skip(number + 1).filter(|other| may_share(&one.0, &other.0)) {
            apart.extend(alike_in(cache, one, other).await?.iter());
        }
    }
    Ok(apart)
}

fn groups_of(run: &OpenRun) -> Range<usize> {
    0..run.metadata.metadata().num_row_groups()
}

/// What rows of two runs of a bucket that look like the same key lie under; ascending.
async fn alike_in(
    cache: &RunCache,
    one: &(Arc<RunFile>, Arc<OpenRun>),
    other: &(Arc<RunFile>, Arc<OpenRun>),
) -> Result<Arc<[u64]>, RunsError> {
    if let Some(alike) = one.0.apart.with(&other.0.path) {
        return Ok(alike);
    }
    let (few, many) = if one.0.summary.rows <= other.0.summary.rows { (one, other) } else { (other, one) };
    let mut alike = Vec::new();
    let groups = groups_of(&few.1);
    for from in groups.clone().step_by(GROUPS_AT_ONCE) {
        let mut prints = Prints::default();
        for group in from..groups.end.min(from + GROUPS_AT_ONCE) {
            each_print(cache, (&few.1, group), |_, _| true, |under, at, print| prints.add(under, at, print))
                .await?;
        }
        prints.sort();
        alike.extend(alike_with(cache, &prints, &many.1).await?);
    }
    alike.sort_unstable();
    alike.dedup();
    let alike: Arc<[u64]> = alike.into();
    one.0.apart.keep_with(&other.0.path, Arc::clone(&alike));
    Ok(alike)
}

/// What rows of a run lie under that look like the same key as some that are known.
async fn alike_with(cache: &RunCache, prints: &Prints, run: &OpenRun) -> Result<Vec<u64>, RunsError> {
    let mut alike = Vec::new();
    let (Some((first, _)), Some((last, _))) = (prints.rows.first(), prints.rows.last()) else {
        return Ok(alike);
    };
    for group in groups_of(run) {
        if span_of(run, group).is_some_and(|(least, most)| most < *first || *last < least) {
            continue;
        }
        // Rows under one thing lie together.
        let mut last: (Option<u64>, &[_]) = (None, &[]);
        let near = |key, at| {
            if last.0 != Some(key) {
                last = (Some(key), prints.under(key));
            }
            has_near(last.1, at)
        };
        each_print(cache, (run, group), near, |under, _, print| {
            if prints.keys.binary_search(&(under, print)).is_ok() {
                alike.push(under);
            }
        })
        .await?;
    }
    Ok(alike)
}

/// The least and the greatest of what the rows of a group lie under, where its statistics have both whole.
fn span_of(run: &OpenRun, group: usize) -> Option<(u64, u64)> {
    let statistics = run.metadata.metadata().row_group(group).column(column::DEVICE).statistics()?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    Some((number(statistics.min_bytes_opt()?)?, number(statistics.max_bytes_opt()?)?))
}

/// Calls `take` with what each row of a group lies under, when it was received, in milliseconds, and the print of its key: of those rows
/// alone of which `is_wanted` says so by the first two.
async fn each_print(
    cache: &RunCache,
    (run, group): (&OpenRun, usize),
    mut is_wanted: impl FnMut(u64, i64) -> bool,
    mut take: impl FnMut(u64, i64, u64),
) -> Result<(), RunsError> {
    let damaged = || corrupt(run);
    let chunks = cache.chunks(run, group, &[column::DEVICE, column::RECEIVED]).await?;
    let [device, received] = chunks.as_slice() else { return Err(damaged()) };
    let (keys, without) = device.keys(&|_| true).ok_or_else(damaged)?;
    let received = received.numbers(&|_| true).ok_or_else(damaged)?;
    let rows = (0..).zip(keys.iter().zip(&received)).skip(without);
    let rows: Vec<u32> = rows.filter(|(_, (key, at))| is_wanted(**key, **at)).map(|(row, _)| row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let chunks = cache.chunks(run, group, &[column::USER, column::SHAPE, column::TAIL]).await?;
    let [user, shape, tail] = chunks.as_slice() else { return Err(damaged()) };
    let wanted = is_among(&rows);
    let (user, shape) = (user.coded(&wanted).ok_or_else(damaged)?, shape.coded(&wanted).ok_or_else(damaged)?);
    let tails = tail.texts(&wanted).ok_or_else(damaged)?;
    let read = tails.each(rows.iter().map(|row| *row as usize), |row, tail| {
        let (user, shape) = (value(&user, row)?, value(&shape, row)?);
        let at = *received.get(row)?;
        let print = Print::read((shape, tail), user.try_into().ok()?, Timestamp::from_millis(at)?)?.key;
        take(*keys.get(row)?, at, print);
        Some(())
    });
    read.ok_or_else(damaged)
}

fn corrupt(run: &OpenRun) -> RunsError {
    RunsError::Corrupt { path: run.path.to_string(), why: "the keys of its rows cannot be read".to_owned() }
}

/// The keys of a run, as far as its neighbours are to be held against them: what rows lie under, and their prints; ascending.
#[derive(Debug, Default)]
struct Edges {
    within: Vec<u64>,
    /// Of rows less than a day after the month's start.
    first: Vec<(u64, u64)>,
    /// Of rows less than a day before its end.
    last: Vec<(u64, u64)>,
}

/// The edges of the runs of two months, each read once.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    edges: HashMap<Path, Arc<Edges>>,
}

impl Neighbours {
    /// What rows of the runs of a month are not whole by, within each run and across the end of the month.
    pub(crate) async fn apart(
        &mut self,
        cache: &RunCache,
        month: &str,
        runs: &[(Arc<RunFile>, Arc<OpenRun>)],
        next: &[Arc<RunFile>],
    ) -> Result<BTreeSet<u64>, RunsError> {
        let mut apart = BTreeSet::new();
        let (_, end) = ends_of(month);
        // Most runs of level 0 lie far from the month's end, and have nothing to be held against.
        let is_near = |other: &&Arc<RunFile>| other.summary.min_received_ms.saturating_sub(APART_MS) < end;
        let next: Vec<&Arc<RunFile>> = next.iter().filter(is_near).collect();
        for (file, run) in runs {
            let within = match file.apart.within() {
                Some(within) => within,
                None => {
                    let edges = self.edges(cache, month, (file, run)).await?;
                    file.apart.keep_within(&edges.within);
                    edges.within.as_slice().into()
                }
            };
            apart.extend(within.iter().copied());
            let reaches_end = file.summary.max_received_ms.saturating_add(APART_MS) >= end;
            for other in next.iter().filter(|other| reaches_end && may_share(file, other)) {
                let across = match file.apart.with(&other.path) {
                    Some(across) => across,
                    None => {
                        let last = self.edges(cache, month, (file, run)).await?;
                        let opened = other.open(cache).await?;
                        let of_next = other.file.month.as_deref().unwrap_or_default();
                        let first = self.edges(cache, of_next, (other, &opened)).await?;
                        let across: Arc<[u64]> = in_both(&last.last, &first.first).into();
                        file.apart.keep_with(&other.path, Arc::clone(&across));
                        across
                    }
                };
                apart.extend(across.iter().copied());
            }
        }
        // Those of the months before are asked for no more.
        let needed = |path: &Path| next.iter().any(|file| file.path == *path);
        self.edges.retain(|path, _| needed(path));
        Ok(apart)
    }

    async fn edges(
        &mut self,
        cache: &RunCache,
        month: &str,
        (file, run): (&RunFile, &OpenRun),
    ) -> Result<Arc<Edges>, RunsError> {
        if let Some(edges) = self.edges.get(&file.path) {
            return Ok(Arc::clone(edges));
        }
        let edges = Arc::new(Edges::read(cache, month, run).await?);
        self.edges.insert(file.path.clone(), Arc::clone(&edges));
        Ok(edges)
    }
}

/// The value of a row.
fn value(coded: &Coded, row: usize) -> Option<&[u8]> {
    coded.values.get(*coded.codes.get(row)? as usize)
}

/// What lies under the same and looks like the same key, of some that ascend: what it lies under.
fn in_both(one: &[(u64, u64)], other: &[(u64, u64)]) -> Vec<u64> {
    let mut found: Vec<u64> =
        one.iter().filter(|key| other.binary_search(key).is_ok()).map(|(under, _)| *under).collect();
    found.dedup();
    found
}

/// When a month starts and ends, in milliseconds. What is of no month that is known has no neighbours either.
fn ends_of(month: &str) -> (i64, i64) {
    let ends = |month: Month| (month.first_instant().millis(), month.plus(1).first_instant().millis());
    month.parse().map_or((i64::MIN, i64::MAX), ends)
}

impl Edges {
    async fn read(cache: &RunCache, month: &str, run: &OpenRun) -> Result<Self, RunsError> {
        let (start, end) = ends_of(month);
        let (mut edges, mut prints, mut under) = (Self::default(), Vec::new(), None);
        for group in groups_of(run) {
            each_print(
                cache,
                (run, group),
                |_, _| true,
                |key, received, print| {
                    if under != Some(key) {
                        edges.end(under, &mut prints);
                        under = Some(key);
                    }
                    prints.push(print);
                    if received.saturating_sub(APART_MS) < start {
                        edges.first.push((key, print));
                    }
                    if received.saturating_add(APART_MS) >= end {
                        edges.last.push((key, print));
                    }
                },
            )
            .await?;
        }
        edges.end(under, &mut prints);
        edges.first.sort_unstable();
        edges.last.sort_unstable();
        Ok(edges)
    }

    /// All rows under one thing were seen.
    fn end(&mut self, under: Option<u64>, prints: &mut Vec<u64>) {
        prints.sort_unstable();
        let alike = prints.windows(2).any(|pair| pair[0] == pair[1]);
        prints.clear();
        if let (true, Some(under)) = (alike, under) {
            self.within.push(under);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let (start, end) = ends_of("2026-02");
        assert_eq!(end - start, 28 * APART_MS);
        assert_eq!(ends_of("2026-12").1, ends_of("2027-01").0);
        assert_eq!(ends_of("x"), (i64::MIN, i64::MAX));
    }

    #[test]
    fn what_is_alike_at_both_sides_is_found() {
        assert_eq!(in_both(&[(1, 5), (2, 6), (2, 7), (3, 8)], &[(1, 6), (2, 6), (2, 7), (4, 8)]), [2]);
    }
}
