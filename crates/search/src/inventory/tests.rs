//! Searches of an inventory that is made up: by hand, or of a generated region whose truth is known.

mod pages;
mod pertaining;
mod region;

use super::fake::FakeInventory;
use super::*;
use crate::{AsOf, SearchErrorKind};
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact, InventoryStatement,
    Registration, StatedFact,
};
use gridtrail_model::{DeviceType, Mpxn, SmiStatus};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static KEY: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());

const HOUR_MS: i64 = 3_600_000;

fn hour(number: i64) -> Timestamp {
    "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().plus_millis(number * HOUR_MS)
}

/// The present, of most tests.
fn now() -> Timestamp {
    hour(100)
}

fn device(number: u16) -> DeviceId {
    let [high, low] = number.to_be_bytes();
    DeviceId::from_bytes([0, 0xDB, 0x12, 0x34, 0, 0, high, low])
}

fn mpxn(number: u32) -> Mpxn {
    format!("{:08}", 10_000_000 + number).parse().unwrap()
}

fn access_with(subject: &str, roles: &[u8], at: Timestamp) -> Access {
    let claims = Bearer {
        subject: subject.into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: BTreeSet::from(["90-B3-D5-1F-30-01-00-00".parse().unwrap()]),
        roles: roles.iter().map(|role| JobTypeRole::new(*role).unwrap()).collect(),
        valid_from: at,
        expires_at: at.plus_millis(12 * HOUR_MS),
    };
    KEY.access(&claims).unwrap()
}

fn access_of(subject: &str, roles: &[u8]) -> Access {
    access_with(subject, roles, now())
}

fn ann() -> Access {
    access_of("ann", &[1])
}

/// What is told at an hour, and is so since then.
fn told_at(at: i64, facts: impl IntoIterator<Item = InventoryFact>) -> Vec<InventoryEvent> {
    let event = |(number, fact)| InventoryEvent {
        recorded_at: hour(at),
        id: format!("event-{at}-{number}").parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact {
            effective: Effective::since(hour(at)),
            corrects: None,
            fact,
        }),
    };
    facts.into_iter().enumerate().map(event).collect()
}

fn is_a(number: u16, of: DeviceType) -> InventoryFact {
    let details = DeviceDetails { device_type: Some(of), ..DeviceDetails::default() };
    InventoryFact::Device { device: device(number), details }
}

fn has_status(number: u16, status: SmiStatus) -> InventoryFact {
    InventoryFact::SmiStatus { device: device(number), status: Some(status) }
}

fn installed(number: u16, at: u32) -> InventoryFact {
    InventoryFact::Installation { device: device(number), mpxn: mpxn(at), installed: true }
}

fn associated(number: u16, with: u16) -> InventoryFact {
    InventoryFact::Association { device: device(number), with: device(with), associated: true }
}

fn registered(at: u32, uprn: Option<&str>, property: &str) -> InventoryFact {
    let data = Registration {
        uprn: uprn.map_or(FieldChange::Unsaid, |uprn| FieldChange::Value(uprn.parse().unwrap())),
        first_line: FieldChange::Value("1 High Street".parse().unwrap()),
        postcode: FieldChange::Value("SW1A 1AA".parse().unwrap()),
        property: FieldChange::of(property.parse().ok()),
        ..Registration::default()
    };
    InventoryFact::Registration { mpxn: mpxn(at), data }
}

/// A commissioned Device of a type.
fn commissioned(number: u16, of: DeviceType) -> [InventoryFact; 2] {
    [is_a(number, of), has_status(number, SmiStatus::Commissioned)]
}

const ESME: u16 = 1;
const GSME: u16 = 2;
const HUB: u16 = 3;
const PROXY: u16 = 4;
const DISPLAY: u16 = 5;
const CAD: u16 = 6;

/// A home: an electricity meter at the meter point 1 and a display behind a hub, a gas meter at 2 behind the hub's Gas Proxy Function.
fn home() -> Vec<InventoryFact> {
    let mut facts = Vec::new();
    for (number, of) in
        [(ESME, DeviceType::Esme), (GSME, DeviceType::Gsme), (HUB, DeviceType::Chf), (PROXY, DeviceType::Gpf)]
    {
        facts.extend(commissioned(number, of));
    }
    facts.extend([is_a(DISPLAY, DeviceType::Ihd), is_a(CAD, DeviceType::Cad)]);
    facts.extend([installed(ESME, 1), installed(GSME, 2)]);
    facts.extend([registered(1, Some("100"), "Rose Cottage"), registered(2, None, "Rose Cottage")]);
    for (one, with) in [(ESME, HUB), (DISPLAY, HUB), (CAD, HUB), (PROXY, HUB), (GSME, PROXY)] {
        facts.push(associated(one, with));
    }
    facts
}

/// An inventory with some facts, and a search over it.
fn over(facts: impl IntoIterator<Item = InventoryFact>) -> (FakeInventory, InventorySearch) {
    let inventory = FakeInventory::default();
    inventory.tell(told_at(1, facts), hour(1));
    let search = search_over(&inventory, &Clock::manual(now()));
    (inventory, search)
}

fn search_over(inventory: &FakeInventory, clock: &Clock) -> InventorySearch {
    let page_key = PageKey::from_bytes(&[7; 32]).unwrap();
    InventorySearch::new(inventory.clone(), clock.clone(), page_key, false)
}

fn by(keys: InventoryKeys) -> InventoryQuery {
    InventoryQuery { keys, ..InventoryQuery::default() }
}

fn by_device(number: u16) -> InventoryQuery {
    by(InventoryKeys { device: Some(device(number)), ..InventoryKeys::default() })
}

fn by_mpxn(number: u32) -> InventoryQuery {
    by(InventoryKeys { mpxn: Some(mpxn(number)), ..InventoryKeys::default() })
}

fn by_postcode(property: &str) -> InventoryQuery {
    let key = PostcodeKey { postcode: "SW1A 1AA".parse().unwrap(), property: property.parse().ok() };
    by(InventoryKeys { postcode: Some(key), ..InventoryKeys::default() })
}

fn with_all(query: InventoryQuery) -> InventoryQuery {
    InventoryQuery { include_not_commissioned: true, ..query }
}

async fn found(search: &InventorySearch, query: &InventoryQuery) -> Vec<DeviceId> {
    search.search(&ann(), query).await.unwrap().devices.iter().map(|row| row.device).collect()
}

fn devices(numbers: &[u16]) -> Vec<DeviceId> {
    numbers.iter().copied().map(device).collect()
}

fn violation(error: &SearchError) -> (&'static str, String) {
    match error {
        SearchError::Invalid(violations) => (violations[0].field, violations[0].rule.clone()),
        other => panic!("{other:?}"),
    }
}

/// H8.16(a)(ii) to (iv): the Smart Meters of the premises, and what they are Associated with, either way round.
#[tokio::test]
async fn premises_lead_to_their_meters_and_what_those_are_associated_with() {
    let (_, search) = over(home());
    let page = search.search(&ann(), &by_mpxn(1)).await.unwrap();
    let rows: Vec<_> = page
        .devices
        .iter()
        .map(|row| (row.device, row.device_type, row.smi_status, row.found_through))
        .collect();
    let status = Some(SmiStatus::Commissioned);
    assert_eq!(
        rows,
        [
            (device(ESME), Some(DeviceType::Esme), status, None),
            (device(HUB), Some(DeviceType::Chf), status, Some(device(ESME))),
        ]
    );
    assert_eq!((page.premises_matched, page.as_at), (1, now()));
    assert_eq!(found(&search, &by_mpxn(2)).await, devices(&[GSME, PROXY]));
    assert_eq!(found(&search, &by_postcode("")).await, devices(&[ESME, GSME, HUB, PROXY]));
    let uprn = InventoryKeys { uprn: Some("100".parse().unwrap()), ..InventoryKeys::default() };
    assert_eq!(found(&search, &by(uprn.clone())).await, devices(&[ESME, HUB]));
    // Several keys narrow each other.
    let both = InventoryKeys { mpxn: Some(mpxn(2)), ..uprn.clone() };
    assert_eq!(found(&search, &by(both)).await, devices(&[]));
    let hub = InventoryKeys { device: Some(device(HUB)), ..uprn };
    assert_eq!(found(&search, &by(hub)).await, devices(&[HUB]));
    assert_eq!(found(&search, &by_mpxn(9)).await, devices(&[]));
    assert_eq!(found(&search, &by_device(9)).await, devices(&[]));
}

/// Where a Device is: its own meter points, or those of the meters to which its associations lead.
#[tokio::test]
async fn a_device_that_is_installed_nowhere_is_where_its_meters_are() {
    let (_, search) = over(home());
    let places = async |number| {
        let page = search.search(&ann(), &by_device(number)).await.unwrap();
        let of = |place: &Premises| (place.mpxn, place.through);
        page.devices[0].premises.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(places(ESME).await, [(mpxn(1), None)]);
    assert_eq!(places(HUB).await, [(mpxn(1), Some(device(ESME)))]);
    assert_eq!(places(PROXY).await, [(mpxn(2), Some(device(GSME)))]);
    assert_eq!(places(DISPLAY).await, [(mpxn(1), Some(device(ESME)))], "over the hub");
    let page = search.search(&ann(), &by_device(DISPLAY)).await.unwrap();
    let place = &page.devices[0].premises[0];
    assert_eq!(place.property.as_ref().unwrap().as_str(), "Rose Cottage");
    assert_eq!(place.uprn.unwrap().to_string(), "100");
}

#[tokio::test]
async fn the_box_hides_every_status_but_commissioned_and_no_type_2_device() {
    let hidden: Vec<SmiStatus> =
        SmiStatus::ALL.iter().copied().filter(|status| *status != SmiStatus::Commissioned).collect();
    let mut facts = home();
    for (number, status) in (10..).zip(hidden.iter().copied()) {
        facts.extend([is_a(number, DeviceType::Esme), has_status(number, status), installed(number, 1)]);
    }
    // One of which no status is known, and a display that somebody gave one.
    facts.extend([is_a(30, DeviceType::Esme), installed(30, 1)]);
    facts.push(has_status(DISPLAY, SmiStatus::Suspended));
    let (_, search) = over(facts);
    let page = search.search(&ann(), &by_mpxn(1)).await.unwrap();
    assert_eq!((page.devices.len(), page.not_commissioned_left_out()), (2, hidden.len() + 1));
    let page = search.search(&ann(), &with_all(by_mpxn(1))).await.unwrap();
    assert_eq!((page.devices.len(), page.not_commissioned_left_out()), (2 + hidden.len() + 1, 0));
    for query in [by_device(DISPLAY), with_all(by_device(DISPLAY))] {
        let page = search.search(&ann(), &query).await.unwrap();
        assert_eq!((page.devices.len(), page.devices[0].smi_status), (1, None));
        let whole = &search.devices(&ann(), &query).await.unwrap().devices[0].device;
        assert_eq!((whole.smi_status, whole.smi_status_count, whole.smi_statuses.len()), (None, 0, 0));
    }
    assert_eq!(found(&search, &by_device(10)).await, devices(&[]));
    assert_eq!(found(&search, &with_all(by_device(10))).await, devices(&[10]));
}

/// H8.16(a): of Type 2 Devices there need be In-Home Displays alone.
#[tokio::test]
async fn a_consumer_access_device_is_shown_only_where_the_server_is_set_to() {
    let (inventory, search) = over(home());
    let beside_the_hub = async |search: &InventorySearch| {
        let page = search.devices(&ann(), &by_device(HUB)).await.unwrap();
        let hub = page.devices[0].device.clone();
        let others: Vec<DeviceId> = page.devices[0].others.iter().map(|other| other.device.device).collect();
        (hub.associated.iter().map(|one| one.device).collect::<Vec<_>>(), hub.associated_count, others)
    };
    let (associated, count, others) = beside_the_hub(&search).await;
    assert_eq!((associated, count), (devices(&[ESME, PROXY, DISPLAY]), 3));
    assert!(!others.contains(&device(CAD)));
    assert_eq!(found(&search, &with_all(by_device(CAD))).await, devices(&[]));
    let page_key = PageKey::random().unwrap();
    let all = InventorySearch::new(inventory, Clock::manual(now()), page_key, true);
    let (associated, count, others) = beside_the_hub(&all).await;
    assert_eq!((associated, count), (devices(&[ESME, PROXY, DISPLAY, CAD]), 4));
    assert!(others.contains(&device(CAD)));
    assert_eq!(found(&all, &by_device(CAD)).await, devices(&[CAD]));
}

#[tokio::test]
async fn a_removed_device_is_in_no_answer() {
    let (inventory, search) = over(home());
    inventory.tell(told_at(2, [InventoryFact::DeviceRemoved { device: device(ESME) }]), hour(2));
    assert_eq!(found(&search, &with_all(by_device(ESME))).await, devices(&[]));
    assert_eq!(found(&search, &with_all(by_mpxn(1))).await, devices(&[]), "nor does it lead to others");
    let page = search.devices(&ann(), &with_all(by_device(HUB))).await.unwrap();
    assert!(page.devices[0].others.iter().all(|other| other.device.device != device(ESME)));
    assert!(page.devices[0].device.associated.iter().all(|other| other.device != device(ESME)));
}

#[tokio::test]
async fn groups_are_those_of_the_code_and_a_device_that_is_left_out_still_leads_to_others() {
    let (inventory, search) = over(home());
    let groups = async |number| {
        let page = search.devices(&ann(), &by_device(number)).await.unwrap();
        let of =
            |other: &GroupedDevice| (other.device.device, other.groups.iter().copied().collect::<Vec<_>>());
        page.devices[0].others.iter().map(of).collect::<Vec<_>>()
    };
    use Group::{II, III, IV};
    assert_eq!(
        groups(HUB).await,
        [
            (device(ESME), vec![II]),
            (device(GSME), vec![III]),
            // The gas meter is Associated with it.
            (device(PROXY), vec![II, IV]),
            (device(DISPLAY), vec![II]),
        ]
    );
    assert_eq!(groups(ESME).await, [(device(HUB), vec![IV])]);
    assert_eq!(groups(PROXY).await, [(device(GSME), vec![II]), (device(HUB), vec![IV])]);
    inventory.tell(told_at(2, [has_status(PROXY, SmiStatus::Suspended)]), hour(2));
    assert_eq!(
        groups(HUB).await,
        [(device(ESME), vec![II]), (device(GSME), vec![III]), (device(DISPLAY), vec![II])]
    );
}

#[tokio::test]
async fn a_device_has_its_histories_as_far_as_they_have_come() {
    let (inventory, search) = over(home());
    let region = |region: &str| InventoryFact::Region { hub: device(HUB), region: region.parse().unwrap() };
    inventory.tell(told_at(2, [has_status(HUB, SmiStatus::Suspended), region("North")]), hour(2));
    inventory.tell(told_at(3, [has_status(HUB, SmiStatus::Commissioned), region("4G South")]), hour(3));
    // What takes effect later is no history yet.
    inventory.tell(told_at(200, [has_status(HUB, SmiStatus::Withdrawn), region("Central")]), hour(4));
    let hub = search.devices(&ann(), &by_device(HUB)).await.unwrap().devices[0].device.clone();
    let period =
        |status, from, until: Option<i64>| StatusPeriod { status, from: hour(from), until: until.map(hour) };
    assert_eq!(
        hub.smi_statuses,
        [
            period(SmiStatus::Commissioned, 1, Some(2)),
            period(SmiStatus::Suspended, 2, Some(3)),
            period(SmiStatus::Commissioned, 3, None),
        ]
    );
    let regions: Vec<_> = hub.regions.iter().map(|one| (one.region.as_str(), one.until)).collect();
    assert_eq!(regions, [("North", Some(hour(3))), ("4G South", None)]);
    // What says nothing of the version is no end of it.
    let runs = |version: &str| InventoryFact::Device {
        device: device(ESME),
        details: DeviceDetails { firmware_version: version.parse().ok(), ..DeviceDetails::default() },
    };
    inventory.tell(told_at(2, [runs("0002012F")]), hour(2));
    inventory.tell(told_at(3, [is_a(ESME, DeviceType::Esme)]), hour(3));
    inventory.tell(told_at(4, [runs("00020130")]), hour(4));
    inventory.tell(told_at(200, [runs("00020131")]), hour(4));
    let esme = search.devices(&ann(), &by_device(ESME)).await.unwrap().devices[0].device.clone();
    let versions = esme.firmware_versions.iter().map(|one| (one.version.as_str(), one.from, one.until));
    let expected = [("0002012F", hour(2), Some(hour(4))), ("00020130", hour(4), None)];
    assert_eq!(versions.collect::<Vec<_>>(), expected);
    // A history that cannot be paged has an end, and says how long it is.
    let flicker = |at: i64| {
        let status = if at % 2 == 0 { SmiStatus::Suspended } else { SmiStatus::Commissioned };
        told_at(at, [has_status(ESME, status)])
    };
    inventory.tell((2..400).flat_map(flicker), hour(5));
    let clock = Clock::manual(hour(500));
    let later = search_over(&inventory, &clock);
    let then = access_with("ann", &[1], hour(500));
    let esme = later.devices(&then, &with_all(by_device(ESME))).await.unwrap().devices[0].device.clone();
    assert_eq!((esme.smi_status_count, esme.smi_statuses.len()), (399, 100));
    assert_eq!(esme.smi_statuses.last().unwrap().from, hour(399));
}

#[tokio::test]
async fn a_property_filter_forgives_and_says_how_many_premises_matched() {
    let mut facts = home();
    facts.extend(commissioned(20, DeviceType::Esme));
    facts.extend([installed(20, 3), registered(3, Some("101"), "Flat 2, Rose House")]);
    let (_, search) = over(facts);
    let premises = async |property| {
        let page = search.search(&ann(), &by_postcode(property)).await.unwrap();
        (page.premises_matched, page.devices.len())
    };
    assert_eq!(premises("cottage ROSE").await, (1, 4), "gas and electricity of one home are one premises");
    assert_eq!(premises("(flat 2) rose-house").await, (1, 1));
    assert_eq!(premises("rose").await, (2, 5));
    assert_eq!(premises("").await, (2, 5));
    assert_eq!(premises("rose 3").await, (0, 0));
}

/// What was so, as it was known then: late news does not change what an earlier moment knew.
#[tokio::test]
async fn a_moment_knows_what_was_recorded_and_so_by_then() {
    let inventory = FakeInventory::default();
    inventory.tell(told_at(1, home()), hour(10));
    // The meter was exchanged at hour 2, which was recorded at hour 20.
    let gone = InventoryFact::Installation { device: device(ESME), mpxn: mpxn(1), installed: false };
    let mut late = told_at(2, commissioned(20, DeviceType::Esme).into_iter().chain([gone, installed(20, 1)]));
    late.iter_mut().for_each(|event| event.recorded_at = hour(20));
    inventory.tell(late, hour(30));
    let search = search_over(&inventory, &Clock::manual(now()));
    let as_of = |as_of| InventoryQuery { as_of: Some(as_of), ..by_mpxn(1) };
    assert_eq!(found(&search, &by_mpxn(1)).await, devices(&[20]));
    for earlier in [AsOf::Version(1), AsOf::Instant(hour(10)), AsOf::Instant(hour(29))] {
        assert_eq!(found(&search, &as_of(earlier)).await, devices(&[ESME, HUB]), "{earlier}");
    }
    for later in [AsOf::Version(2), AsOf::Instant(hour(30)), AsOf::Instant(hour(1000))] {
        let page = search.search(&ann(), &as_of(later)).await.unwrap();
        assert_eq!(page.devices.len(), 1, "{later}");
        assert!(page.as_at <= now(), "nobody knows the future");
    }
    let error = search.search(&ann(), &as_of(AsOf::Version(9))).await.unwrap_err();
    assert_eq!(violation(&error).0, "as_of");
}

#[tokio::test]
async fn every_role_may_search_and_each_device_says_whether_the_link_may_be_followed() {
    let (_, search) = over(home());
    for role in 1..=11 {
        let who = access_of("ann", &[role]);
        let page = search.search(&who, &by_mpxn(1)).await.unwrap();
        assert_eq!((page.devices.len(), page.may_follow_audit_trail), (2, role != 11), "role {role}");
        assert!(search.devices(&who, &by_mpxn(1)).await.is_ok(), "role {role}");
    }
    let error = search.search(&access_of("ann", &[]), &by_mpxn(1)).await.unwrap_err();
    assert_eq!(error.kind(), SearchErrorKind::Denied);
}

#[tokio::test]
async fn a_query_that_breaks_rules_is_told_which() {
    let (_, search) = over(home());
    let none = InventoryQuery { page_size: Some(1001), ..InventoryQuery::default() };
    match search.search(&ann(), &none).await.unwrap_err() {
        SearchError::Invalid(violations) => {
            assert_eq!(violations.iter().map(|one| one.field).collect::<Vec<_>>(), ["key", "page_size"]);
        }
        other => panic!("{other:?}"),
    }
    let two = InventoryKeys { device: Some(device(ESME)), ..by_mpxn(1).keys };
    assert!(search.search(&ann(), &by(two.clone())).await.is_ok());
    assert_eq!(violation(&search.devices(&ann(), &by(two)).await.unwrap_err()).0, "key");
    let many = InventoryQuery { page_size: Some(51), ..by_mpxn(1) };
    assert_eq!(violation(&search.devices(&ann(), &many).await.unwrap_err()).0, "page_size");
}

#[tokio::test]
async fn what_would_look_at_too_much_is_refused() {
    let (inventory, search) = over((0..=1000).map(|number| registered(number, Some("7"), "")));
    let uprn = InventoryKeys { uprn: Some("7".parse().unwrap()), ..InventoryKeys::default() };
    let error = search.search(&ann(), &by(uprn)).await.unwrap_err();
    assert_eq!(error.kind(), SearchErrorKind::Exhausted);
    assert!(error.user_text().to_string().contains("1000 meter points"), "{error:?}");
    inventory.tell(told_at(2, (1..=201).map(|number| associated(number, 0))), hour(2));
    let error = search.devices(&ann(), &with_all(by_device(0))).await.unwrap_err();
    assert!(error.user_text().to_string().contains("200 Devices around one"), "{error:?}");
    // Without those around it, it is one row.
    assert_eq!(found(&search, &with_all(by_device(0))).await, devices(&[0]));
}
