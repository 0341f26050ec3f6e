//! Runs: Parquet files of sorted fragments.
//!
//! A run is sorted by `(anchor, placement time, trail key)` (invariant **I2**): all that a look-up does rests on
//! it. Only [`SortedFragments`] can be written, and only sorting makes one.

use crate::kept_for;
use crate::limits::{BLOOM_DEVICES, BLOOM_FALSE_POSITIVES, ROW_GROUP_ROWS, WRITE_BATCH_ROWS};
use crate::rows::anchor;
use crate::rows::apart::Apart;
use crate::rows::bucket::Bucket;
use crate::rows::closing::ClosingTargets;
use crate::rows::decode::recorded_ms;
use crate::rows::encode;
use crate::rows::schema::{DICTIONARY_COLUMNS, FRAGMENTS, PACKED, column};
use crate::rows::viewers;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use deltalake_core::Path;
use gridtrail_model::{DeviceId, Fragment, Timestamp};
use gridtrail_runs::checksum::Written;
pub(crate) use gridtrail_runs::since;
use gridtrail_runs::{
    Definition, ENCODE_ROWS, Encoded, NewFile, OpenRun, PAGE_ROWS, Run as _, RunCache, RunsError, Summary,
    TableFile,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The table of runs that count.
pub(crate) static TRAILS: Definition = Definition {
    name: "trails",
    schema: &FRAGMENTS,
    by_month: true,
    format: 2,
    needs: PACKED,
    keys: &[column::DEVICE, column::FOREIGN_COUNTER],
    layout: properties,
    note: Some(viewers::NOTE),
    made_with: kept_for::made_with,
};

/// Fragments in the order of a run, each with a placement time. Borrowed: a fragment is large, and sorting moves what it
/// sorts many times.
#[derive(Debug)]
pub struct SortedFragments<'a>(Vec<&'a Fragment>);

impl<'a> SortedFragments<'a> {
    /// Sorts fragments into the order of a run. One without a placement time is refused: it must be joined or
    /// parked first.
    pub fn sort(fragments: &'a [Fragment]) -> Result<Self, RunsError> {
        let mut keyed = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let placement = fragment
                .placement()
                .ok_or(RunsError::Internal("a fragment without a place cannot be sorted"))?;
            // As a number: it has the order of the bytes, and compares faster.
            let key = anchor::of_fragment(fragment).map(|key| u64::from_be_bytes(key.to_bytes()));
            keyed.push(((key, placement), fragment));
        }
        keyed.sort_unstable_by(|(a, of_a), (b, of_b)| a.cmp(b).then_with(|| of_a.key.cmp(&of_b.key)));
        Ok(Self(keyed.into_iter().map(|(_, fragment)| fragment).collect()))
    }

    /// Splits by calendar month of the placement time, keeping the order within each.
    pub(crate) fn by_month(self) -> Vec<(String, Self)> {
        let mut months = BTreeMap::<_, Vec<&Fragment>>::new();
        for fragment in self.0 {
            let month = fragment.placement().map(Timestamp::year_and_month);
            months.entry(month).or_default().push(fragment);
        }
        let name = |fragments: &[&Fragment]| fragments.first()?.placement().map(Timestamp::month);
        months.into_values().map(|part| (name(&part).unwrap_or_default(), Self(part))).collect()
    }

    /// The fragments, in order.
    pub fn as_slice(&self) -> &[&'a Fragment] {
        &self.0
    }
}

/// What retention found when it wrote a run: until when it need not look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RetainedMark {
    /// The number of changes to legal holds by then: another one may let rows go.
    pub(crate) holds: i64,
    /// When the youngest event was recorded of the row that goes first, of those that no hold keeps.
    pub(crate) until_ms: i64,
}

/// What a run's commit says of it, so that a look-up can pass it by without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct RunSummary {
    pub(crate) rows: u64,
    pub(crate) min_device: Option<String>,
    pub(crate) max_device: Option<String>,
    pub(crate) min_received_ms: i64,
    pub(crate) max_received_ms: i64,
    /// No row has an event that was recorded later. Of runs of earlier versions, it may be later than all of them.
    pub(crate) max_recorded_ms: i64,
    /// The smallest of the times at which the youngest event of a row was recorded. `None` in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min_recorded_ms: Option<i64>,
    /// What retention found when it wrote the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retained: Option<RetainedMark>,
    /// No commit went into it that is older than this, milliseconds since the epoch, by the clock of that commit's writer. `None` where
    /// nobody kept count, as in the first format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since_ms: Option<i64>,
    /// Whether all its rows lay elsewhere before, and may be others to a look-up here: where rows were united.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) moved: bool,
    /// The bucket that all its rows are of; `None` in level 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<Bucket>,
    /// Which Devices the ids name of rows that may close others and lie elsewhere (`closing`). `None`: there are too many, or nobody
    /// looked, as in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closing_targets: Option<Vec<String>>,
    /// Bytes at the end of the file that hold its footer, with all that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) footer_bytes: Option<u64>,
}

impl RunSummary {
    fn of(sorted: &SortedFragments<'_>) -> Self {
        // Ascending by Device, those without one first.
        let with_device = sorted.0.partition_point(|fragment| anchor::of_fragment(fragment).is_none());
        let device = |fragment: &&Fragment| anchor::of_fragment(fragment).map(|key| key.to_string());
        let mut received: Option<(Timestamp, Timestamp)> = None;
        for fragment in &sorted.0 {
            if let Some(at) = fragment.placement() {
                received = Some(received.map_or((at, at), |(min, max)| (min.min(at), max.max(at))));
            }
        }
        let recorded = || sorted.0.iter().map(|fragment| fragment.recorded_at_max);
        let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::millis);
        Self {
            rows: sorted.0.len() as u64,
            min_device: sorted.0.get(with_device).and_then(device),
            max_device: sorted.0.last().and_then(device),
            min_received_ms: millis(received.map(|(min, _)| min)),
            max_received_ms: millis(received.map(|(_, max)| max)),
            max_recorded_ms: millis(recorded().max()),
            min_recorded_ms: recorded().min().map(Timestamp::millis),
            retained: None,
            since_ms: None,
            moved: false,
            bucket: None,
            closing_targets: ClosingTargets::of(sorted.0.iter().copied()).listed(),
            footer_bytes: None,
        }
    }

    /// What it says of `closing_targets`, ascending: nothing where a Device in it cannot be read.
    pub(crate) fn closing(&self) -> Option<Vec<DeviceId>> {
        self.closing_targets.as_ref()?.iter().map(|target| target.parse().ok()).collect()
    }
}

/// The only columns with an encoding of their own.
const ENCODED_COLUMNS: &[(&str, Encoding)] = &[
    ("received_at", Encoding::DELTA_BINARY_PACKED),
    ("foreign_counter", Encoding::DELTA_BINARY_PACKED),
    ("tail", Encoding::DELTA_LENGTH_BYTE_ARRAY),
];

/// The Parquet settings of a run; why each is as it is stands in `docs/performance.md`.
pub(crate) fn properties() -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_bloom_filter_enabled(false)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_created_by(concat!("gridtrail ", env!("CARGO_PKG_VERSION")).to_owned());
    for name in DICTIONARY_COLUMNS {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(*name), true);
    }
    for name in ["device_id", "received_at"] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    for name in ["device_id", "foreign_counter"] {
        let path = ColumnPath::from(name);
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path, BLOOM_DEVICES);
    }
    // Keys are compared byte by byte in a look-up, and PLAIN is the one encoding that costs next to nothing to decode. Nor does it
    // cost anything to have: each encoder of differences begins with a megabyte, which a run of few rows never fills.
    for field in FRAGMENTS.fields() {
        builder = builder.set_column_encoding(ColumnPath::from(field.name().as_str()), Encoding::PLAIN);
    }
    for (name, encoding) in ENCODED_COLUMNS {
        builder = builder.set_column_encoding(ColumnPath::from(*name), *encoding);
    }
    // Nothing in them repeats: there is nothing to find for a compressor.
    for name in ["received_at", "tail"] {
        builder = builder.set_column_compression(ColumnPath::from(name), Compression::UNCOMPRESSED);
    }
    builder.build()
}

/// Writes one run into memory. CPU-bound: about a microsecond a row.
pub(crate) fn write(fragments: &SortedFragments<'_>) -> Result<(Encoded, RunSummary), RunsError> {
    let batches = fragments.0.chunks(ENCODE_ROWS).map(encode::batch);
    let encoded = Encoded::of(&TRAILS, batches)?;
    let footer_bytes = encoded.written.tail.map(|tail| tail.bytes);
    Ok((encoded, RunSummary { footer_bytes, ..RunSummary::of(fragments) }))
}

/// How side tables are compressed: few look at them, and they are kept for long.
pub(crate) fn zstd() -> Compression {
    // There is a level 3.
    Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default())
}

/// The summary of a run of fragments that is written batch by batch.
#[derive(Debug)]
pub(crate) struct FragmentSummary {
    month: Option<String>,
    summary: RunSummary,
    closing: ClosingTargets,
}

impl FragmentSummary {
    /// Of a run of a month and bucket, with since when commits went into it.
    pub(crate) fn new(month: Option<String>, bucket: Option<Bucket>, since_ms: Option<i64>) -> Self {
        let (min_received_ms, max_received_ms, max_recorded_ms) = (i64::MAX, i64::MIN, i64::MIN);
        let none = RunSummary::default();
        Self {
            month,
            summary: RunSummary {
                min_received_ms,
                max_received_ms,
                max_recorded_ms,
                bucket,
                since_ms,
                ..none
            },
            closing: ClosingTargets::default(),
        }
    }
}

impl FragmentSummary {
    /// Of a run that is written anew, its rows as they are.
    pub(crate) fn anew(month: Option<String>, of: &RunSummary) -> Self {
        let mut anew = Self::new(month, of.bucket, of.since_ms);
        anew.keep_mark(of);
        anew
    }

    /// Has the run say what retention found. Of several findings, the one that lets a row go first counts.
    pub(crate) fn mark(&mut self, mark: RetainedMark) {
        let until_ms = self.summary.retained.map_or(mark.until_ms, |known| known.until_ms.min(mark.until_ms));
        self.summary.retained = Some(RetainedMark { until_ms, ..mark });
    }

    /// Has the run say what another said of retention, of whose rows it holds a part: none goes earlier than of those.
    pub(crate) fn keep_mark(&mut self, of: &RunSummary) {
        self.summary.retained = of.retained;
    }

    /// What was gathered so far.
    pub(crate) fn summary(&self) -> &RunSummary {
        &self.summary
    }
}

impl Summary for FragmentSummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let wrong = || RunsError::Internal("a batch of fragments lacks its key columns");
        let devices = batch.columns().get(column::DEVICE).and_then(|column| column.as_binary_opt::<i32>());
        let received = batch.columns().get(column::RECEIVED);
        let received = received.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>());
        let (devices, received) = (devices.ok_or_else(wrong)?, received.ok_or_else(wrong)?);
        let device = |row: usize| {
            let id = <[u8; 8]>::try_from(devices.value(row)).ok()?;
            devices.is_valid(row).then(|| DeviceId::from_bytes(id).to_string())
        };
        let summary = &mut self.summary;
        summary.rows += batch.num_rows() as u64;
        // Rows without a Device come first.
        if summary.min_device.is_none() && devices.null_count() < devices.len() {
            summary.min_device = device(devices.null_count());
        }
        if let Some(last) = devices.len().checked_sub(1).and_then(device) {
            summary.max_device = Some(last);
        }
        for millis in received.values() {
            summary.min_received_ms = summary.min_received_ms.min(*millis);
            summary.max_received_ms = summary.max_received_ms.max(*millis);
        }
        for millis in recorded_ms(batch, "a run that is written")? {
            summary.max_recorded_ms = summary.max_recorded_ms.max(millis);
            summary.min_recorded_ms = Some(summary.min_recorded_ms.map_or(millis, |min| min.min(millis)));
        }
        self.closing.add(batch, "a run that is written")?;
        summary.closing_targets = self.closing.listed();
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        let footer_bytes = written.tail.map(|tail| tail.bytes);
        new_file(path, self.month, written, &RunSummary { footer_bytes, ..self.summary })
    }
}

/// A file of fragments, as a commit names it.
pub(crate) fn new_file(
    path: String,
    month: Option<String>,
    written: Written,
    summary: &RunSummary,
) -> Result<NewFile, RunsError> {
    let tag =
        serde_json::to_string(summary).map_err(|_| RunsError::Internal("a summary could not be written"))?;
    let time = |ms| Timestamp::from_millis(ms).map(|t| t.to_string()).unwrap_or_default();
    let bounds = vec![("received_at", time(summary.min_received_ms), time(summary.max_received_ms))];
    Ok(NewFile { path, written, month, rows: summary.rows, tag, bounds })
}

/// A run as the log lists it.
#[derive(Debug, Clone)]
pub(crate) struct RunFile {
    pub(crate) file: Arc<TableFile>,
    pub(crate) path: Path,
    pub(crate) summary: RunSummary,
    min_device: Option<DeviceId>,
    max_device: Option<DeviceId>,
    /// What its summary says of [`RunSummary::closing_targets`], or what was read of it where that says nothing.
    pub(crate) closing: OnceCell<Vec<DeviceId>>,
    /// Which of its rows are not whole, as far as somebody looked.
    pub(crate) apart: Arc<Apart>,
}

impl RunFile {
    pub(crate) fn new(file: Arc<TableFile>, path: Path) -> Result<Self, RunsError> {
        let summary = Self::summary_of(&file)?;
        let device = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
        let (min_device, max_device) = (device(&summary.min_device), device(&summary.max_device));
        let (Ok(min_device), Ok(max_device)) = (min_device, max_device) else {
            return Err(no_summary(&file));
        };
        let closing = summary.closing().map(OnceCell::from).unwrap_or_default();
        Ok(Self { file, path, summary, min_device, max_device, closing, apart: Arc::default() })
    }

    /// The run, its footer read once. Its summary says how long that is, so one request gets all of it.
    pub(crate) async fn open(&self, cache: &RunCache) -> Result<Arc<OpenRun>, RunsError> {
        cache.open(&TRAILS, (&self.file, &self.path), self.summary.footer_bytes).await
    }

    /// What the log says of a run.
    pub(crate) fn summary_of(file: &TableFile) -> Result<RunSummary, RunsError> {
        let summary = file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok());
        summary.ok_or_else(|| no_summary(file))
    }

    /// How many bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let RunSummary { min_device, max_device, .. } = &self.summary;
        let texts = [min_device, max_device].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + self.path.as_ref().len() + texts + self.file.bytes()
    }

    /// Whether a Device lies within the run's bounds.
    pub(crate) fn may_hold(&self, device: DeviceId) -> bool {
        self.min_device.is_some_and(|min| min <= device) && self.max_device.is_some_and(|max| device <= max)
    }

    /// Whether it can hold rows of a Device.
    pub(crate) fn is_of(&self, device: DeviceId) -> bool {
        self.may_have(&device.to_bytes())
    }

    pub(crate) fn may_lie_within(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        from.is_none_or(|from| from.millis() <= self.summary.max_received_ms)
            && to.is_none_or(|to| self.summary.min_received_ms <= to.millis())
    }
}

fn no_summary(file: &TableFile) -> RunsError {
    RunsError::Corrupt { path: file.path.clone(), why: "its log entry has no summary".to_owned() }
}
