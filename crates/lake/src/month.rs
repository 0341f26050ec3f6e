//! Calendar months, in UTC: the parts that the rows of a lake lie in, and what retention counts in.

use gridtrail_model::Timestamp;
use std::fmt;
use std::str::FromStr;

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

/// The text is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is a year and a month, such as 2026-03")]
pub struct BadMonth;

impl Month {
    /// The month of a time.
    pub fn of(time: Timestamp) -> Self {
        let (year, month) = time.year_and_month();
        Self(year * 12 + month.cast_signed() - 1)
    }

    /// Its first instant, UTC.
    pub fn first_instant(self) -> Timestamp {
        // A month as text, with a day, is a date.
        format!("{self}-01").parse().unwrap_or(Timestamp::MIN)
    }

    /// The month so many months before.
    #[must_use]
    pub fn minus(self, months: u32) -> Self {
        Self(self.0.saturating_sub_unsigned(months))
    }

    /// The month so many months after.
    #[must_use]
    pub fn plus(self, months: u32) -> Self {
        Self(self.0.saturating_add_unsigned(months))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl FromStr for Month {
    type Err = BadMonth;
    fn from_str(text: &str) -> Result<Self, BadMonth> {
        let shaped = text.len() == 7 && text.bytes().enumerate().all(|(at, b)| (at == 4) == (b == b'-'));
        // A day makes it a date, which knows what a month is.
        let first = format!("{text}-01").parse::<Timestamp>().map_err(|_| BadMonth)?;
        if shaped { Ok(Self::of(first)) } else { Err(BadMonth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_read_as_they_are_written_and_count_across_years() {
        let month: Month = "2026-03".parse().unwrap();
        assert_eq!(month.to_string(), "2026-03");
        assert_eq!(month.minus(3).to_string(), "2025-12");
        assert_eq!(month.minus(14).to_string(), "2025-01");
        assert_eq!(month.plus(10).to_string(), "2027-01");
        assert!(month.minus(1) < month);
        assert_eq!(Month::of("2026-03-31T23:59:59.999Z".parse().unwrap()), month);
        for wrong in ["2026", "2026-13", "2026-3", "26-03-1", "2026/03", "", "2026-03-01"] {
            assert_eq!(wrong.parse::<Month>(), Err(BadMonth), "{wrong}");
        }
    }
}
