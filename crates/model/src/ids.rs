//! RequestID and ResponseID of DUIS: two EUI-64s and a counter, joined by colons.

use crate::{DeviceId, ParseError, UserId};
use std::fmt;
use std::str::FromStr;

fn split(text: &str, what: &'static str) -> Result<([u8; 8], [u8; 8], u64), ParseError> {
    let wrong = || {
        ParseError::new(
            what,
            "two EUI-64s and a counter of 0 to 18446744073709551615 without leading zeros, joined by ':'",
            text,
        )
    };
    let mut parts = text.split(':');
    let (Some(first), Some(second), Some(counter), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let canonical = counter == "0" || counter.bytes().next().is_some_and(|b| (b'1'..=b'9').contains(&b));
    if !canonical || !counter.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let first: DeviceId = first.parse().map_err(|_| wrong())?;
    let second: DeviceId = second.parse().map_err(|_| wrong())?;
    Ok((first.to_bytes(), second.to_bytes(), counter.parse().map_err(|_| wrong())?))
}

fn joined(first: [u8; 8], second: [u8; 8], counter: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&first);
    bytes[8..16].copy_from_slice(&second);
    bytes[16..].copy_from_slice(&counter.to_be_bytes());
    bytes
}

fn parted(bytes: [u8; 24]) -> ([u8; 8], [u8; 8], u64) {
    let [first, second, counter] = [0, 8, 16].map(|from| {
        let mut part = [0; 8];
        part.copy_from_slice(&bytes[from..from + 8]);
        part
    });
    (first, second, u64::from_be_bytes(counter))
}

/// `BusinessOriginatorID:BusinessTargetID:OriginatorCounter`, set by the User that sends a Service Request.
///
/// The counter is a full unsigned 64-bit number; it is not the GBCS Transaction Sequence Number, though the
/// two are often equal (domain trap 1a). The target is the Device, or the DCC itself for a non-device request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// The User that sent the request.
    pub originator: UserId,
    /// The Device that the request is for, or the DCC's access control broker.
    pub target: DeviceId,
    /// The originator's counter.
    pub counter: u64,
}

impl RequestId {
    /// Its 24 bytes: originator, target and counter, the most significant byte first.
    pub fn to_bytes(self) -> [u8; 24] {
        joined(self.originator.to_bytes(), self.target.to_bytes(), self.counter)
    }

    /// The RequestID whose bytes these are.
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        let (originator, target, counter) = parted(bytes);
        Self { originator: UserId::from_bytes(originator), target: DeviceId::from_bytes(target), counter }
    }
}

impl FromStr for RequestId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (originator, target, counter) = split(text, "RequestID")?;
        Ok(Self { originator: UserId::from_bytes(originator), target: DeviceId::from_bytes(target), counter })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.originator, self.target, self.counter)
    }
}

/// The identifier of a Service Response, Device Alert or DCC Alert: usually the RequestID with originator and
/// target swapped. Who comes first is not always a Device, nor second always a User (responses to 6.15.1, 6.21
/// and 6.23 are not swapped), so the halves carry no meaning of their own here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseId {
    /// The first EUI-64, as written.
    pub first: DeviceId,
    /// The second EUI-64, as written.
    pub second: DeviceId,
    /// The counter.
    pub counter: u64,
}

impl ResponseId {
    /// The ResponseID that answers this request when nothing out of the ordinary happens: first and second
    /// half swapped, the same counter.
    pub fn mirror_of(request: &RequestId) -> Self {
        Self {
            first: request.target,
            second: DeviceId::from_bytes(request.originator.to_bytes()),
            counter: request.counter,
        }
    }

    /// Its 24 bytes: both halves and the counter, the most significant byte first.
    pub fn to_bytes(self) -> [u8; 24] {
        joined(self.first.to_bytes(), self.second.to_bytes(), self.counter)
    }

    /// The ResponseID whose bytes these are.
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        let (first, second, counter) = parted(bytes);
        Self { first: DeviceId::from_bytes(first), second: DeviceId::from_bytes(second), counter }
    }
}

impl FromStr for ResponseId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (first, second, counter) = split(text, "ResponseID")?;
        Ok(Self { first: DeviceId::from_bytes(first), second: DeviceId::from_bytes(second), counter })
    }
}

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.first, self.second, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:1660751141087";

    #[test]
    fn the_counter_is_a_full_u64() {
        let text = "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:18446744073709551615";
        assert_eq!(text.parse::<RequestId>().unwrap().counter, u64::MAX);
        assert!(text.replace("615", "616").parse::<RequestId>().is_err());
    }

    #[test]
    fn an_ordinary_response_mirrors_its_request() {
        let mirror = ResponseId::mirror_of(&ID.parse().unwrap());
        assert_eq!(mirror.to_string(), "88-73-84-57-00-2F-96-1E:90-B3-D5-1F-30-01-00-00:1660751141087");
    }

    #[test]
    fn leading_zeros_and_missing_parts_are_refused() {
        for text in [
            "",
            "1:2:3",
            "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E",
            "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:",
            "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:01",
            "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:+1",
            "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:1:1",
        ] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_id_reads_back(a: [u8; 8], b: [u8; 8], counter: u64) {
            let id = RequestId { originator: UserId::from_bytes(a), target: DeviceId::from_bytes(b), counter };
            prop_assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
            prop_assert_eq!(RequestId::from_bytes(id.to_bytes()), id);
            let id = ResponseId::mirror_of(&id);
            prop_assert_eq!(id.to_string().parse::<ResponseId>().unwrap(), id);
            prop_assert_eq!(ResponseId::from_bytes(id.to_bytes()), id);
        }
        #[test]
        fn no_text_panics(text in "[0-9A-F:-]{0,80}") {
            let _ = text.parse::<RequestId>();
        }
    }
}
