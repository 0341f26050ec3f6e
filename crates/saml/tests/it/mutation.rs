//! Whatever is done to an honest response: it is refused, or it says the very same.

use crate::it::answer::Answer;
use crate::it::{Look, WORLD, honest, verify};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::Index;

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, Index),
    Repeat(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let markup = prop_oneof![
        Just(b"<".to_vec()),
        Just(b">".to_vec()),
        Just(b"&amp;".to_vec()),
        Just(b"&#65;".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"<!---->".to_vec()),
        Just(b"<x/>".to_vec()),
        Just(b" xmlns='urn:x:y'".to_vec()),
        Just(b" ID='_assertion-1'".to_vec()),
        Just(b"\r\n".to_vec()),
        Just("é".as_bytes().to_vec()),
        Just(b"\xC3".to_vec()),
        proptest::collection::vec(any::<u8>(), 1..4),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), markup).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Delete(from, to)),
        (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(from, to, at)| Change::Repeat(from, to, at)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let range = |from: &Index, to: &Index, len: usize| {
            let (from, to) = (from.index(len), to.index(len));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Delete(from, to) => {
                bytes.drain(range(from, to, bytes.len()));
            }
            Self::Repeat(from, to, at) => {
                let piece = bytes[range(from, to, bytes.len())].to_vec();
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// A response in pieces, each a tag or the text between two of them.
fn pieces(xml: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for piece in xml.split_inclusive('>') {
        let (text, tag) = piece.split_at(piece.find('<').unwrap_or(piece.len()));
        pieces.extend([text, tag].into_iter().filter(|piece| !piece.is_empty()).map(str::to_owned));
    }
    pieces
}

/// The pieces of the whole element that begins at a place, if one does.
fn element_at(pieces: &[String], start: usize) -> Option<std::ops::Range<usize>> {
    let mut depth = 0_i32;
    for (offset, piece) in pieces[start..].iter().enumerate() {
        depth += if piece.starts_with("</") { -1 } else { i32::from(piece.starts_with('<')) };
        match depth {
            0 if offset > 0 => return Some(start..start + offset + 1),
            ..=0 => return None,
            _ => {}
        }
    }
    None
}

/// The pieces of every whole element.
fn elements(pieces: &[String]) -> Vec<std::ops::Range<usize>> {
    (0..pieces.len()).filter_map(|start| element_at(pieces, start)).collect()
}

/// Demands that bytes are refused, or say what the honest response says.
fn same_or_refused(xml: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(assertion) = Look::default().verify_posted(&STANDARD.encode(xml)) {
        prop_assert_eq!(assertion, verify(&honest()).unwrap());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Bytes are set, inserted, deleted and repeated.
    #[test]
    fn changed_bytes_never_change_what_is_believed(changes in proptest::collection::vec(change(), 1..5)) {
        let mut xml = honest().into_bytes();
        changes.iter().for_each(|change| change.apply(&mut xml));
        same_or_refused(&xml)?;
    }

    /// Whole elements are moved, copied and deleted, so that the result is often well-formed.
    #[test]
    fn moved_elements_never_change_what_is_believed(
        moves in proptest::collection::vec((any::<Index>(), any::<Index>(), 0..3_u8), 1..4),
    ) {
        let mut pieces = pieces(&honest());
        for (from, to, kind) in moves {
            if elements(&pieces).is_empty() {
                break;
            }
            let range = from.get(&elements(&pieces)).clone();
            let element = pieces[range.clone()].to_vec();
            if kind != 0 {
                pieces.drain(range);
            }
            if kind != 1 && !pieces.is_empty() {
                let to = to.index(pieces.len());
                pieces.splice(to..to, element);
            }
        }
        same_or_refused(pieces.concat().as_bytes())?;
    }

    /// A forged piece of an assertion is put in anywhere, or in the place of another element.
    #[test]
    fn forged_elements_are_never_believed(
        which in any::<Index>(), to in any::<Index>(), replaces in any::<bool>(),
    ) {
        let forged = pieces(&Answer::evil().unsigned());
        let element = forged[which.get(&elements(&forged)).clone()].to_vec();
        let mut pieces = pieces(&honest());
        let at = to.index(pieces.len());
        match element_at(&pieces, at) {
            Some(range) if replaces => { pieces.splice(range, element); }
            _ => { pieces.splice(at..at, element); }
        }
        same_or_refused(pieces.concat().as_bytes())?;
    }

    /// What was posted is changed before it is decoded.
    #[test]
    fn changed_base64_never_changes_what_is_believed(changes in proptest::collection::vec(change(), 1..4)) {
        let mut posted = STANDARD.encode(honest()).into_bytes();
        changes.iter().for_each(|change| change.apply(&mut posted));
        if let Ok(assertion) = Look::default().verify_posted(&String::from_utf8_lossy(&posted)) {
            prop_assert_eq!(assertion, verify(&honest()).unwrap());
        }
    }

    /// Metadata come by other means, but no bytes may do harm.
    #[test]
    fn changed_metadata_do_no_harm(changes in proptest::collection::vec(change(), 1..5)) {
        let mut metadata = crate::it::enrolment::metadata(&[&WORLD.ec]).into_bytes();
        changes.iter().for_each(|change| change.apply(&mut metadata));
        if let Ok(provider) = gridtrail_saml::IdentityProvider::from_metadata(&String::from_utf8_lossy(&metadata)) {
            prop_assert!(provider.sso_url().starts_with("https://"));
            prop_assert!(!provider.contacts().is_empty() && !provider.certificates().is_empty());
        }
    }
}

#[test]
fn the_pieces_of_a_response_are_the_response() {
    let pieces = pieces(&honest());
    assert_eq!(pieces.concat(), honest());
    assert_eq!(element_at(&pieces, 0), Some(0..pieces.len()));
}
