//! Checkpoints: a whole state of a log in one Parquet file.

use super::entry::Protocol;
use super::{CHECKSUM_TAG, TAG, TAIL_TAG, TableFile};
use crate::delta::checksum::{self, Tail};
use crate::delta::log::state::State;
use crate::error::RunsError;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashMap;
use std::sync::Arc;

/// What is read of a checkpoint.
const COLUMNS: [&str; 12] = [
    "txn.appId",
    "txn.version",
    "add.path",
    "add.size",
    "add.modificationTime",
    "add.partitionValues",
    "add.tags",
    "remove.path",
    "remove.deletionTimestamp",
    "metaData.configuration",
    "protocol.minReaderVersion",
    "protocol.readerFeatures",
];

/// The state that a checkpoint holds, and the files that were taken away, with the time of it.
#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    pub(super) state: State,
    pub(super) removed: HashMap<String, i64>,
}

impl Checkpoint {
    /// Reads a checkpoint. `path` names it.
    pub(super) fn read(bytes: Bytes, path: &str) -> Result<Self, RunsError> {
        let corrupt = || RunsError::corrupt(path);
        let damaged = |why: String| RunsError::Corrupt { path: path.to_owned(), why };
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(corrupt())?;
        let columns = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
        let mut checkpoint = Self::default();
        for batch in builder.with_projection(columns).build().map_err(corrupt())? {
            let batch = batch.map_err(|error| damaged(error.to_string()))?;
            let taken = checkpoint.take(&batch);
            taken.ok_or_else(|| damaged("a column of the checkpoint is of another type".to_owned()))?;
        }
        Ok(checkpoint)
    }

    fn take(&mut self, batch: &RecordBatch) -> Option<()> {
        if let Some(txn) = batch.column_by_name("txn") {
            let txn = txn.as_struct_opt()?;
            let names = txn.column_by_name("appId")?.as_string_opt::<i32>()?;
            let versions = txn.column_by_name("version")?.as_primitive_opt::<Int64Type>()?;
            // Where there is no number at all, its parts may be there all the same, with nothing in them.
            let is_there =
                |row: &usize| txn.is_valid(*row) && names.is_valid(*row) && versions.is_valid(*row);
            for row in (0..txn.len()).filter(is_there) {
                self.state.set_number(names.value(row).to_owned(), versions.value(row));
            }
        }
        if let Some(metadata) = batch.column_by_name("metaData") {
            let metadata = metadata.as_struct_opt()?;
            for row in (0..metadata.len()).filter(|row| metadata.is_valid(*row)) {
                let set = map_values(metadata, "configuration", row)?;
                self.state.set_properties(set.collect());
            }
        }
        if let Some(protocol) = batch.column_by_name("protocol") {
            let protocol = protocol.as_struct_opt()?;
            let versions = protocol.column_by_name("minReaderVersion")?.as_primitive_opt::<Int32Type>()?;
            for row in (0..protocol.len()).filter(|row| protocol.is_valid(*row) && versions.is_valid(*row)) {
                let min_reader_version = versions.value(row).into();
                let reader_features = texts(protocol, "readerFeatures", row);
                self.state.needs = Protocol { min_reader_version, reader_features }.needs();
            }
        }
        if let Some(remove) = batch.column_by_name("remove") {
            let remove = remove.as_struct_opt()?;
            let paths = remove.column_by_name("path")?.as_string_opt::<i32>()?;
            let times = remove.column_by_name("deletionTimestamp")?.as_primitive_opt::<Int64Type>()?;
            for row in (0..remove.len()).filter(|row| remove.is_valid(*row) && paths.is_valid(*row)) {
                self.removed.insert(paths.value(row).to_owned(), times.value(row));
            }
        }
        let add = batch.column_by_name("add")?.as_struct_opt()?;
        let paths = add.column_by_name("path")?.as_string_opt::<i32>()?;
        let sizes = add.column_by_name("size")?.as_primitive_opt::<Int64Type>()?;
        let times = add.column_by_name("modificationTime")?.as_primitive_opt::<Int64Type>()?;
        for row in (0..add.len()).filter(|row| add.is_valid(*row) && paths.is_valid(*row)) {
            let tag = |name| map_value(add, "tags", row, name);
            self.state.add(Arc::new(TableFile {
                path: paths.value(row).to_owned(),
                size: u64::try_from(sizes.value(row)).unwrap_or(0),
                month: map_value(add, "partitionValues", row, "month"),
                written_ms: times.value(row),
                tag: tag(TAG),
                xxh64: tag(CHECKSUM_TAG).as_deref().and_then(checksum::from_text),
                tail: tag(TAIL_TAG).as_deref().and_then(Tail::from_text),
            }));
        }
        Some(())
    }
}

/// The texts of a list, in one row of a struct that has such a column. `None`: there is no list.
fn texts(of: &StructArray, column: &str, row: usize) -> Option<Vec<String>> {
    let lists: &ListArray = of.column_by_name(column)?.as_list_opt()?;
    let list = lists.is_valid(row).then(|| lists.value(row))?;
    let list = list.as_string_opt::<i32>()?;
    Some(list.iter().flatten().map(str::to_owned).collect())
}

/// What a map of texts holds under a key, in one row of a struct that has such a column.
fn map_value(of: &StructArray, column: &str, row: usize, key: &str) -> Option<String> {
    map_values(of, column, row)?.find_map(|(name, value)| (name == key).then_some(value))
}

/// What a map of texts holds, without what is null.
fn map_values(
    of: &StructArray,
    column: &str,
    row: usize,
) -> Option<impl Iterator<Item = (String, String)> + use<>> {
    let maps: &MapArray = of.column_by_name(column)?.as_map_opt()?;
    let entries = maps.value(row);
    let entries = if maps.is_null(row) { entries.slice(0, 0) } else { entries };
    let text = |column: &ArrayRef, at: usize| {
        let texts = column.as_string_opt::<i32>()?;
        texts.is_valid(at).then(|| texts.value(at).to_owned())
    };
    Some(
        (0..entries.len())
            .filter_map(move |at| Some((text(entries.column(0), at)?, text(entries.column(1), at)?))),
    )
}
