//! The files of a copy: rows in columns, in the order of the time that they are filed under.

use crate::columns::{PLACED_AT, RECEIVED_AT, TRAIL_ID};
use crate::error::ExportError;
use crate::limits::FILE_ROWS;
use crate::tables::CopiedTable;
use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use gridtrail_model::Timestamp;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{NewFile, RunsError, Table, TableFile};
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// The key of a footer under which the identities of joined rows stand, a line each, in a file of rows that wait.
const JOINED: &str = "gridtrail.joined";

/// A row as a file has it: the time that it is filed under, microseconds, and the number of its identity.
pub(crate) type Place = (i64, i64);

/// What the log says of a file of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) rows: u64,
    /// The times that its first and its last row are filed under, microseconds since the epoch.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Whether its rows are those that have something which waits for its request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) waits: bool,
}

/// What the log says of any file of a copy.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Rows {
    pub(crate) rows: u64,
}

/// A file that a copy has.
#[derive(Debug, Clone)]
pub(crate) struct CopyFile<S = Summary> {
    pub(crate) file: Arc<TableFile>,
    pub(crate) summary: S,
}

impl<S: DeserializeOwned> CopyFile<S> {
    pub(crate) fn of(file: Arc<TableFile>) -> Result<Self, RunsError> {
        let summary = file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok());
        let damaged = || RunsError::Corrupt {
            path: file.path.clone(),
            why: "the log does not say what is in it as this build writes it".to_owned(),
        };
        let summary = summary.ok_or_else(damaged)?;
        Ok(Self { file, summary })
    }

    pub(crate) fn month(&self) -> &str {
        self.file.month.as_deref().unwrap_or_default()
    }

    /// All of the file, held against its checksum.
    pub(crate) async fn fetch(&self, table: &Table) -> Result<Bytes, RunsError> {
        let path = table.full_path(&self.file.path)?;
        let failed = || RunsError::store(format!("read {path}"));
        let bytes = table.store().get(&path).await.map_err(failed())?.bytes().await.map_err(failed())?;
        self.file.check(&path, Written::of(&bytes))?;
        Ok(bytes)
    }
}

fn corrupt(path: &str) -> impl Fn(&dyn std::fmt::Display) -> ExportError {
    move |why| ExportError::Copy(RunsError::Corrupt { path: path.to_owned(), why: why.to_string() })
}

/// The rows of a file.
pub(crate) fn rows_of(bytes: Bytes, path: &str) -> Result<Vec<RecordBatch>, ExportError> {
    let corrupt = corrupt(path);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| corrupt(&error))?;
    let reader = builder.build().map_err(|error| corrupt(&error))?;
    reader.map(|batch| batch.map_err(|error| corrupt(&error))).collect()
}

/// Which rows a file has, in its order: ascending.
pub(crate) fn places_of(bytes: Bytes, path: &str) -> Result<Vec<Place>, ExportError> {
    let corrupt = corrupt(path);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| corrupt(&error))?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), [TRAIL_ID, PLACED_AT]);
    let reader = builder.with_projection(columns).build().map_err(|error| corrupt(&error))?;
    let mut places = Vec::new();
    for batch in reader {
        places.extend(places_in(&batch.map_err(|error| corrupt(&error))?)?);
    }
    Ok(places)
}

/// Which rows a batch has.
pub(crate) fn places_in(batch: &RecordBatch) -> Result<Vec<Place>, ExportError> {
    let lacks = ExportError::Internal("rows of a copy lack what they are known by");
    let ids = batch.column_by_name(TRAIL_ID).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let times = batch
        .column_by_name(PLACED_AT)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let (Some(ids), Some(times)) = (ids, times) else { return Err(lacks) };
    Ok(times.values().iter().copied().zip(ids.values().iter().copied()).collect())
}

/// The rows of a batch that are not among some.
pub(crate) fn without(batch: &RecordBatch, gone: &HashSet<Place>) -> Result<RecordBatch, ExportError> {
    let stay: BooleanArray =
        places_in(batch)?.into_iter().map(|place| Some(!gone.contains(&place))).collect();
    Ok(filter_record_batch(batch, &stay)?)
}

/// The identities of joined rows that a file of rows that wait has in its footer.
pub(crate) fn joined_in(bytes: &Bytes, path: &str) -> Result<Vec<String>, ExportError> {
    let corrupt = corrupt(path);
    let footer = ParquetMetaDataReader::new().parse_and_finish(bytes).map_err(|error| corrupt(&error))?;
    let pairs = footer.file_metadata().key_value_metadata().into_iter().flatten();
    let said = pairs.into_iter().find(|pair| pair.key == JOINED).and_then(|pair| pair.value.clone());
    Ok(said.unwrap_or_default().lines().map(str::to_owned).collect())
}

/// A file that was encoded, and is not uploaded.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) month: String,
    pub(crate) bytes: Bytes,
    pub(crate) written: Written,
    pub(crate) summary: Summary,
    pub(crate) places: Vec<Place>,
    bounds: Vec<(&'static str, String, String)>,
}

/// Rows of one month, sorted and encoded, in files of so many as a file may have. Those that wait say which of them are joined.
pub(crate) fn encode(
    table: CopiedTable,
    month: &str,
    rows: &[RecordBatch],
    joined: Option<&[String]>,
) -> Result<Vec<Encoded>, ExportError> {
    let all = concat_batches(table.definition().schema, rows)?;
    let column = |name: &str| {
        let values = all.column_by_name(name).ok_or(ExportError::Internal("rows lack a column"))?;
        Ok::<_, ExportError>(SortColumn { values: Arc::clone(values), options: None })
    };
    let order = lexsort_to_indices(&[column(PLACED_AT)?, column(TRAIL_ID)?], None)?;
    let sorted = take_record_batch(&all, &order)?;
    let starts = (0..sorted.num_rows()).step_by(FILE_ROWS);
    starts
        .map(|start| {
            let part = sorted.slice(start, FILE_ROWS.min(sorted.num_rows() - start));
            // Once is enough.
            encode_file(table, month, &part, joined.map(|joined| if start == 0 { joined } else { &[] }))
        })
        .collect()
}

fn encode_file(
    table: CopiedTable,
    month: &str,
    rows: &RecordBatch,
    joined: Option<&[String]>,
) -> Result<Encoded, ExportError> {
    let definition = table.definition();
    let failed = |_| ExportError::Internal("a file could not be encoded");
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(definition.schema), Some((definition.layout)()))
            .map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    if let Some(joined) = joined {
        writer.append_key_value_metadata(KeyValue::new(JOINED.to_owned(), joined.join("\n")));
    }
    let bytes: Bytes = writer.into_inner().map_err(failed)?.into();
    let places = places_in(rows)?;
    let (Some((first, _)), Some((last, _))) = (places.first().copied(), places.last().copied()) else {
        return Err(ExportError::Internal("a file of a copy has no row"));
    };
    let summary = Summary { rows: places.len() as u64, first, last, waits: joined.is_some() };
    let mut bounds = vec![(PLACED_AT, time(first), time(last))];
    bounds.extend(received(rows).map(|(first, last)| (RECEIVED_AT, time(first), time(last))));
    Ok(Encoded { month: month.to_owned(), written: Written::of(&bytes), bytes, summary, places, bounds })
}

fn time(micros: i64) -> String {
    Timestamp::from_millis(micros.div_euclid(1_000)).map(|at| at.to_string()).unwrap_or_default()
}

/// The first and the last time of receipt of some rows.
fn received(rows: &RecordBatch) -> Option<(i64, i64)> {
    let times = rows.column_by_name(RECEIVED_AT)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let known = || times.iter().flatten();
    Some((known().min()?, known().max()?))
}

impl Encoded {
    /// Uploads it, for a commit to name.
    pub(crate) async fn upload(self, table: &Table) -> Result<(NewFile, Vec<Place>), ExportError> {
        let path = table.definition().new_path(Some(&self.month));
        let written = table.upload(&path, self.bytes).await?;
        let tag = serde_json::to_string(&self.summary)
            .map_err(|_| ExportError::Internal("a summary could not be written"))?;
        let (month, rows) = (Some(self.month), self.summary.rows);
        Ok((NewFile { path, written, month, rows, tag, bounds: self.bounds }, self.places))
    }
}
