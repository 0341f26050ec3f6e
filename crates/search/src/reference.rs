//! References of rows.

use crate::SearchError;
use crate::wire::{Reader, put_position};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gridtrail_lake::RowPosition;
use gridtrail_model::{DeviceId, Timestamp, UserId};
use std::fmt;
use std::str::FromStr;

/// The first byte of every reference: the version of its form.
const FORM: u8 = 1;

/// Longest reference: 91 characters are the longest that we give.
const TEXT_BYTES_MAX: usize = 128;

/// What those 91 characters stand for: there is one for every row of an answer, and growing would cost more than writing it.
const BYTES_MAX: usize = 68;

/// Names one row, opaquely: its Device, place and key as base64url. No secret and no right: whoever presents it must
/// be allowed to see the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailRef {
    pub(crate) device: DeviceId,
    pub(crate) position: RowPosition,
}

impl TrailRef {
    pub(crate) const fn new(device: DeviceId, position: RowPosition) -> Self {
        Self { device, position }
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
        bytes.push(FORM);
        bytes.extend(self.device.to_bytes());
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
    if reader.byte()? != FORM {
        return None;
    }
    let reference = TrailRef { device: reader.device()?, position: reader.position()? };
    reader.is_done().then_some(reference)
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
            millis in Timestamp::MIN.millis()..=Timestamp::MAX.millis(),
            key in arbitrary_key(),
        ) {
            let placement = Timestamp::from_millis(millis).unwrap();
            let reference = TrailRef::new(DeviceId::from_bytes(device), RowPosition { placement, key });
            let text = reference.to_string();
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
            prop_assert_eq!(&text.parse::<TrailRef>().unwrap(), &reference);
            // A reference cut short or grown is none.
            prop_assert!(text[..text.len() - 1].parse::<TrailRef>().is_err());
            let grown = text + "AAAA";
            prop_assert!(grown.parse::<TrailRef>().is_err());
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..96)) {
            if let Some(form) = bytes.first_mut() {
                *form = FORM;
            }
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            // What is read is what was written: one row has one reference.
            if let Ok(reference) = text.parse::<TrailRef>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
