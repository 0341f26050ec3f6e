//! One JSON document.

use super::{OutputError, kinds_of};
use crate::about::About;
use crate::cell::{Cell, cells_of};
use crate::report::{ColumnKind, Report};
use arrow::array::RecordBatch;
use std::io::Write;

/// An object: `about`, `rows` (an object a line), `row_count`.
pub(super) struct JsonForm<W: Write> {
    kinds: Vec<ColumnKind>,
    /// The names of the columns, as JSON writes them.
    names: Vec<String>,
    is_first: bool,
    to: W,
}

impl<W: Write> JsonForm<W> {
    pub(super) fn new(report: &Report, about: &About, mut to: W) -> Result<Self, OutputError> {
        write!(to, "{{\"about\":{},\n\"rows\":[", serde_json::to_string(about)?)?;
        let names = report.columns.iter().map(|column| serde_json::to_string(&column.name));
        Ok(Self { kinds: kinds_of(report), names: names.collect::<Result<_, _>>()?, is_first: true, to })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        let mut lines = Vec::with_capacity(rows.num_rows() * 256);
        for row in 0..rows.num_rows() {
            lines.extend_from_slice(if self.is_first { b"\n" } else { b",\n" });
            self.is_first = false;
            let mut before = b'{';
            for (cell, name) in cells_of(rows, &self.kinds, row).zip(&self.names) {
                lines.push(before);
                before = b',';
                lines.extend_from_slice(name.as_bytes());
                lines.push(b':');
                write_cell(&mut lines, cell)?;
            }
            lines.push(b'}');
        }
        Ok(self.to.write_all(&lines)?)
    }

    pub(super) fn finish(mut self, rows: u64) -> Result<W, OutputError> {
        write!(self.to, "\n],\n\"row_count\":{rows}}}\n")?;
        Ok(self.to)
    }
}

fn write_cell(to: &mut Vec<u8>, cell: Cell<'_>) -> Result<(), OutputError> {
    match cell {
        Cell::Empty => to.extend_from_slice(b"null"),
        Cell::Text(text) => serde_json::to_writer(to, text)?,
        Cell::Number(number) => serde_json::to_writer(to, &number)?,
        // What is no number is null.
        Cell::Decimal(number) => serde_json::to_writer(to, &number)?,
        Cell::Flag(flag) => serde_json::to_writer(to, &flag)?,
        other @ (Cell::Time(_) | Cell::UkTime(_) | Cell::Date(_)) => {
            serde_json::to_writer(to, &other.to_string())?;
        }
    }
    Ok(())
}
