//! Dead letters: what could not be read, kept as it came, with its reason and position.

use crate::error::LakeError;
use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use gridtrail_model::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::{Arc, LazyLock};

/// One record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The source and partition, as in the commit's evidence.
    pub source: String,
    /// A name of the source that a person knows, such as the file's path.
    pub source_name: String,
    /// Where the record starts: the byte in a file, the offset in a topic.
    pub position: i64,
    /// Why it could not be read.
    pub reason: String,
    /// The record, byte for byte.
    pub raw: Bytes,
}

/// The columns of the table.
pub(crate) static DEAD_LETTERS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("source_name", DataType::Utf8, false),
        Field::new("position", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("raw", DataType::Binary, false),
        Field::new("read_at", time, false),
    ]))
});

/// The dead letters in one file.
pub(crate) fn read(bytes: Bytes, path: &str) -> Result<Vec<DeadLetter>, LakeError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    let corrupt = |why: String| LakeError::Corrupt { path: path.to_owned(), why };
    let mut letters = Vec::new();
    for batch in reader.map_err(|e| corrupt(e.to_string()))? {
        let batch = batch.map_err(|e| corrupt(e.to_string()))?;
        let text =
            |at: usize| batch.column(at).as_string_opt::<i32>().ok_or_else(|| corrupt("no text".into()));
        let (sources, names, reasons) = (text(0)?, text(1)?, text(3)?);
        let positions =
            batch.column(2).as_primitive_opt::<Int64Type>().ok_or_else(|| corrupt("no position".into()))?;
        let raws = batch.column(4).as_binary_opt::<i32>().ok_or_else(|| corrupt("no record".into()))?;
        letters.extend((0..batch.num_rows()).map(|row| DeadLetter {
            source: sources.value(row).to_owned(),
            source_name: names.value(row).to_owned(),
            position: positions.value(row),
            reason: reasons.value(row).to_owned(),
            raw: Bytes::copy_from_slice(raws.value(row)),
        }));
    }
    Ok(letters)
}

/// A file of dead letters, read at one time.
pub(crate) fn write(letters: &[&DeadLetter], read_at: Timestamp) -> Result<Bytes, LakeError> {
    let failed = |_| LakeError::Internal("a file of dead letters could not be encoded");
    let (mut sources, mut names, mut reasons) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut positions, mut raws) = (Int64Builder::new(), BinaryBuilder::new());
    let mut times = TimestampMicrosecondBuilder::new();
    for letter in letters {
        sources.append_value(&letter.source);
        names.append_value(&letter.source_name);
        positions.append_value(letter.position);
        reasons.append_value(&letter.reason);
        raws.append_value(&letter.raw);
        times.append_value(read_at.millis() * 1_000);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sources.finish()),
        Arc::new(names.finish()),
        Arc::new(positions.finish()),
        Arc::new(reasons.finish()),
        Arc::new(raws.finish()),
        Arc::new(times.finish().with_timezone("UTC")),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&DEAD_LETTERS), columns)
        .map_err(|_| LakeError::Internal("columns of a file of dead letters do not fit its schema"))?;
    let level = ZstdLevel::try_new(3).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(&DEAD_LETTERS), Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    Ok(writer.into_inner().map_err(failed)?.into())
}
