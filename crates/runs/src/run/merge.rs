//! The k-way merge: sorted runs in, one sorted stream out, rows of one key merged.
//!
//! 1. Every run is read from front to back, a row group's bytes and one decoded batch of it in memory at a time.
//! 2. The rows' sort keys alone decide what comes next. A row whose key no other row shares is copied as columns: it is
//!    never decoded.
//! 3. Rows that share a key are decoded, merged by the table's rule, and encoded again.
//! 4. Output comes in batches, in order. Copied rows are gathered by column, which is what makes step 2 cheap.
//!
//! Memory: a row group's bytes and a batch a run, and one batch of output. Nothing depends on the length of a run.

use crate::error::RunsError;
use crate::limits::{ENCODE_ROWS, READ_BATCH_ROWS};
use crate::pages::cache::{OpenRun, RunCache};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// A row's place in the order of its table, as far as the merge compares it: rows of equal keys are handed to the table's
/// rule. A missing first part comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MergeKey(pub Option<u128>, pub u64);

/// What becomes of rows that share a key.
#[derive(Debug)]
pub enum Kept<T> {
    /// This one of them stays as it is.
    Same(usize),
    /// A row that was made from several.
    Made(T),
}

/// How the rows of a table are ordered and merged.
pub trait MergeRule: Send {
    /// A row that was made from several.
    type Row: Send;

    /// The keys of a batch's rows, in order.
    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError>;

    /// Merges rows that share a key, given as batches of one row each, into what stays of them, in the order of the table.
    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<Self::Row>>, RunsError>;

    /// Columns for rows that were made.
    fn encode(&self, rows: &[Self::Row]) -> Result<RecordBatch, RunsError>;
}

/// One run, or one row group of it, read from front to back.
pub struct Scan {
    cache: RunCache,
    run: Arc<OpenRun>,
    group: usize,
    end: usize,
    decoder: Option<(ParquetPushDecoder, Range<u64>, Bytes)>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("path", &self.run.path)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl Scan {
    /// Starts at the first row.
    pub fn new(cache: RunCache, run: Arc<OpenRun>) -> Self {
        let end = run.metadata.metadata().num_row_groups();
        Self { cache, run, group: 0, end, decoder: None }
    }

    /// The rows of one row group; none where there is no such group.
    pub fn of_group(cache: RunCache, run: Arc<OpenRun>, group: usize) -> Self {
        let end = run.metadata.metadata().num_row_groups().min(group.saturating_add(1));
        Self { cache, run, group: group.min(end), end, decoder: None }
    }

    /// The number of the row group that the last batch is of.
    pub fn group(&self) -> usize {
        self.group.saturating_sub(1)
    }

    /// The next batch; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, RunsError> {
        let path = Arc::clone(&self.run.path);
        let corrupt = || RunsError::corrupt(path.as_ref().as_ref());
        loop {
            let Some((decoder, span, bytes)) = &mut self.decoder else {
                if self.group == self.end {
                    return Ok(None);
                }
                self.decoder = Some(self.open_group().await?);
                continue;
            };
            match decoder.try_decode().map_err(corrupt())? {
                DecodeResult::NeedsData(ranges) => {
                    let parts = ranges.iter().map(|range| part(&self.run, span, bytes, range));
                    let parts = parts.collect::<Result<_, _>>()?;
                    decoder.push_ranges(ranges, parts).map_err(corrupt())?;
                }
                DecodeResult::Data(batch) if batch.num_rows() == 0 => {}
                DecodeResult::Data(batch) => return Ok(Some(batch)),
                DecodeResult::Finished => self.decoder = None,
            }
        }
    }

    /// Fetches the next row group in one request.
    async fn open_group(&mut self) -> Result<(ParquetPushDecoder, Range<u64>, Bytes), RunsError> {
        let group = self.run.metadata.metadata().row_group(self.group);
        let ranges = group.columns().iter().map(|column| column.byte_range());
        let span = ranges.map(|(start, length)| start..start.saturating_add(length));
        let span = span.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
        let bytes = self.cache.fetch(&self.run.path, &span).await?;
        self.run.check_group(self.group, &span, &bytes)?;
        let decoder = ParquetPushDecoderBuilder::new_with_metadata(self.run.metadata.clone())
            .with_row_groups(vec![self.group])
            .with_batch_size(READ_BATCH_ROWS)
            .build()
            .map_err(RunsError::corrupt(self.run.path.as_ref().as_ref()))?;
        self.group += 1;
        Ok((decoder, span, bytes))
    }
}

/// Part of a row group's bytes, checked: a damaged footer can ask for bytes that no group has.
fn part(run: &OpenRun, span: &Range<u64>, bytes: &Bytes, range: &Range<u64>) -> Result<Bytes, RunsError> {
    let at = |place: u64| place.checked_sub(span.start).and_then(|at| usize::try_from(at).ok());
    match (at(range.start), at(range.end)) {
        (Some(start), Some(end)) if start <= end && end <= bytes.len() => Ok(bytes.slice(start..end)),
        _ => Err(RunsError::Corrupt {
            path: run.path.to_string(),
            why: "its footer names bytes outside of a row group".to_owned(),
        }),
    }
}

/// A run's next row.
struct Cursor {
    scan: Scan,
    keys: Vec<MergeKey>,
    row: usize,
    /// The number of the cursor's batch among those that are gathered from.
    source: usize,
}

/// Merges runs of one table.
pub struct Merge<R: MergeRule> {
    rule: R,
    cursors: Vec<Cursor>,
    next: BinaryHeap<Reverse<(MergeKey, usize)>>,
    /// Batches that output is gathered from: those of the cursors, and those that they have left since the last output.
    sources: Vec<RecordBatch>,
    /// Rows to be copied, by source and row, with places for rows that are made.
    gathered: Vec<Place>,
    made: Vec<R::Row>,
    rows_in: u64,
}

#[derive(Clone, Copy)]
enum Place {
    Copied(usize, usize),
    Made(usize),
}

impl<R: MergeRule> std::fmt::Debug for Merge<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").field("rows_in", &self.rows_in).finish_non_exhaustive()
    }
}

impl<R: MergeRule> Merge<R> {
    /// Starts to merge.
    pub async fn new(rule: R, cache: &RunCache, runs: Vec<Arc<OpenRun>>) -> Result<Self, RunsError> {
        let mut merge = Self {
            rule,
            cursors: Vec::with_capacity(runs.len()),
            next: BinaryHeap::with_capacity(runs.len()),
            sources: Vec::new(),
            gathered: Vec::with_capacity(ENCODE_ROWS),
            made: Vec::new(),
            rows_in: 0,
        };
        for run in runs {
            let scan = Scan::new(cache.clone(), run);
            merge.cursors.push(Cursor { scan, keys: Vec::new(), row: 0, source: 0 });
            merge.load(merge.cursors.len() - 1).await?;
        }
        Ok(merge)
    }

    /// Rows read so far.
    pub fn rows_in(&self) -> u64 {
        self.rows_in
    }

    /// The next rows, in order; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, RunsError> {
        while self.gathered.len() < ENCODE_ROWS {
            let Some(Reverse((key, cursor))) = self.next.pop() else { break };
            let first = self.take(cursor).await?;
            if self.next.peek().is_none_or(|Reverse((next, _))| *next != key) {
                self.gathered.push(Place::Copied(first.0, first.1));
                continue;
            }
            let mut shared = vec![first];
            while let Some(Reverse((next, cursor))) = self.next.peek().copied()
                && next == key
            {
                self.next.pop();
                shared.push(self.take(cursor).await?);
            }
            self.merge_shared(&shared)?;
        }
        if self.gathered.is_empty() { Ok(None) } else { self.output().map(Some) }
    }

    /// Takes the row that a cursor stands at, and moves the cursor on.
    async fn take(&mut self, cursor: usize) -> Result<(usize, usize), RunsError> {
        self.rows_in += 1;
        let at = &mut self.cursors[cursor];
        let place = (at.source, at.row);
        at.row += 1;
        if at.row < at.keys.len() {
            let key = at.keys[at.row];
            self.next.push(Reverse((key, cursor)));
        } else {
            self.load(cursor).await?;
        }
        Ok(place)
    }

    /// Loads a cursor's next batch.
    async fn load(&mut self, cursor: usize) -> Result<(), RunsError> {
        let at = &mut self.cursors[cursor];
        let Some(batch) = at.scan.next().await? else { return Ok(()) };
        let path = at.scan.run.path.as_ref().as_ref();
        at.keys = self.rule.keys(&batch, path)?;
        // A run that is not sorted would come out unsorted, and lose rows to look-ups without a trace.
        if !at.keys.is_sorted() {
            return Err(RunsError::Corrupt {
                path: path.to_owned(),
                why: "its rows are not in order".to_owned(),
            });
        }
        at.row = 0;
        at.source = self.sources.len();
        self.sources.push(batch);
        self.next.push(Reverse((at.keys[0], cursor)));
        Ok(())
    }

    fn merge_shared(&mut self, shared: &[(usize, usize)]) -> Result<(), RunsError> {
        let rows: Vec<RecordBatch> =
            shared.iter().map(|(source, row)| self.sources[*source].slice(*row, 1)).collect();
        let path = self.cursors.first().map_or("", |cursor| cursor.scan.run.path.as_ref().as_ref());
        for kept in self.rule.merge(&rows, path)? {
            match kept {
                Kept::Same(at) => self.gathered.push(Place::Copied(shared[at].0, shared[at].1)),
                Kept::Made(row) => {
                    self.gathered.push(Place::Made(self.made.len()));
                    self.made.push(row);
                }
            }
        }
        Ok(())
    }

    /// Gathers what was taken into one batch.
    fn output(&mut self) -> Result<RecordBatch, RunsError> {
        let failed = |_| RunsError::Internal("merged rows could not be gathered");
        let made_at = self.sources.len();
        if !self.made.is_empty() {
            self.sources.push(self.rule.encode(&std::mem::take(&mut self.made))?);
        }
        let places: Vec<(usize, usize)> = self
            .gathered
            .drain(..)
            .map(|place| match place {
                Place::Copied(source, row) => (source, row),
                Place::Made(row) => (made_at, row),
            })
            .collect();
        let batch = if let [only] = self.sources.as_slice() {
            // One run alone: its rows in order.
            let rows = places.iter().map(|(_, row)| u32::try_from(*row).unwrap_or(u32::MAX));
            take_record_batch(only, &UInt32Array::from_iter_values(rows)).map_err(failed)?
        } else {
            interleave_record_batch(&self.sources.iter().collect::<Vec<_>>(), &places).map_err(failed)?
        };
        self.forget();
        Ok(batch)
    }

    /// Drops the batches that no cursor stands in any more.
    fn forget(&mut self) {
        let mut kept = Vec::with_capacity(self.cursors.len());
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.row < cursor.keys.len()) {
            kept.push(self.sources[cursor.source].clone());
            cursor.source = kept.len() - 1;
        }
        self.sources = kept;
    }
}
