//! Short texts of the inventory.

use gridtrail_model::ParseError;
use std::fmt;
use std::str::FromStr;

/// A text of 1 to so many characters, none of which is a control character, without white space around it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText<const CHARACTERS_MAX: usize>(Box<str>);

impl<const CHARACTERS_MAX: usize> ShortText<CHARACTERS_MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const CHARACTERS_MAX: usize> FromStr for ShortText<CHARACTERS_MAX> {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        // The rule is a constant, so each length that there is has its own.
        const { assert!(matches!(CHARACTERS_MAX, 30 | 60 | 100), "a text has 30, 60 or 100 characters at most") };
        let kept = text.trim();
        if (1..=CHARACTERS_MAX).contains(&kept.chars().count()) && !kept.chars().any(char::is_control) {
            return Ok(Self(kept.into()));
        }
        let rule = match CHARACTERS_MAX {
            30 => "1 to 30 characters without control characters",
            60 => "1 to 60 characters without control characters",
            _ => "1 to 100 characters without control characters",
        };
        Err(ParseError { what: "text", rule, found: text.chars().take(64).collect() })
    }
}

impl<const CHARACTERS_MAX: usize> fmt::Display for ShortText<CHARACTERS_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const CHARACTERS_MAX: usize> fmt::Debug for ShortText<CHARACTERS_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn the_limit_counts_characters_and_stands_in_the_rule() {
        assert_eq!("é".repeat(30).parse::<ShortText<30>>().unwrap().as_str().chars().count(), 30);
        for (error, most) in [
            (
                "é".repeat(31).parse::<ShortText<{ limits::DEVICE_TEXT_MAX }>>().unwrap_err(),
                limits::DEVICE_TEXT_MAX,
            ),
            (
                "é".repeat(61).parse::<ShortText<{ limits::HUB_TEXT_MAX }>>().unwrap_err(),
                limits::HUB_TEXT_MAX,
            ),
            (
                "é".repeat(101).parse::<ShortText<{ limits::ADDRESS_TEXT_MAX }>>().unwrap_err(),
                limits::ADDRESS_TEXT_MAX,
            ),
        ] {
            assert!(error.rule.contains(&format!("1 to {most} characters")), "{error}");
        }
        assert_eq!(" High Street ".parse::<ShortText<60>>().unwrap().as_str(), "High Street");
        for text in ["", "  ", "a\nb", "\u{7f}"] {
            assert!(text.parse::<ShortText<60>>().is_err(), "{text:?}");
        }
    }
}
