//! One row a key, where rows are written anew: the merged rows of some runs, with those of a Device that share a key made one.
//!
//! The k-way merge joins what lies at one place. Where batches claimed different receipt times for one key, its fragments lie at each of
//! them, among the rows of the same Device. So rows pass here a Device at a time; their prints tell which may share a key, and only
//! those are decoded. A Device's rows are held back until the next Device begins, up to [`HELD_ROWS`].

use crate::limits::HELD_ROWS;
use crate::rows::anchor;
use crate::rows::decode::Stored;
use crate::rows::encode;
use crate::rows::packed;
use crate::rows::rule::FragmentRule;
use crate::rows::schema::column;
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::TimestampMillisecondType;
use gridtrail_model::{Fragment, Merge as _, Timestamp, TrailKey};
use gridtrail_runs::{Merge, OpenRun, RunCache, RunsError};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Rows to be written anew, in the order of a run.
pub(crate) struct OneRow {
    merge: Merge<FragmentRule>,
    /// Whether rows of one key are made one at all.
    joins: bool,
    /// The last Device's rows so far.
    held: Vec<RecordBatch>,
    ready: VecDeque<RecordBatch>,
    /// Rows that were made one at another time than some of their fragments lay, as far as links lead to them.
    moved: Vec<Fragment>,
}

impl OneRow {
    /// The merged rows of some runs; with `joins`, one of each Device and key.
    pub(crate) async fn new(
        cache: &RunCache,
        runs: Vec<Arc<OpenRun>>,
        joins: bool,
    ) -> Result<Self, RunsError> {
        let merge = Merge::new(FragmentRule, cache, runs).await?;
        Ok(Self { merge, joins, held: Vec::new(), ready: VecDeque::new(), moved: Vec::new() })
    }

    /// Rows read so far.
    pub(crate) fn rows_in(&self) -> u64 {
        self.merge.rows_in()
    }

    /// Rows that lie at another time than some of their fragments did, of those that are found by what they name beside what they lie
    /// under: there is to be a way to them where they lie now.
    pub(crate) fn into_moved(self) -> Vec<Fragment> {
        self.moved
    }

    /// The next rows, in order; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, RunsError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            match self.merge.next().await? {
                Some(batch) if self.joins => self.take(batch)?,
                Some(batch) => return Ok(Some(batch)),
                None if self.held.is_empty() => return Ok(None),
                None => self.let_go()?,
            }
        }
    }

    fn take(&mut self, batch: RecordBatch) -> Result<(), RunsError> {
        let devices = binary(&batch, column::DEVICE)?;
        let rows = batch.num_rows();
        let same = match self.held.last() {
            Some(held) => {
                let last = binary(held, column::DEVICE)?;
                let last = value(last, last.len() - 1);
                (0..rows).position(|row| value(devices, row) != last).unwrap_or(rows)
            }
            None => 0,
        };
        if same > 0 {
            self.held.push(batch.slice(0, same));
        }
        let held: usize = self.held.iter().map(RecordBatch::num_rows).sum();
        if same < rows || held >= HELD_ROWS {
            self.let_go()?;
        }
        if same < rows {
            let last = value(devices, rows - 1);
            let start =
                (same..rows).rposition(|row| value(devices, row) != last).map_or(same, |row| same + row + 1);
            if start > same {
                let batch = joined(&batch.slice(same, start - same), &mut self.moved)?;
                self.ready.push_back(batch);
            }
            self.held.push(batch.slice(start, rows - start));
        }
        Ok(())
    }

    /// Hands on what is held.
    fn let_go(&mut self) -> Result<(), RunsError> {
        let held = std::mem::take(&mut self.held);
        let batch = match held.as_slice() {
            [] => return Ok(()),
            [one] => joined(one, &mut self.moved)?,
            [first, ..] => {
                let failed = |_| RunsError::Internal("rows of a Device could not be put together");
                joined(&concat_batches(&first.schema(), &held).map_err(failed)?, &mut self.moved)?
            }
        };
        self.ready.push_back(batch);
        Ok(())
    }
}

fn binary(batch: &RecordBatch, number: usize) -> Result<&BinaryArray, RunsError> {
    let column = batch.columns().get(number).and_then(|column| column.as_binary_opt::<i32>());
    column.ok_or(RunsError::Internal("a batch of fragments lacks its key columns"))
}

fn value(column: &BinaryArray, row: usize) -> Option<&[u8]> {
    column.is_valid(row).then(|| column.value(row))
}

/// A batch of whole Devices, with rows of one key made one. Those to which links lead go into `moved`, too.
fn joined(batch: &RecordBatch, moved: &mut Vec<Fragment>) -> Result<RecordBatch, RunsError> {
    let rows = batch.num_rows();
    let devices = binary(batch, column::DEVICE)?;
    let mut prints = Prints::of(batch)?;
    // Which row each goes into: itself, nearly always.
    let mut into: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < rows {
        let device = value(devices, start);
        let end = (start + 1..rows).find(|row| value(devices, *row) != device).unwrap_or(rows);
        for alike in prints.alike(start..end)? {
            if into.is_empty() {
                into.extend(0..rows);
            }
            of_one_key(batch, &alike, &mut into)?;
        }
        start = end;
    }
    if into.iter().enumerate().all(|(row, first)| row == *first) {
        Ok(batch.clone())
    } else {
        put_together(batch, &into, moved)
    }
}

/// Has rows that share a key go into the first of them. They ascend by time, so that is where the whole row lies.
fn of_one_key(batch: &RecordBatch, alike: &[usize], into: &mut [usize]) -> Result<(), RunsError> {
    let mut keys: Vec<(TrailKey, usize)> = Vec::with_capacity(alike.len());
    for row in alike {
        keys.push((Stored::of(batch, *row, MERGED)?.key()?, *row));
    }
    keys.sort_unstable();
    for same in keys.chunk_by(|a, b| a.0 == b.0) {
        same.iter().for_each(|(_, row)| into[*row] = same[0].1);
    }
    Ok(())
}

/// What rows are called in errors.
const MERGED: &str = "rows that are written anew";

fn put_together(
    batch: &RecordBatch,
    into: &[usize],
    moved: &mut Vec<Fragment>,
) -> Result<RecordBatch, RunsError> {
    let mut whole: Vec<Option<Fragment>> = Vec::new();
    whole.resize_with(into.len(), || None);
    for (row, first) in into.iter().enumerate().filter(|(row, first)| row != *first) {
        let fragment = Stored::of(batch, row, MERGED)?.fragment()?;
        match &mut whole[*first] {
            Some(known) => known.merge(fragment),
            unread => {
                let mut known = Stored::of(batch, *first, MERGED)?.fragment()?;
                known.merge(fragment);
                *unread = Some(known);
            }
        }
    }
    let mut made = Vec::new();
    let mut places = Vec::with_capacity(into.len());
    for (row, first) in into.iter().enumerate().filter(|(row, first)| row == *first) {
        match &whole[*first] {
            Some(fragment) => {
                places.push((1, made.len()));
                made.push(fragment);
            }
            None => places.push((0, row)),
        }
    }
    moved.extend(made.iter().filter(|row| anchor::has_links(row)).map(|row| Fragment::clone(row)));
    let made = encode::batch(&made)?;
    interleave_record_batch(&[batch, &made], &places)
        .map_err(|_| RunsError::Internal("rows that were made one could not be put in their places"))
}

/// The prints of a batch's rows, read as far as they are asked for.
struct Prints<'a> {
    user: &'a BinaryArray,
    shape: &'a BinaryArray,
    tail: &'a BinaryArray,
    received: &'a arrow::array::PrimitiveArray<TimestampMillisecondType>,
    sorted: Vec<u64>,
}

impl<'a> Prints<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, RunsError> {
        let received = batch.columns().get(column::RECEIVED);
        let received = received.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>());
        Ok(Self {
            user: binary(batch, column::USER)?,
            shape: binary(batch, column::SHAPE)?,
            tail: binary(batch, column::TAIL)?,
            received: received.ok_or(RunsError::Internal("a batch of fragments lacks its key columns"))?,
            sorted: Vec::new(),
        })
    }

    fn at(&self, row: usize) -> Option<u64> {
        let user = self.user.value(row).try_into().ok()?;
        let placement = Timestamp::from_millis(self.received.value(row))?;
        packed::Print::read((self.shape.value(row), self.tail.value(row)), user, placement)
            .map(|print| print.key)
    }

    /// Of some rows, those that look alike, ascending. Next to nothing for a single row.
    fn alike(&mut self, rows: Range<usize>) -> Result<Vec<Vec<usize>>, RunsError> {
        if rows.len() < 2 {
            return Ok(Vec::new());
        }
        self.sorted.clear();
        for row in rows.clone() {
            let print = self.at(row).ok_or_else(|| RunsError::Corrupt {
                path: MERGED.to_owned(),
                why: "a row's key cannot be read".to_owned(),
            })?;
            self.sorted.push(print);
        }
        self.sorted.sort_unstable();
        // Nearly always no two are.
        if self.sorted.windows(2).all(|pair| pair[0] != pair[1]) {
            return Ok(Vec::new());
        }
        let mut order: Vec<(Option<u64>, usize)> = rows.map(|row| (self.at(row), row)).collect();
        order.sort_unstable();
        let alike = order.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
        Ok(alike.map(|alike| alike.iter().map(|(_, row)| *row).collect()).collect())
    }
}
