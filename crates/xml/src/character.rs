//! The characters of XML 1.0.

use crate::Why;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesRef;

/// White space as XML means it.
pub const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

const fn is_allowed(character: char) -> bool {
    is_space(character) || (character >= ' ' && character != '\u{fffe}' && character != '\u{ffff}')
}

/// Refuses a text with a character that XML does not allow. Long texts go through here: each of the three searches looks at many
/// bytes at once.
pub(crate) fn check(text: &str) -> Result<(), Why> {
    let control = |byte: &u8| *byte < b' ' && !matches!(*byte, b'\t' | b'\n' | b'\r');
    let has_control = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | control(byte));
    let bad = text.as_bytes().chunks(256).any(has_control)
        || text.contains('\u{fffe}')
        || text.contains('\u{ffff}');
    if bad { Err(Why::Malformed("a character that XML does not allow".into())) } else { Ok(()) }
}

/// The character that a reference stands for.
pub(crate) fn referred(reference: &BytesRef<'_>) -> Result<char, Why> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) if is_allowed(character) => Ok(character),
        Ok(Some(_)) => Err(Why::Malformed("a reference to a character that XML does not allow".into())),
        Err(error) => Err(Why::Malformed(error.to_string())),
        Ok(None) => {
            let predefined = resolve_xml_entity(reference).and_then(|text| text.chars().next());
            predefined.ok_or(Why::Forbidden(ENTITY))
        }
    }
}

/// What stands in the way of an entity that could be anything.
pub(crate) const ENTITY: &str = "an entity that XML does not predefine";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_check_and_the_plain_rule_agree_on_every_character() {
        for character in '\0'..=char::MAX {
            let text = format!("{}{character}", "x".repeat(300));
            if u32::from(character) < 0x1_0100 {
                assert_eq!(check(&text).is_ok(), is_allowed(character), "{character:?}");
            } else {
                assert!(is_allowed(character));
            }
        }
    }
}
