//! Look-up of one Device in one run.
//!
//! 1. The run by its viewers ([`Seek`]), its row groups by their bloom filter and the Device column's minimum and maximum.
//! 2. Pages of the group by the page index of the Device column: the file is sorted, so they are neighbours.
//! 3. Those pages, of all columns that a row is read from: from memory, or fetched all at once.
//! 4. A search in the Device's pages gives its rows, of which only those are decoded that a page of results needs.
//!
//! Nothing else of the run is read: the cost does not depend on how large the run is.

use crate::decode::Stored;
use crate::keyed::KeyedFile;
use crate::limits::{READ_ROWS, RUNS_AT_ONCE, SHEETS_AT_ONCE};
use crate::packed;
use crate::schema::column;
use crate::sheet::{KEY_COLUMNS, Plan, ROW_COLUMNS, Sheet};
use crate::snapshot::RunFile;
use crate::viewers::{Viewer, Viewers};
use foldhash::fast::RandomState;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_model::{DeviceId, Fragment, ServiceReferenceVariant, Timestamp, UserId};
use gridtrail_runs::{Definition, OpenRun, RunCache, RunsError, Scan, try_partition_point};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// One row that a look-up may have to show: where it lies, and what decides whether it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) row: usize,
    pub(crate) received: Timestamp,
    pub(crate) user: UserId,
    /// `None`: this fragment does not name it; another fragment of the row may.
    pub(crate) variant: Option<ServiceReferenceVariant>,
}

/// What a look-up seeks in runs.
#[derive(Debug)]
pub(crate) struct Seek {
    under: DeviceId,
    /// The prints of those whose rows are sought; `None`: all that lies there.
    viewers: Option<Vec<i64>>,
}

impl Seek {
    /// All rows that lie under a key.
    pub(crate) fn all(under: DeviceId) -> Self {
        Self { under, viewers: None }
    }

    /// The rows under a key that any of these may see. What others see is passed over: no page is read for it.
    pub(crate) fn shown_to(under: DeviceId, viewers: impl Iterator<Item = Viewer>) -> Self {
        Self { under, viewers: Some(viewers.map(|viewer| viewer.print(under)).collect()) }
    }

    /// Whether a run can hold what is sought, by all that its footer says.
    pub(crate) fn is_met_by(&self, run: &OpenRun) -> bool {
        self.rows(run).next().is_some()
    }

    /// The rows of each group whose pages can hold what is sought.
    ///
    /// Where a run knows its viewers they decide, and its filter of Devices is not asked: it knows the Devices of others.
    fn rows<'a>(&self, run: &'a OpenRun) -> impl Iterator<Item = (usize, Range<usize>)> + use<'a> {
        let key = self.under.to_bytes();
        let met = self.viewers.as_ref().zip(run.note::<Viewers>());
        let met = met.map(|(prints, viewers)| viewers.include(prints));
        let groups = if met == Some(false) { 0 } else { run.metadata.metadata().num_row_groups() };
        (0..groups).filter_map(move |group| {
            let rows = if met.is_some() { page_rows(run, group, &key) } else { key_rows(run, group, &key) };
            Some((group, rows?))
        })
    }

    fn plans(&self, run: &OpenRun) -> Result<Vec<Plan>, RunsError> {
        self.rows(run).map(|(group, rows)| plan(run, group, rows, ROW_COLUMNS)).collect()
    }

    /// The sheets of a run that can hold what is sought, if all of them are in memory.
    pub(crate) fn kept(&self, cache: &RunCache, run: &OpenRun) -> Result<Option<Vec<Sheet>>, RunsError> {
        let mut sheets = Vec::new();
        for plan in self.plans(run)? {
            let Some(parts) = cache.kept(run, plan.names()) else { return Ok(None) };
            sheets.push(Sheet::new(run, plan, parts));
        }
        Ok(Some(sheets))
    }

    /// The sheets of a run that can hold what is sought.
    pub(crate) async fn sheets(&self, cache: &RunCache, run: &OpenRun) -> Result<Vec<Sheet>, RunsError> {
        let mut sheets = Vec::new();
        for plan in self.plans(run)? {
            sheets.push(Sheet::get(cache, run, plan).await?);
        }
        Ok(sheets)
    }
}

/// Files of a table, opened: footers that are not in memory are fetched together.
pub(crate) async fn open_all(
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

/// Runs, opened: footers that are not in memory are fetched together.
pub(crate) async fn open_runs(
    cache: &RunCache,
    files: &[&Arc<RunFile>],
) -> Result<Vec<Arc<OpenRun>>, RunsError> {
    let opening: Vec<_> = files.iter().map(|file| file.open(cache)).collect();
    stream::iter(opening).buffered(RUNS_AT_ONCE).try_collect().await
}

/// The sheets that can hold a key of a run's first column, planned: none where no page can.
pub(crate) fn plans(run: &OpenRun, key: &[u8], columns: &[usize]) -> Result<Vec<Plan>, RunsError> {
    let mut plans = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        if let Some(rows) = key_rows(run, group, key) {
            plans.push(plan(run, group, rows, columns)?);
        }
    }
    Ok(plans)
}

/// Whether a look-up of a key in a run's first column comes to a row: by the bloom filter and the page index.
pub(crate) fn comes_to(run: &OpenRun, group: usize, row: usize, key: &[u8]) -> bool {
    key_rows(run, group, key).is_some_and(|rows| rows.contains(&row))
}

fn plan(run: &OpenRun, group: usize, rows: Range<usize>, columns: &[usize]) -> Result<Plan, RunsError> {
    Plan::new(run, group, rows, columns).ok_or_else(|| RunsError::Corrupt {
        path: run.path.to_string(),
        why: "its page index is damaged".to_owned(),
    })
}

/// The sheets of a run that can hold a Device.
pub(crate) async fn sheets(
    cache: &RunCache,
    run: &OpenRun,
    device: DeviceId,
) -> Result<Vec<Sheet>, RunsError> {
    key_sheets(cache, run, &device.to_bytes(), ROW_COLUMNS).await
}

/// Some columns of the pages that can hold a key of the run's first column.
pub(crate) async fn key_sheets(
    cache: &RunCache,
    run: &OpenRun,
    key: &[u8],
    columns: &[usize],
) -> Result<Vec<Sheet>, RunsError> {
    let mut sheets = Vec::new();
    for plan in plans(run, key, columns)? {
        sheets.push(Sheet::get(cache, run, plan).await?);
    }
    Ok(sheets)
}

/// Some columns of the pages where a key of the run's first column has its place, whether or not it is there: of one page at least.
pub(crate) async fn place_sheets(
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
    let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = metadata.column_index()?.get(group)?.first() else {
        return None;
    };
    let pages = run.pages(group, 0)?;
    let above =
        try_partition_point(pages.len(), |page| Some(index.max_value(page).is_none_or(|max| max < key)))?;
    let page = above.saturating_sub(1);
    let start = |page: usize| pages.get(page).and_then(|page| usize::try_from(page.first_row_index).ok());
    Some((start(page)?..start(page + 1).unwrap_or(rows), above > 0))
}

/// The rows of a group whose pages can hold a key, by the bloom filter and the page index; `None` when no page can.
fn key_rows(run: &OpenRun, group: usize, key: &[u8]) -> Option<Range<usize>> {
    let bloom = run.bloom(column::DEVICE, group);
    if bloom.is_some_and(|bloom| !bloom.check(key)) {
        return None;
    }
    page_rows(run, group, key)
}

/// The same, by the page index alone.
fn page_rows(run: &OpenRun, group: usize, key: &[u8]) -> Option<Range<usize>> {
    let metadata = run.metadata.metadata();
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let index = metadata.column_index().and_then(|groups| groups.get(group)?.get(column::DEVICE));
    let (Some(ColumnIndexMetaData::BYTE_ARRAY(index)), Some(pages)) =
        (index, run.pages(group, column::DEVICE))
    else {
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

/// The rows of a Device in a sheet, oldest first.
pub(crate) fn candidates(sheet: &Sheet, device: DeviceId) -> Result<Vec<Candidate>, RunsError> {
    let corrupt = |why: &str| RunsError::Corrupt { path: sheet.path().to_owned(), why: why.to_owned() };
    let rows = sheet.rows_equal(column::DEVICE, &device.to_bytes())?;
    let received = sheet.numbers(column::RECEIVED, &rows)?;
    let users = sheet.texts(column::USER, &rows)?;
    let variants = sheet.texts(column::VARIANT, &rows)?;
    let mut found = Vec::with_capacity(rows.len());
    for (((row, received), user), variant) in rows.zip(received).zip(users).zip(variants) {
        let user = user.and_then(|user| <[u8; 8]>::try_from(user).ok());
        let received = received.and_then(Timestamp::from_millis);
        found.push(Candidate {
            row,
            received: received.ok_or_else(|| corrupt("a time is out of range"))?,
            user: UserId::from_bytes(user.ok_or_else(|| corrupt("a User is not 8 bytes long"))?),
            variant: variant.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()),
        });
    }
    Ok(found)
}

/// Rows of a sheet in full, given ascending.
pub(crate) fn fragments(sheet: &Sheet, rows: &[usize]) -> Result<Vec<Fragment>, RunsError> {
    let mut found = Vec::with_capacity(rows.len());
    for range in ranges_of(rows.iter().copied()) {
        for row in sheet.rows(&range)? {
            found.push(row.stored(sheet.path())?.fragment()?);
        }
    }
    Ok(found)
}

/// The prints of rows of a sheet, given ascending (see [`crate::packed::print_of`]).
pub(crate) fn prints(sheet: &Sheet, rows: &[&Candidate]) -> Result<Vec<u64>, RunsError> {
    let corrupt =
        || RunsError::Corrupt { path: sheet.path().to_owned(), why: "a row's key cannot be read".to_owned() };
    let mut found = Vec::with_capacity(rows.len());
    let mut candidates = rows.iter();
    for range in ranges_of(rows.iter().map(|candidate| candidate.row)) {
        for (tail, candidate) in sheet.texts(column::TAIL, &range)?.into_iter().zip(&mut candidates) {
            let print =
                tail.and_then(|tail| packed::print_in(candidate.user.to_bytes(), tail, candidate.received));
            found.push(print.ok_or_else(corrupt)?);
        }
    }
    Ok(found)
}

/// Every row of a Device in a sheet, in full.
pub(crate) fn all_of(sheet: &Sheet, device: DeviceId) -> Result<Vec<Fragment>, RunsError> {
    let rows: Vec<usize> = sheet.rows_equal(column::DEVICE, &device.to_bytes())?.collect();
    fragments(sheet, &rows)
}

/// Calls `take` with every row of some ranges of a group, a few at a time in memory.
async fn each_row(
    cache: &RunCache,
    run: &OpenRun,
    group: usize,
    (ranges, columns): (Vec<Range<usize>>, &[usize]),
    mut take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
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
        for row in sheet.rows(&part)? {
            take(&row.stored(sheet.path())?)?;
        }
    }
    Ok(())
}

/// Calls `take` with the key columns of every row of some Devices, given ascending.
///
/// Neighbouring pages are got together, a few at a time, and no rows read but the Devices'.
pub(crate) async fn each_of_devices(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    devices: &[DeviceId],
    mut take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    for group in 0..run.metadata.metadata().num_row_groups() {
        let keys = devices.iter().map(|device| device.to_bytes());
        let keys: Vec<([u8; 8], Range<usize>)> =
            keys.filter_map(|key| Some((key, key_rows(run, group, &key)?))).collect();
        let mut keys = keys.into_iter().peekable();
        while let Some((key, mut range)) = keys.next() {
            let mut here = vec![key];
            while let Some((key, rows)) =
                keys.next_if(|(_, rows)| rows.start <= range.end && rows.end - range.start <= READ_ROWS)
            {
                range.end = range.end.max(rows.end);
                here.push(key);
            }
            let sheet = Sheet::get(cache, run, plan(run, group, range, KEY_COLUMNS)?).await?;
            for key in here {
                for row in sheet.rows(&sheet.rows_equal(column::DEVICE, &key)?)? {
                    take(&row.stored(sheet.path())?)?;
                }
            }
        }
    }
    Ok(())
}

/// Calls `take` with the key columns of every row of a run whose Device lies from one on to before another; those without any come
/// first.
pub(crate) async fn each_key(
    cache: &RunCache,
    run: &OpenRun,
    (from, to): (Option<[u8; 8]>, Option<[u8; 8]>),
    mut take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    for (group, meta) in run.metadata.metadata().row_groups().iter().enumerate() {
        let rows = usize::try_from(meta.num_rows()).unwrap_or(0);
        let (mut first, mut end) = (0, rows);
        // Pages ascend. One without any value has no minimum, and comes first.
        for (start, least) in device_pages(run, group) {
            let is_below = |edge: [u8; 8]| least.is_none_or(|least| least < edge.as_slice());
            if from.is_some_and(is_below) {
                first = start;
            }
            if to.is_some_and(|to| !is_below(to)) {
                end = end.min(start);
            }
        }
        each_row(cache, run, group, (ranges_of(first..end), KEY_COLUMNS), |row| {
            let device = row.device_bytes()?;
            let within = from.is_none_or(|from| device.is_some_and(|device| from <= device))
                && to.is_none_or(|to| device.is_none_or(|device| device < to));
            if within { take(row) } else { Ok(()) }
        })
        .await?;
    }
    Ok(())
}

/// The first row of each page of Devices of a group, and the least Device of the page.
fn device_pages(run: &OpenRun, group: usize) -> impl Iterator<Item = (usize, Option<&[u8]>)> {
    let index =
        run.metadata.metadata().column_index().and_then(|groups| groups.get(group)?.get(column::DEVICE));
    let index = match index {
        Some(ColumnIndexMetaData::BYTE_ARRAY(index)) => Some(index),
        _ => None,
    };
    let pages = index.and_then(|_| run.pages(group, column::DEVICE)).unwrap_or_default();
    pages.iter().enumerate().filter_map(move |(page, location)| {
        Some((usize::try_from(location.first_row_index).ok()?, index?.min_value(page)))
    })
}

/// The least Device of each page of a run.
pub(crate) fn first_devices(run: &OpenRun) -> Vec<[u8; 8]> {
    let groups = 0..run.metadata.metadata().num_row_groups();
    let pages = groups.flat_map(|group| device_pages(run, group));
    pages.filter_map(|(_, least)| least?.try_into().ok()).collect()
}

/// Every row of a run, read from the store anew: for housekeeping.
pub(crate) async fn all(cache: &RunCache, run: &Arc<OpenRun>) -> Result<Vec<Fragment>, RunsError> {
    let (mut scan, mut found) = (Scan::new(cache.clone(), Arc::clone(run)), Vec::new());
    while let Some(batch) = scan.next().await? {
        for row in 0..batch.num_rows() {
            found.push(Stored::of(&batch, row, run.path.as_ref().as_ref())?.fragment()?);
        }
    }
    Ok(found)
}

/// Counters of requests. Of many, a bloom filter lets some through nearly always, so they are compared often: hence the fast
/// hash.
pub(crate) type Counters = HashSet<i64, RandomState>;

/// Calls `take` with the key columns of every row whose id names another target than its Device and has one of these counters.
pub(crate) async fn each_by_foreign_counter(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    counters: &Counters,
    take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    each_foreign(cache, run, (Some(counters), KEY_COLUMNS), take).await
}

/// Calls `take` with some columns of every row whose id names another target than its Device; of those that have one of some counters,
/// where any are given.
pub(crate) async fn each_foreign(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    (counters, columns): (Option<&Counters>, &[usize]),
    mut take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    let mut groups = Vec::new();
    for (group, meta) in run.metadata.metadata().row_groups().iter().enumerate() {
        let bloom = run.bloom(column::FOREIGN_COUNTER, group);
        let may_have = |counter: &i64| bloom.is_none_or(|bloom| bloom.check(counter));
        if counters.is_none_or(|counters| counters.iter().any(may_have)) {
            groups.push((group, usize::try_from(meta.num_rows()).unwrap_or(0)));
        }
    }
    let reading = groups.into_iter().map(|(group, rows)| async move {
        let wanted = plan(run, group, 0..rows, &[column::FOREIGN_COUNTER])?;
        Ok::<_, RunsError>((group, rows, Sheet::get(cache, run, wanted).await?))
    });
    let reading: Vec<_> = reading.collect();
    let mut reading = stream::iter(reading).buffered(SHEETS_AT_ONCE);
    while let Some((group, rows, sheet)) = reading.try_next().await? {
        let is_wanted = |number| counters.is_none_or(|counters| counters.contains(&number));
        let hits = sheet.rows_with(column::FOREIGN_COUNTER, rows, is_wanted)?;
        let ranges = ranges_of(hits.into_iter());
        each_row(cache, run, group, (ranges, columns), &mut take).await?;
    }
    Ok(())
}

/// Neighbouring rows joined into ranges.
fn ranges_of(rows: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some(range) if range.end == row => range.end = row + 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests;
