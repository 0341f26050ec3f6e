//! Files held against their checksums, and those that were found damaged.
//!
//! Of a run whose footer has the sums of its pages, each part is checked when it comes into memory ([`crate::cache`],
//! [`crate::merge`]). Any other file is read as a whole and checked before anything of it is believed, where rows are written anew or a side
//! table is read. A look-up in a run of the first format reads parts that nothing vouches for, as it always has.

use crate::cache::{OpenRun, RunCache};
use crate::lake::Lake;
use bytes::Bytes;
use deltalake_core::{ObjectStore, Path};
use futures::TryStreamExt;
use gridtrail_model::Timestamp;
use gridtrail_runs::checksum::{self, Checksum, Written};
use gridtrail_runs::{RunsError, Table, TableFile};
use object_store::ObjectStoreExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is wrong with bytes whose sum is another one.
pub(crate) const ALTERED: &str = "its bytes are not those that were written: their XXH64 is another one";
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
pub(crate) struct LeftAlone(Mutex<BTreeMap<String, (Timestamp, String)>>);

impl LeftAlone {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, (Timestamp, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The checksum of a file, read from front to back.
pub(crate) async fn checksum_of(store: &dyn ObjectStore, path: &Path) -> Result<Written, RunsError> {
    let failed = || RunsError::store(format!("read {path}"));
    let mut bytes = store.get(path).await.map_err(failed())?.into_stream();
    let mut checksum = Checksum::new();
    while let Some(part) = bytes.try_next().await.map_err(failed())? {
        checksum.add(&part);
    }
    Ok(checksum.written())
}

/// Refuses bytes that are not those of a file.
fn check(file: &TableFile, path: &Path, found: Written) -> Result<(), RunsError> {
    let corrupt = |why: String| Err(RunsError::Corrupt { path: path.to_string(), why });
    if found.size != file.size {
        return corrupt(format!("it has {} bytes, and is said to have {}", found.size, file.size));
    }
    if file.xxh64.is_some_and(|xxh64| xxh64 != found.xxh64) { corrupt(ALTERED.to_owned()) } else { Ok(()) }
}

impl RunCache {
    /// A run of which rows are to be written anew: nothing is read of it later that was not checked.
    pub(crate) async fn open_to_rewrite(
        &self,
        path: &Path,
        file: &TableFile,
    ) -> Result<Arc<OpenRun>, RunsError> {
        if file.tail.is_none() {
            check(file, path, checksum_of(self.store(), path).await?)?;
        }
        self.open(path, file).await
    }
}

impl Lake {
    /// A file of a side table as a whole, checked.
    pub(crate) async fn read_file(
        &self,
        table: &Table,
        file: &TableFile,
    ) -> Result<(Path, Bytes), RunsError> {
        let path = table.full_path(&file.path)?;
        let bytes = self.fetch(&path).await?;
        check(file, &path, Written { size: bytes.len() as u64, xxh64: checksum::sum(&bytes), tail: None })?;
        Ok((path, bytes))
    }

    /// Leaves a file alone for a while if that is what an error is about, and says so once. Gives back any other error.
    pub(crate) fn leave_alone(&self, error: RunsError, of: &[&Path]) -> Result<(), RunsError> {
        let RunsError::Corrupt { path, why } = error else { return Err(error) };
        if of.iter().all(|file| file.as_ref() != path) {
            return Err(RunsError::Corrupt { path, why });
        }
        let now = self.clock().now();
        if self.left_alone().all().insert(path.clone(), (now, why.clone())).is_none() {
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
        let now = self.clock().now().millis();
        let all = self.left_alone().all();
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
        self.left_alone().all().remove(path);
    }

    /// The files that this process's housekeeping found damaged and left where they are.
    pub fn damaged_files(&self) -> Vec<DamagedFile> {
        let all = self.left_alone().all();
        all.iter().map(|(path, (_, why))| DamagedFile { path: path.clone(), why: why.clone() }).collect()
    }
}
