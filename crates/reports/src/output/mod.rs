//! Reports written down: CSV, JSON, Parquet, workbooks, and pages.
//!
//! Each takes batches of rows as they come and holds no more of them than one batch, however many there are. What a format can carry beside
//! rows, it carries: who asked for what, complete up to when, and how many rows there are.

mod chart;
mod csv;
mod drawn;
mod html;
mod json;
mod markup;
mod parquet;
mod xlsx;

use crate::about::About;
use crate::report::{ColumnKind, Report};
use arrow::array::RecordBatch;
use rust_xlsxwriter::XlsxError;
use std::io::{self, Write};

/// How a report is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Comma-separated values by RFC 4180: a header, and a line for each row.
    Csv,
    /// One JSON document: what the report says of itself, its rows, and how many there are.
    Json,
    /// A Parquet file; what the report says of itself is in its metadata.
    Parquet,
    /// A workbook: rows on sheets with typed columns, and what the report says of itself on a sheet of its own.
    Xlsx,
    /// One page that needs nothing beside it, with a picture where the report has one.
    Html,
}

impl OutputFormat {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Csv, Self::Json, Self::Parquet, Self::Xlsx, Self::Html];

    /// Its name, which is also what files of it end in.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
        }
    }
}

/// Why rows were not written down.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Where they were to go takes no more.
    #[error("write the report")]
    Io(#[from] io::Error),
    /// They could not be put into the form of Parquet.
    #[error("write the report as Parquet")]
    Parquet(#[source] ::parquet::errors::ParquetError),
    /// They could not be put into a workbook.
    #[error("write the report as a workbook")]
    Workbook(#[source] XlsxError),
    /// A text that no cell of a workbook holds.
    #[error(
        "row {row}, {column}: a cell of a workbook holds {max} characters, and this text has {found}; take csv, json or parquet"
    )]
    TextTooLong {
        /// The number of the row, from 1.
        row: u64,
        /// The column.
        column: String,
        /// How many characters a cell holds.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// What the report says of itself has no form as JSON.
    #[error("write the report as JSON")]
    Json(#[from] serde_json::Error),
}

/// A report that is being written down.
pub struct Output<W: Write + Send> {
    form: Form<W>,
    about: About,
    rows: u64,
}

enum Form<W: Write + Send> {
    Csv(Box<csv::CsvForm<W>>),
    Json(json::JsonForm<W>),
    Parquet(Box<parquet::ParquetForm<W>>),
    Xlsx(Box<xlsx::XlsxForm<W>>),
    Html(Box<html::HtmlForm<W>>),
}

impl<W: Write + Send> std::fmt::Debug for Output<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write + Send> Output<W> {
    /// Begins.
    ///
    /// Errors: every kind but `TextTooLong`.
    pub fn new(format: OutputFormat, report: &Report, about: &About, to: W) -> Result<Self, OutputError> {
        let form = match format {
            OutputFormat::Csv => Form::Csv(Box::new(csv::CsvForm::new(report, to)?)),
            OutputFormat::Json => Form::Json(json::JsonForm::new(report, about, to)?),
            OutputFormat::Parquet => Form::Parquet(Box::new(parquet::ParquetForm::new(report, to)?)),
            OutputFormat::Xlsx => Form::Xlsx(Box::new(xlsx::XlsxForm::new(report, to)?)),
            OutputFormat::Html => Form::Html(Box::new(html::HtmlForm::new(report, to)?)),
        };
        Ok(Self { form, about: about.clone(), rows: 0 })
    }

    /// Writes some rows.
    ///
    /// Errors: every kind.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        match &mut self.form {
            Form::Csv(form) => form.write(rows)?,
            Form::Json(form) => form.write(rows)?,
            Form::Parquet(form) => form.write(rows)?,
            Form::Xlsx(form) => form.write(rows)?,
            Form::Html(form) => form.write(rows)?,
        }
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// Ends: all that was written has gone where it was to go. With it, how many rows there were.
    ///
    /// Errors: every kind.
    pub fn finish(self) -> Result<(W, u64), OutputError> {
        let Self { form, about, rows } = self;
        let mut to = match form {
            Form::Csv(form) => form.finish()?,
            Form::Json(form) => form.finish(rows)?,
            Form::Parquet(form) => form.finish(&about, rows)?,
            Form::Xlsx(form) => form.finish(&about, rows)?,
            Form::Html(form) => form.finish(&about, rows)?,
        };
        to.flush()?;
        Ok((to, rows))
    }
}

/// What the columns of a report are.
fn kinds_of(report: &Report) -> Vec<ColumnKind> {
    report.kinds()
}
