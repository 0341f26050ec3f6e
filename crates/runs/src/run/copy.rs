//! Writing a file anew: the same rows in the same order, as this build writes them.

use super::merge::Scan;
use super::writer::{RunWriter, Summary};
use crate::delta::commit::NewFile;
use crate::delta::log::TableFile;
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::pages::cache::RunCache;
use std::sync::atomic::{AtomicBool, Ordering};

/// Copies the rows of a file of a table into a new one, up to the commit. Memory: a row group. CPU-bound: give it a thread.
///
/// Errors: `Corrupt` where the file is not what was written; `FileFormat` where it is of a format that this build does not know; `GivenUp`.
pub async fn copy<S: Summary>(
    (cache, table): (&RunCache, &Table),
    file: &TableFile,
    path: String,
    summary: S,
    given_up: &AtomicBool,
) -> Result<NewFile, RunsError> {
    let run = cache.open_to_rewrite(table, file).await?;
    let mut scan = Scan::new(cache.clone(), run);
    let mut writer = RunWriter::new(table, path, summary)?;
    while let Some(batch) = scan.next().await? {
        if given_up.load(Ordering::Relaxed) {
            return Err(RunsError::GivenUp);
        }
        writer.write(&batch).await?;
    }
    writer.finish().await
}
