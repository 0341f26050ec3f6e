//! Vacuum: deleting what no version that can still be asked for needs.
//!
//! 1. **Files** that were taken away before the window for files, and files that were never named and are older than it, such
//!    as those of a compaction that was killed.
//! 2. **Log entries** below the newest checkpoint that is itself older than the window for the log; never one whose evidence
//!    was not copied. From that checkpoint on every version can be opened, so every version of the window can.
//!
//! Listings and deletions are our own: the library's vacuum commits, and knows nothing of what was copied. It may be killed at
//! any moment, and any number may run at once: a file is deleted or it is not, and is needed by nobody.

use crate::delta::table::Table;
use crate::delta::windows::Windows;
use crate::error::RunsError;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStoreExt};
use std::time::Duration;

/// Deletions at the same time.
const AT_ONCE: usize = 8;

/// What a vacuum deleted of a table, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableVacuumed {
    /// The table's name.
    pub name: &'static str,
    /// Files that no version needs.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Log entries and checkpoints.
    pub log_entries: u64,
}

/// Takes in newer commits of a table, and deletes what no version of the windows needs; with `dry` nothing, and only says what would go. Of log
/// entries it leaves that of version `copied`, and all behind it.
///
/// Cost: one listing of the table and of its log. Errors: `Windows` when one cannot be read; `Store`: some of it may be deleted.
pub async fn vacuum(
    table: &mut Table,
    now_ms: i64,
    copied: u64,
    dry: bool,
) -> Result<TableVacuumed, RunsError> {
    table.refresh().await?;
    let windows = Windows::of(table)?;
    let files = unneeded(table, &windows, now_ms).await?;
    let entries = old_entries(table, &windows, now_ms, copied).await?;
    let vacuumed = TableVacuumed {
        name: table.name(),
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.size).sum(),
        log_entries: entries.len() as u64,
    };
    if !dry {
        let paths = files.into_iter().map(|file| file.location);
        delete(table, paths.collect()).await?;
        // From the oldest on: what is left of a log has no gap.
        delete(table, entries).await?;
    }
    Ok(vacuumed)
}

/// How many files of a table may go. Cost: one listing of the table.
pub async fn orphans(table: &Table, now_ms: i64) -> Result<u64, RunsError> {
    Ok(unneeded(table, &Windows::of(table)?, now_ms).await?.len() as u64)
}

async fn delete(table: &Table, paths: Vec<deltalake_core::Path>) -> Result<(), RunsError> {
    let store = table.store();
    let delete = |path: deltalake_core::Path| {
        let store = store.clone();
        async move {
            match store.delete(&path).await {
                // Another vacuum was faster.
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(RunsError::store(format!("delete {path}"))(error)),
            }
        }
    };
    stream::iter(paths).map(delete).buffered(AT_ONCE).try_collect().await
}

/// What happened before this time is outside of a window.
fn horizon_ms(now_ms: i64, window: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX))
}

/// The files of a table that no version of the window names: taken away before it, or never named and older than it.
async fn unneeded(table: &Table, windows: &Windows, now_ms: i64) -> Result<Vec<ObjectMeta>, RunsError> {
    let horizon_ms = horizon_ms(now_ms, windows.files);
    let stored = table.stored_files().await?;
    // Read after the listing: what was listed and is committed by now is named.
    let fates = table.fates().await?;
    let goes = |(path, file): &(String, ObjectMeta)| {
        let written = file.last_modified.timestamp_millis();
        match fates.get(path) {
            Some(None) => false,
            Some(Some(taken_away)) => written.max(*taken_away) < horizon_ms,
            None => written < horizon_ms,
        }
    };
    Ok(stored.into_iter().filter(goes).map(|(_, file)| file).collect())
}

/// The entries and checkpoints of a table's log that may go, oldest first. `copied` is the last version whose evidence was
/// copied.
async fn old_entries(
    table: &Table,
    windows: &Windows,
    now_ms: i64,
    copied: u64,
) -> Result<Vec<deltalake_core::Path>, RunsError> {
    let horizon_ms = horizon_ms(now_ms, windows.log);
    let listed = table.positions().listed().await?;
    let mut first_kept = 0;
    for checkpoint in listed.checkpoints.iter().copied().filter(|version| *version <= copied) {
        match table.committed_ms(checkpoint).await? {
            Some(at) if at < horizon_ms => first_kept = checkpoint,
            _ => break,
        }
    }
    let entries = listed.entries.range(..first_kept).map(|version| format!("_delta_log/{version:020}.json"));
    let checkpoints = listed.checkpoints.range(..first_kept);
    let checkpoints = checkpoints.map(|version| format!("_delta_log/{version:020}.checkpoint.parquet"));
    checkpoints.chain(entries).map(|path| table.full_path(&path)).collect()
}
