//! What a source writes that has no value: an empty text, zero, the first of an enumeration, an empty `Timestamp`. In a mandatory
//! field it is a reason to refuse the event, which names the field; in any other it counts as absent.
//!
//! The table has every field of the contract, service events, events of access, of the inventory and of anomaly detection; it is held against the `.proto` files.

use gridtrail_access::{AccessEvent as Event, AccessRecord, Sro};
use gridtrail_codec::{DecodeError, Encoding, decode, decode_access, decode_anomaly, decode_inventory};
use gridtrail_proto::events::v1::{AccessEvent, AnomalyEvent, InventoryEvent, ServiceEvent};
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

/// An inventory event with every field of its kind.
fn inventory_event(body: (&str, Value)) -> Value {
    let mut event = json!({
        "event_id": "e", "recorded_at": RECORDED, "effective_from": TIME, "effective_until": RECORDED,
        "corrects_event_id": "earlier",
    });
    event[body.0] = body.1;
    event
}

fn inventory_events() -> Vec<Value> {
    let (device, other, mpxn) = ("88-73-84-57-00-2F-96-1E", "88-73-84-57-00-2F-96-1F", "1312345678111");
    let user = "90-B3-D5-1F-30-02-00-00";
    let installed = json!({ "device_id": device, "mpxn": mpxn });
    let association = json!({ "device_id": device, "with_device_id": other });
    vec![
        inventory_event((
            "device",
            json!({
                "device_id": device, "device_type": 1, "manufacturer": "m", "model": "n", "esme_variant": "ADE",
                "smets_chts_version": "s", "wan_technology_type": "w", "firmware_version": "f", "han_variant": "h",
            }),
        )),
        inventory_event(("device_removed", json!({ "device_id": device }))),
        inventory_event(("smi_status", json!({ "device_id": device, "status": 4 }))),
        inventory_event(("installed", installed.clone())),
        inventory_event(("uninstalled", installed)),
        inventory_event(("association_added", association.clone())),
        inventory_event(("association_removed", association)),
        inventory_event(("hub_region", json!({ "device_id": device, "csp_region": 1 }))),
        inventory_event((
            "registration",
            json!({
                "mpxn": mpxn, "uprn": "100012345", "first_line_of_address": "1 High Street", "postcode": "SW1A 1AA",
                "property": "1", "responsible_supplier": user, "network_party": user, "without": [7],
            }),
        )),
        inventory_event((
            "registration",
            json!({ "mpxn": mpxn, "uprn": "7", "registered_supplier_agent": user }),
        )),
        inventory_event((
            "hub_status",
            json!({
                "device_id": device, "aerial_installed": true, "aerial_type": "a", "birth_event": TIME,
                "network_status": "n", "deactivated_at": TIME, "smwan_connectivity_status": "s", "han_status": "h",
                "last_connection": TIME, "last_tamper": TIME, "last_outage": TIME, "last_restore": TIME,
            }),
        )),
        json!({
            "event_id": "e", "recorded_at": RECORDED,
            "withdrawn": { "withdrawn_event_id": "earlier", "device_ids": [device], "mpxns": [mpxn] },
        }),
    ]
}

/// An anomaly event with every field of its kind.
fn anomaly_event(body: (&str, Value)) -> Value {
    let mut event = json!({ "event_id": "e", "recorded_at": RECORDED, "corrects_event_id": "earlier" });
    event[body.0] = body.1;
    event
}

fn anomaly_events() -> Vec<Value> {
    let user = "90-B3-D5-1F-30-02-00-00";
    let limit = json!({ "service_reference_variant": "4.8.1", "period_seconds": 60, "communications": 7 });
    let threshold = json!({ "kind": 1, "limit": limit });
    let settled = |at: &str| json!({ "user_id": user, "request_id": ID, at: TIME });
    let file = |at: &str| json!({ "smsr_reference": "s", "user_id": user, "user_role": "IS", at: TIME });
    let mut received = file("received_at");
    (received["fast_track"], received["thresholds"]) = (json!(true), json!([threshold]));
    let mut rejected = file("rejected_at");
    rejected["reason"] = json!("r");
    let hash = "ab".repeat(32);
    vec![
        anomaly_event(("thresholds_file_received", received)),
        anomaly_event(("thresholds_file_applied", file("applied_at"))),
        anomaly_event(("thresholds_file_rejected", rejected)),
        anomaly_event((
            "dcc_threshold_set",
            json!({ "user_id": user, "limit": limit, "effective_from": TIME }),
        )),
        anomaly_event((
            "dcc_threshold_removed",
            json!({
                "user_id": user, "service_reference_variant": "4.8.1", "period_seconds": 60, "effective_from": TIME,
            }),
        )),
        anomaly_event((
            "threshold_exceeded",
            json!({
                "user_id": user, "kind": 1, "limit": limit, "observed": 9, "exceeded_at": TIME, "incident_reference": "i",
                "smsr_reference": "s", "emailed_at": TIME,
            }),
        )),
        anomaly_event((
            "dcc_advised",
            json!({ "user_id": user, "incident_reference": "i", "advice": 1, "advised_at": TIME }),
        )),
        anomaly_event((
            "quarantined",
            json!({
                "user_id": user, "request_id": ID, "command_variant": 1, "service_reference_variant": "4.8.1",
                "device_id": "88-73-84-57-00-2F-96-1E", "mpxn": "1312345678111", "request_received_at": TIME,
                "quarantined_at": TIME, "breach": 1, "quarantine_event_ref": "7", "incident_reference": "i",
                "dcc_alert_id": MIRROR,
            }),
        )),
        anomaly_event(("released", settled("released_at"))),
        anomaly_event(("deleted", settled("deleted_at"))),
        anomaly_event(("archived", settled("archived_at"))),
        anomaly_event((
            "archive_opened",
            json!({
                "user_id": user, "major_security_incident_reference": "m", "opened_at": TIME, "closes_at": RECORDED,
                "incident_reference": "i", "request_ids": [ID],
            }),
        )),
        anomaly_event((
            "action_file_accepted",
            json!({
                "user_id": user, "incident_reference": "i", "received_at": TIME, "validated_at": TIME, "file_sha256": hash,
                "actions": [{ "request_id": ID, "action": 1 }],
            }),
        )),
        anomaly_event((
            "action_file_refused",
            json!({
                "user_id": user, "incident_reference": "i", "received_at": TIME, "refused_at": TIME, "file_sha256": hash,
                "faults": [{ "line": 3, "reason": "r" }],
            }),
        )),
        json!({
            "event_id": "e", "recorded_at": RECORDED,
            "withdrawn": { "withdrawn_event_id": "earlier", "user_id": user },
        }),
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
    ("effective_from", Refused),
    ("effective_until", Absent),
    ("corrects_event_id", Absent),
    ("device.device_id", Refused),
    ("device.device_type", Absent),
    ("device.manufacturer", Absent),
    ("device.model", Absent),
    ("device.esme_variant", Absent),
    ("device.smets_chts_version", Absent),
    ("device.wan_technology_type", Absent),
    ("device.firmware_version", Absent),
    ("device.han_variant", Absent),
    ("device_removed.device_id", Refused),
    ("smi_status.device_id", Refused),
    ("smi_status.status", Refused),
    ("installed.device_id", Refused),
    ("installed.mpxn", Refused),
    ("uninstalled.device_id", Refused),
    ("uninstalled.mpxn", Refused),
    ("association_added.device_id", Refused),
    ("association_added.with_device_id", Refused),
    ("association_removed.device_id", Refused),
    ("association_removed.with_device_id", Refused),
    ("hub_region.device_id", Refused),
    ("hub_region.csp_region", Refused),
    ("registration.mpxn", Refused),
    ("registration.uprn", Absent),
    ("registration.first_line_of_address", Absent),
    ("registration.postcode", Absent),
    ("registration.property", Absent),
    ("registration.responsible_supplier", Absent),
    ("registration.network_party", Absent),
    ("registration.registered_supplier_agent", Absent),
    ("registration.without", Absent),
    ("hub_status.device_id", Refused),
    ("hub_status.aerial_installed", Zero),
    ("hub_status.aerial_type", Absent),
    ("hub_status.birth_event", Absent),
    ("hub_status.network_status", Absent),
    ("hub_status.deactivated_at", Absent),
    ("hub_status.smwan_connectivity_status", Absent),
    ("hub_status.han_status", Absent),
    ("hub_status.last_connection", Absent),
    ("hub_status.last_tamper", Absent),
    ("hub_status.last_outage", Absent),
    ("hub_status.last_restore", Absent),
    ("withdrawn.withdrawn_event_id", Refused),
    ("withdrawn.device_ids", Absent),
    ("withdrawn.mpxns", Absent),
    ("thresholds_file_received.smsr_reference", Refused),
    ("thresholds_file_received.user_id", Refused),
    ("thresholds_file_received.user_role", Refused),
    ("thresholds_file_received.received_at", Refused),
    ("thresholds_file_received.fast_track", Absent),
    ("thresholds_file_received.thresholds", Absent),
    ("thresholds_file_received.thresholds.kind", Refused),
    ("thresholds_file_applied.smsr_reference", Refused),
    ("thresholds_file_applied.user_id", Refused),
    ("thresholds_file_applied.user_role", Refused),
    ("thresholds_file_applied.applied_at", Refused),
    ("thresholds_file_rejected.smsr_reference", Refused),
    ("thresholds_file_rejected.user_id", Refused),
    ("thresholds_file_rejected.user_role", Refused),
    ("thresholds_file_rejected.rejected_at", Refused),
    ("thresholds_file_rejected.reason", Refused),
    ("dcc_threshold_set.user_id", Absent),
    ("dcc_threshold_set.limit.service_reference_variant", Absent),
    ("dcc_threshold_set.limit.period_seconds", Refused),
    ("dcc_threshold_set.limit.communications", Zero),
    ("dcc_threshold_set.effective_from", Refused),
    ("dcc_threshold_removed.user_id", Absent),
    ("dcc_threshold_removed.service_reference_variant", Absent),
    ("dcc_threshold_removed.period_seconds", Refused),
    ("dcc_threshold_removed.effective_from", Refused),
    ("threshold_exceeded.user_id", Refused),
    ("threshold_exceeded.kind", Refused),
    ("threshold_exceeded.observed", Zero),
    ("threshold_exceeded.exceeded_at", Refused),
    ("threshold_exceeded.incident_reference", Refused),
    ("threshold_exceeded.smsr_reference", Absent),
    ("threshold_exceeded.emailed_at", Absent),
    ("dcc_advised.user_id", Refused),
    ("dcc_advised.incident_reference", Refused),
    ("dcc_advised.advice", Refused),
    ("dcc_advised.advised_at", Refused),
    ("quarantined.user_id", Refused),
    ("quarantined.request_id", Refused),
    ("quarantined.command_variant", Absent),
    ("quarantined.service_reference_variant", Absent),
    ("quarantined.device_id", Absent),
    ("quarantined.mpxn", Absent),
    ("quarantined.request_received_at", Absent),
    ("quarantined.quarantined_at", Refused),
    ("quarantined.breach", Refused),
    ("quarantined.quarantine_event_ref", Refused),
    ("quarantined.incident_reference", Absent),
    ("quarantined.dcc_alert_id", Absent),
    ("released.user_id", Refused),
    ("released.request_id", Refused),
    ("released.released_at", Refused),
    ("deleted.user_id", Refused),
    ("deleted.request_id", Refused),
    ("deleted.deleted_at", Refused),
    ("archived.user_id", Refused),
    ("archived.request_id", Refused),
    ("archived.archived_at", Refused),
    ("archive_opened.user_id", Refused),
    ("archive_opened.major_security_incident_reference", Refused),
    ("archive_opened.opened_at", Refused),
    ("archive_opened.closes_at", Absent),
    ("archive_opened.incident_reference", Absent),
    ("archive_opened.request_ids", Absent),
    ("action_file_accepted.user_id", Refused),
    ("action_file_accepted.incident_reference", Refused),
    ("action_file_accepted.received_at", Refused),
    ("action_file_accepted.validated_at", Refused),
    ("action_file_accepted.file_sha256", Absent),
    ("action_file_accepted.actions", Refused),
    ("action_file_accepted.actions.request_id", Refused),
    ("action_file_accepted.actions.action", Refused),
    ("action_file_refused.user_id", Refused),
    ("action_file_refused.incident_reference", Absent),
    ("action_file_refused.received_at", Refused),
    ("action_file_refused.refused_at", Refused),
    ("action_file_refused.file_sha256", Absent),
    ("action_file_refused.faults", Refused),
    ("action_file_refused.faults.line", Zero),
    ("action_file_refused.faults.reason", Refused),
    ("withdrawn.user_id", Absent),
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
        Value::Array(all) if all.iter().all(Value::is_number) => vec![json!([]), json!([0])],
        Value::Array(all) if all.iter().all(Value::is_object) => vec![json!([])],
        Value::Array(_) => vec![json!([]), json!([""])],
        other => panic!("no default of {other}"),
    }
}

/// The place of a path in an event, in a list that of its first item; `None` where the event is of another kind.
fn place<'v>(event: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let (within, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = event;
    for part in within.split('.').filter(|part| !part.is_empty()) {
        at = at.get_mut(part)?;
        if at.is_array() {
            at = at.get_mut(0)?;
        }
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

/// The contract that an event is of.
#[derive(Debug, Clone, Copy)]
enum Contract {
    Service,
    Access,
    Inventory,
    Anomaly,
}

/// What comes of an event in both encodings, which must agree; told as text, for all kinds of events.
fn read(event: &Value, contract: Contract) -> Result<String, DecodeError> {
    let json = event.to_string();
    let told = |encoding, bytes: &[u8]| match contract {
        Contract::Service => decode(encoding, bytes, None).map(|event| format!("{event:?}")),
        Contract::Access => {
            decode_access(encoding, bytes).map(|record| format!("{record:?} {:?}", officer(&record)))
        }
        Contract::Inventory => decode_inventory(encoding, bytes).map(|event| format!("{event:?}")),
        Contract::Anomaly => decode_anomaly(encoding, bytes).map(|event| format!("{event:?}")),
    };
    let from_json = told(Encoding::Json, json.as_bytes());
    let bytes = match contract {
        Contract::Service => serde_json::from_str::<ServiceEvent>(&json).unwrap().encode_to_vec(),
        Contract::Access => serde_json::from_str::<AccessEvent>(&json).unwrap().encode_to_vec(),
        Contract::Inventory => serde_json::from_str::<InventoryEvent>(&json).unwrap().encode_to_vec(),
        Contract::Anomaly => serde_json::from_str::<AnomalyEvent>(&json).unwrap().encode_to_vec(),
    };
    assert_eq!(from_json, told(Encoding::Protobuf, &bytes), "{json}");
    from_json
}

#[test]
fn a_default_is_refused_in_a_mandatory_field_and_absent_in_any_other() {
    let of = |events: Vec<Value>, contract| events.into_iter().map(move |event| (event, contract));
    let events: Vec<(Value, Contract)> = of(service_events(), Contract::Service)
        .chain(of(access_events(), Contract::Access))
        .chain(of(inventory_events(), Contract::Inventory))
        .chain(of(anomaly_events(), Contract::Anomaly))
        .collect();
    let (mut checked, mut seen) = (0, BTreeSet::new());
    for (event, contract) in &events {
        let whole = read(event, *contract).unwrap();
        for (path, meaning) in TABLE {
            let mut without = event.clone();
            let Some((parent, last)) = place(&mut without, path) else { continue };
            let value = parent.as_object_mut().unwrap().remove(&last).unwrap();
            let without = read(&without, *contract);
            for default in defaults_of(&value) {
                let mut with = event.clone();
                let (parent, last) = place(&mut with, path).unwrap();
                parent[&last] = default.clone();
                let read = read(&with, *contract);
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
        "device",
        "device_removed",
        "smi_status",
        "installed",
        "uninstalled",
        "association_added",
        "association_removed",
        "hub_region",
        "registration",
        "hub_status",
        "withdrawn",
        "thresholds_file_received",
        "thresholds_file_applied",
        "thresholds_file_rejected",
        "dcc_threshold_set",
        "dcc_threshold_removed",
        "threshold_exceeded",
        "dcc_advised",
        "quarantined",
        "released",
        "deleted",
        "archived",
        "archive_opened",
        "action_file_accepted",
        "action_file_refused",
        "limit",
    ];
    let files = [
        include_str!("../../../../proto/gridtrail/events/v1/events.proto"),
        include_str!("../../../../proto/gridtrail/events/v1/access.proto"),
        include_str!("../../../../proto/gridtrail/events/v1/inventory.proto"),
        include_str!("../../../../proto/gridtrail/events/v1/anomaly.proto"),
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
    // All four kinds of events begin with an id and a time, which the table has once. Of both kinds that can be corrected it has that, and what is withdrawn, once;
    // and of three messages that have a limit, one.
    let again = 6 + 1 + 2 + 2;
    assert_eq!(fields, TABLE.len() + bodies.len() + again, "a field is missing, or there twice");
}
