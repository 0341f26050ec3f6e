//! One page that needs nothing beside it.
//!
//! What stands above the rows is known when the last of them has come, so they wait in a temporary file that has no name.

use super::chart::{Picture, Tally};
use super::drawn::{drawn, shown};
use super::markup::escaped;
use super::{OutputError, kinds_of};
use crate::about::About;
use crate::cell::{Cell, cells_of};
use crate::report::{ColumnKind, Report};
use arrow::array::RecordBatch;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};

/// No script, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;margin:2rem auto;max-width:76rem;padding:0 1rem}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}\
table{border-collapse:collapse;font-size:.875rem}caption{text-align:left;font-weight:600;padding:.25rem 0}\
th,td{border:1px solid #767676;padding:.2rem .5rem;text-align:left;vertical-align:top}\
thead th{background:#eef2f6}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.wide{overflow-x:auto}svg{width:100%;height:auto;font:13px system-ui,sans-serif}\
figure{margin:1rem 0}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}\
@media print{body{margin:0;max-width:none;font-size:11px}.wide{overflow:visible}thead{display:table-header-group}\
tr,figure svg{break-inside:avoid}}";

/// A page: what the report says of itself, its picture with the numbers in it, and its rows.
pub(super) struct HtmlForm<W: Write> {
    report: Report,
    kinds: Vec<ColumnKind>,
    tally: Option<Tally>,
    rows: BufWriter<File>,
    to: W,
}

impl<W: Write> HtmlForm<W> {
    pub(super) fn new(report: &Report, to: W) -> Result<Self, OutputError> {
        let rows = BufWriter::new(tempfile::tempfile()?);
        let (kinds, tally) = (kinds_of(report), Tally::of(report));
        Ok(Self { report: report.clone(), kinds, tally, rows, to })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        for row in 0..rows.num_rows() {
            self.rows.write_all(b"<tr>")?;
            for cell in cells_of(rows, &self.kinds, row) {
                let class =
                    if matches!(cell, Cell::Number(_) | Cell::Decimal(_)) { " class=\"n\"" } else { "" };
                write!(self.rows, "<td{class}>{}</td>", escaped(&cell.to_string()))?;
            }
            self.rows.write_all(b"</tr>\n")?;
        }
        if let Some(tally) = &mut self.tally {
            tally.count(rows, &self.kinds);
        }
        Ok(())
    }

    pub(super) fn finish(self, about: &About, rows: u64) -> Result<W, OutputError> {
        let Self { report, tally, rows: spooled, mut to, .. } = self;
        let title = escaped(&report.title);
        write!(
            to,
            "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{}</p>\n",
            escaped(&report.purpose)
        )?;
        write_about(&mut to, about, rows)?;
        match tally.map(Tally::picture) {
            Some(Ok(picture)) if rows > 0 => write_picture(&mut to, &picture)?,
            Some(Err(why)) => write!(to, "<h2>Picture</h2>\n<p>{}</p>\n", escaped(why))?,
            _ => {}
        }
        write_columns(&mut to, &report)?;
        let names = report.columns.iter().map(|column| escaped(&column.name).into_owned());
        write!(
            to,
            "<h2>Rows</h2>\n<div class=\"wide\" role=\"region\" aria-label=\"Rows\" tabindex=\"0\">\n<table id=\"rows\">\n\
             <caption>{rows} rows</caption>\n<thead>{}</thead>\n<tbody>\n",
            header_of(names)
        )?;
        let mut file = spooled.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        io::copy(&mut file, &mut to)?;
        to.write_all(b"</tbody>\n</table>\n</div>\n</main>\n</body>\n</html>\n")?;
        Ok(to)
    }
}

fn write_about(to: &mut impl Write, about: &About, rows: u64) -> io::Result<()> {
    writeln!(to, "<h2>About this report</h2>\n<table id=\"about\">\n<tbody>")?;
    for (name, values) in about.said(rows) {
        writeln!(to, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escaped(&values.join("; ")))?;
    }
    writeln!(to, "</tbody>\n</table>")
}

fn write_picture(to: &mut impl Write, picture: &Picture) -> io::Result<()> {
    let title = escaped(&picture.title);
    write!(to, "<h2>{title}</h2>\n<figure>\n{}</figure>\n", drawn(picture))?;
    let parts = picture.parts.iter().map(|part| escaped(part).into_owned());
    let names = std::iter::once(escaped(&picture.across).into_owned()).chain(parts);
    write!(
        to,
        "<div class=\"wide\" role=\"region\" aria-label=\"Numbers of the picture\" tabindex=\"0\">\n<table id=\"picture\">\n\
         <caption>The numbers of the picture</caption>\n<thead>{}</thead>\n<tbody>\n",
        header_of(names)
    )?;
    for (name, numbers) in &picture.values {
        write!(to, "<tr><th scope=\"row\">{}</th>", escaped(name))?;
        for number in numbers {
            write!(to, "<td class=\"n\">{}</td>", shown(*number))?;
        }
        writeln!(to, "</tr>")?;
    }
    to.write_all(b"</tbody>\n</table>\n</div>\n")
}

fn write_columns(to: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(to, "<h2>What the columns say</h2>\n<table id=\"columns\">\n<thead>{}</thead>\n<tbody>", {
        header_of(["Column", "Unit", "Says"].map(str::to_owned).into_iter())
    })?;
    for column in &report.columns {
        writeln!(
            to,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escaped(&column.name),
            escaped(column.unit.as_deref().unwrap_or_default()),
            escaped(&column.description)
        )?;
    }
    writeln!(to, "</tbody>\n</table>")
}

fn header_of(names: impl Iterator<Item = String>) -> String {
    let cells: String = names.map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
    format!("<tr>{cells}</tr>")
}
