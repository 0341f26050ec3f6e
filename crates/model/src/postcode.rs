//! Postcodes of Great Britain.

use crate::ParseError;
use std::fmt;
use std::str::FromStr;

/// A full postcode, in the one form that the Royal Mail writes: capital letters, and a space before the last three
/// characters (`SW1A 1AA`).
///
/// Case, spaces and hyphens in what is read say nothing. A slip between a letter and the digit that looks like it (`O` and `0`,
/// `I` and `1`) is not mended: [`Postcode::suggestions`] tells what may have been meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Postcode {
    /// As written, padded with zeros, so the order is that of the text.
    text: [u8; 8],
}

/// The letters and digits of the longest postcode.
const CHARACTERS_MAX: usize = 7;

const RULE: &str = "a full postcode has one or two letters, a district, a digit and two letters, such as SW1A 1AA; \
                    O is a letter and 0 a digit";

/// Which character may stand in a place of a postcode.
#[derive(Clone, Copy)]
enum Place {
    Digit,
    /// A letter other than these.
    LetterBut(&'static [u8]),
    /// One of these letters.
    LetterOf(&'static [u8]),
}

impl Place {
    fn takes(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::LetterBut(none) => byte.is_ascii_uppercase() && !none.contains(&byte),
            Self::LetterOf(all) => all.contains(&byte),
        }
    }
}

/// The forms of the part before the space. A district of two digits does not begin with 0, which is checked apart.
const OUTWARD: [&[Place]; 6] = {
    const FIRST: Place = Place::LetterBut(b"QVX");
    const SECOND: Place = Place::LetterBut(b"IJZ");
    const DIGIT: Place = Place::Digit;
    [
        &[FIRST, DIGIT],
        &[FIRST, DIGIT, DIGIT],
        &[FIRST, SECOND, DIGIT],
        &[FIRST, SECOND, DIGIT, DIGIT],
        &[FIRST, DIGIT, Place::LetterOf(b"ABCDEFGHJKPSTUW")],
        &[FIRST, SECOND, DIGIT, Place::LetterOf(b"ABEHMNPRVWXY")],
    ]
};
const INWARD: [Place; 3] = [Place::Digit, Place::LetterBut(b"CIKMOV"), Place::LetterBut(b"CIKMOV")];

fn fits(form: &[Place], part: &[u8]) -> bool {
    form.len() == part.len() && form.iter().zip(part).all(|(place, byte)| place.takes(*byte))
}

/// Whether these capital letters and digits are a postcode.
fn is_postcode(characters: &[u8]) -> bool {
    let Some((outward, inward)) = characters.split_last_chunk::<3>() else { return false };
    let begins_with_0 = |pair: &[u8]| pair[0] == b'0' && pair[1].is_ascii_digit();
    let outward_fits =
        OUTWARD.iter().any(|form| fits(form, outward)) && !outward.windows(2).any(begins_with_0);
    // The one postcode of no area: that of Girobank.
    (outward_fits || outward == b"GIR") && fits(&INWARD, inward)
}

/// The letters and digits of a text, in capitals; `None` where there are too many, or anything else.
fn characters(text: &str) -> Option<Vec<u8>> {
    let mut found = Vec::with_capacity(CHARACTERS_MAX);
    for char in text.chars() {
        match char {
            ' ' | '\u{a0}' | '-' => {}
            _ if char.is_ascii_alphanumeric() && found.len() < CHARACTERS_MAX => {
                found.push(char.to_ascii_uppercase() as u8);
            }
            _ => return None,
        }
    }
    Some(found)
}

/// The character that looks like this one.
const fn look_alike(byte: u8) -> Option<u8> {
    match byte {
        b'O' => Some(b'0'),
        b'0' => Some(b'O'),
        b'I' => Some(b'1'),
        b'1' => Some(b'I'),
        _ => None,
    }
}

impl Postcode {
    /// Of characters that are a postcode.
    fn of(characters: &[u8]) -> Option<Self> {
        if !is_postcode(characters) {
            return None;
        }
        let (outward, inward) = characters.split_last_chunk::<3>()?;
        let mut text = [0; 8];
        text[..outward.len()].copy_from_slice(outward);
        text[outward.len()] = b' ';
        text[outward.len() + 1..outward.len() + 4].copy_from_slice(inward);
        Some(Self { text })
    }

    /// The postcode as it is written.
    pub fn as_str(&self) -> &str {
        let end = self.text.iter().position(|byte| *byte == 0).unwrap_or(self.text.len());
        // Only capital letters, digits and a space are written.
        std::str::from_utf8(&self.text[..end]).unwrap_or_default()
    }

    /// The postcodes that may have been meant by a text in which letters were taken for digits or digits for letters: those with
    /// the fewest such slips, in order. What the text says as it stands is none of them.
    pub fn suggestions(text: &str) -> Vec<Self> {
        let Some(written) = characters(text) else { return Vec::new() };
        let slips: Vec<(usize, u8)> =
            written.iter().enumerate().filter_map(|(at, byte)| Some((at, look_alike(*byte)?))).collect();
        let mut found: Vec<(u32, Self)> = Vec::new();
        // At most seven characters, so at most 127 readings.
        for reading in 1_u32..1 << slips.len() {
            let mut meant = written.clone();
            for (bit, (at, byte)) in slips.iter().enumerate() {
                if reading >> bit & 1 == 1 {
                    meant[*at] = *byte;
                }
            }
            found.extend(Self::of(&meant).map(|postcode| (reading.count_ones(), postcode)));
        }
        found.sort_unstable();
        let fewest = found.first().map(|(slips, _)| *slips);
        found.retain(|(slips, _)| Some(*slips) == fewest);
        found.into_iter().map(|(_, postcode)| postcode).collect()
    }
}

impl FromStr for Postcode {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let read = characters(text).and_then(|characters| Self::of(&characters));
        read.ok_or_else(|| ParseError::new("postcode", RULE, text))
    }
}

impl fmt::Display for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read_however_it_is_written() {
        for text in [
            "M1 1AE", "M60 1NW", "CR2 6XH", "DN55 1PT", "W1P 1HQ", "EC1A 1BB", "GIR 0AA", "BS0 1AA",
            "SO11 1AA",
        ] {
            let joined = text.replace(' ', "");
            let spread: String = joined.chars().flat_map(|char| [char, ' ']).collect();
            for written in [text.to_owned(), text.to_lowercase(), joined, spread, text.replace(' ', "-")] {
                assert_eq!(written.parse::<Postcode>().unwrap().to_string(), text, "{written}");
            }
        }
    }

    #[test]
    fn what_is_no_full_postcode_is_refused() {
        for text in [
            "",
            "M1",
            "SW1A",
            "1111-111",
            "Q1 1AA",
            "AI1 1AA",
            "M1 1AC",
            "M01 1AE",
            "SW1A 1AAA",
            "W1O 1HQ",
            "SW1A/1AA",
            "ＳＷ1A 1AA",
            "SW1A 1A\u{e9}",
        ] {
            assert!(text.parse::<Postcode>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_slip_between_letters_and_digits_is_told_and_never_mended() {
        for (written, meant) in [
            ("S01 1AA", "SO1 1AA"),
            ("s0111aa", "SO11 1AA"),
            ("CRO 2AA", "CR0 2AA"),
            ("SW1A IAA", "SW1A 1AA"),
            ("W1O OAA", "W10 0AA"),
            ("P0I 1AA", "PO1 1AA"),
        ] {
            assert!(written.parse::<Postcode>().is_err(), "{written}");
            let told: Vec<_> = Postcode::suggestions(written).iter().map(Postcode::to_string).collect();
            assert_eq!(told, [meant], "{written}");
        }
        for text in ["SW1A 1AA", "", "M1", "QQQ QQQ", "1111-111", "a very long text that is none"] {
            assert_eq!(Postcode::suggestions(text), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_postcode_reads_back(text in "[A-PR-UWYZ][A-HK-Y]?[1-9][0-9]? [0-9][ABD-HJLNP-UW-Z]{2}") {
            let postcode: Postcode = text.parse().unwrap();
            prop_assert_eq!(postcode.to_string(), text);
        }
        #[test]
        fn a_suggestion_differs_in_look_alikes_alone(text in "[ABOI01]{2,4} ?[01OI][OI01AB]{2}") {
            let plain = |text: &str| text.replace(' ', "").replace('O', "0").replace('I', "1");
            for told in Postcode::suggestions(&text) {
                prop_assert_ne!(Ok(told), text.parse::<Postcode>());
                prop_assert_eq!(plain(told.as_str()), plain(&text));
            }
        }
        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = (text.parse::<Postcode>(), Postcode::suggestions(&text));
        }
    }
}
