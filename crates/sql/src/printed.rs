//! Rows as texts and files, for whoever prints them and knows no columns.

use crate::error::SqlError;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

/// The names of columns.
pub fn names_of(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Rows, with a text for each column; what has no value is empty.
///
/// Errors: `Internal`.
pub fn cells_of(batch: &RecordBatch) -> Result<Vec<Vec<String>>, SqlError> {
    let options = FormatOptions::default().with_display_error(false);
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<_> = columns.collect::<Result<_, _>>().map_err(unprintable)?;
    let cell = |column: &ArrayFormatter<'_>, row| column.value(row).try_to_string();
    let rows = (0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect());
    rows.collect::<Result<_, ArrowError>>().map_err(unprintable)
}

/// Rows, each as one line of JSON.
///
/// Errors: `Internal`.
pub fn json_of(batch: &RecordBatch) -> Result<Vec<u8>, SqlError> {
    let mut lines = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(batch).and_then(|()| writer.finish()).map_err(unprintable)?;
    drop(writer);
    Ok(lines)
}

/// Rows as a Parquet file.
pub struct ParquetFile<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> std::fmt::Debug for ParquetFile<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetFile<W> {
    /// A file of rows with these columns.
    ///
    /// Errors: `Internal`.
    pub fn begin(file: W, schema: &Arc<Schema>) -> Result<Self, SqlError> {
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties));
        writer.map(Self).map_err(unprintable)
    }

    /// Some more rows.
    ///
    /// Errors: `Internal`.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        self.0.write(batch).map_err(unprintable)
    }

    /// The end: the file is whole.
    ///
    /// Errors: `Internal`.
    pub fn end(self) -> Result<W, SqlError> {
        self.0.into_inner().map_err(unprintable)
    }
}

fn unprintable(error: impl Display) -> SqlError {
    SqlError::Internal(format!("rows cannot be written: {error}"))
}
