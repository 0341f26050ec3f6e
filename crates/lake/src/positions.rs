//! The numbers that a table's commits carry: source positions and marks, all of them, in memory.
//!
//! The library answers for one number at a time and reads the log anew for each. Here the log is read once: at the
//! start from the newest checkpoint that is not younger than the version wanted, and after that entry by entry.

use crate::error::LakeError;
use crate::limits::{CHECKPOINT_EVERY, LOG_READS_AT_ONCE};
use crate::location::Location;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake_core::Path;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Every number of a table at one version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Positions {
    /// `None` before anything was read.
    version: Option<u64>,
    numbers: BTreeMap<String, i64>,
}

impl Positions {
    /// The version that these are of.
    pub(crate) fn version(&self) -> Option<u64> {
        self.version
    }

    pub(crate) fn get(&self, app_id: &str) -> Option<i64> {
        self.numbers.get(app_id).copied()
    }

    /// The numbers whose names start so, in order of name.
    pub(crate) fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        self.numbers
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, number)| (name.as_str(), *number))
    }

    /// Brings them to a version of the table whose log lies at `log`. Where it fails, they stay at what was read.
    pub(crate) async fn advance(
        &mut self,
        location: &Location,
        log: &Path,
        version: u64,
    ) -> Result<(), LakeError> {
        let behind = self.version.is_none_or(|at| at + CHECKPOINT_EVERY < version || at > version);
        if behind {
            *self = Self::checkpoint(location, log, version).await?;
        }
        let next = self.version.map_or(0, |at| at + 1);
        let mut entries = stream::iter(next..=version)
            .map(|version| async move { Ok((version, entry(location, log, version).await?)) })
            .buffered(LOG_READS_AT_ONCE);
        while let Some((version, entry)) = entries.try_next().await? {
            self.apply(&entry);
            self.version = Some(version);
        }
        Ok(())
    }

    fn apply(&mut self, entry: &[u8]) {
        for line in entry.split(|byte| *byte == b'\n') {
            // Most lines are files, and long; only the few that carry a number are parsed.
            if !line.starts_with(b"{\"txn\"") {
                continue;
            }
            let Ok(action) = serde_json::from_slice::<Value>(line) else { continue };
            let number = &action["txn"];
            if let (Some(name), Some(number)) = (number["appId"].as_str(), number["version"].as_i64()) {
                self.numbers.insert(name.to_owned(), number);
            }
        }
    }

    /// The numbers of the newest checkpoint that is not younger than a version; none where there is no such one.
    async fn checkpoint(location: &Location, log: &Path, version: u64) -> Result<Self, LakeError> {
        let mut at = version - version % CHECKPOINT_EVERY;
        while at > 0 {
            let path = log.clone().join(format!("{at:020}.checkpoint.parquet"));
            match location.store.get(&path).await {
                Ok(found) => {
                    let bytes = found.bytes().await.map_err(LakeError::store(format!("read {path}")))?;
                    let numbers = numbers_of(bytes).map_err(LakeError::corrupt(path.as_ref()))?;
                    return Ok(Self { version: Some(at), numbers });
                }
                // A checkpoint may not have been written: the log is whole without it.
                Err(object_store::Error::NotFound { .. }) => at -= CHECKPOINT_EVERY,
                Err(error) => return Err(LakeError::store(format!("read {path}"))(error)),
            }
        }
        Ok(Self::default())
    }
}

async fn entry(location: &Location, log: &Path, version: u64) -> Result<Bytes, LakeError> {
    let path = log.clone().join(format!("{version:020}.json"));
    let failed = || LakeError::store(format!("read {path}"));
    location.store.get(&path).await.map_err(failed())?.bytes().await.map_err(failed())
}

/// The numbers that a checkpoint holds: its column `txn`, a struct of the name, the number and a time.
fn numbers_of(checkpoint: Bytes) -> Result<BTreeMap<String, i64>, parquet::errors::ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(checkpoint)?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), ["txn.appId", "txn.version"]);
    let mut numbers = BTreeMap::new();
    for batch in builder.with_projection(columns).build()? {
        let batch = batch?;
        let Some(txn) = batch.column_by_name("txn").and_then(|column| column.as_struct_opt()) else {
            continue;
        };
        let names = txn.column_by_name("appId").and_then(|column| column.as_string_opt::<i32>());
        let versions = txn.column_by_name("version").and_then(|c| c.as_primitive_opt::<Int64Type>());
        let (Some(names), Some(versions)) = (names, versions) else {
            let why = "the column txn is not a name and a number".to_owned();
            return Err(parquet::errors::ParquetError::General(why));
        };
        for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row) && versions.is_valid(*row)) {
            numbers.insert(names.value(row).to_owned(), versions.value(row));
        }
    }
    Ok(numbers)
}
