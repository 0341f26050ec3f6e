//! Days and months as they are in the United Kingdom, clock changes included.

use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Europe::London;
use gridtrail_model::Timestamp;

/// The years that dates of reports may lie in: the service has no rows before, and will not be asked for later ones.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;

/// The time zone, as columns and statements name it.
pub(crate) const ZONE: &str = "Europe/London";

/// A day in the United Kingdom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UkDate(NaiveDate);

/// A month in the United Kingdom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UkMonth(NaiveDate);

impl UkDate {
    /// Reads `2026-03-29`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        (text.len() == 10 && YEARS.contains(&date.year())).then_some(Self(date))
    }

    /// The day that an instant lies in.
    pub(crate) fn of(at: Timestamp) -> Self {
        let local = London.timestamp_millis_opt(at.millis()).earliest();
        Self(local.map_or(NaiveDate::MIN, |local| local.date_naive()))
    }

    pub(crate) fn plus_days(self, days: i64) -> Self {
        let by = Days::new(days.unsigned_abs());
        let moved = if days < 0 { self.0.checked_sub_days(by) } else { self.0.checked_add_days(by) };
        Self(moved.unwrap_or(self.0))
    }

    pub(crate) fn days_until(self, later: Self) -> i64 {
        (later.0 - self.0).num_days()
    }

    /// Its first instant. Clocks change at one in the morning, so there is a midnight each day.
    pub(crate) fn start(self) -> Timestamp {
        let midnight = self.0.and_time(NaiveTime::MIN);
        let millis = London.from_local_datetime(&midnight).earliest().map(|at| at.timestamp_millis());
        millis.and_then(Timestamp::from_millis).unwrap_or(Timestamp::MIN)
    }

    /// The first instant after it.
    pub(crate) fn end(self) -> Timestamp {
        self.plus_days(1).start()
    }
}

impl std::fmt::Display for UkDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl UkMonth {
    /// Reads `2026-03`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let first = UkDate::parse(&format!("{text}-01"))?;
        Some(Self(first.0))
    }

    /// The month that an instant lies in.
    pub(crate) fn of(at: Timestamp) -> Self {
        let date = UkDate::of(at).0;
        Self(date.with_day(1).unwrap_or(date))
    }

    pub(crate) fn before(self) -> Self {
        Self(self.0.checked_sub_months(Months::new(1)).unwrap_or(self.0))
    }

    pub(crate) fn start(self) -> Timestamp {
        UkDate(self.0).start()
    }

    /// The first instant after it.
    pub(crate) fn end(self) -> Timestamp {
        UkDate(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0)).start()
    }
}

impl std::fmt::Display for UkMonth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// March loses an hour and October has one twice; an instant late on the last evening of June is already of July.
    #[test]
    fn months_follow_the_clock() {
        for (month, start, end) in [
            ("2026-01", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("2026-03", "2026-03-01T00:00:00Z", "2026-03-31T23:00:00Z"),
            ("2026-06", "2026-05-31T23:00:00Z", "2026-06-30T23:00:00Z"),
            ("2026-10", "2026-09-30T23:00:00Z", "2026-11-01T00:00:00Z"),
        ] {
            let month = UkMonth::parse(month).unwrap();
            assert_eq!((month.start(), month.end()), (at(start), at(end)), "{month}");
            assert_eq!(UkMonth::of(at(start)), month);
            assert_eq!(UkMonth::of(at(end).plus_millis(-1)), month);
            assert_eq!(UkMonth::of(at(end)).before(), month);
        }
    }

    #[test]
    fn days_follow_the_clock() {
        for (day, hours) in [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)] {
            let day = UkDate::parse(day).unwrap();
            assert_eq!((day.end().millis() - day.start().millis()) / 3_600_000, hours, "{day}");
            assert_eq!(UkDate::of(day.start()), day);
            assert_eq!(UkDate::of(day.end().plus_millis(-1)), day);
        }
        assert_eq!(UkDate::of(at("2026-06-30T23:30:00Z")).to_string(), "2026-07-01");
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in
            ["", "2026-02-30", "2026-3-1", "26-03-01", "1999-12-31", "2101-01-01", "2026-03-01T00:00:00Z"]
        {
            assert_eq!(UkDate::parse(text), None, "{text}");
        }
        for text in ["2026-13", "2026", "2026-1", "2026-01-01"] {
            assert_eq!(UkMonth::parse(text), None, "{text}");
        }
    }
}
