//! What the manifests say, as pages for people.

use crate::catalogue::Catalogue;
use crate::report::Report;
use std::fmt::Write as _;

/// What stands in `docs/reports.md` below its marker: every report, as its manifest has it.
pub fn page_of(reports: &Catalogue) -> String {
    let mut page = String::from("| Report | Name | Version |\n|---|---|---|\n");
    for report in reports.iter() {
        // Writing to a text cannot fail.
        let _ = writeln!(
            page,
            "| [{}](#{}) | `{}` | {} |",
            report.title,
            anchor_of(&report.title),
            report.name,
            report.version
        );
    }
    for report in reports.iter() {
        page.push('\n');
        page.push_str(&report.page());
    }
    page
}

fn anchor_of(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

impl Report {
    /// What the report is, as a page for people.
    pub fn page(&self) -> String {
        let mut page = format!("## {}\n\n{}\n\n", self.title, self.purpose);
        let _ = writeln!(page, "- Name and version: `{}`, version {}", self.name, self.version);
        let _ = writeln!(page, "- Rows that pertain to a User: {}", self.pertains);
        let _ = writeln!(page, "- Reads: {}", self.tables.join(", "));
        let _ = writeln!(
            page,
            "- Freshness: complete up to {} hours before it is made, or it says that it is not",
            self.freshness_hours
        );
        let sort = self.sort.iter().map(|key| {
            let direction = if key.descending { ", largest first" } else { "" };
            format!("`{}`{direction}", key.column)
        });
        let _ = writeln!(page, "- Order: {}", sort.collect::<Vec<_>>().join(", "));
        if let Some(chart) = &self.chart {
            let _ = writeln!(page, "- Picture: {}", chart.title);
        }
        if let Some(file) = &self.appendix_aa {
            let columns: Vec<String> = file.columns.iter().map(|name| format!("`{name}`")).collect();
            let set = file.parameters.iter().map(|(name, value)| format!("`{name}={value}`"));
            let _ = writeln!(
                page,
                "- Answered with `--format appendix-aa`, for one User ID and with {}: {}, and an empty `action`",
                set.collect::<Vec<_>>().join(", "),
                columns.join(", ")
            );
        }
        for limit in &self.limits {
            let _ = writeln!(page, "- Not here: {limit}");
        }
        self.add_parameters(&mut page);
        page.push_str("\n| Column | Type | Unit | Says |\n|---|---|---|---|\n");
        for column in &self.columns {
            let unit = column.unit.as_deref().unwrap_or_default();
            let _ = writeln!(
                page,
                "| `{}` | {} | {unit} | {} |",
                column.name,
                column.kind.name(),
                column.description
            );
        }
        page.push_str("\n| Version | Since | Changed |\n|---|---|---|\n");
        for change in &self.changes {
            let _ = writeln!(page, "| {} | {} | {} |", change.version, change.since, change.what);
        }
        page
    }

    fn add_parameters(&self, page: &mut String) {
        if !self.parameters.is_empty() {
            page.push_str("\n| Parameter | Takes | Without it | Says |\n|---|---|---|---|\n");
        }
        for parameter in &self.parameters {
            let without = match (&parameter.default, parameter.required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "must be given".to_owned(),
                (None, false) => "all".to_owned(),
            };
            let (name, takes) = (&parameter.name, parameter.kind.rule());
            let _ = writeln!(page, "| `{name}` | {takes} | {without} | {} |", parameter.description);
        }
        if !self.needs_one_of.is_empty() {
            let _ = writeln!(page, "\nOne of {} must be given.", self.needs_one_of.join(", "));
        }
        if let Some(period) = &self.period {
            let _ = writeln!(
                page,
                "\nFrom `{}` to `{}` are {} days at most.",
                period.from, period.until, period.days_max
            );
        }
    }
}
