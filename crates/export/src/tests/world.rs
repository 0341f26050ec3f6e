//! Events by hand, a lake to put them into, and copies to compare with it.

use crate::columns;
use crate::data::rows_of;
use crate::tables::MadeOf;
use crate::{Copied, CopiedTable, Copy, Location, Purpose};
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use gridtrail_access::Access;
use gridtrail_lake::{
    Batch, CompactionSettings, Lake, LakeSettings, ScanQuery, Snapshot, SourceEvidence, Writer,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

pub(crate) const HOUR: i64 = 3_600_000;
/// The first instant of March 2026.
pub(crate) const MARCH: i64 = 1_772_323_200_000;

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(MARCH + millis).unwrap()
}

pub(crate) fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, n])
}

pub(crate) fn request_id(u: u8, d: u8, counter: u64) -> RequestId {
    let target = DeviceId::from_bytes([0, 0xDB, 0, 0, 0, 0, 0, d]);
    RequestId { originator: user(u), target, counter }
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

/// The same, of a variant that is no meter read.
pub(crate) fn of_variant(variant: &str, mut event: Event) -> Event {
    event.correlation.variant = Some(variant.parse().unwrap());
    event
}

fn answer(id: RequestId, at: Timestamp) -> Body {
    Body::ResponseSent(ResponseSent {
        response_id: Some(ResponseId::mirror_of(&id)),
        code: "I0".parse().unwrap(),
        at,
        content: ResponseContent::ServiceResponse,
    })
}

/// The answer to a request that claims when that was received.
pub(crate) fn answered(id: RequestId, claimed: Timestamp) -> Event {
    event(id, claimed, answer(id, claimed.plus_millis(5_000)))
}

/// An answer as DUIS sends it: it names the request and nothing else.
pub(crate) fn bare_answer(id: RequestId, sent: Timestamp) -> Event {
    let mut event = event(id, sent, answer(id, sent));
    event.correlation = Correlation { request_id: Some(id), ..Correlation::of_user(id.originator) };
    event
}

/// A lake in memory and one that writes to it; `store` stands for it.
pub(crate) async fn lake(name: &str, store: Option<Arc<dyn ObjectStore>>, clock: Clock) -> (Lake, Writer) {
    let settings = LakeSettings { store, ..LakeSettings::at(format!("memory:///{name}")) };
    let lake = Lake::open(settings, clock).await.unwrap();
    let writer = lake.writer().await.unwrap();
    (lake, writer)
}

/// Commits events as one batch of their own source; what has no place is joined or parked as ingest does it.
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
    let source = SourceEvidence {
        source: format!("file:{name}"),
        name: name.to_owned(),
        first: true,
        to: 1,
        recorded_max_ms: Some(at(0).millis()),
        finished: true,
        ..SourceEvidence::default()
    };
    let batch = Batch { fragments: fold.into_fragments(), parked, sources: vec![source], ..Batch::default() };
    writer.commit(batch).await.unwrap();
}

pub(crate) async fn compact(lake: &Lake) {
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.unwrap().compact(&full).await.unwrap();
}

pub(crate) fn operator() -> (Access, Purpose) {
    let who = Access::of_operator("tester", at(0)).unwrap();
    (who, Purpose { party: None, by: "tester".to_owned() })
}

pub(crate) fn somewhere() -> Location {
    Location::parse("memory:///copy", &HashMap::new()).unwrap()
}

/// Brings a copy up to the newest version of a lake.
pub(crate) async fn bring_up(copy: &mut Copy, lake: &Lake) -> Copied {
    lake.refresh().await.unwrap();
    let (who, purpose) = operator();
    copy.bring_up_to(lake, (&who, &purpose), &lake.snapshot()).await.unwrap()
}

pub(crate) fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| format!("{}|", column.value(row))).collect::<String>())
        .collect()
}

/// Every row of a copy, sorted.
pub(crate) async fn copied_rows(copy: &Copy) -> Vec<String> {
    let mut rows = Vec::new();
    for file in copy.files().unwrap() {
        let batches = rows_of(file.fetch(&copy.table).await.unwrap(), &file.file.path).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, file.summary.rows);
        for batch in batches {
            rows.extend(lines(&batch));
        }
    }
    rows.sort();
    rows
}

/// Every row that a scan gives, as a copy is to have it; sorted.
pub(crate) async fn scanned_rows(snapshot: &Arc<Snapshot>, who: &Access, table: CopiedTable) -> Vec<String> {
    let mut all = Vec::new();
    let MadeOf::Trails(view) = table.made_of() else { panic!("{table} has no trails") };
    let query = ScanQuery::all(view);
    for part in snapshot.scan(who, query, NonZeroU32::MIN).await.unwrap() {
        let mut rows = part.rows();
        while let Some(found) = rows.next().await.unwrap() {
            all.extend(lines(&columns::batch((who, view), &found).unwrap()));
        }
    }
    all.sort();
    all
}

/// Asserts that a copy has what a scan gives.
pub(crate) async fn assert_equal(copy: &Copy, lake: &Lake, why: &str) {
    let (who, _) = operator();
    let (found, expected) =
        (copied_rows(copy).await, scanned_rows(&lake.snapshot(), &who, copy.kind()).await);
    if found == expected {
        return;
    }
    let missing: Vec<_> = expected.iter().filter(|row| !found.contains(row)).take(3).collect();
    let surplus: Vec<_> = found.iter().filter(|row| !expected.contains(row)).take(3).collect();
    panic!(
        "{why}: {} rows and not {}; missing {missing:#?}; too many {surplus:#?}",
        found.len(),
        expected.len()
    );
}
