//! The parameters of reports: what each takes, and the values that a statement gets of it.

use crate::uk::{UkDate, UkMonth};
use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use gridtrail_model::{DeviceId, Mpxn, ServiceReferenceVariant, Timestamp};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A parameter of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it takes.
    #[serde(flatten)]
    pub kind: ParameterKind,
    /// What it does.
    pub description: String,
    /// What it is where nothing is given: a value, or for days and months `today`, `today - 30`, `this month`, `last month`. `None`: it then
    /// leaves nothing out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether it must be given.
    pub required: bool,
}

impl Parameter {
    /// What its default comes to at a time, as a day for `today`; `None` where it has none.
    pub fn default_at(&self, now: Timestamp) -> Option<String> {
        let default = self.default.as_deref()?;
        self.kind.read(default, now).map(|value| value.to_string())
    }
}

/// What a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ParameterKind {
    /// A text of so many characters.
    Text {
        /// The most characters.
        characters_max: u32,
    },
    /// A whole number within bounds.
    Number {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// One of some words.
    Choice {
        /// The words.
        values: Vec<String>,
    },
    /// A day in the United Kingdom. Statements get its first instant as `$name_start` and the first instant after it as `$name_end`.
    Date,
    /// A month in the United Kingdom. Statements get its instants as they get those of a day.
    Month,
    /// A Device ID.
    DeviceId,
    /// An MPxN.
    Mpxn,
    /// A Service Reference Variant.
    ServiceReferenceVariant,
}

/// A value that was given, or that stands for what was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Date(UkDate),
    Month(UkMonth),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Month(month) => month.fmt(f),
        }
    }
}

impl ParameterKind {
    /// The name that manifests have for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Number { .. } => "number",
            Self::Choice { .. } => "choice",
            Self::Date => "date",
            Self::Month => "month",
            Self::DeviceId => "device_id",
            Self::Mpxn => "mpxn",
            Self::ServiceReferenceVariant => "service_reference_variant",
        }
    }

    /// What may be given, in words.
    pub fn rule(&self) -> String {
        match self {
            Self::Text { characters_max } => {
                format!("1 to {characters_max} characters, none of them a control character")
            }
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice { values } => format!("one of {}", values.join(", ")),
            Self::Date => {
                "a day of the years 2000 to 2100 such as 2026-03-29, `today`, or `today - 30`: so many days before"
                    .to_owned()
            }
            Self::Month => {
                "a month of the years 2000 to 2100 such as 2026-03, `this month`, or `last month`".to_owned()
            }
            Self::DeviceId => "a Device ID such as 88-73-84-57-00-2F-96-1E".to_owned(),
            Self::Mpxn => "an MPAN of 13 digits or an MPRN of 6 to 10 digits".to_owned(),
            Self::ServiceReferenceVariant => "a Service Reference Variant such as 4.8.1".to_owned(),
        }
    }

    /// Reads what was given. `None`: it is not what the rule says.
    pub(crate) fn read(&self, text: &str, now: Timestamp) -> Option<Value> {
        match self {
            Self::Text { characters_max } => {
                let count = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                let fits = (1..=*characters_max).contains(&count) && !text.chars().any(char::is_control);
                fits.then(|| Value::Text(text.to_owned()))
            }
            Self::Number { min, max } => {
                let number: i64 = text.parse().ok()?;
                (*min..=*max).contains(&number).then_some(Value::Number(number))
            }
            Self::Choice { values } => {
                let chosen = values.iter().find(|value| value.eq_ignore_ascii_case(text))?;
                Some(Value::Text(chosen.clone()))
            }
            Self::Date => date_of(text, now).map(Value::Date),
            Self::Month => match text {
                "this month" => Some(Value::Month(UkMonth::of(now))),
                "last month" => Some(Value::Month(UkMonth::of(now).before())),
                text => UkMonth::parse(text).map(Value::Month),
            },
            Self::DeviceId => text.parse::<DeviceId>().ok().map(|id| Value::Text(id.to_string())),
            Self::Mpxn => text.parse::<Mpxn>().ok().map(|mpxn| Value::Text(mpxn.to_string())),
            Self::ServiceReferenceVariant => {
                text.parse::<ServiceReferenceVariant>().ok().map(|variant| Value::Text(variant.to_string()))
            }
        }
    }

    /// What a statement may write after the parameter's name.
    pub(crate) const fn suffixes(&self) -> &'static [&'static str] {
        match self {
            Self::Date | Self::Month => &["_start", "_end"],
            _ => &[""],
        }
    }

    /// The value of the parameter that a statement has with a suffix. Without a value it is none of its type.
    pub(crate) fn bound(&self, value: Option<&Value>, suffix: &str) -> ArrayRef {
        let instants = |(start, end): (Timestamp, Timestamp)| if suffix == "_start" { start } else { end };
        match self {
            Self::Number { .. } => {
                let number = value.and_then(|value| match value {
                    Value::Number(number) => Some(*number),
                    _ => None,
                });
                Arc::new(Int64Array::from(vec![number]))
            }
            Self::Date | Self::Month => instant(value.and_then(|value| match value {
                Value::Date(date) => Some(instants((date.start(), date.end()))),
                Value::Month(month) => Some(instants((month.start(), month.end()))),
                _ => None,
            })),
            _ => text(value.map(ToString::to_string).as_deref()),
        }
    }
}

fn date_of(text: &str, now: Timestamp) -> Option<UkDate> {
    let Some(ago) = text.strip_prefix("today") else { return UkDate::parse(text) };
    let today = UkDate::of(now);
    if ago.is_empty() {
        return Some(today);
    }
    let days: u16 = ago.trim_start().strip_prefix('-')?.trim_start().parse().ok()?;
    Some(today.plus_days(-i64::from(days)))
}

/// An instant as statements get it.
pub(crate) fn instant(at: Option<Timestamp>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(vec![at.map(Timestamp::millis)]).with_timezone("+00:00"))
}

/// A text as statements get it.
pub(crate) fn text(text: Option<&str>) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &ParameterKind, text: &str) -> Option<String> {
        let now = "2026-04-01T00:30:00Z".parse().unwrap();
        kind.read(text, now).map(|value| value.to_string())
    }

    #[test]
    fn a_default_comes_to_a_day() {
        let of = |kind, default: Option<&str>| {
            let (name, description, default) = ("day".into(), "The day".into(), default.map(str::to_owned));
            let parameter = Parameter { name, kind, description, default, required: false };
            // In the United Kingdom it is half past one on the first of April.
            parameter.default_at("2026-04-01T00:30:00Z".parse().unwrap())
        };
        assert_eq!(of(ParameterKind::Date, Some("today - 30")).as_deref(), Some("2026-03-02"));
        assert_eq!(of(ParameterKind::Month, Some("last month")).as_deref(), Some("2026-03"));
        assert_eq!(of(ParameterKind::Date, None), None);
    }

    #[test]
    fn values_are_read_and_written_in_one_way() {
        let number = ParameterKind::Number { min: 0, max: 90 };
        let choice = ParameterKind::Choice { values: vec!["hour".to_owned(), "half hour".to_owned()] };
        let text = ParameterKind::Text { characters_max: 3 };
        for (kind, given, expected) in [
            (&number, "90", Some("90")),
            (&number, "-1", None),
            (&number, "1e3", None),
            (&choice, "Half Hour", Some("half hour")),
            (&choice, "day", None),
            (&text, "\u{e4}bc", Some("\u{e4}bc")),
            (&text, "", None),
            (&text, "abcd", None),
            (&text, "a\n", None),
            (&ParameterKind::Date, "today", Some("2026-04-01")),
            (&ParameterKind::Date, "today - 30", Some("2026-03-02")),
            (&ParameterKind::Date, "today-1", Some("2026-03-31")),
            (&ParameterKind::Date, "today + 1", None),
            (&ParameterKind::Date, "yesterday", None),
            (&ParameterKind::Month, "this month", Some("2026-04")),
            (&ParameterKind::Month, "last month", Some("2026-03")),
            (&ParameterKind::Month, "2026-3", None),
            (&ParameterKind::DeviceId, "88738457002f961e", Some("88-73-84-57-00-2F-96-1E")),
            (&ParameterKind::DeviceId, "88-73-84-57-00-2F-96", None),
            (&ParameterKind::DeviceId, "88-73-84-57-00-2F-96-1E", Some("88-73-84-57-00-2F-96-1E")),
            (&ParameterKind::Mpxn, "1217290354420", Some("1217290354420")),
            (&ParameterKind::Mpxn, "x", None),
            (&ParameterKind::ServiceReferenceVariant, "4.8.1", Some("4.8.1")),
            (&ParameterKind::ServiceReferenceVariant, "4", None),
        ] {
            assert_eq!(read(kind, given).as_deref(), expected, "{kind:?} {given}");
        }
    }
}
