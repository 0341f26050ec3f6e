//! Values that are read from one argument.

use gridtrail_model::{ParseError, Timestamp};
use std::str::FromStr;

const DAY_MS: i64 = 86_400_000;

/// `name=value`.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// An end of a period, inclusive: an instant, or a whole day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    first: Timestamp,
    last: Timestamp,
}

impl Bound {
    /// The first instant that it means, UTC: for the start of a period.
    pub const fn first(self) -> Timestamp {
        self.first
    }

    /// The last instant that it means, UTC: for the end of a period. Times have whole milliseconds.
    pub const fn last(self) -> Timestamp {
        self.last
    }
}

impl FromStr for Bound {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let first: Timestamp = text.parse()?;
        // A date alone has ten characters; every instant has more.
        let last = if text.len() == 10 { first.plus_millis(DAY_MS - 1) } else { first };
        Ok(Self { first, last })
    }
}

/// How long something lasts, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeTime {
    seconds: u32,
}

impl LifeTime {
    /// The number of seconds, at least 1 and at most a day.
    pub const fn seconds(self) -> u32 {
        self.seconds
    }
}

/// Why a text is not a life time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number and a unit, such as 30s, 15m or 8h, from 1s to 24h")]
pub struct LifeTimeError;

impl FromStr for LifeTime {
    type Err = LifeTimeError;
    fn from_str(text: &str) -> Result<Self, LifeTimeError> {
        let seconds = seconds_of(text).filter(|seconds| (1..=86_400).contains(seconds));
        seconds.map(|seconds| Self { seconds }).ok_or(LifeTimeError)
    }
}

/// What a number and a unit come to.
fn seconds_of(text: &str) -> Option<u32> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit_seconds)
}

/// After how long rights lapse that nothing confirms, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LapseTime {
    seconds: u32,
}

impl LapseTime {
    /// The number of seconds, at least a minute and at most a week.
    pub const fn seconds(self) -> u32 {
        self.seconds
    }
}

/// Why a text is not such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number and a unit, such as 90m or 24h, from 1m to 168h")]
pub struct LapseTimeError;

impl FromStr for LapseTime {
    type Err = LapseTimeError;
    fn from_str(text: &str) -> Result<Self, LapseTimeError> {
        let seconds = seconds_of(text).filter(|seconds| (60..=7 * 86_400).contains(seconds));
        seconds.map(|seconds| Self { seconds }).ok_or(LapseTimeError)
    }
}
