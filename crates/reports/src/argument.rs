//! What somebody asks of a report, checked.

use crate::parameter::{Value, instant, text};
use crate::report::Report;
use crate::statement::Statement;
use crate::uk::UkDate;
use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use gridtrail_access::UserIds;
use gridtrail_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values that every statement may use beside its report's parameters: the User IDs that are asked about, with commas between, and the time at
/// which the report is made.
pub(crate) const GIVEN: &[&str] = &[USER_IDS, MADE_AT];
const USER_IDS: &str = "user_ids";
const MADE_AT: &str = "made_at";

/// Why a report cannot be asked for in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// A parameter that the report does not have.
    #[error("{report} has no parameter {name:?}; it has {known}")]
    Unknown {
        /// The report.
        report: String,
        /// The parameter.
        name: String,
        /// Those that it has.
        known: String,
    },
    /// A parameter that was given twice.
    #[error("{name} is given twice")]
    Twice {
        /// The parameter.
        name: String,
    },
    /// A value that is not what the parameter takes.
    #[error("{name} is {rule}; found {found:?}")]
    Value {
        /// The parameter.
        name: String,
        /// What it takes.
        rule: String,
        /// What was given, cut at 64 characters.
        found: String,
    },
    /// A parameter without which the report says nothing.
    #[error("{report} needs {names}")]
    Missing {
        /// The report.
        report: String,
        /// The parameters of which one is needed.
        names: String,
    },
    /// A period that ends before it begins.
    #[error("{until} ({last}) is before {from} ({first})")]
    Backwards {
        /// The parameter of the first day.
        from: String,
        /// The first day.
        first: String,
        /// The parameter of the last day.
        until: String,
        /// The last day.
        last: String,
    },
    /// A period of more days than the report takes.
    #[error("{from} to {until} are {days} days; the report takes {days_max} at a time")]
    TooLong {
        /// The parameter of the first day.
        from: String,
        /// The parameter of the last day.
        until: String,
        /// How many days there are.
        days: i64,
        /// How many there may be.
        days_max: u32,
    },
}

impl ArgumentError {
    /// The parameter that is to be put right; `None` where one of several is missing.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Unknown { name, .. } | Self::Twice { name } | Self::Value { name, .. } => Some(name),
            Self::Missing { names, .. } => {
                Some(names).filter(|names| !names.contains(' ')).map(String::as_str)
            }
            Self::Backwards { until, .. } | Self::TooLong { until, .. } => Some(until),
        }
    }
}

/// What is asked of a report: a value, or none, for each of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    report: String,
    values: BTreeMap<String, Value>,
}

impl Arguments {
    /// Whether it was asked of this report.
    pub(crate) fn are_of(&self, report: &Report) -> bool {
        self.report == report.name
    }

    /// The first instant after all days and months that are asked about; `None` where the report is asked about none.
    pub fn until(&self) -> Option<Timestamp> {
        let end = |value: &Value| match value {
            Value::Date(date) => Some(date.end()),
            Value::Month(month) => Some(month.end()),
            Value::Text(_) | Value::Number(_) => None,
        };
        self.values.values().filter_map(end).max()
    }

    /// The days and months that are asked about, the earliest first.
    pub fn days_and_months(&self) -> Vec<String> {
        let is_period = |value: &&Value| matches!(value, Value::Date(_) | Value::Month(_));
        let mut shown: Vec<String> =
            self.values.values().filter(is_period).map(ToString::to_string).collect();
        shown.sort();
        shown
    }

    /// The parameters that have a value, by name, each with its value.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.to_string()))
    }
}

impl Report {
    /// Checks what is asked: names and texts as somebody typed them. Days and months that are told by "today" are those of the time `now`.
    ///
    /// Errors: every kind.
    pub fn arguments<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Timestamp,
    ) -> Result<Arguments, ArgumentError> {
        let mut values = BTreeMap::new();
        for (name, text) in given {
            let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == name) else {
                return Err(self.unknown(name));
            };
            let wrong = || ArgumentError::Value {
                name: name.to_owned(),
                rule: parameter.kind.rule(),
                found: text.chars().take(64).collect(),
            };
            let value = parameter.kind.read(text, now).ok_or_else(wrong)?;
            if values.insert(name.to_owned(), value).is_some() {
                return Err(ArgumentError::Twice { name: name.to_owned() });
            }
        }
        self.add_defaults(&mut values, now);
        self.check(&values)?;
        Ok(Arguments { report: self.name.clone(), values })
    }

    fn unknown(&self, name: &str) -> ArgumentError {
        let known: Vec<_> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        ArgumentError::Unknown { report: self.name.clone(), name: name.chars().take(64).collect(), known }
    }

    fn add_defaults(&self, values: &mut BTreeMap<String, Value>, now: Timestamp) {
        for parameter in &self.parameters {
            let default = parameter.default.as_deref().filter(|_| !values.contains_key(&parameter.name));
            // A manifest whose default its own parameter does not take is none.
            if let Some(value) = default.and_then(|default| parameter.kind.read(default, now)) {
                values.insert(parameter.name.clone(), value);
            }
        }
    }

    fn check(&self, values: &BTreeMap<String, Value>) -> Result<(), ArgumentError> {
        let missing = |names: String| ArgumentError::Missing { report: self.name.clone(), names };
        let required = self.parameters.iter().filter(|parameter| parameter.required);
        if let Some(parameter) = required.into_iter().find(|one| !values.contains_key(&one.name)) {
            return Err(missing(parameter.name.clone()));
        }
        if !self.needs_one_of.is_empty() && !self.needs_one_of.iter().any(|name| values.contains_key(name)) {
            return Err(missing(self.needs_one_of.join(" or ")));
        }
        let Some(period) = &self.period else { return Ok(()) };
        let day = |name| values.get(name).and_then(date_of);
        let (Some(first), Some(last)) = (day(&period.from), day(&period.until)) else { return Ok(()) };
        let (from, until) = (period.from.clone(), period.until.clone());
        let days = first.days_until(last) + 1;
        if days < 1 {
            let (first, last) = (first.to_string(), last.to_string());
            return Err(ArgumentError::Backwards { from, first, until, last });
        }
        if days > i64::from(period.days_max) {
            return Err(ArgumentError::TooLong { from, until, days, days_max: period.days_max });
        }
        Ok(())
    }

    /// The values of a statement's parameters, in the order of their numbers.
    pub(crate) fn bound(
        &self,
        statement: &Statement,
        arguments: &Arguments,
        (user_ids, made_at): (&UserIds, Timestamp),
    ) -> Result<RecordBatch, ArrowError> {
        let names = statement.names();
        let columns: Vec<ArrayRef> = names
            .iter()
            .map(|name| match name.as_str() {
                USER_IDS => {
                    let ids: Vec<String> = user_ids.to_set().iter().map(ToString::to_string).collect();
                    text(Some(&ids.join(",")))
                }
                MADE_AT => instant(Some(made_at)),
                name => self.bound_parameter(arguments, name),
            })
            .collect();
        let field = |(name, column): (&String, &ArrayRef)| Field::new(name, column.data_type().clone(), true);
        let schema = Schema::new(names.iter().zip(&columns).map(field).collect::<Vec<_>>());
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
        RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
    }

    fn bound_parameter(&self, arguments: &Arguments, name: &str) -> ArrayRef {
        let of = self.parameters.iter().find_map(|parameter| {
            let suffix = name.strip_prefix(&parameter.name)?;
            parameter.kind.suffixes().contains(&suffix).then_some((parameter, suffix))
        });
        // A manifest whose statement has another parameter is none.
        of.map_or_else(
            || text(None),
            |(parameter, suffix)| parameter.kind.bound(arguments.values.get(&parameter.name), suffix),
        )
    }
}

const fn date_of(value: &Value) -> Option<UkDate> {
    match value {
        Value::Date(date) => Some(*date),
        _ => None,
    }
}
