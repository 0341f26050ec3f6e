//! Meter point and property references: MPAN, MPRN, MPxN and UPRN.
//!
//! The form is checked; the check digit is judged and recorded, never a reason to refuse: the DCC's own test
//! MPANs fail it (domain trap 11).

use crate::ParseError;
use std::fmt;
use std::str::FromStr;

/// What the check digits of a reference say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckDigit {
    /// The check digits agree with the rest.
    Passed,
    /// The check digits disagree with the rest: a typing error, or test data.
    Failed,
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A 13-digit electricity meter point administration number (the MPAN core).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mpan(u64);

impl Mpan {
    /// Whether the thirteenth digit is the weighted sum of the first twelve, modulo 11, modulo 10.
    pub fn check(self) -> CheckDigit {
        const PRIMES: [u64; 12] = [43, 41, 37, 31, 29, 23, 19, 17, 13, 7, 5, 3];
        let mut rest = self.0 / 10;
        let mut sum = 0;
        for prime in PRIMES {
            sum += rest % 10 * prime;
            rest /= 10;
        }
        if sum % 11 % 10 == self.0 % 10 { CheckDigit::Passed } else { CheckDigit::Failed }
    }
}

impl FromStr for Mpan {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match digits(text) {
            Some(number) if text.len() == 13 => Ok(Self(number)),
            _ => Err(ParseError::new("MPAN", "an MPAN is 13 digits", text)),
        }
    }
}

impl fmt::Display for Mpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:013}", self.0)
    }
}

impl fmt::Debug for Mpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A gas meter point reference number: 6 to 10 digits, leading zeros significant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mprn {
    length: u8,
    number: u64,
}

impl Mprn {
    /// Whether the last two digits are the weighted sum of the rest, modulo 11. The weights, from the left,
    /// count down from the number of digits that are weighed.
    pub fn check(self) -> CheckDigit {
        let mut rest = self.number / 100;
        let mut sum = 0;
        for weight in 1..=u64::from(self.length) - 2 {
            sum += rest % 10 * weight;
            rest /= 10;
        }
        if sum % 11 == self.number % 100 { CheckDigit::Passed } else { CheckDigit::Failed }
    }
}

impl FromStr for Mprn {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match (digits(text), u8::try_from(text.len())) {
            (Some(number), Ok(length @ 6..=10)) => Ok(Self { length, number }),
            _ => Err(ParseError::new("MPRN", "an MPRN is 6 to 10 digits", text)),
        }
    }
}

impl fmt::Display for Mprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.number, width = usize::from(self.length))
    }
}

impl fmt::Debug for Mprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A meter point of either fuel, told apart by length: 13 digits are an [`Mpan`], 6 to 10 an [`Mprn`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mpxn {
    /// Electricity.
    Mpan(Mpan),
    /// Gas.
    Mprn(Mprn),
}

impl Mpxn {
    /// What the check digits say; a failed check is recorded, never refused.
    pub fn check(self) -> CheckDigit {
        match self {
            Self::Mpan(mpan) => mpan.check(),
            Self::Mprn(mprn) => mprn.check(),
        }
    }

    /// The reference as one number that keeps the length, for storage: `length × 10^14 + digits`.
    pub fn to_code(self) -> i64 {
        const PLACE: i64 = 100_000_000_000_000;
        let (length, number) = match self {
            Self::Mpan(Mpan(number)) => (13, number),
            Self::Mprn(Mprn { length, number }) => (i64::from(length), number),
        };
        // At most 13 digits: far below 2^63, so the cast keeps the value.
        length * PLACE + number.cast_signed()
    }

    /// The inverse of [`Mpxn::to_code`]; `None` for a number that it never gives.
    pub fn from_code(code: i64) -> Option<Self> {
        const PLACE: i64 = 100_000_000_000_000;
        let length = usize::try_from(code / PLACE).ok().filter(|length| *length <= 13)?;
        let text = format!("{:0length$}", u64::try_from(code % PLACE).ok()?);
        if text.len() == length { text.parse().ok() } else { None }
    }
}

impl FromStr for Mpxn {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Ok(mpan) = text.parse() {
            return Ok(Self::Mpan(mpan));
        }
        text.parse().map(Self::Mprn).map_err(|_| {
            ParseError::new("MPxN", "an MPxN is an MPAN of 13 digits or an MPRN of 6 to 10 digits", text)
        })
    }
}

impl fmt::Display for Mpxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mpan(mpan) => mpan.fmt(f),
            Self::Mprn(mprn) => mprn.fmt(f),
        }
    }
}

impl fmt::Debug for Mpxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A Unique Property Reference Number: a positive integer of up to 12 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uprn(u64);

impl Uprn {
    /// The number, for storage.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The inverse of [`Uprn::number`]; `None` for a number that it never gives.
    pub fn from_number(number: u64) -> Option<Self> {
        (1..1_000_000_000_000).contains(&number).then_some(Self(number))
    }
}

impl FromStr for Uprn {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match digits(text) {
            Some(number) if number > 0 && text.len() <= 12 => Ok(Self(number)),
            _ => Err(ParseError::new("UPRN", "a UPRN is a positive number of up to 12 digits", text)),
        }
    }
}

impl fmt::Display for Uprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trap_11_a_wrong_check_digit_is_recorded_and_never_refused() {
        for (text, check) in [
            ("1312345678111", CheckDigit::Failed),
            ("1411704141141", CheckDigit::Failed),
            ("1217290354420", CheckDigit::Passed),
        ] {
            assert_eq!(text.parse::<Mpxn>().unwrap().check(), check, "{text}");
        }
    }

    #[test]
    fn mprn_keeps_its_leading_zeros_and_length() {
        let short: Mpxn = "000123".parse().unwrap();
        assert_eq!(short.to_string(), "000123");
        assert_ne!(short, "0000123".parse().unwrap());
    }

    #[test]
    fn other_lengths_and_signs_are_refused() {
        for text in [
            "",
            "12345",
            "12345678901",
            "123456789012",
            "12345678901234",
            "+123456",
            "12345678901a3",
            "１２３４５６",
        ] {
            assert!(text.parse::<Mpxn>().is_err(), "{text}");
        }
        for text in ["0", "-1", "1234567890123"] {
            assert!(text.parse::<Uprn>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_mpxn_reads_back_from_text_and_code(text in "[0-9]{6,10}|[0-9]{13}") {
            let mpxn: Mpxn = text.parse().unwrap();
            prop_assert_eq!(mpxn.to_string(), text);
            prop_assert_eq!(Mpxn::from_code(mpxn.to_code()), Some(mpxn));
        }
        #[test]
        fn no_code_panics(code: i64) {
            if let Some(mpxn) = Mpxn::from_code(code) {
                prop_assert_eq!(mpxn.to_code(), code);
            }
        }
    }
}
