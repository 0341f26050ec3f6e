//! Inventory events: round trips, what is refused and why, hostile bytes, and the files that hold the contract as it is.

use crate::it::support::fuzz_cases;
use gridtrail_codec::{
    DecodeError, Encoding, Frame, decode_inventory, encode_inventory_frame, encode_inventory_json,
    encode_inventory_protobuf, limits, next_frame,
};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, Registration, ShortText, StatedFact, Withdrawal,
};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, Mpxn, Named, SmiStatus, Timestamp, Uprn, UserId};
use gridtrail_proto::events::v1 as wire;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;
use serde_json::{Value, json};

/// A time that no source writes for "none": see `defaults`.
fn time() -> impl Strategy<Value = Timestamp> {
    (1_000_000_000_i64..4_000_000_000_000).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
}

fn device() -> impl Strategy<Value = DeviceId> {
    any::<[u8; 8]>().prop_map(DeviceId::from_bytes)
}

fn mpxn() -> impl Strategy<Value = Mpxn> {
    "[0-9]{6,10}|[0-9]{13}".prop_map(|text| text.parse().unwrap())
}

/// A text of 1 to so many characters, of all scripts.
fn text<const MOST: usize>() -> impl Strategy<Value = ShortText<MOST>> {
    let char =
        any::<char>().prop_filter("neither control nor space", |c| !c.is_control() && !c.is_whitespace());
    prop::collection::vec(char, 1..=MOST)
        .prop_map(|chars| chars.into_iter().collect::<String>().parse().unwrap())
}

fn said<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = FieldChange<T>> {
    prop_oneof![Just(FieldChange::Unsaid), Just(FieldChange::Cleared), value.prop_map(FieldChange::Value)]
}

fn details() -> impl Strategy<Value = DeviceDetails> {
    let texts = (of(text()), of(text()), of(text()), of(text()), of(text()), of(text()));
    let variant = of("[A-G]{1,8}".prop_map(|text| text.parse().unwrap()));
    (of(select(DeviceType::ALL)), variant, texts).prop_map(|(device_type, esme_variant, texts)| {
        let (manufacturer, model, smets_chts_version, wan_technology_type, firmware_version, han_variant) =
            texts;
        DeviceDetails {
            device_type,
            manufacturer,
            model,
            esme_variant,
            smets_chts_version,
            wan_technology_type,
            firmware_version,
            han_variant,
        }
    })
}

fn hub_fields() -> impl Strategy<Value = HubFields> {
    let texts =
        (of(text()), of("[a-zA-Z]{1,60}".prop_map(|text| text.parse().unwrap())), of(text()), of(text()));
    let times = (of(time()), of(time()), of(time()), of(time()), of(time()), of(time()));
    let fields = (of(any::<bool>()), texts, times).prop_map(|(aerial_installed, texts, times)| {
        let (aerial_type, network_status, smwan_connectivity_status, han_status) = texts;
        let (birth_event, deactivated_at, last_connection, last_tamper, last_outage, last_restore) = times;
        HubFields {
            aerial_installed,
            aerial_type,
            birth_event,
            network_status,
            deactivated_at,
            smwan_connectivity_status,
            han_status,
            last_connection,
            last_tamper,
            last_outage,
            last_restore,
        }
    });
    fields.prop_filter("it says something", |fields| *fields != HubFields::default())
}

fn registration() -> impl Strategy<Value = Registration> {
    let user = || said(any::<[u8; 8]>().prop_map(UserId::from_bytes));
    let postcode = "[A-PR-UWYZ][1-9] [0-9][ABD-HJLNP-UW-Z]{2}".prop_map(|text| text.parse().unwrap());
    let uprn = (1_u64..1_000_000_000_000).prop_map(|number| Uprn::from_number(number).unwrap());
    let place = (said(uprn), said(text()), said(postcode), said(text()));
    let data = (place, user(), user(), user()).prop_map(|(place, supplier, network, agent)| {
        let (uprn, first_line, postcode, property) = place;
        Registration {
            uprn,
            first_line,
            postcode,
            property,
            responsible_supplier: supplier,
            network_party: network,
            registered_supplier_agent: agent,
        }
    });
    data.prop_filter("it says something", |data| *data != Registration::default())
}

fn fact() -> impl Strategy<Value = InventoryFact> {
    let installation = (device(), mpxn(), any::<bool>());
    let association =
        (device(), device(), any::<bool>()).prop_filter("two", |(device, with, _)| device != with);
    prop_oneof![
        (device(), details()).prop_map(|(device, details)| InventoryFact::Device { device, details }),
        device().prop_map(|device| InventoryFact::DeviceRemoved { device }),
        (device(), select(SmiStatus::ALL))
            .prop_map(|(device, status)| InventoryFact::SmiStatus { device, status: Some(status) }),
        installation.prop_map(|(device, mpxn, installed)| InventoryFact::Installation {
            device,
            mpxn,
            installed
        }),
        association.prop_map(|(device, with, associated)| InventoryFact::Association {
            device,
            with,
            associated
        }),
        (device(), select(CspRegion::ALL)).prop_map(|(hub, region)| InventoryFact::Region { hub, region }),
        (mpxn(), registration()).prop_map(|(mpxn, data)| InventoryFact::Registration { mpxn, data }),
        (device(), hub_fields()).prop_map(|(hub, fields)| InventoryFact::Hub { hub, fields }),
    ]
}

fn told() -> impl Strategy<Value = InventoryStatement> {
    let effective = (time(), of(1_i64..1_000_000_000)).prop_map(|(from, length)| {
        Effective::new(from, length.map(|length| from.plus_millis(length))).unwrap()
    });
    let corrects = of("c[!-~]{1,62}".prop_map(|text| text.parse().unwrap()));
    let stated = (effective, corrects, fact());
    let about = prop::collection::vec(
        prop_oneof![device().prop_map(Named::Device), mpxn().prop_map(Named::Mpxn)],
        1..=2,
    );
    prop_oneof![
        8 => stated.prop_map(|(effective, corrects, fact)| InventoryStatement::Fact(StatedFact { effective, corrects, fact })),
        1 => ("c[!-~]{1,62}", about)
            .prop_map(|(of, about)| InventoryStatement::Withdrawal(Withdrawal::new(of.parse().unwrap(), about).unwrap())),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = InventoryEvent> {
    ("e[!-~]{1,62}", time(), told()).prop_map(|(id, recorded_at, told)| InventoryEvent {
        recorded_at,
        id: id.parse().unwrap(),
        origin: FactOrigin::Inventory,
        told,
    })
}

fn protobuf(event: &InventoryEvent) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_inventory_protobuf(event, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn what_was_written_reads_back_equal(event in event()) {
        prop_assert_eq!(&decode_inventory(Encoding::Protobuf, &protobuf(&event)).unwrap(), &event);
        let json = encode_inventory_json(&event);
        prop_assert!(!json.contains('\n'));
        prop_assert_eq!(&decode_inventory(Encoding::Json, json.as_bytes()).unwrap(), &event);
        let mut frame = Vec::new();
        encode_inventory_frame(&event, &mut frame);
        let Frame::Complete { record, consumed } = next_frame(&frame) else { panic!("a whole record") };
        let bytes = protobuf(&event);
        prop_assert_eq!((record, consumed), (bytes.as_slice(), frame.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(fuzz_cases(1_000)))]
    /// Neither noise nor a record with a few bytes changed, nor one that ends anywhere, makes it panic.
    #[test]
    fn no_bytes_panic(
        event in event(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        for bytes in [protobuf(&event), encode_inventory_json(&event).into_bytes()] {
            let mut bytes = bytes;
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                let _ = decode_inventory(encoding, &noise);
                let _ = decode_inventory(encoding, &bytes[..end.index(bytes.len())]);
                // What is read in spite of it can be written and read again.
                if let Ok(read) = decode_inventory(encoding, &bytes) {
                    prop_assert_eq!(decode_inventory(Encoding::Protobuf, &protobuf(&read)), Ok(read));
                }
            }
        }
    }
}

const DEVICE: &str = "88-73-84-57-00-2F-96-1E";
const OTHER: &str = "88-73-84-57-00-2F-96-1F";
const MPXN: &str = "1312345678111";

fn with(body: &str, value: Value) -> Value {
    let mut event = json!({
        "eventId": "e", "recordedAt": "2026-03-01T09:30:00Z", "effectiveFrom": "2026-02-28T00:00:00Z",
    });
    event[body] = value;
    event
}

fn read(event: &Value) -> Result<InventoryEvent, DecodeError> {
    decode_inventory(Encoding::Json, event.to_string().as_bytes())
}

#[test]
fn what_is_refused_names_the_field() {
    let status = |field: &str, value: Value| {
        let mut event = with("smiStatus", json!({ "deviceId": DEVICE, "status": "SMI_STATUS_PENDING" }));
        event[field] = value;
        event
    };
    let withdrawn = |devices: Value, mpxns: Value| {
        with("withdrawn", json!({ "withdrawnEventId": "x", "deviceIds": devices, "mpxns": mpxns }))
    };
    let registered = |field: &str, value: Value| {
        let mut body = json!({ "mpxn": MPXN, "uprn": "7" });
        body[field] = value;
        with("registration", body)
    };
    let association = json!({ "deviceId": DEVICE, "withDeviceId": DEVICE.to_lowercase() });
    let mut correction = withdrawn(json!([DEVICE]), json!([]));
    correction["correctsEventId"] = json!("x");
    let cases = [
        (json!({ "eventId": "e", "recordedAt": "2026-03-01T09:30:00Z" }), "body"),
        (status("effectiveFrom", Value::Null), "effective_from"),
        (status("effectiveUntil", json!("2026-02-28T00:00:00Z")), "effective_until"),
        (status("recordedAt", Value::Null), "recorded_at"),
        (status("correctsEventId", json!("e")), "no event corrects itself"),
        (status("smiStatus", json!({ "deviceId": DEVICE, "status": 10 })), "not one of the contract"),
        (status("smiStatus", json!({ "deviceId": "88-73", "status": 1 })), "smi_status.device_id"),
        (status("colour", json!(1)), "no field `colour`"),
        (with("device", json!({ "deviceId": DEVICE, "deviceType": 9 })), "not one of the contract"),
        (with("device", json!({ "deviceId": DEVICE, "model": "x".repeat(31) })), "device.model"),
        (with("device", json!({ "deviceId": DEVICE, "esmeVariant": "a" })), "device.esme_variant"),
        (with("installed", json!({ "deviceId": DEVICE, "mpxn": "12345" })), "installed.mpxn"),
        (with("associationAdded", association), "association_added.with_device_id"),
        (with("hubStatus", json!({ "deviceId": DEVICE })), "hub_status"),
        (with("registration", json!({ "mpxn": MPXN })), "registration"),
        (registered("without", json!([8])), "not one of the contract"),
        (registered("without", json!(["REGISTRATION_FIELD_UPRN"])), "registration.uprn"),
        (registered("uprn", json!("0")), "registration.uprn"),
        (registered("responsibleSupplier", json!("Avon")), "registration.responsible_supplier"),
        (withdrawn(json!([]), json!([])), "withdrawn.device_ids"),
        (withdrawn(json!([DEVICE, OTHER]), json!([MPXN])), "withdrawn.device_ids"),
        (with("withdrawn", json!({ "withdrawnEventId": "e", "deviceIds": [DEVICE] })), "withdraws itself"),
        (correction, "corrects_event_id"),
    ];
    for (event, field) in cases {
        let error = read(&event).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    let long = vec![b' '; limits::MESSAGE_BYTES_MAX + 1];
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        assert!(matches!(decode_inventory(encoding, &long), Err(DecodeError::TooLarge { .. })));
    }
    let message = decode_inventory(Encoding::DuisXml, b"<x/>");
    assert_eq!(message, Err(DecodeError::NoInventoryEventInDuis));
}

/// JSON names the values of an enumeration, protobuf may hold any number.
#[test]
fn a_number_that_no_enumeration_has_is_refused_by_the_name_of_its_field() {
    let device_id = DEVICE.to_owned();
    let smi_status = wire::SmiStatusChanged { device_id: device_id.clone(), status: 10 };
    let device = wire::DeviceChanged { device_id: device_id.clone(), device_type: -1, ..Default::default() };
    let hub_region = wire::HubRegionChanged { device_id, csp_region: 300 };
    let registration =
        wire::RegistrationChanged { mpxn: MPXN.to_owned(), without: vec![0, 8], ..Default::default() };
    let time = |seconds| Some(pbjson_types::Timestamp { seconds, nanos: 0 });
    for (body, field) in [
        (wire::inventory_event::Body::SmiStatus(smi_status), "smi_status.status"),
        (wire::inventory_event::Body::Device(device), "device.device_type"),
        (wire::inventory_event::Body::HubRegion(hub_region), "hub_region.csp_region"),
        (wire::inventory_event::Body::Registration(registration), "registration.without"),
    ] {
        let event = wire::InventoryEvent {
            event_id: "e".to_owned(),
            recorded_at: time(1_772_323_200),
            effective_from: time(1_772_323_100),
            body: Some(body),
            ..Default::default()
        };
        let error = decode_inventory(Encoding::Protobuf, &event.encode_to_vec()).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
}

/// Reasons stand in dead letters and logs; an address is somebody's home.
#[test]
fn no_reason_repeats_an_address() {
    let registered = |field: &str, value: Value| {
        let mut body = json!({ "mpxn": MPXN });
        body[field] = value;
        with("registration", body)
    };
    for (field, value) in [
        ("firstLineOfAddress", json!("9 Elm InventoryRow\u{7}")),
        ("firstLineOfAddress", json!("9 Elm InventoryRow ".repeat(20))),
        ("firstLineOfAddress", json!(["9 Elm InventoryRow"])),
        ("postcode", json!("9 Elm InventoryRow")),
        ("property", json!({ "9 Elm InventoryRow": 1 })),
        ("property", json!("9 Elm InventoryRow\u{7}")),
        ("mpxn", json!({ "9 Elm InventoryRow": 1 })),
    ] {
        let error = read(&registered(field, value)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Elm"), "{field}: {error}");
    }
}

#[test]
fn a_postcode_is_read_as_written_and_never_guessed() {
    let registered =
        |postcode: &str| read(&with("registration", json!({ "mpxn": MPXN, "postcode": postcode })));
    let InventoryStatement::Fact(StatedFact { fact: InventoryFact::Registration { data, .. }, .. }) =
        registered("sw1a1aa").unwrap().told
    else {
        panic!("a registration")
    };
    assert_eq!(data.postcode.value().unwrap().to_string(), "SW1A 1AA");
    assert!(registered("S01 1AA").is_err());
}

const GOLDEN_JSON: &str = include_str!("../../testdata/inventory/every-fact.inventory.jsonl");
const GOLDEN_FRAMES: &[u8] = include_bytes!("../../testdata/inventory/every-fact.inventory.binpb");

/// What a source wrote yesterday reads as it did, in both encodings, and is written the same: a change of the contract that breaks
/// either shows here.
#[test]
fn the_files_of_every_fact_read_and_write_as_ever() {
    let from_json: Vec<InventoryEvent> =
        GOLDEN_JSON.lines().map(|line| decode_inventory(Encoding::Json, line.as_bytes()).unwrap()).collect();
    let mut from_frames = Vec::new();
    let mut rest = GOLDEN_FRAMES;
    while let Frame::Complete { record, consumed } = next_frame(rest) {
        from_frames.push(decode_inventory(Encoding::Protobuf, record).unwrap());
        rest = &rest[consumed..];
    }
    assert!(rest.is_empty());
    assert_eq!(from_json, from_frames);
    let kinds: std::collections::BTreeSet<_> =
        from_json.iter().flat_map(gridtrail_inventory::rows_of).map(|row| row.kind).collect();
    assert_eq!(kinds.len(), 10, "every kind of fact: {kinds:?}");
    let lines: String = from_json.iter().map(|event| encode_inventory_json(event) + "\n").collect();
    assert_eq!(lines, GOLDEN_JSON);
    let mut frames = Vec::new();
    from_json.iter().for_each(|event| encode_inventory_frame(event, &mut frames));
    assert_eq!(frames, GOLDEN_FRAMES);
}
