//! Writing a file of a table batch by batch.

use crate::delta::checksum::Written;
use crate::delta::commit::NewFile;
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::limits::{ENCODE_ROWS, PAGE_ROWS};
use crate::pages::writer::PagedWriter;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use object_store::buffered::BufWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use std::sync::Arc;

/// What a commit says of a file, gathered while the file is written.
pub trait Summary: Send {
    /// Takes in rows, which come in the order of the table.
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError>;

    /// The file, as a commit names it.
    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError>;
}

/// Writes a run batch by batch, straight into the store: for runs that are larger than memory should be.
pub struct RunWriter<S> {
    path: String,
    writer: PagedWriter,
    sink: BufWriter,
    schema: SchemaRef,
    /// Rows that do not fill pages yet: pages are cut at the ends of what is written.
    waiting: Vec<RecordBatch>,
    rows_waiting: usize,
    summary: S,
}

impl<S> std::fmt::Debug for RunWriter<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<S: Summary> RunWriter<S> {
    /// Starts a file of a table. Nothing of it is seen before [`RunWriter::finish`], and then only once it is committed.
    pub fn new(table: &Table, path: String, summary: S) -> Result<Self, RunsError> {
        let sink = BufWriter::new(table.store(), table.full_path(&path)?);
        let writer = PagedWriter::new(table.definition())?;
        let schema = Arc::clone(table.definition().schema);
        Ok(Self { path, writer, sink, schema, waiting: Vec::new(), rows_waiting: 0, summary })
    }

    /// Adds rows. They come in the order of the table.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        self.summary.add(batch)?;
        self.rows_waiting += batch.num_rows();
        self.waiting.push(batch.clone());
        if self.rows_waiting >= ENCODE_ROWS {
            self.write_waiting(self.rows_waiting - self.rows_waiting % PAGE_ROWS).await?;
        }
        Ok(())
    }

    async fn write_waiting(&mut self, rows: usize) -> Result<(), RunsError> {
        let failed = |_| RunsError::Internal("rows of a run could not be put together");
        let waiting = concat_batches(&self.schema, &self.waiting).map_err(failed)?;
        let before = self.writer.groups();
        self.writer.write(&waiting.slice(0, rows))?;
        self.rows_waiting -= rows;
        self.waiting = vec![waiting.slice(rows, self.rows_waiting)];
        if self.writer.groups() > before { self.store().await } else { Ok(()) }
    }

    /// Hands what is done to the store.
    async fn store(&mut self) -> Result<(), RunsError> {
        let stored = AsyncFileWriter::write(&mut self.sink, self.writer.take()?).await;
        stored.map_err(|error| RunsError::write(&self.path, error))
    }

    /// What is said of the file.
    pub fn summary_mut(&mut self) -> &mut S {
        &mut self.summary
    }

    /// Ends the file, which a commit can name then.
    pub async fn finish(mut self) -> Result<NewFile, RunsError> {
        self.write_waiting(self.rows_waiting).await?;
        let written = self.writer.finish()?;
        self.store().await?;
        let completed = AsyncFileWriter::complete(&mut self.sink).await;
        completed.map_err(|error| RunsError::write(&self.path, error))?;
        self.summary.file(self.path, written)
    }
}
