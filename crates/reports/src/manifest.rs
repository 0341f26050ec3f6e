//! Manifests: read, and held against the statement beside them.

use crate::argument::GIVEN;
use crate::parameter::{Parameter, ParameterKind};
use crate::report::{AnswerFile, Change, Chart, Column, ColumnKind, Period, Report, SortKey};
use crate::statement::Statement;
use gridtrail_model::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;

/// What is wrong with a report's folder: in which file, and at which of its fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {field}: {fault}")]
pub struct ManifestError {
    /// The file, as `monthly-transactions/report.toml`.
    pub file: String,
    /// The field, as `columns.user_id`.
    pub field: String,
    /// What is wrong with it.
    pub fault: ManifestFault,
}

/// What is wrong with a field of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Not the TOML that was expected.
    #[error("{0}")]
    Toml(String),
    /// A statement that cannot be read.
    #[error("{0}")]
    Statement(String),
    /// No name: of a report small letters, digits and hyphens; of everything else small letters, digits and underscores.
    #[error("{0:?} is no name")]
    Name(String),
    /// Nothing is said.
    #[error("says nothing")]
    Empty,
    /// Two of one name.
    #[error("there are two of it")]
    Twice,
    /// Something that is named and not there, or is of another type.
    #[error("names {name:?}, which is no {what}")]
    NoSuch {
        /// What is named.
        name: String,
        /// What it should be.
        what: &'static str,
    },
    /// A setting that a parameter of its type must have, or may not have.
    #[error("{0}")]
    Setting(&'static str),
    /// A default that the parameter itself does not take.
    #[error("the default is not {0}")]
    Default(String),
    /// Versions that do not go on, or a version that is not the last change.
    #[error("versions begin with 1, go on by 1, and end with that of the report")]
    Versions,
    /// A report that is not what its version was.
    #[error(
        "the report is not what version {version} was: raise the version and say what changed, with digest = {digest:?}"
    )]
    Changed {
        /// The version.
        version: u32,
        /// The digest of the report as it stands.
        digest: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    title: String,
    version: u32,
    purpose: String,
    pertains: String,
    freshness_hours: u32,
    tables: Vec<String>,
    limits: Vec<String>,
    sort: Vec<String>,
    #[serde(default)]
    needs_one_of: Vec<String>,
    period: Option<Period>,
    history_of: Option<String>,
    parameters: Vec<ParameterTable>,
    columns: Vec<Column>,
    chart: Option<Chart>,
    appendix_aa: Option<AnswerFile>,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterTable {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    description: String,
    default: Option<String>,
    #[serde(default)]
    required: bool,
    values: Option<Vec<String>>,
    min: Option<i64>,
    max: Option<i64>,
    characters_max: Option<u32>,
}

/// Where a fault is looked for.
struct Place<'a> {
    folder: &'a str,
}

impl Place<'_> {
    fn fault(&self, field: impl Into<String>, fault: ManifestFault) -> ManifestError {
        ManifestError { file: format!("{}/report.toml", self.folder), field: field.into(), fault }
    }

    fn in_statement(&self, field: &str, fault: ManifestFault) -> ManifestError {
        ManifestError { file: format!("{}/report.sql", self.folder), field: field.to_owned(), fault }
    }
}

impl Report {
    /// Reads a report: the name of its folder, its manifest and its statement.
    ///
    /// Errors: what is wrong, with its file and field.
    pub fn read(folder: &str, manifest: &str, statement: &str) -> Result<Self, ManifestError> {
        let place = Place { folder };
        let file: ManifestFile = toml::from_str(manifest).map_err(|error| {
            let line = error.span().map_or(1, |span| manifest[..span.start].matches('\n').count() + 1);
            place.fault(format!("line {line}"), ManifestFault::Toml(error.message().to_owned()))
        })?;
        let parameters = file.parameters.into_iter().map(|table| parameter_of(&place, table));
        let parameters: Vec<Parameter> = parameters.collect::<Result<_, _>>()?;
        let mut report = Self {
            name: folder.to_owned(),
            title: file.title,
            version: file.version,
            purpose: file.purpose,
            pertains: file.pertains,
            freshness_hours: file.freshness_hours,
            tables: file.tables,
            limits: file.limits,
            needs_one_of: file.needs_one_of,
            period: file.period,
            sort: file.sort.iter().map(|key| sort_key(key)).collect(),
            statement: Statement::default(),
            history_of: None,
            parameters,
            columns: file.columns,
            chart: file.chart,
            appendix_aa: file.appendix_aa,
            changes: file.changes,
        };
        report.check_names(&place)?;
        report.check_references(&place)?;
        // Names that are sound stand in it.
        report.statement = whole_statement(&place, statement, (&report.columns, &report.sort))?;
        report.history_of = file
            .history_of
            .as_deref()
            .map(Statement::parse)
            .transpose()
            .map_err(|error| place.fault("history_of", ManifestFault::Statement(error.to_string())))?;
        report.check_statement(&place)?;
        report.check_versions(&place)?;
        Ok(report)
    }

    fn check_names(&self, place: &Place<'_>) -> Result<(), ManifestError> {
        if !is_name(&self.name, '-') {
            return Err(place.fault("the folder", ManifestFault::Name(self.name.clone())));
        }
        let texts = [("title", &self.title), ("purpose", &self.purpose), ("pertains", &self.pertains)];
        if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(place.fault(field, ManifestFault::Empty));
        }
        for (list, names) in [
            ("parameters", self.parameters.iter().map(|one| &one.name).collect::<Vec<_>>()),
            ("columns", self.columns.iter().map(|one| &one.name).collect()),
            ("tables", self.tables.iter().collect()),
        ] {
            let mut seen = BTreeSet::new();
            for name in &names {
                let field = format!("{list}.{name}");
                if !is_name(name, '_') || list == "parameters" && GIVEN.contains(&name.as_str()) {
                    return Err(place.fault(field, ManifestFault::Name((*name).clone())));
                }
                if !seen.insert(*name) {
                    return Err(place.fault(field, ManifestFault::Twice));
                }
            }
            if names.is_empty() && list != "parameters" {
                return Err(place.fault(list, ManifestFault::Empty));
            }
        }
        Ok(())
    }

    fn check_references(&self, place: &Place<'_>) -> Result<(), ManifestError> {
        let no_such = |field: &str, name: &str, what| {
            let name = name.to_owned();
            place.fault(field, ManifestFault::NoSuch { name, what })
        };
        if let Some(key) = self.sort.iter().find(|key| self.column(&key.column).is_none()) {
            return Err(no_such("sort", &key.column, "column"));
        }
        let is_parameter = |name: &str, kind: Option<&ParameterKind>| {
            let found = self.parameters.iter().find(|parameter| parameter.name == name);
            found.is_some_and(|parameter| kind.is_none_or(|kind| parameter.kind == *kind))
        };
        if let Some(name) = self.needs_one_of.iter().find(|name| !is_parameter(name, None)) {
            return Err(no_such("needs_one_of", name, "parameter"));
        }
        if let Some(period) = &self.period {
            let days = [&period.from, &period.until];
            if let Some(name) = days.into_iter().find(|name| !is_parameter(name, Some(&ParameterKind::Date)))
            {
                return Err(no_such("period", name, "parameter of the type date"));
            }
        }
        if let Some(file) = &self.appendix_aa {
            if let Some(name) = file.columns.iter().find(|name| self.column(name).is_none()) {
                return Err(no_such("appendix_aa.columns", name, "column"));
            }
            if let Some(name) = file.parameters.keys().find(|name| !is_parameter(name, None)) {
                return Err(no_such("appendix_aa.parameters", name, "parameter"));
            }
        }
        let Some(chart) = &self.chart else { return Ok(()) };
        let is_number = |name: &str| {
            let kind = self.column(name).map(|column| column.kind);
            matches!(kind, Some(ColumnKind::Number | ColumnKind::Decimal))
        };
        if let Some(name) = chart.sums.iter().find(|name| !is_number(name)) {
            return Err(no_such("chart.sums", name, "column of numbers"));
        }
        let columns = [("chart.across", Some(&chart.across)), ("chart.by", chart.by.as_ref())];
        for (field, name) in columns {
            if let Some(name) = name.filter(|name| self.column(name).is_none()) {
                return Err(no_such(field, name, "column"));
            }
        }
        if chart.by.is_some() && !chart.sums.is_empty() {
            return Err(
                place.fault("chart.by", ManifestFault::Setting("a chart sums, or counts by a column"))
            );
        }
        Ok(())
    }

    /// Every parameter of the statement is one of the manifest's, and the other way round.
    fn check_statement(&self, place: &Place<'_>) -> Result<(), ManifestError> {
        let is_of = |name: &str, parameter: &Parameter| {
            let suffix = name.strip_prefix(&parameter.name);
            suffix.is_some_and(|suffix| parameter.kind.suffixes().contains(&suffix))
        };
        let of_history = self.history_of.iter().flat_map(Statement::names);
        for name in self.statement.names().iter().chain(of_history) {
            let is_given = GIVEN.contains(&name.as_str());
            if !is_given && !self.parameters.iter().any(|parameter| is_of(name, parameter)) {
                let fault =
                    ManifestFault::NoSuch { name: format!("${name}"), what: "parameter of the manifest" };
                return Err(place.in_statement("parameters", fault));
            }
        }
        let is_used =
            |parameter: &&Parameter| self.statement.names().iter().any(|name| is_of(name, parameter));
        match self.parameters.iter().find(|parameter| !is_used(parameter)) {
            Some(parameter) => {
                let fault =
                    ManifestFault::NoSuch { name: parameter.name.clone(), what: "value of the statement" };
                Err(place.fault(format!("parameters.{}", parameter.name), fault))
            }
            None => Ok(()),
        }
    }

    fn check_versions(&self, place: &Place<'_>) -> Result<(), ManifestError> {
        let versions = self.changes.iter().map(|change| change.version);
        if !versions.eq(1..=self.version) {
            return Err(place.fault("changes", ManifestFault::Versions));
        }
        match self.changes.last() {
            Some(last) if last.digest == self.digest() => Ok(()),
            _ => {
                let fault = ManifestFault::Changed { version: self.version, digest: self.digest() };
                Err(place.fault("changes.digest", fault))
            }
        }
    }
}

fn parameter_of(place: &Place<'_>, table: ParameterTable) -> Result<Parameter, ManifestError> {
    let field = format!("parameters.{}", table.name);
    let setting = |rule| place.fault(&field, ManifestFault::Setting(rule));
    let kind = match (table.kind.as_str(), table.values, (table.min, table.max), table.characters_max) {
        ("text", None, (None, None), Some(characters_max)) => ParameterKind::Text { characters_max },
        ("number", None, (Some(min), Some(max)), None) if min <= max => ParameterKind::Number { min, max },
        ("choice", Some(values), (None, None), None) if !values.is_empty() => {
            ParameterKind::Choice { values }
        }
        ("date", None, (None, None), None) => ParameterKind::Date,
        ("month", None, (None, None), None) => ParameterKind::Month,
        ("device_id", None, (None, None), None) => ParameterKind::DeviceId,
        ("mpxn", None, (None, None), None) => ParameterKind::Mpxn,
        ("service_reference_variant", None, (None, None), None) => ParameterKind::ServiceReferenceVariant,
        (
            "text"
            | "number"
            | "choice"
            | "date"
            | "month"
            | "device_id"
            | "mpxn"
            | "service_reference_variant",
            ..,
        ) => {
            return Err(setting(
                "a text has characters_max, a number min and max, a choice values; others have none of these",
            ));
        }
        (other, ..) => {
            let fault = ManifestFault::NoSuch { name: other.to_owned(), what: "type of a parameter" };
            return Err(place.fault(field, fault));
        }
    };
    if table.required && table.default.is_some() {
        return Err(setting("what must be given has no default"));
    }
    // Whether a default is one does not hang on the day.
    let wrong = |default: &&String| kind.read(default, Timestamp::FIRST_EVENT).is_none();
    if table.default.as_ref().filter(wrong).is_some() {
        return Err(place.fault(field, ManifestFault::Default(kind.rule())));
    }
    if table.description.trim().is_empty() {
        return Err(place.fault(field, ManifestFault::Empty));
    }
    let ParameterTable { name, description, default, required, .. } = table;
    Ok(Parameter { name, kind, description, default, required })
}

fn sort_key(text: &str) -> SortKey {
    match text.strip_suffix(" descending") {
        Some(column) => SortKey { column: column.to_owned(), descending: true },
        None => SortKey { column: text.to_owned(), descending: false },
    }
}

/// The statement that is carried out: the columns of the manifest, in its order, of what the report's statement gives.
fn whole_statement(
    place: &Place<'_>,
    statement: &str,
    (columns, sort): (&[Column], &[SortKey]),
) -> Result<Statement, ManifestError> {
    let columns: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let sort = sort.iter().map(|SortKey { column, descending }| {
        let direction = if *descending { "DESC" } else { "ASC" };
        format!("\"{column}\" {direction} NULLS LAST")
    });
    let sort: Vec<String> = sort.collect();
    let order = if sort.is_empty() { String::new() } else { format!("\nORDER BY {}", sort.join(", ")) };
    let statement = statement.trim_end().trim_end_matches(';');
    let whole = format!("SELECT {} FROM (\n{statement}\n) AS report{order}", columns.join(", "));
    Statement::parse(&whole)
        .map_err(|error| place.in_statement("statement", ManifestFault::Statement(error.to_string())))
}

/// Whether a text may stand in a statement as a name.
fn is_name(text: &str, joint: char) -> bool {
    let is_within = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 64 && text.chars().all(is_within)
}

#[cfg(test)]
mod tests;
