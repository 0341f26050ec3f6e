//! Legal holds: rows that stay, however old they become, until someone lets them go.
//!
//! The table `holds` is a history: who placed or released what, when, and why. Nothing is ever taken out of it.

use crate::kept_for;
use crate::kept_for::KeptFor;
use crate::month::Month;
use crate::site::Site;
use crate::tables::check::FileCheck;
use crate::tables::hold::{Hold, HoldChange, HoldScope};
use crate::tables::side_files::{batches, by_name};
use crate::tables::table::{Gathering, LakeTable};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use bytes::Bytes;
use gridtrail_model::{DeviceId, Timestamp, UserId};
use gridtrail_runs::{Changes, Definition, Encoded, RunsError, Table};
use parquet::file::properties::WriterProperties;
use std::sync::{Arc, LazyLock};

/// Bytes of a file of changes, at most.
const FILE_BYTES: u64 = 1 << 20;
/// How a change is written down that places a hold, and one that releases it.
pub(crate) const PLACED: &str = "placed";
pub(crate) const RELEASED: &str = "released";

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
    made_with: kept_for::made_with,
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

/// Every hold, as the newest version of its table has it.
pub(crate) async fn read_all(site: &Site, table: &mut Table) -> Result<Vec<Hold>, RunsError> {
    table.refresh().await?;
    table.check_whole()?;
    let mut holds: Vec<Hold> = Vec::new();
    let mut releases = Vec::new();
    for file in by_name(table) {
        let (path, bytes) = site.read_file(table, &file).await?;
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
pub(crate) fn write(hold: &Hold, action: &str, change: &HoldChange) -> Result<Encoded, RunsError> {
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
