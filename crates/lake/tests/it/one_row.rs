//! One key whose batches claim different receipt times is one row, and moving it to the smallest loses and doubles nothing.
//!
//! All of it at random, through searches and their pages: `gridtrail_search`, `one_row`.

use crate::it::compaction::{HOUR, add, compact, faulty, over, some_of};
use crate::it::world::*;
use futures::{StreamExt, stream};
use gridtrail_faults::Fault;
use gridtrail_lake::{
    Compacted, CompactionSettings, Found, KeyQuery, Lake, LakeError, United, VerifySettings,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use std::collections::BTreeSet;
use std::sync::Arc;

const DAY: i64 = 24 * HOUR;

/// The answer to a request, which claims another time for the receipt of that.
fn answered(counter: u64, claimed: Timestamp) -> Event {
    let id = request_id(1, 1, counter);
    event(id, claimed, answer(id, claimed.plus_millis(5_000)))
}

async fn a_lake() -> (Arc<InMemory>, Lake, Clock) {
    let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    (store, lake, clock)
}

async fn rows(lake: &Lake) -> Vec<Found> {
    find(lake, &[1], &query(1)).await
}

async fn unite(lake: &Lake) -> Result<United, LakeError> {
    lake.maintenance().await?.unite(&CompactionSettings::default()).await
}

async fn compact_all(lake: &Lake) {
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.unwrap().compact(&full).await.unwrap();
}

async fn several_times(lake: &Lake) -> u64 {
    let verified = lake.verify(&VerifySettings::default()).await.unwrap();
    assert!(verified.is_clean(), "{:#?}", verified.damages);
    verified.rows_at_several_times
}

/// A row that shows what all events of it told, and the later receipt time as a dispute.
fn assert_whole(found: &Found, received: Timestamp, other: Timestamp) {
    let trail = Trail::from(&found.fragment);
    assert_eq!((found.placement, trail.received_at), (received, Some(received)));
    assert_eq!((trail.simplified, trail.history.len()), (Simplified::Success, 2));
    let receipt = "Service Request Received Date/Time";
    assert_eq!(trail.disputes, [Dispute { field: receipt, others: vec![other.to_string()] }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stamps_of_one_receipt_are_one_row_before_and_after_compaction() {
    let (_, lake, _) = a_lake().await;
    let (first, second) = (at(0), at(500));
    add(&lake, 0, [received(request_id(1, 1, 1), first)]).await;
    add(&lake, 1, [answered(1, second)]).await;
    // Others of the Device around them stay what they are.
    add(&lake, 2, [received(request_id(1, 1, 2), at(250)), received(request_id(1, 1, 3), at(900))]).await;
    for compacted in [false, true] {
        let found = rows(&lake).await;
        let counters: Vec<_> = found.iter().map(|f| f.fragment.key.request_id().unwrap().counter).collect();
        assert_eq!(counters, [3, 2, 1]);
        assert_whole(&found[2], first, second);
        assert_eq!(several_times(&lake).await, u64::from(!compacted));
        compact_all(&lake).await;
    }
    assert_eq!(lake.counts().fragments, 3);
}

/// Where the period of a query, or the row that a page begins after, lies between the claims, the row lies where its smallest does.
#[tokio::test(flavor = "multi_thread")]
async fn edges_between_claims_neither_cut_nor_repeat_a_row() {
    let (_, lake, _) = a_lake().await;
    let times = [0, 20 * HOUR, 44 * HOUR, 68 * HOUR].map(at);
    add(&lake, 0, [received(request_id(1, 1, 1), times[0])]).await;
    for (n, time) in (1..).zip(&times[1..]) {
        add(&lake, n, [answered(1, *time)]).await;
    }
    let whole = rows(&lake).await;
    assert_eq!(whole.len(), 1, "each lies within a day of the next");
    for edge in [times[0], at(1), at(HOUR), times[1], at(43 * HOUR), times[3]] {
        let until = KeyQuery { to: Some(edge), ..query(1) };
        assert_eq!(find(&lake, &[1], &until).await, whole, "up to {edge}");
        let since = KeyQuery { from: Some(edge), ..query(1) };
        let inside = if edge == times[0] { whole.clone() } else { Vec::new() };
        assert_eq!(find(&lake, &[1], &since).await, inside, "from {edge} on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_months_apart_are_one_row_once_united() {
    let (_, lake, _) = a_lake().await;
    let (first, second) = (at(0), at(70 * DAY));
    add(&lake, 0, [answered(1, second)]).await;
    compact_all(&lake).await;
    add(&lake, 1, [received(request_id(1, 1, 1), first)]).await;
    assert_eq!(rows(&lake).await.len(), 2);
    assert_eq!(several_times(&lake).await, 1);
    let before = lake.snapshot();
    let done = unite(&lake).await.unwrap();
    assert_eq!((done.rows, done.fragments, done.overtaken), (1, 1, 0));
    let found = rows(&lake).await;
    assert_eq!(found.len(), 1);
    assert_whole(&found[0], first, second);
    assert_eq!(several_times(&lake).await, 0);
    assert_eq!(before.lookup(&access(&[1]), &query(1)).await.unwrap().len(), 2, "what was stays as it was");
    assert_eq!(unite(&lake).await.unwrap(), United::default(), "nothing is new");
    // An event that claims the later time again moves, too.
    add(&lake, 2, [answered(1, second)]).await;
    assert_eq!(unite(&lake).await.unwrap().fragments, 1);
    assert_eq!(rows(&lake).await, found);
}

/// Whoever keeps the lake in order finds them without being told.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_unites_every_six_hours() {
    let (_, lake, clock) = a_lake().await;
    add(&lake, 0, [received(request_id(1, 1, 1), at(0))]).await;
    compact(&lake).await.unwrap();
    add(&lake, 1, [answered(1, at(40 * DAY))]).await;
    compact(&lake).await.unwrap();
    assert_eq!(rows(&lake).await.len(), 2);
    clock.advance(6 * HOUR);
    compact(&lake).await.unwrap();
    assert_eq!(rows(&lake).await.len(), 1);
}

/// Where events disagree on the Device, too, each Device has its part of the row, all at one time.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_row_under_several_devices_come_to_lie_at_one_time() {
    let (_, lake, _) = a_lake().await;
    let (first, second) = (at(0), at(40 * DAY));
    add(&lake, 0, [received(request_id(1, 1, 1), first)]).await;
    let mut elsewhere = answered(1, second);
    elsewhere.correlation.device_id = Some(device(2));
    add(&lake, 1, [elsewhere]).await;
    unite(&lake).await.unwrap();
    for number in [1, 2] {
        let found = find(&lake, &[1], &query(number)).await;
        assert_eq!(found.len(), 1, "Device {number}");
        assert_eq!(found[0].placement, first);
        assert_eq!(found[0].fragment.device.value(), Some(&device(number)));
    }
    assert_eq!(several_times(&lake).await, 0);
}

/// Rows of several parts, the first time that all of them are looked at: two fragments of each lie in different months, in the same bucket, in
/// two of level 0, in one of either, or under different Devices.
#[tokio::test(flavor = "multi_thread")]
async fn all_rows_are_looked_at_bucket_by_bucket() {
    let (_, lake, _) = a_lake().await;
    const DEVICES: u8 = 40;
    let requests = || (1..=DEVICES).flat_map(|number| (0..75).map(move |counter| (number, counter)));
    let begin = |(number, counter): (u8, u64)| received(request_id(1, number, counter), at(0));
    let end = |(number, counter): (u8, u64)| {
        let id = request_id(1, number, counter);
        let later = at((counter % 3).cast_signed() * 40 * DAY);
        let mut event = event(id, later, answer(id, later));
        if counter % 5 == 0 {
            event.correlation.device_id = Some(device(DEVICES + 1 - number));
        }
        event
    };
    let compacted = |(_, counter): &(u8, u64)| counter % 2 == 0;
    // Both compacted, only the later one, only the earlier one, and none.
    add(&lake, 0, requests().filter(compacted).map(end)).await;
    add(&lake, 1, requests().filter(|(_, counter)| counter % 4 == 0).map(begin)).await;
    add(&lake, 2, requests().filter(|(_, counter)| counter % 4 == 1).map(begin)).await;
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    let mut maintenance = lake.maintenance().await.unwrap();
    maintenance.compact_tables(&full, &mut Compacted::default()).await.unwrap();
    add(&lake, 3, requests().filter(|(_, counter)| counter % 4 >= 2).map(begin)).await;
    add(&lake, 4, requests().filter(|of| !compacted(of)).map(end)).await;
    assert!(several_times(&lake).await > 0);
    let united = unite(&lake).await.unwrap();
    assert_eq!((united.rows, united.overtaken), (u64::from(DEVICES) * 50, 0), "two of three lie apart");
    for number in 1..=DEVICES {
        let found = find(&lake, &[1], &query(number)).await;
        let keys: BTreeSet<TrailKey> = found.iter().map(|of| of.fragment.key).collect();
        assert_eq!(keys.len(), found.len(), "each row of Device {number} is there once");
        assert!(found.iter().all(|of| of.placement == at(0)), "Device {number}");
        let history: usize = found.iter().map(|of| of.fragment.history().len()).sum();
        assert_eq!(history, 150, "Device {number}: as many answers came from another as went to it");
    }
    assert_eq!(several_times(&lake).await, 0);
}

/// Cut short anywhere, a fragment lies where it lay or where it belongs: no row is lost or doubled, and it can be ended.
#[tokio::test(flavor = "multi_thread")]
async fn uniting_may_be_cut_short_anywhere() {
    let (store, lake, clock) = a_lake().await;
    for n in 0..4_u64 {
        let counters = || (0..6).map(move |k| 10 * k + n);
        add(&lake, n.cast_signed() * 2, counters().map(|k| received(request_id(1, 1, k), at(0)))).await;
        compact_all(&lake).await;
        let later = |k: u64| at((k % 3).cast_signed() * 40 * DAY);
        add(&lake, n.cast_signed() * 2 + 1, counters().map(|k| answered(k, later(k)))).await;
    }
    let facts = |found: &[Found]| {
        let mut keys: Vec<_> = found.iter().map(|f| f.fragment.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let history: usize = found.iter().map(|f| f.fragment.history().len()).sum();
        (keys, history)
    };
    let wanted = facts(&rows(&lake).await);
    let filled = store.fork();
    let (_, counted, faults) = faulty(&filled);
    unite(&over(counted, clock.clone()).await.unwrap()).await.unwrap();
    let operations = faults.operations();
    let all = some_of(&[Fault::Before, Fault::AnswerLost, Fault::ShortRead], operations, 3);
    let cases: usize = stream::iter(all)
        .map(|(operation, fault)| {
            let (inner, store, faults) = faulty(&filled);
            let (clock, wanted) = (clock.clone(), wanted.clone());
            async move {
                faults.at(operation, fault);
                if let Ok(lake) = over(store, clock.clone()).await {
                    let _ = unite(&lake).await;
                }
                let Some(what) = faults.last() else { return 0 };
                let lake = over(inner, clock.clone()).await.unwrap();
                assert_eq!(facts(&rows(&lake).await), wanted, "{what}");
                unite(&lake).await.unwrap();
                assert_eq!(facts(&rows(&lake).await), wanted, "{what}, and ended");
                assert_eq!(rows(&lake).await.len(), wanted.0.len(), "{what}, and ended");
                1
            }
        })
        .buffer_unordered(4)
        .fold(0, |sum, case| async move { sum + case })
        .await;
    println!("{operations} operations, {cases} cuts: no row lost, doubled or changed");
    assert!(cases > 20, "{cases}");
}
