//! EUI-64 identifiers: Devices and Users.
//!
//! DUIS writes eight pairs of hexadecimal digits joined by hyphens, in either case; other systems drop the
//! hyphens. Both are read; one canonical form, upper case with hyphens, is written (domain trap 12).

use crate::ParseError;
use std::fmt;
use std::str::FromStr;

const RULE: &str =
    "an EUI-64 is 16 hexadecimal digits, bare or as 8 pairs joined by '-', such as 90-B3-D5-1F-30-01-00-00";

/// The value of each hexadecimal digit in ASCII, and 255 for anything else.
const NIBBLES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

fn parse(text: &[u8]) -> Option<[u8; 8]> {
    let step = match text.len() {
        16 => 2,
        23 => 3,
        _ => return None,
    };
    let mut out = [0u8; 8];
    // One look at the end instead of one at each digit: identifiers are the most of what is decoded.
    let mut all = 0;
    for (byte, digits) in out.iter_mut().zip(text.chunks(step)) {
        let (high, low) = (NIBBLES[usize::from(digits[0])], NIBBLES[usize::from(digits[1])]);
        if step == 3 && digits.get(2).is_some_and(|joint| *joint != b'-') {
            return None;
        }
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all < 16).then_some(out)
}

fn write(bytes: &[u8; 8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = [b'-'; 23];
    for (i, byte) in bytes.iter().enumerate() {
        text[i * 3] = DIGITS[usize::from(byte >> 4)];
        text[i * 3 + 1] = DIGITS[usize::from(byte & 15)];
    }
    // Only ASCII was written above, so this cannot fail; an empty text would be seen at once.
    f.pad(std::str::from_utf8(&text).unwrap_or_default())
}

macro_rules! eui64 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 8]);

        impl $name {
            /// The identifier of these eight bytes, most significant first.
            pub const fn from_bytes(bytes: [u8; 8]) -> Self {
                Self(bytes)
            }
            /// The eight bytes, most significant first.
            pub const fn to_bytes(self) -> [u8; 8] {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                parse(text.as_bytes()).map(Self).ok_or_else(|| ParseError::new($what, RULE, text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(&self.0, f)
            }
        }
    };
}

eui64! {
    /// A Device's EUI-64: its "Device GUID" in the SSI, `DeviceID` in DUIS.
    DeviceId, "Device ID"
}
eui64! {
    /// A User ID: the EUI-64 that identifies a User in one User Role (Smart Energy Code H1.6), shown by the
    /// SSI as "DCC Service User Organisation ID".
    UserId, "User ID"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trap_12_either_case_and_both_spellings_give_one_canonical_form() {
        for text in
            ["90-b3-d5-1f-30-01-00-0a", "90-B3-D5-1F-30-01-00-0A", "90b3d51f3001000a", "90B3D51f3001000A"]
        {
            assert_eq!(text.parse::<DeviceId>().unwrap().to_string(), "90-B3-D5-1F-30-01-00-0A");
        }
    }

    #[test]
    fn near_misses_are_refused() {
        for text in [
            "",
            "90-B3",
            "90-B3-D5-1F-30-01-00-0",
            "90-B3-D5-1F-30-01-00-0G",
            "90:B3:D5:1F:30:01:00:00",
            "+0b3d51f30010000",
            "90-B3-D5-1F-30-01-00-00 ",
        ] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_id_reads_back(bytes: [u8; 8]) {
            let id = DeviceId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<DeviceId>().unwrap(), id);
            prop_assert_eq!(id.to_string().replace('-', "").to_lowercase().parse::<DeviceId>().unwrap(), id);
        }
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<DeviceId>();
        }
    }
}
