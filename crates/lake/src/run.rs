//! Runs: Parquet files of sorted fragments.
//!
//! A run is sorted by `(device, placement time, trail key)` (invariant **I2**): all that a look-up does rests on
//! it. Only [`SortedFragments`] can be written, and only sorting makes one.

use crate::encode;
use crate::error::LakeError;
use crate::limits::{
    BLOOM_DEVICES, BLOOM_FALSE_POSITIVES, ENCODE_ROWS, PAGE_ROWS, ROW_GROUP_ROWS, WRITE_BATCH_ROWS,
};
use crate::schema::{DICTIONARY_COLUMNS, FRAGMENTS};
use bytes::Bytes;
use gridtrail_model::{Fragment, Timestamp};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fragments in the order of a run, each with a placement time. Borrowed: a fragment is large, and sorting moves what it
/// sorts many times.
#[derive(Debug)]
pub struct SortedFragments<'a>(Vec<&'a Fragment>);

impl<'a> SortedFragments<'a> {
    /// Sorts fragments into the order of a run. One without a placement time is refused: it must be joined or
    /// parked first.
    pub fn sort(fragments: &'a [Fragment]) -> Result<Self, LakeError> {
        let mut keyed = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let placement = fragment
                .placement()
                .ok_or(LakeError::Internal("a fragment without a place cannot be sorted"))?;
            // As a number: it has the order of the bytes, and compares faster.
            let device = fragment.device.value().map(|device| u64::from_be_bytes(device.to_bytes()));
            keyed.push(((device, placement), fragment));
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

/// What a run's commit says of it, so that a look-up can pass it by without opening it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RunSummary {
    pub(crate) rows: u64,
    pub(crate) min_device: Option<String>,
    pub(crate) max_device: Option<String>,
    pub(crate) min_received_ms: i64,
    pub(crate) max_received_ms: i64,
    pub(crate) max_recorded_ms: i64,
}

impl RunSummary {
    fn of(sorted: &SortedFragments<'_>) -> Self {
        // Ascending by Device, those without one first.
        let with_device = sorted.0.partition_point(|fragment| fragment.device.value().is_none());
        let device = |fragment: &&Fragment| fragment.device.value().map(ToString::to_string);
        let mut received: Option<(Timestamp, Timestamp)> = None;
        let mut recorded: Option<Timestamp> = None;
        for fragment in &sorted.0 {
            recorded = recorded.max(Some(fragment.recorded_at_max));
            if let Some(at) = fragment.placement() {
                received = Some(received.map_or((at, at), |(min, max)| (min.min(at), max.max(at))));
            }
        }
        let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::millis);
        Self {
            rows: sorted.0.len() as u64,
            min_device: sorted.0.get(with_device).and_then(device),
            max_device: sorted.0.last().and_then(device),
            min_received_ms: millis(received.map(|(min, _)| min)),
            max_received_ms: millis(received.map(|(_, max)| max)),
            max_recorded_ms: millis(recorded),
        }
    }
}

/// The Parquet settings of a run; why each is as it is stands in `docs/performance.md`.
fn properties() -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_bloom_filter_enabled(false)
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
    // Keys are compared byte by byte in a look-up, and PLAIN is the one encoding that costs nothing to decode.
    for name in ["device_id", "user_id", "id_user", "id_target"] {
        builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::PLAIN);
    }
    for name in ["mpxn", "history_times"] {
        builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    builder = builder.set_column_encoding(ColumnPath::from("mpxn"), Encoding::DELTA_BYTE_ARRAY);
    // Varints of time differences: nothing repeats, so LZ4 finds nothing, and a Zstandard context costs a look-up
    // more than the eighth of this column that it saves is worth.
    builder = builder.set_column_compression(ColumnPath::from("history_times"), Compression::UNCOMPRESSED);
    builder.build()
}

/// Writes one run into memory. CPU-bound: about a microsecond a row.
pub(crate) fn write(fragments: &SortedFragments<'_>) -> Result<(Bytes, RunSummary), LakeError> {
    let failed = |_| LakeError::Internal("a run could not be encoded");
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(&FRAGMENTS), Some(properties())).map_err(failed)?;
    for part in fragments.0.chunks(ENCODE_ROWS) {
        writer.write(&encode::batch(part)?).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(failed)?;
    Ok((bytes.into(), RunSummary::of(fragments)))
}
