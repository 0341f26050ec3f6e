//! How the rows of each table are ordered and merged.

use crate::access_events;
use crate::access_log;
use crate::decode::Stored;
use crate::encode;
use crate::pairs::{self, Pair};
use crate::schema::column;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{TimestampMicrosecondType, TimestampMillisecondType};
use gridtrail_access::AccessRecord;
use gridtrail_model::{Fragment, Merge};
use gridtrail_runs::{Kept, MergeKey, MergeRule, RunsError};
use std::convert::Infallible;

/// Fragments: by Device and placement time, those of one trail key merged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FragmentRule;

/// Pairs of meter point and Device: each once, with the first and last time seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairRule;

/// Events of access: by the time at which the DCC had them, identical ones once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessRule;

/// Rows of the access log: by time, and of a chain by place. All are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRule;

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

fn corrupt(path: &str) -> impl Fn() -> RunsError {
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
        let mut pairs = rows.iter().map(|row| pairs::read(row, path));
        let mut first = pairs.next().ok_or(RunsError::Internal("no row to merge"))??;
        for pair in pairs {
            let pair = pair?;
            first.first_seen = first.first_seen.min(pair.first_seen);
            first.last_seen = first.last_seen.max(pair.last_seen);
        }
        Ok(vec![Kept::Made(first)])
    }

    fn encode(&self, rows: &[Pair]) -> Result<RecordBatch, RunsError> {
        pairs::batch(rows)
    }
}

impl MergeRule for AccessRule {
    type Row = AccessRecord;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let times = batch.columns().first().and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(corrupt(path))?;
        Ok(times.values().iter().map(|time| MergeKey(None, unsigned(*time))).collect())
    }

    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<AccessRecord>>, RunsError> {
        let read = |(at, row): (usize, &RecordBatch)| Some((access_events::record(row, 0)?, at));
        let read = rows.iter().enumerate().map(read);
        let mut records = read.collect::<Option<Vec<_>>>().ok_or_else(corrupt(path))?;
        records.sort_unstable();
        records.dedup_by(|(a, _), (b, _)| a == b);
        Ok(records.into_iter().map(|(_, at)| Kept::Same(at)).collect())
    }

    fn encode(&self, rows: &[AccessRecord]) -> Result<RecordBatch, RunsError> {
        access_events::batch(rows)
    }
}

impl MergeRule for LogRule {
    /// No row is made of others.
    type Row = Infallible;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let columns = access_log::Columns::of(batch).ok_or_else(corrupt(path))?;
        let key = |row| {
            let head = columns.head(row)?;
            let (place, seq) = access_log::place(head.at.millis(), head.chain, head.seq);
            Some(MergeKey(Some(place), seq))
        };
        (0..batch.num_rows()).map(key).collect::<Option<_>>().ok_or_else(corrupt(path))
    }

    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<Infallible>>, RunsError> {
        let chain =
            |(at, row): (usize, &RecordBatch)| Some((access_log::Columns::of(row)?.head(0)?.chain, at));
        let chains = rows.iter().enumerate().map(chain).collect::<Option<Vec<_>>>();
        let mut chains = chains.ok_or_else(corrupt(path))?;
        chains.sort_unstable();
        Ok(chains.into_iter().map(|(_, at)| Kept::Same(at)).collect())
    }

    fn encode(&self, rows: &[Infallible]) -> Result<RecordBatch, RunsError> {
        match rows.first() {
            None => access_log::batch(&[]),
            Some(never) => match *never {},
        }
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
