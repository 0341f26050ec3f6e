//! C1: no input panics. Random bytes, flipped bits and cut messages for every decoder, `next_frame` and the
//! capture reader. `GRIDTRAIL_FUZZ_CASES` sets the number of cases a property.

use crate::it::random;
use crate::it::support::{duis, fuzz_cases, receipt};
use gridtrail_codec::capture::Messages;
use gridtrail_codec::{
    DecodeError, Encoding, Frame, Receipt, decode, decode_inventory, duis::inventory, encode_frame,
    encode_json, encode_protobuf, next_frame, synthetic,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const EVERYDAY: u32 = 2_000;

/// Runs a property and says how often.
fn fuzz<S: Strategy>(name: &str, strategy: S, property: impl Fn(S::Value)) {
    let cases = fuzz_cases(EVERYDAY);
    // A seed that fails is written down beside the test, and tried first from then on.
    let config = Config { cases, source_file: Some(file!()), ..Config::default() };
    let run = TestRunner::new(config).run(&strategy, |value| {
        property(value);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{name}: {error}"));
    println!("{name}: {cases} inputs, no panic");
}

/// Feeds every reader of bytes.
fn feed(bytes: &[u8]) {
    for encoding in [Encoding::Protobuf, Encoding::Json, Encoding::DuisXml] {
        if let Err(error) = decode(encoding, bytes, Some(&receipt())) {
            assert!(error.to_string().chars().count() < 500, "{error}");
        }
        if let Err(error) = decode_inventory(encoding, bytes) {
            assert!(error.to_string().chars().count() < 500, "{error}");
        }
    }
    // Whatever is a message says what it says of the inventory.
    let said = inventory(bytes, &receipt());
    assert!(said.is_ok() || duis(bytes).is_err(), "{said:?}");
    let _ = Receipt::from_sidecar(bytes);
    let mut rest = bytes;
    while let Frame::Complete { record, consumed } = next_frame(rest) {
        let _ = decode(Encoding::Protobuf, record, None);
        rest = &rest[consumed..];
    }
    walk_capture(bytes);
}

/// Goes through a capture: it ends, and every step goes forward.
fn walk_capture(bytes: &[u8]) {
    let Ok(messages) = Messages::new(bytes) else { return };
    let mut at = 0;
    for message in messages {
        let range = match message {
            Ok(message) => {
                let _ = (message.decode(), message.inventory());
                message.range
            }
            Err(bad) => bad.range,
        };
        assert!(range.start >= at && range.end >= range.start && range.end <= bytes.len());
        assert!(!range.is_empty() || range.end == bytes.len());
        at = range.end;
    }
}

/// A message of ours, whole or as a capture.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> = synthetic::files().into_iter().map(|(_, bytes)| bytes).collect();
    let single: Vec<Vec<u8>> = files
        .iter()
        .filter_map(|bytes| Messages::new(bytes).ok())
        .flat_map(|messages| messages.map(|message| message.unwrap().xml.to_vec()).collect::<Vec<_>>())
        .collect();
    let encoded = random::event().prop_flat_map(|event| {
        let (mut record, mut frame) = (Vec::new(), Vec::new());
        encode_protobuf(&event, &mut record);
        encode_frame(&event, &mut frame);
        prop::sample::select(vec![record, frame, encode_json(&event).into_bytes()])
    });
    prop_oneof![1 => prop::sample::select(files), 4 => prop::sample::select(single), 4 => encoded]
}

#[test]
fn random_bytes_do_no_harm() {
    fuzz("random bytes", prop::collection::vec(any::<u8>(), 0..400), |bytes| feed(&bytes));
}

#[test]
fn random_markup_does_no_harm() {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "/",
        "</",
        "/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "&",
        "&amp;",
        "&#x41;",
        "&#0;",
        ";",
        "'",
        "\"",
        "=",
        " ",
        "sr:",
        "Request",
        "Response",
        "Header",
        "Body",
        "RequestID",
        "ResponseMessage",
        "Message",
        "Capture",
        " xmlns='urn:gridtrail:capture:v1'",
        " xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway'",
        "<!DOCTYPE x [",
        "<Message recordedAt='2026-01-01T00:00:00Z'>",
        "</Message>",
        "</Capture>",
        "é",
        "{",
        "}",
        "[",
        "<sr:Request xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway'>",
        "<Capture xmlns='urn:gridtrail:capture:v1'>",
    ]);
    fuzz("random markup", prop::collection::vec(piece, 0..40), |pieces| feed(pieces.concat().as_bytes()));
}

#[test]
fn flipped_bits_do_no_harm() {
    let flips = prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6);
    fuzz("flipped bits", (valid(), flips), |(mut bytes, flips)| {
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        feed(&bytes);
    });
}

#[test]
fn cut_messages_do_no_harm() {
    fuzz("cut messages", (valid(), any::<prop::sample::Index>()), |(bytes, at)| {
        feed(&bytes[..at.index(bytes.len())]);
    });
}

/// A cut protobuf record may still be a whole shorter one; a cut XML document never is one.
#[test]
fn no_prefix_of_a_duis_message_is_a_message() {
    let (_, bytes) =
        synthetic::files().into_iter().find(|(name, _)| *name == "read-profile-request.xml").unwrap();
    let whole = bytes.trim_ascii_end();
    assert!(duis(whole).is_ok());
    for end in 0..whole.len() {
        assert!(duis(&whole[..end]).is_err(), "{end} of {}", whole.len());
    }
}

#[test]
fn messages_that_reach_outside_or_blow_up_are_refused() {
    let head = "<sr:Request xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'>";
    let bomb: String =
        (1..10).map(|i| format!("<!ENTITY l{i} '{}'>", format!("&l{};", i - 1).repeat(10))).collect();
    for text in [
        format!("<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>{head}&x;</sr:Request>"),
        format!("<!DOCTYPE r SYSTEM 'http://example.org/x.dtd'>{head}</sr:Request>"),
        format!("<!DOCTYPE r [<!ENTITY l0 'lol'>{bomb}]>{head}&l9;</sr:Request>"),
        format!("{head}<sr:Header><sr:RequestID>&x;</sr:RequestID></sr:Header></sr:Request>"),
        format!("{head}<sr:Header a='&x;'/></sr:Request>"),
    ] {
        assert!(matches!(duis(text.as_bytes()), Err(DecodeError::Forbidden { .. })), "{text}");
    }
    let deep = format!("{head}{}", "<sr:a>".repeat(100_000));
    assert!(matches!(duis(deep.as_bytes()), Err(DecodeError::Xml { .. })));
    let long = vec![b' '; gridtrail_codec::limits::MESSAGE_BYTES_MAX + 1];
    assert!(matches!(duis(&long), Err(DecodeError::TooLarge { .. })));
}
