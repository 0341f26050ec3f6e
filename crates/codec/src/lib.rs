//! Untrusted bytes to [`Event`](gridtrail_model::Event) and back.
//!
//! [`decode_access`] reads the events of access, in the same encodings but XML, and [`unread_access`] tells what can be told of those
//! that it cannot read. [`decode_inventory`] reads inventory events, and [`duis::inventory`] what a DUIS message says of the inventory
//! beside its own event. For all else there is
//! one door in, [`decode`], for three encodings of the same event: protobuf (`gridtrail.events.v1`), proto3
//! JSON, and DUIS XML as the DCC sees it on the wire. Every field passes through a type of the model that cannot
//! hold a bad value. Ways out: [`encode_protobuf`], [`encode_frame`], [`encode_json`] and [`duis`].
//!
//! Invariants:
//! - **C1**: no input panics, and none costs more than a small multiple of its own size (`limits`).
//! - **C2**: an event that was written reads back equal (the few shapes that the contract cannot tell apart
//!   are listed at [`encode_protobuf`]).
//! - **C3**: a device's payload is opaque. Only the counter in its plain header is read, and nothing is ever
//!   correlated by it (domain trap 1a).
//!
//! Left out on purpose: whether an event fits a row. `gridtrail_model::Fold` says so, once, for every encoding.

pub mod capture;
mod charset;
pub mod duis;
mod error;
pub mod limits;
mod receipt;
pub mod synthetic;
mod wire;
mod xml;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_codec;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use charset::{is_utf16, without_mark};
pub use error::DecodeError;
pub use receipt::Receipt;
pub use wire::{
    Frame, decode_access, decode_anomaly, decode_inventory, encode_access_frame, encode_access_json,
    encode_access_protobuf, encode_anomaly_frame, encode_anomaly_json, encode_anomaly_protobuf, encode_frame,
    encode_inventory_frame, encode_inventory_json, encode_inventory_protobuf, encode_json, encode_protobuf,
    next_frame, unread_access,
};

use gridtrail_model::Event;

/// How an event is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// One `gridtrail.events.v1.ServiceEvent`, without a length in front.
    Protobuf,
    /// A `ServiceEvent` in proto3 JSON: one JSON object.
    Json,
    /// One DUIS `Request` or `Response` document.
    DuisXml,
}

/// Reads one event.
///
/// `receipt` says when the DCC received or sent a DUIS message, which the message itself does not; the other
/// encodings carry their own time, and a receipt given with them is ignored. A byte order mark is passed over.
///
/// Errors name the field, its rule and a short piece of what was found. No input panics.
/// Source: DUIS schema 5.4 for XML; `proto/gridtrail/events/v1/events.proto` for the others.
pub fn decode(encoding: Encoding, bytes: &[u8], receipt: Option<&Receipt>) -> Result<Event, DecodeError> {
    match encoding {
        Encoding::Protobuf => wire::decode_protobuf(bytes),
        Encoding::Json => wire::decode_json(bytes),
        Encoding::DuisXml => duis::decode(bytes, None, receipt),
    }
}
