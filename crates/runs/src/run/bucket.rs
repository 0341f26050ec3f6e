//! Buckets: the parts of a month into which compaction sorts rows by their first key column, so that a look-up touches few of a
//! month's runs.

use crate::definition::MONTH;
use crate::error::RunsError;
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take_record_batch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh64::xxh64;

/// One bucket of so many. A run keeps how many there were when it was written, so that another number of buckets can be
/// chosen without touching it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// Its number, from 0 on.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Bucket {
    /// The bucket of a key: XXH64 with seed 0 over its bytes.
    pub fn of_key(key: &[u8], of: u32) -> Self {
        let of = of.max(1);
        // The remainder of a division by 32 bits has 32 bits.
        let number = u32::try_from(xxh64(key, 0) % u64::from(of)).unwrap_or(0);
        Self { number, of }
    }

    /// Where a new run of the bucket lies in its table.
    pub fn run_path(self, month: Option<&str>) -> String {
        let Self { number, of } = self;
        in_month(month, &format!("l1-{number:04}of{of:04}"))
    }
}

/// Where a new run of level 0 lies in its table.
pub fn level_0_path(month: Option<&str>) -> String {
    in_month(month, "l0")
}

fn in_month(month: Option<&str>, level: &str) -> String {
    let folder = month.map_or_else(String::new, |month| format!("{MONTH}={month}/"));
    format!("{folder}{level}-{}.parquet", uuid::Uuid::now_v7())
}

/// The first column of a batch, as the bytes that keys are compared by.
#[derive(Debug, Clone, Copy)]
pub enum KeyColumn<'a> {
    /// Bytes.
    Binary(&'a BinaryArray),
    /// Text.
    Text(&'a StringArray),
}

impl<'a> KeyColumn<'a> {
    /// The first column of a batch, which must be bytes or text.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, RunsError> {
        let first = batch.columns().first();
        let binary = || Some(Self::Binary(first?.as_binary_opt()?));
        let text = || Some(Self::Text(first?.as_string_opt()?));
        binary().or_else(text).ok_or(RunsError::Internal("the first column of a batch is no key"))
    }

    /// The key of a row. `None`: the row has none.
    pub fn get(self, row: usize) -> Option<&'a [u8]> {
        match self {
            Self::Binary(keys) => keys.is_valid(row).then(|| keys.value(row)),
            Self::Text(keys) => keys.is_valid(row).then(|| keys.value(row).as_bytes()),
        }
    }
}

/// The bucket of each row of a batch, of so many. A row without a key counts as one of no bytes.
pub fn of_rows(batch: &RecordBatch, of: u32) -> Result<Vec<u32>, RunsError> {
    let keys = KeyColumn::of(batch)?;
    let bucket = |row| Bucket::of_key(keys.get(row).unwrap_or_default(), of).number;
    Ok((0..batch.num_rows()).map(bucket).collect())
}

/// The rows of a batch by their bucket, for the buckets that are wanted. `buckets` says of each row which it is of.
pub fn split(
    batch: &RecordBatch,
    buckets: Vec<u32>,
    wanted: impl Fn(u32) -> bool,
) -> Result<Vec<(u32, RecordBatch)>, RunsError> {
    let mut rows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, number) in (0..).zip(buckets) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is part of the format: other numbers would send look-ups to the wrong runs.
    #[test]
    fn buckets_are_what_they_have_always_been() {
        let key = [0x02, 0x1D, 0x10, 0x83, 0xF3, 0xE7, 0x83, 0xE0];
        assert_eq!([1, 16, 64, 1_000].map(|of| Bucket::of_key(&key, of).number), [0, 9, 57, 913]);
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0u32; 16];
        for n in 0u64..16_000 {
            counts[Bucket::of_key(&n.to_be_bytes(), 16).number as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
