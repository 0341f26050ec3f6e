//! Look-up of one Device in one run.
//!
//! 1. Row groups by their bloom filter and the Device column's minimum and maximum.
//! 2. Pages of the group by the page index of the Device column: the file is sorted, so they are neighbours.
//! 3. Of those pages, only the filter columns are decoded; binary search gives the Device's rows.
//! 4. Only the rows that a page of results needs are read in full.
//!
//! Nothing else of the run is read: the cost does not depend on how large the run is.

use crate::cache::{OpenRun, RunCache};
use crate::decode::{RESOLVING_COLUMNS, Rows};
use crate::error::LakeError;
use crate::limits::READ_BATCH_ROWS;
use crate::schema::column;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use gridtrail_model::{DeviceId, Fragment, Resolved, ServiceReferenceVariant, Timestamp, TrailKey, UserId};
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// One row that a look-up may have to show: where it lies, and what decides whether it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) group: usize,
    pub(crate) row: usize,
    pub(crate) received: Timestamp,
    pub(crate) user: UserId,
    /// `None`: this fragment does not name it; another fragment of the row may.
    pub(crate) variant: Option<ServiceReferenceVariant>,
}

/// Every row of a Device in one run, oldest first.
pub(crate) async fn candidates(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    device: DeviceId,
) -> Result<Vec<Candidate>, LakeError> {
    let key = device.to_bytes();
    let mut found = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        let bloom = run.keys.get(group).and_then(Option::as_ref);
        if bloom.is_some_and(|bloom| !bloom.check(key.as_slice())) {
            continue;
        }
        let Some(rows) = page_rows(run, group, &key) else { continue };
        let columns = [column::DEVICE, column::RECEIVED, column::USER, column::VARIANT];
        let batches = read(cache, run, group, &columns, std::slice::from_ref(&rows)).await?;
        let mut row = rows.start;
        for batch in &batches {
            filter_rows(run, batch, &key, group, row, &mut found)?;
            row += batch.num_rows();
        }
    }
    Ok(found)
}

/// Some columns of the pages that can hold a key of the run's first column.
pub(crate) async fn key_pages(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    key: &[u8],
    columns: &[usize],
) -> Result<Vec<RecordBatch>, LakeError> {
    let mut batches = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        let bloom = run.keys.get(group).and_then(Option::as_ref);
        if bloom.is_some_and(|bloom| !bloom.check(key)) {
            continue;
        }
        if let Some(rows) = page_rows(run, group, key) {
            batches.extend(read(cache, run, group, columns, std::slice::from_ref(&rows)).await?);
        }
    }
    Ok(batches)
}

/// Whether a look-up of a key in a run's first column comes to a row: by the bloom filter and the page index.
pub(crate) fn comes_to(run: &OpenRun, group: usize, row: usize, key: &[u8]) -> bool {
    let bloom = run.keys.get(group).and_then(Option::as_ref);
    bloom.is_none_or(|bloom| bloom.check(key))
        && page_rows(run, group, key).is_some_and(|rows| rows.contains(&row))
}

/// The rows of a group whose pages can hold a Device, by the page index; `None` when no page can.
fn page_rows(run: &OpenRun, group: usize, key: &[u8]) -> Option<Range<usize>> {
    let metadata = run.metadata.metadata();
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let index = metadata.column_index().and_then(|groups| groups.get(group)?.get(column::DEVICE));
    let pages = metadata.offset_index().and_then(|groups| groups.get(group)?.get(column::DEVICE));
    let (Some(ColumnIndexMetaData::BYTE_ARRAY(index)), Some(pages)) = (index, pages) else {
        return Some(0..rows);
    };
    let pages = pages.page_locations();
    let holds = |page: usize| {
        index.min_value(page).is_some_and(|min| min <= key)
            && index.max_value(page).is_some_and(|max| key <= max)
    };
    let first = (0..pages.len()).find(|page| holds(*page))?;
    let last = (first..pages.len()).take_while(|page| holds(*page)).last()?;
    let start =
        |page: usize| pages.get(page).map_or(rows, |p| usize::try_from(p.first_row_index).unwrap_or(rows));
    Some(start(first)..start(last + 1))
}

fn filter_rows(
    run: &OpenRun,
    batch: &RecordBatch,
    key: &[u8; 8],
    group: usize,
    first_row: usize,
    found: &mut Vec<Candidate>,
) -> Result<(), LakeError> {
    let corrupt = |why: &str| LakeError::Corrupt { path: run.path.to_string(), why: why.to_owned() };
    let devices =
        batch.column(0).as_binary_opt::<i32>().ok_or_else(|| corrupt("device_id is of another type"))?;
    let received = batch
        .column(1)
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| corrupt("received_at is of another type"))?;
    let users =
        batch.column(2).as_binary_opt::<i32>().ok_or_else(|| corrupt("user_id is of another type"))?;
    let variants =
        batch.column(3).as_string_opt::<i32>().ok_or_else(|| corrupt("variant is of another type"))?;
    // Rows without a Device sort first; a null's value is empty, which is smaller than any key.
    let start = partition(devices.len(), |row| devices.value(row) < key.as_slice());
    for row in start..devices.len() {
        if devices.value(row) != key.as_slice() {
            break;
        }
        let time = Timestamp::from_millis(received.value(row).div_euclid(1_000));
        let user: [u8; 8] = users.value(row).try_into().map_err(|_| corrupt("a User is not 8 bytes long"))?;
        let variant = if variants.is_null(row) { None } else { variants.value(row).parse().ok() };
        found.push(Candidate {
            group,
            row: first_row + row,
            received: time.ok_or_else(|| corrupt("a time is out of range"))?,
            user: UserId::from_bytes(user),
            variant,
        });
    }
    Ok(())
}

/// The first index for which `below` is false, `below` being true up to somewhere and false from there.
fn partition(length: usize, below: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low.midpoint(high);
        if below(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Rows of a run in full, given as (row group, row) ascending.
pub(crate) async fn fragments(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    rows: &[(usize, usize)],
) -> Result<Vec<Fragment>, LakeError> {
    let mut found = Vec::with_capacity(rows.len());
    for part in rows.chunk_by(|a, b| a.0 == b.0) {
        let Some((group, _)) = part.first() else { continue };
        let columns = run.filled.get(*group).ok_or_else(|| LakeError::Corrupt {
            path: run.path.to_string(),
            why: format!("it has no row group {group}"),
        })?;
        let ranges = ranges_of(part.iter().map(|(_, row)| *row));
        for batch in read(cache, run, *group, columns, &ranges).await? {
            let rows = Rows::new(&batch, columns, run.path.as_ref().as_ref());
            for row in 0..batch.num_rows() {
                found.push(rows.fragment(row)?);
            }
        }
    }
    Ok(found)
}

/// What [`crate::resolve`] is to know of the rows of some Devices, given ascending.
///
/// Pages that hold several of the Devices are read once.
pub(crate) async fn resolved(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    devices: &[DeviceId],
) -> Result<Vec<(TrailKey, Resolved)>, LakeError> {
    let mut found = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        let bloom = run.keys.get(group).and_then(Option::as_ref);
        let here: Vec<[u8; 8]> = devices
            .iter()
            .map(|device| device.to_bytes())
            .filter(|key| bloom.is_none_or(|bloom| bloom.check(key.as_slice())))
            .collect();
        let ranges = union(here.iter().filter_map(|key| page_rows(run, group, key)));
        if ranges.is_empty() {
            continue;
        }
        let columns = resolving_columns(run, group);
        for batch in read(cache, run, group, &columns, &ranges).await? {
            let rows = Rows::new(&batch, &columns, run.path.as_ref().as_ref());
            // Both ascend, so one pass finds what is in both.
            let mut wanted = here.iter().peekable();
            for row in 0..batch.num_rows() {
                let Some(device) = rows.device(row)? else { continue };
                while wanted.next_if(|key| **key < device).is_some() {}
                if wanted.peek() == Some(&&device) {
                    found.extend(rows.resolved(row)?);
                }
            }
        }
    }
    Ok(found)
}

/// The columns of a group that [`Rows::resolved`] reads.
fn resolving_columns(run: &OpenRun, group: usize) -> Vec<usize> {
    let filled = run.filled.get(group).map(Vec::as_slice).unwrap_or_default();
    filled.iter().copied().filter(|number| RESOLVING_COLUMNS.contains(number)).collect()
}

/// Every row of a run: for housekeeping.
pub(crate) async fn all(cache: &RunCache, run: &Arc<OpenRun>) -> Result<Vec<Fragment>, LakeError> {
    let groups = run.metadata.metadata().row_groups().iter().enumerate();
    let rows: Vec<_> = groups
        .flat_map(|(group, meta)| {
            (0..usize::try_from(meta.num_rows()).unwrap_or(0)).map(move |row| (group, row))
        })
        .collect();
    fragments(cache, run, &rows).await
}

/// What [`crate::resolve`] is to know of the rows of requests whose RequestID names another target than their Device, by
/// counter.
pub(crate) async fn resolved_by_foreign_counter(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    counters: &HashSet<i64>,
) -> Result<Vec<(TrailKey, Resolved)>, LakeError> {
    let mut found = Vec::new();
    for group in 0..run.metadata.metadata().num_row_groups() {
        let bloom = run.foreign.get(group).and_then(Option::as_ref);
        if !counters.iter().any(|counter| bloom.is_none_or(|bloom| bloom.check(counter))) {
            continue;
        }
        let rows = usize::try_from(run.metadata.metadata().row_group(group).num_rows()).unwrap_or(0);
        let whole = 0..rows;
        let batches =
            read(cache, run, group, &[column::FOREIGN_COUNTER], std::slice::from_ref(&whole)).await?;
        let mut at = Vec::new();
        let mut first = 0;
        for batch in &batches {
            if let Some(column) = batch.column(0).as_primitive_opt::<Int64Type>() {
                let hits = (0..batch.num_rows())
                    .filter(|row| column.is_valid(*row) && counters.contains(&column.value(*row)));
                at.extend(hits.map(|row| first + row));
            }
            first += batch.num_rows();
        }
        if at.is_empty() {
            continue;
        }
        let columns = resolving_columns(run, group);
        for batch in read(cache, run, group, &columns, &ranges_of(at.into_iter())).await? {
            let rows = Rows::new(&batch, &columns, run.path.as_ref().as_ref());
            for row in 0..batch.num_rows() {
                found.extend(rows.resolved(row)?);
            }
        }
    }
    Ok(found)
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

/// Ranges that ascend by their start and may overlap, as few that do not.
fn union(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Some columns of some rows of one row group.
async fn read(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    group: usize,
    columns: &[usize],
    rows: &[Range<usize>],
) -> Result<Vec<RecordBatch>, LakeError> {
    let corrupt = || LakeError::corrupt(run.path.as_ref().as_ref());
    let total = usize::try_from(run.metadata.metadata().row_group(group).num_rows()).unwrap_or(0);
    let selection = RowSelection::from_consecutive_ranges(rows.iter().cloned(), total);
    let projection = ProjectionMask::roots(run.metadata.parquet_schema(), columns.iter().copied());
    let mut decoder = ParquetPushDecoderBuilder::new_with_metadata(run.metadata.clone())
        .with_row_groups(vec![group])
        .with_row_selection(selection)
        .with_projection(projection)
        .with_batch_size(READ_BATCH_ROWS)
        .build()
        .map_err(corrupt())?;
    let mut batches = Vec::new();
    loop {
        match decoder.try_decode().map_err(corrupt())? {
            DecodeResult::NeedsData(ranges) => {
                let bytes = cache.read(run, &ranges).await?;
                decoder.push_ranges(ranges, bytes).map_err(corrupt())?;
            }
            DecodeResult::Data(batch) => batches.push(batch),
            DecodeResult::Finished => return Ok(batches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{self, SortedFragments};
    use deltalake_core::{ObjectStore, Path};
    use gridtrail_model::{RequestId, Subject, TrailKey};
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    /// A row group that a run does not have is damage that names the run, not rows that are quietly missing.
    #[tokio::test]
    async fn a_row_of_no_group_is_an_error() {
        let user = UserId::from_bytes([1; 8]);
        let request_id = RequestId { originator: user, target: DeviceId::from_bytes([2; 8]), counter: 1 };
        let key = TrailKey { user, subject: Subject::Unjoined(request_id) };
        let mut fragment = Fragment::new(key, Timestamp::MIN);
        fragment.received.add(Timestamp::MIN);
        let (bytes, _) = run::write(&SortedFragments::sort(&[fragment]).unwrap()).unwrap();
        let (path, size) = (Path::from("one.parquet"), bytes.len() as u64);
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        store.put(&path, bytes.into()).await.unwrap();
        let cache = RunCache::new(store, 1 << 20);
        let run = cache.open(&path, size).await.unwrap();
        assert_eq!(fragments(&cache, &run, &[(0, 0)]).await.unwrap().len(), 1);
        let error = fragments(&cache, &run, &[(0, 0), (1, 0)]).await.unwrap_err();
        assert_eq!(error.to_string(), "one.parquet is damaged: it has no row group 1");
    }
}
