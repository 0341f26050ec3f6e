//! The rows of a run of fragments, read from front to back.

use crate::rows::anchor;
use crate::rows::bucket;
use crate::rows::decode::Stored;
use crate::rows::run::{FragmentSummary, RunFile, RunSummary};
use crate::rows::schema::column;
use crate::rows::viewers::Viewers;
use crate::tables::check::{FileCheck, Sample, each_batch};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use deltalake_core::Path;
use gridtrail_model::{DeviceId, Timestamp, TrailKey};
use gridtrail_runs::{OpenRun, RunsError, Summary as _, lookup};
use std::sync::Arc;

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
}

/// Reads a run of fragments, and takes Devices of it into the sample.
pub(crate) async fn fragments(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let file = &RunFile::new(Arc::clone(of.file), of.path.clone())?;
    let FileCheck { cache, rows, sample, .. } = of;
    let run = file.open(cache).await?;
    let summary = FragmentSummary::new(file.file.month.clone(), file.summary.bucket, None);
    let mut reading = Reading { file, run: Arc::clone(&run), summary, last: None };
    *rows += each_batch(cache, &run, |at, batch| reading.take(at, batch, sample)).await?;
    reading.end()
}

impl Reading<'_> {
    fn corrupt(&self, why: impl Into<String>) -> RunsError {
        corrupt(&self.file.path, why)
    }

    /// `at` is the row group, and the number of the first of these rows in it.
    fn take(
        &mut self,
        at: (usize, usize),
        batch: &RecordBatch,
        sample: &mut Sample,
    ) -> Result<(), RunsError> {
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
        self.check_found(at, batch)?;
        self.summary.add(batch)
    }

    /// Every row is one that a look-up comes to.
    fn check_found(&self, (group, first): (usize, usize), batch: &RecordBatch) -> Result<(), RunsError> {
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
