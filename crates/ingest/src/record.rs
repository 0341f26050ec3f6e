//! Records of a topic: which encoding each is in, and the event it holds.
//!
//! The header `content-type` says the encoding. Without it, or where it is empty or contradicts itself, the bytes do: an event in
//! JSON starts with a brace, perhaps behind a byte order mark, which no event in protobuf can. A record that a schema registry's serialiser wrote starts with a zero byte, which neither can:
//! its prefix is passed over.

use crate::chunk::Decoded;
use crate::kinds::RecordKind;
use gridtrail_codec::{Encoding, without_mark};
use gridtrail_kafka::Piece;
use gridtrail_lake::{Skip, SkipReason};

/// The header that names the encoding.
pub(crate) const CONTENT_TYPE: &str = "content-type";
/// The first byte of the wire format of schema registries.
const REGISTRY_MAGIC: u8 = 0;
/// That byte and the schema's id.
const REGISTRY_PREFIX: usize = 5;

/// Decodes every record of a piece. CPU-bound.
pub(crate) fn decode_piece(piece: &Piece) -> Decoded {
    let mut decoded = Decoded { events: Vec::with_capacity(piece.records.len()), ..Decoded::default() };
    let kind = RecordKind::of_topic(&piece.source.topic);
    for record in &piece.records {
        let Some(value) = piece.value(record) else {
            pass_over(&mut decoded.skipped, record.offset);
            continue;
        };
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        match event_bytes(headers, &value) {
            Ok((encoding, bytes)) => decoded.record(record.offset, (kind, encoding), bytes, &value),
            Err(reason) => decoded.unread(record.offset, reason, &value),
        }
    }
    decoded
}

/// A record without a value is no event and takes none back: a declared skip (decision 0081).
fn pass_over(skipped: &mut Vec<Skip>, offset: i64) {
    match skipped.last_mut() {
        Some(last) if last.to == offset => last.to += 1,
        _ => skipped.push(Skip { from: offset, to: offset + 1, why: SkipReason::Tombstone }),
    }
}

/// The encoding of a record with these headers, and the bytes of its event.
pub(crate) fn event_bytes<'a, 'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    value: &'a [u8],
) -> Result<(Encoding, &'a [u8]), String> {
    let named = named(headers)?;
    let (registry, bytes) = match value.split_first_chunk::<REGISTRY_PREFIX>() {
        Some((prefix, rest)) if prefix[0] == REGISTRY_MAGIC => (true, rest),
        _ => (false, value),
    };
    let encoding = named.unwrap_or(match without_mark(bytes).first() {
        Some(b'{') => Encoding::Json,
        _ => Encoding::Protobuf,
    });
    let bytes = if registry && encoding == Encoding::Protobuf { after_message_index(bytes) } else { bytes };
    Ok((encoding, bytes))
}

/// The encoding that the headers name; `None` where they name none, or one and another. A header that is empty, or no text, says
/// nothing. Errors: they name something else alone.
fn named<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Result<Option<Encoding>, String> {
    let texts = headers
        .filter(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE))
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
        .filter(|text| !text.trim().is_empty());
    let (mut known, mut unknown) = (None, None);
    for text in texts {
        match (encoding_of(text), known) {
            (Ok(encoding), Some(other)) if encoding != other => return Ok(None),
            (Ok(encoding), _) => known = Some(encoding),
            (Err(reason), _) => unknown = unknown.or(Some(reason)),
        }
    }
    match (known, unknown) {
        (None, Some(reason)) => Err(reason),
        (known, _) => Ok(known),
    }
}

fn encoding_of(content_type: &str) -> Result<Encoding, String> {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().trim_matches('"').trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-protobuf" | "application/protobuf" | "application/vnd.google.protobuf" => {
            Ok(Encoding::Protobuf)
        }
        "application/json" | "text/json" => Ok(Encoding::Json),
        // RFC 6839: whatever it is, it is JSON.
        json if json.ends_with("+json") => Ok(Encoding::Json),
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
    use gridtrail_kafka::{Record, Source};
    use gridtrail_lake::Extent;
    use std::sync::Arc;

    /// The content types of a record, its value, and its encoding.
    type Case = (&'static [&'static [u8]], &'static [u8], Encoding);

    const JSON: &[u8] = b"application/json";
    const PROTOBUF: &[u8] = b"application/x-protobuf";

    fn read<'a>(headers: &[(&str, &[u8])], value: &'a [u8]) -> Result<(Encoding, &'a [u8]), String> {
        event_bytes(headers.iter().copied(), value)
    }

    #[test]
    fn the_header_says_the_encoding_and_without_it_the_bytes_do() {
        use Encoding::{Json, Protobuf};
        let cases: [Case; 15] = [
            (&[], b"{}", Json),
            (&[], b"\xef\xbb\xbf{}", Json),
            (&[], b"\x0a\x01e", Protobuf),
            (&[], b"", Protobuf),
            (&[b"Application/JSON; charset=utf-8"], b"[]", Json),
            (&[b"\"application/json\""], b"[]", Json),
            (&[b"application/vnd.api+json"], b"[]", Json),
            (&[PROTOBUF], b"{", Protobuf),
            // What says nothing is as absent.
            (&[b""], b"{}", Json),
            (&[b"  "], b"\x0a", Protobuf),
            (&[b"\xff\xfe"], b"{}", Json),
            (&[b"", JSON], b"[]", Json),
            // Of two that contradict each other neither counts; one that is not known counts less than one that is.
            (&[JSON, PROTOBUF], b"{}", Json),
            (&[JSON, PROTOBUF], b"\x0a", Protobuf),
            (&[b"text/plain", JSON], b"[]", Json),
        ];
        for (types, value, encoding) in cases {
            let headers: Vec<_> = types.iter().map(|value| ("Content-Type", *value)).collect();
            assert_eq!(read(&headers, value).unwrap(), (encoding, value), "{types:?}");
        }
        assert_eq!(read(&[("x", b"text/plain")], b"{}").unwrap().0, Json);
        let refused = read(&[(CONTENT_TYPE, b"text/plain"), (CONTENT_TYPE, b"")], b"{}").unwrap_err();
        assert!(refused.contains("text/plain"), "{refused}");
    }

    #[test]
    fn records_without_a_value_are_declared_in_stretches() {
        let mut skipped = Vec::new();
        [3, 4, 6].into_iter().for_each(|offset| pass_over(&mut skipped, offset));
        let stretches: Vec<_> = skipped.iter().map(|skip| (skip.from, skip.to)).collect();
        assert_eq!(stretches, [(3, 5), (6, 7)]);
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
            assert_eq!(read(&[], value).unwrap(), (encoding, event), "{value:?}");
        }
    }

    /// A record of 5 MB that cannot be read is a whole letter; one without a value is none.
    #[test]
    fn a_piece_gives_letters_that_are_whole_and_skips() {
        let long = vec![b'x'; 5_000_000];
        let record =
            |offset, value| Record { offset, appended_ms: None, value, key: None, headers: Arc::default() };
        let source = Source { id: "k".into(), topic: "t".into(), topic_id: "t".into(), partition: 0 };
        let piece = Piece {
            source: Arc::new(source),
            epoch: 1,
            first: true,
            behind: false,
            from: 0,
            to: 3,
            records: vec![record(0, None), record(1, Some(0..long.len())), record(2, None)],
            gaps: Vec::new(),
            bytes: long.clone().into(),
            keys: Default::default(),
        };
        let decoded = decode_piece(&piece);
        assert_eq!(
            decoded.skipped.iter().map(|skip| (skip.from, skip.to)).collect::<Vec<_>>(),
            [(0, 1), (2, 3)]
        );
        assert!(decoded.skipped.iter().all(|skip| skip.why == SkipReason::Tombstone));
        let [letter] = decoded.letters.as_slice() else { panic!("{:?}", decoded.letters) };
        assert!(letter.position == 1 && letter.raw.bytes == long && letter.raw.extent == Extent::Whole);
    }
}
