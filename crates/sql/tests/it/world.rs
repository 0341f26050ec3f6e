//! Lakes in memory, callers, and answers as text.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_lake::{Batch, CompactionSettings, Lake, LakeSettings, SourceEvidence, Writer};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_schedules::{Frequency, ScheduleDetails, ScheduleEvent, ScheduleFact, ScheduleId};
use gridtrail_sql::{SecuredSession, SqlError, SqlLimits};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
}

pub(crate) fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, n])
}

pub(crate) fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([0, 0xDB, 0, 0, 0, 0, 0, n])
}

/// The receipt of a request of a User to a Device.
pub(crate) fn received(u: u8, d: u8, counter: u64, variant: &str, leg: u8) -> Event {
    let id = RequestId { originator: user(u), target: device(d), counter };
    Event {
        id: "test".parse().unwrap(),
        recorded_at: at(i64::try_from(counter).unwrap()),
        correlation: Correlation {
            request_id: Some(id),
            request_received_at: Some(at(i64::try_from(counter).unwrap())),
            command_variant: CommandVariant::new(leg),
            device_id: Some(id.target),
            mpxn: Some("1217290354420".parse().unwrap()),
            variant: Some(variant.parse().unwrap()),
            gbcs_originator_counter: Some(id.counter),
            ..Correlation::of_user(id.originator)
        },
        body: Body::RequestReceived(RequestReceived::default()),
    }
}

/// The answer to it, some seconds later.
pub(crate) fn answered(request: &Event, code: &str) -> Event {
    let id = request.correlation.request_id.unwrap();
    let sent = request.recorded_at.plus_millis(5_000);
    let body = Body::ResponseSent(ResponseSent {
        response_id: Some(ResponseId::mirror_of(&id)),
        code: code.parse().unwrap(),
        at: sent,
        content: ResponseContent::ServiceResponse,
    });
    Event { recorded_at: sent, body, ..request.clone() }
}

/// A lake of its own, whose clock stands at the time of the rows.
pub(crate) async fn a_lake() -> (Lake, Writer) {
    a_lake_by(clock()).await
}

pub(crate) async fn a_lake_by(clock: Clock) -> (Lake, Writer) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let address = format!("memory:///sql-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let lake = Lake::open(LakeSettings::at(address), clock).await.unwrap();
    let writer = lake.writer().await.unwrap();
    (lake, writer)
}

pub(crate) fn clock() -> Clock {
    Clock::manual(at(1_000_000))
}

/// Commits events as one batch of a source of their own; what has no place is joined or parked, as ingest does it.
pub(crate) async fn commit(writer: &mut Writer, name: &str, events: impl IntoIterator<Item = Event>) {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    let mut parked = Vec::new();
    let unplaced = fold.take_unplaced();
    let on_record = writer.resolve(&unplaced).await.unwrap();
    for fragment in unplaced {
        match fragment.join(on_record.of(&fragment.key)) {
            Some(parts) => parts.into_iter().for_each(|part| fold.merge(part)),
            None => parked.push(fragment),
        }
    }
    let sources = vec![source_of(name)];
    let batch = Batch { fragments: fold.into_fragments(), parked, sources, ..Batch::default() };
    writer.commit(batch).await.unwrap();
}

/// That a User has a schedule on a Device: what was asked for, and that it was created, by a request of the same number.
pub(crate) fn scheduled(u: u8, d: u8, number: u64) -> [ScheduleEvent; 2] {
    let request_id = RequestId { originator: user(u), target: device(0), counter: number };
    let details = ScheduleDetails {
        variant: "4.8.1".parse().ok(),
        device: Some(device(d)),
        frequency: Some(Frequency::Weekly),
        start: "2026-01-05".parse().ok(),
        end: "2026-12-28".parse().ok(),
        execution_start: "02:30:00Z".parse().ok(),
        window: None,
    };
    let schedule = ScheduleId::new(number).unwrap();
    let told = at(number.cast_signed());
    [ScheduleFact::Asked { request_id, details }, ScheduleFact::Created { request_id, schedule }].map(
        |fact| {
            let id = format!("s{u}-{number}").parse().unwrap();
            ScheduleEvent { user: user(u), recorded_at: told, at: told, id, fact }
        },
    )
}

/// Adds what is told of schedules.
pub(crate) async fn tell(lake: &Lake, name: &str, schedules: impl IntoIterator<Item = ScheduleEvent>) {
    let batch = Batch {
        schedules: schedules.into_iter().collect(),
        sources: vec![source_of(name)],
        ..Batch::default()
    };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

/// What a batch says of a source that it reads as a whole.
pub(crate) fn source_of(name: &str) -> SourceEvidence {
    SourceEvidence {
        source: format!("file:{name}"),
        name: name.to_owned(),
        first: true,
        to: 1,
        records: 1,
        recorded_max_ms: Some(at(0).millis()),
        finished: true,
        ..SourceEvidence::default()
    }
}

/// A lake of some events, in batches of so many.
pub(crate) async fn lake_of(events: &[Event], batch: usize) -> Lake {
    let (lake, mut writer) = a_lake().await;
    for (number, events) in events.chunks(batch).enumerate() {
        commit(&mut writer, &number.to_string(), events.iter().cloned()).await;
    }
    lake
}

pub(crate) async fn compact(lake: &Lake) {
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.unwrap().compact(&full).await.unwrap();
}

pub(crate) fn access_of(users: impl IntoIterator<Item = UserId>, role: u8) -> Access {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.into_iter().collect(),
        roles: JobTypeRole::new(role).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

pub(crate) fn access(users: &[u8]) -> Access {
    access_of(users.iter().map(|n| user(*n)), 1)
}

pub(crate) fn session(lake: &Lake, who: &Access) -> SecuredSession {
    SecuredSession::new(&lake.snapshot(), who, clock(), SqlLimits::default()).unwrap()
}

/// The answer to a statement: rows as lists of texts, in the order that they came in.
pub(crate) async fn rows(session: &SecuredSession, statement: &str) -> Result<Vec<Vec<String>>, SqlError> {
    let batches = session.query(statement).await?.all().await?;
    Ok(batches.iter().flat_map(texts_of).collect())
}

pub(crate) fn texts_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect();
    (0..batch.num_rows()).map(row).collect()
}

/// The one value that a statement answers.
pub(crate) async fn value(session: &SecuredSession, statement: &str) -> String {
    let rows = rows(session, statement).await.unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{statement}: {rows:?}");
    rows[0][0].clone()
}
