//! Answers as texts, for whoever prints them and knows no columns.

use crate::answer::SqlAnswer;
use crate::error::SqlError;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::display::{ArrayFormatter, FormatOptions};

impl SqlAnswer {
    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The next rows, with a text for each column; what has no value is empty. `None` at the end.
    ///
    /// Errors: as those of [`SqlAnswer::next`].
    pub async fn next_cells(&mut self) -> Result<Option<Vec<Vec<String>>>, SqlError> {
        self.next().await?.as_ref().map(cells_of).transpose().map_err(unprintable)
    }

    /// The next rows, each as one line of JSON. `None` at the end.
    ///
    /// Errors: as those of [`SqlAnswer::next`].
    pub async fn next_json(&mut self) -> Result<Option<Vec<u8>>, SqlError> {
        self.next().await?.as_ref().map(json_of).transpose().map_err(unprintable)
    }
}

fn cells_of(batch: &RecordBatch) -> Result<Vec<Vec<String>>, ArrowError> {
    let options = FormatOptions::default().with_display_error(false);
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
    let cell = |column: &ArrayFormatter<'_>, row| column.value(row).try_to_string();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()).collect()
}

fn json_of(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut lines = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(lines)
}

fn unprintable(error: ArrowError) -> SqlError {
    SqlError::Internal(format!("a value cannot be printed: {error}"))
}
