//! What a schedule is: the values of DUIS `DSPSchedule`, each parsed once.

use chrono::{Datelike as _, NaiveDate};
use gridtrail_model::{DeviceId, ParseError, ServiceReferenceVariant};
use std::fmt;
use std::str::FromStr;

fn wrong(what: &'static str, rule: &'static str, found: &str) -> ParseError {
    ParseError { what, rule, found: found.chars().take(64).collect() }
}

/// `DSPScheduleID`: what the DCC calls a schedule, 0 to 10^12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleId(u64);

impl ScheduleId {
    /// The largest (DUIS `sr:scheduleID`).
    pub const MAX: u64 = 1_000_000_000_000;

    /// `None`: it is larger than any.
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for ScheduleId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let number = text.parse().ok().and_then(Self::new);
        number.ok_or_else(|| wrong("DSPScheduleID", "a number from 0 to 10^12", text))
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `ScheduleFrequency`: how often a schedule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frequency {
    /// Each day.
    Daily,
    /// Every seven days.
    Weekly,
    /// Each month, on the day of the month on which it began.
    Monthly,
    /// Every three months.
    Quarterly,
    /// Every six months.
    HalfYearly,
    /// Each year.
    Yearly,
}

impl Frequency {
    /// All, by the numbers that stand for them in storage, beginning with 1.
    pub const ALL: [Self; 6] =
        [Self::Daily, Self::Weekly, Self::Monthly, Self::Quarterly, Self::HalfYearly, Self::Yearly];

    /// The word of DUIS.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "Daily",
            Self::Weekly => "Weekly",
            Self::Monthly => "Monthly",
            Self::Quarterly => "Quarterly",
            Self::HalfYearly => "Half-Yearly",
            Self::Yearly => "Yearly",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }
}

impl FromStr for Frequency {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rule = "Daily, Weekly, Monthly, Quarterly, Half-Yearly or Yearly";
        let known = Self::ALL.into_iter().find(|one| one.as_str() == text);
        known.ok_or_else(|| wrong("ScheduleFrequency", rule, text))
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A day of `xs:date`, years 1900 to 9999. A zone that is written behind it is passed over: it is told to the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleDay(NaiveDate);

impl ScheduleDay {
    pub(crate) const fn date(self) -> NaiveDate {
        self.0
    }

    /// Days since 1970-01-01.
    pub fn since_epoch(self) -> i32 {
        self.0.to_epoch_days()
    }

    /// The inverse of [`ScheduleDay::since_epoch`]; `None` outside the years that are accepted.
    pub fn from_epoch(days: i32) -> Option<Self> {
        NaiveDate::from_epoch_days(days).and_then(Self::of)
    }

    fn of(date: NaiveDate) -> Option<Self> {
        (1900..=9999).contains(&date.year()).then_some(Self(date))
    }
}

impl FromStr for ScheduleDay {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || wrong("day", "a day such as 2026-03-29 of the years 1900 to 9999", text);
        let (day, zone) = text.split_at_checked(10).ok_or_else(bad)?;
        if !matches!(zone.as_bytes(), [] | [b'Z'] | [b'+' | b'-', _, _, b':', _, _]) {
            return Err(bad());
        }
        NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().and_then(Self::of).ok_or_else(bad)
    }
}

impl fmt::Display for ScheduleDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

/// A time of `xs:time`, to the millisecond: in UTC where it is written so, and otherwise as clocks in the United Kingdom show it. No other zone
/// is accepted: DUIS has times in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    millis: u32,
    is_utc: bool,
}

const DAY_MS: u32 = 86_400_000;

impl TimeOfDay {
    /// `None`: a day is shorter.
    pub const fn new(millis: u32, is_utc: bool) -> Option<Self> {
        if millis < DAY_MS { Some(Self { millis, is_utc }) } else { None }
    }

    /// Milliseconds since midnight.
    pub const fn millis(self) -> u32 {
        self.millis
    }

    /// Whether it is in UTC.
    pub const fn is_utc(self) -> bool {
        self.is_utc
    }

    pub(crate) fn number(self) -> u64 {
        u64::from(self.millis) * 2 + u64::from(self.is_utc)
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        Self::new(u32::try_from(number / 2).ok()?, number % 2 == 1)
    }
}

impl FromStr for TimeOfDay {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || wrong("time of day", "a time such as 02:30:00Z, in UTC or without a zone", text);
        let (time, is_utc) = match text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")) {
            Some(time) => (time, true),
            None => (text, false),
        };
        let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = [0; 3];
        let mut written = whole.split(':');
        for (part, most) in parts.iter_mut().zip([23_u32, 59, 59]) {
            let text = written.next().filter(|text| text.len() == 2 && is_digits(text)).ok_or_else(bad)?;
            *part = text.parse().ok().filter(|number| *number <= most).ok_or_else(bad)?;
        }
        if written.next().is_some() || !is_digits(fraction) {
            return Err(bad());
        }
        // Finer digits are cut off, as those of any time are.
        let millis =
            fraction.bytes().chain(*b"00").take(3).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        let [hours, minutes, seconds] = parts;
        Self::new(((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis, is_utc).ok_or_else(bad)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.millis / 1_000, self.millis % 1_000);
        write!(f, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
        if millis > 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str(if self.is_utc { "Z" } else { "" })
    }
}

/// How many days before the day of a run something is: 0 to 400, which DUIS writes as 0 to -400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaysBack(u16);

impl DaysBack {
    /// The most (DUIS `sr:logPeriodOffset`).
    pub const MAX: u16 = 400;

    /// `None`: it is more than may be.
    pub const fn new(days: u16) -> Option<Self> {
        if days <= Self::MAX { Some(Self(days)) } else { None }
    }

    /// How many.
    pub const fn days(self) -> u16 {
        self.0
    }

    /// The offset as DUIS writes it.
    pub fn offset(self) -> i64 {
        -i64::from(self.0)
    }
}

impl FromStr for DaysBack {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let offset: Option<i64> = text.parse().ok();
        let days = offset.and_then(|offset| u16::try_from(offset.checked_neg()?).ok()).and_then(Self::new);
        days.ok_or_else(|| wrong("offset", "a number of days from -400 to 0", text))
    }
}

/// Of which readings a run asks, counted from the day of the run: DUIS `ReadLogPeriodOffset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadWindow {
    /// `StartDateOffset`.
    pub start_offset: DaysBack,
    /// `StartTime`.
    pub start_time: TimeOfDay,
    /// `EndDateOffset`.
    pub end_offset: DaysBack,
    /// `EndTime`.
    pub end_time: TimeOfDay,
}

/// What a schedule is. What a message does not say, or cannot be read of it, is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ScheduleDetails {
    /// `DSPScheduledServiceReferenceVariant`: what is run.
    pub variant: Option<ServiceReferenceVariant>,
    /// `DeviceID`: what it is run on.
    pub device: Option<DeviceId>,
    /// `ScheduleFrequency`.
    pub frequency: Option<Frequency>,
    /// `ScheduleStartDate`: the first day.
    pub start: Option<ScheduleDay>,
    /// `ScheduleEndDate`: the last day.
    pub end: Option<ScheduleDay>,
    /// `ScheduleExecutionStartTime`; without one the DCC places the run in its day.
    pub execution_start: Option<TimeOfDay>,
    /// Of which readings.
    pub window: Option<ReadWindow>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_the_schema_writes_them() {
        for (text, shown) in [
            ("00:00:00.00Z", "00:00:00Z"),
            ("23:59:59.9999Z", "23:59:59.999Z"),
            ("02:30:00", "02:30:00"),
            ("02:30:00.5+00:00", "02:30:00.500Z"),
        ] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), shown);
        }
        for text in
            ["24:00:00Z", "1:00:00", "01:00", "01:00:00+01:00", "01:00:60Z", "01:00:00.Z", "", "é1:00:00"]
        {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        for (text, shown) in
            [("2026-03-29", "2026-03-29"), ("2026-03-29Z", "2026-03-29"), ("2028-02-29+01:00", "2028-02-29")]
        {
            let day: ScheduleDay = text.parse().unwrap();
            assert_eq!(day.to_string(), shown);
            assert_eq!(ScheduleDay::from_epoch(day.since_epoch()), Some(day));
        }
        for text in
            ["2026-02-29", "2026-3-29", "26-03-29", "", "2026-03-29T00:00:00Z", "1899-12-31", "2026-03-2é"]
        {
            assert!(text.parse::<ScheduleDay>().is_err(), "{text}");
        }
        assert_eq!("-400".parse::<DaysBack>().unwrap().offset(), -400);
        for text in ["1", "-401", "x", "-9223372036854775808"] {
            assert!(text.parse::<DaysBack>().is_err(), "{text}");
        }
        assert!(
            "1000000000000".parse::<ScheduleId>().is_ok() && "1000000000001".parse::<ScheduleId>().is_err()
        );
        for frequency in Frequency::ALL {
            assert_eq!(frequency.as_str().parse::<Frequency>().unwrap(), frequency);
            assert_eq!(Frequency::from_number(frequency.number()), Some(frequency));
        }
    }
}
