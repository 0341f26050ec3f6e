//! The lake: its tables, and the newest snapshot of them.

use crate::access_events;
use crate::access_log;
use crate::cache::{RunCache, StoreUse};
use crate::dead_letters;
use crate::error::LakeError;
use crate::evidence_table;
use crate::holds;
use crate::index::RunIndex;
use crate::intact::LeftAlone;
use crate::limits::BUCKETS;
use crate::maintenance::Maintenance;
use crate::pairs::{self, PairFile};
use crate::place;
use crate::schema::{PARKED, TRAILS};
use crate::snapshot::{Snapshot, SnapshotVersion};
use crate::stopped::StoppedAt;
use crate::streams;
use crate::writer::Writer;
use gridtrail_model::Timestamp;
use gridtrail_runs::{Location, RunsError, Table, TableFile, Windows};
use gridtrail_runtime::Clock;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// The main table: a batch counts when it is committed to this one.
pub(crate) const MAIN: &str = "trails";
/// Every table.
pub(crate) const NAMES: [&str; 8] =
    [MAIN, "parked", "mpxn_devices", "dead_letters", "commits", "holds", "access_events", access_log::NAME];
/// The mark that says how far file sources are complete.
pub(crate) const MARK_FILES: &str = "mark/files";
/// The position that says how many buckets were chosen.
pub(crate) const BUCKETS_CHOSEN: &str = "buckets";
/// The position in the parked table that names the version of the main table its last removal relies on.
pub(crate) const SWEPT: &str = "swept/trails";

/// How a lake is opened.
#[derive(Debug, Clone)]
pub struct LakeSettings {
    /// A folder, `file:///…`, `memory:///name` or `s3://bucket/prefix`.
    pub address: String,
    /// The object store's own settings, such as `aws_region`.
    pub store_options: HashMap<String, String>,
    /// Stands in for the store that the address names: for stores that no address describes, and for tests.
    pub store: Option<Arc<dyn ObjectStore>>,
    /// Whether a lake is made where there is none.
    pub create: bool,
    /// Nothing is written when it is opened, not even a table that earlier versions did not make.
    pub read_only: bool,
    /// Bytes of runs and footers kept in memory.
    pub cache_bytes: u64,
    /// How long a snapshot can be asked for again: at least the life of a page token.
    pub snapshots_kept: Duration,
}

impl LakeSettings {
    /// A lake at an address, with defaults for the rest: made where there is none, 512 MiB of cache, snapshots kept for
    /// 65 minutes.
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            store_options: HashMap::new(),
            store: None,
            create: true,
            read_only: false,
            cache_bytes: 512 * 1024 * 1024,
            snapshots_kept: Duration::from_secs(65 * 60),
        }
    }
}

/// The tables of a lake, each at some version.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) runs: RunIndex,
    pub(crate) waiting: RunIndex,
    pairs_files: Arc<Vec<PairFile>>,
    pub(crate) trails: Table,
    pub(crate) parked: Table,
    pub(crate) pairs: Table,
    pub(crate) dead_letters: Table,
    pub(crate) commits: Table,
    pub(crate) holds: Table,
    pub(crate) access: Table,
    pub(crate) access_log: Table,
}

impl Tables {
    async fn open(location: &Location, writes: bool) -> Result<Self, LakeError> {
        let trails = Table::open_or_create(location, &TRAILS, writes).await?;
        // Nobody commits to the main table before all others were made: from then on, one whose log is not there was lost.
        let fresh = trails.version() == 0;
        if fresh && !writes {
            for table in NAMES {
                if !Table::exists(location, table).await? {
                    return Err(LakeError::NoTable { table });
                }
            }
        }
        let side = |definition| Table::open_or_create(location, definition, fresh);
        let mut tables = Self {
            runs: RunIndex::default(),
            waiting: RunIndex::default(),
            pairs_files: Arc::default(),
            parked: side(&PARKED).await?,
            pairs: side(&pairs::TABLE).await?,
            dead_letters: side(&dead_letters::TABLE).await?,
            commits: side(&evidence_table::TABLE).await?,
            holds: side(&holds::TABLE).await?,
            access: side(&access_events::TABLE).await?,
            access_log: side(&access_log::TABLE).await?,
            trails,
        };
        tables.index()?;
        Ok(tables)
    }

    /// Brings what a snapshot is made of to the newest version, the main table first: what a commit of it counts
    /// on in a side table is then there. Only a sweep takes away from a side table, and says on which version of
    /// the main table it relies: an older one is refreshed again.
    pub(crate) async fn refresh(&mut self) -> Result<(), RunsError> {
        self.trails.refresh().await?;
        self.parked.refresh().await?;
        let relied_on = self.parked.position(SWEPT).unwrap_or(0);
        if u64::try_from(relied_on).unwrap_or(0) > self.trails.version() {
            self.trails.refresh().await?;
        }
        self.pairs.refresh().await?;
        self.dead_letters.refresh().await?;
        self.index()
    }

    /// Brings the lists of files up to the versions of their tables.
    pub(crate) fn index(&mut self) -> Result<(), RunsError> {
        self.runs.apply(&self.trails.take_changes(), &self.trails)?;
        self.waiting.apply(&self.parked.take_changes(), &self.parked)?;
        let changes = self.pairs.take_changes();
        if changes.anew || !changes.added.is_empty() || !changes.removed.is_empty() {
            let files = self.pairs.files();
            let pair_file = |file: &Arc<TableFile>| PairFile::new(file, self.pairs.full_path(&file.path)?);
            self.pairs_files = Arc::new(files.iter().map(pair_file).collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    /// Refuses tables of which the newest entry of one is not ours, or damaged.
    pub(crate) fn check_whole(&mut self) -> Result<(), RunsError> {
        self.all().into_iter().try_for_each(|table| table.check_whole())
    }

    /// Where one of them is not read on.
    pub(crate) fn stopped(&mut self) -> Option<StoppedAt> {
        self.all().into_iter().find_map(|table| StoppedAt::of(table))
    }

    pub(crate) fn all(&mut self) -> [&mut Table; 8] {
        let Self { trails, parked, pairs, dead_letters, commits, holds, access, access_log, .. } = self;
        [trails, parked, pairs, dead_letters, commits, holds, access, access_log]
    }

    /// Into how many buckets a month's runs are sorted.
    pub(crate) fn buckets(&self) -> u32 {
        let chosen = self.trails.position(BUCKETS_CHOSEN).and_then(|n| u32::try_from(n).ok());
        chosen.filter(|n| *n > 0).unwrap_or(BUCKETS)
    }

    fn version(&self) -> SnapshotVersion {
        SnapshotVersion {
            trails: self.trails.version(),
            parked: self.parked.version(),
            pairs: self.pairs.version(),
        }
    }

    /// The snapshot of these versions.
    pub(crate) fn snapshot(&self, cache: RunCache) -> Snapshot {
        let partitions = streams::partitions(self.trails.positions());
        let files = || self.trails.position(MARK_FILES).and_then(Timestamp::from_millis);
        Snapshot {
            version: self.version(),
            trails: self.runs.clone(),
            parked: self.waiting.clone(),
            pairs: Arc::clone(&self.pairs_files),
            // A lake that follows topics is as complete as they are, whatever files it also took in.
            complete_up_to: streams::complete_up_to(&partitions).unwrap_or_else(files),
            partitions,
            cache,
        }
    }
}

/// Counts of a lake, from its logs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LakeCounts {
    /// Fragments in the trails table: at least one a trail.
    pub fragments: u64,
    /// Runs of the trails table.
    pub runs: u64,
    /// Bytes of those runs.
    pub bytes: u64,
    /// Parked fragments.
    pub parked: u64,
    /// The youngest `recorded_at` that is stored.
    pub recorded_max: Option<Timestamp>,
}

/// A file that a log names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Its path from the root of the store.
    pub path: String,
    /// How many bytes it is said to have.
    pub size: u64,
    /// How many bytes it has; `None` where it is not there.
    pub found: Option<u64>,
}

/// A lake. Cheap to clone; all clones share one cache and one newest snapshot.
#[derive(Debug, Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    clock: Clock,
    cache: RunCache,
    tables: tokio::sync::Mutex<Tables>,
    newest: RwLock<Arc<Snapshot>>,
    kept: moka::sync::Cache<SnapshotVersion, Arc<Snapshot>>,
    left_alone: LeftAlone,
    /// Why a table's newest entry is not answered from, where that is so.
    stopped: RwLock<Option<StoppedAt>>,
}

impl Lake {
    /// Opens a lake, making its tables when they are not there.
    ///
    /// Errors: `Settings` when the address cannot be used, or holds no lake and none is to be made, or none can be, since it lies within
    /// another or within a table; `Denied` when a table is to be made and may not be; `Unavailable` when the store does not answer. Needs
    /// a multi-threaded tokio runtime.
    pub async fn open(settings: LakeSettings, clock: Clock) -> Result<Self, LakeError> {
        let mut location = Location::parse(&settings.address, &settings.store_options)?;
        if let Some(store) = settings.store {
            (location.store, location.is_files) = (store, false);
        }
        if !Table::exists(&location, MAIN).await? {
            place::check_nothing_left(&location).await?;
            place::check_absent(&location, &settings.address, settings.create && !settings.read_only).await?;
        }
        let mut tables = Tables::open(&location, !settings.read_only).await?;
        let stopped = tables.stopped();
        let cache = RunCache::new(&location, settings.cache_bytes);
        let newest = Arc::new(tables.snapshot(cache.clone()));
        let kept = moka::sync::Cache::builder().time_to_idle(settings.snapshots_kept).build();
        kept.insert(newest.version.clone(), Arc::clone(&newest));
        let inner = Inner {
            location,
            clock,
            cache,
            tables: tokio::sync::Mutex::new(tables),
            newest: RwLock::new(newest),
            kept,
            left_alone: LeftAlone::default(),
            stopped: RwLock::new(stopped),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The newest snapshot that this process has seen.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.inner.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The snapshot of a version that was seen before, here or by another server.
    ///
    /// Errors: `VersionGone` when the log no longer reaches back, or not yet forward, to it.
    pub async fn snapshot_at(&self, version: &SnapshotVersion) -> Result<Arc<Snapshot>, LakeError> {
        if let Some(snapshot) = self.inner.kept.get(version) {
            return Ok(snapshot);
        }
        let gone = |_| LakeError::Runs(RunsError::VersionGone { version: version.to_string() });
        let location = &self.inner.location;
        let mut tables = self.inner.tables.lock().await.clone();
        tables.trails = Table::open(location, &TRAILS, Some(version.trails)).await.map_err(gone)?;
        tables.parked = Table::open(location, &PARKED, Some(version.parked)).await.map_err(gone)?;
        tables.pairs = Table::open(location, &pairs::TABLE, Some(version.pairs)).await.map_err(gone)?;
        (tables.runs, tables.waiting) = (RunIndex::default(), RunIndex::default());
        tables.index()?;
        let snapshot = Arc::new(tables.snapshot(self.inner.cache.clone()));
        self.inner.kept.insert(version.clone(), Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Takes in what was committed since, by any process. Cheap when nothing was.
    ///
    /// Errors: `Corrupt` when the next entry of a table's log is not ours, or damaged: what came before it is taken in, and
    /// nothing of it. `Unavailable`.
    pub async fn refresh(&self) -> Result<(), LakeError> {
        let mut tables = self.inner.tables.lock().await;
        tables.refresh().await?;
        if tables.version() != *self.snapshot().version() {
            let snapshot = Arc::new(tables.snapshot(self.inner.cache.clone()));
            self.inner.kept.insert(snapshot.version.clone(), Arc::clone(&snapshot));
            *self.inner.newest.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        }
        // What stopped a table that no snapshot is made of may be gone.
        for table in tables.all().into_iter().filter(|table| table.stop().is_some()) {
            table.refresh().await?;
        }
        *self.inner.stopped.write().unwrap_or_else(PoisonError::into_inner) = tables.stopped();
        Ok(tables.check_whole()?)
    }

    /// Why the newest snapshot that this process has seen is not the newest version of the lake: an entry of a log that is not
    /// ours, or damaged. `None` where nothing is known of such.
    pub fn stopped(&self) -> Option<StoppedAt> {
        self.inner.stopped.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A writer of its own.
    pub async fn writer(&self) -> Result<Writer, LakeError> {
        self.refresh().await?;
        Ok(Writer::new(self.clone(), self.tables().await))
    }

    /// The lake's housekeeping. Errors: `Corrupt` when an entry of a log is not ours, or damaged; `Unavailable`.
    pub async fn maintenance(&self) -> Result<Maintenance, LakeError> {
        self.refresh().await?;
        let mut maintenance = self.inspection().await?;
        maintenance.tables.check_whole()?;
        Ok(maintenance)
    }

    /// The lake's housekeeping, for looking at a lake: also one of which the newest entry of a log is not ours.
    pub async fn inspection(&self) -> Result<Maintenance, LakeError> {
        // All tables, also those that no snapshot is made of, and the lake's own, not copies of them: who only keeps house would
        // read their logs from the start again each time, and one day find that it is no longer there.
        let mut tables = self.inner.tables.lock().await;
        tables.refresh().await?;
        tables.commits.refresh().await?;
        tables.holds.refresh().await?;
        tables.access.refresh().await?;
        tables.access_log.refresh().await?;
        Ok(Maintenance::new(self.clone(), Box::new(tables.clone())))
    }

    /// Waits for work that was begun, also by what was dropped since, and goes on: commits to their end, compactions until they
    /// see that they are not wanted any more. For the end of a process: a runtime that goes down under them is taken for a
    /// crash.
    pub async fn settle(&self) {
        let begun = self.begun();
        begun.close();
        begun.wait().await;
        begun.reopen();
    }

    /// The work that [`Lake::settle`] waits for.
    pub(crate) fn begun(&self) -> &TaskTracker {
        &self.inner.location.begun
    }

    /// Refuses a lake of which a table keeps something for a shorter time than what relies on it.
    ///
    /// Errors: `Settings`.
    pub async fn check_windows(&self) -> Result<(), LakeError> {
        for table in self.tables().await.all() {
            Windows::of(table)?.check(table.name())?;
        }
        Ok(())
    }

    /// Every file that the logs of all tables name now, and what the store has of it.
    ///
    /// Cost: one listing of each table. Errors: `Unavailable`.
    pub async fn named_files(&self) -> Result<Vec<NamedFile>, LakeError> {
        let mut tables = self.tables().await;
        let mut named = Vec::new();
        for table in tables.all() {
            table.refresh().await?;
            let there = table.stored_files().await?;
            for file in table.files() {
                let path = table.full_path(&file.path)?.to_string();
                let found = there.get(&path).map(|file| file.size);
                named.push(NamedFile { path, size: file.size, found });
            }
        }
        Ok(named)
    }

    pub(crate) fn left_alone(&self) -> &LeftAlone {
        &self.inner.left_alone
    }

    /// A cache of its own, for housekeeping that reads much and little of it twice.
    pub(crate) fn cache_of(&self, bytes: u64) -> RunCache {
        RunCache::new(self.location(), bytes)
    }

    /// The tables as this process knows them now.
    ///
    /// Boxed, for eight tables are large, and would lie on the stack of everybody who writes or keeps house.
    pub(crate) async fn tables(&self) -> Box<Tables> {
        Box::new(self.inner.tables.lock().await.clone())
    }

    /// A file as a whole.
    pub(crate) async fn fetch(&self, path: &deltalake_core::Path) -> Result<bytes::Bytes, RunsError> {
        let failed = || RunsError::store(format!("read {path}"));
        self.inner.location.store.get(path).await.map_err(failed())?.bytes().await.map_err(failed())
    }

    /// Counts at the newest snapshot.
    pub fn counts(&self) -> LakeCounts {
        let snapshot = self.snapshot();
        let recorded = snapshot.trails.iter().map(|run| run.summary.max_recorded_ms).max();
        LakeCounts {
            fragments: snapshot.trails.rows(),
            runs: snapshot.trails.runs(),
            bytes: snapshot.trails.bytes(),
            parked: snapshot.parked.rows(),
            recorded_max: recorded.and_then(Timestamp::from_millis),
        }
    }

    /// How much the object store was asked for by look-ups, since the lake was opened.
    pub fn store_use(&self) -> StoreUse {
        self.inner.cache.store_use()
    }

    /// Where it lies: the same for every spelling of one folder or URL.
    pub fn address(&self) -> &str {
        self.inner.location.url.as_str()
    }

    /// The clock that the lake goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// A store, and a folder in it beside the tables: for small objects of others, such as sessions, which nothing of the lake reads
    /// or deletes.
    ///
    /// Errors: `Location`.
    pub fn beside(&self, name: &str) -> Result<(Arc<dyn ObjectStore>, Path), LakeError> {
        let Location { url, store, .. } = &self.inner.location;
        let why = |error: object_store::path::Error| error.to_string();
        let refuse = |why| LakeError::Runs(RunsError::Location { address: url.to_string(), why });
        let root = Path::from_url_path(url.path()).map_err(|error| refuse(why(error)))?;
        Ok((Arc::clone(store), root.join(name)))
    }

    pub(crate) fn location(&self) -> &Location {
        &self.inner.location
    }

    pub(crate) fn cache(&self) -> &RunCache {
        &self.inner.cache
    }
}
