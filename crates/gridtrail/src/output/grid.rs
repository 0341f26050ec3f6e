//! Lists: as a table that fits the terminal, and as CSV.

use crate::exit::Failure;
use comfy_table::{Table, presets};
use std::fmt::{self, Write as _};
use std::io;

/// Rows of texts under a header.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub(crate) fn new(header: &[impl ToString]) -> Self {
        Self { header: header.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn add_row(&mut self, cells: impl IntoIterator<Item = impl ToString>) {
        self.rows.push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }

    /// As CSV, header included.
    ///
    /// Errors: none but those of memory.
    pub(crate) fn csv(&self) -> Result<Vec<u8>, Failure> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let written = csv.write_record(&self.header).and_then(|()| {
            self.rows.iter().try_for_each(|row| csv.write_record(row.iter().map(|cell| csv_cell(cell))))
        });
        let failed = |error: io::Error| Failure::Output(error);
        written.map_err(|error| failed(error.into()))?;
        csv.into_inner().map_err(|error| failed(error.into_error()))
    }

    /// As a table, or, where that is wider than the terminal, each row as lines of name and value: a line that a terminal breaks is no
    /// column any more, and half an identifier is none.
    fn text_in(&self, width: Option<usize>) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(&self.header);
        for row in &self.rows {
            table.add_row(row);
        }
        let text = table.to_string();
        match width {
            Some(width) if text.lines().any(|line| line.chars().count() > width) => self.blocks(width),
            _ => text,
        }
    }

    /// Each row as lines of name and value. What has no value is left out.
    fn blocks(&self, width: usize) -> String {
        let longest = self.header.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let mut text = String::new();
        for (number, row) in (1..).zip(&self.rows) {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "Row {number} of {}", self.rows.len());
            for (name, value) in self.header.iter().zip(row).filter(|(_, value)| !value.is_empty()) {
                let mut name = name.as_str();
                for line in wrapped(value, width.saturating_sub(longest + 4)) {
                    let _ = writeln!(text, "  {name:<longest$}  {line}");
                    name = "";
                }
            }
            if number < self.rows.len() {
                text.push('\n');
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// A text in lines of so many letters. Words, such as identifiers, stay whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terminal = terminal_size::terminal_size_of(io::stdout());
        f.write_str(&self.text_in(terminal.map(|(width, _)| width.0.into())))
    }
}

/// A text that no spreadsheet takes for a formula, as in files of reports.
pub(crate) fn csv_cell(text: &str) -> String {
    gridtrail_reports::guarded(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(&["Letter", "Reason"]);
        grid.add_row(["events.jsonl@12", "line 1: a brace is missing at the end of the object"]);
        grid.add_row(["events.jsonl@13", ""]);
        grid
    }

    #[test]
    fn a_table_that_fits_stays_one_and_a_wide_one_becomes_lines() {
        let grid = grid();
        assert_eq!(grid.text_in(None), grid.text_in(Some(100)));
        assert!(grid.text_in(None).lines().count() > 5);
        let narrow = grid.text_in(Some(40));
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert_eq!(
            narrow,
            "Row 1 of 2\n  Letter  events.jsonl@12\n  Reason  line 1: a brace is missing at\n          the end of the object\n\n\
             Row 2 of 2\n  Letter  events.jsonl@13"
        );
    }

    /// What is longer than the terminal is left whole: it can be copied.
    #[test]
    fn no_identifier_is_cut() {
        let long = "a".repeat(90);
        let mut grid = Grid::new(&["Reference"]);
        grid.add_row([&long]);
        assert!(grid.text_in(Some(40)).contains(&long));
    }

    #[test]
    fn csv_has_a_header_and_no_formula() {
        let mut grid = grid();
        grid.add_row(["=1+1", "a, \"b\""]);
        let text = String::from_utf8(grid.csv().unwrap()).unwrap();
        assert_eq!(text.lines().next(), Some("Letter,Reason"));
        assert_eq!(text.lines().last(), Some("'=1+1,\"a, \"\"b\"\"\""));
        for (text, cell) in [("＝1+1", "'＝1+1"), ("'=1+1", "''=1+1"), ("'twas", "'twas"), ("1-1", "1-1")] {
            assert_eq!(csv_cell(text), cell);
        }
    }
}
