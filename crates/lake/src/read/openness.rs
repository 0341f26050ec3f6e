//! Whether rows of other Users are open: the last word on every row of another User that a look-up is about to give.
//!
//! A meter read is open to all Users as long as nothing says that it is something else (H8.16(c)). What says so may lie at another receipt
//! time, under another Device, among what waits for its request, or have come after the snapshot that is looked at. So each such row is
//! held against all that is known of its key by now:
//!
//! 1. what lies under the Device that the key's id names, in every month: only rows that may close others are looked at, by their prints;
//! 2. what lies elsewhere: in the runs that list that Device (`closing`), by the counter of the id;
//! 3. the same of what waits; an answer that names its request alone closes the row that it would be joined to.
//!
//! Rows of the caller's own User IDs are asked nothing of: who is shown none of others' pays nothing.

use crate::limits::RUNS_AT_ONCE;
use crate::read::query::{Cost, Found};
use crate::read::snapshot::Snapshot;
use crate::rows::closing::{CLOSING_COLUMNS, ClosingTargets, closes, may_close};
use crate::rows::decode::Stored;
use crate::rows::index::RunIndex;
use crate::rows::lookup::{self, Counters};
use crate::rows::packed;
use crate::rows::run::{RunFile, TRAILS};
use crate::rows::schema::column;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Disclosure};
use gridtrail_model::{DeviceId, Fragment, Subject, Timestamp, TrailKey, UserId};
use gridtrail_runs::lookup::{key_sheets, open_runs};
use gridtrail_runs::{OpenRun, RunCache, RunsError, Sheet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Judges the rows of one look-up.
pub(crate) struct Openness<'a> {
    /// All that is known by now.
    newest: &'a Snapshot,
    cache: &'a RunCache,
    who: &'a Access,
    /// What was read under the Devices that keys name, so that it is read once a look-up.
    under: HashMap<DeviceId, Doubts>,
    cost: Cost,
}

/// The rows under a Device that may close others.
#[derive(Default)]
struct Doubts {
    sheets: Vec<Sheet>,
    /// The print of each, the number of its sheet, and its row there; ascending.
    places: Vec<(u64, usize, usize)>,
}

impl<'a> Openness<'a> {
    pub(crate) fn new(newest: &'a Snapshot, cache: &'a RunCache, who: &'a Access) -> Self {
        Self { newest, cache, who, under: HashMap::new(), cost: Cost::default() }
    }

    /// What was read so far.
    pub(crate) const fn cost(&self) -> Cost {
        self.cost
    }

    /// Of rows that a look-up found, those that the caller may see.
    ///
    /// Errors: as those of a look-up. What cannot be told shows nothing.
    pub(crate) async fn keep_shown(&mut self, mut rows: Vec<Found>) -> Result<Vec<Found>, RunsError> {
        let is_of_another =
            |row: &&Found| self.who.disclosure(row.fragment.key.user) == Disclosure::MeterRead;
        let keys: HashSet<TrailKey> = rows.iter().filter(is_of_another).map(|row| row.fragment.key).collect();
        if !keys.is_empty() {
            let closed = self.closed(&keys).await?;
            rows.retain(|row| !closed.contains(&row.fragment.key));
        }
        Ok(rows)
    }

    /// Those of some keys whose rows are not open.
    async fn closed(&mut self, keys: &HashSet<TrailKey>) -> Result<HashSet<TrailKey>, RunsError> {
        let mut by_target = BTreeMap::<DeviceId, Vec<&TrailKey>>::new();
        for key in keys {
            by_target.entry(packed::searched_by(key).0).or_default().push(key);
        }
        let mut closing = Vec::new();
        for (target, keys) in by_target {
            self.find_under(target, &keys, &mut closing).await?;
            self.find_elsewhere(target, &keys, &mut closing).await?;
        }
        let ids: HashSet<(UserId, [u8; 24])> = keys.iter().map(id_of).collect();
        closing.retain(|fragment| closes(fragment) && ids.contains(&id_of(&fragment.key)));
        let (answers, of_rows): (Vec<Fragment>, Vec<Fragment>) =
            closing.into_iter().partition(|fragment| matches!(fragment.key.subject, Subject::Unjoined(_)));
        let mut closed: HashSet<TrailKey> = of_rows.into_iter().map(|fragment| fragment.key).collect();
        if !answers.is_empty() {
            let on_record = self.newest.resolve(self.cache, &answers).await?;
            let joined = answers.iter().filter_map(|answer| answer.join(on_record.of(&answer.key)));
            closed.extend(joined.flatten().map(|part| part.key));
        }
        Ok(closed)
    }

    /// Adds what looks like fragments of some keys, of the rows under a Device that may close others.
    async fn find_under(
        &mut self,
        target: DeviceId,
        keys: &[&TrailKey],
        found: &mut Vec<Fragment>,
    ) -> Result<(), RunsError> {
        if !self.under.contains_key(&target) {
            let doubts = self.doubts(target).await?;
            self.under.insert(target, doubts);
        }
        let Some(Doubts { sheets, places }) = self.under.get(&target) else { return Ok(()) };
        if places.is_empty() {
            return Ok(());
        }
        let prints: HashSet<u64> = keys.iter().map(|key| packed::print_of(key)).collect();
        for print in prints {
            let from = places.partition_point(|(of, ..)| *of < print);
            for (_, sheet, row) in places[from..].iter().take_while(|(of, ..)| *of == print) {
                found.extend(lookup::fragments(&sheets[*sheet], &[*row])?);
            }
        }
        Ok(())
    }

    async fn doubts(&mut self, target: DeviceId) -> Result<Doubts, RunsError> {
        let cache = self.cache;
        // A row of such an id seemed open, so pages were read already: what a run's bounds leave out tells nothing more.
        let files = |index: &'a RunIndex| {
            index.of_device(target, None, None).filter(move |file| file.may_hold(target))
        };
        let files: Vec<&Arc<RunFile>> =
            files(&self.newest.trails).chain(files(&self.newest.parked)).collect();
        let runs = open_runs(cache, &TRAILS, &files).await?;
        let key = target.to_bytes();
        let reading: Vec<_> = runs.iter().map(|run| key_sheets(cache, run, &key, CLOSING_COLUMNS)).collect();
        let read: Vec<Vec<Sheet>> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
        let mut doubts = Doubts::default();
        for sheets in read {
            self.cost.runs += u64::from(!sheets.is_empty());
            for sheet in sheets {
                self.cost.pages += sheet.pages() as u64;
                doubts.add(sheet, &key)?;
            }
        }
        doubts.places.sort_unstable();
        Ok(doubts)
    }

    /// Adds what looks like fragments of some keys, of the rows that lie under something else than the Device that their ids name.
    async fn find_elsewhere(
        &self,
        target: DeviceId,
        keys: &[&TrailKey],
        found: &mut Vec<Fragment>,
    ) -> Result<(), RunsError> {
        let counters: Counters = keys.iter().map(|key| packed::searched_by(key).1).collect();
        let Snapshot { trails, parked, .. } = self.newest;
        for file in trails.closing_elsewhere(target).chain(parked.closing_elsewhere(target)) {
            let run = file.open(self.cache).await?;
            let listed = file.closing.get_or_try_init(|| listed_in(self.cache, &run)).await?;
            if !listed.contains(&target) {
                continue;
            }
            lookup::each_foreign(self.cache, &run, (Some(&counters), CLOSING_COLUMNS), |row| {
                if may_close(row.variant, row.shape) {
                    found.push(row.fragment()?);
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

impl Doubts {
    /// Adds the rows of a sheet that lie under a Device and may close others.
    fn add(&mut self, sheet: Sheet, device: &[u8]) -> Result<(), RunsError> {
        let rows = sheet.rows_equal(column::DEVICE, device)?;
        let variants = sheet.texts(column::VARIANT, &rows)?;
        let shapes = sheet.texts(column::SHAPE, &rows)?;
        let may_close = |row: usize| may_close(variants[row], shapes[row].unwrap_or_default());
        let closing: Vec<usize> = (0..rows.len()).filter(|row| may_close(*row)).collect();
        if closing.is_empty() {
            return Ok(());
        }
        let users = sheet.texts(column::USER, &rows)?;
        let tails = sheet.texts(column::TAIL, &rows)?;
        let times = sheet.numbers(column::RECEIVED, &rows)?;
        for row in closing {
            let user = users[row].and_then(|user| user.try_into().ok());
            let at = times[row].and_then(Timestamp::from_millis);
            let print =
                user.zip(at).zip(tails[row]).and_then(|((user, at), tail)| packed::print_in(user, tail, at));
            let print = print.ok_or_else(|| RunsError::Corrupt {
                path: sheet.path().to_owned(),
                why: "a row's key cannot be read".to_owned(),
            })?;
            self.places.push((print, self.sheets.len(), rows.start + row));
        }
        self.sheets.push(sheet);
        Ok(())
    }
}

/// What the rows of a request, or run, and all answers to it have in common.
fn id_of(key: &TrailKey) -> (UserId, [u8; 24]) {
    (key.user, packed::id_bytes(key))
}

/// The Devices that a run would list, had its writer looked; each run is read for it once a process.
async fn listed_in(cache: &RunCache, run: &Arc<OpenRun>) -> Result<Vec<DeviceId>, RunsError> {
    let mut targets = ClosingTargets::default();
    lookup::each_foreign(cache, run, (None, CLOSING_COLUMNS), |row: &Stored<'_>| targets.add_row(row))
        .await?;
    Ok(targets.into_vec())
}
