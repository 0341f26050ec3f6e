//! Hubs over a lake in memory: who is shown what, and what the tables show.

use super::*;
use crate::SearchErrorKind;
use gridtrail_access::{
    AccessEvent, Admission, Assignment, Bearer, DevKey, JobTypeRole, Notice, NoticeKind, OrgId, Party,
    Sharing,
};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact, InventoryStatement,
    Registration, StatedFact,
};
use gridtrail_lake::{Batch, LakeSettings, SourceEvidence};
use gridtrail_model::{DeviceType, Mpxn, UserId, UserRole};
use std::collections::BTreeSet;

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn at(hour: i64) -> Timestamp {
    start().plus_millis(hour * 3_600_000)
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([0x02, 0x1D, 0x30, 0, 0, 0, 0, number])
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0, 0, number])
}

const CHF: u8 = 1;
const GPF: u8 = 2;
const ESME: u8 = 3;
const GSME: u8 = 4;

fn electricity() -> Mpxn {
    "1217290354420".parse().unwrap()
}

fn gas() -> Mpxn {
    "000123".parse().unwrap()
}

/// Events of an inventory, written one after the other.
#[derive(Default)]
struct Told(Vec<InventoryEvent>);

impl Told {
    fn fact(&mut self, (from, until): (i64, Option<i64>), origin: FactOrigin, fact: InventoryFact) {
        let effective = Effective::new(at(from), until.map(at)).unwrap();
        let id = format!("e{}", self.0.len()).parse().unwrap();
        let told = InventoryStatement::Fact(StatedFact { effective, corrects: None, fact });
        self.0.push(InventoryEvent { recorded_at: at(from), id, origin, told });
    }

    fn since(&mut self, from: i64, fact: InventoryFact) {
        self.fact((from, None), FactOrigin::Inventory, fact);
    }

    fn device(&mut self, number: u8, device_type: DeviceType) {
        let details = DeviceDetails { device_type: Some(device_type), ..DeviceDetails::default() };
        self.since(0, InventoryFact::Device { device: device(number), details });
    }

    /// A hub with an electricity meter, and a gas meter behind its Gas Proxy Function; nobody is registered.
    fn household() -> Self {
        let mut told = Self::default();
        for (number, device_type) in [
            (CHF, DeviceType::Chf),
            (GPF, DeviceType::Gpf),
            (ESME, DeviceType::Esme),
            (GSME, DeviceType::Gsme),
        ] {
            told.device(number, device_type);
        }
        for (number, with) in [(GPF, CHF), (ESME, CHF), (GSME, GPF)] {
            told.since(0, associated(number, with));
        }
        told.since(0, installed(ESME, electricity()));
        told.since(0, installed(GSME, gas()));
        told
    }

    fn registered(&mut self, span: (i64, Option<i64>), mpxn: Mpxn, data: Registration) {
        self.fact(span, FactOrigin::Inventory, InventoryFact::Registration { mpxn, data });
    }

    fn hub(&mut self, from: i64, fields: HubFields) {
        self.since(from, InventoryFact::Hub { hub: device(CHF), fields });
    }

    /// A search of a lake that was told all this.
    async fn search(self, tables: HubTables) -> HubSearch {
        let clock = Clock::manual(at(100));
        let lake = Lake::open(LakeSettings::at("memory:///hubs"), clock.clone()).await.unwrap();
        let source = SourceEvidence {
            source: "file:inventory".to_owned(),
            name: "inventory.jsonl".to_owned(),
            first: true,
            to: 1,
            finished: true,
            recorded_max_ms: Some(at(99).millis()),
            ..SourceEvidence::default()
        };
        let batch = Batch { inventory: self.0, sources: vec![source], ..Batch::default() };
        lake.writer().await.unwrap().commit(batch).await.unwrap();
        HubSearch::new(lake, clock, tables)
    }
}

fn associated(number: u8, with: u8) -> InventoryFact {
    InventoryFact::Association { device: device(number), with: device(with), associated: true }
}

fn installed(number: u8, mpxn: Mpxn) -> InventoryFact {
    InventoryFact::Installation { device: device(number), mpxn, installed: true }
}

fn supplier(number: u8) -> Registration {
    Registration { responsible_supplier: FieldChange::Value(user(number)), ..Registration::default() }
}

fn network(number: u8) -> Registration {
    Registration { network_party: FieldChange::Value(user(number)), ..Registration::default() }
}

fn agent(number: u8) -> Registration {
    Registration { registered_supplier_agent: FieldChange::Value(user(number)), ..Registration::default() }
}

fn bearer(users: &[u8], role: u8) -> Bearer {
    Bearer {
        subject: "tester".to_owned(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.iter().copied().map(user).collect(),
        roles: BTreeSet::from([JobTypeRole::new(role).unwrap()]),
        valid_from: at(99),
        expires_at: at(110),
    }
}

fn access(users: &[u8]) -> Access {
    DevKey::generate().unwrap().access(&bearer(users, 1)).unwrap()
}

async fn get(search: &HubSearch, who: &Access) -> HubAnswer {
    search.get(who, device(CHF)).await.unwrap()
}

/// Whether a caller of User ID 1 may communicate with the hub and sees its tables, which are the same by default.
async fn is_related(told: Told) -> bool {
    let answer = get(&told.search(HubTables::Related).await, &access(&[1])).await;
    assert_eq!(answer.may_communicate, answer.tables.is_some());
    answer.may_communicate
}

#[tokio::test(flavor = "multi_thread")]
async fn each_relationship_counts_for_electricity_and_gas() {
    for mpxn in [electricity(), gas()] {
        for (name, data) in [("supplier", supplier(1)), ("network", network(1)), ("agent", agent(1))] {
            let mut told = Told::household();
            told.registered((1, None), mpxn, data);
            assert!(is_related(told).await, "{name} of {mpxn}");
        }
        for data in [supplier(2), network(2), agent(2)] {
            let mut told = Told::household();
            told.registered((1, None), mpxn, data);
            assert!(!is_related(told).await, "of another User");
        }
    }
    assert!(!is_related(Told::household()).await, "nobody is registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relationship_is_held_now_or_not_at_all() {
    let mut followed = Told::household();
    followed.registered((1, None), electricity(), supplier(1));
    followed.registered((50, None), electricity(), supplier(2));
    assert!(!is_related(followed).await, "another supplies now");
    let mut ended = Told::household();
    ended.registered((1, Some(90)), electricity(), supplier(1));
    assert!(!is_related(ended).await, "the registration has ended");
    let mut future = Told::household();
    future.registered((150, None), electricity(), supplier(1));
    assert!(!is_related(future).await, "it begins later");
    for (name, fact) in [
        (
            "the meter is gone",
            InventoryFact::Installation { device: device(ESME), mpxn: electricity(), installed: false },
        ),
        (
            "the meter is behind another hub",
            InventoryFact::Association { device: device(ESME), with: device(CHF), associated: false },
        ),
    ] {
        let mut told = Told::household();
        told.registered((1, None), electricity(), supplier(1));
        told.since(60, fact);
        assert!(!is_related(told).await, "{name}");
    }
    let mut proxy = Told::household();
    proxy.registered((1, None), gas(), supplier(1));
    proxy.since(60, InventoryFact::Association { device: device(GPF), with: device(CHF), associated: false });
    assert!(!is_related(proxy).await, "the Gas Proxy Function is of another hub");
}

/// A User could have a message say that a Device is at a meter point of theirs, or of a hub.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_makes_a_relationship() {
    let of = |association, installation| {
        let mut told = Told::default();
        told.device(CHF, DeviceType::Chf);
        told.fact((0, None), association, associated(ESME, CHF));
        told.fact((0, None), installation, installed(ESME, electricity()));
        told.registered((1, None), electricity(), supplier(1));
        told
    };
    use FactOrigin::{Duis, Inventory};
    assert!(is_related(of(Inventory, Inventory)).await);
    assert!(!is_related(of(Duis, Inventory)).await);
    assert!(!is_related(of(Inventory, Duis)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_user_id_gives_nothing() {
    let mut sharing = Sharing::default();
    for (number, party) in [(1, "Avon"), (2, "Brent")] {
        let to = Some(Assignment { party: party.parse().unwrap(), role: UserRole::IS, descriptor: None });
        sharing.take(AccessEvent::Assigned { user_id: user(number), to, from: Timestamp::MIN });
    }
    for (id, by, with, own, other) in [("n1", "Avon", "Brent", 1, 2), ("n2", "Brent", "Avon", 2, 1)] {
        let party = |name: &str| name.parse::<Party>().unwrap();
        let notice = Notice {
            kind: NoticeKind::Grant,
            by: party(by),
            with: party(with),
            own: BTreeSet::from([user(own)]),
            other: BTreeSet::from([user(other)]),
            at: at(1),
            sro: None,
        };
        let id: gridtrail_access::NoticeId = id.parse().unwrap();
        sharing.take(AccessEvent::Notified { id: id.clone(), notice });
        sharing.take(AccessEvent::Confirmed { id, at: at(2) });
    }
    let key = DevKey::generate().unwrap();
    let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing));
    let who = admission.admit(&key.mint(&bearer(&[1, 2], 1)).unwrap(), at(100)).await.unwrap();
    assert!(who.user_ids().contains(&user(2)) && !who.own_user_ids().contains(&user(2)));
    let mut told = Told::household();
    told.registered((1, None), electricity(), supplier(2));
    let search = told.search(HubTables::Related).await;
    let answer = get(&search, &who).await;
    assert!(!answer.may_communicate && answer.tables.is_none());
    // It is the registered User's own.
    let token = key.mint(&Bearer { party: "Brent".parse().unwrap(), ..bearer(&[2], 1) }).unwrap();
    let own = admission.admit(&token, at(100)).await.unwrap();
    assert!(get(&search, &own).await.may_communicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wider_reading_opens_the_tables_and_nothing_else() {
    let mut told = Told::household();
    told.registered((1, None), electricity(), supplier(2));
    let search = told.search(HubTables::All).await;
    let answer = get(&search, &access(&[1])).await;
    assert!(answer.tables.is_some() && !answer.may_communicate);
    assert!(get(&search, &access(&[2])).await.may_communicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_and_an_unknown_one_are_no_hub() {
    let search = Told::household().search(HubTables::All).await;
    for number in [GPF, ESME, 200] {
        let error = search.get(&access(&[1]), device(number)).await.unwrap_err();
        assert_eq!(error.kind(), SearchErrorKind::NoHub, "{number}: {error}");
    }
    let denied = DevKey::generate().unwrap().access(&bearer(&[1], 3)).unwrap();
    let error = search.get(&denied, device(CHF)).await.unwrap_err();
    assert_eq!(error.kind(), SearchErrorKind::Denied);
    assert!(
        error.user_text().to_string().contains("Communications Hub availability"),
        "{}",
        error.user_text()
    );
}

/// A hub of which messages tell and no event its type.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_only_messages_know_is_one() {
    let mut told = Told::default();
    let fields = HubFields { last_outage: Some(at(7)), ..HubFields::default() };
    told.fact((7, None), FactOrigin::Duis, InventoryFact::Hub { hub: device(CHF), fields });
    let answer = get(&told.search(HubTables::All).await, &access(&[1])).await;
    assert!(answer.tables.unwrap().csp.contains(&(HubFieldName::LastOutage, HubField::At(at(7)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_more_behind_it_than_is_looked_at_is_refused_by_its_number() {
    let mut told = Told::household();
    for number in 10..80 {
        told.since(0, associated(number, CHF));
    }
    let error = told.search(HubTables::All).await.get(&access(&[1]), device(CHF)).await.unwrap_err();
    assert!(matches!(error, SearchError::HubTooWide { found: 73 }), "{error}");
    assert_eq!(error.kind(), SearchErrorKind::Exhausted);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_the_csp_has_the_fields_of_the_clause() {
    use HubField::{At, OnDevice, Text, Unknown};
    use HubFieldName::*;
    let active = HubFields {
        aerial_installed: Some(true),
        network_status: "Active".parse().ok(),
        // Told ahead of time, and not shown while the hub is active.
        deactivated_at: Some(at(3)),
        ..HubFields::default()
    };
    let of = async |fields: Vec<HubFields>| {
        let mut told = Told::household();
        for (hour, fields) in (2..).zip(fields) {
            told.hub(hour, fields);
        }
        get(&told.search(HubTables::All).await, &access(&[1])).await.tables.unwrap().csp
    };
    let expected = [
        (AerialInstalled, Text("Yes".into())),
        (AerialType, Unknown),
        (BirthEvent, Unknown),
        (NetworkStatus, Text("Active".into())),
        (SmwanConnectivityStatus, Unknown),
        (HanStatus, OnDevice),
        (LastConnection, Unknown),
        (LastTamper, OnDevice),
        (LastOutage, Unknown),
        (LastRestore, Unknown),
    ];
    assert_eq!(of(vec![active.clone()]).await, expected);
    let deactivated = HubFields { network_status: "deactivated".parse().ok(), ..HubFields::default() };
    let table = of(vec![active, deactivated.clone()]).await;
    assert_eq!(table.len(), 11);
    assert_eq!(table[4], (Deactivation, At(at(3))));
    assert_eq!(of(vec![deactivated]).await[4], (Deactivation, Unknown));
    // What the CSP told of the hub itself is shown.
    let told = HubFields { last_tamper: Some(at(1)), han_status: "Up".parse().ok(), ..HubFields::default() };
    let table = of(vec![told]).await;
    assert!(table.contains(&(LastTamper, At(at(1)))) && table.contains(&(HanStatus, Text("Up".into()))));
}
