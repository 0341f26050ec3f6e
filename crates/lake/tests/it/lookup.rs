//! Look-up by Device: nothing lost, nothing doubled, in order.

use crate::it::world::*;
use gridtrail_faults::RecordingStore;
use gridtrail_lake::{Batch, CompactionSettings, Elsewhere, KeyQuery, Lake, LakeSettings, RowPosition, View};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Events of a few Users and Devices, with times that collide often.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (1u8..3, 1u8..4, 0u64..6, 0i64..4, 0usize..4, prop::option::of("[a-z]{1,9}"));
    prop::collection::vec(one, 1..60).prop_map(|all| {
        all.into_iter()
            .map(|(u, d, counter, step, kind, cause)| {
                // The receipt time is a function of the request, as it is in life.
                let id = request_id(u, d, counter);
                let start = at((counter / 2 * 1_000).cast_signed());
                let then = start.plus_millis(step * 40_000_000);
                let body = match kind {
                    0 => Body::RequestReceived(RequestReceived::default()),
                    1 => answer(id, then),
                    _ => Body::StatusChanged(StatusChanged {
                        state: State::SentToDevice,
                        at: then,
                        code: None,
                        cause: cause.map(|c| c.parse().unwrap()),
                    }),
                };
                Event { recorded_at: then, ..event(id, start, body) }
            })
            .collect()
    })
}

fn oracle(events: &[Event], u: u8, d: u8) -> Vec<(RowPosition, Fragment)> {
    let rows: BTreeMap<_, _> = fold(events.iter().cloned())
        .into_fragments()
        .into_iter()
        .filter(|f| f.key.user == user(u) && f.device.value() == Some(&device(d)))
        .map(|f| (RowPosition { placement: f.placement().unwrap(), key: f.key }, f))
        .collect();
    rows.into_iter().rev().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the batches, pages of any size give exactly the rows of a fold over everything, newest first.
    #[test]
    fn pages_over_any_batches_equal_one_fold(events in events(), batch in 1usize..20, page in 1usize..5) {
        runtime().block_on(async {
            let (lake, mut writer) = memory().await;
            for (n, part) in events.chunks(batch).enumerate() {
                commit(&mut writer, &n.to_string(), part.iter().cloned()).await;
            }
            for (u, d) in [(1, 1), (1, 2), (2, 3)] {
                let expected = oracle(&events, u, d);
                let mut found = Vec::new();
                let mut query = query(d);
                query.limit = page;
                loop {
                    let rows = find(&lake, &[u], &query).await;
                    assert!(rows.len() <= page);
                    let Some(last) = rows.last() else { break };
                    query.before = Some(RowPosition { placement: last.placement, key: last.fragment.key });
                    found.extend(rows.into_iter().map(|f| (RowPosition { placement: f.placement, key: f.fragment.key }, f.fragment)));
                }
                assert_eq!(found, expected);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_and_to_are_inclusive() {
    let (lake, mut writer) = memory().await;
    commit(&mut writer, "a", (0..10).map(|n| received(request_id(1, 1, n), at(n.cast_signed() * 1_000))))
        .await;
    let mut query = query(1);
    (query.from, query.to) = (Some(at(2_000)), Some(at(5_000)));
    let counters: Vec<_> = find(&lake, &[1], &query)
        .await
        .iter()
        .map(|f| f.fragment.key.request_id().unwrap().counter)
        .collect();
    assert_eq!(counters, [5, 4, 3, 2]);
}

/// Every kind of row survives storage with every field, disputes and full-range counters included.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_reads_back() {
    let (lake, mut writer) = memory().await;
    let id = request_id(1, 1, u64::MAX);
    let mut first = received(id, at(0));
    first.correlation.csp_region = Some(CspRegion::FourGSouth);
    first.correlation.mode = Some(Mode::FutureDate);
    first.correlation.preceding_request_id = Some(request_id(1, 1, 7));
    first.correlation.gbcs_originator_counter = Some(1302);
    first.body = Body::RequestReceived(RequestReceived { execution_at: Some(at(9_000)) });
    let mut disputed = event(id, at(0), answer(id, at(5_000)));
    disputed.correlation.mpxn = Some("000123".parse().unwrap());
    let alert = Event {
        correlation: Correlation { device_id: Some(device(1)), ..Correlation::of_user(user(1)) },
        body: Body::DeviceAlert(Alert {
            response_id: "00-DB-00-00-00-00-00-01:90-B3-00-00-00-00-00-01:44".parse().unwrap(),
            code: "8F36".parse().unwrap(),
            at: at(6_000),
            sent_at: Some(at(6_500)),
            throttle_sequence: Some(u32::MAX),
            throttle_count: Some(12),
            affects: None,
        }),
        ..first.clone()
    };
    let mut run = event(
        id,
        at(7_000),
        Body::ResponseSent(ResponseSent {
            response_id: Some(ResponseId::mirror_of(&request_id(1, 1, 5))),
            code: "W110101".parse().unwrap(),
            at: at(7_000),
            content: ResponseContent::ScheduledRead { schedule_id: 34 },
        }),
    );
    (run.correlation.request_id, run.correlation.command_variant) = (None, None);
    let events = [first, disputed, alert, run];
    let mut expected = fold(events.clone()).into_fragments();
    expected.sort_by_key(|f| f.placement());
    // Two batches, so that the dispute comes about in the merge, too.
    commit(&mut writer, "a", events[..2].to_vec()).await;
    commit(&mut writer, "b", events[1..].to_vec()).await;
    let mut found: Vec<_> = find(&lake, &[1], &query(1)).await.into_iter().map(|f| f.fragment).collect();
    found.reverse();
    assert_eq!(found, expected);
    let trail = Trail::from(&found[0]);
    assert_eq!(trail.disputes[0].field, "MPxN");
    assert_eq!(trail.request_id.unwrap().counter, u64::MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_point_leads_to_every_device_seen_with_it() {
    let (lake, mut writer) = memory().await;
    let mpxn = "1217290354420".parse().unwrap();
    commit(&mut writer, "a", [received(request_id(1, 1, 1), at(0))]).await;
    commit(&mut writer, "b", [received(request_id(1, 3, 1), at(1)), received(request_id(1, 1, 2), at(2))])
        .await;
    let anchors = async |mpxn| lake.snapshot().anchors_of(&access(&[1]), mpxn).await.unwrap().found;
    assert_eq!(anchors(mpxn).await, [device(1), device(3)].map(Anchor::Device));
    assert!(anchors("1312345678111".parse().unwrap()).await.is_empty());
}

/// What others have leads nowhere by a Device, and by a meter point that nothing names to where its neighbour leads, in vain.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_device_is_found_by_those_who_may_see_its_row() {
    let (lake, mut writer) = memory().await;
    let naming = |u, d, beside, variant: &str| {
        let mut event = received(request_id(u, d, 1), at(0));
        event.correlation.concerned_devices = vec![device(beside)];
        event.correlation.variant = variant.parse().ok();
        event
    };
    let events = [naming(1, 1, 11, "6.15.1"), naming(1, 2, 12, "4.8.1"), naming(1, 3, 13, "")];
    commit(&mut writer, "a", events).await;
    let leads = async |u, d| {
        let mut found = Vec::new();
        for view in [View::Audit, View::MeterReads] {
            let named = [Named::Device(device(d))];
            let elsewhere = lake.snapshot().elsewhere((&access(&[u]), view), &named, false).await.unwrap();
            found.push(elsewhere.into_iter().flatten().collect::<Vec<_>>());
        }
        found
    };
    let at_once = |d| Elsewhere { anchor: Anchor::Device(device(d)), at: Some([at(0)].into()) };
    for (beside, under) in [(11, 1), (12, 2), (13, 3)] {
        assert_eq!(leads(1, beside).await[0], [at_once(under)]);
    }
    // Others see meter reads, and so what may turn out to be one.
    assert_eq!(leads(2, 11).await, [[], []]);
    assert_eq!(leads(2, 12).await, [vec![], vec![at_once(2)]]);
    assert_eq!(leads(2, 13).await, [vec![], vec![at_once(3)]]);
    let of =
        async |mpxn: &str| lake.snapshot().anchors_of(&access(&[2]), mpxn.parse().unwrap()).await.unwrap();
    let all = [1, 2, 3].map(|d| Anchor::Device(device(d)));
    let known = of("1217290354420").await;
    assert_eq!((known.found.as_slice(), known.in_vain.as_slice()), (&all[..], &[][..]));
    for absent in ["1217290354421", "1217290354419", "9999999999999", "000001"] {
        let unknown = of(absent).await;
        assert_eq!((unknown.found.as_slice(), unknown.in_vain.as_slice()), (&[][..], &all[..]), "{absent}");
    }
}

/// A row is open by a fragment that may lie days above the one that places it, and above all that was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_row_is_found_however_far_up_it_says_so() {
    const HOURS_20: i64 = 20 * 3_600_000;
    for said_by in 0..3 {
        let (lake, mut writer) = memory().await;
        for n in 0..3 {
            let mut event = received(request_id(1, 1, 1), at(n * HOURS_20));
            event.correlation.variant = "4.8.1".parse().ok().filter(|_| n == said_by);
            commit(&mut writer, &n.to_string(), [event]).await;
        }
        let query = KeyQuery {
            from: Some(at(0)),
            to: Some(at(0)),
            view: gridtrail_lake::View::MeterReads,
            ..query(1)
        };
        let found = find(&lake, &[2], &query).await;
        assert_eq!(found.len(), 1, "said by fragment {said_by}");
        assert_eq!((found[0].placement, found[0].fragment.is_meter_read()), (at(0), true));
    }
}

/// A snapshot never changes, and can be had again by its version after the lake was opened anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_version_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap();
    let (lake, mut writer) = open(address).await;
    commit(&mut writer, "a", [received(request_id(1, 1, 1), at(0))]).await;
    let version = lake.snapshot().version().clone();
    commit(&mut writer, "b", [received(request_id(1, 1, 2), at(1))]).await;
    let (again, _) = open(address).await;
    assert_eq!(find(&again, &[1], &query(1)).await.len(), 2);
    let pinned = again.snapshot_at(&version.to_string().parse().unwrap()).await.unwrap();
    assert_eq!(pinned.lookup(&access(&[1]), &query(1)).await.unwrap().len(), 1);
    assert_eq!(pinned.complete_up_to(), Some(at(0)));
    assert!(again.snapshot_at(&gridtrail_lake::SnapshotVersion::of_trails(999)).await.is_err());
}

/// A look-up of an absent Device opens runs and reads no page: the bloom filter answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_absent_device_costs_no_page() {
    let (lake, mut writer) = memory().await;
    commit(&mut writer, "a", [received(request_id(1, 1, 1), at(0)), received(request_id(1, 9, 1), at(0))])
        .await;
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 1);
    let before = lake.store_use().gets;
    assert!(find(&lake, &[1], &query(5)).await.is_empty());
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 1);
    assert_eq!(lake.store_use().gets, before, "a warm look-up asks the store for nothing");
}

/// The budget of a look-up with nothing in memory: three rounds of requests and two megabytes, over months of compacted runs
/// with newer ones beside them.
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_look_up_keeps_to_its_budget() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = Clock::manual(at(200 * DAY_MS));
    let over = |store| LakeSettings { store: Some(store), ..LakeSettings::at("memory:///budget") };
    let lake = Lake::open(over(Arc::clone(&store)), clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    // Every Device has a request an hour and a half, for ninety days.
    let hour_of = |n: u64| at(i64::try_from(n).unwrap() * DAY_MS / 16);
    let day = |day: u64| {
        let requests = (0..50).flat_map(move |d| (day * 16..day * 16 + 16).map(move |n| (d, n)));
        requests.map(move |(d, n)| received(request_id(1, d, n), hour_of(n)))
    };
    for days in [0..40, 40..80] {
        commit(&mut writer, &days.start.to_string(), days.flat_map(day)).await;
    }
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.unwrap().compact(&full).await.unwrap();
    for days in 80..90 {
        commit(&mut writer, &days.to_string(), day(days)).await;
    }
    for limit in [51, 10_000] {
        let (recorder, recording) = RecordingStore::new(Arc::clone(&store));
        let cold = Lake::open(over(Arc::new(recorder)), clock.clone()).await.unwrap();
        recording.reset();
        let query = KeyQuery { limit, ..query(7) };
        let (found, cost) = cold.snapshot().lookup_with_cost(&access(&[1]), &query).await.unwrap();
        assert_eq!(found.len(), limit.min(90 * 16));
        let (rounds, bytes) = (recording.rounds(), recording.bytes());
        assert!(rounds <= 3 && bytes <= 2_000_000, "{rounds} rounds, {bytes} bytes, {cost:?}");
        assert_eq!((recording.requests(), bytes), (cost.requests, cost.bytes), "the look-up knows its cost");
        let again = cold.snapshot().lookup_with_cost(&access(&[1]), &query).await.unwrap();
        assert_eq!((again.0, again.1.requests, again.1.runs), (found, 0, cost.runs));
    }
}

/// The same where answers wait for their requests: how often the store is waited for depends on neither how many files those lie in, nor how
/// many files lead to rows, and hardly on the months of a lake.
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_look_up_of_what_waits_keeps_to_its_budget() {
    const MONTH_MS: i64 = 31 * 24 * 3_600_000;
    for (months, stages) in [(3, 2), (12, 4)] {
        for files in [1, 20] {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let clock = Clock::manual(at(13 * MONTH_MS));
            let over = |store| LakeSettings { store: Some(store), ..LakeSettings::at("memory:///waits") };
            let lake = Lake::open(over(Arc::clone(&store)), clock.clone()).await.unwrap();
            let mut writer = lake.writer().await.unwrap();
            // Each waits for a request of another month, and one for what never comes. Half of the requests name another target than their
            // Device.
            for n in 0..files {
                let target = if n % 2 == 0 { 7 } else { 200 };
                let mut waiting = bare_answer(request_id(1, target, n), at(12 * MONTH_MS));
                waiting.correlation.device_id = Some(device(7));
                let parked = fold([waiting]).take_unplaced();
                writer.commit(Batch { parked, ..Batch::default() }).await.unwrap();
            }
            for month in 0..months {
                let time = at(month * MONTH_MS);
                let requests = (0..files.max(2) - 1).filter(|n| n.cast_signed() % months == month).map(|n| {
                    let mut request = received(request_id(1, if n % 2 == 0 { 7 } else { 200 }, n), time);
                    request.correlation.device_id = Some(device(7));
                    request.correlation.concerned_devices = vec![device(8)];
                    request
                });
                let others = (20..40).map(|d| received(request_id(1, d, 1), time));
                commit(&mut writer, &format!("month-{month}"), requests.chain(others)).await;
            }
            let (recorder, recording) = RecordingStore::new(Arc::clone(&store));
            let cold = Lake::open(over(Arc::new(recorder)), clock.clone()).await.unwrap();
            let (who, snapshot) = (access(&[1]), cold.snapshot());
            recording.reset();
            let (found, cost) = snapshot.lookup_with_cost(&who, &query(7)).await.unwrap();
            assert_eq!(found.len() as u64, files, "{months} months");
            let rounds = recording.rounds();
            let most = 2 + 4 * stages + 3;
            assert!(rounds <= most, "{months} months, {files} files: {rounds} rounds, {cost:?}");
            assert_eq!((recording.requests(), recording.bytes()), (cost.requests, cost.bytes));
            recording.reset();
            let anchors = snapshot.anchors_of(&who, "1217290354420".parse().unwrap()).await.unwrap();
            assert!(anchors.found.len() > 20 && recording.rounds() <= 2, "{} rounds", recording.rounds());
            recording.reset();
            let devices: Vec<Named> = (0..40).map(|d| Named::Device(device(d))).collect();
            let elsewhere = snapshot.elsewhere((&who, View::Audit), &devices, false).await.unwrap();
            let leading = elsewhere.iter().filter(|places| !places.is_empty()).count();
            assert!(leading == 1 && recording.rounds() <= 2, "{leading}, {} rounds", recording.rounds());
            println!("{months} months, {files} files of what waits: {rounds} rounds of {most}");
        }
    }
}

/// Whether a Device has a row of somebody else must not show in what it costs to be told that there is none for the caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_another_costs_what_one_costs_that_is_not_there() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = Clock::manual(at(100 * 24 * 3_600_000));
    let over = |store| LakeSettings { store: Some(store), ..LakeSettings::at("memory:///equal") };
    let lake = Lake::open(over(Arc::clone(&store)), clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let rows =
        (0..40).flat_map(|d| (0..30).map(move |n| (request_id(2, d, n), at(i64::try_from(n).unwrap()))));
    commit(&mut writer, "a", rows.map(|(id, time)| received(id, time))).await;
    // Asked by reference: a time and a trail key. The last is of a User of whom there is no row at all.
    let mut costs = Vec::new();
    for id in [request_id(2, 7, 12), request_id(2, 7, 999), request_id(3, 7, 12)] {
        let (recorder, _) = RecordingStore::new(Arc::clone(&store));
        let cold = Lake::open(over(Arc::new(recorder)), clock.clone()).await.unwrap();
        let key = fold([received(id, at(12))]).into_fragments().remove(0).key;
        let query = KeyQuery { from: Some(at(12)), to: Some(at(12)), key: Some(key), limit: 1, ..query(7) };
        let (found, cost) = cold.snapshot().lookup_with_cost(&access(&[1]), &query).await.unwrap();
        assert_eq!(found, []);
        costs.push(cost);
    }
    assert!(costs[0].requests > 0 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    // Nor in a search without a reference: 7 has thirty rows of another User, 41 none of anybody.
    let search = async |d: u8| {
        let (recorder, _) = RecordingStore::new(Arc::clone(&store));
        let cold = Lake::open(over(Arc::new(recorder)), clock.clone()).await.unwrap();
        cold.snapshot().lookup_with_cost(&access(&[1]), &query(d)).await.unwrap()
    };
    let (hidden, absent) = (search(7).await, search(41).await);
    assert_eq!(hidden, absent);
    assert_eq!((hidden.0.len(), hidden.1.pages), (0, 0));
}
