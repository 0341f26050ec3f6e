//! References of rows.

use crate::SearchError;
use crate::wire::{Reader, put_position};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gridtrail_lake::RowPosition;
use gridtrail_model::{Anchor, DeviceId, Mpxn, Timestamp, UserId};
use std::fmt;
use std::str::FromStr;

/// The first byte of a reference: the version of its form. This one is of a row that was found by the Device that it lies under,
/// as nearly all are.
const FORM: u8 = 1;

/// The form of every other row: what it lies under, by its kind, and the Device that it was found by, if any.
const FORM_ELSEWHERE: u8 = 2;

const DEVICE: u8 = 1;
const MPXN: u8 = 2;
const USER: u8 = 3;

/// Longest reference: 104 characters are the longest that we give.
const TEXT_BYTES_MAX: usize = 128;

/// What those 104 characters stand for: there is one for every row of an answer, and growing would cost more than writing it.
const BYTES_MAX: usize = 78;

/// Names one row, opaquely: what it lies under, its place and its key as base64url. No secret and no right: whoever presents it
/// must be allowed to see the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailRef {
    pub(crate) anchor: Anchor,
    /// The Device by which the row was found.
    pub(crate) matched: Option<DeviceId>,
    pub(crate) position: RowPosition,
}

impl TrailRef {
    pub(crate) const fn new(anchor: Anchor, matched: Option<DeviceId>, position: RowPosition) -> Self {
        Self { anchor, matched, position }
    }

    /// Where the row lay when the reference was given: its receipt, or while that is not known, when it was answered. UTC.
    pub const fn placement(&self) -> Timestamp {
        self.position.placement
    }

    /// The User whose row it is.
    pub const fn user(&self) -> UserId {
        self.position.key.user
    }
}

impl fmt::Display for TrailRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(BYTES_MAX);
        match self.anchor {
            Anchor::Device(device) if self.matched == Some(device) => {
                bytes.push(FORM);
                bytes.extend(device.to_bytes());
            }
            anchor => {
                bytes.push(FORM_ELSEWHERE);
                put_anchor(&mut bytes, anchor);
                bytes.push(u8::from(self.matched.is_some()));
                bytes.extend(self.matched.iter().flat_map(|device| device.to_bytes()));
            }
        }
        put_position(&mut bytes, &self.position);
        f.pad(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for TrailRef {
    type Err = SearchError;
    fn from_str(text: &str) -> Result<Self, SearchError> {
        read(text).ok_or_else(|| {
            SearchError::invalid(
                "reference",
                "not a reference of a row; take it from a search of this service",
            )
        })
    }
}

fn read(text: &str) -> Option<TrailRef> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut reader = Reader(&bytes);
    let (anchor, matched, user) = match reader.byte()? {
        FORM => {
            let device = reader.device()?;
            (Anchor::Device(device), Some(device), None)
        }
        FORM_ELSEWHERE => {
            let (anchor, user) = read_anchor(&mut reader)?;
            let matched = match reader.byte()? {
                0 => None,
                1 => Some(reader.device()?),
                _ => return None,
            };
            // Of a row found by the Device that it lies under, the other form is the one reference.
            if matched.is_some_and(|device| anchor == Anchor::Device(device)) {
                return None;
            }
            (anchor, matched, user)
        }
        _ => return None,
    };
    let position = reader.position()?;
    let reference = TrailRef { anchor, matched, position };
    (reader.is_done() && user.is_none_or(|user| user == position.key.user)).then_some(reference)
}

pub(crate) fn put_anchor(out: &mut Vec<u8>, anchor: Anchor) {
    match anchor {
        Anchor::Device(device) => {
            out.push(DEVICE);
            out.extend(device.to_bytes());
        }
        Anchor::Mpxn(mpxn) => {
            out.push(MPXN);
            out.extend(mpxn.to_code().to_be_bytes());
        }
        Anchor::User(user) => {
            out.push(USER);
            out.extend(user.to_bytes());
        }
        // Nothing finds such a row; its reference finds nothing.
        Anchor::Nothing => out.push(0),
    }
}

/// An anchor, and the User whose row it must be of.
fn read_anchor(reader: &mut Reader<'_>) -> Option<(Anchor, Option<UserId>)> {
    Some(match reader.byte()? {
        DEVICE => (Anchor::Device(reader.device()?), None),
        MPXN => (Anchor::Mpxn(Mpxn::from_code(i64::from_be_bytes(reader.take()?))?), None),
        USER => {
            let user = reader.user()?;
            (Anchor::User(user), Some(user))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::arbitrary_key;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_reference_reads_back(
            device: [u8; 8],
            matched: Option<[u8; 8]>,
            mpxn in "[0-9]{6,10}|[0-9]{13}",
            millis in Timestamp::MIN.millis()..=Timestamp::MAX.millis(),
            key in arbitrary_key(),
        ) {
            let placement = Timestamp::from_millis(millis).unwrap();
            let (device, mpxn) = (DeviceId::from_bytes(device), mpxn.parse().unwrap());
            let matched = matched.map(DeviceId::from_bytes);
            let anchors = [Anchor::Device(device), Anchor::Mpxn(mpxn), Anchor::User(key.user)];
            for (anchor, matched) in anchors.into_iter().flat_map(|a| [(a, matched), (a, Some(device))]) {
                let reference = TrailRef::new(anchor, matched, RowPosition { placement, key });
                let text = reference.to_string();
                prop_assert!(text.len() <= TEXT_BYTES_MAX);
                prop_assert_eq!(&text.parse::<TrailRef>().unwrap(), &reference);
                // A reference cut short or grown is none.
                prop_assert!(text[..text.len() - 1].parse::<TrailRef>().is_err());
                let grown = text + "AAAA";
                prop_assert!(grown.parse::<TrailRef>().is_err());
            }
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..96), form in 1u8..=2, kind in 0u8..=4) {
            if let [first, second, ..] = &mut bytes[..] {
                (*first, *second) = (form, if form == FORM_ELSEWHERE { kind } else { *second });
            }
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            // What is read is what was written: one row has one reference.
            if let Ok(reference) = text.parse::<TrailRef>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
