//! Rows that changed: looked up, and put in place of what the copy has of them.

use crate::columns;
use crate::copy::{Copy, Plan};
use crate::data::{CopyFile, Place, encode, joined_in, rows_of, without};
use crate::error::ExportError;
use crate::identity::{identity, print};
use crate::limits::{LOOK_UPS_AT_ONCE, SCANNED_A_LOOK_UP, SMALL_ROWS};
use crate::scanned::{Scanned, Seen, is_waiting, joined, read_joined};
use arrow::array::RecordBatch;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Access;
use gridtrail_lake::{Found, Month, RowChanges, Snapshot, TouchedRows, View, WaitingRows};
use gridtrail_model::{Timestamp, TrailKey};
use gridtrail_runs::RunsError;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What changed between the version that a copy is of and another.
pub(crate) struct Changed {
    rows: TouchedRows,
    /// Months that are scanned.
    months: BTreeSet<Month>,
    /// Whether the rows that wait are put anew.
    waits_anew: bool,
    waiting: WaitingRows,
    files: Vec<CopyFile>,
}

/// Rows of one month that come in place of others.
#[derive(Default)]
struct Coming {
    /// Rows that may be there, and are to go.
    gone: HashSet<Place>,
    settled: Vec<RecordBatch>,
    waiting: Vec<RecordBatch>,
    joined: Vec<String>,
}

impl Changed {
    /// `same`: what waits is what waited when the copy was brought up to its version.
    pub(crate) async fn of(
        copy: &Copy,
        changes: RowChanges,
        (waiting, same): (WaitingRows, bool),
    ) -> Result<Self, ExportError> {
        let RowChanges { mut rows, mut months } = changes;
        let files = copy.files()?;
        let touched =
            |anchor: &_, key: &TrailKey| rows.get(anchor).is_some_and(|keys| keys.contains_key(key));
        let meets =
            |(anchor, keys): (&_, &BTreeMap<TrailKey, _>)| keys.keys().any(|key| touched(anchor, key));
        let waits_anew = !same || waiting.joined.iter().any(meets);
        if waits_anew {
            for (anchor, keys) in &waiting.joined {
                for (key, times) in keys {
                    rows.entry(*anchor).or_default().entry(*key).or_default().extend(times);
                }
            }
            for file in files.iter().filter(|file| file.summary.waits) {
                for line in joined_in(&file.fetch(&copy.table).await?, &file.file.path)? {
                    let damaged = || RunsError::Corrupt {
                        path: file.file.path.clone(),
                        why: "its footer does not name rows as this build writes them".to_owned(),
                    };
                    let (at, (anchor, key)) = read_joined(&line).ok_or_else(damaged)?;
                    rows.entry(anchor).or_default().entry(key).or_default().insert(at);
                }
            }
        }
        months.extend(cheaper_to_scan(&rows, &files));
        Ok(Self { rows, months, waits_anew, waiting, files })
    }

    pub(crate) async fn write(
        mut self,
        (copy, view): (&mut Copy, View),
        who: &Access,
        of: (&Arc<Snapshot>, u64),
        plan: &mut Plan,
    ) -> Result<(), ExportError> {
        let scanned = |month: &str| month.parse::<Month>().is_ok_and(|month| self.months.contains(&month));
        self.files.iter().filter(|file| scanned(file.month())).for_each(|file| plan.take_away(file));
        if self.waits_anew {
            self.files.iter().filter(|file| file.summary.waits).for_each(|file| plan.take_away(file));
        }
        if !self.months.is_empty() {
            let waiting = Arc::new(self.waiting.joined.clone());
            let scan = Scanned { copy, view, who, of, waiting, sought: Arc::new(self.rows.clone()) };
            for month in &self.months {
                for seen in scan.write(Some(*month), plan).await? {
                    settle(&mut self.rows, &seen, &self.months);
                }
            }
        }
        let found = self.look_up(who, of.0).await?;
        let mut coming = self.coming(view, who, found)?;
        coming.retain(|month, _| !month.parse::<Month>().is_ok_and(|month| self.months.contains(&month)));
        for (month, coming) in coming {
            plan.rows +=
                coming.settled.iter().chain(&coming.waiting).map(|rows| rows.num_rows() as u64).sum::<u64>();
            put(copy, &self.files, (&month, coming), plan).await?;
        }
        Ok(())
    }

    /// The rows that changed, as far as no scan gave them.
    async fn look_up(&self, who: &Access, snapshot: &Snapshot) -> Result<Vec<Found>, ExportError> {
        let looking = self.rows.iter().map(|(anchor, keys)| snapshot.rows_at(who, *anchor, keys));
        let looking = looking.collect::<Vec<_>>();
        let found: Vec<Vec<Found>> =
            stream::iter(looking).buffer_unordered(LOOK_UPS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// What comes and what goes, by month.
    fn coming(
        &self,
        view: View,
        who: &Access,
        found: Vec<Found>,
    ) -> Result<BTreeMap<String, Coming>, ExportError> {
        let mut coming = BTreeMap::<String, Coming>::new();
        let mut goes = |id: i64, at: Timestamp| {
            coming.entry(at.month()).or_default().gone.insert((at.millis() * 1_000, id));
        };
        for (anchor, keys) in &self.rows {
            for (key, times) in keys {
                let id = print(&identity(*anchor, key));
                times.iter().for_each(|at| goes(id, *at));
            }
        }
        for row in &found {
            // Each is a time that a part of it may have been filed under.
            let id = print(&identity(row.fragment.anchor(), &row.fragment.key));
            row.fragment.received.iter().for_each(|at| goes(id, *at));
        }
        let alone = if self.waits_anew { self.waiting.alone.as_slice() } else { &[] };
        let mut by_month = BTreeMap::<(String, bool), Vec<Found>>::new();
        for row in found.into_iter().chain(alone.iter().cloned()) {
            if view == View::MeterReads && !row.fragment.is_meter_read() {
                continue;
            }
            let waits = is_waiting(&self.waiting.joined, &row);
            by_month.entry((row.placement.month(), waits)).or_default().push(row);
        }
        for ((month, waits), rows) in by_month {
            let batch = columns::batch((who, view), &rows)?;
            let coming = coming.entry(month).or_default();
            if waits {
                coming.waiting.push(batch);
                coming.joined.extend(rows.iter().filter_map(joined));
            } else {
                coming.settled.push(batch);
            }
        }
        Ok(coming)
    }
}

/// Months of which so many rows changed that scanning them costs less than looking those up.
fn cheaper_to_scan(rows: &TouchedRows, files: &[CopyFile]) -> BTreeSet<Month> {
    let mut touched = BTreeMap::<Month, u64>::new();
    for at in rows.values().flat_map(BTreeMap::values).flatten() {
        *touched.entry(Month::of(*at)).or_default() += 1;
    }
    let mut there = BTreeMap::<Month, u64>::new();
    for file in files {
        if let Ok(month) = file.month().parse() {
            *there.entry(month).or_default() += file.summary.rows;
        }
    }
    let is_many = |(month, touched): &(Month, u64)| {
        let rows = there.get(month).copied().unwrap_or(0) + touched;
        touched.saturating_mul(SCANNED_A_LOOK_UP) > rows.max(SCANNED_A_LOOK_UP * SMALL_ROWS)
    };
    touched.into_iter().filter(is_many).map(|(month, _)| month).collect()
}

/// A row that a scan gave need not be looked up, where all that may be there of it lies in months that are scanned.
fn settle(rows: &mut TouchedRows, seen: &Seen, scanned: &BTreeSet<Month>) {
    if !seen.times.iter().all(|at| scanned.contains(&Month::of(*at))) {
        return;
    }
    let Some(keys) = rows.get_mut(&seen.anchor) else { return };
    if let Some(times) = keys.get_mut(&seen.key) {
        times.retain(|at| !seen.times.contains(at));
        if times.is_empty() {
            keys.remove(&seen.key);
        }
    }
    if keys.is_empty() {
        rows.remove(&seen.anchor);
    }
}

/// Has a commit put the rows of a month in place of what the copy has of them.
async fn put(
    copy: &mut Copy,
    files: &[CopyFile],
    (month, mut coming): (&str, Coming),
    plan: &mut Plan,
) -> Result<(), ExportError> {
    let mut times: Vec<i64> = coming.gone.iter().map(|(at, _)| *at).collect();
    times.sort_unstable();
    for file in files.iter().filter(|file| file.month() == month) {
        let next = times.partition_point(|at| *at < file.summary.first);
        let may_have = times.get(next).is_some_and(|at| *at <= file.summary.last);
        if !may_have || plan.remove.contains_key(&file.file.path) {
            continue;
        }
        let places = copy.places(file).await?;
        let left = places.iter().filter(|place| !coming.gone.contains(place)).count() as u64;
        if left == file.summary.rows {
            continue;
        }
        plan.take_away(file);
        let rows = rows_of(file.fetch(&copy.table).await?, &file.file.path)?;
        let rows = rows.iter().map(|rows| without(rows, &coming.gone)).collect::<Result<Vec<_>, _>>()?;
        if left <= SMALL_ROWS {
            coming.settled.extend(rows);
        } else {
            add(copy, month, &rows, None, plan).await?;
        }
    }
    add(copy, month, &coming.settled, None, plan).await?;
    coming.joined.sort();
    add(copy, month, &coming.waiting, Some(&coming.joined), plan).await
}

async fn add(
    copy: &Copy,
    month: &str,
    rows: &[RecordBatch],
    joined: Option<&[String]>,
    plan: &mut Plan,
) -> Result<(), ExportError> {
    if rows.iter().all(|rows| rows.num_rows() == 0) {
        return Ok(());
    }
    for file in encode(copy.kind, month, rows, joined)? {
        plan.add(&copy.table, file).await?;
    }
    Ok(())
}
