//! The inventory as its callers meet it: every field, pages, errors, what is on record, and who may ask.

use crate::it::errors::assert_error;
use crate::it::fixture::{ANN, BOB, World, now, time, with_header};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact, InventoryStatement,
    Registration, StatedFact,
};
use gridtrail_model::{DeviceId, DeviceType, SmiStatus};
use gridtrail_proto::query::v1::get_device_request::Key;
use gridtrail_proto::query::v1::{
    AssociatedDevice, DeviceGroup, DevicePremises, DeviceRegion, GetDeviceRequest, InventoryDevice,
    InventorySearchRequest, ListedDevice, SmiStatusPeriod,
};
use tonic::Code;
use tonic_types::StatusExt as _;

const MPAN: &str = "1217290354420";
const ESME: &str = "00-DB-12-34-56-78-90-A0";
const HUB: &str = "00-DB-12-34-56-78-90-A1";
const DISPLAY: &str = "00-DB-12-34-56-78-90-A2";
/// When all of it was told, and since when it is so.
const TOLD: &str = "2026-03-01T09:00:00Z";

fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn tell(world: &World, at: &str, facts: Vec<InventoryFact>) {
    let event = |(number, fact)| InventoryEvent {
        recorded_at: time(at),
        id: format!("{number}-{}", time(at).millis()).parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact {
            effective: Effective::since(time(at)),
            corrects: None,
            fact,
        }),
    };
    world.lake.inventory().tell(facts.into_iter().enumerate().map(event), time(at));
}

fn commissioned(device: &str) -> InventoryFact {
    InventoryFact::SmiStatus { device: id(device), status: Some(SmiStatus::Commissioned) }
}

/// A server whose inventory has an electricity meter and a display behind a hub.
async fn served() -> World {
    let world = World::serve().await;
    let text = |text: &str| text.parse().ok();
    let meter = DeviceDetails {
        device_type: Some(DeviceType::Esme),
        manufacturer: text("106C"),
        model: text("433100AC"),
        esme_variant: "AD".parse().ok(),
        smets_chts_version: text("SMETS V5.0"),
        firmware_version: text("0002012F"),
        ..DeviceDetails::default()
    };
    let hub = DeviceDetails {
        device_type: Some(DeviceType::Chf),
        wan_technology_type: text("Cellular"),
        han_variant: text("Dual Band"),
        ..DeviceDetails::default()
    };
    let display = DeviceDetails { device_type: Some(DeviceType::Ihd), ..DeviceDetails::default() };
    let data = Registration {
        uprn: FieldChange::of("100012345678".parse().ok()),
        first_line: FieldChange::of("1 High Street".parse().ok()),
        postcode: FieldChange::of("SW1A 1AA".parse().ok()),
        property: FieldChange::of("Rose Cottage".parse().ok()),
        responsible_supplier: FieldChange::of(BOB.parse().ok()),
        ..Registration::default()
    };
    let mpxn = MPAN.parse().unwrap();
    let associated =
        |device, with| InventoryFact::Association { device: id(device), with: id(with), associated: true };
    tell(
        &world,
        TOLD,
        vec![
            InventoryFact::Device { device: id(ESME), details: meter },
            InventoryFact::Device { device: id(HUB), details: hub },
            InventoryFact::Device { device: id(DISPLAY), details: display },
            InventoryFact::SmiStatus { device: id(ESME), status: Some(SmiStatus::Pending) },
            commissioned(HUB),
            InventoryFact::Installation { device: id(ESME), mpxn, installed: true },
            InventoryFact::Registration { mpxn, data },
            InventoryFact::Region { hub: id(HUB), region: "4G North".parse().unwrap() },
            associated(ESME, HUB),
            associated(DISPLAY, HUB),
        ],
    );
    tell(&world, "2026-03-01T10:00:00Z", vec![commissioned(ESME)]);
    world
}

fn by_postcode(postcode: &str, property_filter: &str) -> InventorySearchRequest {
    InventorySearchRequest {
        postcode: postcode.into(),
        property_filter: property_filter.into(),
        ..InventorySearchRequest::default()
    }
}

fn of_device(device: &str) -> GetDeviceRequest {
    GetDeviceRequest { key: Some(Key::DeviceId(device.into())), ..GetDeviceRequest::default() }
}

fn wire(at: &str) -> Option<pbjson_types::Timestamp> {
    let seconds = time(at).millis() / 1000;
    Some(pbjson_types::Timestamp { seconds, nanos: 0 })
}

fn home(through: &str) -> Vec<DevicePremises> {
    vec![DevicePremises {
        mpxn: MPAN.into(),
        first_line_of_address: "1 High Street".into(),
        property: "Rose Cottage".into(),
        postcode: "SW1A 1AA".into(),
        uprn: "100012345678".into(),
        through_device_id: through.into(),
    }]
}

#[tokio::test]
async fn a_search_answers_with_every_field_of_the_table_of_results() {
    let world = served().await;
    let mut inventory = world.inventory().await;
    let answer =
        inventory.search(world.by(ANN, by_postcode("sw1a1aa", "cottage rose"))).await.unwrap().into_inner();
    let row = |device_id: &str, device_type: &str, through: &str| ListedDevice {
        device_id: device_id.into(),
        device_type: device_type.into(),
        smi_status: "Commissioned".into(),
        premises: home(through),
        found_through_device_id: through.into(),
        may_follow_audit_trail: true,
    };
    assert_eq!(answer.devices, [row(ESME, "ESME", ""), row(HUB, "CHF", ESME)]);
    assert_eq!((answer.premises_matched, answer.next_page_token.as_str()), (1, ""));
    assert_eq!(answer.complete_up_to, wire("2026-03-01T10:00:00Z"));
    assert_eq!(answer.as_at, wire(&now().to_string()));
    assert!(!answer.snapshot_version.is_empty());
    for request in [
        InventorySearchRequest { mpxn: MPAN.into(), ..InventorySearchRequest::default() },
        InventorySearchRequest { uprn: "100012345678".into(), ..InventorySearchRequest::default() },
    ] {
        assert_eq!(
            inventory.search(world.by(BOB, request)).await.unwrap().into_inner().devices,
            answer.devices
        );
    }
}

#[tokio::test]
async fn a_device_has_every_field_of_the_details_view_and_those_around_it() {
    let world = served().await;
    let mut inventory = world.inventory().await;
    let answer = inventory.get_device(world.by(ANN, of_device(HUB))).await.unwrap().into_inner();
    let [found] = answer.devices.as_slice() else { panic!("{answer:#?}") };
    let beside = |device_id: &str, smi_status: &str, description: &str| AssociatedDevice {
        device_id: device_id.into(),
        smi_status: smi_status.into(),
        description: description.into(),
    };
    let status = |smi_status: &str, from: &str, until: Option<&str>| SmiStatusPeriod {
        smi_status: smi_status.into(),
        from: wire(from),
        until: until.and_then(wire),
    };
    let hub = InventoryDevice {
        device_id: HUB.into(),
        device_type: "CHF".into(),
        description: "Communications Hub Function".into(),
        wan_technology_type: "Cellular".into(),
        han_variant: "Dual Band".into(),
        csp_regions: vec![DeviceRegion {
            csp_region: "North".into(),
            csp_region_raw: "4G North".into(),
            from: wire(TOLD),
            until: None,
        }],
        premises: home(ESME),
        smi_status: "Commissioned".into(),
        smi_status_history: vec![status("Commissioned", TOLD, None)],
        smi_status_history_count: 1,
        associated_devices: vec![
            beside(ESME, "Commissioned", "Electricity Smart Metering Equipment"),
            beside(DISPLAY, "", "In-Home Display"),
        ],
        associated_device_count: 2,
        may_follow_audit_trail: true,
        ..InventoryDevice::default()
    };
    assert_eq!(found.device, Some(hub));
    let esme = InventoryDevice {
        device_id: ESME.into(),
        manufacturer: "106C".into(),
        device_model: "433100AC".into(),
        device_type: "ESME".into(),
        description: "Electricity Smart Metering Equipment".into(),
        esme_variant: "AD".into(),
        smets_chts_version: "SMETS V5.0".into(),
        firmware_version: "0002012F".into(),
        premises: home(""),
        smi_status: "Commissioned".into(),
        smi_status_history: vec![
            status("Pending", TOLD, Some("2026-03-01T10:00:00Z")),
            status("Commissioned", "2026-03-01T10:00:00Z", None),
        ],
        smi_status_history_count: 2,
        associated_with_devices: vec![beside(HUB, "Commissioned", "Communications Hub Function")],
        associated_with_device_count: 1,
        may_follow_audit_trail: true,
        ..InventoryDevice::default()
    };
    let [meter, display] = found.others.as_slice() else { panic!("{found:#?}") };
    assert_eq!(
        (meter.groups.as_slice(), meter.device.as_ref()),
        (&[DeviceGroup::Ii.into()][..], Some(&esme))
    );
    let display = display.device.as_ref().unwrap();
    assert_eq!((display.device_id.as_str(), display.smi_status.as_str()), (DISPLAY, ""));
    assert_eq!(display.premises, home(ESME));
    assert!(!format!("{answer:?}").contains(BOB), "who supplies is nobody's business here");
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let world = served().await;
    let mut inventory = world.inventory().await;
    let mut request = InventorySearchRequest { page_size: 1, ..by_postcode("SW1A 1AA", "") };
    let mut found = Vec::new();
    loop {
        let page = inventory.search(world.by(ANN, request.clone())).await.unwrap().into_inner();
        found.extend(page.devices.into_iter().map(|device| device.device_id));
        // What comes meanwhile is on no page.
        tell(&world, "2026-03-01T11:00:00Z", vec![InventoryFact::DeviceRemoved { device: id(HUB) }]);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, [ESME, HUB]);
    let again = inventory.search(world.by(ANN, by_postcode("SW1A 1AA", ""))).await.unwrap().into_inner();
    assert_eq!(again.devices.len(), 1, "a new search sees it");
}

/// A Device with long lists takes an answer to itself, and none is larger than clients take.
#[tokio::test]
async fn a_page_ends_where_its_message_does() {
    let world = World::serve().await;
    let number = |n: u16| {
        let [high, low] = n.to_be_bytes();
        DeviceId::from_bytes([1, 0, 0, 0, 0, 0, high, low])
    };
    let mpxn = |n: u16| format!("{:08}", 20_000_000 + u32::from(n)).parse().unwrap();
    let line: String = "x".repeat(100);
    let mut facts = Vec::new();
    for n in 0..14 {
        facts.push(commissioned(&number(n).to_string()));
        for at in 0..100 {
            facts.push(InventoryFact::Installation { device: number(n), mpxn: mpxn(at), installed: true });
        }
    }
    for at in 0..100 {
        let data = Registration {
            uprn: FieldChange::of("7".parse().ok()),
            first_line: FieldChange::of(line.parse().ok()),
            property: FieldChange::of(line.parse().ok()),
            ..Registration::default()
        };
        facts.push(InventoryFact::Registration { mpxn: mpxn(at), data });
    }
    // Each of a home is Associated with all others: every answer has all of them in full.
    for one in 0..14 {
        for other in (0..14).filter(|other| *other != one) {
            facts.push(InventoryFact::Association {
                device: number(one),
                with: number(other),
                associated: true,
            });
        }
    }
    tell(&world, TOLD, facts);
    let mut inventory = world.inventory().await;
    let key = Some(Key::Uprn("7".into()));
    let mut request = GetDeviceRequest { key, page_size: 50, ..GetDeviceRequest::default() };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = inventory.get_device(world.by(ANN, request.clone())).await.unwrap().into_inner();
        found.extend(page.devices.iter().map(|device| device.device.clone().unwrap().device_id));
        pages += 1;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, (0..14).map(|n| number(n).to_string()).collect::<Vec<_>>());
    assert!(pages > 1, "3 MiB hold less than all of them");
}

#[tokio::test]
async fn a_bad_request_names_its_fields() {
    let world = served().await;
    let mut inventory = world.inventory().await;
    let cases = [
        (InventorySearchRequest::default(), "key", "one of"),
        (by_postcode("S01 1AA", ""), "postcode", "SO1 1AA may be meant"),
        (by_postcode("", "12"), "property_filter", "postcode"),
        (by_postcode("SW1A 1AA", "!"), "property_filter", "words"),
        (InventorySearchRequest { page_size: 1001, ..by_postcode("SW1A 1AA", "") }, "page_size", "1 to 1000"),
        (
            InventorySearchRequest { page_token: "x".into(), ..by_postcode("SW1A 1AA", "") },
            "page_token",
            "not a page token",
        ),
        (
            InventorySearchRequest { as_of: "9".into(), ..by_postcode("SW1A 1AA", "") },
            "as_of",
            "no such version",
        ),
    ];
    for (request, field, says) in cases {
        let status = inventory.search(world.by(ANN, request)).await.unwrap_err();
        assert_error(&status, Code::InvalidArgument, "INVALID_REQUEST", "400");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field);
        assert!(violations[0].description.contains(says), "{violations:?}");
    }
    let status = inventory.get_device(world.by(ANN, GetDeviceRequest::default())).await.unwrap_err();
    assert_error(&status, Code::InvalidArgument, "INVALID_REQUEST", "400");
    let none = inventory.get_device(world.by(ANN, of_device(BOB))).await.unwrap().into_inner();
    assert!(none.devices.is_empty() && none.next_page_token.is_empty(), "nothing matches: no error");
    let without = inventory.get_device(of_device(HUB)).await.unwrap_err();
    assert_error(&without, Code::Unauthenticated, "NO_IDENTITY", "401");
}

#[tokio::test]
async fn role_11_may_ask_and_is_told_that_it_may_not_follow_the_link() {
    let world = served().await;
    let bearer = format!("Bearer {}", world.token(ANN, 11));
    let answer =
        world.inventory().await.get_device(with_header(of_device(HUB), &bearer)).await.unwrap().into_inner();
    let found = &answer.devices[0];
    let all = found.device.iter().chain(found.others.iter().filter_map(|other| other.device.as_ref()));
    assert_eq!(all.map(|device| device.may_follow_audit_trail).collect::<Vec<_>>(), [false; 3]);
}

#[tokio::test]
async fn every_call_is_on_record() {
    let world = served().await;
    let mut inventory = world.inventory().await;
    let both = InventorySearchRequest { mpxn: MPAN.into(), ..by_postcode("sw1a1aa", "Rose cottage") };
    inventory.search(world.by(ANN, both)).await.unwrap();
    inventory.get_device(world.by(BOB, of_device(HUB))).await.unwrap();
    inventory.search(world.by(ANN, by_postcode("S01 1AA", ""))).await.unwrap_err();
    let entries = world.recorded().await;
    let [search, device, refused] = entries.as_slice() else { panic!("{entries:#?}") };
    assert_eq!((&*search.call, &*search.outcome), ("InventoryService.Search", "OK"));
    assert_eq!(search.key_kind.as_deref(), Some("mpxn,postcode"));
    assert_eq!(search.key.as_deref(), Some("1217290354420,SW1A 1AA COTTAGE ROSE"));
    assert_eq!((search.rows, search.rows_of_others, search.page_size), (Some(2), Some(0), Some(50)));
    assert!(search.version.is_some() && search.later_page == Some(false));
    assert_eq!((&*device.call, device.key.as_deref()), ("InventoryService.GetDevice", Some(HUB)));
    assert_eq!((device.rows, device.page_size), (Some(1), Some(10)));
    assert_eq!((&*refused.outcome, refused.reason.as_deref()), ("INVALID_ARGUMENT", Some("INVALID_REQUEST")));
    assert_eq!(
        (refused.key.as_deref(), refused.rows),
        (None, None),
        "what could not be read is not repeated"
    );
}
