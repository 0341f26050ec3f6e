//! Rows whose fragments lie at several times, made one for good.
//!
//! Batches may claim different receipt times for one key. A look-up joins what lies within a day, and compaction what lies in one month
//! under one Device. What lies further apart, or in two months, or under two Devices, no job ever sees together: this looks for it.
//!
//! 1. Of the commits since the last time, the prints of the keys of all rows that they brought are gathered, some at a time by Device, and
//!    held against those of all rows under these Devices. A print costs a fraction of a key, and hardly any is met at two times: of those that
//!    are, the keys are gathered. Where most rows are new, all rows of the lake are looked at instead, one bucket after another.
//! 2. All rows of those keys are found as an answer finds its request: under the Device that the key's id names, or, where a row lies
//!    under another, by the counter of that id. Only columns of keys are read.
//! 3. A fragment that lies later than the smallest time of its key is taken out of its run, and goes, with that time among its claims,
//!    into a new run of the month of that time.
//!
//! **One commit** takes the runs away and adds both what is left of them and what moved; so at every version each fragment is there once.
//! It moves the positions that guard those runs: of it and a compaction of the same runs one wins. What a row lies under stays as it is:
//! where events disagree on the Device, each Device has what was said of the row under it, at one time.

use crate::error::LakeError;
use crate::keep::maintenance::Maintenance;
use crate::limits::{APART_MS, UNITE_EVERY_MS, UNITE_FOREIGN_ROWS, UNITE_ROWS};
use crate::rows::decode::Stored;
use crate::rows::index::RunIndex;
use crate::rows::lookup::{self, Counters};
use crate::rows::packed;
use crate::rows::run::{self, FragmentSummary, RunFile, RunSummary, SortedFragments};
use crate::site::{Site, Wanted};
use crate::tables::registry::side_files;
use crate::tables::table::Arriving;
use crate::tables::trails::{fence, level_0_fence};
use crate::write::writer::upload_run;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use deltalake_core::Path;
use foldhash::fast::RandomState;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_model::{DeviceId, Fragment, Merge as _, Timestamp, TrailKey};
use gridtrail_runs::{
    Bucket, Changes, CompactionSettings, LOG_READS_AT_ONCE, Move, NewFile, PAGE_ROWS, Pace, RunCache,
    RunWriter, RunsError, Scan, Table, new_rows,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The position that names the version up to which all rows were looked at.
const UNITED: &str = "united";
/// The mark that says when that was, milliseconds since the epoch.
const UNITED_MS: &str = "united/ms";
/// Times that it is tried again after others got in between.
const ATTEMPTS: u32 = 3;
/// Memory for pages and footers: keys are read in order, each page once.
const CACHE_BYTES: u64 = 64 << 20;

/// What uniting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct United {
    /// Rows of which a fragment moved.
    pub rows: u64,
    /// Fragments that moved.
    pub fragments: u64,
    /// Commits that others overtook; what they were about is looked at again the next time.
    pub overtaken: u64,
}

/// Where a fragment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    /// What its row lies under, as it is stored.
    under: Option<[u8; 8]>,
    received: Timestamp,
    /// The number of its run.
    run: usize,
}

/// Prints of rows, with the first time that each was met at, and those that were met at another.
#[derive(Debug, Default)]
struct Prints {
    times: HashMap<u64, i64, RandomState>,
    apart: HashSet<u64, RandomState>,
}

impl Prints {
    fn add(&mut self, print: u64, received_ms: i64) {
        if *self.times.entry(print).or_insert(received_ms) != received_ms {
            self.apart.insert(print);
        }
    }

    /// A row of which nothing is to be known unless it has a print that was added.
    fn meet(&mut self, print: u64, received_ms: i64) {
        if self.times.get(&print).is_some_and(|at| *at != received_ms) {
            self.apart.insert(print);
        }
    }
}

type Places = HashMap<TrailKey, Vec<Place>, RandomState>;

/// A fragment that is to move, by where it lies in its run.
type Leaving = HashMap<(Option<[u8; 8]>, Timestamp, TrailKey), Timestamp, RandomState>;
/// Where the rows that leave a run lie: what each lies under, and its time.
type Whence = HashSet<(Option<[u8; 8]>, Timestamp)>;

/// Runs in which keys are looked for.
struct Keys<'a> {
    cache: &'a RunCache,
    runs: &'a [Arc<RunFile>],
}

/// Runs that are looked at together: rows of the first are held against each other and against those of the second.
struct Group<'a> {
    fresh: Vec<&'a Arc<RunFile>>,
    others: Vec<&'a Arc<RunFile>>,
}

impl Maintenance {
    /// Moves fragments to the smallest time of their rows, so that each row lies at one.
    ///
    /// Any number of processes may do so at once, and be killed at any moment: a fragment lies where it lay, or where it belongs.
    /// Memory: some 150 MB and the fragments that move. Errors: `Unavailable`, `Corrupt`; what moved before stays.
    pub async fn unite(&mut self, settings: &CompactionSettings) -> Result<United, LakeError> {
        let mut done = United::default();
        for _ in 0..ATTEMPTS {
            let overtaken = done.overtaken;
            self.unite_once(settings, &mut done).await?;
            if done.overtaken == overtaken {
                break;
            }
        }
        self.lake.refresh().await?;
        Ok(done)
    }

    /// The same, before a compaction, which a damaged run must not keep from going on: it is tried again when it is due again.
    pub(crate) async fn unite_or_put_off(&mut self, settings: &CompactionSettings) -> Result<u64, LakeError> {
        match self.unite(settings).await {
            Err(LakeError::Runs(RunsError::Corrupt { path, why })) => {
                tracing::warn!(
                    path,
                    why,
                    "rows at several times could not be looked for; see gridtrail lake verify"
                );
                let now_ms = self.now_ms();
                let marks = vec![(UNITED_MS.to_owned(), now_ms)];
                self.tables.trails.commit(&Changes { marks, now_ms, ..Changes::default() }).await?;
                Ok(0)
            }
            united => united.map(|united| united.rows),
        }
    }

    /// Whether it is time to look for rows at several times again.
    pub(crate) fn is_uniting_due(&self) -> bool {
        let last = self.tables.trails.position(UNITED_MS);
        last.is_none_or(|last| self.now_ms() - last >= UNITE_EVERY_MS)
    }

    async fn unite_once(
        &mut self,
        settings: &CompactionSettings,
        done: &mut United,
    ) -> Result<(), RunsError> {
        self.tables.refresh().await?;
        let (from, version) = (self.tables.trails.position(UNITED), self.tables.trails.version());
        let runs: Vec<Arc<RunFile>> = self.tables.runs.iter().cloned().collect();
        // Most of a lake is read in fewer and larger runs as it lies now than as it came.
        let fresh = self.fresh(from).await?.filter(|fresh| rows_of(fresh) <= rows_of(&runs) / 2);
        let fresh = fresh.unwrap_or_else(|| runs.clone());
        if runs.is_empty() || fresh.is_empty() && !self.is_uniting_due() {
            return Ok(());
        }
        let wanted = Wanted::default();
        let (site, table, settings) = (self.lake.site().clone(), self.tables.trails.clone(), *settings);
        let (runtime, given_up) = (tokio::runtime::Handle::current(), wanted.watch());
        let work = move || runtime.block_on(unite_runs(site, table, (runs, fresh), settings, &given_up));
        let made = self.lake.site().detached().spawn_blocking(work).await;
        let made = match made.map_err(|_| RunsError::Internal("uniting rows panicked"))? {
            // What is new was compacted, and its files deleted, before it was looked at: another time, all of it.
            Err(error) if error.is_not_found() => {
                done.overtaken += 1;
                return Ok(());
            }
            made => made?,
        };
        if let Some(Made { changes, rows, fragments, moved }) = made {
            let beside = side_files(&Arriving::placed(&moved))?;
            self.tables.commit_beside(beside, self.now()).await?;
            if self.tables.trails.commit_unless_moved(&changes).await?.is_none() {
                done.overtaken += 1;
                return Ok(());
            }
            done.rows += rows;
            done.fragments += fragments;
        }
        let now_ms = self.now_ms();
        let changes = Changes {
            moves: vec![Move { app_id: UNITED.to_owned(), from, to: version.cast_signed() }],
            marks: vec![(UNITED_MS.to_owned(), now_ms)],
            now_ms,
            ..Changes::default()
        };
        // Another process may have looked at the same.
        self.tables.trails.commit_unless_moved(&changes).await.map(drop)
    }

    /// The runs that commits since a version brought, whether they are still there or compacted. `None`: that cannot be told any
    /// more, so all rows are to be looked at.
    async fn fresh(&self, since: Option<i64>) -> Result<Option<Vec<Arc<RunFile>>>, RunsError> {
        let Some(since) = since.and_then(|since| u64::try_from(since).ok()) else { return Ok(None) };
        let table = &self.tables.trails;
        let entries = stream::iter(since + 1..=table.version()).map(|version| table.log_entry(version));
        let mut entries = entries.buffered(LOG_READS_AT_ONCE);
        let mut fresh = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            let Some(files) = entry.as_deref().and_then(new_rows) else { return Ok(None) };
            for file in files {
                let path = table.full_path(&file.path)?;
                fresh.push(Arc::new(RunFile::new(Arc::new(file), path)?));
            }
        }
        Ok(Some(fresh))
    }
}

fn rows_of(runs: &[Arc<RunFile>]) -> u64 {
    runs.iter().map(|run| run.summary.rows).sum()
}

/// How many rows lie at several times, of all that there are. Cost: the columns of keys of every run.
pub(crate) async fn count_scattered(cache: &RunCache, index: &RunIndex) -> Result<u64, RunsError> {
    let runs: Vec<Arc<RunFile>> = index.iter().cloned().collect();
    let keys = Keys { cache, runs: &runs };
    Ok(keys.scattered(&runs, &AtomicBool::new(false)).await?.len() as u64)
}

/// What moves, up to the commit.
struct Made {
    changes: Changes,
    /// How many rows it is of.
    rows: u64,
    fragments: u64,
    /// What they come to where they lie then.
    moved: Vec<Fragment>,
}

/// Finds what of some runs lies at several times, and writes it where it belongs. A part of the Devices at a time.
async fn unite_runs(
    site: Site,
    table: Table,
    (runs, fresh): (Vec<Arc<RunFile>>, Vec<Arc<RunFile>>),
    settings: CompactionSettings,
    given_up: &AtomicBool,
) -> Result<Option<Made>, RunsError> {
    let cache = site.cache_of(CACHE_BYTES);
    let keys = Keys { cache: &cache, runs: &runs };
    let leaving = leaving(&keys.scattered(&fresh, given_up).await?);
    if leaving.is_empty() {
        return Ok(None);
    }
    let taken: Vec<Arc<RunFile>> = leaving.keys().map(|number| Arc::clone(&runs[*number])).collect();
    let (since_ms, moved) = (run::since(&taken), BTreeMap::new());
    let mut union = Union { cache: &cache, table: &table, add: Vec::new(), since_ms, moved, given_up };
    let mut pace = Pace::new(settings.rows_per_second);
    for (number, rows) in &leaving {
        union.take_out(&runs[*number], rows, &mut pace).await?;
    }
    let keys: BTreeSet<TrailKey> = leaving.values().flat_map(|rows| rows.keys().map(|at| at.2)).collect();
    let fragments = leaving.values().map(|rows| rows.len() as u64).sum();
    let (add, moved) = union.put_in().await?;
    let taken: Vec<&Arc<RunFile>> = taken.iter().collect();
    let changes = Changes {
        add,
        remove: taken.iter().map(|run| Arc::clone(&run.file)).collect(),
        moves: guards(&taken, &table),
        now_ms: site.now().millis(),
        ..Changes::default()
    };
    Ok(Some(Made { changes, rows: keys.len() as u64, fragments, moved }))
}

/// Moves of the positions that guard some runs.
fn guards(runs: &[&Arc<RunFile>], table: &Table) -> Vec<Move> {
    let guard = |run: &&Arc<RunFile>| {
        let month = run.file.month.as_deref().unwrap_or_default();
        run.summary.bucket.map_or_else(|| level_0_fence(month), |bucket| fence(month, bucket))
    };
    let guards: BTreeSet<String> = runs.iter().map(guard).collect();
    let moved = |app_id: String| {
        let from = table.position(&app_id);
        Move { app_id, from, to: from.unwrap_or(0) + 1 }
    };
    guards.into_iter().map(moved).collect()
}

/// Devices from one on to before another, as they are stored.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// `None`: from what lies under nothing on.
    from: Option<[u8; 8]>,
    to: Option<[u8; 8]>,
}

impl Keys<'_> {
    /// What is to be held against what, so that every row of some runs meets all that there are of its Device.
    ///
    /// Where all runs are looked at, and the compacted ones are of one number of buckets, a bucket has all compacted rows of its Devices: level 0
    /// is held against all others, and each bucket against itself, so that no more footers than a bucket's have to stay in memory.
    fn groups<'r>(&'r self, fresh: &'r [Arc<RunFile>]) -> Vec<Group<'r>> {
        let paths: HashSet<&Path> = fresh.iter().map(|file| &file.path).collect();
        let others: Vec<&Arc<RunFile>> =
            self.runs.iter().filter(|file| !paths.contains(&file.path)).collect();
        let mut buckets: BTreeMap<Option<Bucket>, Vec<&Arc<RunFile>>> = BTreeMap::new();
        for file in fresh {
            buckets.entry(file.summary.bucket).or_default().push(file);
        }
        let level_0 = buckets.remove(&None).unwrap_or_default();
        let counts: BTreeSet<u32> = buckets.keys().flatten().map(|bucket| bucket.of).collect();
        if !others.is_empty() || counts.len() > 1 {
            return vec![Group { fresh: fresh.iter().collect(), others }];
        }
        let level_0 = Group { fresh: level_0, others: buckets.values().flatten().copied().collect() };
        let buckets = buckets.into_values().map(|fresh| Group { fresh, others: Vec::new() });
        [level_0].into_iter().chain(buckets).filter(|group| !group.fresh.is_empty()).collect()
    }

    /// The Devices of some runs in parts, each of so many rows as have room in memory.
    async fn parts(&self, fresh: &[&Arc<RunFile>]) -> Result<Vec<Part>, RunsError> {
        let mut firsts = Vec::new();
        for file in fresh {
            let run = file.open(self.cache).await?;
            firsts.extend(lookup::first_devices(&run));
        }
        firsts.sort_unstable();
        let mut cuts: Vec<[u8; 8]> = firsts.into_iter().step_by(UNITE_ROWS / PAGE_ROWS).skip(1).collect();
        cuts.dedup();
        let ends = cuts.iter().copied().map(Some).chain([None]);
        let starts = [None].into_iter().chain(cuts.iter().copied().map(Some));
        Ok(starts.zip(ends).map(|(from, to)| Part { from, to }).collect())
    }

    /// The rows of some runs that lie at several times in all runs, with all their places.
    ///
    /// Of many rows, a part of the Devices at a time. Those that lie under another Device than their id names are looked for by
    /// counters, in every run; so they are gathered from all parts, and each time that is done for many of them.
    async fn scattered(&self, fresh: &[Arc<RunFile>], given_up: &AtomicBool) -> Result<Places, RunsError> {
        let groups = self.groups(fresh);
        let mut parts = Vec::new();
        for group in &groups {
            parts.extend(self.parts(&group.fresh).await?.into_iter().map(|part| (group, part)));
        }
        if let [(group, all)] = parts.as_slice() {
            let apart = self.apart(group, *all, None).await?;
            let keys = self.gather(&group.fresh, *all, (&apart, true)).await?;
            return self.places_of(keys, true).await;
        }
        let mut scattered = Places::default();
        let mut foreign = Places::default();
        for (group, part) in parts {
            if given_up.load(Ordering::Relaxed) {
                return Err(RunsError::GivenUp);
            }
            let apart = self.apart(group, part, Some(&mut foreign)).await?;
            let own = self.gather(&group.fresh, part, (&apart, false)).await?;
            scattered.extend(self.places_of(own, false).await?);
            if foreign.len() >= UNITE_FOREIGN_ROWS {
                scattered.extend(self.places_of(std::mem::take(&mut foreign), true).await?);
            }
        }
        scattered.extend(self.places_of(foreign, true).await?);
        Ok(scattered)
    }

    /// The prints of a part of a group's new runs that are met at several times in the group. The keys of rows that lie under another Device
    /// than their id names go apart, where that is wanted.
    async fn apart(
        &self,
        Group { fresh, others }: &Group<'_>,
        part: Part,
        mut foreign: Option<&mut Places>,
    ) -> Result<HashSet<u64, RandomState>, RunsError> {
        let with_foreign = foreign.is_none();
        let (mut prints, mut devices, mut counters) = (Prints::default(), Vec::new(), Counters::default());
        for file in fresh {
            let run = file.open(self.cache).await?;
            lookup::each_key(self.cache, &run, (part.from, part.to), |row| {
                let print = row.print()?;
                if let (Some(foreign), false) = (&mut foreign, print.is_own) {
                    foreign.entry(row.key()?).or_default();
                    return Ok(());
                }
                prints.add(print.key, row.received_ms);
                if !others.is_empty() {
                    let device = match row.device_bytes()? {
                        Some(device) if print.is_own => DeviceId::from_bytes(device),
                        _ => packed::searched_by(&row.key()?).0,
                    };
                    // Rows of one Device lie together.
                    if devices.last() != Some(&device) {
                        devices.push(device);
                    }
                    if with_foreign {
                        counters.insert(print.counter);
                    }
                }
                Ok(())
            })
            .await?;
        }
        devices.sort_unstable();
        devices.dedup();
        for file in others {
            let run = file.open(self.cache).await?;
            let here: Vec<DeviceId> = devices.iter().copied().filter(|device| file.is_of(*device)).collect();
            let mut meet = |row: &Stored<'_>| {
                prints.meet(row.print()?.key, row.received_ms);
                Ok(())
            };
            lookup::each_of_devices(self.cache, &run, &here, &mut meet).await?;
            if with_foreign {
                lookup::each_by_foreign_counter(self.cache, &run, &counters, &mut meet).await?;
            }
        }
        Ok(prints.apart)
    }

    /// The keys of some prints in a part of some runs; with those of rows that lie under another Device than their id names, or without.
    async fn gather(
        &self,
        fresh: &[&Arc<RunFile>],
        part: Part,
        (prints, with_foreign): (&HashSet<u64, RandomState>, bool),
    ) -> Result<Places, RunsError> {
        let mut keys = Places::default();
        if prints.is_empty() {
            return Ok(keys);
        }
        for file in fresh {
            let run = file.open(self.cache).await?;
            lookup::each_key(self.cache, &run, (part.from, part.to), |row| {
                let print = row.print()?;
                if prints.contains(&print.key) && (with_foreign || print.is_own) {
                    keys.entry(row.key()?).or_default();
                }
                Ok(())
            })
            .await?;
        }
        Ok(keys)
    }

    /// Where some keys lie in all runs: those of them that lie at several times.
    async fn places_of(&self, mut places: Places, with_foreign: bool) -> Result<Places, RunsError> {
        if places.is_empty() {
            return Ok(places);
        }
        let (devices, counters): (BTreeSet<DeviceId>, Counters) =
            places.keys().map(packed::searched_by).unzip();
        for (number, file) in self.runs.iter().enumerate() {
            let run = file.open(self.cache).await?;
            let here: Vec<DeviceId> = devices.iter().copied().filter(|device| file.is_of(*device)).collect();
            let mut take = |row: &Stored<'_>| {
                if let Some(known) = places.get_mut(&row.key()?) {
                    let place = Place { under: row.device_bytes()?, received: row.placement()?, run: number };
                    // A row under its own Device may be found by its counter, too.
                    if !known.contains(&place) {
                        known.push(place);
                    }
                }
                Ok(())
            };
            lookup::each_of_devices(self.cache, &run, &here, &mut take).await?;
            if with_foreign {
                lookup::each_by_foreign_counter(self.cache, &run, &counters, &mut take).await?;
            }
        }
        places.retain(|_, places| places.windows(2).any(|pair| pair[0].received != pair[1].received));
        Ok(places)
    }
}

/// What is to move, by the run that it lies in: what lies later than the smallest time of its row, and is not joined with it by look-ups
/// and compaction.
fn leaving(scattered: &Places) -> BTreeMap<usize, Leaving> {
    let mut leaving: BTreeMap<usize, Leaving> = BTreeMap::new();
    for (key, places) in scattered {
        let Some(smallest) = places.iter().map(|place| place.received).min() else { continue };
        let mut places = places.clone();
        places.sort_unstable();
        for under in places.chunk_by(|a, b| a.under == b.under) {
            for place in under {
                // Whatever compaction joins first, these stay within a day of the row.
                let near = under[0].received == smallest
                    && place.received.millis() - smallest.millis() <= APART_MS
                    && place.received.year_and_month() == smallest.year_and_month();
                if !near && place.received > smallest {
                    let at = (place.under, place.received, *key);
                    leaving.entry(place.run).or_default().insert(at, smallest);
                }
            }
        }
    }
    leaving
}

/// Fragments on their way.
struct Union<'a> {
    cache: &'a RunCache,
    table: &'a Table,
    add: Vec<NewFile>,
    /// Since when commits went into any of the runs.
    since_ms: Option<i64>,
    /// By what each lies under, and its row.
    moved: BTreeMap<(Option<[u8; 8]>, TrailKey), Fragment>,
    given_up: &'a AtomicBool,
}

impl Union<'_> {
    /// Writes a run anew without what leaves it.
    async fn take_out(&mut self, file: &RunFile, rows: &Leaving, pace: &mut Pace) -> Result<(), RunsError> {
        let run = self.cache.open_to_rewrite(self.table, &file.file).await?;
        let month = file.file.month.clone().unwrap_or_default();
        let path = match file.summary.bucket {
            Some(bucket) => bucket.run_path(Some(&month)),
            None => format!("month={month}/l0-{}.parquet", uuid::Uuid::now_v7()),
        };
        let mut summary =
            FragmentSummary::new(file.file.month.clone(), file.summary.bucket, file.summary.since_ms);
        summary.keep_mark(&file.summary);
        let mut writer = RunWriter::new(self.table, path, summary)?;
        let places: Whence = rows.keys().map(|at| (at.0, at.1)).collect();
        let mut scan = Scan::new(self.cache.clone(), run);
        let mut left = 0;
        while let Some(batch) = scan.next().await? {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(RunsError::GivenUp);
            }
            pace.keep(batch.num_rows()).await;
            let batch = self.split(&batch, (rows, &places), file.path.as_ref())?;
            left += batch.num_rows();
            writer.write(&batch).await?;
        }
        // A file without rows is left where it is: nothing names it.
        if left > 0 {
            self.add.push(writer.finish().await?);
        }
        Ok(())
    }

    /// The rows of a batch that stay; the others are taken in.
    fn split(
        &mut self,
        batch: &RecordBatch,
        (rows, places): (&Leaving, &Whence),
        path: &str,
    ) -> Result<RecordBatch, RunsError> {
        let mut stay = Vec::with_capacity(batch.num_rows());
        for number in 0..batch.num_rows() {
            let row = Stored::of(batch, number, path)?;
            let place = (row.device_bytes()?, row.placement()?);
            let to = match places.contains(&place) {
                true => rows.get(&(place.0, place.1, row.key()?)),
                false => None,
            };
            stay.push(to.is_none());
            let Some(to) = to else { continue };
            let mut fragment = row.fragment()?;
            fragment.received.add(*to);
            let at = (place.0, fragment.key);
            match self.moved.get_mut(&at) {
                Some(known) => known.merge(fragment),
                None => drop(self.moved.insert(at, fragment)),
            }
        }
        filter_record_batch(batch, &BooleanArray::from(stay))
            .map_err(|_| RunsError::Internal("rows that stay could not be told"))
    }

    /// Writes what moved where it belongs. Gives all that is to be added, and what moved.
    async fn put_in(self) -> Result<(Vec<NewFile>, Vec<Fragment>), RunsError> {
        let moved: Vec<Fragment> = self.moved.into_values().collect();
        let mut add = self.add;
        for (month, sorted) in SortedFragments::sort(&moved)?.by_month() {
            let (encoded, summary) = run::write(&sorted)?;
            let summary = RunSummary { since_ms: self.since_ms, moved: true, ..summary };
            let path = format!("month={month}/l0-{}.parquet", uuid::Uuid::now_v7());
            add.push(upload_run(self.table, path, Some(month), encoded, &summary).await?);
        }
        Ok((add, moved))
    }
}
