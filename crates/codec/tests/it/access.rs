//! Events of access: round trips, what is refused and why, and hostile bytes.

use crate::it::support::fuzz_cases;
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, Notice, NoticeKind, Party, Sro, UnreadKind};
use gridtrail_codec::{
    Encoding, decode_access, encode_access_json, encode_access_protobuf, limits, unread_access,
};
use gridtrail_model::{Timestamp, UserId, UserRole};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn time() -> impl Strategy<Value = Timestamp> {
    (-2_000_000_000_000i64..4_000_000_000_000).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
}

fn ids() -> impl Strategy<Value = BTreeSet<UserId>> {
    prop::collection::btree_set(any::<[u8; 8]>().prop_map(UserId::from_bytes), 1..5)
}

/// A text of 1 to so many characters, of all scripts.
fn text(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>().prop_filter("no control", |c| !c.is_control()), 1..=most)
        .prop_map(|chars| chars.into_iter().collect())
}

fn party() -> impl Strategy<Value = Party> {
    text(64).prop_map(|name| name.parse().unwrap())
}

fn event() -> impl Strategy<Value = AccessEvent> {
    let to = (party(), 0..UserRole::ALL.len(), prop::option::of(text(30)));
    let to = to.prop_map(|(party, role, descriptor)| Assignment {
        party,
        role: UserRole::ALL[role],
        descriptor: descriptor.map(|text| text.parse().unwrap()),
    });
    let assigned = (any::<[u8; 8]>(), prop::option::of(to), time());
    let assigned = assigned.prop_map(|(user_id, to, from)| AccessEvent::Assigned {
        user_id: UserId::from_bytes(user_id),
        to,
        from,
    });
    let sro = (text(60), text(9), text(9), text(9)).prop_map(|(name, telephone, email, signature)| Sro {
        name,
        telephone,
        email,
        signature,
    });
    let kind = prop_oneof![Just(NoticeKind::Grant), Just(NoticeKind::Rescind)];
    let notified = (text(64), kind, (party(), party()), (ids(), ids()), time(), prop::option::of(sro));
    let notified = notified.prop_map(|(id, kind, (by, with), (own, other), at, sro)| AccessEvent::Notified {
        id: id.parse().unwrap(),
        notice: Notice { kind, by, with, own, other, at, sro },
    });
    let confirmed = (text(64), time());
    let confirmed = confirmed.prop_map(|(id, at)| AccessEvent::Confirmed { id: id.parse().unwrap(), at });
    let rejected = (text(64), time(), text(200)).prop_map(|(id, at, reason)| AccessEvent::Rejected {
        id: id.parse().unwrap(),
        at,
        reason: reason.parse().unwrap(),
    });
    prop_oneof![assigned, notified, confirmed, rejected]
}

fn record() -> impl Strategy<Value = AccessRecord> {
    ("[!-~]{1,64}", time(), event()).prop_map(|(id, recorded_at, event)| AccessRecord {
        id: id.parse().unwrap(),
        recorded_at,
        event,
    })
}

fn protobuf(record: &AccessRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_access_protobuf(record, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn what_was_written_reads_back_equal(record in record()) {
        prop_assert_eq!(&decode_access(Encoding::Protobuf, &protobuf(&record)).unwrap(), &record);
        let json = encode_access_json(&record);
        prop_assert!(!json.contains('\n'));
        prop_assert_eq!(&decode_access(Encoding::Json, json.as_bytes()).unwrap(), &record);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(fuzz_cases(2_000)))]
    /// Neither noise nor a record with a few bytes changed makes it panic.
    #[test]
    fn no_bytes_panic(
        record in record(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for bytes in [protobuf(&record), encode_access_json(&record).into_bytes()] {
            let mut bytes = bytes;
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                let _ = decode_access(encoding, &bytes);
                let _ = decode_access(encoding, &noise);
                let _ = decode_access(encoding, &bytes[..bytes.len() / 2]);
            }
            for bytes in [&bytes[..], &noise, &bytes[..bytes.len() / 2]] {
                let _ = unread_access(bytes, String::new());
            }
        }
    }
}

const USER: &str = "90-B3-D5-1F-30-01-00-00";
const OTHER: &str = "88-73-84-57-00-2F-96-1E";

fn with(body: &str, value: Value) -> Value {
    let mut event = json!({ "eventId": "e", "recordedAt": "2026-03-01T09:30:00Z" });
    event[body] = value;
    event
}

fn notified() -> Value {
    json!({
        "notificationId": "n", "kind": "NOTIFICATION_KIND_GRANT", "party": "Avon", "otherParty": "Brent",
        "userIds": [USER], "otherUserIds": [OTHER],
    })
}

fn read(event: &Value) -> Result<AccessRecord, String> {
    decode_access(Encoding::Json, event.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_is_what_the_contract_says() {
    let record = read(&with("notified", notified())).unwrap();
    let AccessEvent::Notified { notice, .. } = record.event else { panic!("a notification") };
    assert_eq!((notice.at, notice.sro), (record.recorded_at, None));
    let withdrawn = read(&with("assigned", json!({ "userId": USER }))).unwrap();
    let expected =
        AccessEvent::Assigned { user_id: USER.parse().unwrap(), to: None, from: withdrawn.recorded_at };
    assert_eq!(withdrawn.event, expected);
}

#[test]
fn what_is_refused_names_the_field() {
    let changed = |field: &str, value: Value| {
        let mut body = notified();
        body[field] = value;
        with("notified", body)
    };
    let assigned = |value: Value| with("assigned", value);
    let role = "USER_ROLE_GAS_SUPPLIER";
    let cases = [
        (with("notified", Value::Null), "body"),
        (json!({ "eventId": "e", "confirmed": { "notificationId": "n" } }), "recorded_at"),
        (changed("notificationId", json!("")), "notified.notification_id"),
        (changed("colour", json!(1)), "no field `colour`"),
        (changed("kind", json!("NOTIFICATION_KIND_UNSPECIFIED")), "notified.kind"),
        (changed("party", json!("x".repeat(65))), "notified.party"),
        (changed("otherParty", json!("a\nb")), "notified.other_party"),
        (changed("userIds", json!([])), "notified.user_ids"),
        (changed("otherUserIds", json!([OTHER, "88-73"])), "notified.other_user_ids"),
        (changed("userIds", json!(vec![USER; limits::NOTICE_USER_IDS_MAX + 1])), "notified.user_ids"),
        (assigned(json!({ "userId": "", "party": "Avon", "role": role })), "assigned.user_id"),
        (assigned(json!({ "userId": USER, "party": "Avon" })), "assigned.role"),
        (assigned(json!({ "userId": USER, "role": role })), "assigned.party"),
        (assigned(json!({ "userId": USER, "party": "A", "role": "USER_ROLE_UNSPECIFIED" })), "assigned.role"),
        (
            assigned(json!({ "userId": USER, "party": "A", "role": role, "descriptor": "x".repeat(31) })),
            "assigned.descriptor",
        ),
        (with("rejected", json!({ "notificationId": "n" })), "rejected.reason"),
        (with("rejected", json!({ "notificationId": "n", "reason": "x".repeat(201) })), "rejected.reason"),
    ];
    for (event, field) in cases {
        let error = read(&event).unwrap_err();
        assert!(error.contains(field), "{field}: {error}");
    }
    let long = vec![b' '; limits::MESSAGE_BYTES_MAX + 1];
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        assert!(decode_access(encoding, &long).unwrap_err().to_string().contains("limit"));
    }
    assert!(decode_access(Encoding::DuisXml, b"<x/>").is_err());
}

/// Whatever is wrong with an event, its reason repeats nothing of the officer: reasons stand in dead letters and logs.
#[test]
fn no_reason_repeats_a_persons_data() {
    let person = "Jo Soap";
    let mut body = notified();
    for officer in [
        json!(person),
        json!([person]),
        json!({ "name": [person] }),
        json!({ "name": { "first": person } }),
        json!({ person: 1 }),
        json!({ "name": "", "telephone": person }),
        json!({ "name": person.repeat(60) }),
        json!({ "name": person, "email": 7 }),
    ] {
        body["authorisedBy"] = officer;
        body["party"] = json!("Avon");
        let event = with("notified", body.clone());
        assert!(!format!("{:?}", read(&event)).contains("Soap"));
        body["party"] = json!(7);
        let error = read(&with("notified", body.clone())).unwrap_err();
        assert!(!error.contains("Jo") && !error.contains("Soap"), "{error}");
        let cut = event.to_string();
        let error = decode_access(Encoding::Json, &cut.as_bytes()[..cut.len() - 3]).unwrap_err().to_string();
        assert!(!error.contains("Jo"), "{error}");
        let unread = unread_access(&cut.as_bytes()[..cut.len() - 3], "a@1".to_owned());
        assert!(!format!("{unread:?}").contains("Soap"));
    }
}

/// The officer is for the DCC to verify: whatever stands in their place, the notification is read.
#[test]
fn no_officer_keeps_a_notification_from_being_read() {
    let plain = read(&with("notified", notified())).unwrap();
    let officer_of = |record: AccessRecord| match record.event {
        AccessEvent::Notified { id, notice } => {
            let AccessEvent::Notified { id: expected, notice: other } = &plain.event else {
                panic!("a notification")
            };
            assert_eq!((&id, &Notice { sro: None, ..notice.clone() }), (expected, other));
            notice.sro
        }
        other => panic!("{other:?}"),
    };
    let long = "é".repeat(200);
    let sro = |name: &str, email: &str| {
        let texts = [name, "", email, ""].map(str::to_owned);
        let [name, telephone, email, signature] = texts;
        Some(Sro { name, telephone, email, signature })
    };
    for (officer, expected) in [
        (json!({}), sro("", "")),
        (json!({ "email": "jo@example.org" }), sro("", "jo@example.org")),
        (json!({ "name": long }), sro(&"é".repeat(128), "")),
        (json!({ "name": "Jo", "colour": "red" }), sro("Jo", "")),
        (json!({ "name": 7, "email": "jo" }), sro("", "jo")),
        (json!("Jo"), None),
        (json!(7), None),
    ] {
        for name in ["authorisedBy", "authorised_by"] {
            let mut body = notified();
            body[name] = officer.clone();
            assert_eq!(officer_of(read(&with("notified", body)).unwrap()), expected, "{officer}");
        }
    }
    // A name that is no UTF-8, which protobuf does not read.
    let AccessEvent::Notified { id, notice } = plain.event.clone() else { panic!("a notification") };
    let named = Notice { sro: sro("Jo", "jo@example.org"), ..notice };
    let named = AccessRecord { event: AccessEvent::Notified { id, notice: named }, ..plain.clone() };
    let mut bytes = protobuf(&named);
    let at = bytes.windows(2).rposition(|two| two == b"Jo").unwrap();
    bytes[at] = 0xFF;
    let read = decode_access(Encoding::Protobuf, &bytes).unwrap();
    assert_eq!(officer_of(read), sro("\u{FFFD}o", "jo@example.org"));
}

/// What names whom in an event that cannot be read is found, whatever is wrong with it.
#[test]
fn what_is_told_of_an_event_that_cannot_be_read() {
    let mut rescission = notified();
    rescission["kind"] = json!("NOTIFICATION_KIND_RESCIND");
    let changed = |field: &str, value: Value| {
        let mut body = rescission.clone();
        body[field] = value;
        with("notified", body).to_string()
    };
    let told = |text: &str| unread_access(text.as_bytes(), "a@1".to_owned()).unwrap();
    let ids = |texts: &[&str]| texts.iter().map(|id| id.parse().unwrap()).collect::<BTreeSet<UserId>>();
    // One User ID of the other Party cannot be read: the sender's own say whom it is about.
    let one = told(&changed("otherUserIds", json!([OTHER, "88-73"])));
    assert_eq!((one.kind, one.notice.as_ref().unwrap().as_str()), (UnreadKind::Notification, "n"));
    assert_eq!((one.user_ids, one.by, one.with), (ids(&[USER, OTHER]), None, None));
    // One of the sender's cannot: any of its may be meant.
    for own in [json!([USER, "90-B3"]), json!([]), json!(7), json!([USER, 7]), Value::Null] {
        let one = told(&changed("userIds", own));
        assert_eq!(one.by.unwrap().as_str(), "Avon");
        assert_eq!(one.with.unwrap().as_str(), "Brent");
        assert!(one.user_ids.contains(&OTHER.parse().unwrap()));
    }
    for joined in [USER.replace('-', ":"), USER.replace('-', ""), format!(" {USER} "), USER.replace('-', " ")]
    {
        let one = told(&changed("userIds", json!([joined, "x"])));
        assert_eq!(one.user_ids, ids(&[USER, OTHER]), "{joined}");
    }
    for kind in [json!("NOTIFICATION_KIND_REVOKE"), json!(3), json!(null)] {
        assert_eq!(told(&changed("kind", kind)).kind, UnreadKind::Notification);
    }
    // A line that ends anywhere, in each encoding; what stands before its end is told.
    let whole = changed("colour", json!(1));
    let record = read(&with("notified", rescission.clone())).unwrap();
    let both: [&[u8]; 2] = [whole.as_bytes(), &protobuf(&record)];
    for bytes in both {
        for end in 0..bytes.len() {
            let cut = &bytes[..end];
            let one = unread_access(cut, "a@1".to_owned()).unwrap();
            let holds = |text: &str| cut.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!holds(USER) || one.user_ids.contains(&USER.parse().unwrap()), "{end}");
            assert!(!holds(OTHER) || one.user_ids.contains(&OTHER.parse().unwrap()), "{end}");
        }
    }
    let utf16: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(unread_access(&utf16, "a@1".to_owned()).unwrap().user_ids, ids(&[USER, OTHER]));
    let nobody = told("{\"notified\": ");
    assert!(nobody.names_nobody() && told("").names_nobody() && told("[]").names_nobody());
    // Behind the prefix of a schema registry.
    let mut registered = vec![0, 0, 0, 0, 7, 0];
    registered.extend(protobuf(&record));
    registered.truncate(registered.len() - 3);
    assert_eq!(unread_access(&registered, "a@1".to_owned()).unwrap().notice.unwrap().as_str(), "n");
    // A grant ends nothing.
    let mut grant = notified();
    grant["userIds"] = json!([]);
    assert_eq!(unread_access(with("notified", grant).to_string().as_bytes(), "a@1".to_owned()), None);
    let confirmed = told(r#"{"confirmed": {"notificationId": "n-3", "at": "yesterday"}}"#);
    assert_eq!((confirmed.kind, confirmed.notice.unwrap().as_str()), (UnreadKind::Confirmation, "n-3"));
    let rejected = told(r#"{"rejected": {"notificationId": "n-3", "reason": ""}}"#);
    assert_eq!((rejected.kind, rejected.names_nobody()), (UnreadKind::Rejection, false));
    let assigned = told(&format!(r#"{{"assigned": {{"userId": "{USER}", "party": "Avon"}}}}"#));
    assert_eq!((assigned.kind, assigned.user_ids, assigned.by), (UnreadKind::Assignment, ids(&[USER]), None));
}
