//! Scans that give columns: of rows as they lie in runs, wherever a row is whole there.
//!
//! [`ScanRows`](crate::read::rows::ScanRows) merges runs, decodes each row and joins what is of one key; all of that is for rows of which
//! there is more elsewhere. Of a lake that is compacted hardly any is. So a part of a scan goes from month to month, and in each
//!
//! 1. tells what rows lie under that are not whole (`edges`), or that wait for more (what was carried here);
//! 2. reads those by look-up, and joins them as look-ups do;
//! 3. reads all others straight from their row groups: the caller's Users first, then what conditions are about, then the columns of the
//!    fields that are wanted (`group`). States, codes and modes are read once a shape (`readings`).
//!
//! **I4**: of rows of others nothing is decoded but whose they are, and nothing of them is in any column, dictionaries included.
//! Rows of others that are meter reads pass [`Openness`](crate::read::openness::Openness); a scan of those goes by rows.

mod arrays;
mod group;
mod readings;

use crate::error::LakeError;
use crate::limits::{HELD_ROWS, ROW_GROUP_ROWS, RUNS_AT_ONCE};
use crate::read::columns::group::{Asked, Group};
use crate::read::columns::readings::Readings;
use crate::read::fields::TrailField;
use crate::read::query::{Found, View};
use crate::read::rows::{Months, ScanPart, ScanRows};
use crate::rows::edges::{Neighbours, of_several};
use crate::rows::lookup;
use crate::rows::run::RunFile;
use arrow::array::ArrayRef;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Disclosure;
use gridtrail_model::{DeviceId, Fragment, Timestamp, Trail, UserId};
use gridtrail_runs::{OpenRun, RunsError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Rows of a batch of columns, at most, unless something else is said.
const BATCH_ROWS: usize = 8_192;
/// The most rows that may lie under one thing in a month, for it to be looked up. Tests have few, and months that are merged all the same.
const LOOKED_UP_ROWS: usize = if cfg!(test) { 512 } else { HELD_ROWS };
/// Things that rows lie under which are looked up at once.
const UNDER_AT_ONCE: usize = 256;
/// About how many bytes a row of a group takes while its columns are made.
const ROW_BYTES: u64 = 96;
/// Bytes that a row of level 0 takes while it is told which rows are whole.
const LOOSE_ROW_BYTES: u64 = 32;
/// About how many bytes dictionaries take.
const WORDS_BYTES: u64 = 1 << 20;

/// Columns of some rows, in the order of the fields that were asked for.
#[derive(Debug)]
pub struct Columns {
    /// How many rows.
    pub rows: usize,
    /// How many of them are of Users whose rows the caller does not see otherwise.
    pub of_others: usize,
    /// A column a field.
    pub arrays: Vec<ArrayRef>,
}

/// The columns of a part, being read.
pub struct ScanColumns {
    part: ScanPart,
    fields: Arc<[TrailField]>,
    source: Source,
}

impl std::fmt::Debug for ScanColumns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScanColumns").field("fields", &self.fields).finish_non_exhaustive()
    }
}

enum Source {
    Rows(ScanRows),
    Runs(Box<Straight>),
}

/// The months of a part.
struct Straight {
    asked: Asked,
    months: Months,
    neighbours: Neighbours,
    readings: Readings,
    month: Option<Month>,
    group: Option<(Group, usize)>,
    ready: Vec<Found>,
    batch_rows: usize,
}

/// A month, being read.
struct Month {
    runs: Vec<(Arc<RunFile>, Arc<OpenRun>)>,
    /// What rows lie under that are looked up.
    apart: BTreeSet<u64>,
    left: VecDeque<DeviceId>,
    /// The groups that are read straight.
    groups: VecDeque<(Arc<OpenRun>, usize, bool)>,
    /// Whether all of it is merged, as a look-up would hold too much.
    is_merged: bool,
}

impl ScanPart {
    /// Starts to read columns of the part.
    pub fn columns(&self, fields: impl Into<Arc<[TrailField]>>) -> ScanColumns {
        let fields = fields.into();
        let goes_by_rows = self.query.devices.is_some() || self.query.view == View::MeterReads;
        let source = if goes_by_rows {
            Source::Rows(self.rows())
        } else {
            let millis = |at: Option<Timestamp>| at.map(Timestamp::millis);
            let asked = Asked {
                fields: Arc::clone(&fields),
                users: self.who.user_ids().clone(),
                conditions: self.query.conditions.clone(),
                within: (millis(self.query.from), millis(self.query.to)),
            };
            Source::Runs(Box::new(Straight {
                asked,
                months: Months::new(self),
                neighbours: Neighbours::default(),
                readings: Readings::default(),
                month: None,
                group: None,
                ready: Vec::new(),
                batch_rows: BATCH_ROWS,
            }))
        };
        ScanColumns { part: self.clone(), fields, source }
    }

    /// About how many bytes reading columns of the part holds at a time.
    pub fn column_bytes(&self) -> u64 {
        if self.query.devices.is_some() || self.query.view == View::MeterReads {
            return self.bytes();
        }
        let rows = self.snapshot.trails.iter().map(|run| run.summary.rows).max().unwrap_or(0);
        let loose = |(_, runs): (&str, Vec<&Arc<RunFile>>)| {
            runs.iter().filter(|run| run.summary.bucket.is_none()).map(|run| run.summary.rows).sum::<u64>()
        };
        let loose =
            self.snapshot.trails.months().map(loose).max().unwrap_or(0) / u64::from(self.bucket.of.max(1));
        rows.min(ROW_GROUP_ROWS as u64) * ROW_BYTES + WORDS_BYTES + loose * LOOSE_ROW_BYTES
    }

    /// Whether all rows of a run are of the part.
    fn has_all_of(&self, run: &RunFile) -> bool {
        self.bucket.of == 1 || run.summary.bucket.is_some_and(|bucket| bucket.of % self.bucket.of == 0)
    }

    /// Columns of rows, of others as far as they may be seen.
    fn columns_of(&self, found: &[Found], fields: &[TrailField]) -> Result<Columns, LakeError> {
        let shown = |found: &Found| {
            let whole = Trail::from(&found.fragment);
            match self.who.disclosure(found.fragment.key.user) {
                Disclosure::Whole => whole,
                Disclosure::MeterRead => whole.into_meter_read(),
            }
        };
        let rows: Vec<Trail> = found.iter().map(shown).collect();
        let is_of_another =
            |found: &&Found| self.who.disclosure(found.fragment.key.user) == Disclosure::MeterRead;
        let of_others = found.iter().filter(is_of_another).count();
        let arrays = fields.iter().map(|field| field.of_trails(&rows)).collect::<Result<_, _>>();
        let failed = |_| RunsError::Internal("a column could not be made of rows");
        Ok(Columns { rows: rows.len(), of_others, arrays: arrays.map_err(failed)? })
    }
}

impl ScanColumns {
    /// Has batches of rows that are read straight have so many at most.
    #[must_use]
    pub fn in_batches_of(mut self, rows: usize) -> Self {
        if let Source::Runs(straight) = &mut self.source {
            straight.batch_rows = rows.max(1);
        }
        self
    }

    /// As of [`ScanRows::carried_bytes`], with what is known of shapes.
    pub fn carried_bytes(&self) -> u64 {
        match &self.source {
            Source::Rows(rows) => rows.carried_bytes(),
            Source::Runs(straight) => straight.months.carried_bytes() + straight.readings.bytes() as u64,
        }
    }

    /// The next rows, in no order; `None` at the end. There may be none, so that whoever wants the next can be stopped between two.
    ///
    /// Errors: as those of a look-up. Not to be called again after one, nor after being dropped half-way.
    pub async fn next(&mut self) -> Result<Option<Columns>, LakeError> {
        let Self { part, fields, source } = self;
        match source {
            Source::Rows(rows) => match rows.next().await? {
                Some(found) => Ok(Some(part.columns_of(&found, fields)?)),
                None => Ok(None),
            },
            Source::Runs(straight) => straight.next(part).await,
        }
    }
}

impl Straight {
    async fn next(&mut self, part: &ScanPart) -> Result<Option<Columns>, LakeError> {
        if let Some(columns) = self.of_group(part).await? {
            return Ok(Some(columns));
        }
        let fields = Arc::clone(&self.asked.fields);
        let Some(month) = &mut self.month else {
            let is_more = match self.months.next_month() {
                Some((name, runs)) => {
                    self.start(part, &name, runs).await?;
                    true
                }
                None => self.months.rest(part, &mut self.ready).await?,
            };
            return self.ready(part, is_more);
        };
        if month.is_merged {
            if !self.months.merge_on(part, &mut self.ready).await? {
                self.month = None;
            }
        } else if !month.left.is_empty() {
            let under: Vec<DeviceId> = month.left.drain(..month.left.len().min(UNDER_AT_ONCE)).collect();
            for of_one in rows_under(part, &month.runs, &under).await? {
                self.months.take_all_under(part, of_one, &mut self.ready).await?;
            }
        } else if let Some((run, number, is_whole)) = month.groups.pop_front() {
            let has = |key: u64| part.has(&key.to_be_bytes());
            let has: Option<&(dyn Fn(u64) -> bool + Sync)> = if is_whole { None } else { Some(&has) };
            let cache = &part.snapshot.cache;
            let group =
                Group::read((cache, &run, number), &self.asked, (&month.apart, has), &mut self.readings);
            self.group = group.await?.map(|group| (group, 0));
        } else {
            self.month = None;
            self.months.end_month(part, &mut self.ready).await?;
        }
        let found = std::mem::take(&mut self.ready);
        Ok(Some(part.columns_of(&found, &fields)?))
    }

    /// What is ready. `None` at the end.
    fn ready(&mut self, part: &ScanPart, is_more: bool) -> Result<Option<Columns>, LakeError> {
        let found = std::mem::take(&mut self.ready);
        if found.is_empty() && !is_more {
            return Ok(None);
        }
        Ok(Some(part.columns_of(&found, &self.asked.fields)?))
    }

    /// The next rows of the group that is read straight.
    async fn of_group(&mut self, part: &ScanPart) -> Result<Option<Columns>, LakeError> {
        let Some((group, from)) = &mut self.group else { return Ok(None) };
        let range = *from..group.rows.len().min(*from + self.batch_rows);
        if range.is_empty() {
            self.group = None;
            return Ok(None);
        }
        *from = range.end;
        let (rows, cache) = (range.len(), &part.snapshot.cache);
        let arrays = arrays::of_group(cache, (group, range), &self.asked.fields, &mut self.readings).await?;
        Ok(Some(Columns { rows, of_others: 0, arrays }))
    }

    /// Starts with a month.
    async fn start(
        &mut self,
        part: &ScanPart,
        name: &str,
        files: Vec<Arc<RunFile>>,
    ) -> Result<(), LakeError> {
        let cache = &part.snapshot.cache;
        let opening: Vec<_> = files.iter().map(|run| run.open(cache)).collect();
        let opened: Vec<Arc<OpenRun>> = stream::iter(opening).buffered(RUNS_AT_ONCE).try_collect().await?;
        let runs: Vec<_> = files.into_iter().zip(opened).collect();
        let mut apart = self.neighbours.apart(cache, name, &runs, self.months.after()).await?;
        apart.extend(of_several(cache, &runs, &|key| part.has(&key.to_be_bytes())).await?);
        apart.extend(self.months.awaited().map(|under| u64::from_be_bytes(under.to_bytes())));
        apart.retain(|key| part.has(&key.to_be_bytes()));
        let left: VecDeque<DeviceId> =
            apart.iter().map(|key| DeviceId::from_bytes(key.to_be_bytes())).collect();
        let most =
            |under: &DeviceId| runs.iter().map(|(_, run)| lookup::most_rows_of(run, *under)).sum::<usize>();
        // What no meter has: its rows pass one after the other.
        let is_merged = left.iter().any(|under| most(under) > LOOKED_UP_ROWS);
        let mut groups = VecDeque::new();
        if is_merged {
            self.months.merge(part, runs.iter().map(|(_, run)| Arc::clone(run)).collect()).await?;
        } else {
            for (file, run) in &runs {
                let all = 0..run.metadata.metadata().num_row_groups();
                groups.extend(all.map(|group| (Arc::clone(run), group, part.has_all_of(file))));
            }
        }
        self.month = Some(Month { runs, apart, left, groups, is_merged });
        Ok(())
    }
}

/// The caller's rows under some things in the runs of a month, by what they lie under.
async fn rows_under(
    part: &ScanPart,
    runs: &[(Arc<RunFile>, Arc<OpenRun>)],
    under: &[DeviceId],
) -> Result<BTreeMap<DeviceId, Vec<(Timestamp, Fragment)>>, LakeError> {
    let mut found: BTreeMap<DeviceId, Vec<(Timestamp, Fragment)>> =
        under.iter().map(|under| (*under, Vec::new())).collect();
    let ids = part.who.user_ids();
    for (_, run) in runs {
        lookup::each_row_of(&part.snapshot.cache, run, under, |row| {
            let user = row.user.try_into().map(UserId::from_bytes);
            if let (true, Some(key)) = (user.is_ok_and(|user| ids.contains(&user)), row.device_bytes()?)
                && let Some(rows) = found.get_mut(&DeviceId::from_bytes(key))
            {
                rows.push((row.placement()?, row.fragment()?));
            }
            Ok(())
        })
        .await?;
    }
    Ok(found)
}
