//! However a file is cut into pieces, every byte of it ends in one record, one letter, or what stands between records.

use super::*;
use gridtrail_codec::{Receipt, capture, encode_frame, synthetic};
use gridtrail_lake::Extent;
use gridtrail_model::{Event, Timestamp};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::io::Cursor;

const EVENT: &str = r#"{"eventId":"e","recordedAt":"2026-03-01T09:30:01Z","correlation":{"userId":"90-B3-D5-1F-30-02-00-00",
    "requestId":"90-B3-D5-1F-30-02-00-00:88-73-84-57-00-2F-96-1E:7","commandVariant":1},"requestReceived":{}}"#;

fn event() -> Event {
    decode(Encoding::Json, EVENT.as_bytes(), None).unwrap()
}

fn frame() -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&event(), &mut frame);
    frame
}

/// The pieces of a file from a place on.
fn pieces(form: &Form, bytes: &[u8], sizes: Sizes, from: usize) -> Vec<Chunk> {
    let mut chunks = Chunks {
        input: Box::new(Cursor::new(bytes[from..].to_vec())),
        form: form.clone(),
        at: from as u64,
        size: bytes.len() as u64,
        buffer: Vec::new(),
        sizes,
        long: None,
    };
    let mut found = Vec::new();
    while let Some(chunk) = chunks.next().unwrap() {
        found.push(chunk);
    }
    found
}

/// What stands at a position: an event, or a letter of so many bytes with its beginning.
type Placed = (i64, Option<(u64, Vec<u8>)>);

fn told(form: &Form, chunks: &[Chunk]) -> Vec<Placed> {
    let mut told = Vec::new();
    for chunk in chunks {
        let decoded = decode_chunk(chunk, (&crate::kinds::SERVICE_EVENTS, form));
        told.extend(decoded.events.into_iter().map(|(position, _)| (position, None)));
        told.extend(decoded.letters.into_iter().map(|Unread { position, reason, raw }| {
            assert!(!reason.is_empty());
            let bytes = match raw.extent {
                Extent::Cut { bytes, .. } => bytes,
                _ => raw.bytes.len() as u64,
            };
            (position, Some((bytes, raw.bytes.to_vec())))
        }));
    }
    told.sort();
    told
}

/// The pieces follow each other and hold the whole file.
fn check_cover(chunks: &[Chunk], bytes: &[u8], from: usize) {
    let mut at = from as u64;
    for chunk in chunks {
        assert_eq!((chunk.start, chunk.end), (at, at + chunk.bytes.len() as u64));
        assert!(!chunk.bytes.is_empty());
        at = chunk.end;
        assert_eq!(chunk.last, at == bytes.len() as u64);
    }
    assert_eq!(at, bytes.len() as u64);
    let held: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    assert_eq!(held, bytes[from..]);
    assert!(!matches!(chunks.last().map(|chunk| &chunk.holds), Some(Holds::Part)));
}

const WIDE: usize = 1 << 20;

/// Frames, one after the other, are what the file is made of.
fn check_frames(told: &[Placed], bytes: &[u8]) {
    let mut at = 0;
    for (position, letter) in told {
        assert_eq!(*position, to_position(at as u64));
        at += match (next_frame(&bytes[at..]), letter) {
            (Frame::Complete { consumed, record }, Some((length, raw))) => {
                assert_eq!((*length, raw.as_slice()), (record.len() as u64, record));
                consumed
            }
            (Frame::Complete { consumed, .. }, None) => consumed,
            (_, Some((length, raw))) => {
                assert!(bytes[at..].starts_with(raw));
                usize::try_from(*length).unwrap()
            }
            (frame, None) => panic!("an event of {frame:?}"),
        };
    }
    assert_eq!(at, bytes.len());
}

/// Every line that is not blank is told of once, whole.
fn check_lines(told: &[Placed], bytes: &[u8]) {
    let mut at = 0;
    let mut expected = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let record = content(line);
        if !record.is_empty() {
            expected.push((to_position(at as u64), record));
        }
        at += line.len();
    }
    assert_eq!(told.len(), expected.len());
    for ((position, letter), (start, record)) in told.iter().zip(expected) {
        assert_eq!(*position, start);
        if let Some((length, raw)) = letter {
            assert_eq!((*length, raw.as_slice()), (record.len() as u64, record));
        }
    }
}

fn a_piece() -> impl Strategy<Value = Vec<u8>> {
    let random = prop::collection::vec(any::<u8>(), 0..12);
    let known = prop::sample::select(vec![
        frame(),
        EVENT.replace('\n', "").into_bytes(),
        b"\n".to_vec(),
        b"\r\n\xef\xbb\xbf".to_vec(),
        b"\x03abc".to_vec(),
        b"\xff\xff\xff\xff\x0f".to_vec(),
        b"\x81\x80\x80\x08x".to_vec(),
        b"<Message recordedAt='2026-03-01T09:30:00Z'><x/></Message>".to_vec(),
        b"<Message>".to_vec(),
        b"</Capture>".to_vec(),
        b"<!-- -->".to_vec(),
    ]);
    prop_oneof![random, known]
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(a_piece(), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_byte_ends_in_one_place(bytes in some_bytes(), chunk in 1usize..80) {
        let sizes = Sizes { chunk, window: WIDE };
        let head = b"<Capture xmlns='urn:gridtrail:capture:v1'>".to_vec();
        let envelope = Envelope::of(&head).unwrap();
        let receipt = Receipt { recorded_at: Timestamp::MIN, event_id: None };
        for form in [
            Form::Frames,
            Form::Lines,
            Form::Capture(envelope.clone()),
            Form::Single(Receipted::Known(Some(receipt))),
            Form::Single(Receipted::Unreadable("no".into())),
            Form::Unreadable("no".into()),
        ] {
            let is_capture = matches!(form, Form::Capture(_));
            let bytes = if is_capture { [head.clone(), bytes.clone()].concat() } else { bytes.clone() };
            let cut = pieces(&form, &bytes, sizes, 0);
            check_cover(&cut, &bytes, 0);
            let found = told(&form, &cut);
            let whole = told(&form, &pieces(&form, &bytes, Sizes::default(), 0));
            prop_assert_eq!(&found, &whole, "however it is cut");
            match &form {
                Form::Frames => check_frames(&found, &bytes),
                Form::Lines => check_lines(&found, &bytes),
                Form::Capture(_) => {
                    let expected = envelope.messages(&bytes, 0, true).count();
                    prop_assert!(found.len() == expected || found.len() + 1 == expected);
                    prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
                }
                _ => prop_assert_eq!(found.len(), usize::from(!bytes.is_empty())),
            }
            // Whoever was killed behind any piece reads on as if nothing had been.
            for border in cut.iter().filter(|chunk| !matches!(chunk.holds, Holds::Part)) {
                let from = usize::try_from(border.end).unwrap();
                let rest = told(&form, &pieces(&form, &bytes, sizes, from));
                let expected: Vec<Placed> =
                    found.iter().filter(|(position, _)| *position >= to_position(border.end)).cloned().collect();
                prop_assert_eq!(rest, expected);
            }
        }
    }

    /// Where no end of a record is in the window, it is passed over in parts, and what comes behind it is read.
    #[test]
    fn records_beyond_the_window_are_passed_over(bytes in some_bytes(), chunk in 1usize..20, window in 20usize..60) {
        for form in [Form::Frames, Form::Lines, Form::Unreadable("no".into())] {
            let cut = pieces(&form, &bytes, Sizes { chunk, window }, 0);
            check_cover(&cut, &bytes, 0);
            let found = told(&form, &cut);
            prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
            if form == Form::Lines {
                let lines: Vec<i64> = told(&form, &pieces(&form, &bytes, Sizes::default(), 0)).iter().map(|told| told.0).collect();
                prop_assert!(lines.iter().all(|line| found.iter().any(|(position, _)| position == line)));
            }
        }
    }
}

#[test]
fn a_line_longer_than_a_message_costs_only_itself() {
    let event = EVENT.replace('\n', "");
    let long = vec![b'x'; WINDOW_BYTES + (5 << 20)];
    let bytes = [event.as_bytes(), b"\n", &long, b"\n", event.as_bytes(), b"\n"].concat();
    let chunks = pieces(&Form::Lines, &bytes, Sizes::default(), 0);
    assert!(chunks.iter().all(|chunk| chunk.bytes.len() <= WINDOW_BYTES));
    let decoded: Vec<Decoded> =
        chunks.iter().map(|c| decode_chunk(c, (&crate::kinds::SERVICE_EVENTS, &Form::Lines))).collect();
    assert_eq!(decoded.iter().map(|decoded| decoded.events.len()).sum::<usize>(), 2);
    let letters: Vec<&Unread> = decoded.iter().flat_map(|decoded| &decoded.letters).collect();
    let [letter] = letters.as_slice() else { panic!("{} letters", letters.len()) };
    let record = &bytes[event.len() + 1..event.len() + 1 + long.len() + 1];
    let sha256 = hex::encode(Sha256::digest(record));
    assert_eq!(letter.raw.extent, Extent::Cut { bytes: record.len() as u64, sha256 });
    assert!(
        letter.reason.contains("16777216 bytes") && long.starts_with(&letter.raw.bytes),
        "{}",
        letter.reason
    );
}

#[test]
fn a_frame_that_claims_too_much_is_passed_over_by_its_length() {
    let mut bytes = frame();
    let length = WINDOW_BYTES + (3 << 20);
    // A varint of four bytes.
    for (at, shift) in [0, 7, 14, 21].into_iter().enumerate() {
        let bits = u8::try_from((length >> shift) & 0x7f).unwrap();
        bytes.push(if at < 3 { bits | 0x80 } else { bits });
    }
    bytes.resize(bytes.len() + length, 7);
    bytes.extend(frame());
    let chunks = pieces(&Form::Frames, &bytes, Sizes::default(), 0);
    let found = told(&Form::Frames, &chunks);
    let shape: Vec<_> = found.iter().map(|(_, letter)| letter.as_ref().map(|(length, _)| *length)).collect();
    assert_eq!(shape, [None, Some(length as u64 + 4), None]);
    check_frames(&found, &bytes);
}

#[test]
fn messages_of_the_greatest_length_are_whole_letters() {
    let most = limits::MESSAGE_BYTES_MAX;
    let line = [vec![b'x'; most], b"\n".to_vec()].concat();
    let found = told(&Form::Lines, &pieces(&Form::Lines, &line, Sizes::default(), 0));
    assert_eq!(found[0].1.as_ref().map(|(_, raw)| raw.len()), Some(most));
    let envelope = Envelope::of(b"<Capture xmlns='urn:gridtrail:capture:v1'>").unwrap();
    let message = format!("<Message recordedAt='2026-03-01T09:30:00Z'>{}</Message>", "x".repeat(most));
    let capture = format!("<Capture xmlns='urn:gridtrail:capture:v1'>{message}{message}</Capture>");
    let form = Form::Capture(envelope);
    let chunks = pieces(&form, capture.as_bytes(), Sizes::default(), 0);
    assert!(chunks.len() > 1, "a capture is not held as a whole");
    let found = told(&form, &chunks);
    assert!(
        found.len() == 2 && found.iter().all(|(_, letter)| letter.as_ref().unwrap().1 == message.as_bytes())
    );
}

/// An image of 10,240,000 octets, the longest that schema 5.4 allows, passes as one message.
#[test]
fn a_message_with_the_longest_firmware_image_is_read() {
    let (_, request) =
        synthetic::files().into_iter().find(|(name, _)| *name == "read-profile-request.xml").unwrap();
    let text = String::from_utf8(request).unwrap();
    let (before, after) = text.rsplit_once("</sr:Body>").unwrap();
    let image = "QUJD".repeat(10_240_000 / 3 + 1);
    let message = format!("{before}<sr:FirmwareImage>{image}</sr:FirmwareImage></sr:Body>{after}");
    assert!(message.len() > 13_653_336);
    let receipt = Receipt { recorded_at: Timestamp::MIN, event_id: None };
    for form in [Form::Single(Receipted::Known(Some(receipt.clone()))), Form::Single(Receipted::Known(None))]
    {
        let chunks = pieces(&form, message.as_bytes(), Sizes::default(), 0);
        let found = told(&form, &chunks);
        match form {
            Form::Single(Receipted::Known(Some(_))) if found[0].1.is_none() => {}
            _ => assert_eq!(found[0].1.as_ref().map(|(_, raw)| raw.as_slice()), Some(message.as_bytes())),
        }
    }
}

#[test]
fn the_record_of_an_event_is_found_again() {
    let mut frames = vec![3, 1, 2, 3];
    frames.extend(frame());
    let line = EVENT.replace('\n', "");
    let lines = format!("x\n\u{feff}  {line} \r\ny");
    let mut writer = capture::Writer::new(Vec::new()).unwrap();
    let receipt = Receipt { recorded_at: Timestamp::MIN, event_id: None };
    writer.message(&receipt, "<x/>").unwrap();
    writer.message(&receipt, "<y/>").unwrap();
    let captured = writer.finish().unwrap();
    let second = captured.windows(8).rposition(|eight| eight == b"<Message").unwrap();
    let form = Form::Capture(Envelope::of(&captured).unwrap());
    let end = captured.windows(10).rposition(|ten| ten == b"</Message>").unwrap() + 10;
    let framed = frame();
    let Frame::Complete { record, .. } = next_frame(&framed) else { panic!("a whole frame") };
    for (form, bytes, position, record) in [
        (Form::Frames, frames, 4, record),
        (Form::Lines, lines.into_bytes(), 2, line.as_bytes()),
        (form, captured.clone(), second, &captured[second..end]),
    ] {
        let chunks = pieces(&form, &bytes, Sizes::default(), 0);
        assert_eq!(record_at(&chunks[0], &form, to_position(position as u64)), record, "{form:?}");
    }
}
