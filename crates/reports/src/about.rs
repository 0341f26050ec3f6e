//! What an output says of itself.

use crate::report::Report;
use gridtrail_model::Timestamp;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// How fresh what a report rests on is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Up to when it is complete; `None` where that is not known.
    pub complete_up_to: Option<Timestamp>,
    /// Within how many hours of the present it is to be complete.
    pub hours: u32,
}

impl Freshness {
    /// Whether it is as fresh at a time as the report needs.
    pub fn is_met(&self, at: Timestamp) -> bool {
        let limit = i64::from(self.hours) * 3_600_000;
        self.complete_up_to.is_some_and(|complete| at.millis() - complete.millis() <= limit)
    }
}

/// What an output says of itself, but for the number of its rows, which is known at their end.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// The name of the report.
    pub report: String,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: u32,
    /// Whose rows it has, each as "DCC Service User Organisation ID".
    pub users: Vec<String>,
    /// The Party that asked.
    pub party: String,
    /// Who asked, as their tokens name them.
    pub asked_by: String,
    /// The parameters that have a value.
    pub parameters: BTreeMap<String, String>,
    /// Up to when what it rests on is complete.
    #[serde(serialize_with = "as_text")]
    pub complete_up_to: Option<Timestamp>,
    /// Whether that is as fresh as the report needs.
    pub fresh_enough: bool,
    /// Up to when it was to be complete, where somebody waited for that: the end of the period that is asked about.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub needed_up_to: Option<Timestamp>,
    /// The version of the lake that it was made from.
    pub lake_version: String,
    /// When it was made.
    #[serde(serialize_with = "as_text")]
    pub made_at: Timestamp,
}

fn as_text<S: Serializer>(at: &(impl Copy + Into<Option<Timestamp>>), to: S) -> Result<S::Ok, S::Error> {
    let at: Option<Timestamp> = (*at).into();
    at.map(|at| at.to_string()).serialize(to)
}

impl About {
    /// Each thing that it says, in words, with the number of rows. What has several values has them all.
    pub fn said(&self, rows: u64) -> Vec<(&'static str, Vec<String>)> {
        let missing = self.needed_up_to.filter(|needed| self.complete_up_to.is_none_or(|at| at < *needed));
        let complete = match self.complete_up_to {
            Some(at) if self.fresh_enough => at.to_string(),
            Some(at) => format!("{at}: older than the report needs"),
            None => "not known".to_owned(),
        };
        let complete = match missing {
            Some(needed) => format!("{complete}; its period ends at {needed}, so rows may be missing"),
            None => complete,
        };
        let or_none = |values: Vec<String>| if values.is_empty() { vec!["none".to_owned()] } else { values };
        let parameters = self.parameters.iter().map(|(name, value)| format!("{name} = {value}"));
        vec![
            ("Report", vec![format!("{} ({}), version {}", self.title, self.report, self.version)]),
            ("Users", or_none(self.users.clone())),
            ("Asked by", vec![format!("{} of {}", self.asked_by, self.party)]),
            ("Parameters", or_none(parameters.collect())),
            ("Complete up to", vec![complete]),
            ("Made at", vec![self.made_at.to_string()]),
            ("Version of the lake", vec![self.lake_version.clone()]),
            ("Rows", vec![rows.to_string()]),
        ]
    }

    /// As JSON, with the number of rows: what lies beside a file of the report.
    ///
    /// Errors: none that is known; a form as JSON is what it is made for.
    pub fn json(&self, rows: u64) -> serde_json::Result<serde_json::Value> {
        let mut said = serde_json::to_value(self)?;
        if let Some(fields) = said.as_object_mut() {
            fields.insert("row_count".to_owned(), rows.into());
        }
        Ok(said)
    }
}

/// How fresh a report needs what it rests on to be.
impl Report {
    pub(crate) const fn freshness(&self, complete_up_to: Option<Timestamp>) -> Freshness {
        Freshness { complete_up_to, hours: self.freshness_hours }
    }
}
