//! Gathering: small files of a table become fewer.
//!
//! Files of one size class become one file when there are four of them; of a table by month, those of one month. Whatever the table's
//! rows are, they are merged by its rule. A position guards the files: of two processes that gather the same, one wins.

use crate::limits::GATHER_RUNS;
use crate::merge::{Merge, MergeRule};
use crate::run::{RunWriter, Summary};
use crate::tables::Gathering;
use arrow::array::RecordBatch;
use gridtrail_runs::{Changes, Move, RunsError, Table, TableFile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The position that guards the small files of a table, or of a month of it.
pub(crate) fn fence(month: Option<&str>) -> String {
    match month {
        Some(month) => format!("{month}/L0"),
        None => "L0".to_owned(),
    }
}

/// The files to be gathered: where [`GATHER_RUNS`] or more are of one size class, those of the largest such class and all
/// that are smaller. Classes go by powers of that number, so what is made of a class is of a higher one.
pub(crate) fn alike<T: Clone>(files: &[T], size: impl Fn(&T) -> u64) -> Option<Vec<T>> {
    let class = |file: &T| size(file).max(1).ilog(GATHER_RUNS as u64);
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for file in files {
        *counts.entry(class(file)).or_default() += 1;
    }
    let full = counts.into_iter().rev().find(|(_, count)| *count >= GATHER_RUNS).map(|(class, _)| class)?;
    Some(files.iter().filter(|file| class(file) <= full).cloned().collect())
}

/// The move of a position that counts.
pub(crate) fn moved(table: &Table, app_id: String) -> Move {
    let from = table.position(&app_id);
    Move { app_id, from, to: from.unwrap_or(0) + 1 }
}

/// Gathers files of a table that are alike, of one month where it is by month, up to the commit. `None`: they are few.
///
/// `keep` leaves of the merged rows those that stay, knowing the files that they are of.
pub(crate) async fn gather<R: MergeRule, S: Summary>(
    of: &Gathering<'_>,
    size: impl Fn(&TableFile) -> u64,
    rule: R,
    summary: impl FnOnce(Option<&str>) -> S,
    keep: impl Fn(&[Arc<TableFile>], RecordBatch) -> Result<RecordBatch, RunsError>,
) -> Result<Option<Changes>, RunsError> {
    let Gathering { lake, table, now, .. } = of;
    let mut months: BTreeMap<Option<String>, Vec<Arc<TableFile>>> = BTreeMap::new();
    for file in lake.whole_files(table)? {
        months.entry(file.month.clone()).or_default().push(file);
    }
    let due = months.into_iter().find_map(|(month, files)| Some((month, alike(&files, |file| size(file))?)));
    let Some((month, files)) = due else { return Ok(None) };
    let mut runs = Vec::with_capacity(files.len());
    for file in &files {
        runs.push(lake.cache().open_to_rewrite(&table.full_path(&file.path)?, file).await?);
    }
    let mut merge = Merge::new(rule, lake.cache(), runs).await?;
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
        now_ms: now.millis(),
        ..Changes::default()
    }))
}
