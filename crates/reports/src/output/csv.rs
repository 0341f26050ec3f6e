//! Comma-separated values.

use super::{OutputError, kinds_of};
use crate::cell::{Cell, cells_of};
use crate::report::{ColumnKind, Report};
use arrow::array::RecordBatch;
use std::borrow::Cow;
use std::io::{self, Write};

/// CSV by RFC 4180: lines that end in CR LF, quotation marks where a value needs them, a header.
pub(super) struct CsvForm<W: Write> {
    kinds: Vec<ColumnKind>,
    to: csv::Writer<W>,
}

impl<W: Write> CsvForm<W> {
    pub(super) fn new(report: &Report, to: W) -> Result<Self, OutputError> {
        let mut to = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
        to.write_record(report.columns.iter().map(|column| &column.name)).map_err(failed)?;
        Ok(Self { kinds: kinds_of(report), to })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        for row in 0..rows.num_rows() {
            for cell in cells_of(rows, &self.kinds, row) {
                match cell {
                    Cell::Text(text) => self.to.write_field(guarded(text).as_bytes()),
                    other => self.to.write_field(other.to_string()),
                }
                .map_err(failed)?;
            }
            self.to.write_record(None::<&[u8]>).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<W, OutputError> {
        self.to.into_inner().map_err(|error| OutputError::Io(error.into_error()))
    }
}

fn failed(error: csv::Error) -> OutputError {
    OutputError::Io(io::Error::from(error))
}

/// A text that no spreadsheet takes for a formula. What begins like one, in ordinary or in wide letters, gets an apostrophe before it, and so
/// does what begins with an apostrophe and then like one: who takes the first away has the text.
pub fn guarded(text: &str) -> Cow<'_, str> {
    let begins_a_formula =
        |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if begins_a_formula(text.trim_start_matches('\'')) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}
