//! Notes: what the footer of a table's files says of their rows, beside the checksums of their pages.
//!
//! A table's definition says how a note is gathered while rows are written, and how it is read. What it means is no matter of the machinery.

use crate::error::RunsError;
use arrow::array::RecordBatch;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use std::any::Any;

/// How the notes of a table are made and read.
#[derive(Debug, Clone, Copy)]
pub struct NoteKind {
    /// Begins to gather the note of a file that is written.
    pub gather: fn() -> Box<dyn GatherNote>,
    /// Reads the note of a footer. `Ok(None)`: there is none, as in files of earlier builds. `Err`: what is wrong with it.
    pub read: fn(&ParquetMetaData) -> Result<Option<Note>, &'static str>,
}

/// Gathers a note while a file is written.
pub trait GatherNote: Send {
    /// Takes in rows, which come in the order of the table.
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError>;

    /// The note, as the footer has it.
    fn end(&self) -> Result<KeyValue, RunsError>;
}

/// A note that was read.
#[derive(Debug)]
pub struct Note {
    value: Box<dyn Any + Send + Sync>,
    bytes: usize,
}

impl Note {
    /// A note that takes so many bytes in memory, about.
    pub fn new(value: impl Any + Send + Sync, bytes: usize) -> Self {
        Self { value: Box::new(value), bytes }
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
