//! How fragments are ordered and merged, and what the rules of other tables have in common with that.

use crate::rows::decode::Stored;
use crate::rows::encode;
use crate::rows::schema::column;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use gridtrail_model::{Fragment, Merge};
use gridtrail_runs::{Kept, MergeKey, MergeRule, RunsError};

/// Fragments: by Device and placement time, those of one trail key merged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FragmentRule;

/// Bytes as a number in the same order. At most 16 of them count; no key of ours is longer.
pub(crate) fn ordered(bytes: &[u8]) -> u128 {
    let mut padded = [0; 16];
    let length = bytes.len().min(16);
    padded[..length].copy_from_slice(&bytes[..length]);
    u128::from_be_bytes(padded)
}

/// A signed number as an unsigned one in the same order.
pub(crate) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// That the keys of a file cannot be read.
pub(crate) fn corrupt(path: &str) -> impl Fn() -> RunsError {
    move || RunsError::Corrupt { path: path.to_owned(), why: "a key column is of another type".to_owned() }
}

impl MergeRule for FragmentRule {
    type Row = Fragment;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let device = batch.columns().get(column::DEVICE).and_then(|column| column.as_binary_opt::<i32>());
        let received = batch.columns().get(column::RECEIVED);
        let received = received.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>());
        let device = device.ok_or_else(corrupt(path))?;
        let received = received.ok_or_else(corrupt(path))?;
        let key = |row| {
            let device = device.is_valid(row).then(|| ordered(device.value(row)));
            MergeKey(device, unsigned(received.value(row)))
        };
        Ok((0..batch.num_rows()).map(key).collect())
    }

    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<Fragment>>, RunsError> {
        let mut fragments = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            fragments.push((at, Stored::of(row, 0, path)?.fragment()?));
        }
        fragments.sort_by_key(|(_, fragment)| fragment.key);
        let mut kept = Vec::new();
        let mut rest = fragments.into_iter().peekable();
        while let Some((at, mut fragment)) = rest.next() {
            let mut merged = false;
            while let Some((_, other)) = rest.next_if(|(_, other)| other.key == fragment.key) {
                fragment.merge(other);
                merged = true;
            }
            kept.push(if merged { Kept::Made(fragment) } else { Kept::Same(at) });
        }
        Ok(kept)
    }

    fn encode(&self, rows: &[Fragment]) -> Result<RecordBatch, RunsError> {
        encode::batch(&rows.iter().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_compare_as_what_they_stand_for(
            a in prop::collection::vec(any::<u8>(), 8),
            b in prop::collection::vec(any::<u8>(), 8),
            times: (i64, i64),
        ) {
            prop_assert_eq!(ordered(&a).cmp(&ordered(&b)), a.cmp(&b));
            prop_assert_eq!(unsigned(times.0).cmp(&unsigned(times.1)), times.0.cmp(&times.1));
        }

        #[test]
        fn meter_points_compare_as_texts(a in "[0-9]{6,13}", b in "[0-9]{6,13}") {
            prop_assert_eq!(ordered(a.as_bytes()).cmp(&ordered(b.as_bytes())), a.cmp(&b));
        }
    }
}
