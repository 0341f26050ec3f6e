//! The rows of one file, read from front to back.

use super::{FileCheck, Sample};
use crate::access_log;
use crate::anchor;
use crate::bucket;
use crate::decode::Stored;
use crate::month::Month;
use crate::pairs;
use crate::run::{FragmentSummary, RunSummary};
use crate::schema::column;
use crate::snapshot::RunFile;
use crate::viewers::Viewers;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use deltalake_core::Path;
use gridtrail_model::{DeviceId, Timestamp, TrailKey};
use gridtrail_runs::{KeyedFile, OpenRun, RunsError, Scan, Summary as _, lookup};
use std::sync::Arc;

/// Reads the rows of a file of the access log, counts them, and gathers what they say of others.
pub(crate) async fn access_log(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let FileCheck { cache, table, file, path, rows, witnesses, .. } = of;
    let month = access_log::month_of(file);
    let mut scan = Scan::new(cache.clone(), cache.open(table, (file, path), None).await?);
    let (mut count, mut last) = (0, None);
    while let Some(batch) = scan.next().await? {
        for row in access_log::rows(&batch, path.as_ref())? {
            let place = access_log::place(row.entry.at.millis(), row.chain, row.seq);
            if last.is_some_and(|last| place < last) {
                return Err(corrupt(path, "its rows of the access log are not in order"));
            }
            if month != Some(Month::of(row.entry.at)) {
                return Err(corrupt(path, "a row of the access log lies in another month than its own"));
            }
            witnesses.take(&row);
            (count, last) = (count + 1, Some(place));
        }
    }
    match access_log::LogSummary::of(file) {
        Some(summary) if summary.rows != count => {
            let said = summary.rows;
            Err(corrupt(path, format!("it has {count} rows, and its log says {said}")))
        }
        // Files of others say nothing: what they did to the chains is told by those.
        _ => {
            *rows = count;
            Ok(())
        }
    }
}

fn corrupt(path: &Path, why: impl Into<String>) -> RunsError {
    RunsError::Corrupt { path: path.to_string(), why: why.into() }
}

/// A row's whole place in the order of a run.
type Place = (Option<DeviceId>, Timestamp, TrailKey);

/// A run of fragments, as far as it was read.
struct Reading<'a> {
    file: &'a RunFile,
    run: Arc<OpenRun>,
    /// What a writer would say of it.
    summary: FragmentSummary,
    last: Option<Place>,
    /// The row group, and how many of its rows were read.
    at: (usize, usize),
}

/// Reads a run of fragments, and takes Devices of it into the sample.
pub(crate) async fn fragments(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let file = &RunFile::new(Arc::clone(of.file), of.path.clone())?;
    let FileCheck { cache, rows, sample, .. } = of;
    let run = file.open(cache).await?;
    let summary = FragmentSummary::new(file.file.month.clone(), file.summary.bucket, None);
    let mut scan = Scan::new(cache.clone(), Arc::clone(&run));
    let mut reading = Reading { file, run, summary, last: None, at: (0, 0) };
    while let Some(batch) = scan.next().await? {
        if reading.at.0 != scan.group() {
            reading.at = (scan.group(), 0);
        }
        reading.take(&batch, sample)?;
        *rows += batch.num_rows() as u64;
    }
    reading.end()
}

impl Reading<'_> {
    fn corrupt(&self, why: impl Into<String>) -> RunsError {
        corrupt(&self.file.path, why)
    }

    fn take(&mut self, batch: &RecordBatch, sample: &mut Sample) -> Result<(), RunsError> {
        let buckets = self.file.summary.bucket.map(|bucket| bucket::of_rows(batch, bucket.of)).transpose()?;
        for row in 0..batch.num_rows() {
            let fragment = Stored::of(batch, row, self.file.path.as_ref())?.fragment()?;
            let placement = fragment.placement().ok_or_else(|| self.corrupt("a row has no place"))?;
            let place = (anchor::of_fragment(&fragment), placement, fragment.key);
            if self.last.is_some_and(|last| last >= place) {
                let twice = self.last == Some(place);
                return Err(self.corrupt(if twice {
                    "a row is there twice"
                } else {
                    "its rows are not in order"
                }));
            }
            if self.file.file.month.as_ref().is_some_and(|month| *month != placement.month()) {
                return Err(self.corrupt(format!("a row of {} lies in another month", placement.month())));
            }
            let bucket = buckets.as_ref().and_then(|buckets| buckets.get(row)).copied();
            if bucket != self.file.summary.bucket.map(|bucket| bucket.number) {
                return Err(self.corrupt("a row lies in another bucket than its own"));
            }
            if let Some(device) = place.0 {
                sample.add(device);
            }
            self.last = Some(place);
        }
        self.check_found(batch)?;
        self.summary.add(batch)?;
        self.at.1 += batch.num_rows();
        Ok(())
    }

    /// Every row is one that a look-up comes to.
    fn check_found(&self, batch: &RecordBatch) -> Result<(), RunsError> {
        let wrong = || self.corrupt("a key column is of another type");
        let binary = batch.columns().get(column::DEVICE).and_then(|column| column.as_binary_opt::<i32>());
        let devices = binary.ok_or_else(wrong)?;
        let counters = batch.columns().get(column::FOREIGN_COUNTER);
        let counters =
            counters.and_then(|column| column.as_primitive_opt::<Int64Type>()).ok_or_else(wrong)?;
        if let Some(viewers) = self.run.note::<Viewers>()
            && !viewers.let_through(batch)?
        {
            return Err(self.corrupt("the filter of its viewers hides a row"));
        }
        let (group, first) = self.at;
        let foreign = self.run.bloom(column::FOREIGN_COUNTER, group);
        let rows = batch.num_rows();
        for row in 0..rows {
            // Rows of one Device lie together: its first and last say it for those between.
            let same = |other: usize| other < rows && devices.value(other) == devices.value(row);
            let between = row > 0 && same(row - 1) && same(row + 1);
            if devices.is_valid(row)
                && !between
                && !lookup::comes_to(&self.run, group, first + row, devices.value(row))
            {
                return Err(self.corrupt("its bloom filter or page index hides a row"));
            }
            if counters.is_valid(row) && foreign.is_some_and(|bloom| !bloom.check(&counters.value(row))) {
                return Err(self.corrupt("its bloom filter of counters hides a row"));
            }
        }
        Ok(())
    }

    /// What was read is what the log and the footer say.
    fn end(self) -> Result<(), RunsError> {
        let footer = self.run.metadata.metadata().file_metadata().num_rows();
        let (read, said) = (self.summary.summary(), &self.file.summary);
        if u64::try_from(footer).ok() != Some(said.rows) {
            return Err(
                self.corrupt(format!("its footer has {footer} rows, and its log entry {}", said.rows))
            );
        }
        let of = |summary: &RunSummary| {
            let RunSummary { rows, min_device, max_device, min_received_ms, max_received_ms, .. } = summary;
            (*rows, min_device.clone(), max_device.clone(), *min_received_ms, *max_received_ms)
        };
        let recorded = match said.min_recorded_ms {
            Some(_) => {
                (read.min_recorded_ms, read.max_recorded_ms) == (said.min_recorded_ms, said.max_recorded_ms)
            }
            None => read.max_recorded_ms <= said.max_recorded_ms,
        };
        // One that lists fewer shows to everybody what is their own User's alone.
        let listed = match (read.closing(), said.closing()) {
            (Some(read), Some(said)) => read.iter().all(|target| said.contains(target)),
            (_, said) => said.is_none(),
        };
        if of(read) != of(said) || !recorded || !listed {
            return Err(self.corrupt(format!("its rows come to {read:?}, and its log entry says {said:?}")));
        }
        Ok(())
    }
}

/// Reads a file of pairs.
pub(crate) async fn pairs(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let file = &KeyedFile::new(of.file, of.path.clone());
    let FileCheck { cache, table, rows, .. } = of;
    let run = cache.open(table, (&file.file, &file.path), None).await?;
    let mut scan = Scan::new(cache.clone(), Arc::clone(&run));
    let mut first: Option<String> = None;
    let mut last: Option<(String, DeviceId)> = None;
    let mut at = (0, 0);
    while let Some(batch) = scan.next().await? {
        if at.0 != scan.group() {
            at = (scan.group(), 0);
        }
        for row in 0..batch.num_rows() {
            let pair = pairs::read(&batch.slice(row, 1), file.path.as_ref())?;
            let place = (pair.mpxn, pair.device);
            if last.as_ref().is_some_and(|last| *last >= place) {
                return Err(corrupt(&file.path, "its pairs are not in order"));
            }
            if !lookup::comes_to(&run, at.0, at.1 + row, place.0.as_bytes()) {
                return Err(corrupt(&file.path, "its bloom filter or page index hides a pair"));
            }
            first.get_or_insert_with(|| place.0.clone());
            last = Some(place);
        }
        at.1 += batch.num_rows();
        *rows += batch.num_rows() as u64;
    }
    let range = (first.unwrap_or_default(), last.map(|(mpxn, _)| mpxn).unwrap_or_default());
    if file.range != Some(range) {
        return Err(corrupt(&file.path, "its meter points are not in the range that its log entry says"));
    }
    Ok(())
}
