//! Look-up by key: which row groups and pages of a run can hold a key of its first column, and what is read of them.
//!
//! 1. Row groups by their bloom filter and the key column's minimum and maximum.
//! 2. Pages of the group by the page index of the key column: the file is sorted, so they are neighbours.
//! 3. Those pages, of the columns that are wanted: from memory, or fetched all at once.
//!
//! Nothing else of the run is read: the cost does not depend on how large the run is.

use crate::definition::Definition;
use crate::error::RunsError;
use crate::limits::{READ_ROWS, RUNS_AT_ONCE, SHEETS_AT_ONCE};
use crate::pages::cache::{OpenRun, RunCache};
use crate::pages::page::try_partition_point;
use crate::pages::sheet::{Plan, Sheet};
use crate::run::index::Run;
use crate::run::keyed_file::KeyedFile;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

/// The number of the column that a run is sorted by.
const KEY: usize = 0;

/// What a look-up seeks in runs.
pub trait Seeks: Sync {
    /// The columns that it reads.
    const COLUMNS: &'static [usize];

    /// The rows of each group whose pages can hold what is sought, by all that the run's footer says.
    fn rows<'a>(&self, run: &'a OpenRun) -> impl Iterator<Item = (usize, Range<usize>)> + use<'a, Self>;

    /// Whether a run can hold what is sought, by all that its footer says.
    fn is_met_by(&self, run: &OpenRun) -> bool {
        self.rows(run).next().is_some()
    }

    /// The sheets of a run that can hold what is sought, planned.
    fn plans(&self, run: &OpenRun) -> Result<Vec<Plan>, RunsError> {
        self.rows(run).map(|(group, rows)| plan(run, group, rows, Self::COLUMNS)).collect()
    }

    /// The sheets of a run that can hold what is sought, if all of them are in memory.
    fn kept(&self, cache: &RunCache, run: &OpenRun) -> Result<Option<Vec<Sheet>>, RunsError> {
        let mut sheets = Vec::new();
        for plan in self.plans(run)? {
            let Some(parts) = cache.kept(run, plan.names()) else { return Ok(None) };
            sheets.push(Sheet::new(run, plan, parts));
        }
        Ok(Some(sheets))
    }

    /// The sheets of a run that can hold what is sought.
    fn sheets(
        &self,
        cache: &RunCache,
        run: &OpenRun,
    ) -> impl Future<Output = Result<Vec<Sheet>, RunsError>> + Send {
        async { sheets_of(cache, run, self.plans(run)?).await }
    }
}

/// Files of a table, opened: footers that are not in memory are fetched together.
pub async fn open_all(
    cache: &RunCache,
    table: &'static Definition,
    files: impl Iterator<Item = &KeyedFile>,
) -> Result<Vec<Arc<OpenRun>>, RunsError> {
    let (mut runs, mut unknown) = (Vec::new(), Vec::new());
    for file in files {
        match cache.opened(&file.path) {
            Some(run) => runs.push(run),
            None => unknown.push(cache.open(table, (&file.file, &file.path), None)),
        }
    }
    if !unknown.is_empty() {
        let opened: Vec<_> = stream::iter(unknown).buffered(RUNS_AT_ONCE).try_collect().await?;
        runs.extend(opened);
    }
    Ok(runs)
}

/// A run, its footer read once.
pub async fn open<R: Run>(
    cache: &RunCache,
    table: &'static Definition,
    run: &R,
) -> Result<Arc<OpenRun>, RunsError> {
    cache.open(table, (run.file(), run.path()), run.footer_bytes()).await
}

/// Runs of a table, opened in their order: footers that are not in memory are fetched together.
pub async fn open_runs<R: Run>(
    cache: &RunCache,
    table: &'static Definition,
    runs: &[&Arc<R>],
) -> Result<Vec<Arc<OpenRun>>, RunsError> {
    let opening: Vec<_> = runs.iter().map(|run| open(cache, table, run.as_ref())).collect();
    stream::iter(opening).buffered(RUNS_AT_ONCE).try_collect().await
}

/// The sheets that can hold a key of a run's first column, planned: none where no page can.
pub fn plans(run: &OpenRun, key: &[u8], columns: &[usize]) -> Result<Vec<Plan>, RunsError> {
    let mut plans = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        if let Some(rows) = key_rows(run, group, key) {
            plans.push(plan(run, group, rows, columns)?);
        }
    }
    Ok(plans)
}

/// Whether a look-up of a key in a run's first column comes to a row: by the bloom filter and the page index.
pub fn comes_to(run: &OpenRun, group: usize, row: usize, key: &[u8]) -> bool {
    key_rows(run, group, key).is_some_and(|rows| rows.contains(&row))
}

fn plan(run: &OpenRun, group: usize, rows: Range<usize>, columns: &[usize]) -> Result<Plan, RunsError> {
    Plan::new(run, group, rows, columns).ok_or_else(|| RunsError::Corrupt {
        path: run.path.to_string(),
        why: "its page index is damaged".to_owned(),
    })
}

async fn sheets_of(cache: &RunCache, run: &OpenRun, plans: Vec<Plan>) -> Result<Vec<Sheet>, RunsError> {
    let mut sheets = Vec::with_capacity(plans.len());
    for plan in plans {
        sheets.push(Sheet::get(cache, run, plan).await?);
    }
    Ok(sheets)
}

/// Some columns of the pages that can hold a key of the run's first column.
pub async fn key_sheets(
    cache: &RunCache,
    run: &OpenRun,
    key: &[u8],
    columns: &[usize],
) -> Result<Vec<Sheet>, RunsError> {
    sheets_of(cache, run, plans(run, key, columns)?).await
}

/// Some columns of the pages where a key of the run's first column has its place, whether or not it is there: of one page at least.
pub async fn place_sheets(
    cache: &RunCache,
    run: &OpenRun,
    key: &[u8],
    columns: &[usize],
) -> Result<Vec<Sheet>, RunsError> {
    let mut places = Vec::new();
    let mut nearest = None;
    for group in 0..run.metadata.metadata().num_row_groups() {
        if let Some(rows) = page_rows(run, group, key) {
            places.push((group, rows));
        } else if let Some((rows, is_below)) = page_beside(run, group, key)
            && (is_below || nearest.is_none())
        {
            nearest = Some((group, rows));
        }
    }
    if places.is_empty() {
        places.extend(nearest);
    }
    let mut sheets = Vec::new();
    for (group, rows) in places {
        sheets.push(Sheet::get(cache, run, plan(run, group, rows, columns)?).await?);
    }
    Ok(sheets)
}

/// The rows of the last page of a group that lies below a key, or of its first page; and whether it lies below.
fn page_beside(run: &OpenRun, group: usize, key: &[u8]) -> Option<(Range<usize>, bool)> {
    let metadata = run.metadata.metadata();
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = metadata.column_index()?.get(group)?.get(KEY) else {
        return None;
    };
    let pages = run.pages(group, KEY)?;
    let above =
        try_partition_point(pages.len(), |page| Some(index.max_value(page).is_none_or(|max| max < key)))?;
    let page = above.saturating_sub(1);
    let start = |page: usize| pages.get(page).and_then(|page| usize::try_from(page.first_row_index).ok());
    Some((start(page)?..start(page + 1).unwrap_or(rows), above > 0))
}

/// The rows of a group whose pages can hold a key, by the bloom filter and the page index; `None` when no page can.
pub fn key_rows(run: &OpenRun, group: usize, key: &[u8]) -> Option<Range<usize>> {
    let bloom = run.bloom(KEY, group);
    // A filter is a read from memory that is in no cache: most groups of a run of many say by their first and last page that they have no such key.
    if lies_outside(run, group, key) || bloom.is_some_and(|bloom| !bloom.check(key)) {
        return None;
    }
    page_rows(run, group, key)
}

/// Whether a key lies below the least or above the greatest one of a group, by its page index.
fn lies_outside(run: &OpenRun, group: usize, key: &[u8]) -> bool {
    let index = run.metadata.metadata().column_index().and_then(|groups| groups.get(group)?.get(KEY));
    let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = index else { return false };
    let Some(last) = run.pages(group, KEY).and_then(|pages| pages.len().checked_sub(1)) else { return false };
    index.min_value(0).is_some_and(|min| key < min) || index.max_value(last).is_some_and(|max| max < key)
}

/// The same, by the page index alone.
pub fn page_rows(run: &OpenRun, group: usize, key: &[u8]) -> Option<Range<usize>> {
    let metadata = run.metadata.metadata();
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let index = metadata.column_index().and_then(|groups| groups.get(group)?.get(KEY));
    let (Some(ColumnIndexMetaData::BYTE_ARRAY(index)), Some(pages)) = (index, run.pages(group, KEY)) else {
        return Some(0..rows);
    };
    // Pages ascend. Those without any value come first, and have neither minimum nor maximum.
    let first =
        try_partition_point(pages.len(), |page| Some(index.max_value(page).is_none_or(|max| max < key)))?;
    let end =
        try_partition_point(pages.len(), |page| Some(index.min_value(page).is_none_or(|min| min <= key)))?;
    let start =
        |page: usize| pages.get(page).map_or(rows, |p| usize::try_from(p.first_row_index).unwrap_or(rows));
    (first < end).then(|| start(first)..start(end))
}

/// The rows of a group whose pages can hold keys from one on until before another, by the page index; `None` when no page can.
pub fn rows_between(run: &OpenRun, group: usize, from: &[u8], until: &[u8]) -> Option<Range<usize>> {
    let rows = usize::try_from(run.metadata.metadata().row_group(group).num_rows()).ok()?;
    let (mut start, mut end) = (None, rows);
    for (first, least) in first_keys(run, group) {
        // Keys of a page begin with its least one; those before it lie in the pages before.
        if least.is_none_or(|least| least < from) || start.is_none() {
            start = Some(first);
        }
        if least.is_some_and(|least| until <= least) {
            end = first;
            break;
        }
    }
    let start = start.unwrap_or(0);
    (start < end).then_some(start..end)
}

/// The first row of each page of keys of a group, and the least key of the page.
pub fn first_keys(run: &OpenRun, group: usize) -> impl Iterator<Item = (usize, Option<&[u8]>)> {
    let index = run.metadata.metadata().column_index().and_then(|groups| groups.get(group)?.get(KEY));
    let index = match index {
        Some(ColumnIndexMetaData::BYTE_ARRAY(index)) => Some(index),
        _ => None,
    };
    let pages = index.and_then(|_| run.pages(group, KEY)).unwrap_or_default();
    pages.iter().enumerate().filter_map(move |(page, location)| {
        Some((usize::try_from(location.first_row_index).ok()?, index?.min_value(page)))
    })
}

/// Calls `take` with some columns of some ranges of rows of a group, a few rows at a time in memory.
pub async fn each_sheet(
    cache: &RunCache,
    run: &OpenRun,
    group: usize,
    (ranges, columns): (Vec<Range<usize>>, &[usize]),
    mut take: impl FnMut(&Sheet, Range<usize>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    let parts = ranges.into_iter().flat_map(|range| {
        let end = range.end;
        range.step_by(READ_ROWS).map(move |from| from..end.min(from + READ_ROWS))
    });
    let reading = parts.map(|part| async move {
        let sheet = Sheet::get(cache, run, plan(run, group, part.clone(), columns)?).await?;
        Ok::<_, RunsError>((part, sheet))
    });
    let reading: Vec<_> = reading.collect();
    let mut reading = stream::iter(reading).buffered(SHEETS_AT_ONCE);
    while let Some((part, sheet)) = reading.try_next().await? {
        take(&sheet, part)?;
    }
    Ok(())
}

/// Calls `take` with some columns of all rows of some keys, given ascending.
///
/// Neighbouring pages are got together, a few at a time, and no rows read but those of the keys.
pub async fn each_of_keys<K: AsRef<[u8]>>(
    cache: &RunCache,
    run: &OpenRun,
    (keys, columns): (&[K], &[usize]),
    mut take: impl FnMut(&Sheet, Range<usize>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    for group in 0..run.metadata.metadata().num_row_groups() {
        let keys = keys.iter().map(AsRef::as_ref);
        let keys: Vec<(&[u8], Range<usize>)> =
            keys.filter_map(|key| Some((key, key_rows(run, group, key)?))).collect();
        let mut keys = keys.into_iter().peekable();
        while let Some((key, mut range)) = keys.next() {
            let mut here = vec![key];
            while let Some((key, rows)) =
                keys.next_if(|(_, rows)| rows.start <= range.end && rows.end - range.start <= READ_ROWS)
            {
                range.end = range.end.max(rows.end);
                here.push(key);
            }
            let sheet = Sheet::get(cache, run, plan(run, group, range, columns)?).await?;
            for key in here {
                take(&sheet, sheet.rows_equal(KEY, key)?)?;
            }
        }
    }
    Ok(())
}

/// Calls `take` with some columns of all rows that have a number in a column; of those that have one of some numbers, where any are given.
pub async fn each_with_number<H: BuildHasher + Sync>(
    cache: &RunCache,
    run: &OpenRun,
    (column, numbers): (usize, Option<&HashSet<i64, H>>),
    columns: &[usize],
    mut take: impl FnMut(&Sheet, Range<usize>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    let mut groups = Vec::new();
    for (group, meta) in run.metadata.metadata().row_groups().iter().enumerate() {
        let bloom = run.bloom(column, group);
        let may_have = |number: &i64| bloom.is_none_or(|bloom| bloom.check(number));
        if numbers.is_none_or(|numbers| numbers.iter().any(may_have)) {
            groups.push((group, usize::try_from(meta.num_rows()).unwrap_or(0)));
        }
    }
    let reading = groups.into_iter().map(|(group, rows)| async move {
        let wanted = plan(run, group, 0..rows, &[column])?;
        Ok::<_, RunsError>((group, rows, Sheet::get(cache, run, wanted).await?))
    });
    let reading: Vec<_> = reading.collect();
    let mut reading = stream::iter(reading).buffered(SHEETS_AT_ONCE);
    while let Some((group, rows, sheet)) = reading.try_next().await? {
        let is_wanted = |number| numbers.is_none_or(|numbers| numbers.contains(&number));
        let ranges = ranges_of(sheet.rows_with(column, rows, is_wanted)?.into_iter());
        each_sheet(cache, run, group, (ranges, columns), &mut take).await?;
    }
    Ok(())
}

/// Neighbouring rows joined into ranges.
pub fn ranges_of(rows: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some(range) if range.end == row => range.end = row + 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}
