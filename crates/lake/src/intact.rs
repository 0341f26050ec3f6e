//! Files held against their checksums, and those that were found damaged.
//!
//! Of a run whose footer has the sums of its pages, each part is checked when it comes into memory ([`RunCache`](gridtrail_runs::RunCache)). Any other file is read as a whole and checked before anything of it is believed, where rows are written anew or a side
//! table is read. A look-up in a run of the first format reads parts that nothing vouches for, as it always has.

use crate::lake::Lake;
use bytes::Bytes;
use deltalake_core::Path;
use gridtrail_model::Timestamp;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{RunsError, Table, TableFile};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

impl Lake {
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
