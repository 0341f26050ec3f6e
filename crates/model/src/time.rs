//! Points in time.

use crate::ParseError;
use chrono::{DateTime, Datelike, SecondsFormat};
use std::fmt;
use std::str::FromStr;

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, UTC.
///
/// DUIS and the DCC's own records carry milliseconds; finer digits are cut off on the way in, so that one
/// fact never has two spellings. The year stays within 1900 to 9999: DUIS itself uses 3000-12-31 as a wildcard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time that is accepted: 1900-01-01T00:00:00Z.
    pub const MIN: Self = Self(-2_208_988_800_000);
    /// The latest time that is accepted: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// No event of this system is older: 2012-01-01T00:00:00Z, years before the first smart meter was enrolled.
    pub const FIRST_EVENT: Self = Self(1_325_376_000_000);
    /// How far ahead of the clock the receipt of an event may claim to be: clocks differ, by less than a day.
    const AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

    /// Whether an event can have been received or generated at this time, as far as one can tell who reads it at another;
    /// `None`: as far as can be told without that.
    pub fn can_be_of_event(self, read_at: Option<Self>) -> bool {
        self >= Self::FIRST_EVENT && read_at.is_none_or(|read_at| self <= read_at.plus_millis(Self::AHEAD_MS))
    }

    /// From milliseconds since the epoch; `None` outside the years 1900 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&millis).then_some(Self(millis))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time moved by so many milliseconds, held within [`Timestamp::MIN`] and [`Timestamp::MAX`].
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The first instant of the day, in UTC.
    #[must_use]
    pub fn day_start(self) -> Self {
        Self(self.0 - self.0.rem_euclid(86_400_000)).plus_millis(0)
    }

    /// This time so many calendar months ago, in UTC: at the same time of the same day, or of the last day of a month that
    /// has no such day. Held at [`Timestamp::MIN`].
    #[must_use]
    pub fn months_ago(self, months: u32) -> Self {
        let then = self.to_chrono().checked_sub_months(chrono::Months::new(months));
        then.map_or(Self::MIN, |then| Self(then.timestamp_millis()).plus_millis(0))
    }

    /// The calendar month in UTC, as `2026-01`.
    pub fn month(self) -> String {
        self.to_chrono().format("%Y-%m").to_string()
    }

    /// The calendar year in UTC.
    pub fn year(self) -> i32 {
        self.to_chrono().year()
    }

    /// The calendar year and month in UTC, January being 1: in the order of [`Timestamp::month`], and cheaper.
    pub fn year_and_month(self) -> (i32, u32) {
        let date = self.to_chrono();
        (date.year(), date.month())
    }

    fn to_chrono(self) -> DateTime<chrono::Utc> {
        // The range kept by the constructors lies well inside chrono's, so the default is never used.
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;
    /// Reads an RFC 3339 time (the `xs:dateTime` of DUIS, with its zone), or a date alone, exactly `YYYY-MM-DD`, meaning
    /// its first instant in UTC.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        const RULE: &str = "a time is a date, such as 2026-03-01, or an instant with its zone, such as 2026-03-01T09:30:00Z or \
             2026-03-01T09:30:00.250+01:00, within the years 1900 to 9999";
        let wrong = || ParseError::new("time", RULE, text);
        let millis = if is_date(text) {
            let date: chrono::NaiveDate = text.parse().map_err(|_| wrong())?;
            date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()
        } else {
            DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.timestamp_millis()
        };
        Self::from_millis(millis).ok_or_else(wrong)
    }
}

/// Whether a text has the form of a date. The library takes signs, white space and single digits, too: `+2026-1-01`.
fn is_date(text: &str) -> bool {
    let form =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(form)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zones_are_brought_to_utc_and_finer_digits_cut() {
        let time: Timestamp = "2026-06-01T00:30:00.1239+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-05-31T23:30:00.123Z");
        assert_eq!(time.month(), "2026-05");
        assert_eq!("2026-06-01".parse::<Timestamp>().unwrap().to_string(), "2026-06-01T00:00:00.000Z");
    }

    #[test]
    fn months_ago_keep_to_the_calendar() {
        let ago = |text: &str, months| text.parse::<Timestamp>().unwrap().months_ago(months).to_string();
        assert_eq!(ago("2026-05-31T10:00:00.5Z", 3), "2026-02-28T10:00:00.500Z");
        assert_eq!(ago("2024-05-31T10:00:00Z", 3), "2024-02-29T10:00:00.000Z");
        assert_eq!(ago("2026-01-15", 13), "2024-12-15T00:00:00.000Z");
        assert_eq!(Timestamp::MIN.months_ago(1), Timestamp::MIN);
        let time: Timestamp = "2026-05-31T23:59:59.999Z".parse().unwrap();
        assert_eq!(time.day_start().to_string(), "2026-05-31T00:00:00.000Z");
        assert_eq!(Timestamp::MIN.day_start(), Timestamp::MIN);
    }

    #[test]
    fn the_cancellation_wildcard_is_a_time() {
        assert_eq!("3000-12-31T00:00:00.00Z".parse::<Timestamp>().unwrap().year(), 3000);
    }

    #[test]
    fn a_time_without_zone_is_refused() {
        for text in ["2026-06-01T00:30:00", "2026-13-01", "yesterday", "", "1899-12-31T23:59:59Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_is_ten_characters_and_nothing_else() {
        assert!("2024-02-29".parse::<Timestamp>().is_ok());
        for text in [
            "2026-3-01",
            "2026-03-1",
            "2026-3-1",
            "2026-03-0",
            "2026-03-",
            "2026-03",
            "2026",
            "20260301",
            "026-03-01",
            "+2026-3-01",
            "-2026-3-01",
            "+026-03-01",
            "-026-03-01",
            " 2026-3-01",
            "2026-3-01 ",
            "2026 -3- 1",
            "2026-03-+1",
            "2026-03--1",
            "2026/03/01",
            "2026-03-01Z",
            "2026-03-001",
            "02026-03-1",
            "2026-02-30",
            "2025-02-29",
            "2026-00-10",
            "\u{662}026-03-1",
            "2026-03-01T",
            "2026-03-01T09",
            "2026-03-01T09:30Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_reads_back(millis in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let time = Timestamp::from_millis(millis).unwrap();
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
