//! The file of Appendix AA by which a User answers: comma-separated values without quotation marks, with an empty column for what is to be done.
//!
//! The form of clause 6.4 is not public; the header and the column are ours. A value that would need quotation marks, or a guard against being
//! taken for a formula, has no place in it: the file is signed as it stands and read back by the same rules.

use super::csv::guarded;
use super::{OutputError, OutputFormat, kinds_of};
use crate::about::About;
use crate::cell::{Cell, cells_of};
use crate::report::{AnswerFile, ColumnKind, Report};
use arrow::array::RecordBatch;
use std::io::Write;

/// The column that the User fills in.
const ACTION: &str = "action";

impl Report {
    /// The file by which Users answer it, made for so many of them.
    ///
    /// Errors: `NotAnswered`; `OfOneUser` where they are none or several.
    pub fn answer_file(&self, users: usize) -> Result<&AnswerFile, OutputError> {
        match &self.appendix_aa {
            None => Err(OutputError::NotAnswered { report: self.name.clone() }),
            Some(_) if users != 1 => Err(OutputError::OfOneUser { found: users }),
            Some(file) => Ok(file),
        }
    }

    /// The values of parameters that a form of it is always made with.
    pub fn set_by(&self, form: Option<OutputFormat>) -> impl Iterator<Item = (&str, &str)> {
        let file = self.appendix_aa.as_ref().filter(|_| form == Some(OutputFormat::AppendixAa));
        file.into_iter()
            .flat_map(|file| &file.parameters)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Lines that end in CR LF: a header, and one for each communication.
pub(super) struct AppendixAaForm<W: Write> {
    kinds: Vec<ColumnKind>,
    /// The columns that are written: the name of each, and its place in the report.
    columns: Vec<(String, usize)>,
    rows: u64,
    to: W,
}

impl<W: Write> AppendixAaForm<W> {
    pub(super) fn new(report: &Report, about: &About, mut to: W) -> Result<Self, OutputError> {
        let file = report.answer_file(about.users.len())?;
        let place = |name: &String| {
            let at = report.columns.iter().position(|column| column.name == *name);
            at.map(|at| (name.clone(), at))
        };
        let columns: Vec<(String, usize)> = file.columns.iter().filter_map(place).collect();
        for (name, _) in &columns {
            write!(to, "{name},")?;
        }
        write!(to, "{ACTION}\r\n")?;
        Ok(Self { kinds: kinds_of(report), columns, rows: 0, to })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let cells: Vec<Cell<'_>> = cells_of(batch, &self.kinds, row).collect();
            for (name, at) in &self.columns {
                let text = cells.get(*at).map_or_else(String::new, ToString::to_string);
                if !is_plain(&text) {
                    return Err(OutputError::NotPlain { row: self.rows, column: name.clone() });
                }
                write!(self.to, "{text},")?;
            }
            self.to.write_all(b"\r\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> W {
        self.to
    }
}

/// Whether a value stands for itself, in every reader.
fn is_plain(text: &str) -> bool {
    !text.contains(['"', ',', '\r', '\n']) && guarded(text) == text
}
