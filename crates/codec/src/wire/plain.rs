//! The short way from protobuf to an event: texts are parsed where they stand, and nothing is copied to be dropped again.
//!
//! It takes what a writer of the contract writes: each field at most once, but for lists, and none without a value, in any
//! order. Anything else, errors included, is `None` here and left to the long way over the generated types, which has the only say on it.

use super::from_wire;
use gridtrail_model::{CommandVariant, Correlation, CspRegion, Event, EventId, Mode, Timestamp, UserId};
use gridtrail_proto::events::v1 as wire;
use prost::Message;
use std::str::FromStr;
use wire::service_event::Body;

/// A field's value, by its wire type.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, each seen at most once unless it is a list.
struct Fields<'a> {
    rest: &'a [u8],
    /// A bit for each field that may not come again.
    seen: u64,
    /// A bit for each field that may.
    lists: u64,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8]) -> Self {
        Self { rest: message, seen: 0, lists: 0 }
    }

    /// The same, of a message in which the fields of some bits are lists.
    fn with_lists(message: &'a [u8], lists: u64) -> Self {
        Self { lists, ..Self::of(message) }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn next(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = prost::encoding::decode_varint(&mut self.rest).ok()?;
        let value = prost::encoding::decode_varint(&mut self.rest).ok()?;
        let value = match tag & 7 {
            0 => Value::Number(value),
            2 => {
                let (bytes, rest) = self.rest.split_at_checked(usize::try_from(value).ok()?)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        let number = tag >> 3;
        let bit = 1u64.checked_shl(u32::try_from(number).ok()?)?;
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit & !self.lists;
        Some((number, value))
    }
}

pub(super) fn event(message: &[u8]) -> Option<Event> {
    let (mut id, mut recorded_at, mut of, mut body) = (None, None, None, None);
    let mut fields = Fields::of(message);
    while !fields.is_empty() {
        match fields.next()? {
            (1, Value::Bytes(bytes)) => id = Some(text::<EventId>(bytes)?),
            (2, Value::Bytes(bytes)) => recorded_at = Some(time(bytes)?),
            (3, Value::Bytes(bytes)) => of = Some(correlation(bytes)?),
            // Of two bodies the later counts.
            (number, Value::Bytes(bytes)) if body.is_none() => body = Some((number, bytes)),
            _ => return None,
        }
    }
    let (number, bytes) = body?;
    let body = match number {
        10 => Body::RequestReceived(wire::RequestReceived::decode(bytes).ok()?),
        11 => Body::StatusChanged(wire::StatusChanged::decode(bytes).ok()?),
        12 => Body::ResponseSent(wire::ResponseSent::decode(bytes).ok()?),
        13 => Body::DeviceAlert(wire::DeviceAlert::decode(bytes).ok()?),
        14 => Body::DccAlert(wire::DccAlert::decode(bytes).ok()?),
        _ => return None,
    };
    let recorded_at = recorded_at?;
    let body = from_wire::body(&body, recorded_at).ok()?;
    Some(Event { id: id?, recorded_at, correlation: of?, body })
}

fn correlation(message: &[u8]) -> Option<Correlation> {
    let mut user_id: Option<UserId> = None;
    let mut of = Correlation::of_user(UserId::from_bytes([0; 8]));
    let mut fields = Fields::with_lists(message, 1 << 13 | 1 << 14);
    while !fields.is_empty() {
        match fields.next()? {
            (1, Value::Bytes(bytes)) => user_id = Some(text(bytes)?),
            (2, Value::Bytes(bytes)) => of.request_id = Some(text(bytes)?),
            (3, Value::Bytes(bytes)) => of.request_received_at = Some(time(bytes)?),
            (4, Value::Number(number)) => of.command_variant = Some(small(number, CommandVariant::new)?),
            (5, Value::Bytes(bytes)) => of.scheduled_run = Some(text(bytes)?),
            (6, Value::Bytes(bytes)) => of.device_id = Some(text(bytes)?),
            (7, Value::Bytes(bytes)) => of.mpxn = Some(text(bytes)?),
            (8, Value::Number(number)) => of.csp_region = Some(small(number, CspRegion::from_number)?),
            (9, Value::Bytes(bytes)) => of.variant = Some(text(bytes)?),
            (10, Value::Number(number)) => of.mode = Some(small(number, Mode::from_number)?),
            (11, Value::Bytes(bytes)) => of.preceding_request_id = Some(text(bytes)?),
            (12, Value::Number(number)) => of.gbcs_originator_counter = Some(number),
            (13, Value::Bytes(bytes)) => of.concerned_devices.push(text(bytes)?),
            (14, Value::Bytes(bytes)) => of.concerned_mpxns.push(text(bytes)?),
            _ => return None,
        }
    }
    of.user_id = user_id?;
    Some(of)
}

fn text<T: FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn small<T>(number: u64, from_number: impl Fn(u8) -> Option<T>) -> Option<T> {
    from_number(u8::try_from(number).ok()?)
}

fn time(bytes: &[u8]) -> Option<Timestamp> {
    from_wire::time(pbjson_types::Timestamp::decode(bytes).ok(), "").ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, decode, encode_protobuf};

    const OF: &str = r#""userId":"90-B3-D5-1F-30-02-00-00","requestId":"90-B3-D5-1F-30-02-00-00:88-73-84-57-00-2F-96-1E:7",
        "requestReceivedAt":"2026-03-01T09:30:00Z","commandVariant":1,"deviceId":"88-73-84-57-00-2F-96-1E",
        "mpxn":"1312345678111","cspRegion":"CSP_REGION_NORTH","serviceReferenceVariant":"4.8.1",
        "modeOfOperation":"MODE_OF_OPERATION_ON_DEMAND","gbcsOriginatorCounter":"0",
        "concernedDeviceIds":["88-73-84-57-00-2F-96-1F","88-73-84-57-00-2F-96-20"],"concernedMpxns":["1312345678222"]"#;

    /// What our own writers write goes the short way, whatever its body.
    #[test]
    fn what_the_contract_carries_goes_the_short_way() {
        let id = "88-73-84-57-00-2F-96-1E:90-B3-D5-1F-30-02-00-00:7";
        for body in [
            r#""requestReceived":{}"#.to_owned(),
            r#""statusChanged":{"state":"STATE_SENT_TO_CSP","cause":"c"}"#.to_owned(),
            format!(r#""responseSent":{{"responseId":"{id}","responseCode":"I0"}}"#),
            format!(r#""deviceAlert":{{"responseId":"{id}","alertCode":"8F36"}}"#),
            format!(r#""dccAlert":{{"responseId":"{id}","alertCode":"N1"}}"#),
        ] {
            let json = format!(
                r#"{{"eventId":"e","recordedAt":"2026-03-01T09:30:01Z","correlation":{{{OF}}},{body}}}"#
            );
            let expected = decode(Encoding::Json, json.as_bytes(), None).unwrap();
            let mut bytes = Vec::new();
            encode_protobuf(&expected, &mut bytes);
            assert_eq!(event(&bytes), Some(expected));
        }
    }

    #[test]
    fn what_is_not_plain_goes_the_long_way() {
        for bytes in [&b""[..], b"\x0a\x01e\x0a\x01e", b"\xa0\x06\x01", b"\x0a\x05e", b"\x0d\0\0\0\0"] {
            assert_eq!(event(bytes), None, "{bytes:?}");
        }
    }
}
