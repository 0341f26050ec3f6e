//! The plain (MPxN, Device) table: which Devices events named together with a meter point.
//!
//! One row for each pair and commit, with the first and last time seen; so an exchanged meter's history is found by
//! its meter point. A repeat of a batch writes the same pairs again, which changes no answer: the table may say a
//! pair twice, never miss one.
//!
//! What a row lies under need not be the Device of a meter point: of a row that names no Device it is what stands for one
//! (`anchor`). And a row that names several Devices lies under one of them; for each of the others there are pairs, too. Their keys are
//! no meter points but `e` and, in base64url, the print of the Device and of somebody who may see the row (`viewers`): so a search by a
//! Device comes to no pair of rows that it may not show. They lie behind all digits, so that a file without such pairs is passed by, and
//! are short enough to be merged as numbers. Earlier builds wrote `d` and the Device's bytes, for whoever might ask.
//!
//! A meter point leads whoever may search to its Devices, since other Users may have been the ones to name the two together. So
//! a search by one reads, in every file, the page where it has its place, whether or not it is there.

use crate::anchor;
use crate::limits::{IDLE_MONTH_MS, RUNS_AT_ONCE};
use crate::lookup;
use crate::retention;
use crate::rules::PairRule;
use crate::sheet::Sheet;
use crate::tables::{Gathering, KeptFor, LakeTable, Rewriting};
use crate::verify::{FileCheck, rows};
use crate::viewers::Viewer;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deltalake_core::Path;
use futures::stream::{self, StreamExt, TryStreamExt};
use gridtrail_model::{DeviceId, Fragment, Mpxn, Subject, Timestamp, UserId};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{
    Changes, Definition, Encoded, NewFile, RunCache, RunsError, Summary, Table, TableFile, gather,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

/// The columns of the table.
pub(crate) static PAIRS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("mpxn", DataType::Utf8, false),
        Field::new("device_id", DataType::Binary, false),
        Field::new("first_seen", time(), false),
        Field::new("last_seen", time(), false),
    ]))
});

static TABLE: Definition = Definition {
    name: "mpxn_devices",
    schema: &PAIRS,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[0],
    layout: properties,
    note: None,
    made_with: retention::made_with,
};

/// The table of pairs.
pub(crate) struct PairTable;

#[async_trait]
impl LakeTable for PairTable {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn is_looked_up(&self) -> bool {
        true
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Needed
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        rows::pairs(file).await
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        // A pair is committed before the rows that it was seen in: only where all files are a day old is none younger than its rows.
        let day_old = |file: &Arc<TableFile>| of.now.millis() - file.written_ms >= IDLE_MONTH_MS;
        let oldest = |files: &[Arc<TableFile>]| of.oldest.filter(|_| files.iter().all(day_old));
        of.by_size(
            |file| file.size,
            PairRule,
            |_| PairSummary::default(),
            |files, batch| match oldest(files) {
                Some(oldest) => seen_since(&batch, oldest),
                None => Ok(batch),
            },
        )
        .await
    }

    fn is_rewritten(&self) -> bool {
        true
    }

    async fn rewrite(&self, of: &Rewriting<'_>) -> Result<Option<Changes>, RunsError> {
        let guard = gather::moved(of.table, gather::fence(None));
        of.in_its_place(TABLE.new_path(None), PairSummary::default(), guard).await.map(Some)
    }
}

/// Pairs of one batch: what was named, and the bytes of what the row lies under; with first and last time seen.
pub(crate) type Pairs = HashMap<(PairKey, DeviceId), (Timestamp, Timestamp)>;

/// What a pair is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PairKey {
    /// A meter point, by whoever searches.
    Mpxn(Mpxn),
    /// A Device, by whoever may see the rows that name it.
    Device(DeviceId, Viewer),
}

/// What the keys of Devices begin with.
const OF_DEVICES: &str = "e";

impl PairKey {
    fn text(self) -> String {
        match self {
            Self::Mpxn(mpxn) => mpxn.to_string(),
            Self::Device(device, viewer) => {
                let print = viewer.print(device).to_be_bytes();
                format!("{OF_DEVICES}{}", URL_SAFE_NO_PAD.encode(print))
            }
        }
    }
}

/// The key of a Device's pairs in files of earlier builds.
fn key_for_whoever(device: DeviceId) -> String {
    format!("d{}", URL_SAFE_NO_PAD.encode(device.to_bytes()))
}

/// A file of pairs, with its smallest and largest meter point.
#[derive(Debug, Clone)]
pub(crate) struct PairFile {
    pub(crate) file: Arc<TableFile>,
    pub(crate) path: Path,
    pub(crate) min: String,
    pub(crate) max: String,
}

impl PairFile {
    /// How many bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.as_ref().len() + self.min.len() + self.max.len() + self.file.bytes()
    }

    pub(crate) fn new(file: &Arc<TableFile>, path: Path) -> Result<Self, RunsError> {
        let range: Option<(String, String)> =
            file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok());
        let (min, max) = range.ok_or_else(|| RunsError::Corrupt {
            path: path.to_string(),
            why: "its log entry has no range".to_owned(),
        })?;
        Ok(Self { file: Arc::clone(file), path, min, max })
    }
}

/// Adds the pairs that a fragment with a place makes.
pub(crate) fn add(fragment: &Fragment, pairs: &mut Pairs) {
    let (Some(at), Some(under)) = (fragment.placement(), anchor::of_fragment(fragment)) else { return };
    let mut see = |named, under| {
        let seen = pairs.entry((named, under)).or_insert((at, at));
        *seen = (seen.0.min(at), seen.1.max(at));
    };
    for mpxn in fragment.mpxns() {
        fragment.device.iter().for_each(|device| see(PairKey::Mpxn(mpxn), *device));
        if fragment.device.is_empty() {
            see(PairKey::Mpxn(mpxn), under);
        }
    }
    let user = Viewer::User(fragment.key.user);
    let devices = fragment.device.iter().chain(fragment.concerned_devices().iter());
    for device in devices.filter(|device| **device != under) {
        see(PairKey::Device(*device, user), under);
        if may_be_open(fragment) {
            see(PairKey::Device(*device, Viewer::Everybody), under);
        }
    }
}

/// Whether a row may be a meter read, for all that one fragment of it says: others may name the variant.
fn may_be_open(fragment: &Fragment) -> bool {
    let is_alert = matches!(fragment.key.subject, Subject::Alert { .. });
    !is_alert && fragment.variant.iter().all(|variant| variant.is_meter_read())
}

/// Adds the pairs of a fragment that waits for its request: of the Devices that it names, since it is found as the row that it is,
/// and of no meter points, whose pairs find every row of a Device.
pub(crate) fn add_waiting(fragment: &Fragment, pairs: &mut Pairs) {
    let mut devices_only = fragment.clone();
    devices_only.mpxn = <_>::default();
    if let Some(besides) = &mut devices_only.besides {
        besides.mpxns = <_>::default();
    }
    add(&devices_only, pairs);
}

/// Commits pairs to their table, if there are any.
pub(crate) async fn commit(table: &mut Table, pairs: &Pairs, now: Timestamp) -> Result<(), RunsError> {
    if pairs.is_empty() {
        return Ok(());
    }
    let (encoded, tag) = write(pairs)?;
    let path = format!("{}.parquet", uuid::Uuid::now_v7());
    let written = table.upload_encoded(&path, encoded).await?;
    let file = NewFile { path, written, month: None, rows: pairs.len() as u64, tag, received: None };
    let changes = Changes { add: vec![file], now_ms: now.millis(), ..Changes::default() };
    table.commit(&changes).await.map(drop)
}

/// One pair of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The meter point, or the key of a Device and a viewer.
    pub(crate) mpxn: String,
    /// The bytes of what the row lies under.
    pub(crate) device: DeviceId,
    /// When events first and last named the two together, microseconds since the epoch.
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

/// The pair in the first row of a batch.
pub(crate) fn read(batch: &RecordBatch, path: &str) -> Result<Pair, RunsError> {
    let corrupt = || RunsError::Corrupt { path: path.to_owned(), why: "a pair cannot be read".to_owned() };
    let column = |at: usize| batch.columns().get(at).ok_or_else(corrupt);
    let time = |at: usize| {
        let times = column(at)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(corrupt)?;
        Ok(times.value(0))
    };
    let device = column(1)?.as_binary_opt::<i32>().ok_or_else(corrupt)?.value(0);
    Ok(Pair {
        mpxn: column(0)?.as_string_opt::<i32>().ok_or_else(corrupt)?.value(0).to_owned(),
        device: DeviceId::from_bytes(device.try_into().map_err(|_| corrupt())?),
        first_seen: time(2)?,
        last_seen: time(3)?,
    })
}

/// The pairs of a batch that were last seen at a time or later.
pub(crate) fn seen_since(batch: &RecordBatch, oldest: Timestamp) -> Result<RecordBatch, RunsError> {
    let failed = || RunsError::Internal("a batch of pairs has no times");
    let last = batch.columns().get(3).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let from = oldest.millis() * 1_000;
    let keep = last.ok_or_else(failed)?.values().iter().map(|last| Some(*last >= from)).collect();
    filter_record_batch(batch, &keep).map_err(|_| failed())
}

/// Columns of pairs, in their order.
pub(crate) fn batch(pairs: &[Pair]) -> Result<RecordBatch, RunsError> {
    let (mut mpxns, mut devices) = (StringBuilder::new(), BinaryBuilder::new());
    let (mut first, mut last) = (TimestampMicrosecondBuilder::new(), TimestampMicrosecondBuilder::new());
    for pair in pairs {
        mpxns.append_value(&pair.mpxn);
        devices.append_value(pair.device.to_bytes());
        first.append_value(pair.first_seen);
        last.append_value(pair.last_seen);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(mpxns.finish()),
        Arc::new(devices.finish()),
        Arc::new(first.finish().with_timezone("UTC")),
        Arc::new(last.finish().with_timezone("UTC")),
    ];
    RecordBatch::try_new(Arc::clone(&PAIRS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of pairs do not fit its schema"))
}

/// A file of pairs, with the tag that names its range.
pub(crate) fn write(pairs: &Pairs) -> Result<(Encoded, String), RunsError> {
    let pair = |((key, device), seen): (&(PairKey, DeviceId), &(Timestamp, Timestamp))| Pair {
        mpxn: key.text(),
        device: *device,
        first_seen: seen.0.millis() * 1_000,
        last_seen: seen.1.millis() * 1_000,
    };
    let mut sorted: Vec<Pair> = pairs.iter().map(pair).collect();
    sorted.sort_unstable_by(|a, b| (&a.mpxn, a.device).cmp(&(&b.mpxn, b.device)));
    let encoded = Encoded::of(&TABLE, std::iter::once(batch(&sorted)))?;
    let range = (sorted.first().map(|pair| &pair.mpxn), sorted.last().map(|pair| &pair.mpxn));
    let tag =
        serde_json::to_string(&range).map_err(|_| RunsError::Internal("a range could not be written"))?;
    Ok((encoded, tag))
}

/// The Parquet settings of a file of pairs.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_encoding(Encoding::PLAIN)
        .set_compression(Compression::LZ4_RAW)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(crate::limits::ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(gridtrail_runs::PAGE_ROWS)
        .set_write_batch_size(crate::limits::WRITE_BATCH_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(ColumnPath::from("mpxn"), EnabledStatistics::Page)
        .set_column_bloom_filter_enabled(ColumnPath::from("mpxn"), true)
        .set_column_bloom_filter_fpp(ColumnPath::from("mpxn"), crate::limits::PAIR_FALSE_POSITIVES)
        .build()
}

/// The range of a file of pairs that is written batch by batch.
#[derive(Debug, Default)]
pub(crate) struct PairSummary {
    rows: u64,
    range: Option<(String, String)>,
}

impl Summary for PairSummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let mpxns = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
        let mpxns = mpxns.ok_or(RunsError::Internal("a batch of pairs has no meter points"))?;
        self.rows += batch.num_rows() as u64;
        if let Some(last) = mpxns.len().checked_sub(1) {
            let first = self.range.take().map_or_else(|| mpxns.value(0).to_owned(), |(first, _)| first);
            self.range = Some((first, mpxns.value(last).to_owned()));
        }
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        let tag = serde_json::to_string(&self.range.unwrap_or_default())
            .map_err(|_| RunsError::Internal("a range could not be written"))?;
        Ok(NewFile { path, written, month: None, rows: self.rows, tag, received: None })
    }
}

/// Where a meter point leads.
#[derive(Debug, Default)]
pub(crate) struct OfMpxn {
    /// The bytes of what rows lie under that name it, ascending.
    pub(crate) found: Vec<DeviceId>,
    /// The same of the next lower meter point, or of the next higher one where none is lower.
    pub(crate) beside: Vec<DeviceId>,
}

/// Where a meter point leads. In each file the page is read where it has its place, be it there or not.
pub(crate) async fn of_mpxn(cache: &RunCache, files: &[PairFile], mpxn: Mpxn) -> Result<OfMpxn, RunsError> {
    let key = PairKey::Mpxn(mpxn).text();
    let reading: Vec<_> = files.iter().map(|file| place_of(cache, file, key.as_bytes())).collect();
    let sheets: Vec<Vec<Sheet>> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
    let sheets: Vec<Sheet> = sheets.into_iter().flatten().collect();
    let (mut lower, mut higher): (Option<&[u8]>, Option<&[u8]>) = (None, None);
    for sheet in &sheets {
        let (below, above) = sheet.beside(0, key.as_bytes())?;
        lower = lower.max(below);
        // Devices come behind all meter points.
        let above = above.filter(|key| key.first().is_some_and(u8::is_ascii_digit));
        higher = higher.into_iter().chain(above).min();
    }
    let beside = lower.or(higher);
    let beside = beside.map_or_else(|| Ok(Vec::new()), |beside| devices_in(&sheets, beside))?;
    Ok(OfMpxn { found: devices_in(&sheets, key.as_bytes())?, beside })
}

async fn place_of(cache: &RunCache, file: &PairFile, key: &[u8]) -> Result<Vec<Sheet>, RunsError> {
    let run = cache.open(&TABLE, (&file.file, &file.path), None).await?;
    lookup::place_sheets(cache, &run, key, &[0, 1]).await
}

/// The bytes of what rows lie under that name a Device beside the one that they lie under, of rows that these Users or everybody may
/// see; ascending.
pub(crate) async fn of_device(
    cache: &RunCache,
    files: &[PairFile],
    device: DeviceId,
    users: impl Iterator<Item = UserId>,
) -> Result<Vec<DeviceId>, RunsError> {
    let old = key_for_whoever(device);
    let viewers = users.map(Viewer::User).chain(std::iter::once(Viewer::Everybody));
    let mut keys: Vec<String> = Vec::new();
    let mut opening = Vec::new();
    for file in files {
        // Not by where its keys of Devices begin and end: in a file of few that would tell which those are.
        if OF_DEVICES <= file.max.as_str() || (file.min <= old && old <= file.max) {
            opening.push(cache.open(&TABLE, (&file.file, &file.path), None));
        }
    }
    if !opening.is_empty() {
        keys.extend(viewers.map(|viewer| PairKey::Device(device, viewer).text()));
        keys.push(old);
    }
    let runs: Vec<_> = stream::iter(opening).buffered(RUNS_AT_ONCE).try_collect().await?;
    let mut found = Vec::new();
    for run in &runs {
        for key in &keys {
            let sheets = lookup::key_sheets(cache, run, key.as_bytes(), &[0, 1]).await?;
            found.extend(devices_in(&sheets, key.as_bytes())?);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// What the pairs of a key in some sheets lead to, ascending.
fn devices_in(sheets: &[Sheet], key: &[u8]) -> Result<Vec<DeviceId>, RunsError> {
    let mut devices = BTreeSet::new();
    for sheet in sheets {
        let rows = sheet.rows_equal(0, key)?;
        for id in sheet.texts(1, &rows)? {
            let id = id.and_then(|id| <[u8; 8]>::try_from(id).ok());
            let corrupt =
                || RunsError::Corrupt { path: sheet.path().to_owned(), why: "a pair cannot be read".into() };
            devices.insert(DeviceId::from_bytes(id.ok_or_else(corrupt)?));
        }
    }
    Ok(devices.into_iter().collect())
}
