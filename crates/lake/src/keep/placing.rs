//! Placing and releasing legal holds.
//!
//! **Races with retention.** Whoever places or releases a hold writes it down first, and then moves the position `holds` of
//! the main table. Retention reads that position, then the holds, and its commit requires the position to be where it was. So
//! a drop that comes after a hold has seen it; and whoever placed a hold that came after a drop finds the drop in the log
//! behind the version at which they began, and is told what it took.

use crate::commit_evidence::evidence_of;
use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::kept_for::DROPS;
use crate::lake::Lake;
use crate::month::Month;
use crate::tables::hold::{HOLDS, Hold, HoldChange, HoldScope};
use crate::tables::holds::{PLACED, RELEASED, read_all, write};
use crate::tables::registry::Tables;
use crate::tables::side_files::named_last;
use gridtrail_runs::{Changes, Move, NewFile, RunsError, Table};

/// Times that a change is tried again while others change holds, too.
const ATTEMPTS: u32 = 20;

/// A hold that was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedHold {
    /// The hold.
    pub hold: Hold,
    /// The version of the main table at which it was asked for: what went up to then was gone already.
    pub asked_at: u64,
    /// Months of its scope from which retention took rows while it was being placed: what it names may have been among them.
    pub dropped_meanwhile: Vec<Month>,
}

impl Lake {
    /// Every hold that was ever placed, oldest first. Errors: `Unavailable`, `Corrupt`.
    pub async fn holds(&self) -> Result<Vec<Hold>, LakeError> {
        let mut tables = self.tables().await;
        Ok(read_all(self.site(), &mut tables.holds).await?)
    }

    /// Places a hold. When this returns, retention keeps what the hold names.
    ///
    /// Errors: `Settings` when it names nothing; any other: it may have been placed, see [`Lake::holds`].
    pub async fn place_hold(
        &self,
        scope: HoldScope,
        who: &str,
        reason: &str,
    ) -> Result<PlacedHold, LakeError> {
        scope.check()?;
        let mut tables = self.tables().await;
        tables.trails.refresh().await?;
        let (began, drops) = (tables.trails.version(), tables.trails.position(DROPS));
        let id = uuid::Uuid::now_v7().to_string();
        let placed = HoldChange { at: self.clock().now(), who: who.to_owned(), reason: reason.to_owned() };
        let hold = Hold { id, scope, placed, released: None };
        self.write_down(&mut tables, &hold, &hold.placed).await?;
        let version = self.tell(&mut tables).await?;
        let mut dropped_meanwhile = Vec::new();
        if tables.trails.position(DROPS) != drops {
            dropped_meanwhile = dropped_between(&tables.trails, began + 1, version).await?;
            dropped_meanwhile.retain(|month| hold.scope.covers(*month));
        }
        Ok(PlacedHold { hold, asked_at: began, dropped_meanwhile })
    }

    /// Releases a hold: retention goes on with what it kept. One that is released already stays as it is.
    ///
    /// Errors: `Settings` when there is no such hold; any other: it may have been released, see [`Lake::holds`].
    pub async fn release_hold(&self, id: &str, who: &str, reason: &str) -> Result<Hold, LakeError> {
        let mut tables = self.tables().await;
        let holds = read_all(self.site(), &mut tables.holds).await?;
        let mut hold = holds
            .into_iter()
            .find(|hold| hold.id == id)
            .ok_or_else(|| LakeError::NoHold { id: id.to_owned() })?;
        if hold.released.is_none() {
            let released =
                HoldChange { at: self.clock().now(), who: who.to_owned(), reason: reason.to_owned() };
            self.write_down(&mut tables, &hold, &released).await?;
            hold.released = Some(released);
        }
        // Told again where it was released already: who did may not have come so far.
        self.tell(&mut tables).await?;
        Ok(hold)
    }

    /// Adds a change to the history.
    async fn write_down(
        &self,
        tables: &mut Tables,
        hold: &Hold,
        change: &HoldChange,
    ) -> Result<(), RunsError> {
        let released = *change != hold.placed;
        let encoded = write(hold, if released { RELEASED } else { PLACED }, change)?;
        let path = named_last(&tables.holds);
        let written = tables.holds.upload_encoded(&path, encoded).await?;
        let file = NewFile { path, written, month: None, rows: 1, tag: "{}".to_owned(), bounds: Vec::new() };
        let changes = Changes { add: vec![file], now_ms: change.at.millis(), ..Changes::default() };
        tables.holds.commit(&changes).await.map(drop)
    }

    /// Moves the positions that retention goes by. Returns the version of the main table from which on it does.
    async fn tell(&self, tables: &mut Tables) -> Result<u64, RunsError> {
        self.tell_table(&mut tables.parked).await?;
        self.tell_table(&mut tables.schedules).await?;
        self.tell_table(&mut tables.trails).await
    }

    async fn tell_table(&self, table: &mut Table) -> Result<u64, RunsError> {
        for _ in 0..ATTEMPTS {
            table.refresh().await?;
            let from = table.position(HOLDS);
            let moves = vec![Move { app_id: HOLDS.to_owned(), from, to: from.unwrap_or(0) + 1 }];
            let now_ms = self.clock().now().millis();
            let changes = Changes { moves, now_ms, ..Changes::default() };
            if let Some(version) = table.commit_unless_moved(&changes).await? {
                return Ok(version);
            }
        }
        Err(RunsError::Overtaken { attempts: ATTEMPTS })
    }
}

/// The months from which retention took rows in some versions.
async fn dropped_between(trails: &Table, first: u64, last: u64) -> Result<Vec<Month>, RunsError> {
    let mut months = Vec::new();
    for version in first..=last {
        let entry = trails.log_entry(version).await?;
        let Some(evidence) = entry.and_then(|entry| evidence_of(version, &entry)) else { continue };
        if evidence.kind == CommitKind::Retention.name() {
            let names = evidence
                .sources
                .iter()
                .filter_map(|source| source.get("name")?.as_str()?.parse::<Month>().ok());
            months.extend(names);
        }
    }
    months.sort_unstable();
    months.dedup();
    Ok(months)
}
