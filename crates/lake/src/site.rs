//! What all work on a lake stands on: where it lies, its clock, what is kept in memory of its files, and which of them are damaged.
//!
//! Of a run whose footer has the sums of its pages, each part is checked when it comes into memory ([`RunCache`](gridtrail_runs::RunCache)). Any other file is read as a whole and checked before anything of it is believed, where rows are written anew or a side
//! table is read. A look-up in a run of the first format reads parts that nothing vouches for, as it always has.

use bytes::Bytes;
use deltalake_core::Path;
use gridtrail_model::Timestamp;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{Location, RunCache, RunsError, Table, TableFile};
use gridtrail_runtime::Clock;
use object_store::ObjectStoreExt as _;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::TaskTracker;

/// How long a damaged file is left alone, milliseconds. Then it is tried again: it may have been mended in its place.
const LEFT_ALONE_MS: i64 = 60 * 60 * 1_000;

/// A file that housekeeping found damaged, and leaves where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// Its path from the root of the store.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// The files that this process found damaged, with when it did.
#[derive(Debug, Default)]
struct LeftAlone(Mutex<BTreeMap<String, (Timestamp, String)>>);

impl LeftAlone {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, (Timestamp, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What work on a lake stands on. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Site(Arc<Ground>);

#[derive(Debug)]
struct Ground {
    location: Location,
    clock: Clock,
    cache: RunCache,
    left_alone: LeftAlone,
}

impl Site {
    pub(crate) fn new(location: Location, clock: Clock, cache_bytes: u64) -> Self {
        let cache = RunCache::new(&location, cache_bytes);
        Self(Arc::new(Ground { location, clock, cache, left_alone: LeftAlone::default() }))
    }

    pub(crate) fn location(&self) -> &Location {
        &self.0.location
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn cache(&self) -> &RunCache {
        &self.0.cache
    }

    /// A cache of its own, for housekeeping that reads much and little of it twice.
    pub(crate) fn cache_of(&self, bytes: u64) -> RunCache {
        RunCache::new(self.location(), bytes)
    }

    /// Work that goes on when whoever wanted it was dropped.
    pub(crate) fn detached(&self) -> &TaskTracker {
        &self.0.location.detached
    }

    /// A file as a whole.
    pub(crate) async fn fetch(&self, path: &Path) -> Result<Bytes, RunsError> {
        let failed = || RunsError::store(format!("read {path}"));
        self.0.location.store.get(path).await.map_err(failed())?.bytes().await.map_err(failed())
    }

    /// A file of a side table as a whole, checked.
    pub(crate) async fn read_file(
        &self,
        table: &Table,
        file: &TableFile,
    ) -> Result<(Path, Bytes), RunsError> {
        let path = table.full_path(&file.path)?;
        let bytes = self.fetch(&path).await?;
        file.check(&path, Written::of(&bytes))?;
        table.definition().check_file(&path, &bytes)?;
        Ok((path, bytes))
    }

    /// Leaves a file alone for a while if that is what an error is about, and says so once. Gives back any other error.
    pub(crate) fn leave_alone(&self, error: RunsError, of: &[&Path]) -> Result<(), RunsError> {
        let RunsError::Corrupt { path, why } = error else { return Err(error) };
        if of.iter().all(|file| file.as_ref() != path) {
            return Err(RunsError::Corrupt { path, why });
        }
        let now = self.now();
        if self.0.left_alone.all().insert(path.clone(), (now, why.clone())).is_none() {
            tracing::error!(
                path,
                why,
                "a damaged file is left where it is, and its rows are not written anew; \
                 `gridtrail lake repair` takes them from their sources"
            );
        }
        Ok(())
    }

    /// Whether a file is left alone now.
    pub(crate) fn is_left_alone(&self, path: &Path) -> bool {
        let now = self.now().millis();
        let all = self.0.left_alone.all();
        all.get(path.as_ref()).is_some_and(|(since, _)| now.saturating_sub(since.millis()) < LEFT_ALONE_MS)
    }

    /// The files of a table that are not left alone.
    pub(crate) fn whole_files(&self, table: &Table) -> Result<Vec<Arc<TableFile>>, RunsError> {
        let mut files = Vec::new();
        for file in table.files() {
            if !self.is_left_alone(&table.full_path(&file.path)?) {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// Has a file that was damaged count as any other.
    pub(crate) fn forget_damage(&self, path: &str) {
        self.0.left_alone.all().remove(path);
    }

    /// The files that this process's housekeeping found damaged and left where they are.
    pub(crate) fn damaged_files(&self) -> Vec<DamagedFile> {
        let all = self.0.left_alone.all();
        all.iter().map(|(path, (_, why))| DamagedFile { path: path.clone(), why: why.clone() }).collect()
    }
}

/// Says that what was begun is wanted, for as long as it lives.
#[derive(Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn watch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
