//! Records of a topic: which encoding each is in, and the event it holds.
//!
//! The header `content-type` says the encoding. Without it the bytes do: an event in JSON starts with a brace, which no
//! event in protobuf can. A record that a schema registry's serialiser wrote starts with a zero byte, which neither can:
//! its prefix is passed over.

use crate::chunk::Decoded;
use crate::kind::Kind;
use gridtrail_codec::Encoding;
use gridtrail_kafka::Piece;

/// The header that names the encoding.
pub(crate) const CONTENT_TYPE: &str = "content-type";
/// The first byte of the wire format of schema registries.
const REGISTRY_MAGIC: u8 = 0;
/// That byte and the schema's id.
const REGISTRY_PREFIX: usize = 5;

/// Decodes every record of a piece. CPU-bound.
pub(crate) fn decode_piece(piece: &Piece) -> Decoded {
    let mut decoded = Decoded { events: Vec::with_capacity(piece.records.len()), ..Decoded::default() };
    let kind = Kind::of_topic(&piece.source.topic);
    for record in &piece.records {
        let Some(value) = piece.value(record) else {
            decoded.unread(record.offset, "the record has no value".to_owned(), Default::default());
            continue;
        };
        match event_bytes(record.header(CONTENT_TYPE), &value) {
            Ok((encoding, bytes)) => {
                decoded.record(record.offset, (kind, encoding), bytes, || value.clone());
            }
            Err(reason) => decoded.unread(record.offset, reason, value),
        }
    }
    decoded
}

/// The encoding of a record of a content type and the bytes of its event.
pub(crate) fn event_bytes<'a>(
    content_type: Option<&str>,
    value: &'a [u8],
) -> Result<(Encoding, &'a [u8]), String> {
    let named = content_type.map(encoding_of).transpose()?;
    let (registry, bytes) = match value.split_first_chunk::<REGISTRY_PREFIX>() {
        Some((prefix, rest)) if prefix[0] == REGISTRY_MAGIC => (true, rest),
        _ => (false, value),
    };
    let encoding = named.unwrap_or(match bytes.first() {
        Some(b'{') => Encoding::Json,
        _ => Encoding::Protobuf,
    });
    let bytes = if registry && encoding == Encoding::Protobuf { after_message_index(bytes) } else { bytes };
    Ok((encoding, bytes))
}

fn encoding_of(content_type: &str) -> Result<Encoding, String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-protobuf" | "application/protobuf" | "application/vnd.google.protobuf" => {
            Ok(Encoding::Protobuf)
        }
        "application/json" => Ok(Encoding::Json),
        _ => Err(format!(
            "content-type {:?} is neither application/x-protobuf nor application/json",
            essence.chars().take(80).collect::<String>()
        )),
    }
}

/// Behind the schema's id a serialiser writes which message of the schema it is: how many numbers, and the numbers, as
/// zig-zag varints, or one zero byte for the first message. Not every serialiser does. A count of one to three is an
/// even byte below 8, a zero is zero, and no field of an event starts with either.
fn after_message_index(bytes: &[u8]) -> &[u8] {
    let (count, mut rest) = match bytes.split_first() {
        Some((0, rest)) => return rest,
        Some((first @ (2 | 4 | 6), rest)) => (first / 2, rest),
        _ => return bytes,
    };
    for _ in 0..count {
        let Some(end) = rest.iter().position(|byte| byte & 0x80 == 0) else { return bytes };
        rest = &rest[end + 1..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_the_encoding_and_without_it_the_bytes_do() {
        let json = "application/json; charset=utf-8";
        for (content_type, value, encoding) in [
            (None, &b"{}"[..], Encoding::Json),
            (None, b"\x0a\x01e", Encoding::Protobuf),
            (None, b"", Encoding::Protobuf),
            (Some(json), b"[]", Encoding::Json),
            (Some("application/x-protobuf"), b"{", Encoding::Protobuf),
        ] {
            assert_eq!(event_bytes(content_type, value).unwrap(), (encoding, value));
        }
        let refused = event_bytes(Some("text/plain"), b"x").unwrap_err();
        assert!(refused.contains("text/plain"), "{refused}");
    }

    #[test]
    fn the_prefix_of_a_schema_registry_is_passed_over() {
        for (value, encoding, event) in [
            (&b"\0\0\0\0\x07{}"[..], Encoding::Json, &b"{}"[..]),
            (b"\0\0\0\0\x07\0\x0a\x01e", Encoding::Protobuf, b"\x0a\x01e"),
            (b"\0\0\0\0\x07\x02\x00\x0a\x01e", Encoding::Protobuf, b"\x0a\x01e"),
            (b"\0\0\0\0\x07\x04\x80\x01\x02\x0a\x01e", Encoding::Protobuf, b"\x0a\x01e"),
            (b"\0\0\0\0\x07\x0a\x01e", Encoding::Protobuf, b"\x0a\x01e"),
            (b"\0\0\0", Encoding::Protobuf, b"\0\0\0"),
            (b"\0\0\0\0\x07\x06\x80", Encoding::Protobuf, b"\x06\x80"),
        ] {
            assert_eq!(event_bytes(None, value).unwrap(), (encoding, event), "{value:?}");
        }
    }
}
