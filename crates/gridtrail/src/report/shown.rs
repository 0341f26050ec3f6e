//! Which reports there are, and what each is, as text and as JSON.

use crate::args::{Format, ListFormat};
use crate::exit::Failure;
use crate::output::{self, Grid, count_of};
use gridtrail_reports::{Catalogue, Report};
use serde_json::json;
use std::io;

pub(super) fn list(reports: &Catalogue, format: ListFormat) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        let report = |report: &Report| json!({"name": report.name, "title": report.title, "version": report.version, "purpose": report.purpose});
        return output::write_json(&mut out, &reports.iter().map(report).collect::<Vec<_>>());
    }
    let mut grid = Grid::new(&["Report", "Title", "Version"]);
    for report in reports.iter() {
        grid.add_row([report.name.clone(), report.title.clone(), report.version.to_string()]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &grid.csv()?);
    }
    let footer = count_of(reports.iter().count(), "report");
    output::write(&mut out, format!("{grid}\n{footer}\n").as_bytes())
}

pub(super) fn describe(report: &Report, format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, report),
        Format::Table => output::write(&mut out, report.page().as_bytes()),
    }
}
