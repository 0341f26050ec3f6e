//! Legal holds: rows that stay, however old they become, until someone lets them go.
//!
//! The table `holds` is a history: who placed or released what, when, and why. Nothing is ever taken out of it.
//!
//! **Races with retention.** Whoever places or releases a hold writes it down first, and then moves the position `holds` of
//! the main table. Retention reads that position, then the holds, and its commit requires the position to be where it was. So
//! a drop that comes after a hold has seen it; and whoever placed a hold that came after a drop finds the drop in the log
//! behind the version at which they began, and is told what it took.

use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::lake::Lake;
use crate::maintenance::evidence_of;
use crate::month::Month;
use crate::retention::{self, DROPS};
use crate::side_files::{batches, by_name, named_last};
use crate::tables::{Gathering, KeptFor, LakeTable, Tables};
use crate::verify::FileCheck;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use bytes::Bytes;
use gridtrail_model::{DeviceId, Mpxn, Timestamp, UserId};
use gridtrail_runs::{Changes, Definition, Encoded, Move, NewFile, RunsError, Table};
use parquet::file::properties::WriterProperties;
use std::sync::{Arc, LazyLock};

/// The position that counts changes to holds, in the tables that retention takes rows from.
pub(crate) const HOLDS: &str = "holds";
/// Times that a change is tried again while others change holds, too.
const ATTEMPTS: u32 = 20;
/// Bytes of a file of changes, at most.
const FILE_BYTES: u64 = 1 << 20;
const PLACED: &str = "placed";
const RELEASED: &str = "released";

/// The columns of the table: one row a change.
pub(crate) static HOLD_CHANGES: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("hold_id", DataType::Utf8, false),
        Field::new("action", DataType::Utf8, false),
        Field::new("at", time, false),
        Field::new("who", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("device_id", DataType::Binary, true),
        Field::new("mpxn", DataType::Utf8, true),
        Field::new("user_id", DataType::Binary, true),
        Field::new("from_month", DataType::Utf8, true),
        Field::new("to_month", DataType::Utf8, true),
    ]))
});

static TABLE: Definition = Definition {
    name: "holds",
    schema: &HOLD_CHANGES,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[],
    layout: || WriterProperties::builder().build(),
    note: None,
    made_with: retention::made_with,
};

/// The table of changes to holds.
pub(crate) struct HoldChanges;

#[async_trait]
impl LakeTable for HoldChanges {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Ever
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        file.whole(read).await.map(drop)
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        let files = of.consecutive(by_name(of.table), |file| file.size, FILE_BYTES).await?;
        let Some(files) = files else { return Ok(None) };
        let (mut rows, mut changes) = (0, Vec::new());
        for (file, bytes) in &files {
            let path = of.table.full_path(&file.path)?;
            // What cannot be read stays where it is, and is told.
            read(bytes.clone(), path.as_ref())?;
            for batch in batches(bytes.clone(), path.as_ref())? {
                let batch = batch?;
                rows += batch.num_rows() as u64;
                changes.push(Ok(batch));
            }
        }
        let encoded = Encoded::of(&TABLE, changes.into_iter())?;
        let files = files.into_iter().map(|(file, _)| file).collect();
        of.replace(files, (encoded, rows, "{}".to_owned())).await.map(Some)
    }
}

/// What a hold keeps: the rows that are of all that it names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldScope {
    /// Rows of this Device.
    pub device: Option<DeviceId>,
    /// Rows that name this meter point, and those of every Device that was seen with it: what a search by it shows.
    pub mpxn: Option<Mpxn>,
    /// Rows of this User.
    pub user: Option<UserId>,
    /// Rows that lie in this month or later.
    pub from: Option<Month>,
    /// Rows that lie in this month or earlier.
    pub to: Option<Month>,
}

impl HoldScope {
    fn check(&self) -> Result<(), LakeError> {
        let refuse = |why| Err(LakeError::Hold { why });
        if *self == Self::default() {
            return refuse(
                "name a Device, an MPxN, a User or months: a hold on everything is a longer retention",
            );
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if to < from => refuse("its last month is before its first"),
            _ => Ok(()),
        }
    }

    /// Whether it can keep rows of a month.
    pub(crate) fn covers(&self, month: Month) -> bool {
        self.from.is_none_or(|from| from <= month) && self.to.is_none_or(|to| month <= to)
    }
}

/// Who changed a hold, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldChange {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// A hold and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// What it keeps.
    pub scope: HoldScope,
    /// Who placed it.
    pub placed: HoldChange,
    /// Who released it; `None` while it is in force.
    pub released: Option<HoldChange>,
}

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
        Ok(read_all(self, &mut tables).await?)
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
        let holds = read_all(self, &mut tables).await?;
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
        let file = NewFile { path, written, month: None, rows: 1, tag: "{}".to_owned(), received: None };
        let changes = Changes { add: vec![file], now_ms: change.at.millis(), ..Changes::default() };
        tables.holds.commit(&changes).await.map(drop)
    }

    /// Moves the positions that retention goes by. Returns the version of the main table from which on it does.
    async fn tell(&self, tables: &mut Tables) -> Result<u64, RunsError> {
        self.tell_table(&mut tables.parked).await?;
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

/// Every hold, as the newest version of its table has it.
pub(crate) async fn read_all(lake: &Lake, tables: &mut Tables) -> Result<Vec<Hold>, RunsError> {
    tables.holds.refresh().await?;
    tables.holds.check_whole()?;
    let mut holds: Vec<Hold> = Vec::new();
    let mut releases = Vec::new();
    for file in by_name(&tables.holds) {
        let (path, bytes) = lake.read_file(&tables.holds, &file).await?;
        for change in read(bytes, path.as_ref())? {
            match change {
                Change::Placed(hold) => holds.push(hold),
                Change::Released(id, change) => releases.push((id, change)),
            }
        }
    }
    for (id, change) in releases {
        if let Some(hold) = holds.iter_mut().find(|hold| hold.id == id) {
            // The first release counts.
            hold.released.get_or_insert(change);
        }
    }
    Ok(holds)
}

/// One row of the table.
pub(crate) enum Change {
    Placed(Hold),
    Released(String, HoldChange),
}

/// The changes in a file.
pub(crate) fn read(bytes: Bytes, path: &str) -> Result<Vec<Change>, RunsError> {
    let corrupt = |why: String| RunsError::Corrupt { path: path.to_owned(), why };
    let mut changes = Vec::new();
    for batch in batches(bytes, path)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let change = read_row(&batch, row);
            changes.push(change.ok_or_else(|| corrupt("a change to a hold cannot be read".to_owned()))?);
        }
    }
    Ok(changes)
}

fn read_row(batch: &RecordBatch, row: usize) -> Option<Change> {
    // The inner `None`: the column is empty there.
    let text = |name: &str| {
        let texts = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        Some(texts.is_valid(row).then(|| texts.value(row).to_owned()))
    };
    let id_bytes = |name: &str| {
        let ids = batch.column_by_name(name)?.as_binary_opt::<i32>()?;
        let id = ids.is_valid(row).then(|| <[u8; 8]>::try_from(ids.value(row)));
        id.transpose().ok()
    };
    let times = batch.column_by_name("at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let at = Timestamp::from_millis(times.value(row).div_euclid(1_000))?;
    let id = text("hold_id")??;
    let change = HoldChange { at, who: text("who")??, reason: text("reason")?? };
    let month = |name| text(name)?.map(|text| text.parse::<Month>()).transpose().ok();
    let scope = HoldScope {
        device: id_bytes("device_id")?.map(DeviceId::from_bytes),
        mpxn: text("mpxn")?.map(|text| text.parse()).transpose().ok()?,
        user: id_bytes("user_id")?.map(UserId::from_bytes),
        from: month("from_month")?,
        to: month("to_month")?,
    };
    match text("action")??.as_str() {
        PLACED => Some(Change::Placed(Hold { id, scope, placed: change, released: None })),
        RELEASED => Some(Change::Released(id, change)),
        _ => None,
    }
}

/// A file of one change.
fn write(hold: &Hold, action: &str, change: &HoldChange) -> Result<Encoded, RunsError> {
    let text = |value: Option<String>| -> ArrayRef {
        let mut texts = StringBuilder::new();
        texts.append_option(value);
        Arc::new(texts.finish())
    };
    let id_bytes = |value: Option<[u8; 8]>| -> ArrayRef {
        let mut ids = BinaryBuilder::new();
        ids.append_option(value);
        Arc::new(ids.finish())
    };
    let mut at = TimestampMicrosecondBuilder::new();
    at.append_value(change.at.millis() * 1_000);
    let scope = &hold.scope;
    let columns: Vec<ArrayRef> = vec![
        text(Some(hold.id.clone())),
        text(Some(action.to_owned())),
        Arc::new(at.finish().with_timezone("UTC")),
        text(Some(change.who.clone())),
        text(Some(change.reason.clone())),
        id_bytes(scope.device.map(|device| device.to_bytes())),
        text(scope.mpxn.map(|mpxn| mpxn.to_string())),
        id_bytes(scope.user.map(|user| user.to_bytes())),
        text(scope.from.map(|month| month.to_string())),
        text(scope.to.map(|month| month.to_string())),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&HOLD_CHANGES), columns)
        .map_err(|_| RunsError::Internal("columns of a file of holds do not fit its schema"))?;
    Encoded::of(&TABLE, std::iter::once(Ok(batch)))
}
