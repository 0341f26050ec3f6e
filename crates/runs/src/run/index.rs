//! The runs of a table, by month and bucket: what a look-up asks first.
//!
//! A server makes one of these for every version that it sees, and keeps many for its page tokens. So the lists are persistent: a
//! change copies the few nodes on the way to what it touches, and all others are shared with the version before (decision 0103).

use super::list::{Listed, Memory, tree_path_bytes};
use crate::delta::log::{FileChanges, TableFile};
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::run::bucket::Bucket;
use deltalake_core::Path;
use rpds::{RedBlackTreeMapSync, VectorSync};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What the log says of a run, whatever its table's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFacts {
    /// How many rows it has.
    pub rows: u64,
    /// The smallest and the largest time of a row, milliseconds since the epoch.
    pub times_ms: (i64, i64),
    /// The bucket that all its rows are of; `None` in level 0.
    pub bucket: Option<Bucket>,
    /// No commit went into it that is older than this, milliseconds since the epoch. `None`: nobody kept count.
    pub since_ms: Option<i64>,
}

/// A run of a table that is compacted by levels and buckets, as the table's log lists it.
pub trait Run: Listed + fmt::Debug + Send + Sync + 'static {
    /// What a month counts of its runs beside their lists: cheap to clone, as they are.
    type Counts: fmt::Debug + Clone + Default + Send + Sync;

    /// Its path from the root of the store.
    fn path(&self) -> &Path;

    /// Its file.
    fn file(&self) -> &Arc<TableFile>;

    /// What the log says of it.
    fn facts(&self) -> RunFacts;

    /// Bytes at the end of its file that hold its footer, where the log says, so that one request gets all of it.
    fn footer_bytes(&self) -> Option<u64> {
        None
    }

    /// Whether a key lies within the smallest and the largest of its rows.
    fn spans(&self, key: &[u8]) -> bool;

    /// Counts it among the runs of its month, or counts it no more.
    fn count(&self, counts: &mut Self::Counts, is_there: bool);

    /// Whether it can hold rows of a key.
    fn may_have(&self, key: &[u8]) -> bool {
        let bucket = self.facts().bucket;
        bucket.is_none_or(|bucket| bucket == Bucket::of_key(key, bucket.of)) && self.spans(key)
    }

    /// Whether it can hold rows from a time to another, either of which may be open.
    fn overlaps(&self, from_ms: Option<i64>, to_ms: Option<i64>) -> bool {
        let (min, max) = self.facts().times_ms;
        from_ms.is_none_or(|from| from <= max) && to_ms.is_none_or(|to| min <= to)
    }
}

/// Since when commits went into any of some runs. `None`: of one of them nobody knows.
pub fn since<R: Run>(runs: &[Arc<R>]) -> Option<i64> {
    let all: Option<Vec<i64>> = runs.iter().map(|run| run.facts().since_ms).collect();
    all?.into_iter().min()
}

/// The runs of one month.
#[derive(Debug)]
struct Month<R: Run> {
    /// Runs that hold rows of any bucket, by path.
    level_0: RedBlackTreeMapSync<String, Arc<R>>,
    /// By how many buckets there were when they were written; then by the bucket's number.
    buckets: BTreeMap<u32, VectorSync<Vec<Arc<R>>>>,
    /// How many buckets have so many runs.
    lengths: BTreeMap<usize, usize>,
    counts: R::Counts,
}

impl<R: Run> Default for Month<R> {
    fn default() -> Self {
        let level_0 = RedBlackTreeMapSync::new_sync();
        let (buckets, lengths) = (BTreeMap::new(), BTreeMap::new());
        Self { level_0, buckets, lengths, counts: R::Counts::default() }
    }
}

// Lists are shared: a run need not be cloned for it.
impl<R: Run> Clone for Month<R> {
    fn clone(&self) -> Self {
        let Self { level_0, buckets, lengths, counts } = self;
        let (lengths, counts) = (lengths.clone(), counts.clone());
        Self { level_0: level_0.clone(), buckets: buckets.clone(), lengths, counts }
    }
}

impl<R: Run> Month<R> {
    fn runs(&self) -> impl Iterator<Item = &Arc<R>> {
        self.level_0.values().chain(self.buckets.values().flat_map(VectorSync::iter).flatten())
    }

    /// The runs that may hold rows of a key: the same for every key of a bucket.
    fn of_key(&self, key: impl AsRef<[u8]>) -> impl Iterator<Item = &Arc<R>> {
        let bucketed = self
            .buckets
            .iter()
            .filter_map(move |(of, lists)| lists.get(number(Bucket::of_key(key.as_ref(), *of))));
        self.level_0.values().chain(bucketed.flatten())
    }

    fn add(&mut self, run: Arc<R>) {
        run.count(&mut self.counts, true);
        let Some(bucket) = run.facts().bucket else {
            return self.level_0.insert_mut(run.file().path.clone(), run);
        };
        let lists = self.buckets.entry(bucket.of).or_default();
        while lists.len() <= number(bucket) {
            lists.push_back_mut(Vec::new());
        }
        let Some(list) = lists.get_mut(number(bucket)) else { return };
        list.push(run);
        let runs = list.len();
        self.count_length(runs - 1, runs);
    }

    /// Counts a bucket whose list has another length now.
    fn count_length(&mut self, before: usize, after: usize) {
        if let Some(buckets) = self.lengths.get_mut(&before) {
            *buckets -= 1;
            if *buckets == 0 {
                self.lengths.remove(&before);
            }
        }
        if after > 0 {
            *self.lengths.entry(after).or_default() += 1;
        }
    }

    /// Takes a run away. `None`: it is not there.
    fn remove(&mut self, path: &str, bucket: Option<Bucket>) -> Option<Arc<R>> {
        let run = match bucket {
            None => {
                let run = Arc::clone(self.level_0.get(path)?);
                self.level_0.remove_mut(path);
                run
            }
            Some(bucket) => {
                let lists = self.buckets.get_mut(&bucket.of)?;
                let at = lists.get(number(bucket))?.iter().position(|run| run.file().path == path)?;
                let list = lists.get_mut(number(bucket))?;
                let run = list.remove(at);
                let runs = list.len();
                self.count_length(runs + 1, runs);
                run
            }
        };
        run.count(&mut self.counts, false);
        Some(run)
    }

    /// About how many bytes a change of it takes that copies what leads to a run.
    fn path_bytes(&self) -> usize {
        let in_tree = tree_path_bytes(self.level_0.size());
        let in_lists = self.buckets.values().map(VectorSync::len).max().unwrap_or_default();
        let in_lists = (in_lists.max(1).ilog(LIST_NODE) as usize + 1) * LIST_NODE * size_of::<Arc<R>>();
        size_of::<Self>() + in_tree.max(in_lists)
    }
}

/// Entries of a node of the lists by bucket.
const LIST_NODE: usize = 32;

const fn number(bucket: Bucket) -> usize {
    bucket.number as usize
}

/// The runs of a table at one version. Cheap to clone.
#[derive(Debug)]
pub struct RunIndex<R: Run> {
    months: BTreeMap<String, Arc<Month<R>>>,
    rows: u64,
    runs: u64,
    bytes: u64,
    memory: Memory,
}

impl<R: Run> Clone for RunIndex<R> {
    fn clone(&self) -> Self {
        let Self { months, rows, runs, bytes, memory } = self;
        Self { months: months.clone(), rows: *rows, runs: *runs, bytes: *bytes, memory: memory.clone() }
    }
}

impl<R: Run> Default for RunIndex<R> {
    fn default() -> Self {
        Self { months: BTreeMap::new(), rows: 0, runs: 0, bytes: 0, memory: Memory::default() }
    }
}

impl<R: Run> RunIndex<R> {
    /// Takes in what changed. `table` says where files lie.
    pub fn apply(&mut self, changes: &FileChanges, table: &Table) -> Result<(), RunsError> {
        if changes.anew {
            *self = Self::default();
        }
        for file in &changes.removed {
            // What it says of itself tells which list it is in.
            let listed = R::listed(file, table.full_path(&file.path)?)?;
            self.remove(&listed);
        }
        for file in &changes.added {
            self.add(Arc::new(R::listed(file, table.full_path(&file.path)?)?));
        }
        Ok(())
    }

    fn add(&mut self, run: Arc<R>) {
        let taken = run.bytes();
        self.rows += run.facts().rows;
        self.runs += 1;
        self.bytes += run.file().size;
        let month = self.month(run.file());
        month.add(run);
        let path = month.path_bytes();
        self.memory.add(taken, path);
    }

    fn remove(&mut self, listed: &R) {
        let month = self.month(listed.file());
        let Some(run) = month.remove(&listed.file().path, listed.facts().bucket) else { return };
        let path = month.path_bytes();
        self.rows -= run.facts().rows;
        self.runs -= 1;
        self.bytes -= run.file().size;
        self.memory.take(run.bytes(), path);
    }

    /// The month of a file, made this index's own: its lists stay shared.
    fn month(&mut self, file: &TableFile) -> &mut Month<R> {
        Arc::make_mut(self.months.entry(file.month.clone().unwrap_or_default()).or_default())
    }

    /// The months that hold any run, each with its runs, oldest first. A table that is not by month has one, without a name.
    pub fn months(&self) -> impl DoubleEndedIterator<Item = (&str, Vec<&Arc<R>>)> {
        let months =
            self.months.iter().map(|(name, month)| (name.as_str(), month.runs().collect::<Vec<_>>()));
        months.filter(|(_, runs)| !runs.is_empty())
    }

    /// The names of the months that hold or held any run, oldest first.
    pub fn month_names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.months.keys().map(String::as_str)
    }

    /// Every run.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.months.values().flat_map(|month| month.runs())
    }

    /// Every run of the months that are wanted by what they count.
    pub fn of_months<'a>(
        &'a self,
        wanted: impl Fn(&R::Counts) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Arc<R>> {
        self.months.values().filter(move |month| wanted(&month.counts)).flat_map(|month| month.runs())
    }

    /// The runs that a look-up of a key goes through, in the months from one to another: the same for every key of a bucket. That the
    /// keys of a run begin behind one or end before it leaves no run out: of a run of few keys it would tell which those are.
    pub fn of_key(
        &self,
        key: impl AsRef<[u8]> + Copy,
        first: Option<String>,
        last: Option<String>,
    ) -> impl Iterator<Item = &Arc<R>> {
        let within = move |month: &str| {
            // What has no month has no period.
            month.is_empty()
                || (first.as_deref().is_none_or(|first| first <= month)
                    && last.as_deref().is_none_or(|last| month <= last))
        };
        let months = self.months.iter().filter(move |(name, _)| within(name)).map(|(_, month)| month);
        months.flat_map(move |month| month.of_key(key))
    }

    /// About how many bytes it takes beside what it shares with another: one that it came from by changes. With any other it shares
    /// nothing.
    pub fn bytes_beside(&self, other: Option<&Self>) -> usize {
        let months = self.months.keys().map(|name| size_of::<(String, Arc<Month<R>>)>() + name.len());
        months.sum::<usize>() + self.memory.beside(other.map(|other| &other.memory))
    }

    /// The most runs that any month has in level 0, and that any bucket of one has. Cost: a look at each month.
    pub fn most_runs(&self) -> (usize, usize) {
        let level_0 = self.months.values().map(|month| month.level_0.size()).max();
        let bucket = self.months.values().filter_map(|month| month.lengths.keys().next_back()).max();
        (level_0.unwrap_or(0), bucket.copied().unwrap_or(0))
    }

    /// Rows in all runs.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many runs there are.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Bytes of all runs.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
