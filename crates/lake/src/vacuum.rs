//! Vacuum: deleting files that no version needs any more.

use crate::error::LakeError;
use crate::table::Table;
use crate::windows::Windows;
use gridtrail_model::Timestamp;
use object_store::ObjectMeta;

/// How many files of a table may go.
pub(crate) async fn orphans(table: &Table, windows: &Windows, now: Timestamp) -> Result<u64, LakeError> {
    Ok(unneeded(table, windows, now).await?.len() as u64)
}

/// The files of a table that no version of the window names: taken away before it, or never named and older than it.
async fn unneeded(table: &Table, windows: &Windows, now: Timestamp) -> Result<Vec<ObjectMeta>, LakeError> {
    let window_ms = i64::try_from(windows.files.as_millis()).unwrap_or(i64::MAX);
    let horizon_ms = now.millis().saturating_sub(window_ms);
    // What is written after this listing is in no hurry to go; what is committed after it is named below.
    let stored = table.stored_files().await?;
    let mut table = table.clone();
    table.refresh().await?;
    let mut named = std::collections::HashSet::new();
    for file in table.files() {
        named.insert(table.full_path(&file.path)?.to_string());
    }
    let removed = table.removed_files().await?;
    let goes = |(path, file): &(String, ObjectMeta)| {
        let since = removed.get(path).copied().unwrap_or(i64::MIN).max(file.last_modified.timestamp_millis());
        !named.contains(path) && since < horizon_ms
    };
    Ok(stored.into_iter().filter(goes).map(|(_, file)| file).collect())
}
