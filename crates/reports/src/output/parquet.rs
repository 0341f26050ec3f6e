//! Parquet files.

use super::OutputError;
use crate::about::About;
use crate::report::Report;
use crate::run::schema_of;
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow::array::RecordBatch;
use std::io::Write;

/// Rows of a row group: what is held of them until it is written.
const GROUP_ROWS: usize = 128 * 1024;

/// The key of the file's metadata that says what the report says of itself, as JSON.
const ABOUT: &str = "gridtrail.report";

/// A Parquet file with the columns of the report.
pub(super) struct ParquetForm<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> ParquetForm<W> {
    pub(super) fn new(report: &Report, to: W) -> Result<Self, OutputError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(to, schema_of(report), Some(properties));
        writer.map(Self).map_err(OutputError::Parquet)
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        self.0.write(rows).map_err(OutputError::Parquet)
    }

    pub(super) fn finish(mut self, about: &About, rows: u64) -> Result<W, OutputError> {
        let said = serde_json::to_string(&about.json(rows)?)?;
        self.0.append_key_value_metadata(KeyValue::new(ABOUT.to_owned(), said));
        self.0.into_inner().map_err(OutputError::Parquet)
    }
}
