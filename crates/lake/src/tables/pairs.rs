//! The plain (MPxN, Device) table: which Devices events named together with a meter point.
//!
//! One row for each pair and commit, with the first and last time seen; so an exchanged meter's history is found by
//! its meter point. A repeat of a batch writes the same pairs again, which changes no answer: the table may say a
//! pair twice, never miss one.
//!
//! What a row lies under need not be the Device of a meter point: a row that names no Device lies under what stands for its first one
//! (`anchor`), to which that meter point leads. To such a row its others lead by `named_rows`.
//!
//! A meter point leads whoever may search to its Devices, since other Users may have been the ones to name the two together. So
//! a search by one reads, in every file, the page where it has its place, whether or not it is there.
//!
//! Earlier builds wrote here for Devices, too, what `named_rows` is for now: for each Device that a row names beside the one that it lies
//! under, `e` and, in base64url, the print of the Device and of somebody who may see the row (`viewers`); before that `d` and the
//! Device's bytes, for whoever might ask. Those keys lie behind all digits, so that a file without any is passed by.

use crate::kept_for::{self, KeptFor};
use crate::limits::{PAIR_FALSE_POSITIVES, RUNS_AT_ONCE};
use crate::rows::anchor;
use crate::rows::rule::{corrupt, ordered};
use crate::rows::viewers::Viewer;
use crate::tables::check::{FileCheck, each_batch};
use crate::tables::layout;
use crate::tables::table::{Arriving, Gathering, LakeTable, Rewriting, SideFile};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::TryFutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_model::{DeviceId, Fragment, Mpxn, Named, Timestamp};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{
    Changes, Definition, Encoded, Kept, KeyedFile, MergeKey, MergeRule, NewFile, RunCache, RunsError, Sheet,
    Summary, gather, lookup,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
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
    made_with: kept_for::made_with,
};

/// The table of pairs.
pub(crate) struct PairTable;

#[async_trait]
impl LakeTable for PairTable {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Needed
    }

    /// What waits for its request lies under a Device already, whose pairs find it.
    fn rows_of(&self, arriving: &Arriving<'_>) -> Result<Option<SideFile>, RunsError> {
        let mut pairs = Pairs::new();
        arriving.placed.iter().for_each(|fragment| add(fragment, &mut pairs));
        if pairs.is_empty() {
            return Ok(None);
        }
        let (encoded, tag) = write(&pairs)?;
        Ok(Some(SideFile { encoded, rows: pairs.len() as u64, tag }))
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        check(file).await
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        of.by_size_since(PairRule, PairSummary::default(), seen_since).await
    }

    fn is_rewritten(&self) -> bool {
        true
    }

    async fn rewrite(&self, of: &Rewriting<'_>) -> Result<Option<Changes>, RunsError> {
        let guard = gather::moved(of.table, gather::fence(None));
        of.in_its_place(TABLE.new_path(None), PairSummary::default(), guard).await.map(Some)
    }
}

/// Pairs of meter point and Device: each once, with the first and last time seen.
#[derive(Debug, Clone, Copy)]
struct PairRule;

impl MergeRule for PairRule {
    type Row = Pair;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let mpxn = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
        let device = batch.columns().get(1).and_then(|column| column.as_binary_opt::<i32>());
        let (mpxn, device) = (mpxn.ok_or_else(corrupt(path))?, device.ok_or_else(corrupt(path))?);
        let key = |row| {
            let device = <[u8; 8]>::try_from(device.value(row)).ok()?;
            Some(MergeKey(Some(ordered(mpxn.value(row).as_bytes())), u64::from_be_bytes(device)))
        };
        (0..batch.num_rows()).map(key).collect::<Option<_>>().ok_or_else(corrupt(path))
    }

    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<Pair>>, RunsError> {
        let mut pairs = rows.iter().map(|row| read(row, path));
        let mut first = pairs.next().ok_or(RunsError::Internal("no row to merge"))??;
        for pair in pairs {
            let pair = pair?;
            first.first_seen = first.first_seen.min(pair.first_seen);
            first.last_seen = first.last_seen.max(pair.last_seen);
        }
        Ok(vec![Kept::Made(first)])
    }

    fn encode(&self, rows: &[Pair]) -> Result<RecordBatch, RunsError> {
        batch(rows)
    }
}

/// Reads a file of pairs.
async fn check(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let run = of.cache.open(&TABLE, (of.file, of.path), None).await?;
    let mut first: Option<String> = None;
    let mut last: Option<(String, DeviceId)> = None;
    let rows = each_batch(of.cache, &run, |(group, start), batch| {
        for row in 0..batch.num_rows() {
            let pair = read(&batch.slice(row, 1), of.path.as_ref())?;
            let place = (pair.mpxn, pair.device);
            if last.as_ref().is_some_and(|last| *last >= place) {
                return Err(of.corrupt("its pairs are not in order"));
            }
            if !lookup::comes_to(&run, group, start + row, place.0.as_bytes()) {
                return Err(of.corrupt("its bloom filter or page index hides a pair"));
            }
            first.get_or_insert_with(|| place.0.clone());
            last = Some(place);
        }
        Ok(())
    });
    let rows = rows.await?;
    let range = (first.unwrap_or_default(), last.map(|(mpxn, _)| mpxn).unwrap_or_default());
    if KeyedFile::new(of.file, of.path.clone()).range != Some(range) {
        return Err(of.corrupt("its meter points are not in the range that its log entry says"));
    }
    of.rows += rows;
    Ok(())
}

/// Pairs of one batch: a meter point, and the bytes of what the row lies under; with first and last time seen.
pub(crate) type Pairs = HashMap<(Mpxn, DeviceId), (Timestamp, Timestamp)>;

/// What the keys of Devices begin with, in files of earlier builds.
const OF_DEVICES: &str = "e";

/// The key of a Device's pairs, by whoever may see the rows that name it.
pub(crate) fn key_for(viewer: Viewer, device: DeviceId) -> String {
    format!("{OF_DEVICES}{}", URL_SAFE_NO_PAD.encode(viewer.print(device).to_be_bytes()))
}

/// What they began with before that.
const OF_WHOEVER: &str = "d";

/// The key of a Device's pairs in files of those builds, by whoever asked.
pub(crate) fn key_for_whoever(device: DeviceId) -> String {
    format!("{OF_WHOEVER}{}", URL_SAFE_NO_PAD.encode(device.to_bytes()))
}

/// Adds the pairs that a fragment with a place makes.
fn add(fragment: &Fragment, pairs: &mut Pairs) {
    let (Some(at), Some(under)) = (fragment.placement(), anchor::of_fragment(fragment)) else { return };
    let mut see = |mpxn, under| {
        let seen = pairs.entry((mpxn, under)).or_insert((at, at));
        *seen = (seen.0.min(at), seen.1.max(at));
    };
    for mpxn in fragment.mpxns() {
        fragment.device.iter().for_each(|device| see(mpxn, *device));
        if fragment.device.is_empty() && anchor::leads(mpxn, fragment.anchor()) {
            see(mpxn, under);
        }
    }
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
fn write(pairs: &Pairs) -> Result<(Encoded, String), RunsError> {
    let pair = |((mpxn, device), seen): (&(Mpxn, DeviceId), &(Timestamp, Timestamp))| Pair {
        mpxn: mpxn.to_string(),
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
    layout::by_key("mpxn", PAIR_FALSE_POSITIVES)
        .set_encoding(Encoding::PLAIN)
        .set_compression(Compression::LZ4_RAW)
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
        Ok(NewFile { path, written, month: None, rows: self.rows, tag, bounds: Vec::new() })
    }
}

/// Where a meter point leads.
#[derive(Debug, Default)]
pub(crate) struct OfMpxn {
    /// The bytes of what rows lie under that name it, ascending.
    pub(crate) found: Vec<DeviceId>,
    /// Where it leads nowhere, the same of the next lower meter point, or of the next higher one where none is lower.
    pub(crate) beside: Vec<DeviceId>,
}

/// Where a meter point leads, as far as that is shown. In each file the page is read where it has its place, be it there or not.
///
/// It waits for the store twice at most: for footers, and for pages.
pub(crate) async fn of_mpxn(
    cache: &RunCache,
    files: impl Iterator<Item = &KeyedFile>,
    mpxn: Mpxn,
    is_shown: impl Fn(DeviceId) -> bool,
) -> Result<OfMpxn, RunsError> {
    let key = mpxn.to_string();
    let runs = lookup::open_all(cache, &TABLE, files).await?;
    let reading: Vec<_> =
        runs.iter().map(|run| lookup::place_sheets(cache, run, key.as_bytes(), &[0, 1])).collect();
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
    // What is there and what is not cost the same: the Devices of one meter point are read, its own or those of the one beside it.
    let mut is_there = false;
    for sheet in &sheets {
        is_there |= !sheet.rows_equal(0, key.as_bytes())?.is_empty();
    }
    let mut of = OfMpxn::default();
    if is_there {
        of.found = devices_in(&sheets, key.as_bytes())?;
        of.found.retain(|under| is_shown(*under));
    }
    if let (true, Some(beside)) = (of.found.is_empty(), lower.or(higher)) {
        of.beside = devices_in(&sheets, beside)?;
    }
    Ok(of)
}

/// The bytes of what rows lie under that name each of some Devices beside it, of rows that these may see, by what earlier builds wrote;
/// ascending. Of meter points, nothing. Files without such keys cost nothing.
///
/// It waits for the store twice at most: for footers, and for pages.
pub(crate) async fn of_devices<V: Iterator<Item = Viewer>>(
    cache: &RunCache,
    files: impl Iterator<Item = &KeyedFile>,
    named: &[Named],
    (viewers, in_vain): (impl Fn() -> V, bool),
) -> Result<Vec<Vec<DeviceId>>, RunsError> {
    let mut found = vec![Vec::new(); named.len()];
    let devices = named.iter().enumerate().filter_map(|(number, named)| match named {
        // What is looked for in vain is none of all Devices.
        Named::Device(device) if in_vain => {
            Some((number, DeviceId::from_bytes(device.to_bytes().map(|byte| !byte))))
        }
        Named::Device(device) => Some((number, *device)),
        Named::Mpxn(_) => None,
    });
    // Not by where its keys of Devices begin and end: in a file of few that would tell which those are.
    let has_devices =
        |file: &&KeyedFile| file.range.as_ref().is_none_or(|(_, max)| OF_WHOEVER <= max.as_str());
    let runs = lookup::open_all(cache, &TABLE, files.filter(has_devices)).await?;
    if runs.is_empty() {
        return Ok(found);
    }
    let keys = devices.flat_map(|(number, device)| {
        let keys = viewers().map(move |viewer| key_for(viewer, device)).chain([key_for_whoever(device)]);
        keys.map(move |key| (number, key))
    });
    let keys: Vec<(usize, String)> = keys.collect();
    let wanted = runs.iter().flat_map(|run| keys.iter().map(move |key| (run, key)));
    let reading = wanted.map(|(run, (number, key))| {
        let sheets = lookup::key_sheets(cache, run, key.as_bytes(), &[0, 1]);
        sheets.map_ok(move |sheets| (*number, key, sheets))
    });
    let reading: Vec<_> = reading.collect();
    let read: Vec<_> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
    for (number, key, sheets) in read {
        found[number].extend(devices_in(&sheets, key.as_bytes())?);
    }
    for devices in &mut found {
        devices.sort_unstable();
        devices.dedup();
    }
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
