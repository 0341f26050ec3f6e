//! The sizes of this crate's records, each with its reason.

/// The bytes that one message may have: an image of firmware of 10,240,000 octets, the most that DUIS allows, is
/// 13.7 MB in base64, and its envelope comes to that.
pub const MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The bytes that a record of such a message may have, with its key, its headers and what Kafka adds: what topics must
/// take (`max.message.bytes`) and clients must handle.
pub const RECORD_BYTES: usize = MESSAGE_BYTES + 1024 * 1024;

/// A piece is handed on once it holds so many bytes: large enough to make handing it over cheap. With a record of the
/// largest size it holds that much more.
pub(crate) const PIECE_BYTES: usize = 512 * 1024;
