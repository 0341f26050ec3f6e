//! Look-up of the inventory by key: a Device, a meter point, a UPRN, a postcode.
//!
//! 1. The runs of the key's bucket, and those of level 0; of these, the ones whose bloom filter and page index may have the key.
//! 2. The pages of the key, of all columns, and the rows in them. Other pages are not read, so the cost does not depend on how large the table is.
//!    Keys whose pages are the same are read together. What was found under a key of a run is kept in memory, within a bound: whoever asks again reads
//!    no page.
//! 3. The same once more for the requests that ask for anything of the key: what became of them, so that what came about is among the facts.
//!
//! No row of it is anybody's own: the inventory is open to all Users of all roles (UC_Inventory_001). It still leaves only through an [`Access`],
//! whose roles must allow searches of the inventory, or into a copy that an operator keeps.

use crate::error::LakeError;
use crate::limits::RUNS_AT_ONCE;
use crate::read::query::Cost;
use crate::read::snapshot::Snapshot;
use crate::tables::inventory::{INVENTORY, Stored, column, unreadable};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_inventory::{InventoryFragment, InventoryKey, InventoryRow, InventoryRowContent, requests_in};
use gridtrail_model::{Mpxn, Named};
use gridtrail_runs::{OpenRun, Plan, RunsError, Sheet, lookup};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The rows of each of some keys, run by run.
type RowsByKey = Vec<Vec<Arc<Vec<InventoryRow>>>>;

impl Snapshot {
    /// What is known of some Devices and meter points, each in its place; and what it cost. [`InventoryFragment::known_at`] says what was so.
    ///
    /// Errors: `NotPermitted` where the caller's roles do not allow searches of the inventory; `Unavailable`, `Corrupt`. Cancel-safe.
    pub async fn inventory(
        &self,
        who: &Access,
        about: &[Named],
    ) -> Result<(Vec<InventoryFragment>, Cost), LakeError> {
        permit(who, Component::Inventory)?;
        Ok(self.known_of(about).await?)
    }

    /// The same, for whoever has asked for a permit.
    pub(crate) async fn known_of(
        &self,
        about: &[Named],
    ) -> Result<(Vec<InventoryFragment>, Cost), RunsError> {
        self.known(about, Again::Likely).await
    }

    /// The same, for whoever has asked for a permit and goes through the table.
    pub(crate) async fn known_in_passing(
        &self,
        about: &[Named],
    ) -> Result<Vec<InventoryFragment>, RunsError> {
        Ok(self.known(about, Again::Unlikely).await?.0)
    }

    async fn known(
        &self,
        about: &[Named],
        again: Again,
    ) -> Result<(Vec<InventoryFragment>, Cost), RunsError> {
        let keys: Vec<InventoryKey> = about.iter().map(|named| InventoryKey::from(*named)).collect();
        let (found, cost) = self.inventory_rows(&keys, again).await?;
        let mut asked = Vec::with_capacity(about.len());
        for rows in &found {
            let requests = requests_in(each(rows)).map_err(|error| unread(&error))?;
            asked.push(requests.iter().map(InventoryKey::of_request).collect::<BTreeSet<_>>());
        }
        let (outcomes, more) = self.outcomes(&asked, again).await?;
        let mut fragments = Vec::with_capacity(about.len());
        for ((about, rows), asked) in about.iter().zip(&found).zip(asked) {
            let outcomes = asked.iter().filter_map(|key| outcomes.get(key));
            let rows = each(rows).chain(outcomes.flat_map(|rows| each(rows)));
            fragments.push(InventoryFragment::of_rows(*about, rows).map_err(|error| unread(&error))?);
        }
        Ok((fragments, [cost, more].into_iter().sum()))
    }

    /// What became of some requests, each looked up once.
    async fn outcomes(
        &self,
        asked: &[BTreeSet<InventoryKey>],
        again: Again,
    ) -> Result<(BTreeMap<InventoryKey, Vec<Arc<Vec<InventoryRow>>>>, Cost), RunsError> {
        let keys: BTreeSet<InventoryKey> = asked.iter().flatten().copied().collect();
        let keys: Vec<InventoryKey> = keys.into_iter().collect();
        let (found, cost) = self.inventory_rows(&keys, again).await?;
        Ok((keys.into_iter().zip(found).collect(), cost))
    }

    /// The meter points that a registration ever gave a UPRN or postcode, ascending; of a meter point, itself; of a Device, none. What is known of
    /// each ([`Snapshot::inventory`]) says whether it still has it. Errors: as there.
    pub async fn meter_points(
        &self,
        who: &Access,
        key: InventoryKey,
    ) -> Result<(Vec<Mpxn>, Cost), LakeError> {
        permit(who, Component::Inventory)?;
        match key {
            InventoryKey::Device(_) | InventoryKey::Request(_) => return Ok(<_>::default()),
            InventoryKey::Mpxn(mpxn) => return Ok((vec![mpxn], Cost::default())),
            InventoryKey::Uprn(_) | InventoryKey::Postcode(_) => {}
        }
        let (found, cost) = self.inventory_rows(&[key], Again::Likely).await?;
        let mut mpxns = BTreeSet::new();
        for row in found.iter().flat_map(|rows| each(rows)) {
            if let InventoryRowContent::LeadsTo(mpxn) = row.content().map_err(|error| unread(&error))? {
                mpxns.insert(mpxn);
            }
        }
        Ok((mpxns.into_iter().collect(), cost))
    }

    /// The rows under each of some keys, in no order, and the same row perhaps more than once.
    ///
    /// It waits for the store twice, however many keys there are: for footers, and for pages, so many of each at a time.
    async fn inventory_rows(
        &self,
        keys: &[InventoryKey],
        again: Again,
    ) -> Result<(RowsByKey, Cost), RunsError> {
        let (cache, requests) = self.cache.counting();
        let (mut runs, mut known, mut wanted) = (Vec::new(), HashMap::new(), Vec::new());
        let (mut found, mut cost) = (vec![Vec::new(); keys.len()], Cost::default());
        for (number, key) in keys.iter().enumerate() {
            let key = key.to_bytes();
            for run in self.inventory.of_key(key, None, None) {
                if again == Again::Likely
                    && let Some(rows) = cache.found.get::<Vec<InventoryRow>>(run.number(), &key)
                {
                    cost.runs += u64::from(!rows.is_empty());
                    found[number].push(rows);
                    continue;
                }
                let place = *known.entry(run.number()).or_insert_with(|| {
                    runs.push(run);
                    runs.len() - 1
                });
                wanted.push((number, place));
            }
        }
        let opened = lookup::open_runs(&cache, &INVENTORY, &runs).await?;
        let mut read = vec![Vec::new(); wanted.len()];
        let mut sheets = SheetsOfKeys::default();
        for (turn, (number, place)) in wanted.iter().enumerate() {
            let touched = sheets.add((opened[*place].as_ref(), *place), &keys[*number].to_bytes(), turn)?;
            cost.runs += u64::from(touched);
        }
        let (cache_of_all, runs_of_all) = (&cache, &opened);
        let reading = sheets.all.into_iter().map(|OfKeys { place, plan, turns }| async move {
            let sheet = Sheet::get(cache_of_all, &runs_of_all[place], plan).await?;
            Ok::<_, RunsError>((turns, sheet))
        });
        let reading: Vec<_> = reading.collect();
        let mut reading = stream::iter(reading).buffered(RUNS_AT_ONCE);
        while let Some((turns, sheet)) = reading.try_next().await? {
            cost.pages += sheet.pages() as u64;
            for turn in turns {
                rows_in(&sheet, keys[wanted[turn].0], &mut read[turn])?;
            }
        }
        for ((number, place), rows) in wanted.into_iter().zip(read) {
            let bytes = rows.iter().map(InventoryRow::bytes).sum();
            let rows = Arc::new(rows);
            if again == Again::Likely {
                let key = keys[number].to_bytes();
                cache.found.keep(runs[place].number(), &key, Arc::clone(&rows), bytes);
            }
            found[number].push(rows);
        }
        let cost = [cost, Cost::of_requests(&requests)].into_iter().sum();
        Ok((found, cost))
    }
}

/// Whether the same keys are likely to be asked for again soon, and so whether what was found of them is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Likely,
    Unlikely,
}

/// The pages of some keys, each once.
#[derive(Default)]
struct SheetsOfKeys {
    all: Vec<OfKeys>,
    /// By the number of the run, the row group, and the first and last row.
    numbers: HashMap<(usize, usize, usize, usize), usize>,
}

/// Some pages of a run, and whose keys they may have.
struct OfKeys {
    place: usize,
    plan: Plan,
    turns: Vec<usize>,
}

impl SheetsOfKeys {
    /// Adds the pages of a run that may have a key. Returns whether there are any.
    fn add(&mut self, (run, place): (&OpenRun, usize), key: &[u8], turn: usize) -> Result<bool, RunsError> {
        let plans = lookup::plans(run, key, column::ALL)?;
        let is_any = !plans.is_empty();
        for plan in plans {
            let (group, rows) = plan.place();
            let number = *self.numbers.entry((place, group, rows.start, rows.end)).or_insert(self.all.len());
            match self.all.get_mut(number) {
                Some(of_keys) => of_keys.turns.push(turn),
                None => self.all.push(OfKeys { place, plan, turns: vec![turn] }),
            }
        }
        Ok(is_any)
    }
}

/// The rows of a key, those of all runs.
fn each(rows: &[Arc<Vec<InventoryRow>>]) -> impl Iterator<Item = &InventoryRow> {
    rows.iter().flat_map(|rows| rows.iter())
}

/// Errors: `NotPermitted` where none of the caller's roles may use the component. The inventory is open to all Users, and so to copies.
pub(crate) fn permit(who: &Access, component: Component) -> Result<(), LakeError> {
    let is_open = who.permits(component) || component == Component::Inventory && who.is_of_files();
    if is_open { Ok(()) } else { Err(LakeError::NotPermitted { component }) }
}

fn unread(error: &gridtrail_inventory::InventoryRowError) -> RunsError {
    let path = INVENTORY.name.to_owned();
    RunsError::Corrupt { path, why: error.to_string() }
}

/// Adds the rows of a key in a sheet.
fn rows_in(sheet: &Sheet, key: InventoryKey, found: &mut Vec<InventoryRow>) -> Result<(), RunsError> {
    let corrupt = || unreadable(sheet.path());
    let key = key.to_bytes();
    let range = sheet.rows_equal(column::KEY, &key)?;
    if range.is_empty() {
        return Ok(());
    }
    let text = |number| sheet.texts(number, &range);
    let (kinds, origins) = (text(column::KIND)?, text(column::ORIGIN)?);
    let (events, targets, bodies) = (text(column::EVENT)?, text(column::TARGET)?, text(column::BODY)?);
    let time = |number| sheet.numbers(number, &range);
    let (from, recorded) = (time(column::EFFECTIVE_FROM)?, time(column::RECORDED)?);
    let until = time(column::EFFECTIVE_UNTIL)?;
    for row in 0..range.len() {
        let stored = Stored {
            key: &key,
            kind: kinds[row].ok_or_else(corrupt)?,
            effective_from_ms: from[row],
            recorded_ms: recorded[row].ok_or_else(corrupt)?,
            effective_until_ms: until[row],
            origin: origins[row].ok_or_else(corrupt)?,
            event_id: events[row].ok_or_else(corrupt)?,
            target: targets[row],
            body: bodies[row].ok_or_else(corrupt)?,
        };
        found.push(stored.row().ok_or_else(corrupt)?);
    }
    Ok(())
}
