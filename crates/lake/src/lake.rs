//! The lake: its tables, and the newest snapshot of them.

use crate::error::LakeError;
use crate::limits::TRAVELLERS_AT_ONCE;
use crate::place;
use crate::read::kept::KeptSnapshots;
use crate::read::snapshot::{Newest, Snapshot, SnapshotVersion};
use crate::site::{DamagedFile, Site};
use crate::stopped::StoppedAt;
use crate::tables::access_events::SharingReader;
use crate::tables::access_log::{Appender, CallsFrom, LOOKED_AT_MAX, LogReader, OwnCalls};
use crate::tables::dead_letters::LetterReader;
use crate::tables::registry::{self, Tables};
use gridtrail_access::Access;
use gridtrail_model::Timestamp;
use gridtrail_runs::{Location, RunCache, RunsError, StoreUse, Table, Windows};
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::path::Path;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

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
    site: Site,
    tables: tokio::sync::Mutex<Tables>,
    newest: Arc<Newest>,
    kept: KeptSnapshots,
    /// Bounds how many look for the version of a moment.
    travellers: Semaphore,
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
        if !Table::exists(&location, registry::main()).await? {
            place::check_nothing_left(&location).await?;
            place::check_absent(&location, &settings.address, settings.create && !settings.read_only).await?;
        }
        let tables = Tables::open(&location, !settings.read_only).await?;
        let stopped = tables.stopped();
        let site = Site::new(location, clock, settings.cache_bytes);
        let newest = Newest::new(|by_now| Snapshot::of(&tables, site.cache().clone(), by_now));
        let kept = KeptSnapshots::new(settings.snapshots_kept);
        kept.keep_newest(&newest.get(), None);
        let inner = Inner {
            site,
            tables: tokio::sync::Mutex::new(tables),
            newest,
            kept,
            travellers: Semaphore::new(TRAVELLERS_AT_ONCE),
            stopped: RwLock::new(stopped),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The newest snapshot that this process has seen.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.newest.get()
    }

    /// The snapshot of some versions of the tables, which goes by the newest where that matters.
    fn snapshot_of(&self, tables: &Tables) -> Snapshot {
        Snapshot::of(tables, self.cache().clone(), Arc::downgrade(&self.inner.newest))
    }

    /// The snapshot of a version that was seen before, here or by another server.
    ///
    /// Errors: `VersionGone` when the log no longer reaches back, or not yet forward, to it.
    pub async fn snapshot_at(&self, version: &SnapshotVersion) -> Result<Arc<Snapshot>, LakeError> {
        if let Some(snapshot) = self.inner.kept.get(version) {
            return Ok(snapshot);
        }
        let _turn = self.inner.kept.may_read().await;
        // Perhaps somebody else read it meanwhile.
        if let Some(snapshot) = self.inner.kept.get(version) {
            return Ok(snapshot);
        }
        let gone = |_| LakeError::Runs(RunsError::VersionGone { version: version.to_string() });
        let tables =
            self.tables().await.at(self.site().location(), |table| version.of(table)).await.map_err(gone)?;
        let snapshot = Arc::new(self.snapshot_of(&tables));
        self.inner.kept.keep_earlier(&snapshot);
        Ok(snapshot)
    }

    /// Takes in what was committed since, by any process. Cheap when nothing was.
    ///
    /// Errors: `Corrupt` when the next entry of a table's log is not ours, or damaged: what came before it is taken in, and
    /// nothing of it. `Unavailable`.
    pub async fn refresh(&self) -> Result<(), LakeError> {
        let mut tables = self.inner.tables.lock().await;
        tables.refresh().await?;
        if SnapshotVersion::of_all(&tables) != *self.snapshot().version() {
            let snapshot = Arc::new(self.snapshot_of(&tables));
            self.inner.kept.keep_newest(&snapshot, Some(&self.snapshot()));
            self.inner.newest.set(snapshot);
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

    /// Waits for detached work, which goes on when whoever wanted it was dropped: commits to their end, compactions until they
    /// see that they are not wanted any more. For the end of a process: a runtime that goes down under them is taken for a
    /// crash.
    pub async fn wait_for_detached(&self) {
        let detached = self.site().detached();
        detached.close();
        detached.wait().await;
        detached.reopen();
    }

    /// Refuses a lake of which a table keeps something for a shorter time than what relies on it.
    ///
    /// Errors: `Settings`.
    pub async fn check_windows(&self) -> Result<(), LakeError> {
        for table in self.tables().await.each() {
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

    /// Waits until one more may look for the version of a moment. `None`: the lake is no more.
    pub(crate) async fn may_travel(&self) -> Option<SemaphorePermit<'_>> {
        self.inner.travellers.acquire().await.ok()
    }

    /// The snapshots that can be asked for again.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> &KeptSnapshots {
        &self.inner.kept
    }

    /// The tables as this process knows them now.
    ///
    /// Boxed, for eight tables are large, and would lie on the stack of everybody who writes or keeps house.
    pub(crate) async fn tables(&self) -> Box<Tables> {
        Box::new(self.inner.tables.lock().await.clone())
    }

    /// All tables, also those that no snapshot is made of, at their newest versions.
    pub(crate) async fn tables_refreshed(&self) -> Result<Box<Tables>, LakeError> {
        // The lake's own, not copies of them: who only keeps house would read their logs from the start again each time, and one day find
        // that it is no longer there.
        let mut tables = self.inner.tables.lock().await;
        tables.refresh_all().await?;
        Ok(Box::new(tables.clone()))
    }

    /// Who shares with whom, by all events of access that are there now. Errors: `Unavailable`, `Corrupt`.
    pub async fn sharing(&self) -> Result<SharingReader, LakeError> {
        SharingReader::new(self.site().clone(), self.tables().await.access).await
    }

    /// Where the records of calls are kept.
    pub async fn access_log(&self) -> Appender {
        Appender::new(self.site().clone(), self.tables().await.access_log)
    }

    /// The rows of the access log that lie between two times, both included. Errors: `Unavailable`.
    pub async fn read_access_log(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<LogReader, LakeError> {
        LogReader::new(self.site().clone(), self.tables().await.access_log, (from, to)).await
    }

    /// The caller's own calls, newest first: of the same person or system of the same Party, in whatever session. At most `most` of them, from
    /// where a page before ended.
    ///
    /// Errors: `VersionGone` where the log no longer reaches back to the version of the first page; `Unavailable`, `Corrupt`.
    pub async fn own_calls(
        &self,
        who: &Access,
        from: Option<CallsFrom>,
        most: usize,
    ) -> Result<OwnCalls, LakeError> {
        self.own_calls_among(who, from, most, LOOKED_AT_MAX).await
    }

    /// The same, of which a page looks at so many rows.
    pub(crate) async fn own_calls_among(
        &self,
        who: &Access,
        from: Option<CallsFrom>,
        most: usize,
        looked_at_max: u64,
    ) -> Result<OwnCalls, LakeError> {
        let log = (self.cache(), self.tables().await.access_log);
        OwnCalls::read(log, who, (from, most), looked_at_max).await
    }

    /// Every dead letter that the table holds now. For operators: raw records are nobody's rows, and no service that a
    /// User reaches calls this. Errors: `Unavailable`.
    pub async fn dead_letters(&self) -> Result<LetterReader, LakeError> {
        LetterReader::new(self.site().clone(), self.tables().await.dead_letters).await
    }

    /// The files that this process's housekeeping found damaged and left where they are.
    pub fn damaged_files(&self) -> Vec<DamagedFile> {
        self.site().damaged_files()
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
        self.cache().store_use()
    }

    /// Where it lies: the same for every spelling of one folder or URL.
    pub fn address(&self) -> &str {
        self.site().location().url.as_str()
    }

    /// The clock that the lake goes by.
    pub fn clock(&self) -> &Clock {
        self.site().clock()
    }

    /// A store, and a folder in it beside the tables: for small objects of others, such as sessions, which nothing of the lake reads
    /// or deletes.
    ///
    /// Errors: `Location`.
    pub fn beside(&self, name: &str) -> Result<(Arc<dyn ObjectStore>, Path), LakeError> {
        let Location { url, store, .. } = self.site().location();
        let why = |error: object_store::path::Error| error.to_string();
        let refuse = |why| LakeError::Runs(RunsError::Location { address: url.to_string(), why });
        let root = Path::from_url_path(url.path()).map_err(|error| refuse(why(error)))?;
        Ok((Arc::clone(store), root.join(name)))
    }

    /// What work on it stands on.
    pub(crate) fn site(&self) -> &Site {
        &self.inner.site
    }

    pub(crate) fn cache(&self) -> &RunCache {
        self.site().cache()
    }
}
