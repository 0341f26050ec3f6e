//! Untrusted bytes to [`Event`](gridtrail_model::Event) and back.
//!
//! One door in, [`decode`], for two encodings of the same event: protobuf (`gridtrail.events.v1`) and proto3
//! JSON. Every field passes through a type of the model that cannot
//! hold a bad value. Ways out: [`encode_protobuf`], [`encode_frame`] and [`encode_json`].
//!
//! Invariants:
//! - **C1**: no input panics, and none costs more than a small multiple of its own size (`limits`).
//! - **C2**: an event that was written reads back equal (the few shapes that the contract cannot tell apart
//!   are listed at [`encode_protobuf`]).
//!
//! Left out on purpose: whether an event fits a row. `gridtrail_model::Fold` says so, once, for every encoding.

mod error;
pub mod limits;
mod wire;

pub use error::DecodeError;
pub use wire::{Frame, encode_frame, encode_json, encode_protobuf, next_frame};

use gridtrail_model::Event;

/// How an event is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// One `gridtrail.events.v1.ServiceEvent`, without a length in front.
    Protobuf,
    /// The same in proto3 JSON: one JSON object.
    Json,
}

/// Reads one event.
///
/// Errors name the field, its rule and a short piece of what was found. No input panics.
/// Source: `proto/gridtrail/events/v1/events.proto`.
pub fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Event, DecodeError> {
    match encoding {
        Encoding::Protobuf => wire::decode_protobuf(bytes),
        Encoding::Json => wire::decode_json(bytes),
    }
}
