//! Which reports there are, and what each is, as text and as JSON.

use crate::args::{Format, ListFormat};
use crate::exit::Failure;
use crate::output::{self, Grid, count_of, printable};
use gridtrail_proto::query::v1::ListedReport;
use gridtrail_reports::Report;
use serde::Serialize;
use std::io;

/// A report in the list. The fields are an interface: programs read them as JSON.
#[derive(Serialize)]
pub(super) struct Listed {
    name: String,
    title: String,
    version: u32,
    purpose: String,
}

impl Listed {
    pub(super) fn of(report: &Report) -> Self {
        let Report { name, title, version, purpose, .. } = report.clone();
        Self { name, title, version, purpose }
    }

    pub(super) fn told(report: ListedReport) -> Self {
        let ListedReport { name, title, version, purpose } = report;
        Self { name, title, version, purpose }
    }
}

pub(super) fn list(reports: impl Iterator<Item = Listed>, format: ListFormat) -> Result<(), Failure> {
    let (mut out, reports) = (io::stdout().lock(), reports.collect::<Vec<_>>());
    if format == ListFormat::Json {
        return output::write_json(&mut out, &reports);
    }
    let mut grid = Grid::new(&["Report", "Title", "Version"]);
    for report in &reports {
        // A server's words are nobody's to steer the terminal with.
        let [name, title] = [&report.name, &report.title].map(|text| printable(text));
        grid.add_row([name, title, report.version.to_string()]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &grid.csv()?);
    }
    let footer = count_of(reports.len(), "report");
    output::write(&mut out, format!("{grid}\n{footer}\n").as_bytes())
}

pub(super) fn describe(report: &Report, format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, report),
        Format::Table => output::write(&mut out, report.page().as_bytes()),
    }
}
