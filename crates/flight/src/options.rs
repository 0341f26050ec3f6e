//! Options of sessions: messages of the protocol that `arrow-flight` does not have yet.

use gridtrail_sql::{CATALOGUE, SCHEMA};
use prost::{Message, Oneof};
use std::collections::HashMap;

/// `arrow.flight.protocol.SessionOptionValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    option_value: Option<OptionValue>,
}

#[derive(Clone, PartialEq, Oneof)]
enum OptionValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(sfixed64, tag = "3")]
    Number(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Texts(Texts),
}

/// `SessionOptionValue.StringListValue`.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

/// `arrow.flight.protocol.SetSessionOptionsRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

/// `arrow.flight.protocol.SetSessionOptionsResult`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) errors: HashMap<String, OptionError>,
}

/// `SetSessionOptionsResult.Error`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptionError {
    #[prost(int32, tag = "1")]
    value: i32,
}

impl OptionError {
    /// There is no such option.
    pub(crate) const fn invalid_name() -> Self {
        Self { value: 1 }
    }

    /// It has another value, and keeps it.
    pub(crate) const fn invalid_value() -> Self {
        Self { value: 2 }
    }
}

/// `arrow.flight.protocol.GetSessionOptionsResult`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

/// `arrow.flight.protocol.CloseSessionResult`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CloseSessionResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl CloseSessionResult {
    /// `CLOSED`.
    pub(crate) const fn closed() -> Self {
        Self { status: 1 }
    }
}

/// The options that there are: they say where names of tables without more are looked for.
pub(crate) fn current_options() -> HashMap<String, SessionOptionValue> {
    let text = |(name, value): (&str, &str)| {
        (name.to_owned(), SessionOptionValue { option_value: Some(OptionValue::Text(value.to_owned())) })
    };
    [("catalog", CATALOGUE), ("schema", SCHEMA)].map(text).into()
}
