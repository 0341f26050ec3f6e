//! C2: what was written reads back; and what breaks a rule is refused by name.

use crate::it::random;
use crate::it::support::{duis, samples};
use gridtrail_codec::{
    DecodeError, Encoding, Frame, decode, encode_frame, encode_json, encode_protobuf, next_frame,
};
use gridtrail_model::{CspRegion, Mode, State};
use gridtrail_proto::events::v1 as wire;
use proptest::prelude::*;

proptest! {
    #[test]
    fn protobuf_reads_back(event in random::event()) {
        let mut bytes = Vec::new();
        encode_protobuf(&event, &mut bytes);
        prop_assert_eq!(decode(Encoding::Protobuf, &bytes, None).unwrap(), event);
    }

    /// A field that the contract does not have is passed over, as protobuf demands; and a message with one is read by the
    /// general reader, so this holds the short way to it, for sound messages and damaged ones.
    #[test]
    fn an_unknown_field_changes_nothing(
        event in random::event(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 0..3),
    ) {
        let mut bytes = vec![0xA0, 0x06, 0x01];
        encode_protobuf(&event, &mut bytes);
        for (at, bit) in flips {
            let at = 3 + at.index(bytes.len() - 3);
            bytes[at] ^= 1 << bit;
        }
        let read = |bytes| decode(Encoding::Protobuf, bytes, None);
        prop_assert_eq!(read(&bytes), read(&bytes[3..]));
    }

    #[test]
    fn json_reads_back(event in random::event()) {
        let line = encode_json(&event);
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(decode(Encoding::Json, line.as_bytes(), None).unwrap(), event);
    }

    #[test]
    fn frames_read_back(events in prop::collection::vec(random::event(), 0..5)) {
        let mut bytes = Vec::new();
        events.iter().for_each(|event| encode_frame(event, &mut bytes));
        let mut rest = &bytes[..];
        for event in &events {
            let Frame::Complete { record, consumed } = next_frame(rest) else {
                return Err(TestCaseError::fail("a whole record was not found"));
            };
            prop_assert_eq!(&decode(Encoding::Protobuf, record, None).unwrap(), event);
            rest = &rest[consumed..];
        }
        prop_assert!(rest.is_empty());
    }
}

/// Every value has the same number and name on the wire as in the model, so that a cast is a translation.
#[test]
fn enums_agree_with_the_model() {
    let wire_name = |prefix: &str, text: &str| prefix.to_owned() + &text.to_uppercase().replace(' ', "_");
    for region in CspRegion::ALL {
        let value = wire::CspRegion::try_from(i32::from(region.number())).unwrap();
        assert_eq!(value.as_str_name(), wire_name("CSP_REGION_", region.as_str()));
    }
    for mode in Mode::ALL {
        let value = wire::ModeOfOperation::try_from(i32::from(mode.number())).unwrap();
        assert_eq!(value.as_str_name(), wire_name("MODE_OF_OPERATION_", mode.as_str()));
    }
    for state in State::ALL {
        let value = wire::State::try_from(i32::from(state.number())).unwrap();
        assert_eq!(value.as_str_name(), wire_name("STATE_", state.as_str()));
    }
    assert!(wire::CspRegion::try_from(9).is_err() && wire::ModeOfOperation::try_from(8).is_err());
    assert!(wire::State::try_from(31).is_err());
}

const ACKNOWLEDGED: &str = r#"{"eventId": "e1", "recordedAt": "2026-03-01T09:30:00.5Z",
    "correlation": {"userId": "005a000000010001", "requestId": "00-5A-00-00-00-01-00-01:00-5A-10-00-00-00-0E-01:7"},
    "responseSent": {"responseCode": "I99"}}"#;

#[test]
fn absent_fields_mean_what_the_contract_says() {
    use gridtrail_model::{Body, ResponseContent};
    let event = decode(Encoding::Json, ACKNOWLEDGED.as_bytes(), None).unwrap();
    let Body::ResponseSent(response) = event.body else { panic!("another body") };
    assert_eq!(response.at, event.recorded_at);
    assert_eq!(response.content, ResponseContent::Acknowledgement);
    let answered = ACKNOWLEDGED.replace(
        "\"responseCode\"",
        "\"responseId\": \"00-5A-10-00-00-00-0E-01:00-5A-00-00-00-01-00-01:7\", \"responseCode\"",
    );
    let event = decode(Encoding::Json, answered.as_bytes(), None).unwrap();
    assert!(
        matches!(event.body, Body::ResponseSent(response) if response.content == ResponseContent::ServiceResponse)
    );
}

/// Each edit breaks one rule; the error names the field.
#[test]
fn a_broken_field_is_named() {
    for (from, to, field) in [
        ("\"eventId\": \"e1\"", "\"eventId\": \"e 1\"", "event_id"),
        ("\"eventId\": \"e1\", ", "", "event_id"),
        ("\"recordedAt\": \"2026-03-01T09:30:00.5Z\",", "", "recorded_at"),
        ("2026-03-01T09:30:00.5Z", "0026-03-01T09:30:00.5Z", "recorded_at"),
        ("005a000000010001", "005a00000001000", "correlation.user_id"),
        (":7\"}", ":07\"}", "correlation.request_id"),
        (":7\"}", ":7\", \"commandVariant\": 10}", "correlation.command_variant"),
        (":7\"}", ":7\", \"mpxn\": \"12\"}", "correlation.mpxn"),
        (":7\"}", ":7\", \"serviceReferenceVariant\": \"4\"}", "correlation.service_reference_variant"),
        ("I99", "X99", "response_sent.response_code"),
        (
            "\"responseCode\": \"I99\"",
            "\"responseCode\": \"I0\", \"scheduledRead\": {}",
            "response_sent.response_id",
        ),
        (
            "\"responseCode\": \"I99\"",
            "\"responseCode\": \"I0\", \"futureDatedAlert\": {\"instructionTotal\": 1}",
            "future_dated_alert.instruction_number",
        ),
        ("\"responseSent\": {\"responseCode\": \"I99\"}", "\"statusChanged\": {}", "status_changed.state"),
        (",\n    \"responseSent\": {\"responseCode\": \"I99\"}", "", "body"),
        ("\"responseCode\"", "\"code\"", "code"),
    ] {
        let text = ACKNOWLEDGED.replace(from, to);
        assert_ne!(text, ACKNOWLEDGED, "{field}");
        let error = decode(Encoding::Json, text.as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
        assert!(error.len() < 400, "{error}");
    }
}

/// Whatever an event leaves out of its own time happened when it was recorded.
#[test]
fn an_absent_time_is_the_time_of_the_record() {
    use gridtrail_model::Body;
    let id = "\"responseId\": \"00-5A-10-00-00-00-0E-01:00-5A-00-00-00-01-00-01:7\"";
    for body in [
        "\"statusChanged\": {\"state\": \"STATE_RETRYING\"}".to_owned(),
        format!("\"deviceAlert\": {{{id}, \"alertCode\": \"8F36\"}}"),
        format!("\"dccAlert\": {{{id}, \"alertCode\": \"N8\"}}"),
    ] {
        let text = ACKNOWLEDGED.replace("\"responseSent\": {\"responseCode\": \"I99\"}", &body);
        let event = decode(Encoding::Json, text.as_bytes(), None).unwrap();
        let at = match event.body {
            Body::StatusChanged(change) => change.at,
            Body::DeviceAlert(alert) | Body::DccAlert(alert) => alert.at,
            _ => panic!("another body"),
        };
        assert_eq!(at, event.recorded_at, "{body}");
    }
}

/// What only protobuf can write: times and numbers that JSON would refuse by itself.
#[test]
fn protobuf_values_out_of_range_are_refused() {
    use gridtrail_codec::limits::SCHEDULE_ID_MAX;
    use prost::Message;
    use wire::{response_sent::Content, service_event::Body};
    let line = ACKNOWLEDGED.replace(
        "\"responseCode\"",
        "\"responseId\": \"00-5A-10-00-00-00-0E-01:00-5A-00-00-00-01-00-01:7\", \"responseCode\"",
    );
    let mut bytes = Vec::new();
    encode_protobuf(&decode(Encoding::Json, line.as_bytes(), None).unwrap(), &mut bytes);
    let good = wire::ServiceEvent::decode(&bytes[..]).unwrap();
    let read = |event: &wire::ServiceEvent| decode(Encoding::Protobuf, &event.encode_to_vec(), None);
    for (seconds, nanos, fits) in [
        (0, 999_999_999, true),
        (0, 1_000_000_000, false),
        (0, -1, false),
        (i64::MAX, 0, false),
        (i64::MIN, 0, false),
        (253_402_300_799, 999_999_999, true),
        (253_402_300_800, 0, false),
    ] {
        let mut event = good.clone();
        event.recorded_at = Some(pbjson_types::Timestamp { seconds, nanos });
        assert_eq!(read(&event).is_ok(), fits, "{seconds} s {nanos} ns");
    }
    for (schedule_id, fits) in [(0, true), (SCHEDULE_ID_MAX, true), (SCHEDULE_ID_MAX + 1, false)] {
        let mut event = good.clone();
        let Some(Body::ResponseSent(response)) = &mut event.body else { panic!("another body") };
        response.content = Some(Content::ScheduledRead(wire::ScheduledRead { schedule_id }));
        assert_eq!(read(&event).is_ok(), fits, "schedule {schedule_id}");
    }
    for (region, fits) in [(0, true), (8, true), (9, false), (-1, false), (257, false)] {
        let mut event = good.clone();
        event.correlation.as_mut().unwrap().csp_region = region;
        assert_eq!(read(&event).is_ok(), fits, "region {region}");
    }
    let id = "00-5A-10-00-00-00-0E-01:00-5A-00-00-00-01-00-01:7";
    for (code, of_device, of_dcc) in [("8F36", true, false), ("N13", false, true), ("AD1", false, true)] {
        let (response_id, alert_code) = (id.to_owned(), code.to_owned());
        let mut event = good.clone();
        let alert = wire::DeviceAlert { response_id, alert_code, ..Default::default() };
        event.body = Some(Body::DeviceAlert(alert));
        assert_eq!(read(&event).is_ok(), of_device, "device {code}");
        let (response_id, alert_code) = (id.to_owned(), code.to_owned());
        event.body = Some(Body::DccAlert(wire::DccAlert { response_id, alert_code, ..Default::default() }));
        assert_eq!(read(&event).is_ok(), of_dcc, "DCC {code}");
    }
}

#[test]
fn a_record_beyond_the_limit_is_refused() {
    let long = vec![b' '; gridtrail_codec::limits::MESSAGE_BYTES_MAX + 1];
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        assert!(matches!(decode(encoding, &long, None), Err(DecodeError::TooLarge { .. })));
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(decode(Encoding::Json, deep.as_bytes(), None), Err(DecodeError::Json { .. })));
}

/// What comes from XML goes through the event contract unchanged.
#[test]
fn events_of_real_messages_survive_protobuf_and_json() {
    let Some(samples) = samples() else {
        return crate::it::skipped("no DUIS samples");
    };
    for folder in ["duis-responses-derived", "duis-alerts-derived"] {
        for entry in std::fs::read_dir(samples.join(folder)).unwrap() {
            let event = duis(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
            let mut bytes = Vec::new();
            encode_protobuf(&event, &mut bytes);
            assert_eq!(decode(Encoding::Protobuf, &bytes, None).unwrap(), event);
            assert_eq!(decode(Encoding::Json, encode_json(&event).as_bytes(), None).unwrap(), event);
        }
    }
}
