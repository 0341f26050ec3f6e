//! What a source writes that has no value: an empty text, zero, the first of an enumeration, an empty `Timestamp`. In a mandatory
//! field it is a reason to refuse the event, which names the field; in any other it counts as absent.
//!
//! The table has every field of the contract, service events and events of access; it is held against the `.proto` files.

use gridtrail_access::{AccessEvent as Event, AccessRecord, Sro};
use gridtrail_codec::{DecodeError, Encoding, decode, decode_access};
use gridtrail_proto::events::v1::{AccessEvent, ServiceEvent};
use prost::Message as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a default means in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// The event is refused, and the reason names the field.
    Refused,
    /// As if the field were not there.
    Absent,
    /// Zero is a value: the field says itself whether it is there, or every number is one.
    Value,
}
use Means::{Absent, Refused, Value as Zero};

const ID: &str = "90-B3-D5-1F-30-02-00-00:88-73-84-57-00-2F-96-1E:7";
const MIRROR: &str = "88-73-84-57-00-2F-96-1E:90-B3-D5-1F-30-02-00-00:7";
const RECORDED: &str = "2026-03-01T09:30:07.000Z";
const TIME: &str = "2026-03-01T09:30:00.250Z";

/// An event with every field of its kind.
fn service_event(body: (&str, Value)) -> Value {
    let mut event = json!({
        "event_id": "e",
        "recorded_at": RECORDED,
        "correlation": {
            "user_id": "90-B3-D5-1F-30-02-00-00",
            "request_id": ID,
            "request_received_at": TIME,
            "command_variant": 1,
            "scheduled_run_id": MIRROR,
            "device_id": "88-73-84-57-00-2F-96-1E",
            "mpxn": "1312345678111",
            "csp_region": 1,
            "service_reference_variant": "4.8.1",
            "mode_of_operation": 1,
            "preceding_request_id": ID,
            "gbcs_originator_counter": 7,
            "concerned_device_ids": ["88-73-84-57-00-2F-96-1F"],
            "concerned_mpxns": ["1312345678222"],
        },
    });
    event[body.0] = body.1;
    event
}

fn access_event(body: (&str, Value)) -> Value {
    let mut event = json!({ "event_id": "e", "recorded_at": RECORDED });
    event[body.0] = body.1;
    event
}

/// Every body, with all that it can hold.
fn service_events() -> Vec<Value> {
    let response = |content: (&str, Value)| {
        let mut body = json!({ "response_id": MIRROR, "response_code": "I0", "at": TIME });
        body[content.0] = content.1;
        service_event(("response_sent", body))
    };
    let alert = |code: &str| {
        json!({
            "response_id": MIRROR, "alert_code": code, "at": TIME, "sent_at": TIME,
            "throttle_sequence": 3, "throttle_count": 4,
        })
    };
    let mut dcc_alert = alert("N36");
    dcc_alert["affected_request"] = json!({ "request_id": ID, "state": 8, "cause": "quarantine event 7" });
    let instruction = json!({ "carried_out": true, "instruction_number": 1, "instruction_total": 2 });
    vec![
        service_event(("request_received", json!({ "execution_at": TIME }))),
        service_event((
            "status_changed",
            json!({ "state": 13, "at": TIME, "response_code": "I99", "cause": "c" }),
        )),
        response(("pre_command", json!({}))),
        response(("local_command", json!({}))),
        response(("scheduled_read", json!({ "schedule_id": 34 }))),
        response(("future_dated_alert", instruction)),
        service_event(("device_alert", alert("8F36"))),
        service_event(("dcc_alert", dcc_alert)),
    ]
}

fn access_events() -> Vec<Value> {
    let user = "90-B3-D5-1F-30-02-00-00";
    let officer = json!({ "name": "n", "telephone": "t", "email": "e", "signature": "s" });
    vec![
        access_event((
            "assigned",
            json!({ "user_id": user, "party": "p", "role": 1, "descriptor": "d", "from": TIME }),
        )),
        access_event((
            "notified",
            json!({
                "notification_id": "n", "kind": 1, "party": "p", "other_party": "q", "user_ids": [user],
                "other_user_ids": [user], "at": TIME, "authorised_by": officer,
            }),
        )),
        access_event(("confirmed", json!({ "notification_id": "n", "at": TIME }))),
        access_event(("rejected", json!({ "notification_id": "n", "at": TIME, "reason": "r" }))),
    ]
}

/// Every field by its path, with what its default means. A body itself has none: which one it is, is said by its being there.
const TABLE: &[(&str, Means)] = &[
    ("event_id", Refused),
    ("recorded_at", Refused),
    ("correlation.user_id", Refused),
    ("correlation.request_id", Absent),
    ("correlation.request_received_at", Absent),
    ("correlation.command_variant", Absent),
    ("correlation.scheduled_run_id", Absent),
    ("correlation.device_id", Absent),
    ("correlation.mpxn", Absent),
    ("correlation.csp_region", Absent),
    ("correlation.service_reference_variant", Absent),
    ("correlation.mode_of_operation", Absent),
    ("correlation.preceding_request_id", Absent),
    ("correlation.gbcs_originator_counter", Zero),
    ("correlation.concerned_device_ids", Absent),
    ("correlation.concerned_mpxns", Absent),
    ("request_received.execution_at", Absent),
    ("status_changed.state", Refused),
    ("status_changed.at", Absent),
    ("status_changed.response_code", Absent),
    ("status_changed.cause", Absent),
    ("response_sent.response_id", Absent),
    ("response_sent.response_code", Refused),
    ("response_sent.at", Absent),
    ("response_sent.scheduled_read.schedule_id", Zero),
    ("response_sent.future_dated_alert.carried_out", Zero),
    ("response_sent.future_dated_alert.instruction_number", Refused),
    ("response_sent.future_dated_alert.instruction_total", Refused),
    ("device_alert.response_id", Refused),
    ("device_alert.alert_code", Refused),
    ("device_alert.at", Absent),
    ("device_alert.sent_at", Absent),
    ("device_alert.throttle_sequence", Zero),
    ("device_alert.throttle_count", Zero),
    ("dcc_alert.response_id", Refused),
    ("dcc_alert.alert_code", Refused),
    ("dcc_alert.at", Absent),
    ("dcc_alert.sent_at", Absent),
    ("dcc_alert.throttle_sequence", Zero),
    ("dcc_alert.throttle_count", Zero),
    ("dcc_alert.affected_request.request_id", Refused),
    ("dcc_alert.affected_request.state", Refused),
    ("dcc_alert.affected_request.cause", Absent),
    ("assigned.user_id", Refused),
    // Without a Party the User ID is withdrawn; a role or descriptor beside it is refused.
    ("assigned.party", Refused),
    ("assigned.role", Refused),
    ("assigned.descriptor", Absent),
    ("assigned.from", Absent),
    ("notified.notification_id", Refused),
    ("notified.kind", Refused),
    ("notified.party", Refused),
    ("notified.other_party", Refused),
    ("notified.user_ids", Refused),
    ("notified.other_user_ids", Refused),
    ("notified.at", Absent),
    ("notified.authorised_by.name", Absent),
    ("notified.authorised_by.telephone", Absent),
    ("notified.authorised_by.email", Absent),
    ("notified.authorised_by.signature", Absent),
    ("confirmed.notification_id", Refused),
    ("confirmed.at", Absent),
    ("rejected.notification_id", Refused),
    ("rejected.at", Absent),
    ("rejected.reason", Refused),
];

/// The defaults of a value that stands in a field: as each encoding's writers have it.
fn defaults_of(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) if text == TIME || text == RECORDED => {
            vec![json!("1970-01-01T00:00:00Z"), json!("0001-01-01T00:00:00Z")]
        }
        Value::String(_) => vec![json!("")],
        Value::Number(_) => vec![json!(0)],
        Value::Bool(_) => vec![json!(false)],
        Value::Array(_) => vec![json!([]), json!([""])],
        other => panic!("no default of {other}"),
    }
}

/// The place of a path in an event; `None` where the event is of another kind.
fn place<'v>(event: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let (within, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = event;
    for part in within.split('.').filter(|part| !part.is_empty()) {
        at = at.get_mut(part)?;
    }
    at.get(last)?;
    Some((at, last.to_owned()))
}

/// The texts of the officer who authorised a notification, whom the record's own form keeps to itself.
fn officer(record: &AccessRecord) -> Option<[String; 4]> {
    let Event::Notified { notice, .. } = &record.event else { return None };
    let Sro { name, telephone, email, signature } = notice.sro.clone()?;
    Some([name, telephone, email, signature])
}

/// What comes of an event in both encodings, which must agree; told as text, for both kinds of events.
fn read(event: &Value, is_access: bool) -> Result<String, DecodeError> {
    let json = event.to_string();
    let told = |encoding, bytes: &[u8]| {
        if is_access {
            decode_access(encoding, bytes).map(|record| format!("{record:?} {:?}", officer(&record)))
        } else {
            decode(encoding, bytes, None).map(|event| format!("{event:?}"))
        }
    };
    let from_json = told(Encoding::Json, json.as_bytes());
    let bytes = if is_access {
        serde_json::from_str::<AccessEvent>(&json).unwrap().encode_to_vec()
    } else {
        serde_json::from_str::<ServiceEvent>(&json).unwrap().encode_to_vec()
    };
    assert_eq!(from_json, told(Encoding::Protobuf, &bytes), "{json}");
    from_json
}

#[test]
fn a_default_is_refused_in_a_mandatory_field_and_absent_in_any_other() {
    let events: Vec<(Value, bool)> = service_events().into_iter().map(|event| (event, false)).collect();
    let events: Vec<(Value, bool)> =
        events.into_iter().chain(access_events().into_iter().map(|event| (event, true))).collect();
    let (mut checked, mut seen) = (0, BTreeSet::new());
    for (event, is_access) in &events {
        let whole = read(event, *is_access).unwrap();
        for (path, meaning) in TABLE {
            let mut without = event.clone();
            let Some((parent, last)) = place(&mut without, path) else { continue };
            let value = parent.as_object_mut().unwrap().remove(&last).unwrap();
            let without = read(&without, *is_access);
            for default in defaults_of(&value) {
                let mut with = event.clone();
                let (parent, last) = place(&mut with, path).unwrap();
                parent[&last] = default.clone();
                let read = read(&with, *is_access);
                // The result of a scheduled run has no other key than its Response ID.
                let key_of_run = *path == "response_sent.response_id"
                    && event["response_sent"].get("scheduled_read").is_some();
                match meaning {
                    Refused => assert!(names(&read, &last), "{path} = {default}: {read:?}"),
                    Absent if key_of_run => {
                        assert!(names(&read, &last), "{path} = {default}: {read:?}")
                    }
                    Absent => {
                        assert_eq!(read, without, "{path} = {default}");
                        assert_ne!(read.as_ref(), Ok(&whole), "{path} = {default}");
                    }
                    Zero => assert!(read.is_ok(), "{path} = {default}: {read:?}"),
                }
                checked += 1;
            }
            seen.insert(*path);
        }
    }
    assert_eq!(seen.len(), TABLE.len(), "every line of the table is checked");
    println!("{} fields, {checked} defaults", TABLE.len());
}

/// Whether an event was refused with a reason that names the field.
fn names(read: &Result<String, DecodeError>, last: &str) -> bool {
    // A User ID without a Party has no role: the reason names the Party, whichever of them it is.
    read.as_ref().is_err_and(|error| error.to_string().contains(last))
}

/// The fields of the contract, message by message, out of the `.proto` files.
#[test]
fn the_table_has_every_field_of_the_contract() {
    let ours: BTreeSet<&str> = TABLE.iter().map(|(path, _)| path.rsplit('.').next().unwrap()).collect();
    let bodies = [
        "correlation",
        "request_received",
        "status_changed",
        "response_sent",
        "device_alert",
        "dcc_alert",
        "pre_command",
        "local_command",
        "scheduled_read",
        "future_dated_alert",
        "affected_request",
        "assigned",
        "notified",
        "confirmed",
        "rejected",
        "authorised_by",
    ];
    let files = [
        include_str!("../../../../proto/gridtrail/events/v1/events.proto"),
        include_str!("../../../../proto/gridtrail/events/v1/access.proto"),
    ];
    let mut fields = 0;
    for line in files.into_iter().flat_map(str::lines).map(str::trim) {
        let Some((declared, _)) = line.split_once(" = ").filter(|_| !line.starts_with("//")) else {
            continue;
        };
        let name = declared.rsplit(' ').next().unwrap();
        // Values of enumerations are upper case.
        if name.chars().any(|c| c.is_ascii_uppercase()) || declared.starts_with("syntax") {
            continue;
        }
        assert!(ours.contains(name) || bodies.contains(&name), "the table lacks {name}");
        fields += 1;
    }
    // Both kinds of events begin with an id and a time, which the table has once.
    assert_eq!(fields, TABLE.len() + bodies.len() + 2, "a field is missing, or there twice");
}
