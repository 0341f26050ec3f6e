//! The plain header of a GBCS message: the one thing that is read of a payload.
//!
//! ```text
//! DD 00*6 <length> 11 00*4        only in front of messages protected by a MAC
//! DF 09 <01 command|02 response|03 alert> <8 counter> 08 <8 originator> 08 <8 target> ...
//! ```
//!
//! Source: GBCS, as seen in all 1,275 messages of the DCC's reference test data set.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How much of the base64 text is looked at: 96 bytes, where a header takes 45.
const CHARACTERS: usize = 128;

/// The originator counter of the command that this payload is, or answers: the GBCS Transaction Sequence Number.
///
/// `None` for an alert, which carries the Device's own counter, and for anything that is not a GBCS header: a
/// payload is opaque and never a reason to refuse a message. It is not the counter of the RequestID, though the two
/// are often equal (domain trap 1a).
pub(super) fn command_counter(payload: &str) -> Option<u64> {
    let text: Vec<u8> = payload.bytes().filter(|b| !b.is_ascii_whitespace()).take(CHARACTERS).collect();
    let whole = text.len() / 4 * 4;
    let bytes = STANDARD.decode(&text[..whole]).ok()?;
    let header = without_mac_prefix(&bytes)?;
    let [0xdf, 0x09, 0x01 | 0x02, rest @ ..] = header else {
        return None;
    };
    let (counter, rest) = rest.split_first_chunk::<8>()?;
    // The length of the originator that follows: a cheap proof that this is a header.
    (rest.first() == Some(&0x08)).then(|| u64::from_be_bytes(*counter))
}

fn without_mac_prefix(bytes: &[u8]) -> Option<&[u8]> {
    let Some(rest) = bytes.strip_prefix(&[0xdd, 0, 0, 0, 0, 0, 0]) else {
        return Some(bytes);
    };
    let (length, rest) = rest.split_first()?;
    // A first byte above 0x80 says how many bytes of length follow.
    let more = if *length > 0x80 { usize::from(length - 0x80) } else { 0 };
    rest.get(more..)?.strip_prefix(&[0x11, 0, 0, 0, 0])
}

/// A made-up GBCS message with this header, in base64: a command (`1`), response (`2`) or alert (`3`). Its content
/// is filler.
pub(crate) fn message(kind: u8, counter: u64, originator: [u8; 8], target: [u8; 8]) -> String {
    let mut bytes = vec![0xdd, 0, 0, 0, 0, 0, 0, 0x40, 0x11, 0, 0, 0, 0, 0xdf, 0x09, kind];
    bytes.extend_from_slice(&counter.to_be_bytes());
    bytes.push(8);
    bytes.extend_from_slice(&originator);
    bytes.push(8);
    bytes.extend_from_slice(&target);
    bytes.extend_from_slice(b"\x00\x02\x00\x37 synthetic payload, no meter was read");
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_of_commands_and_responses_is_read_and_that_of_alerts_is_not() {
        for (kind, expected) in [(1, Some(u64::MAX - 1)), (2, Some(u64::MAX - 1)), (3, None), (0, None)] {
            let payload = message(kind, u64::MAX - 1, [1; 8], [2; 8]);
            assert_eq!(command_counter(&payload), expected, "kind {kind}");
        }
    }

    #[test]
    fn plain_and_long_mac_headers_are_read() {
        let header = [0xdf, 0x09, 0x02, 0, 0, 0, 0, 0, 0, 0x05, 0x16, 8, 1, 1, 1, 1, 1, 1, 1, 1];
        assert_eq!(command_counter(&STANDARD.encode(header)), Some(0x516));
        for length in [&[0x7f][..], &[0x81, 0xff], &[0x82, 2, 0x1e]] {
            let mut bytes = vec![0xdd, 0, 0, 0, 0, 0, 0];
            bytes.extend_from_slice(length);
            bytes.extend_from_slice(&[0x11, 0, 0, 0, 0]);
            bytes.extend_from_slice(&header);
            assert_eq!(command_counter(&STANDARD.encode(bytes)), Some(0x516), "{length:x?}");
        }
    }

    #[test]
    fn whatever_else_is_opaque() {
        let whole = message(2, 7, [1; 8], [2; 8]);
        for payload in ["", "====", "not base64!", "3QAA", "3wkC", &whole[..28]] {
            assert_eq!(command_counter(payload), None, "{payload}");
        }
        let broken: String = whole.chars().flat_map(|c| [c, '\n']).collect();
        assert_eq!(command_counter(&broken), Some(7));
    }
}
