//! The event contract: `gridtrail.events.v1.ServiceEvent` as protobuf, as frames of a `.binpb` file, and as
//! proto3 JSON. Events of access, of the inventory and of anomaly detection beside it.

mod access;
mod anomaly;
mod fields;
mod frame;
pub(crate) mod from_wire;
mod inventory;
mod officer;
mod plain;
mod to_wire;
mod unread;

pub use access::{decode_access, encode_access_frame, encode_access_json, encode_access_protobuf};
pub use anomaly::{decode_anomaly, encode_anomaly_frame, encode_anomaly_json, encode_anomaly_protobuf};
pub use frame::{Frame, next_frame};
pub use inventory::{
    decode_inventory, encode_inventory_frame, encode_inventory_json, encode_inventory_protobuf,
};
pub use unread::unread_access;

use crate::{DecodeError, is_utf16, limits, without_mark};
use gridtrail_model::Event;
use gridtrail_proto::events::v1::ServiceEvent;
use prost::Message;

fn within_limit(what: &'static str, bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.len() > limits::MESSAGE_BYTES_MAX {
        let limit = limits::MESSAGE_BYTES_MAX;
        return Err(DecodeError::TooLarge { what, bytes: bytes.len() as u64, limit });
    }
    Ok(())
}

pub(crate) fn decode_protobuf(bytes: &[u8]) -> Result<Event, DecodeError> {
    within_limit("a protobuf record", bytes)?;
    match plain::event(bytes) {
        Some(event) => Ok(event),
        None => from_wire::event(&ServiceEvent::decode(bytes)?),
    }
}

/// The JSON that these bytes are, behind a byte order mark. Errors: `Json` for UTF-16, by name.
pub(crate) fn json_text<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    if is_utf16(bytes) {
        let reason = "it is UTF-16, and JSON is UTF-8; convert it".to_owned();
        return Err(DecodeError::Json { what, reason });
    }
    Ok(without_mark(bytes))
}

pub(crate) fn decode_json(bytes: &[u8]) -> Result<Event, DecodeError> {
    const WHAT: &str = "a ServiceEvent";
    within_limit("a JSON record", bytes)?;
    // The library stops at a nesting of 128, so depth is limited too.
    let wire: ServiceEvent =
        serde_json::from_slice(json_text(WHAT, bytes)?).map_err(|error| DecodeError::json(WHAT, &error))?;
    from_wire::event(&wire)
}

/// Appends the event as a protobuf `ServiceEvent`.
///
/// What it reads back as is equal, but for shapes that the contract does not tell apart: an acknowledgement is a
/// response without identifier and content, so `Acknowledgement` with an identifier comes back as
/// `ServiceResponse`, and `ServiceResponse` without one as `Acknowledgement`; and only a DCC Alert says what it
/// affects. No decoder makes those.
pub fn encode_protobuf(event: &Event, out: &mut Vec<u8>) {
    put_protobuf(&to_wire::event(event), out);
}

/// Appends the event as one record of a `.binpb` file: its length as a varint, then as [`encode_protobuf`].
pub fn encode_frame(event: &Event, out: &mut Vec<u8>) {
    put_frame(&to_wire::event(event), out);
}

fn put_protobuf(wire: &impl Message, out: &mut Vec<u8>) {
    out.reserve(wire.encoded_len());
    wire.encode_raw(out);
}

fn put_frame(wire: &impl Message, out: &mut Vec<u8>) {
    let length = wire.encoded_len();
    out.reserve(length + prost::length_delimiter_len(length));
    prost::encoding::encode_varint(length as u64, out);
    wire.encode_raw(out);
}

/// The event as one line of proto3 JSON, without the line break. Limits as for [`encode_protobuf`].
pub fn encode_json(event: &Event) -> String {
    // Writing to a string fails only for a map with keys that are no strings or a time out of range; the
    // contract has no map and the model no such time, so the empty default is never used.
    serde_json::to_string(&to_wire::event(event)).unwrap_or_default()
}
