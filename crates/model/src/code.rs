//! Response codes and alert codes: short upper-case ASCII, kept in place without an allocation.

use crate::ParseError;
use std::fmt;
use std::str::FromStr;

/// Up to eight bytes of ASCII letters and digits, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Short([u8; 8]);

impl Short {
    fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 8 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let mut bytes = [0; 8];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes.make_ascii_uppercase();
        Some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(8);
        // Only ASCII letters and digits get past `new`.
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

/// The DUIS `ResponseCode`: `I` for information, `W` for a warning, `E` for a failure, then 1 to 6 digits.
///
/// A code that schema 5.4 does not list is kept and judged by its letter: an audit trail may not refuse a fact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(Short);

impl ResponseCode {
    /// The code as DUIS writes it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// `I99`: accepted and on its way to the Device, or, for a non-device request, done with nothing to return.
    pub fn is_acknowledgement(&self) -> bool {
        self.as_str() == "I99"
    }
    /// An `E` code.
    pub fn is_failure(&self) -> bool {
        self.as_str().starts_with('E')
    }
}

impl FromStr for ResponseCode {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong =
            || ParseError::new("ResponseCode", "I, W or E, then 1 to 6 digits, such as I0 or E050101", text);
        let short = Short::new(text).ok_or_else(wrong)?;
        let (letter, number) = short.as_str().split_at(1);
        let well_formed = matches!(letter, "I" | "W" | "E")
            && (1..=6).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit());
        if well_formed { Ok(Self(short)) } else { Err(wrong()) }
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A Device Alert code (four hexadecimal digits, such as `8F36`) or a DCC Alert code (`AD1`, `N1` to `N999`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertCode(Short);

impl AlertCode {
    /// The code, upper case.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// Whether it is the code of a Device Alert. `N999` has four characters too, but is no hexadecimal number.
    pub fn is_from_device(&self) -> bool {
        self.as_str().len() == 4 && !self.as_str().starts_with('N')
    }
    /// `8F66`: one instruction of a future-dated command was carried out.
    pub fn is_future_dated_success(&self) -> bool {
        self.as_str() == "8F66"
    }
    /// `8F67`: one instruction of a future-dated command failed.
    pub fn is_future_dated_failure(&self) -> bool {
        self.as_str() == "8F67"
    }
}

impl FromStr for AlertCode {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong =
            || ParseError::new("alert code", "four hexadecimal digits, AD1, or N and 1 to 3 digits", text);
        let short = Short::new(text).ok_or_else(wrong)?;
        let code = short.as_str();
        let digits = |rest: &str| (1..=3).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit());
        let device = code.len() == 4 && code.bytes().all(|b| b.is_ascii_hexdigit());
        let dcc = code.strip_prefix("AD").or_else(|| code.strip_prefix('N')).is_some_and(digits);
        if device || dcc { Ok(Self(short)) } else { Err(wrong()) }
    }
}

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_schema_are_read_and_others_judged_by_form() {
        for text in ["I0", "I99", "E1", "E050101", "W110101", "E1011", "E77"] {
            assert_eq!(text.parse::<ResponseCode>().unwrap().to_string(), text);
        }
        for text in ["", "I", "X1", "E0501011", "E 1", "99"] {
            assert!(text.parse::<ResponseCode>().is_err(), "{text}");
        }
        for text in ["8F36", "81a0", "AD1", "N1", "N999"] {
            let code: AlertCode = text.parse().unwrap();
            assert_eq!(code.to_string(), text.to_uppercase());
            assert_eq!(code.is_from_device(), text.starts_with('8'), "{text}");
        }
        for text in ["", "8F3", "8F3G", "N", "N1234", "ZZ1"] {
            assert!(text.parse::<AlertCode>().is_err(), "{text}");
        }
    }
}
