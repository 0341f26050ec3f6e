//! Parquet that has the checksums of its pages in its footer and, of a run of fragments, its viewers.

use crate::checksum::{Checksum, Written};
use crate::error::LakeError;
use crate::page_sums::Scanner;
use crate::schema::FRAGMENTS;
use crate::viewers::Gathered;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

/// Writes a file into memory, from where what is done can be taken while it grows.
pub(crate) struct PagedWriter {
    writer: ArrowWriter<Vec<u8>>,
    /// How many of the bytes in memory were seen.
    seen: usize,
    scanner: Scanner,
    whole: Checksum,
    /// Who may see its rows, where it is a run of fragments.
    viewers: Option<Gathered>,
}

impl PagedWriter {
    pub(crate) fn new(schema: &SchemaRef, properties: WriterProperties) -> Result<Self, LakeError> {
        let writer = ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties));
        let writer = writer.map_err(|_| LakeError::Internal("a file could not be started"))?;
        let viewers = (**schema == **FRAGMENTS).then(Gathered::default);
        Ok(Self { writer, seen: 0, scanner: Scanner::new(), whole: Checksum::new(), viewers })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        if let Some(viewers) = &mut self.viewers {
            viewers.add(batch)?;
        }
        self.writer.write(batch).map_err(failed)
    }

    /// Row groups that are done.
    pub(crate) fn groups(&self) -> usize {
        self.writer.flushed_row_groups().len()
    }

    /// Has the checksums take in what was written since.
    fn see(&mut self) -> Result<(), LakeError> {
        self.writer.sync().map_err(|_| LakeError::Internal("a file in memory could not be written"))?;
        let bytes = &self.writer.inner()[self.seen..];
        self.scanner.take(bytes);
        self.whole.add(bytes);
        self.seen += bytes.len();
        Ok(())
    }

    /// Takes the bytes of what is done.
    pub(crate) fn take(&mut self) -> Result<Bytes, LakeError> {
        self.see()?;
        self.seen = 0;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }

    /// Ends the file. [`PagedWriter::take`] gives the rest of it.
    pub(crate) fn finish(&mut self) -> Result<Written, LakeError> {
        self.writer.flush().map_err(failed)?;
        self.see()?;
        self.writer.append_key_value_metadata(self.scanner.end_pages()?);
        if let Some(viewers) = &self.viewers {
            self.writer.append_key_value_metadata(viewers.end()?);
        }
        self.writer.finish().map_err(failed)?;
        self.see()?;
        Ok(Written { tail: Some(self.scanner.tail()), ..self.whole.written() })
    }
}

fn failed(_: ParquetError) -> LakeError {
    LakeError::Internal("a file could not be encoded")
}
