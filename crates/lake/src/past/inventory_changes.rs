//! What of the inventory may be otherwise at one version and instant than at an earlier one: what whoever keeps a copy of it has to take anew.
//!
//! Something comes to be otherwise in three ways.
//!
//! 1. Rows came. The table's log names their files; compaction writes rows anew as they were, and says so (`dataChange`).
//! 2. An outcome came of a request that asked for something earlier. Outcomes lie under their requests, and no row leads from there to what was
//!    asked for, so all rows of the table are gone through for what these requests ask.
//! 3. Time passed: what was recorded before takes effect, or is over. Whoever keeps the copy is told when that happens next, and no row is gone
//!    through for it before.

use crate::error::LakeError;
use crate::lake::Lake;
use crate::read::inventory::permit;
use crate::read::snapshot::{Snapshot, SnapshotVersion};
use crate::tables::inventory::{INVENTORY, InventoryRule, rows, unreadable};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gridtrail_access::{Access, Component};
use gridtrail_inventory::{InventoryKey, InventoryRow, InventoryRowContent, InventoryRowKind};
use gridtrail_model::{Named, Timestamp};
use gridtrail_runs::{
    EntryFiles, KeyedRun, LOG_READS_AT_ONCE, Listed as _, Merge, OpenRun, Run as _, RunsError, lookup,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// From when to when something may have come to be otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventorySpan {
    /// The instant that the copy is of.
    pub after: Timestamp,
    /// The first instant behind it at which anything takes effect or is over, of what was on record; `None`: there is none.
    pub next: Option<Timestamp>,
    /// The instant that it is to be of.
    pub until: Timestamp,
}

/// What may be otherwise.
#[derive(Debug, Default)]
pub struct InventoryChanges {
    /// Devices and meter points of which something came, came about, took effect or was over.
    pub about: BTreeSet<Named>,
    /// The first instant behind the later one at which anything takes effect or is over; `None`: there is none.
    pub next: Option<Timestamp>,
}

/// What a row of the table is looked at for.
#[derive(Default)]
struct Told {
    changes: InventoryChanges,
    /// Requests of which outcomes came or took effect, by their prints.
    requests: BTreeSet<u64>,
}

fn times_of(row: &InventoryRow) -> impl Iterator<Item = Timestamp> {
    row.effective_from.into_iter().chain(row.effective_until).chain([row.recorded_at])
}

fn named_of(row: &InventoryRow) -> Option<Named> {
    match row.key {
        InventoryKey::Device(device) => Some(Named::Device(device)),
        InventoryKey::Mpxn(mpxn) => Some(Named::Mpxn(mpxn)),
        // What leads to a meter point comes with a row of the meter point itself.
        InventoryKey::Uprn(_) | InventoryKey::Postcode(_) | InventoryKey::Request(_) => None,
    }
}

impl Told {
    /// A row that is new.
    fn came(&mut self, row: &InventoryRow, until: Timestamp) {
        self.changes.about.extend(named_of(row));
        if let InventoryKey::Request(print) = row.key {
            self.requests.insert(print);
        }
        self.is_ahead(row, until);
    }

    /// A row that may have been there: whether time changed what it comes to, or an outcome of one of some requests did.
    fn was_there(
        &mut self,
        row: &InventoryRow,
        span: &InventorySpan,
        requests: &BTreeSet<u64>,
    ) -> Option<()> {
        let took_effect = times_of(row).any(|at| span.after < at && at <= span.until);
        match row.key {
            InventoryKey::Request(print) if took_effect => drop(self.requests.insert(print)),
            InventoryKey::Request(_) => {}
            _ if took_effect || asks_for_any(row, requests)? => self.changes.about.extend(named_of(row)),
            _ => {}
        }
        self.is_ahead(row, span.until);
        Some(())
    }

    fn is_ahead(&mut self, row: &InventoryRow, until: Timestamp) {
        let ahead = times_of(row).filter(|at| *at > until);
        self.changes.next = self.changes.next.into_iter().chain(ahead).min();
    }
}

/// Whether a row is what one of some requests asks for. `None`: it cannot be read.
fn asks_for_any(row: &InventoryRow, requests: &BTreeSet<u64>) -> Option<bool> {
    if requests.is_empty() || row.kind != InventoryRowKind::Asked {
        return Some(false);
    }
    let InventoryRowContent::Asked(asked) = row.content().ok()? else { return None };
    let InventoryKey::Request(print) = InventoryKey::of_request(&asked.request_id) else { return None };
    Some(requests.contains(&print))
}

impl Lake {
    /// What may be otherwise in a snapshot at an instant than it was at an earlier version and instant. `None`: that cannot be told, since the log or
    /// a file of then is gone, or more than `most` rows came: everything is to be taken anew.
    ///
    /// Cost: the log entries in between, and the files of new rows; all rows of the table where outcomes of requests came, or something took effect
    /// by time alone. Errors: `NotPermitted`; as those of a look-up.
    pub async fn inventory_changes(
        &self,
        who: &Access,
        (since, snapshot): (&SnapshotVersion, &Snapshot),
        span: &InventorySpan,
        most: u64,
    ) -> Result<Option<InventoryChanges>, LakeError> {
        permit(who, Component::Inventory)?;
        let Some(fresh) = self.fresh_inventory(since, snapshot.version(), most).await? else {
            return Ok(None);
        };
        let mut told = Told::default();
        for run in &fresh {
            let run = match lookup::open(self.cache(), &INVENTORY, run).await {
                Ok(run) => run,
                // Vacuum deleted it, or it is damaged and was replaced since.
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            each_row(self.cache(), vec![run], |row| {
                told.came(row, span.until);
                Some(())
            })
            .await?;
        }
        let is_due = span.next.is_some_and(|next| next <= span.until);
        if !is_due && told.requests.is_empty() {
            let next = [span.next, told.changes.next].into_iter().flatten().min();
            return Ok(Some(InventoryChanges { next, ..told.changes }));
        }
        let requests = std::mem::take(&mut told.requests);
        snapshot.each_row_of_inventory(|row| told.was_there(row, span, &requests)).await?;
        // Outcomes that time alone made count come last in the table: what their requests ask for was passed by then.
        told.requests.retain(|print| !requests.contains(print));
        if !told.requests.is_empty() {
            let (requests, about) = (told.requests, &mut told.changes.about);
            snapshot
                .each_row_of_inventory(|row| {
                    about.extend(asks_for_any(row, &requests)?.then(|| named_of(row)).flatten());
                    Some(())
                })
                .await?;
        }
        Ok(Some(told.changes))
    }

    /// The files of rows that came between two versions. `None`: that cannot be told.
    async fn fresh_inventory(
        &self,
        since: &SnapshotVersion,
        until: &SnapshotVersion,
        most: u64,
    ) -> Result<Option<Vec<KeyedRun>>, LakeError> {
        let (from, to) = (since.of(INVENTORY.name), until.of(INVENTORY.name));
        let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
        if from > to {
            return Ok(None);
        }
        let tables = self.tables().await;
        let table = &tables.inventory;
        let entries = stream::iter(from + 1..=to).map(|version| table.log_entry(version));
        let mut entries = entries.buffered(LOG_READS_AT_ONCE);
        let mut files = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            let Some(EntryFiles { added, removed }) = entry.and_then(|entry| EntryFiles::of(&entry)) else {
                return Ok(None);
            };
            let brings = added.iter().any(|(_, is_new)| *is_new);
            // A repair may put fewer rows in the place of others.
            if removed.iter().any(|(_, goes)| *goes) || brings && !removed.is_empty() {
                return Ok(None);
            }
            files.extend(added.into_iter().filter(|(_, is_new)| *is_new).map(|(file, _)| file));
        }
        drop(entries);
        let mut runs = Vec::with_capacity(files.len());
        for file in files {
            let path = table.full_path(&file.path)?;
            runs.push(KeyedRun::listed(&Arc::new(file), path)?);
        }
        let is_many = runs.iter().map(|run| run.facts().rows).sum::<u64>() > most;
        Ok((!is_many).then_some(runs))
    }
}

impl Snapshot {
    /// The first instant behind another at which anything of the inventory takes effect or is over; `None`: there is none.
    ///
    /// Cost: all rows of the table. Errors: `NotPermitted`; as those of a look-up.
    pub async fn next_of_inventory(
        &self,
        who: &Access,
        after: Timestamp,
    ) -> Result<Option<Timestamp>, LakeError> {
        permit(who, Component::Inventory)?;
        let mut told = Told::default();
        self.each_row_of_inventory(|row| {
            told.is_ahead(row, after);
            Some(())
        })
        .await?;
        Ok(told.changes.next)
    }

    async fn each_row_of_inventory(
        &self,
        take: impl FnMut(&InventoryRow) -> Option<()>,
    ) -> Result<(), RunsError> {
        let runs: Vec<_> = self.inventory.iter().collect();
        let runs = lookup::open_runs(&self.cache, &INVENTORY, &runs).await?;
        each_row(&self.cache, runs, take).await
    }
}

/// Goes through the rows of some runs, in order. What cannot be read is an error.
async fn each_row(
    cache: &gridtrail_runs::RunCache,
    runs: Vec<Arc<OpenRun>>,
    mut take: impl FnMut(&InventoryRow) -> Option<()>,
) -> Result<(), RunsError> {
    let mut merge = Merge::new(InventoryRule, cache, runs).await?;
    while let Some(batch) = merge.next().await? {
        for row in rows(&batch, INVENTORY.name)? {
            take(&row).ok_or_else(|| unreadable(INVENTORY.name))?;
        }
    }
    Ok(())
}
