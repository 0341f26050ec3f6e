//! References, reasons and other short values of anomaly events.

use crate::limits::{PERIOD_S_MAX, PERIOD_S_MIN, REASON_MAX, REFERENCE_MAX};
use gridtrail_model::ParseError;
use std::fmt;
use std::str::FromStr;

fn wrong(what: &'static str, rule: &'static str, found: &str) -> ParseError {
    ParseError { what, rule, found: found.chars().take(64).collect() }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

text! {
    /// The reference of an Incident or of a Service Management Service Request, as the DSMS gives it. It stands unquoted in CSV files, so it
    /// has neither spaces nor commas nor quotes.
    Reference
}

impl FromStr for Reference {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'\'');
        if (1..=REFERENCE_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
            return Ok(Self(text.into()));
        }
        let rule = "1 to 40 printable ASCII characters without spaces, commas and quotes";
        Err(wrong("reference", rule, text))
    }
}

text! {
    /// Why something was refused, in the DCC's own words.
    Reason
}

impl Reason {
    /// Of a text that has as many characters as a reason may, and no control character.
    pub(crate) fn of_checked(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for Reason {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=REASON_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            return Ok(Self(text.into()));
        }
        Err(wrong("reason", "1 to 300 characters without control characters", text))
    }
}

text! {
    /// DUIS `QuarantineEventRef`: what the DCC calls the event in which communications were quarantined.
    QuarantineEventRef
}

impl FromStr for QuarantineEventRef {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        // More than 64 bits hold, so it stays a text.
        if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.into()));
        }
        Err(wrong("QuarantineEventRef", "1 to 20 digits", text))
    }
}

/// The SHA-256 of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHash([u8; 32]);

impl FileHash {
    /// The hash of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for FileHash {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(wrong("SHA-256", "64 hexadecimal digits", text)),
        }
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The period within which a threshold counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u32);

impl Period {
    /// Of so many seconds. Errors: it is shorter than a minute or longer than 31 days.
    pub fn of_seconds(seconds: u32) -> Result<Self, ParseError> {
        if (PERIOD_S_MIN..=PERIOD_S_MAX).contains(&seconds) {
            return Ok(Self(seconds));
        }
        let rule = "a period of 60 to 2678400 seconds";
        Err(wrong("period of a threshold", rule, &seconds.to_string()))
    }

    /// How many seconds it has.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// How many milliseconds it has.
    pub fn millis(self) -> i64 {
        i64::from(self.0) * 1_000
    }
}

impl fmt::Display for Period {
    /// In the largest unit that divides it: `30m`, `24h`, `7d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            seconds if seconds % 86_400 == 0 => (seconds / 86_400, 'd'),
            seconds if seconds % 3_600 == 0 => (seconds / 3_600, 'h'),
            seconds if seconds % 60 == 0 => (seconds / 60, 'm'),
            seconds => (seconds, 's'),
        };
        f.pad(&format!("{number}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_well_formed_and_their_rules_say_their_limits() {
        assert!("x".repeat(REFERENCE_MAX).parse::<Reference>().is_ok());
        for text in ["", "a b", "a,b", "\"a", "é", &"x".repeat(REFERENCE_MAX + 1)] {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(error.rule.contains(&format!("1 to {REFERENCE_MAX} ")), "{text}");
        }
        assert!("é".repeat(REASON_MAX).parse::<Reason>().is_ok() && "a\nb".parse::<Reason>().is_err());
        let error = "é".repeat(REASON_MAX + 1).parse::<Reason>().unwrap_err();
        assert!(error.rule.contains(&format!("1 to {REASON_MAX} ")), "{error}");
        assert!("99999999999999999999".parse::<QuarantineEventRef>().is_ok());
        for text in ["", "-1", "1e3", "999999999999999999999"] {
            assert!(text.parse::<QuarantineEventRef>().is_err(), "{text}");
        }
        let hash = FileHash::from_bytes([0xab; 32]);
        assert_eq!(hash.to_string().parse::<FileHash>().unwrap(), hash);
        assert!("ab".parse::<FileHash>().is_err());
    }

    #[test]
    fn a_period_is_shown_in_its_largest_unit() {
        for (seconds, text) in [(60, "1m"), (90, "90s"), (3_600, "1h"), (86_400, "1d"), (90_000, "25h")] {
            assert_eq!(Period::of_seconds(seconds).unwrap().to_string(), text);
        }
        for (seconds, ok) in
            [(PERIOD_S_MIN, true), (PERIOD_S_MAX, true), (59, false), (PERIOD_S_MAX + 1, false)]
        {
            assert_eq!(Period::of_seconds(seconds).is_ok(), ok, "{seconds}");
        }
    }
}
