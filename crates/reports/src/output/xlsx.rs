//! Workbooks.
//!
//! Rows go to temporary files as they come, which the library has for each sheet, so that memory does not grow with them. They lie in the
//! system's folder for such files, have no name there, and are gone with the process.

use super::{OutputError, kinds_of};
use crate::about::About;
use crate::cell::{Cell, cells_of};
use crate::report::{ColumnKind, Report};
use arrow::array::RecordBatch;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use std::io::Write;

/// Rows of a sheet, its header among them.
const SHEET_ROWS: u32 = 1_048_576;
/// Characters of a cell.
const CELL_CHARACTERS: usize = 32_767;
/// Whole numbers that are exact as a cell holds them.
const EXACT: u64 = 1 << 53;

/// A workbook: sheets of rows, each with its header, and a sheet about the report.
pub(super) struct XlsxForm<W: Write + Send> {
    columns: Vec<(String, ColumnKind)>,
    kinds: Vec<ColumnKind>,
    workbook: Workbook,
    formats: Formats,
    /// Sheets of rows so far.
    sheets: usize,
    /// The next row of the last sheet.
    next: u32,
    sheet_rows: u32,
    written: u64,
    to: W,
}

struct Formats {
    header: Format,
    text: Format,
    time: Format,
    uk_time: Format,
    date: Format,
}

impl Formats {
    fn new() -> Self {
        Self {
            header: Format::new().set_bold().set_text_wrap(),
            // Digits stay as they are: an MPAN is no number.
            text: Format::new().set_num_format("@"),
            time: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000"),
            uk_time: Format::new().set_num_format("yyyy-mm-dd hh:mm"),
            date: Format::new().set_num_format("yyyy-mm-dd"),
        }
    }
}

impl<W: Write + Send> XlsxForm<W> {
    pub(super) fn new(report: &Report, to: W) -> Result<Self, OutputError> {
        Self::with_sheets_of(SHEET_ROWS, report, to)
    }

    /// With sheets of so many rows.
    pub(super) fn with_sheets_of(sheet_rows: u32, report: &Report, to: W) -> Result<Self, OutputError> {
        let title = |name: &str, kind| match kind {
            ColumnKind::Time => format!("{name} (UTC)"),
            ColumnKind::UkTime => format!("{name} (UK)"),
            _ => name.to_owned(),
        };
        let columns = report.columns.iter().map(|column| (title(&column.name, column.kind), column.kind));
        let mut form = Self {
            columns: columns.collect(),
            kinds: kinds_of(report),
            workbook: Workbook::new(),
            formats: Formats::new(),
            sheets: 0,
            next: 0,
            sheet_rows,
            written: 0,
            to,
        };
        form.begin_sheet().map_err(OutputError::Workbook)?;
        Ok(form)
    }

    fn begin_sheet(&mut self) -> Result<(), XlsxError> {
        self.sheets += 1;
        let name = if self.sheets == 1 { "Rows".to_owned() } else { format!("Rows {}", self.sheets) };
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?.set_freeze_panes(1, 0)?;
        for (number, (title, kind)) in (0..).zip(&self.columns) {
            let width = match kind {
                ColumnKind::Text | ColumnKind::Time => 25,
                ColumnKind::UkTime => 18,
                _ => 14,
            };
            sheet.set_column_width(number, width)?;
            sheet.write_string_with_format(0, number, title, &self.formats.header)?;
        }
        self.next = 1;
        Ok(())
    }

    /// Filters stand over the rows of a sheet, so they come when those are known.
    fn end_sheet(&mut self) -> Result<(), XlsxError> {
        let last = u16::try_from(self.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let (index, row) = (self.sheets - 1, self.next.saturating_sub(1));
        self.workbook.worksheet_from_index(index)?.autofilter(0, 0, row, last)?;
        Ok(())
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        for row in 0..rows.num_rows() {
            if self.next == self.sheet_rows {
                self.end_sheet().and_then(|()| self.begin_sheet()).map_err(OutputError::Workbook)?;
            }
            self.written += 1;
            let sheet = self.workbook.worksheet_from_index(self.sheets - 1).map_err(OutputError::Workbook)?;
            for (number, cell) in (0..).zip(cells_of(rows, &self.kinds, row)) {
                if let Some(found) = too_long(cell) {
                    let column = self.columns.get(usize::from(number)).map(|(name, _)| name.clone());
                    let column = column.unwrap_or_default();
                    return Err(OutputError::TextTooLong {
                        row: self.written,
                        column,
                        max: CELL_CHARACTERS,
                        found,
                    });
                }
                write_cell(sheet, (self.next, number), cell, &self.formats).map_err(OutputError::Workbook)?;
            }
            self.next += 1;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, about: &About, rows: u64) -> Result<W, OutputError> {
        self.end(about, rows).map_err(OutputError::Workbook)?;
        Ok(self.to)
    }

    fn end(&mut self, about: &About, rows: u64) -> Result<(), XlsxError> {
        self.end_sheet()?;
        let sheet = self.workbook.add_worksheet();
        sheet.set_name("About")?.set_column_width(0, 22)?.set_column_width(1, 90)?;
        let said = about.said(rows);
        let lines = said.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        for (row, (name, value)) in (0..).zip(lines) {
            sheet.write_string_with_format(row, 0, *name, &self.formats.header)?;
            sheet.write_string(row, 1, value)?;
        }
        self.workbook.save_to_writer(&mut self.to)
    }
}

/// How many characters a text has that no cell holds.
fn too_long(cell: Cell<'_>) -> Option<usize> {
    let Cell::Text(text) = cell else { return None };
    // Bytes are counted faster, and there are never fewer of them. A cell counts as UTF-16 does.
    let found = if text.len() > CELL_CHARACTERS { text.encode_utf16().count() } else { 0 };
    (found > CELL_CHARACTERS).then_some(found)
}

fn write_cell(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    cell: Cell<'_>,
    formats: &Formats,
) -> Result<(), XlsxError> {
    match cell {
        Cell::Empty => {}
        Cell::Text(text) => drop(sheet.write_string_with_format(row, column, text, &formats.text)?),
        Cell::Number(number) if number.unsigned_abs() > EXACT => {
            sheet.write_string_with_format(row, column, number.to_string(), &formats.text)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "no number as large as that comes here")]
        Cell::Number(number) => drop(sheet.write_number(row, column, number as f64)?),
        Cell::Decimal(number) if number.is_finite() => drop(sheet.write_number(row, column, number)?),
        Cell::Decimal(_) => {}
        Cell::Flag(flag) => drop(sheet.write_boolean(row, column, flag)?),
        Cell::Time(_) | Cell::UkTime(_) | Cell::Date(_) => {
            let format = match cell {
                Cell::Time(_) => &formats.time,
                Cell::UkTime(_) => &formats.uk_time,
                _ => &formats.date,
            };
            match cell.wall_millis().and_then(serial_date) {
                Some(date) => drop(sheet.write_number_with_format(row, column, date, format)?),
                // What lies outside the years of a workbook is told as a text.
                None => drop(sheet.write_string_with_format(row, column, cell.to_string(), &formats.text)?),
            }
        }
    }
    Ok(())
}

/// A time as a workbook counts it: in days since the end of 1899, with a 29 February 1900 that never was.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of these years are exact")]
fn serial_date(millis: i64) -> Option<f64> {
    const MARCH_1900: i64 = -2_203_891_200_000;
    const YEAR_10000: i64 = 253_402_300_800_000;
    let days_before_epoch = 25_569.0;
    (MARCH_1900..YEAR_10000).contains(&millis).then(|| millis as f64 / 86_400_000.0 + days_before_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::collections::BTreeMap;
    use std::io::{Cursor, Read as _};
    use std::sync::Arc;

    const MANIFEST: &str = "title = \"Sample\"\nversion = 1\npurpose = \"None.\"\npertains = \"None.\"\nfreshness_hours = 1\n\
         tables = [\"none\"]\nlimits = []\nsort = []\nparameters = []\n[[columns]]\nname = \"n\"\ntype = \"number\"\n\
         description = \"A number\"\n[[changes]]\nversion = 1\nsince = \"2026-11-30\"\nwhat = \"First.\"\ndigest = \"DIGEST\"\n";

    fn sample() -> Report {
        let wrong = Report::read("sample", MANIFEST, "SELECT 1").unwrap_err().to_string();
        let digest = wrong.rsplit('"').nth(1).unwrap();
        Report::read("sample", &MANIFEST.replace("DIGEST", digest), "SELECT 1").unwrap()
    }

    fn about() -> About {
        let at = "2026-03-01T00:00:00Z".parse().unwrap();
        About {
            report: "sample".to_owned(),
            title: "Sample".to_owned(),
            version: 1,
            users: Vec::new(),
            party: "avon".to_owned(),
            asked_by: "tester".to_owned(),
            parameters: BTreeMap::new(),
            complete_up_to: None,
            fresh_enough: false,
            needed_up_to: None,
            lake_version: "1".to_owned(),
            made_at: at,
        }
    }

    /// None is cut, none comes twice, and each sheet has its header and filters.
    #[test]
    fn rows_beyond_a_sheet_go_to_the_next() {
        for (rows, sheets) in [(0, 1), (3, 1), (4, 2), (10, 4)] {
            let mut form = XlsxForm::with_sheets_of(4, &sample(), Vec::new()).unwrap();
            let numbers: ArrayRef = Arc::new((0..rows).collect::<Int64Array>());
            form.write(&RecordBatch::try_from_iter([("n", numbers)]).unwrap()).unwrap();
            let bytes = form.finish(&about(), u64::try_from(rows).unwrap()).unwrap();
            let mut book = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
            let mut part = |name: &str| {
                let mut text = String::new();
                book.by_name(name).unwrap().read_to_string(&mut text).unwrap();
                text
            };
            let names = part("xl/workbook.xml");
            assert_eq!(names.matches("<sheet ").count(), sheets + 1, "{names}");
            assert!(names.contains("name=\"About\""));
            let mut found = Vec::new();
            for number in 1..=sheets {
                let sheet = part(&format!("xl/worksheets/sheet{number}.xml"));
                assert!(sheet.contains("<autoFilter ") && sheet.contains("state=\"frozen\""), "{sheet}");
                assert!(sheet.matches("<row ").count() <= 4);
                let values = sheet.split("<v>").skip(1).filter_map(|rest| rest.split("</v>").next());
                found.extend(values.filter_map(|value| value.parse::<i64>().ok()));
            }
            assert_eq!(found, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn times_are_counted_as_workbooks_count_them() {
        assert_eq!(serial_date(0), Some(25_569.0));
        assert_eq!(serial_date(1_774_746_000_000 + 43_200_000 - 3_600_000), Some(46_110.5));
        assert_eq!(serial_date(-2_203_891_200_000), Some(61.0));
        assert_eq!(serial_date(-2_203_891_200_001), None);
    }
}
