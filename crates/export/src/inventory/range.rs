//! Files of a table of the inventory: the rows of a range of Devices, in the order of their Device IDs.

use crate::columns::DEVICE_ID;
use crate::data::{self, CopyFile};
use crate::error::ExportError;
use crate::limits::RANGE_ROWS;
use crate::tables::CopiedTable;
use arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray};
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{NewFile, RunsError, Table, TableFile};
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops;
use std::sync::Arc;

/// What the log says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    rows: u64,
    /// The Device IDs of its first and its last row.
    pub(super) first: String,
    last: String,
}

/// A file that a table has.
pub(super) type Range = CopyFile<Summary>;

/// The files of a table, ascending. Errors: two of them may have the same Device.
pub(super) fn all(files: Vec<Arc<TableFile>>) -> Result<Vec<Range>, ExportError> {
    let mut ranges = files.into_iter().map(Range::of).collect::<Result<Vec<_>, _>>()?;
    ranges.sort_by(|one, other| one.summary.first.cmp(&other.summary.first));
    for (one, next) in ranges.iter().zip(ranges.iter().skip(1)) {
        if one.summary.last >= next.summary.first {
            let why = format!("it has Devices that {} may have, too", next.file.path);
            return Err(RunsError::Corrupt { path: one.file.path.clone(), why }.into());
        }
    }
    Ok(ranges)
}

/// The rows of a file.
pub(super) async fn rows_of(range: &Range, table: &Table) -> Result<Vec<RecordBatch>, ExportError> {
    data::rows_of(range.fetch(table).await?, &range.file.path)
}

/// What a file's rows become.
pub(super) struct Put {
    pub(super) rows: RecordBatch,
    /// Rows that came, or came to say something else.
    pub(super) changed: u64,
}

/// Puts rows of some Devices in place of what is there of them. `None`: they are there as they are.
pub(super) fn put(
    schema: &SchemaRef,
    (there, coming): (&[RecordBatch], &[RecordBatch]),
    devices: &BTreeSet<String>,
) -> Result<Option<Put>, ExportError> {
    let (there, coming) = (concat_batches(schema, there)?, concat_batches(schema, coming)?);
    let (old, new) = (by_device(&there)?, by_device(&coming)?);
    let slice = |rows: &RecordBatch, range: &ops::Range<usize>| rows.slice(range.start, range.len());
    let (mut changed, mut differs) = (0, false);
    for device in devices.iter().map(String::as_str) {
        let (old, new) = (old.get(device), new.get(device));
        let rows = new.map(|range| slice(&coming, range));
        if old.map(|range| slice(&there, range)) != rows {
            differs = true;
            changed += rows.map_or(0, |rows| rows.num_rows() as u64);
        }
    }
    if !differs {
        return Ok(None);
    }
    let stay = old.into_iter().filter(|(device, _)| !devices.contains(*device));
    let mut all: Vec<_> = stay.map(|(device, range)| (device, 0, range)).collect();
    all.extend(new.into_iter().map(|(device, range)| (device, 1, range)));
    all.sort_unstable_by_key(|(device, _, _)| *device);
    let places = all.into_iter().flat_map(|(_, of, rows)| rows.map(move |row| (of, row)));
    let rows = interleave_record_batch(&[&there, &coming], &places.collect::<Vec<_>>())?;
    Ok(Some(Put { rows, changed }))
}

fn devices_of(rows: &RecordBatch) -> Result<&StringArray, ExportError> {
    let column = rows.column_by_name(DEVICE_ID).and_then(|column| column.as_string_opt::<i32>());
    let column = column.filter(|column| column.null_count() == 0);
    column.ok_or(ExportError::Internal("rows of the inventory lack their Device IDs"))
}

/// Where the rows of each Device lie, which are together.
fn by_device(rows: &RecordBatch) -> Result<BTreeMap<&str, ops::Range<usize>>, ExportError> {
    let devices = devices_of(rows)?;
    let mut found = BTreeMap::new();
    for row in 0..devices.len() {
        found.entry(devices.value(row)).or_insert(row..row).end = row + 1;
    }
    Ok(found)
}

/// A file that was encoded, and is not uploaded.
pub(super) struct Encoded {
    bytes: Bytes,
    pub(super) written: Written,
    summary: Summary,
}

/// Rows in the order of their Devices, encoded in files of about so many as a file may have, the rows of each Device in one.
pub(super) fn encode(table: CopiedTable, rows: &[RecordBatch]) -> Result<Vec<Encoded>, ExportError> {
    let rows = concat_batches(table.definition().schema, rows)?;
    let devices = devices_of(&rows)?;
    let most = rows.num_rows().div_ceil(rows.num_rows().div_ceil(RANGE_ROWS).max(1));
    let (mut files, mut start) = (Vec::new(), 0);
    while start < rows.num_rows() {
        let mut end = (start + most).min(rows.num_rows());
        while end < rows.num_rows() && devices.value(end) == devices.value(end - 1) {
            end += 1;
        }
        files.push(encode_file(table, &rows.slice(start, end - start))?);
        start = end;
    }
    Ok(files)
}

fn encode_file(table: CopiedTable, rows: &RecordBatch) -> Result<Encoded, ExportError> {
    let definition = table.definition();
    let failed = |_| ExportError::Internal("a file could not be encoded");
    let layout = Some((definition.layout)());
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(definition.schema), layout).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    let bytes: Bytes = writer.into_inner().map_err(failed)?.into();
    let devices = devices_of(rows)?;
    let (first, last) = (devices.value(0).to_owned(), devices.value(devices.len() - 1).to_owned());
    let summary = Summary { rows: rows.num_rows() as u64, first, last };
    Ok(Encoded { written: Written::of(&bytes), bytes, summary })
}

impl Encoded {
    /// Uploads it, for a commit to name.
    pub(super) async fn upload(self, table: &Table) -> Result<NewFile, ExportError> {
        let path = table.definition().new_path(None);
        let written = table.upload(&path, self.bytes).await?;
        let tag = serde_json::to_string(&self.summary)
            .map_err(|_| ExportError::Internal("a summary could not be written"))?;
        let Summary { rows, first, last } = self.summary;
        Ok(NewFile { path, written, month: None, rows, tag, bounds: vec![(DEVICE_ID, first, last)] })
    }
}
