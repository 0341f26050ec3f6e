//! Events by hand, and a lake to put them into.

use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_anomaly::{AnomalyEvent, AnomalyFact, AnomalyStatement, Breach, Origin, Quarantined};
use gridtrail_inventory::{
    Effective, FactOrigin, InventoryEvent, InventoryFact, InventoryStatement, StatedFact,
};
use gridtrail_lake::{
    Batch, DeadLetter, Extent, Found, KeyQuery, Lake, LakeSettings, Snapshot, SourceEvidence, View, Writer,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_schedules::{Schedule, ScheduleEvent, ScheduleFact, ScheduleId};

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
}

pub(crate) fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, n])
}

pub(crate) fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([0, 0xDB, 0, 0, 0, 0, 0, n])
}

pub(crate) fn request_id(u: u8, d: u8, counter: u64) -> RequestId {
    RequestId { originator: user(u), target: device(d), counter }
}

/// An event of a read (4.8.1) that one User sent to one Device; everything known.
pub(crate) fn event(id: RequestId, received: Timestamp, body: Body) -> Event {
    Event {
        id: "test".parse().unwrap(),
        recorded_at: received,
        correlation: Correlation {
            request_id: Some(id),
            request_received_at: Some(received),
            command_variant: CommandVariant::new(1),
            device_id: Some(id.target),
            mpxn: Some("1217290354420".parse().unwrap()),
            variant: Some("4.8.1".parse().unwrap()),
            gbcs_originator_counter: Some(id.counter),
            ..Correlation::of_user(id.originator)
        },
        body,
    }
}

pub(crate) fn received(id: RequestId, at: Timestamp) -> Event {
    event(id, at, Body::RequestReceived(RequestReceived::default()))
}

pub(crate) fn answer(id: RequestId, at: Timestamp) -> Body {
    Body::ResponseSent(ResponseSent {
        response_id: Some(ResponseId::mirror_of(&id)),
        code: "I0".parse().unwrap(),
        at,
        content: ResponseContent::ServiceResponse,
    })
}

/// An answer as DUIS sends it: it names the request and nothing else.
pub(crate) fn bare_answer(id: RequestId, sent: Timestamp) -> Event {
    let mut event = event(id, sent, answer(id, sent));
    event.correlation = Correlation { request_id: Some(id), ..Correlation::of_user(id.originator) };
    event
}

pub(crate) fn fold(events: impl IntoIterator<Item = Event>) -> Fold {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    fold
}

pub(crate) fn source(name: &str, from: i64, to: i64) -> SourceEvidence {
    SourceEvidence {
        source: format!("file:{name}"),
        name: name.to_owned(),
        first: from == 0,
        from,
        to,
        recorded_max_ms: Some(at(0).millis()),
        finished: true,
        ..SourceEvidence::default()
    }
}

pub(crate) fn letter(source: &str, position: i64, raw: &[u8]) -> DeadLetter {
    DeadLetter {
        source: source.to_owned(),
        source_name: "t/0".to_owned(),
        position,
        reason: "poison".to_owned(),
        raw: raw.to_vec().into(),
        extent: Extent::Whole,
        key: None,
        headers: Vec::new(),
        read_at: at(0),
    }
}

pub(crate) async fn memory() -> (Lake, Writer) {
    open("memory:///lake").await
}

pub(crate) async fn open(address: &str) -> (Lake, Writer) {
    let lake = Lake::open(LakeSettings::at(address), Clock::manual(at(1_000_000))).await.unwrap();
    let writer = lake.writer().await.unwrap();
    (lake, writer)
}

/// Commits events as one batch of their own source; what has no place is joined or parked as ingest does it.
pub(crate) async fn commit(writer: &mut Writer, name: &str, events: impl IntoIterator<Item = Event>) -> u64 {
    let mut fold = fold(events);
    let mut parked = Vec::new();
    let unplaced = fold.take_unplaced();
    let on_record = writer.resolve(&unplaced).await.unwrap();
    for fragment in unplaced {
        match fragment.join(on_record.of(&fragment.key)) {
            Some(parts) => parts.into_iter().for_each(|part| fold.merge(part)),
            None => parked.push(fragment),
        }
    }
    let fragments = fold.into_fragments();
    let batch = Batch {
        inventory: fragments.iter().filter_map(told_with).collect(),
        fragments,
        parked,
        sources: vec![source(name, 0, 1)],
        ..Batch::default()
    };
    writer.commit(batch).await.unwrap()
}

pub(crate) fn access(users: &[u8]) -> Access {
    let key = DevKey::generate().unwrap();
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.iter().map(|n| user(*n)).collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    key.access(&claims).unwrap()
}

/// That a Device is commissioned.
pub(crate) fn commissioned(id: &str, device: DeviceId, at: Timestamp) -> InventoryEvent {
    let fact = InventoryFact::SmiStatus { device, status: Some(SmiStatus::Commissioned) };
    InventoryEvent {
        recorded_at: at,
        id: id.parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact { effective: Effective::since(at), corrects: None, fact }),
    }
}

/// That a communication of the first User was quarantined.
pub(crate) fn quarantined(id: &str, counter: u64, at: Timestamp) -> AnomalyEvent {
    let of = Quarantined {
        request_id: request_id(1, 1, counter),
        command_variant: None,
        variant: None,
        device: Some(device(1)),
        mpxn: None,
        received_at: None,
        breach: Breach::UserThreshold,
        event_ref: "7".parse().unwrap(),
        incident: "INC1".parse().ok(),
        dcc_alert: None,
    };
    let told = AnomalyStatement::Fact { at, corrects: None, fact: AnomalyFact::Quarantined(of) };
    AnomalyEvent {
        recorded_at: at,
        id: id.parse().unwrap(),
        origin: Origin::Anomaly,
        about: Some(user(1)),
        told,
    }
}

/// The counters of the communications of the first User that a report may show at a time.
pub(crate) async fn held(snapshot: &Snapshot, now: Timestamp) -> Vec<u64> {
    let (found, _) = snapshot.quarantined(&access(&[1]), now).await.unwrap();
    found.iter().flat_map(|(_, all)| all).map(|of| of.request_id().counter).collect()
}

/// That a schedule of the first User was created, by a request of the same number.
pub(crate) fn created(id: &str, number: u64, at: Timestamp) -> ScheduleEvent {
    let fact = ScheduleFact::Created {
        request_id: request_id(1, 1, number),
        schedule: ScheduleId::new(number).unwrap(),
    };
    ScheduleEvent { user: user(1), recorded_at: at, at, id: id.parse().unwrap(), fact }
}

/// The schedules of a User that a caller sees.
pub(crate) async fn schedules_of(snapshot: &Snapshot, who: &Access, user: UserId) -> Vec<Schedule> {
    let (found, _) = snapshot.schedules(who, user).await.unwrap();
    found.all().collect()
}

/// What the schedules of the first User are called.
pub(crate) async fn scheduled(snapshot: &Snapshot) -> Vec<u64> {
    let found = schedules_of(snapshot, &access(&[1]), user(1)).await;
    found.iter().map(|schedule| schedule.id.number()).collect()
}

/// The inventory event that comes with a request that names another Device.
pub(crate) fn told_with(row: &Fragment) -> Option<InventoryEvent> {
    let id = row.key.request_id().filter(|_| !row.concerned_devices().is_empty())?;
    Some(commissioned(&format!("i-{}-{}", id.originator, id.counter), id.target, row.placement()?))
}

/// The ids of the inventory events about a Device.
pub(crate) async fn told_of(snapshot: &Snapshot, device: DeviceId) -> Vec<String> {
    let (found, _) = snapshot.inventory(&access(&[1]), &[Named::Device(device)]).await.unwrap();
    found[0].events().iter().map(|event| event.id.as_str().to_owned()).collect()
}

pub(crate) fn query(d: u8) -> KeyQuery {
    KeyQuery::all(device(d), View::Audit, 1_000)
}

pub(crate) async fn find(lake: &Lake, users: &[u8], query: &KeyQuery) -> Vec<Found> {
    lake.snapshot().lookup(&access(users), query).await.unwrap()
}

/// The rows of some Users that name something and do not lie under it.
pub(crate) async fn find_by_named(snapshot: &Snapshot, users: &[u8], named: Named) -> Vec<Found> {
    let who = access(users);
    let mut found = Vec::new();
    for place in snapshot.elsewhere((&who, View::Audit), &[named], false).await.unwrap().remove(0) {
        let under = KeyQuery::under(place.anchor, View::Audit, 1_000);
        let query = KeyQuery { naming: Some(named), at: place.at, ..under };
        found.extend(snapshot.lookup(&who, &query).await.unwrap());
    }
    found
}
