use super::*;
use crate::Receipt;

const HEAD: &str = "<?xml version=\"1.0\"?>\n<Capture xmlns=\"urn:gridtrail:capture:v1\">\n";

fn receipt(id: Option<&str>) -> Receipt {
    Receipt {
        recorded_at: "2026-03-01T09:30:00Z".parse().unwrap(),
        event_id: id.map(|id| id.parse().unwrap()),
    }
}

fn outline(capture: &str) -> Vec<String> {
    let messages = Messages::new(capture.as_bytes()).unwrap();
    messages
        .map(|message| match message {
            Ok(message) => {
                assert!(capture[message.range.clone()].starts_with('<'));
                String::from_utf8_lossy(message.xml).into_owned()
            }
            Err(bad) => format!("{}..{} {}", bad.range.start, bad.range.end, bad.reason),
        })
        .collect()
}

#[test]
fn what_was_written_reads_back() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.message(&receipt(Some("a<\"&'>b")), "<?xml version='1.0'?>\n<x>1</x>\n").unwrap();
    writer.message(&receipt(None), "<y/>").unwrap();
    let capture = writer.finish().unwrap();
    assert!(is_capture(&capture));
    let messages: Vec<_> = Messages::new(&capture).unwrap().map(Result::unwrap).collect();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].xml, &messages[0].receipt), (&b"<x>1</x>"[..], &receipt(Some("a<\"&'>b"))));
    assert_eq!((messages[1].xml, &messages[1].receipt), (&b"<y/>"[..], &receipt(None)));
    assert_eq!(
        &capture[messages[1].range.clone()],
        b"<Message recordedAt=\"2026-03-01T09:30:00.000Z\"><y/></Message>"
    );
}

#[test]
fn a_document_that_would_break_the_framing_is_not_written() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    assert!(writer.message(&receipt(None), "<x><!-- </Message> --></x>").is_err());
}

#[test]
fn a_bad_message_costs_only_itself() {
    let good = "<Message recordedAt=\"2026-03-01T09:30:00Z\"><x/></Message>";
    for bad in [
        "<Message><x/></Message>",
        "<Message recordedAt=\"yesterday\"><x/></Message>",
        "<Message recordedAt=\"2026-03-01T09:30:00Z\" recordedAt=\"2026-03-01T09:30:00Z\"><x/></Message>",
        "<Message recordedAt=\"2026-03-01T09:30:00Z\" sentAt=\"x\"><x/></Message>",
        "<Message recordedAt=\"2026-03-01T09:30:00Z\" eventId=\"&x;\"><x/></Message>",
        "<Message recordedAt=\"2026-03-01T09:30:00Z\"/>",
        "<Message recordedAt=\"2026-03-01T09:30:00Z\"><x/>",
        "<Message recordedAt=\"2026-03-01T09:30:00Z\"><x/></Message",
        "<Message recordedAt=\"2026-03-01",
        "garbage",
        "</Message>",
        "<!-- never closed",
        "<Messages/>",
    ] {
        let seen = outline(&format!("{HEAD}{good}\n{bad}\n{good}</Capture>"));
        let shape: Vec<bool> = seen.iter().map(|seen| seen == "<x/>").collect();
        assert_eq!(shape, [true, false, true], "{bad}: {seen:?}");
    }
}

#[test]
fn every_byte_is_accounted_for() {
    let capture =
        format!("{HEAD}junk<Message recordedAt=\"x\"><x/></Message><Message recordedAt=\"2026-03-01\"><x/>");
    let mut at = Messages::new(capture.as_bytes()).unwrap().position();
    for message in Messages::new(capture.as_bytes()).unwrap() {
        let range = message.map_or_else(|bad| bad.range, |message| message.range);
        assert!(capture[at..range.start].trim().is_empty());
        at = range.end;
    }
    assert_eq!(at, capture.len());
}

#[test]
fn comments_prefixes_and_an_empty_capture_are_read() {
    let prefixed = "<c:Capture xmlns:c='urn:gridtrail:capture:v1'><!-- <c:Message> --> \
        <c:Message recordedAt='2026-03-01T09:30:00Z' > <Message>x</Message> </c:Message ></c:Capture>";
    assert_eq!(outline(prefixed), ["<Message>x</Message>"]);
    assert!(outline("<Capture xmlns='urn:gridtrail:capture:v1'/>").is_empty());
    assert!(outline(&format!("{HEAD}</Capture>")).is_empty());
    assert!(outline(HEAD)[0].contains("cut off"));
}

#[test]
fn another_root_is_no_capture() {
    for text in [
        "",
        "<Capture/>",
        "<Capture xmlns='urn:gridtrail:capture:v2'/>",
        "x",
        "<!DOCTYPE x><Capture xmlns='urn:gridtrail:capture:v1'/>",
    ] {
        assert!(!is_capture(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_next_one_read() {
    let long = "x".repeat(crate::limits::MESSAGE_BYTES_MAX + 1);
    let message = |xml: &str| format!("<Message recordedAt=\"2026-03-01T09:30:00Z\">{xml}</Message>");
    let seen = outline(&format!("{HEAD}{}{}</Capture>", message(&long), message("<x/>")));
    assert!(seen[0].contains("longer than the limit"), "{}", seen[0]);
    assert_eq!(seen[1], "<x/>");
}

#[test]
fn errors_count_from_the_start_of_the_capture() {
    let capture = format!("{HEAD}<Message recordedAt=\"2026-03-01T09:30:00Z\"> <a></b></Message></Capture>");
    let message = Messages::new(capture.as_bytes()).unwrap().next().unwrap().unwrap();
    let crate::DecodeError::Xml { position, .. } = message.decode().unwrap_err() else {
        panic!("another error");
    };
    let at = usize::try_from(position).unwrap();
    assert!((capture.find("<a>").unwrap()..=capture.find("</Message>").unwrap()).contains(&at), "{at}");
}

/// Broken tags and comments by the hundred thousand are gone through once, not once for each.
#[test]
fn a_row_of_broken_pieces_is_read_in_one_pass() {
    // Gone through once for each, the comments alone would take many minutes.
    for (piece, count) in [
        ("<!--<Message/>", 1_000_000),
        ("<Message '", 50_000),
        ("<Message ", 50_000),
        ("</Message>", 1_000_000),
        ("<", 1_000_000),
        ("<Message>", 1_000_000),
    ] {
        let capture = HEAD.to_owned() + &piece.repeat(count);
        let bad = Messages::new(capture.as_bytes()).unwrap().filter(Result::is_err).count();
        assert!((1..=2 * count + 1).contains(&bad), "{piece}: {bad}");
    }
}

#[test]
fn what_follows_the_end_is_told() {
    let good = "<Message recordedAt=\"2026-03-01T09:30:00Z\"><x/></Message>";
    assert_eq!(outline(&format!("{HEAD}{good}</Capture>\n<!-- end -->\n")), ["<x/>"]);
    let twice = format!("{HEAD}{good}</Capture>\n").repeat(2);
    let seen = outline(&twice);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[1].contains("follows the end"), "{}", seen[1]);
}

#[test]
fn a_capture_says_its_encoding_for_all_of_its_messages() {
    let capture = |label: &str| {
        let text = format!(
            "<?xml version='1.0' encoding='{label}'?>{HEAD}<Message recordedAt=\"2026-03-01T09:30:00Z\"><x>\u{e9}</x></Message></Capture>"
        );
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>()
    };
    let reason = |bytes: &[u8]| {
        let message = Messages::new(bytes).unwrap().next().unwrap().unwrap();
        message.decode().unwrap_err().to_string()
    };
    let (latin, utf8) = (reason(&capture("ISO-8859-1")), reason(&capture("UTF-8")));
    assert!(latin.contains("root element") && utf8.contains("not UTF-8"), "{latin}; {utf8}");
    let utf16: Vec<u8> =
        format!("\u{feff}{HEAD}</Capture>").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused = Messages::new(&utf16).unwrap_err().to_string();
    assert!(refused.contains("UTF-16"), "{refused}");
}

/// What an item of a capture is, and where.
fn item(found: Result<Message<'_>, BadMessage>) -> (std::ops::Range<usize>, String) {
    match found {
        Ok(message) => (message.range, String::from_utf8_lossy(message.xml).into_owned()),
        Err(bad) => (bad.range, bad.reason.to_string()),
    }
}

proptest::proptest! {
    /// However a capture is cut into parts, the same messages stand at the same places.
    #[test]
    fn parts_hold_what_the_whole_holds(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "<Message recordedAt='2026-03-01T09:30:00Z'><x/></Message>", "<Message recordedAt='no'>y</Message>", "<Message ",
            "<Message>", "</Message>", "<!--", "-->", "<!-- <Message> -->", "</Capture>", "</Captured>", " ", "x", "<", "'", "\u{e9}",
        ]), 0..12),
        room in 1usize..60,
    ) {
        let capture = HEAD.to_owned() + &pieces.concat();
        let bytes = capture.as_bytes();
        let envelope = Envelope::of(bytes).unwrap();
        let whole: Vec<_> = envelope.messages(bytes, 0, true).map(item).collect();
        let (mut cut, mut start, mut wanted) = (Vec::new(), 0, room);
        loop {
            let end = bytes.len().min(start + wanted);
            let mut messages = envelope.messages(&bytes[start..end], start, end == bytes.len());
            cut.extend(messages.by_ref().map(item));
            if end == bytes.len() {
                break;
            }
            let gone = messages.position();
            wanted = if gone == 0 { wanted * 2 } else { room };
            start += gone;
        }
        proptest::prop_assert_eq!(cut, whole);
    }
}
