//! Scans: every row of a snapshot that a caller may see, for questions that no key leads to.
//!
//! **I4** holds as it does for look-ups, and by the same code: an audit scan decodes the rows of the caller's User IDs alone; a scan of
//! meter reads gives what is one when all fragments of it are merged, and of others only what [`Openness`] leaves open.
//!
//! 1. A scan falls into parts by a hash of what rows lie under. Each part can be read by itself, and none has a row of another.
//! 2. A part goes from month to month. The runs of a month are merged in the order of what rows lie under, a row group a run in memory.
//! 3. Fragments pass here one Device at a time, and are joined to rows as a look-up joins them: what is of one key and lies within a day is
//!    one row. What lies within a day of the month's end is carried into the next.
//! 4. What waits for its request is read once, and carried into the month in which it lies.
//!
//! A scan of named Devices is look-ups of each, a page at a time.
//!
//! Memory: a row group's bytes and a decoded batch for each run of a month and bucket, the rows of one Device ([`HELD_ROWS`] of them at most),
//! and the rows of a day and bucket where one month ends.

use crate::error::LakeError;
use crate::limits::{APART_MS, HELD_ROWS, ROW_GROUP_ROWS, RUNS_AT_ONCE};
use crate::month::Month;
use crate::read::carried::Carried;
use crate::read::condition::Condition;
use crate::read::openness::Openness;
use crate::read::query::{Found, KeyQuery, RowPosition, View};
use crate::read::scan::{Chain, is_in_view, joined};
use crate::read::snapshot::Snapshot;
use crate::rows::anchor;
use crate::rows::bucket::Bucket;
use crate::rows::decode::Stored;
use crate::rows::lookup;
use crate::rows::rule::FragmentRule;
use crate::rows::run::{RunFile, TRAILS};
use crate::rows::schema::column;
use arrow::array::{Array, AsArray, RecordBatch};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Access;
use gridtrail_model::{DeviceId, Fragment, ServiceReferenceVariant, Timestamp};
use gridtrail_runs::lookup::open_runs;
use gridtrail_runs::{Merge, OpenRun, RunsError};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Rows that a scan gives at a time, or some more.
const ROWS_AT_ONCE: usize = 1_024;
/// About how many bytes a decoded batch of a run takes.
const DECODED_BYTES: u64 = 1 << 20;
/// Names rows of several runs in errors.
const MERGED: &str = "the runs of a month";

/// Which rows to scan.
#[derive(Debug, Clone)]
pub struct ScanQuery {
    /// Which rows.
    pub view: View,
    /// Placement time at or after.
    pub from: Option<Timestamp>,
    /// Placement time at or before.
    pub to: Option<Timestamp>,
    /// Only rows that lie under one of these Devices. `None`: under whatever they lie.
    pub devices: Option<BTreeSet<DeviceId>>,
    /// What fields of rows are to be, all of it. Rows that are otherwise may be left out, or not.
    pub conditions: Vec<Condition>,
}

impl ScanQuery {
    /// Every row of a view. Struct update syntax narrows it.
    pub const fn all(view: View) -> Self {
        Self { view, from: None, to: None, devices: None, conditions: Vec::new() }
    }

    /// Whether a row that lies at a time is asked for.
    fn includes(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }
}

/// One part of a scan: it can be read as often as wanted, each time from its start.
#[derive(Debug, Clone)]
pub struct ScanPart {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) who: Access,
    pub(crate) query: Arc<ScanQuery>,
    /// Which rows it has: those whose key is of this bucket.
    pub(crate) bucket: Bucket,
    /// What waited for its request, by what it lies under.
    waiting: Arc<Carried>,
}

impl Snapshot {
    /// The parts of a scan: at most so many. All of them together give every row once.
    ///
    /// Cost: what waits for its request is read here. Errors: as those of a look-up.
    pub async fn scan(
        self: &Arc<Self>,
        who: &Access,
        query: ScanQuery,
        parts: NonZeroU32,
    ) -> Result<Vec<ScanPart>, LakeError> {
        // Look-ups read what waits by themselves.
        let by_device = query.devices.is_some();
        let mut waiting =
            if by_device { Carried::default() } else { self.waiting_rows(who, query.view).await? };
        let of = if by_device { 1 } else { parts.get() };
        let mut by_part: Vec<Carried> = vec![Carried::default(); usize::try_from(of).unwrap_or(1)];
        while let Some((under, chains)) = waiting.pop_first() {
            let number = Bucket::of_key(&under.to_bytes(), of).number;
            if let Some(part) = by_part.get_mut(usize::try_from(number).unwrap_or(0)) {
                chains.into_iter().for_each(|chain| part.add(under, chain));
            }
        }
        let query = Arc::new(query);
        let part = |(number, waiting)| ScanPart {
            snapshot: Arc::clone(self),
            who: who.clone(),
            query: Arc::clone(&query),
            bucket: Bucket { number, of },
            waiting: Arc::new(waiting),
        };
        Ok((0..).zip(by_part).map(part).collect())
    }

    /// What waits for its request, as far as a caller may see it: joined to its leg where that is on record by now.
    pub(crate) async fn waiting_rows(&self, who: &Access, view: View) -> Result<Carried, RunsError> {
        let files: Vec<&Arc<RunFile>> = self.parked.iter().filter(|file| file.summary.rows > 0).collect();
        let mut fragments = Vec::new();
        for run in open_runs(&self.cache, &TRAILS, &files).await? {
            let of_run = lookup::all(&self.cache, &run).await?;
            fragments.extend(
                of_run
                    .into_iter()
                    .filter(|part| view == View::MeterReads || who.user_ids().contains(&part.key.user)),
            );
        }
        let mut waiting = Carried::default();
        for part in self.joined_by_now(&self.cache, fragments).await? {
            let Some(under) = anchor::of_fragment(&part) else { continue };
            let at = part.placement().unwrap_or(Timestamp::MIN);
            waiting.add(under, Chain::of(at, part));
        }
        Ok(waiting)
    }
}

impl ScanPart {
    /// Starts to read the part.
    pub fn rows(&self) -> ScanRows {
        let part = self.clone();
        let devices = self.query.devices.as_ref();
        let source = match devices {
            Some(devices) => Source::Devices { left: devices.iter().copied().collect(), before: None },
            None => Source::Runs(Box::new(Months::new(self))),
        };
        ScanRows { part, source, ready: Vec::new() }
    }

    /// Which rows it gives.
    pub fn query(&self) -> &ScanQuery {
        &self.query
    }

    /// About how many bytes reading the part holds at a time: a row group and a decoded batch of each run of a month.
    pub fn bytes(&self) -> u64 {
        let of_run = |run: &Arc<RunFile>| {
            let rows = run.summary.rows.max(1);
            run.file.size * rows.min(ROW_GROUP_ROWS as u64) / rows + DECODED_BYTES
        };
        let of_month = |(_, runs): (String, Vec<Arc<RunFile>>)| runs.iter().map(of_run).sum::<u64>();
        match self.query.devices {
            Some(_) => DECODED_BYTES,
            None => self.months().into_iter().map(of_month).max().unwrap_or(0),
        }
    }

    /// The months that may have rows of the part, with their runs, oldest first.
    fn months(&self) -> VecDeque<(String, Vec<Arc<RunFile>>)> {
        let (from, to) = (self.query.from, self.query.to);
        // Fragments of a row lie within a day below it; what goes on above is looked up where a row does.
        let from = from.map(|from| from.plus_millis(-APART_MS));
        let to = to.map(|to| to.plus_millis(APART_MS));
        let is_wanted =
            |run: &&Arc<RunFile>| run.may_lie_within(from, to) && self.may_have(run.summary.bucket);
        let months = self.snapshot.trails.months();
        let wanted = months
            .map(|(name, runs)| (name.to_owned(), runs.into_iter().filter(is_wanted).cloned().collect()));
        wanted.filter(|(_, runs): &(_, Vec<_>)| !runs.is_empty()).collect()
    }

    /// Whether a run of a bucket can have rows of the part: whether a number has both remainders.
    fn may_have(&self, run: Option<Bucket>) -> bool {
        let Bucket { number, of } = self.bucket;
        run.is_none_or(|run| {
            let common = greatest_common_divisor(run.of, of);
            run.number % common == number % common
        })
    }

    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.bucket == Bucket::of_key(key, self.bucket.of)
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}

/// The rows of a part, being read.
pub struct ScanRows {
    part: ScanPart,
    source: Source,
    ready: Vec<Found>,
}

impl std::fmt::Debug for ScanRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScanRows").field("part", &self.part.bucket).finish_non_exhaustive()
    }
}

enum Source {
    Runs(Box<Months>),
    Devices { left: VecDeque<DeviceId>, before: Option<RowPosition> },
}

impl ScanRows {
    /// The next rows, in no order; `None` at the end. A batch may be empty, so that whoever wants the next can be stopped between two.
    ///
    /// Errors: as those of a look-up. Not to be called again after one, nor after being dropped half-way.
    pub async fn next(&mut self) -> Result<Option<Vec<Found>>, LakeError> {
        let Self { part, source, ready } = self;
        let (rows, is_last) = match source {
            Source::Devices { left, before } => {
                let Some(device) = left.front().copied() else { return Ok(None) };
                let query = KeyQuery {
                    from: part.query.from,
                    to: part.query.to,
                    before: *before,
                    ..KeyQuery::all(device, part.query.view, ROWS_AT_ONCE)
                };
                let found = part.snapshot.lookup(&part.who, &query).await?;
                *before =
                    found.last().map(|row| RowPosition { placement: row.placement, key: row.fragment.key });
                if found.len() < ROWS_AT_ONCE {
                    left.pop_front();
                    *before = None;
                }
                return Ok(Some(found));
            }
            Source::Runs(months) => {
                let mut is_last = false;
                while ready.len() < ROWS_AT_ONCE && !is_last {
                    is_last = !months.step(part, ready).await?;
                }
                (std::mem::take(ready), is_last)
            }
        };
        if rows.is_empty() && is_last {
            return Ok(None);
        }
        Ok(Some(part.shown(rows).await?))
    }
}

impl ScanRows {
    /// About how many bytes the rows take that it holds until more of the lake was read: those of a day where a month ends, and what waits.
    pub fn carried_bytes(&self) -> u64 {
        match &self.source {
            Source::Runs(months) => months.carried_bytes(),
            Source::Devices { .. } => 0,
        }
    }
}

impl ScanPart {
    /// Of rows that were found, those that the caller may see: the last word on rows of others.
    pub(crate) async fn shown(&self, rows: Vec<Found>) -> Result<Vec<Found>, LakeError> {
        match self.query.view {
            View::Audit => Ok(rows),
            View::MeterReads => {
                let newest = self.snapshot.newest();
                let newest = newest.as_deref().unwrap_or(&self.snapshot);
                // One of its own for each batch: what it keeps of the Devices that it read would grow without end.
                Ok(Openness::new(newest, &self.snapshot.cache, &self.who).keep_shown(rows).await?)
            }
        }
    }

    /// Adds a whole row, where it is asked for and the view has it.
    async fn give(&self, under: DeviceId, chain: Chain, ready: &mut Vec<Found>) -> Result<(), LakeError> {
        let Chain { lowest, highest, fragment, .. } = chain;
        // By its stand-in, for nobody else's key has it: rows of earlier versions lie under nothing, and no look-up leads to them either.
        let is_shown = is_in_view(&self.who, self.query.view, &fragment)
            && anchor::of_fragment(&fragment) == Some(under)
            && self.query.includes(lowest);
        if !is_shown {
            return Ok(());
        }
        if self.query.to.is_some_and(|to| highest > to) {
            // More of it may lie further up than runs were read.
            let whole = KeyQuery {
                from: Some(lowest),
                to: Some(lowest),
                key: Some(fragment.key),
                ..KeyQuery::under(fragment.anchor(), self.query.view, 1)
            };
            ready.extend(self.snapshot.lookup(&self.who, &whole).await?);
        } else {
            ready.push(Found { placement: lowest, fragment });
        }
        Ok(())
    }
}

/// The runs of a part, month by month.
pub(crate) struct Months {
    left: VecDeque<(String, Vec<Arc<RunFile>>)>,
    month: String,
    merge: Option<Merge<FragmentRule>>,
    /// What lies so late in the months before, or waits, that more of it may lie in this one.
    carried: Carried,
    /// The same of this month, for the next.
    carried_on: Carried,
    device: OneDevice,
}

/// The rows of the Device that is passing.
#[derive(Default)]
struct OneDevice {
    under: Option<DeviceId>,
    /// Its rows that were not decoded yet.
    held: Vec<RecordBatch>,
    /// What was decoded, and may go on.
    open: Vec<Chain>,
    /// Whether it has so many rows that they are decoded by part.
    by_part: bool,
}

impl Months {
    /// Those of a part, with what waits.
    pub(crate) fn new(part: &ScanPart) -> Self {
        Self {
            left: part.months(),
            month: String::new(),
            merge: None,
            carried: part.waiting.as_ref().clone(),
            carried_on: Carried::default(),
            device: OneDevice::default(),
        }
    }

    /// Takes in one batch. Returns whether there may be more.
    async fn step(&mut self, part: &ScanPart, ready: &mut Vec<Found>) -> Result<bool, LakeError> {
        if self.merge.is_some() {
            self.merge_on(part, ready).await?;
            return Ok(true);
        }
        let Some((_, runs)) = self.next_month() else { return self.rest(part, ready).await };
        let opening: Vec<_> = runs.iter().map(|run| run.open(&part.snapshot.cache)).collect();
        let runs = stream::iter(opening).buffered(RUNS_AT_ONCE).try_collect().await?;
        self.merge(part, runs).await?;
        Ok(true)
    }

    /// Goes on to the next month. Gives its name and its runs.
    pub(crate) fn next_month(&mut self) -> Option<(String, Vec<Arc<RunFile>>)> {
        let (month, runs) = self.left.pop_front()?;
        self.month.clone_from(&month);
        Some((month, runs))
    }

    /// The month after this one, if it has runs.
    pub(crate) fn after(&self) -> &[Arc<RunFile>] {
        let next = self.month.parse::<Month>().ok().map(|month| month.plus(1));
        let is_next = |(month, _): &&(String, _)| next.is_some() && next == month.parse().ok();
        self.left.front().filter(is_next).map(|(_, runs)| runs.as_slice()).unwrap_or_default()
    }

    /// Starts to merge all runs of the month.
    pub(crate) async fn merge(&mut self, part: &ScanPart, runs: Vec<Arc<OpenRun>>) -> Result<(), LakeError> {
        self.merge = Some(Merge::new(FragmentRule, &part.snapshot.cache, runs).await?);
        Ok(())
    }

    /// Takes in one batch of a month that is merged. Returns whether there may be more of it.
    pub(crate) async fn merge_on(
        &mut self,
        part: &ScanPart,
        ready: &mut Vec<Found>,
    ) -> Result<bool, LakeError> {
        let Some(merge) = &mut self.merge else { return Ok(false) };
        match merge.next().await? {
            Some(batch) => self.take(part, &batch, ready).await?,
            None => {
                self.end_device(part, ready).await?;
                self.merge = None;
                self.end_month(part, ready).await?;
            }
        }
        Ok(self.merge.is_some())
    }

    /// About how many bytes the rows take that are held until more of the lake was read.
    pub(crate) fn carried_bytes(&self) -> u64 {
        self.carried.bytes() + self.carried_on.bytes()
    }

    /// All rows of the month were given: what was carried into it and met none, goes on.
    pub(crate) async fn end_month(
        &mut self,
        part: &ScanPart,
        ready: &mut Vec<Found>,
    ) -> Result<(), LakeError> {
        // Devices of which this month had nothing.
        while let Some((under, chains)) = self.carried.pop_first() {
            self.settle(part, under, joined(chains, APART_MS), ready).await?;
        }
        self.carried = std::mem::take(&mut self.carried_on);
        Ok(())
    }

    /// Gives what only waits, or was carried out of the last month. Returns whether there may be more.
    pub(crate) async fn rest(&mut self, part: &ScanPart, ready: &mut Vec<Found>) -> Result<bool, LakeError> {
        while let Some((under, chains)) = self.carried.pop_first() {
            for chain in joined(chains, APART_MS) {
                part.give(under, chain, ready).await?;
            }
            if ready.len() >= ROWS_AT_ONCE {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What rows of the month lie under that may be joined to what was carried into it.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = DeviceId> {
        let is_near = |chain: &Chain| {
            chain.lowest.plus_millis(-APART_MS).month() <= self.month
                && chain.highest.plus_millis(APART_MS).month() >= self.month
        };
        let near = self.carried.iter().filter(move |(_, chains)| chains.iter().any(is_near));
        near.map(|(under, _)| *under)
    }

    /// Gives what lies under one thing in the month, or carries it on.
    pub(crate) async fn take_all_under(
        &mut self,
        part: &ScanPart,
        (under, rows): (DeviceId, Vec<(Timestamp, Fragment)>),
        ready: &mut Vec<Found>,
    ) -> Result<(), LakeError> {
        let mut chains = self.carried.remove(&under);
        chains.extend(rows.into_iter().map(|(at, row)| Chain::of(at, row)));
        self.settle(part, under, joined(chains, APART_MS), ready).await
    }

    async fn take(
        &mut self,
        part: &ScanPart,
        batch: &RecordBatch,
        ready: &mut Vec<Found>,
    ) -> Result<(), LakeError> {
        let wrong = RunsError::Internal("a batch of fragments lacks its key columns");
        let devices = batch.columns().get(column::DEVICE).and_then(|column| column.as_binary_opt::<i32>());
        let devices = devices.ok_or(wrong)?.clone();
        let key = |row: usize| devices.is_valid(row).then(|| devices.value(row));
        let mut start = 0;
        while start < batch.num_rows() {
            let end = (start + 1..batch.num_rows()).find(|row| key(*row) != key(start));
            let end = end.unwrap_or(batch.num_rows());
            // Rows of earlier versions that lie under nothing are found by no look-up, and by no scan.
            if let Some(under) = key(start).filter(|key| part.has(key)).and_then(|key| key.try_into().ok()) {
                let under = DeviceId::from_bytes(under);
                if self.device.under != Some(under) {
                    self.end_device(part, ready).await?;
                    self.device.under = Some(under);
                    self.device.open = self.carried.remove(&under);
                }
                self.device.held.push(batch.slice(start, end - start));
                if self.device.held.iter().map(RecordBatch::num_rows).sum::<usize>() >= HELD_ROWS {
                    self.pass_on(part, ready).await?;
                }
            }
            start = end;
        }
        Ok(())
    }

    /// Decodes what is held of a Device that has very many rows, and gives what no later row can be of.
    async fn pass_on(&mut self, part: &ScanPart, ready: &mut Vec<Found>) -> Result<(), LakeError> {
        let Some(under) = self.device.under else { return Ok(()) };
        self.device.by_part = true;
        let read_to = self.device.decode(part, &self.month)?;
        let chains = joined(std::mem::take(&mut self.device.open), APART_MS);
        let may_go_on = |chain: &Chain| chain.highest.plus_millis(APART_MS) >= read_to;
        let (open, whole): (Vec<_>, Vec<_>) = chains.into_iter().partition(may_go_on);
        self.device.open = open;
        self.settle(part, under, whole, ready).await
    }

    async fn end_device(&mut self, part: &ScanPart, ready: &mut Vec<Found>) -> Result<(), LakeError> {
        let Some(under) = self.device.under else { return Ok(()) };
        self.device.decode(part, &self.month)?;
        let chains = joined(std::mem::take(&mut self.device.open), APART_MS);
        self.device = OneDevice::default();
        self.settle(part, under, chains, ready).await
    }

    /// Gives rows, or carries them into the next month where they lie so late that more of them may lie there.
    async fn settle(
        &mut self,
        part: &ScanPart,
        under: DeviceId,
        chains: Vec<Chain>,
        ready: &mut Vec<Found>,
    ) -> Result<(), LakeError> {
        for chain in chains {
            if chain.highest.plus_millis(APART_MS).month() > self.month {
                self.carried_on.add(under, chain);
            } else {
                part.give(under, chain, ready).await?;
            }
        }
        Ok(())
    }
}

impl OneDevice {
    /// Decodes what is held, as far as rows of the view may be of it. Returns the time of the last row.
    fn decode(&mut self, part: &ScanPart, month: &str) -> Result<Timestamp, RunsError> {
        let held = std::mem::take(&mut self.held);
        let mut rows = Vec::new();
        for batch in &held {
            for row in 0..batch.num_rows() {
                rows.push(Stored::of(batch, row, MERGED)?);
            }
        }
        let last = rows.last().map(Stored::placement).transpose()?.unwrap_or(Timestamp::MIN);
        let ids = part.who.user_ids();
        let is_own = |row: &Stored<'_>| {
            row.user.try_into().is_ok_and(|user| ids.contains(&gridtrail_model::UserId::from_bytes(user)))
        };
        match part.query.view {
            View::Audit => rows.retain(is_own),
            // Some fragment of a meter read says that it is one, or none names a variant; whatever else is of the row has a say, too.
            View::MeterReads if !self.by_part => {
                let prints =
                    rows.iter().map(|row| Ok(row.print()?.key)).collect::<Result<Vec<u64>, RunsError>>()?;
                let of_row = rows.iter().zip(&prints);
                let mut sought: HashSet<u64> =
                    of_row.filter(|(row, _)| may_be_open(row)).map(|(_, print)| *print).collect();
                sought.extend(self.open.iter().map(Chain::key_print));
                let goes_on = |at: Timestamp| at.plus_millis(APART_MS).month().as_str() > month;
                // Of what lies at the end of a month the next may say it.
                if goes_on(last) {
                    for (row, print) in rows.iter().zip(&prints) {
                        if goes_on(row.placement()?) {
                            sought.insert(*print);
                        }
                    }
                }
                let mut print = prints.iter();
                rows.retain(|_| print.next().is_some_and(|print| sought.contains(print)));
            }
            View::MeterReads => {}
        }
        for row in rows {
            self.open.push(Chain::of(row.placement()?, row.fragment()?));
        }
        Ok(last)
    }
}

/// Whether a row can be a meter read by what this fragment of it says, or leaves out.
fn may_be_open(row: &Stored<'_>) -> bool {
    let parsed = |text| std::str::from_utf8(text).ok()?.parse::<ServiceReferenceVariant>().ok();
    row.variant.is_none_or(|text| parsed(text).is_some_and(ServiceReferenceVariant::is_meter_read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A run is left out of a part only where no key can be of both.
    #[test]
    fn every_key_of_a_run_is_in_a_part_that_reads_it() {
        for of in 1..9 {
            for run_of in [1, 2, 3, 6, 16] {
                let mut met = HashMap::new();
                for key in (0..2_000u64).map(u64::to_be_bytes) {
                    let run = Bucket::of_key(&key, run_of);
                    met.entry(run.number)
                        .or_insert_with(BTreeSet::new)
                        .insert(Bucket::of_key(&key, of).number);
                }
                for (run, parts) in met {
                    let common = greatest_common_divisor(run_of, of);
                    let read: BTreeSet<u32> = (0..of).filter(|part| run % common == part % common).collect();
                    assert_eq!(parts, read, "{run} of {run_of}, in parts of {of}");
                }
            }
        }
    }
}
