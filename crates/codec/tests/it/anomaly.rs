//! Anomaly events: what was written reads back, what is refused and why, hostile bytes, the files that hold the contract as it is; and what a DCC
//! Alert says of quarantine.

use crate::it::support::fuzz_cases;
use gridtrail_anomaly::{AnomalyEvent, AnomalyFact, AnomalyStatement, Breach, Origin};
use gridtrail_codec::{
    DecodeError, Encoding, Frame, Receipt, capture, decode, decode_anomaly, duis, encode_anomaly_frame,
    encode_anomaly_json, encode_anomaly_protobuf, limits, next_frame,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const GOLDEN_JSON: &str = include_str!("../../testdata/anomaly/every-fact.anomaly.jsonl");
const GOLDEN_FRAMES: &[u8] = include_bytes!("../../testdata/anomaly/every-fact.anomaly.binpb");

fn golden() -> Vec<AnomalyEvent> {
    let read = |line: &str| decode_anomaly(Encoding::Json, line.as_bytes()).unwrap();
    GOLDEN_JSON.lines().map(read).collect()
}

fn protobuf(event: &AnomalyEvent) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_anomaly_protobuf(event, &mut bytes);
    bytes
}

/// What a source wrote yesterday reads as it did, in both encodings, and is written the same: a change of the contract that breaks either shows here.
#[test]
fn the_files_of_every_fact_read_and_write_as_ever() {
    let from_json = golden();
    let mut frames = Vec::new();
    from_json.iter().for_each(|event| encode_anomaly_frame(event, &mut frames));
    assert_eq!(frames, GOLDEN_FRAMES, "{}", hex_of(&frames));
    let (mut rest, mut from_frames) = (GOLDEN_FRAMES, Vec::new());
    while let Frame::Complete { record, consumed } = next_frame(rest) {
        from_frames.push(decode_anomaly(Encoding::Protobuf, record).unwrap());
        rest = &rest[consumed..];
    }
    assert!(rest.is_empty());
    assert_eq!(from_json, from_frames);
    let lines: String = from_json.iter().map(|event| encode_anomaly_json(event) + "\n").collect();
    assert_eq!(lines, GOLDEN_JSON);
    let kinds: std::collections::BTreeSet<_> =
        from_json.iter().flat_map(gridtrail_anomaly::rows_of).map(|row| row.kind).collect();
    assert_eq!(kinds.len(), 12, "every kind of row: {kinds:?}");
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(fuzz_cases(1_000)))]
    /// Neither noise nor a record with a few bytes changed, nor one that ends anywhere, makes it panic.
    #[test]
    fn no_bytes_panic(
        number in 0_usize..15,
        noise in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        let event = &golden()[number];
        for bytes in [protobuf(event), encode_anomaly_json(event).into_bytes()] {
            let mut bytes = bytes;
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                let _ = decode_anomaly(encoding, &noise);
                let _ = decode_anomaly(encoding, &bytes[..end.index(bytes.len())]);
                // What is read in spite of it can be written and read again.
                if let Ok(read) = decode_anomaly(encoding, &bytes) {
                    prop_assert_eq!(decode_anomaly(Encoding::Protobuf, &protobuf(&read)), Ok(read));
                }
            }
        }
    }
}

const USER: &str = "90-B3-D5-1F-30-02-00-00";
const REQUEST: &str = "90-B3-D5-1F-30-02-00-00:88-73-84-57-00-2F-96-1E:7";
const OF_ANOTHER: &str = "90-B3-D5-1F-30-02-00-01:88-73-84-57-00-2F-96-1E:7";
const TIME: &str = "2026-03-01T09:30:00Z";

fn with(body: &str, value: Value) -> Value {
    let mut event = json!({ "eventId": "e", "recordedAt": TIME });
    event[body] = value;
    event
}

fn changed(body: &str, of: &Value, field: &str, value: Value) -> Value {
    let mut of = of.clone();
    of[field] = value;
    with(body, of)
}

#[test]
fn what_is_refused_names_the_field() {
    let held = json!({
        "userId": USER, "requestId": REQUEST, "quarantinedAt": TIME, "breach": 1, "quarantineEventRef": "7",
    });
    let file = json!({ "smsrReference": "S1", "userId": USER, "userRole": "IS", "receivedAt": TIME });
    let limit = |seconds: u32| json!([{ "kind": 2, "limit": { "periodSeconds": seconds } }]);
    let opened = json!({ "userId": USER, "majorSecurityIncidentReference": "M", "openedAt": TIME });
    let accepted =
        json!({ "userId": USER, "incidentReference": "I", "receivedAt": TIME, "validatedAt": TIME });
    let twice = json!([{ "requestId": REQUEST, "action": 1 }, { "requestId": REQUEST, "action": 2 }]);
    let withdrawn = json!({ "withdrawnEventId": "e", "userId": USER });
    let mut correction = with("withdrawn", json!({ "withdrawnEventId": "x", "userId": USER }));
    correction["correctsEventId"] = json!("x");
    let mut itself = with("quarantined", held.clone());
    itself["correctsEventId"] = json!("e");
    let cases = [
        (json!({ "eventId": "e", "recordedAt": TIME }), "body"),
        (itself, "no event corrects itself"),
        (correction, "corrects_event_id"),
        (with("withdrawn", withdrawn), "withdraws itself"),
        (changed("quarantined", &held, "requestId", json!(OF_ANOTHER)), "quarantined.request_id"),
        (changed("quarantined", &held, "commandVariant", json!(10)), "quarantined.command_variant"),
        (changed("quarantined", &held, "commandVariant", json!(257)), "quarantined.command_variant"),
        (changed("quarantined", &held, "quarantineEventRef", json!("x")), "quarantined.quarantine_event_ref"),
        (changed("quarantined", &held, "incidentReference", json!("a,b")), "quarantined.incident_reference"),
        (
            with("released", json!({ "userId": USER, "requestId": OF_ANOTHER, "releasedAt": TIME })),
            "released.request_id",
        ),
        (
            with("deleted", json!({ "userId": USER, "requestId": OF_ANOTHER, "deletedAt": TIME })),
            "deleted.request_id",
        ),
        (
            with("archived", json!({ "userId": USER, "requestId": OF_ANOTHER, "archivedAt": TIME })),
            "archived.request_id",
        ),
        (changed("thresholdsFileReceived", &file, "userRole", json!("XX")), "user_role"),
        (changed("thresholdsFileReceived", &file, "thresholds", limit(59)), "limit.period_seconds"),
        (
            changed(
                "thresholdsFileReceived",
                &file,
                "thresholds",
                json!([{ "kind": 3, "limit": { "periodSeconds": 60 } }]),
            ),
            "thresholds_file_received.thresholds",
        ),
        (changed("thresholdsFileReceived", &file, "thresholds", json!([{ "kind": 1 }])), "thresholds.limit"),
        (with("archiveOpened", opened.clone()), "archive_opened"),
        (changed("archiveOpened", &opened, "requestIds", json!([OF_ANOTHER])), "archive_opened.request_ids"),
        (changed("archiveOpened", &opened, "closesAt", json!(TIME)), "archive_opened.closes_at"),
        (with("actionFileAccepted", accepted.clone()), "action_file_accepted.actions"),
        (changed("actionFileAccepted", &accepted, "actions", twice), "action_file_accepted.actions"),
        (
            changed(
                "actionFileAccepted",
                &accepted,
                "actions",
                json!([{ "requestId": OF_ANOTHER, "action": 1 }]),
            ),
            "action_file_accepted.actions.request_id",
        ),
    ];
    for (event, field) in cases {
        let error = decode_anomaly(Encoding::Json, event.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    let long = vec![b' '; limits::MESSAGE_BYTES_MAX + 1];
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        assert!(matches!(decode_anomaly(encoding, &long), Err(DecodeError::TooLarge { .. })));
    }
    assert_eq!(decode_anomaly(Encoding::DuisXml, b"<x/>"), Err(DecodeError::NoAnomalyEventInDuis));
}

/// The DCC Alerts that a request was quarantined, of all three elements: in a capture as by themselves.
#[test]
fn a_dcc_alert_says_which_limit_a_request_broke() {
    let bytes = include_bytes!("../../testdata/duis/quarantine.xml");
    let mut found = Vec::new();
    for message in capture::Messages::new(bytes).unwrap() {
        let message = message.unwrap();
        let event = message.decode().unwrap();
        let said = message.quarantined(&event).unwrap();
        assert_eq!(said.is_some(), duis::is_of_quarantine(&event));
        let receipt = Receipt { recorded_at: event.recorded_at, event_id: Some(event.id.clone()) };
        let alone = decode(Encoding::DuisXml, message.xml, Some(&receipt)).unwrap();
        assert_eq!(duis::quarantined(&alone, message.xml).unwrap(), said);
        found.extend(said);
    }
    let of = |event: &AnomalyEvent| match &event.told {
        AnomalyStatement::Fact { at, fact: AnomalyFact::Quarantined(of), .. } => {
            assert_eq!((event.origin, event.about), (Origin::Duis, Some(of.request_id.originator)));
            assert_eq!(of.dcc_alert.unwrap().counter, 5_100 + of.request_id.counter - 7_300_200);
            (of.breach, of.event_ref.to_string(), *at)
        }
        other => panic!("{other:?}"),
    };
    let at = |text: &str| text.parse::<gridtrail_model::Timestamp>().unwrap();
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            (Breach::UserThreshold, "20260304000".to_owned(), at("2026-03-04T08:00:10Z")),
            (Breach::DccThreshold, "20260304001".to_owned(), at("2026-03-04T08:00:30Z")),
            (Breach::AttributeLimits, "20260304002".to_owned(), at("2026-03-04T08:00:50Z")),
        ]
    );
}
