//! Reading a file of a table from front to back, to hold its rows against what they must be.

use arrow::array::RecordBatch;
use bytes::Bytes;
use deltalake_core::Path;
use gridtrail_access_log::Witnesses;
use gridtrail_model::DeviceId;
use gridtrail_runs::{Definition, OpenRun, RunCache, RunsError, Scan, TableFile};
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh64::xxh64;

/// A file of a table whose rows are read.
pub(crate) struct FileCheck<'a> {
    pub(crate) cache: &'a RunCache,
    pub(crate) table: &'static Definition,
    pub(crate) file: &'a Arc<TableFile>,
    pub(crate) path: &'a Path,
    /// How many rows were read.
    pub(crate) rows: u64,
    /// Devices of which all fragments are merged in several orders.
    pub(crate) sample: &'a mut Sample,
    /// What rows of the access log say of others.
    pub(crate) witnesses: &'a mut Witnesses,
}

impl FileCheck<'_> {
    /// The file as a whole.
    pub(crate) async fn bytes(&self) -> Result<Bytes, RunsError> {
        let bytes = self.cache.fetch(self.path, &(0..self.file.size)).await?;
        self.table.check_file(self.path, &bytes)?;
        Ok(bytes)
    }

    /// Reads a file that fits into memory as a whole, and counts its rows. Gives what was read.
    pub(crate) async fn whole<T>(
        &mut self,
        read: impl FnOnce(Bytes, &str) -> Result<Vec<T>, RunsError>,
    ) -> Result<Vec<T>, RunsError> {
        let rows = read(self.bytes().await?, self.path.as_ref())?;
        self.rows = rows.len() as u64;
        Ok(rows)
    }

    /// That the file is damaged.
    pub(crate) fn corrupt(&self, why: impl Into<String>) -> RunsError {
        RunsError::Corrupt { path: self.path.to_string(), why: why.into() }
    }
}

/// Reads a run batch by batch, from front to back. `take` gets each with its row group and the number of its first row in that. Returns how many rows
/// there were.
pub(crate) async fn each_batch(
    cache: &RunCache,
    run: &Arc<OpenRun>,
    mut take: impl FnMut((usize, usize), &RecordBatch) -> Result<(), RunsError>,
) -> Result<u64, RunsError> {
    let mut scan = Scan::new(cache.clone(), Arc::clone(run));
    let (mut rows, mut at) = (0, (0, 0));
    while let Some(batch) = scan.next().await? {
        if at.0 != scan.group() {
            at = (scan.group(), 0);
        }
        take(at, &batch)?;
        at.1 += batch.num_rows();
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

/// Not the seed of the buckets: the sample is to come from all of them.
const SEED: u64 = 1;

/// A sample of Devices, by their hash.
pub(crate) struct Sample {
    size: usize,
    devices: BTreeMap<u64, DeviceId>,
}

impl Sample {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, devices: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, device: DeviceId) {
        let hash = xxh64(&device.to_bytes(), SEED);
        let full = self.devices.len() >= self.size;
        if full && self.devices.last_key_value().is_none_or(|(last, _)| *last <= hash) {
            return;
        }
        self.devices.insert(hash, device);
        if self.devices.len() > self.size {
            self.devices.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.devices.into_values().for_each(|device| self.add(device));
    }

    /// Its Devices.
    pub(crate) fn into_devices(self) -> impl Iterator<Item = DeviceId> {
        self.devices.into_values()
    }
}
