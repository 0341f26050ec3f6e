//! A report as its manifest has it.

use crate::parameter::Parameter;
use crate::statement::Statement;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One report: what it is, what may be asked of it, and what its rows say. As JSON it is what `Describe` answers.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Its name: that of its folder.
    pub name: String,
    /// Its title, as the Smart Energy Code has it.
    pub title: String,
    /// Which version of its columns, parameters and statement this is; it grows with each change that a reader can notice.
    pub version: u32,
    /// What it is for.
    pub purpose: String,
    /// Which rows pertain to a User, and why.
    pub pertains: String,
    /// How old what it rests on may be, in hours: what is older is said beside it.
    pub freshness_hours: u32,
    /// The tables that it reads.
    pub tables: Vec<String>,
    /// What it does not say.
    pub limits: Vec<String>,
    /// What may be asked, beside the User IDs.
    pub parameters: Vec<Parameter>,
    /// Parameters of which at least one is needed; empty where none is.
    pub needs_one_of: Vec<String>,
    /// Two parameters that are the first and the last day, and how far apart they may be.
    pub period: Option<Period>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// How its rows are ordered.
    pub sort: Vec<SortKey>,
    /// The picture of it, where one tells more.
    pub chart: Option<Chart>,
    /// The file by which a User answers, where the report is one that is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appendix_aa: Option<AnswerFile>,
    /// What changed with each version, oldest first.
    pub changes: Vec<Change>,
    #[serde(skip)]
    pub(crate) statement: Statement,
    /// Gives the Devices of which it reads the history in the inventory, in its first column; without one it reads that of all.
    #[serde(skip)]
    pub(crate) history_of: Option<Statement>,
}

/// A period of days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The parameter that is its first day.
    pub from: String,
    /// The parameter that is its last day.
    pub until: String,
    /// How many days it may have.
    pub days_max: u32,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: ColumnKind,
    /// In what it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it says.
    pub description: String,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A number with decimals.
    Decimal,
    /// An instant, shown in UTC.
    Time,
    /// An instant, shown as clocks in the United Kingdom show it.
    UkTime,
    /// A day.
    Date,
    /// Yes or no.
    Flag,
}

impl ColumnKind {
    /// The name that manifests have for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Decimal => "decimal",
            Self::Time => "time",
            Self::UkTime => "uk_time",
            Self::Date => "date",
            Self::Flag => "flag",
        }
    }
}

/// One key of the order of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SortKey {
    /// The column.
    pub column: String,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// A picture of a report: the sum of some columns, or the number of rows, for each value of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// How it is drawn.
    pub kind: ChartKind,
    /// What it shows.
    pub title: String,
    /// The column whose values stand along its axis.
    pub across: String,
    /// The columns that are summed, one above the other. Empty: rows are counted.
    #[serde(default)]
    pub sums: Vec<String>,
    /// The column whose values rows are counted by, one above the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// How a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    /// A bar for each value, the longest first.
    Bars,
    /// A column for each value, in their order: of times.
    Columns,
}

/// The file of Appendix AA that a User gets, fills in and signs: some columns of a report, and an empty one for what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerFile {
    /// The columns, before that of the action.
    pub columns: Vec<String>,
    /// The parameters that it is always made with.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// What changed with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The version that it made.
    pub version: u32,
    /// Since which day.
    pub since: String,
    /// What changed.
    pub what: String,
    /// What tells the version from every other ([`Report::digest`]).
    pub digest: String,
}

impl Report {
    /// A digest of all that whoever reads the report's outputs relies on: its parameters, its columns, their order, and the statement.
    pub fn digest(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let relied_on = (&self.parameters, &self.needs_one_of, &self.period, &self.columns, &self.sort);
        // Structs of texts and numbers always have a form as JSON.
        let mut bytes = serde_json::to_vec(&relied_on).unwrap_or_default();
        if let Some(file) = &self.appendix_aa {
            bytes.extend(serde_json::to_vec(file).unwrap_or_default());
        }
        bytes.extend_from_slice(self.statement.text().as_bytes());
        bytes.extend_from_slice(self.statement.names().join(",").as_bytes());
        if let Some(statement) = &self.history_of {
            bytes.extend_from_slice(statement.text().as_bytes());
            bytes.extend_from_slice(statement.names().join(",").as_bytes());
        }
        hex::encode(&Sha256::digest(&bytes)[..8])
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
