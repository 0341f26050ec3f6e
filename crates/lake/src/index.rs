//! The runs of a table, by month and bucket: what a look-up asks first.
//!
//! A change copies the lists of the month that it touches and shares all others, so that the many snapshots that a server
//! keeps for its page tokens cost little more than one.

use crate::bucket::Bucket;
use crate::run::RunSummary;
use crate::snapshot::RunFile;
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_runs::{FileChanges, RunsError, Table, TableFile};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The runs of one month.
#[derive(Debug, Clone, Default)]
struct Month {
    /// Runs that hold rows of any bucket.
    level_0: Vec<Arc<RunFile>>,
    /// By how many buckets there were when they were written; then by the bucket's number.
    buckets: BTreeMap<u32, Vec<Vec<Arc<RunFile>>>>,
    /// How many runs list a Device among [`closing_targets`](crate::run::RunSummary::closing_targets); under `None`, how many list
    /// nothing, and may have any.
    closing: HashMap<Option<DeviceId>, usize>,
}

impl Month {
    fn runs(&self) -> impl Iterator<Item = &Arc<RunFile>> {
        self.level_0.iter().chain(self.buckets.values().flatten().flatten())
    }

    /// The list that a run belongs into.
    fn list(&mut self, bucket: Option<Bucket>) -> &mut Vec<Arc<RunFile>> {
        let Some(Bucket { number, of }) = bucket else { return &mut self.level_0 };
        let lists = self.buckets.entry(of).or_default();
        if lists.len() <= number as usize {
            lists.resize(number as usize + 1, Vec::new());
        }
        &mut lists[number as usize]
    }

    /// Counts what a run lists, or counts it no more.
    fn count_closing(&mut self, summary: &RunSummary, is_there: bool) {
        let listed = summary.closing();
        let listed = listed.map_or_else(|| vec![None], |listed| listed.into_iter().map(Some).collect());
        for target in listed {
            let runs = self.closing.entry(target).or_default();
            *runs = if is_there { *runs + 1 } else { runs.saturating_sub(1) };
            if *runs == 0 {
                self.closing.remove(&target);
            }
        }
    }
}

/// The runs of a table at one version. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunIndex {
    months: BTreeMap<String, Arc<Month>>,
    rows: u64,
    runs: u64,
    bytes: u64,
}

impl RunIndex {
    /// Takes in what changed. `table` says where files lie.
    pub(crate) fn apply(&mut self, changes: &FileChanges, table: &Table) -> Result<(), RunsError> {
        if changes.anew {
            *self = Self::default();
        }
        for file in &changes.removed {
            self.remove(file)?;
        }
        for file in &changes.added {
            let run = RunFile::new(Arc::clone(file), table.full_path(&file.path)?)?;
            self.rows += run.summary.rows;
            self.runs += 1;
            self.bytes += file.size;
            let month = self.month(file);
            month.count_closing(&run.summary, true);
            month.list(run.summary.bucket).push(Arc::new(run));
        }
        Ok(())
    }

    fn remove(&mut self, file: &Arc<TableFile>) -> Result<(), RunsError> {
        let summary = RunFile::summary_of(file)?;
        let month = self.month(file);
        let list = month.list(summary.bucket);
        let before = list.len();
        list.retain(|run| run.file.path != file.path);
        if list.len() < before {
            month.count_closing(&summary, false);
            self.rows -= summary.rows;
            self.runs -= 1;
            self.bytes -= file.size;
        }
        Ok(())
    }

    /// The month of a file, made this index's own.
    fn month(&mut self, file: &TableFile) -> &mut Month {
        Arc::make_mut(self.months.entry(file.month.clone().unwrap_or_default()).or_default())
    }

    /// The months that hold any run, each with its runs, oldest first.
    pub(crate) fn months(&self) -> impl DoubleEndedIterator<Item = (&str, Vec<&Arc<RunFile>>)> {
        let months =
            self.months.iter().map(|(name, month)| (name.as_str(), month.runs().collect::<Vec<_>>()));
        months.filter(|(_, runs)| !runs.is_empty())
    }

    /// Every run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RunFile>> {
        self.months.values().flat_map(|month| month.runs())
    }

    /// The runs that a look-up of a Device within a period goes through: the same for every Device of a bucket. That a run's Devices
    /// begin behind one or end before it leaves none out: of a run of few Devices it would tell which those are.
    pub(crate) fn of_device(
        &self,
        device: DeviceId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> impl Iterator<Item = &Arc<RunFile>> {
        let (first, last) = (from.map(Timestamp::month), to.map(Timestamp::month));
        let within = move |month: &str| {
            // What has no month, as what waits, has no period.
            month.is_empty()
                || (first.as_deref().is_none_or(|first| first <= month)
                    && last.as_deref().is_none_or(|last| month <= last))
        };
        let months = self.months.iter().filter(move |(name, _)| within(name)).map(|(_, month)| month);
        months.flat_map(move |month| {
            let bucketed = month
                .buckets
                .iter()
                .filter_map(move |(of, lists)| lists.get(Bucket::of_device(device, *of).number as usize));
            let runs = month.level_0.iter().chain(bucketed.flatten());
            runs.filter(move |run| run.may_lie_within(from, to))
        })
    }

    /// About how many bytes it takes beside what it shares with another.
    pub(crate) fn bytes_beside(&self, other: Option<&Self>) -> usize {
        let of_month = |(name, month): (&String, &Arc<Month>)| {
            let theirs = other.and_then(|other| other.months.get(name));
            if theirs.is_some_and(|theirs| Arc::ptr_eq(theirs, month)) {
                return 0;
            }
            let theirs: HashSet<_> =
                theirs.into_iter().flat_map(|month| month.runs()).map(Arc::as_ptr).collect();
            let runs = month.runs().map(|run| match theirs.contains(&Arc::as_ptr(run)) {
                true => size_of::<Arc<RunFile>>(),
                false => size_of::<Arc<RunFile>>() + run.bytes(),
            });
            let lists: usize = month.buckets.values().map(Vec::len).sum();
            size_of::<Month>() + lists * size_of::<Vec<Arc<RunFile>>>() + runs.sum::<usize>()
        };
        let entries = self.months.keys().map(|name| size_of::<(String, Arc<Month>)>() + name.len());
        entries.sum::<usize>() + self.months.iter().map(of_month).sum::<usize>()
    }

    /// The runs in which a row may lie that closes others, whose id names a Device, and that lies under something else.
    pub(crate) fn closing_elsewhere(&self, target: DeviceId) -> impl Iterator<Item = &Arc<RunFile>> {
        let may_have = move |month: &&Arc<Month>| {
            month.closing.contains_key(&Some(target)) || month.closing.contains_key(&None)
        };
        let runs = self.months.values().filter(may_have).flat_map(|month| month.runs());
        runs.filter(move |run| run.closing.get().is_none_or(|listed| listed.contains(&target)))
    }

    /// Rows in all runs.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// How many runs there are.
    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    /// Bytes of all runs.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
