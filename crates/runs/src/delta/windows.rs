//! For how long what was is kept: files, log entries, versions that may be asked for, and page tokens.
//!
//! Each is a property of its table, and each must last at least as long as what relies on it: a page token names a version,
//! a version is read from the log, and the log names files.

use super::table::Table;
use crate::error::RunsError;
use std::time::Duration;

const HOUR: u64 = 60 * 60;

/// The property of each window, what it is called, and how many hours it has in a new table.
const WINDOWS: [(&str, &str, u64); 4] = [
    ("delta.deletedFileRetentionDuration", "files", 49),
    ("delta.logRetentionDuration", "the log", 48),
    ("gridtrail.asOfDuration", "versions to ask for", 48),
    ("gridtrail.pageTokenDuration", "page tokens", 1),
];

/// The properties of a new table.
pub(crate) fn properties() -> impl Iterator<Item = (&'static str, Option<String>)> {
    WINDOWS.into_iter().map(|(property, _, hours)| (property, Some(format!("interval {hours} hours"))))
}

/// The windows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// How long a file is kept after it was taken away.
    pub files: Duration,
    /// How long log entries are kept.
    pub log: Duration,
    /// How far back a version can be asked for.
    pub as_of: Duration,
    /// How long a page token holds, at most.
    pub page_token: Duration,
}

impl Windows {
    /// The windows that a table's properties say. Errors: `Settings` when one cannot be read.
    pub fn of(table: &Table) -> Result<Self, RunsError> {
        let window = |(property, _, hours): (&'static str, &str, u64)| {
            let Some(text) = table.property(property) else { return Ok(Duration::from_secs(hours * HOUR)) };
            parse(text).ok_or_else(|| RunsError::Windows {
                table: table.name(),
                why: format!("{property} is \"{text}\", and must be such as \"interval 49 hours\""),
            })
        };
        let [files, log, as_of, page_token] = WINDOWS.map(window);
        Ok(Self { files: files?, log: log?, as_of: as_of?, page_token: page_token? })
    }

    /// Refuses windows of which one is shorter than the next.
    pub fn check(&self, table: &'static str) -> Result<(), RunsError> {
        let lengths = [self.files, self.log, self.as_of, self.page_token];
        let short = (1..lengths.len()).find(|at| lengths[at - 1] < lengths[*at]);
        let Some(at) = short else { return Ok(()) };
        let say = |at: usize| {
            let (property, what, _) = WINDOWS[at];
            format!("{what} for {} s ({property})", lengths[at].as_secs())
        };
        let why = format!("it keeps {}, which is shorter than {}", say(at - 1), say(at));
        Err(RunsError::Windows { table, why })
    }
}

/// Reads an interval as Delta Lake writes it: `interval 49 hours`, of one or more parts.
fn parse(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    let words: Vec<&str> = text.strip_prefix("interval")?.split_whitespace().collect();
    let mut seconds: u64 = 0;
    for part in words.chunks(2) {
        let [number, unit] = part else { return None };
        let unit = match unit.trim_end_matches('s') {
            "second" => 1,
            "minute" => 60,
            "hour" => HOUR,
            "day" => 24 * HOUR,
            "week" => 7 * 24 * HOUR,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    (!words.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_as_they_are_written() {
        let hours = |text| parse(text).map(|length| length.as_secs() / HOUR);
        assert_eq!(hours("interval 49 hours"), Some(49));
        assert_eq!(hours("INTERVAL 1 week 2 days 1 hour"), Some(217));
        for wrong in ["", "interval", "49 hours", "interval hours", "interval 1 month", "interval -1 hours"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_window_that_is_shorter_than_what_relies_on_it_is_refused() {
        let of = |hours: [u64; 4]| {
            let [files, log, as_of, page_token] = hours.map(|hours| Duration::from_secs(hours * HOUR));
            Windows { files, log, as_of, page_token }.check("trails")
        };
        of([49, 48, 48, 1]).unwrap();
        of([1, 1, 1, 1]).unwrap();
        for (wrong, names) in
            [([47, 48, 48, 1], "files"), ([49, 47, 48, 1], "the log"), ([49, 48, 1, 2], "versions")]
        {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains(names) && error.contains("shorter"), "{error}");
        }
    }
}
