//! Look-up of one Device in one run of fragments.
//!
//! The run is passed over by its viewers ([`Seek`]); its pages are found by key, as those of every table ([`gridtrail_runs::lookup`]). A
//! search in the Device's pages gives its rows, of which only those are decoded that a page of results needs.

use crate::rows::decode::{KEY_COLUMNS, ROW_COLUMNS, Stored, rows_of};
use crate::rows::packed;
use crate::rows::schema::column;
use crate::rows::viewers::{Viewer, Viewers};
use foldhash::fast::RandomState;
use gridtrail_model::{DeviceId, Fragment, ServiceReferenceVariant, Timestamp, UserId};
use gridtrail_runs::lookup::{
    each_of_keys, each_sheet, each_with_number, first_keys, key_rows, key_sheets, page_rows, ranges_of,
};
use gridtrail_runs::{OpenRun, RunCache, RunsError, Scan, Seeks, Sheet};
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
}

impl Seeks for Seek {
    const COLUMNS: &'static [usize] = ROW_COLUMNS;

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
}

/// The sheets of a run that can hold a Device.
pub(crate) async fn sheets(
    cache: &RunCache,
    run: &OpenRun,
    device: DeviceId,
) -> Result<Vec<Sheet>, RunsError> {
    key_sheets(cache, run, &device.to_bytes(), ROW_COLUMNS).await
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
        for row in rows_of(sheet, &range)? {
            found.push(row.stored(sheet.path())?.fragment()?);
        }
    }
    Ok(found)
}

/// The prints of rows of a sheet, given ascending (see [`crate::rows::packed::print_of`]).
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

/// Has a function of rows take those of a sheet.
fn each_row(
    mut take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> impl FnMut(&Sheet, Range<usize>) -> Result<(), RunsError> {
    move |sheet, rows| {
        for row in rows_of(sheet, &rows)? {
            take(&row.stored(sheet.path())?)?;
        }
        Ok(())
    }
}

/// Calls `take` with the key columns of every row of some Devices, given ascending.
pub(crate) async fn each_of_devices(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    devices: &[DeviceId],
    take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    let keys: Vec<[u8; 8]> = devices.iter().map(|device| device.to_bytes()).collect();
    each_of_keys(cache, run, (&keys, KEY_COLUMNS), each_row(take)).await
}

/// Calls `take` with every row of some things that rows lie under, given ascending.
pub(crate) async fn each_row_of(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    under: &[DeviceId],
    take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    let keys: Vec<[u8; 8]> = under.iter().map(|key| key.to_bytes()).collect();
    each_of_keys(cache, run, (&keys, ROW_COLUMNS), each_row(take)).await
}

/// How many rows of a run may lie under something, by its filters and its page index.
pub(crate) fn most_rows_of(run: &OpenRun, under: DeviceId) -> usize {
    let groups = 0..run.metadata.metadata().num_row_groups();
    groups.filter_map(|group| key_rows(run, group, &under.to_bytes())).map(|rows| rows.len()).sum()
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
        for (start, least) in first_keys(run, group) {
            let is_below = |edge: [u8; 8]| least.is_none_or(|least| least < edge.as_slice());
            if from.is_some_and(is_below) {
                first = start;
            }
            if to.is_some_and(|to| !is_below(to)) {
                end = end.min(start);
            }
        }
        let within = |row: &Stored<'_>| {
            let device = row.device_bytes()?;
            let within = from.is_none_or(|from| device.is_some_and(|device| from <= device))
                && to.is_none_or(|to| device.is_none_or(|device| device < to));
            if within { take(row) } else { Ok(()) }
        };
        each_sheet(cache, run, group, (ranges_of(first..end), KEY_COLUMNS), each_row(within)).await?;
    }
    Ok(())
}

/// The least Device of each page of a run.
pub(crate) fn first_devices(run: &OpenRun) -> Vec<[u8; 8]> {
    let groups = 0..run.metadata.metadata().num_row_groups();
    let pages = groups.flat_map(|group| first_keys(run, group));
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
    take: impl FnMut(&Stored<'_>) -> Result<(), RunsError>,
) -> Result<(), RunsError> {
    let of = (column::FOREIGN_COUNTER, counters);
    each_with_number(cache, run, of, columns, each_row(take)).await
}

#[cfg(test)]
mod tests;
