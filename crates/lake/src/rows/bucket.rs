//! The buckets of fragments: by the bytes of their Device, and of one without a Device by those of its id.

use crate::rows::decode::Stored;
use crate::rows::packed;
use crate::rows::schema::column;
use arrow::array::{Array, AsArray, RecordBatch};
pub(crate) use gridtrail_runs::Bucket;
use gridtrail_runs::{RunsError, bucket};

/// The rows of a batch of fragments, by the bucket that they are of, for the buckets that are wanted.
pub(crate) fn split(
    batch: &RecordBatch,
    of: u32,
    wanted: impl Fn(u32) -> bool,
) -> Result<Vec<(u32, RecordBatch)>, RunsError> {
    bucket::split(batch, of_rows(batch, of)?, wanted)
}

/// The bucket of each row of a batch of fragments.
pub(crate) fn of_rows(batch: &RecordBatch, of: u32) -> Result<Vec<u32>, RunsError> {
    let device = batch.columns().get(column::DEVICE).and_then(|column| column.as_binary_opt::<i32>());
    let device = device.ok_or(RunsError::Internal("a batch of fragments lacks its key columns"))?;
    let bucket = |row: usize| {
        if device.is_valid(row) {
            return Ok(Bucket::of_key(device.value(row), of).number);
        }
        let key = Stored::of(batch, row, "rows to be sorted into buckets")?.key()?;
        Ok(Bucket::of_key(&packed::id_bytes(&key), of).number)
    };
    (0..batch.num_rows()).map(bucket).collect()
}
