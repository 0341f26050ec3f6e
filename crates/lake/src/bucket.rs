//! Buckets: the parts of a month into which compaction sorts rows, so that a look-up touches few of a month's runs.

use crate::decode::Stored;
use crate::packed;
use crate::schema::column;
use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use gridtrail_model::DeviceId;
use gridtrail_runs::RunsError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh64::xxh64;

/// One bucket of so many. A run keeps how many there were when it was written, so that another number of buckets can be
/// chosen without touching it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl Bucket {
    /// The bucket of a Device: XXH64 with seed 0 over its eight bytes.
    pub(crate) fn of_device(device: DeviceId, of: u32) -> Self {
        Self::of_bytes(&device.to_bytes(), of)
    }

    /// Where a new run of the bucket lies in its table.
    pub(crate) fn run_path(self, month: &str) -> String {
        let Self { number, of } = self;
        format!("month={month}/l1-{number:04}of{of:04}-{}.parquet", uuid::Uuid::now_v7())
    }

    fn of_bytes(bytes: &[u8], of: u32) -> Self {
        let of = of.max(1);
        // The remainder of a division by 32 bits has 32 bits.
        let number = u32::try_from(xxh64(bytes, 0) % u64::from(of)).unwrap_or(0);
        Self { number, of }
    }
}

/// The rows of a batch of fragments, by the bucket that they are of, for the buckets that are wanted.
pub(crate) fn split(
    batch: &RecordBatch,
    of: u32,
    wanted: impl Fn(u32) -> bool,
) -> Result<Vec<(u32, RecordBatch)>, RunsError> {
    let mut rows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, number) in (0..).zip(of_rows(batch, of)?) {
        if wanted(number) {
            rows.entry(number).or_default().push(row);
        }
    }
    let take = |(number, rows): (u32, Vec<u32>)| {
        let part = take_record_batch(batch, &UInt32Array::from(rows));
        part.map(|part| (number, part))
            .map_err(|_| RunsError::Internal("rows of a bucket could not be taken"))
    };
    rows.into_iter().map(take).collect()
}

/// The bucket of each row of a batch of fragments.
pub(crate) fn of_rows(batch: &RecordBatch, of: u32) -> Result<Vec<u32>, RunsError> {
    let device = batch.columns().get(column::DEVICE).and_then(|column| column.as_binary_opt::<i32>());
    let device = device.ok_or(RunsError::Internal("a batch of fragments lacks its key columns"))?;
    let bucket = |row: usize| {
        if device.is_valid(row) {
            return Ok(Bucket::of_bytes(device.value(row), of).number);
        }
        let key = Stored::of(batch, row, "rows to be sorted into buckets")?.key()?;
        Ok(Bucket::of_bytes(&packed::id_bytes(&key), of).number)
    };
    (0..batch.num_rows()).map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is part of the format: other numbers would send look-ups to the wrong runs.
    #[test]
    fn buckets_are_what_they_have_always_been() {
        let device = DeviceId::from_bytes([0x02, 0x1D, 0x10, 0x83, 0xF3, 0xE7, 0x83, 0xE0]);
        let bucket = |of| Bucket::of_device(device, of).number;
        assert_eq!([1, 16, 64, 1_000].map(bucket), [0, 9, 57, 913]);
    }

    #[test]
    fn devices_spread_evenly() {
        let mut counts = [0u32; 16];
        for n in 0u64..16_000 {
            counts[Bucket::of_device(DeviceId::from_bytes(n.to_be_bytes()), 16).number as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
