//! Parquet that has the checksums of its pages in its footer and, where its table has any, a note of its rows.

use super::note::GatherNote;
use super::sums::Scanner;
use crate::definition::Definition;
use crate::delta::checksum::{Checksum, Written};
use crate::error::RunsError;
use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use std::sync::Arc;

/// Writes a file into memory, from where what is done can be taken while it grows.
pub struct PagedWriter {
    writer: ArrowWriter<Vec<u8>>,
    /// How many of the bytes in memory were seen.
    seen: usize,
    scanner: Scanner,
    whole: Checksum,
    /// Gathers the note of its footer, where its table has any.
    note: Option<Box<dyn GatherNote>>,
    /// What its footer says of its format.
    format: KeyValue,
}

impl std::fmt::Debug for PagedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagedWriter").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl PagedWriter {
    /// Starts a file of a table.
    pub fn new(table: &Definition) -> Result<Self, RunsError> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(table.schema), Some((table.layout)()));
        let writer = writer.map_err(|_| RunsError::Internal("a file could not be started"))?;
        let note = table.note.map(|kind| (kind.gather)());
        let (scanner, whole, format) = (Scanner::new(), Checksum::new(), table.format_of_file());
        Ok(Self { writer, seen: 0, scanner, whole, note, format })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        if let Some(note) = &mut self.note {
            note.add(batch)?;
        }
        self.writer.write(batch).map_err(failed)
    }

    /// Row groups that are done.
    pub fn groups(&self) -> usize {
        self.writer.flushed_row_groups().len()
    }

    /// Has the checksums take in what was written since.
    fn see(&mut self) -> Result<(), RunsError> {
        self.writer.sync().map_err(|_| RunsError::Internal("a file in memory could not be written"))?;
        let bytes = &self.writer.inner()[self.seen..];
        self.scanner.take(bytes);
        self.whole.add(bytes);
        self.seen += bytes.len();
        Ok(())
    }

    /// Takes the bytes of what is done.
    pub fn take(&mut self) -> Result<Bytes, RunsError> {
        self.see()?;
        self.seen = 0;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }

    /// Ends the file. [`PagedWriter::take`] gives the rest of it.
    pub fn finish(&mut self) -> Result<Written, RunsError> {
        self.writer.flush().map_err(failed)?;
        self.see()?;
        self.writer.append_key_value_metadata(self.scanner.end_pages()?);
        self.writer.append_key_value_metadata(self.format.clone());
        if let Some(note) = &self.note {
            self.writer.append_key_value_metadata(note.end()?);
        }
        self.writer.finish().map_err(failed)?;
        self.see()?;
        Ok(Written { tail: Some(self.scanner.tail()), ..self.whole.written() })
    }
}

/// A file that was encoded and is not uploaded yet.
#[derive(Debug)]
pub struct Encoded {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their number and checksums.
    pub written: Written,
}

impl Encoded {
    /// A file of rows, in the order of its table.
    pub fn of(
        table: &Definition,
        batches: impl Iterator<Item = Result<RecordBatch, RunsError>>,
    ) -> Result<Self, RunsError> {
        let mut writer = PagedWriter::new(table)?;
        for batch in batches {
            writer.write(&batch?)?;
        }
        let written = writer.finish()?;
        Ok(Self { bytes: writer.take()?, written })
    }
}

fn failed(_: ParquetError) -> RunsError {
    RunsError::Internal("a file could not be encoded")
}
