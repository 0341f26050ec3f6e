//! Which rows cannot be read straight, for more of them may lie elsewhere: told by what they lie under.
//!
//! A row of a run is whole as a rule: compaction makes one row of a Device's fragments of one key (0077). It is not where
//!
//! 1. several runs of a month have rows under the same Device, as those of level 0 and of a bucket do;
//! 2. rows of one Device in one run look like fragments of one key, as they may in a run that nobody compacted;
//! 3. the same of rows at both sides of a month's end, less than a day from it.
//!
//! The second and third take a look at the keys of a run, once a process: what was found is kept with the run.

use crate::limits::APART_MS;
use crate::month::Month;
use crate::rows::packed::Print;
use crate::rows::run::RunFile;
use crate::rows::schema::column;
use deltalake_core::Path;
use gridtrail_model::Timestamp;
use gridtrail_runs::{Bucket, Coded, OpenRun, RunCache, RunsError};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Whether two runs of one number of buckets or another can have rows under the same thing.
pub(crate) fn may_share(one: &RunFile, other: &RunFile) -> bool {
    match (one.summary.bucket, other.summary.bucket) {
        (Some(Bucket { number, of }), Some(other)) => of != other.of || number == other.number,
        _ => true,
    }
}

/// What the rows of some runs of a month lie under of which several runs have any.
pub(crate) async fn of_several(
    cache: &RunCache,
    runs: &[(Arc<RunFile>, Arc<OpenRun>)],
) -> Result<BTreeSet<u64>, RunsError> {
    let shares = |(number, (file, _)): &(usize, &(Arc<RunFile>, Arc<OpenRun>))| {
        runs.iter().enumerate().any(|(n, (other, _))| n != *number && may_share(file, other))
    };
    let mut all = Vec::new();
    for (_, (_, run)) in runs.iter().enumerate().filter(shares) {
        all.extend(keys_of(cache, run).await?);
    }
    all.sort_unstable();
    Ok(all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect())
}

/// What the rows of a run lie under, each once.
async fn keys_of(cache: &RunCache, run: &OpenRun) -> Result<Vec<u64>, RunsError> {
    let mut all = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        let chunks = cache.chunks(run, group, &[column::DEVICE]).await?;
        let keys = chunks.first().and_then(|chunk| chunk.keys(&|_| true));
        let (keys, without) = keys.ok_or_else(|| corrupt(run))?;
        all.extend_from_slice(&keys[without..]);
        all.dedup();
    }
    Ok(all)
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
                let across = match file.apart.across(&other.path) {
                    Some(across) => across,
                    None => {
                        let last = self.edges(cache, month, (file, run)).await?;
                        let opened = other.open(cache).await?;
                        let of_next = other.file.month.as_deref().unwrap_or_default();
                        let first = self.edges(cache, of_next, (other, &opened)).await?;
                        let across: Arc<[u64]> = in_both(&last.last, &first.first).into();
                        file.apart.keep_across(&other.path, Arc::clone(&across));
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
    coded.values.get(*coded.codes.get(row)? as usize).map(AsRef::as_ref)
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
        const COLUMNS: &[usize] =
            &[column::DEVICE, column::RECEIVED, column::USER, column::SHAPE, column::TAIL];
        let damaged = || corrupt(run);
        let (start, end) = ends_of(month);
        let (mut edges, mut prints, mut under) = (Self::default(), Vec::new(), None);
        for group in 0..run.metadata.metadata().num_row_groups() {
            let chunks = cache.chunks(run, group, COLUMNS).await?;
            let [device, received, user, shape, tail] = chunks.as_slice() else { return Err(damaged()) };
            let all = &|_| true;
            let (keys, without) = device.keys(all).ok_or_else(damaged)?;
            let received = received.numbers(all).ok_or_else(damaged)?;
            let (user, shape) = (user.coded(all).ok_or_else(damaged)?, shape.coded(all).ok_or_else(damaged)?);
            let tails = tail.texts(all).ok_or_else(damaged)?;
            let read = tails.each(without..keys.len(), |row, tail| {
                let (user, shape) = (value(&user, row)?, value(&shape, row)?);
                let at = Timestamp::from_millis(received[row])?;
                let print = Print::read((shape, tail), user.try_into().ok()?, at)?.key;
                if under != Some(keys[row]) {
                    edges.end(under, &mut prints);
                    under = Some(keys[row]);
                }
                prints.push(print);
                if received[row].saturating_sub(APART_MS) < start {
                    edges.first.push((keys[row], print));
                }
                if received[row].saturating_add(APART_MS) >= end {
                    edges.last.push((keys[row], print));
                }
                Some(())
            });
            read.ok_or_else(damaged)?;
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
