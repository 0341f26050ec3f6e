//! Gathering: small files of a table become fewer.
//!
//! Files of one size class become one file when there are four of them; of a table by month, those of one month. Whatever the table's
//! rows are, they are merged by its rule. A position guards the files: of two processes that gather the same, one wins.

use super::merge::{Merge, MergeRule};
use super::writer::{RunWriter, Summary};
use crate::delta::commit::{Changes, Move};
use crate::delta::log::TableFile;
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::limits::GATHER_RUNS;
use crate::pages::cache::RunCache;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The position that guards the small files of a table, or of a month of it.
pub fn fence(month: Option<&str>) -> String {
    match month {
        Some(month) => format!("{month}/L0"),
        None => "L0".to_owned(),
    }
}

/// The files to be gathered: where [`GATHER_RUNS`] or more are of one size class, those of the largest such class and all
/// that are smaller. Classes go by powers of that number, so what is made of a class is of a higher one.
pub fn alike<T: Clone>(files: &[T], size: impl Fn(&T) -> u64) -> Option<Vec<T>> {
    let class = |file: &T| size(file).max(1).ilog(GATHER_RUNS as u64);
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for file in files {
        *counts.entry(class(file)).or_default() += 1;
    }
    let full = counts.into_iter().rev().find(|(_, count)| *count >= GATHER_RUNS).map(|(class, _)| class)?;
    Some(files.iter().filter(|file| class(file) <= full).cloned().collect())
}

/// The move of a position that counts.
pub fn moved(table: &Table, app_id: String) -> Move {
    let from = table.position(&app_id);
    Move { app_id, from, to: from.unwrap_or(0) + 1 }
}

/// Gathers those of some files of a table that are alike, of one month where it is by month, up to the commit. `None`: they are few.
///
/// `keep` leaves of the merged rows those that stay, knowing the files that they are of.
pub async fn gather<R: MergeRule, S: Summary>(
    (cache, table): (&RunCache, &Table),
    files: Vec<Arc<TableFile>>,
    now_ms: i64,
    size: impl Fn(&TableFile) -> u64,
    rule: R,
    summary: impl FnOnce(Option<&str>) -> S,
    keep: impl Fn(&[Arc<TableFile>], RecordBatch) -> Result<RecordBatch, RunsError>,
) -> Result<Option<Changes>, RunsError> {
    let mut months: BTreeMap<Option<String>, Vec<Arc<TableFile>>> = BTreeMap::new();
    for file in files {
        months.entry(file.month.clone()).or_default().push(file);
    }
    let due = months.into_iter().find_map(|(month, files)| Some((month, alike(&files, |file| size(file))?)));
    let Some((month, files)) = due else { return Ok(None) };
    let mut runs = Vec::with_capacity(files.len());
    for file in &files {
        runs.push(cache.open_to_rewrite(table, file).await?);
    }
    let mut merge = Merge::new(rule, cache, runs).await?;
    let path = table.definition().new_path(month.as_deref());
    let mut writer = RunWriter::new(table, path, summary(month.as_deref()))?;
    let (mut kept, mut dropped) = (0, 0);
    while let Some(batch) = merge.next().await? {
        let rows = batch.num_rows();
        let batch = keep(&files, batch)?;
        kept += batch.num_rows();
        dropped += rows - batch.num_rows();
        writer.write(&batch).await?;
    }
    // A file without rows is left where it is: nothing names it.
    let made = writer.finish().await?;
    Ok(Some(Changes {
        add: if kept > 0 { vec![made] } else { Vec::new() },
        drops: dropped > 0,
        remove: files,
        moves: vec![moved(table, fence(month.as_deref()))],
        now_ms,
        ..Changes::default()
    }))
}
