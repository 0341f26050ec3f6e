//! Which characters the bytes of a document are: what its byte order mark says, or else its XML declaration.
//!
//! UTF-8, UTF-16, ISO-8859-1 and Windows-1252 are read (decision 0081). Every other encoding is refused by its name.

use crate::DecodeError;
use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252, mem::decode_latin1};
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How far into a document its declaration may reach.
const DECLARATION_BYTES_MAX: usize = 512;

/// How characters are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
    Windows1252,
}

/// The bytes behind a byte order mark of UTF-8, where there is one: it says nothing that JSON or protobuf in a file do not say.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// Whether these bytes begin as UTF-16 does: with its byte order mark, or with an ASCII character of two bytes.
pub fn is_utf16(bytes: &[u8]) -> bool {
    match *bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, 0, second, 0, ..] | [0, first, 0, second, ..] => {
            first.is_ascii_graphic() && (second.is_ascii_graphic() || second.is_ascii_whitespace())
        }
        _ => false,
    }
}

impl Charset {
    /// The encoding of an XML document. Errors: one that is not read.
    pub(crate) fn of(document: &[u8]) -> Result<Self, DecodeError> {
        match *document {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
                Err(unread("UTF-32"))
            }
            [0xff, 0xfe, ..] | [b'<', 0, ..] => Ok(Self::Utf16Le),
            [0xfe, 0xff, ..] | [0, b'<', ..] => Ok(Self::Utf16Be),
            _ if document.starts_with(MARK) => Ok(Self::Utf8),
            _ => match declared(document) {
                Some(label) => Self::labelled(&label),
                None => Ok(Self::Utf8),
            },
        }
    }

    /// The encoding that a declaration names, in a document whose first characters take one byte each.
    fn labelled(label: &str) -> Result<Self, DecodeError> {
        match label.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" => Ok(Self::Utf8),
            "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" => Ok(Self::Latin1),
            "windows-1252" | "cp1252" => Ok(Self::Windows1252),
            "utf-16" | "utf-16le" | "utf-16be" => Err(DecodeError::xml(
                0,
                format_args!("it declares encoding {label}, and its bytes are not UTF-16"),
            )),
            _ => Err(unread(label)),
        }
    }

    /// The text that these bytes are, without a byte order mark. UTF-8 is not copied.
    pub(crate) fn text(self, bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
        let utf16 = |encoding: &'static encoding_rs::Encoding, mark: &[u8]| {
            let bytes = bytes.strip_prefix(mark).unwrap_or(bytes);
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            text.ok_or_else(|| DecodeError::xml(0, "not UTF-16: half a character stands in it"))
        };
        match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.trim_start_matches('\u{feff}').into()),
                Err(error) => Err(DecodeError::xml(error.valid_up_to() as u64, "not UTF-8")),
            },
            Self::Utf16Le => utf16(UTF_16LE, b"\xff\xfe"),
            Self::Utf16Be => utf16(UTF_16BE, b"\xfe\xff"),
            Self::Latin1 => Ok(decode_latin1(bytes)),
            Self::Windows1252 => Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0),
        }
    }

    /// Whether the characters of markup take one byte each, so that tags are found by their bytes.
    pub(crate) const fn keeps_ascii(self) -> bool {
        !matches!(self, Self::Utf16Le | Self::Utf16Be)
    }
}

fn unread(label: &str) -> DecodeError {
    DecodeError::xml(
        0,
        format_args!("encoding {label} is not read; UTF-8, UTF-16, ISO-8859-1 and Windows-1252 are"),
    )
}

/// The encoding that the XML declaration names.
fn declared(document: &[u8]) -> Option<String> {
    let head = document.trim_ascii_start();
    let head = &head[..head.len().min(DECLARATION_BYTES_MAX)];
    let end = head.starts_with(b"<?xml").then(|| head.windows(2).position(|two| two == b"?>"))??;
    let mut reader = Reader::from_str(std::str::from_utf8(&head[..end + 2]).ok()?);
    let Ok(Event::Decl(declaration)) = reader.read_event() else { return None };
    Some(declaration.encoding()?.ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(document: &[u8]) -> Result<String, DecodeError> {
        Charset::of(document)?.text(document).map(Cow::into_owned)
    }

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn the_mark_or_the_declaration_says_the_encoding() {
        let declared = |label: &str| format!("<?xml version='1.0' encoding='{label}'?><a>");
        for label in ["ISO-8859-1", "latin1"] {
            let document = [declared(label).as_bytes(), b"caf\xe9 \x80</a>"].concat();
            assert_eq!(read(&document).unwrap(), declared(label) + "caf\u{e9} \u{80}</a>");
        }
        let document = [declared("windows-1252").as_bytes(), b"\x80</a>"].concat();
        assert!(read(&document).unwrap().ends_with("\u{20ac}</a>"));
        for (big, mark) in [(true, true), (true, false), (false, true), (false, false)] {
            let text = declared("UTF-16") + "\u{e9}\u{1f600}</a>";
            assert_eq!(read(&utf16(&text, big, mark)).unwrap(), text);
        }
        // A mark outweighs what a declaration says.
        let marked = format!("\u{feff}{}\u{e9}", declared("ISO-8859-1"));
        assert!(read(marked.as_bytes()).unwrap().ends_with('\u{e9}'));
        assert_eq!(read("<a>\u{e9}</a>".as_bytes()).unwrap(), "<a>\u{e9}</a>");
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (document, named) in [
            (&b"<?xml version='1.0' encoding='EBCDIC-CP-US'?><a/>"[..], "EBCDIC-CP-US"),
            (b"<?xml version='1.0' encoding='iso-8859-15'?><a/>", "iso-8859-15"),
            (b"<?xml version='1.0' encoding='utf-16'?><a/>", "utf-16"),
            (b"\xff\xfe\0\0<\0\0\0", "UTF-32"),
            (b"<\0\0\0a\0\0\0", "UTF-32"),
            (b"<\0a", "UTF-16"),
            (b"\xff\xfe\x00\xd8<\0", "UTF-16"),
            (b"<a>\xff</a>", "UTF-8"),
        ] {
            let error = read(document).unwrap_err().to_string();
            assert!(error.contains(named), "{document:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_back_in_utf16(text in "<.{0,40}", big: bool, mark: bool) {
            prop_assume!(!text.starts_with("<\0"));
            prop_assert_eq!(read(&utf16(&text, big, mark)).unwrap(), text);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
            let _ = is_utf16(&bytes);
        }
    }
}
