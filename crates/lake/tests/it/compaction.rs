//! Compaction changes where rows lie, and nothing else: whoever is killed, fails, or compacts at the same time.

use crate::it::world::*;
use futures::{StreamExt, stream};
use gridtrail_faults::{Fault, FaultStore, Faults};
use gridtrail_lake::{
    Batch, Compacted, CompactionSettings, Lake, LakeError, LakeSettings, Snapshot, SourceEvidence,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const HOUR: i64 = 3_600_000;
const DEVICES: u8 = 6;
/// Six hours: whatever lies in level 0 is due to be flushed.
pub(crate) const FLUSH: i64 = 6 * HOUR;
/// A day and more: a month is quiet.
pub(crate) const QUIET: i64 = 31 * HOUR;

pub(crate) async fn over(store: Arc<dyn ObjectStore>, clock: Clock) -> Result<Lake, LakeError> {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///compacted") };
    Lake::open(settings, clock).await
}

pub(crate) async fn compact(lake: &Lake) -> Result<Compacted, LakeError> {
    lake.maintenance().await?.compact(&CompactionSettings::default()).await
}

/// A request, or one of its answers, by what identifies it.
pub(crate) fn step(user_number: u8, device_number: u8, counter: u64, answered: bool) -> Event {
    let id = request_id(user_number, device_number, counter);
    // Requests of two months.
    let received_at = at(i64::try_from(counter % 40).unwrap() * 24 * HOUR);
    if answered {
        return event(id, received_at, answer(id, received_at.plus_millis(5_000)));
    }
    let mut request = received(id, received_at);
    request.correlation.concerned_devices = vec![beside(device_number)];
    request
}

/// The Device that requests to a Device name beside it.
fn beside(device_number: u8) -> DeviceId {
    device(100 + device_number)
}

pub(crate) async fn add(lake: &Lake, n: i64, events: impl IntoIterator<Item = Event>) {
    let mut source = source("s", n, n + 1);
    source.finished = false;
    let fragments = fold(events).into_fragments();
    let inventory = fragments.iter().filter_map(told_with).collect();
    let batch = Batch { fragments, inventory, sources: vec![source], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

/// Every row of every User and Device. Those that name another Device are found by that one as well.
pub(crate) async fn rows(lake: &Lake) -> BTreeMap<TrailKey, Fragment> {
    rows_in(&lake.snapshot()).await
}

/// The same of a snapshot.
pub(crate) async fn rows_in(snapshot: &Snapshot) -> BTreeMap<TrailKey, Fragment> {
    let (mut rows, mut named) = (BTreeMap::new(), BTreeMap::new());
    for n in 0..DEVICES {
        for found in snapshot.lookup(&access(&[1, 2]), &query(n)).await.unwrap() {
            assert!(rows.insert(found.fragment.key, found.fragment).is_none(), "a row is shown twice");
        }
        for found in find_by_named(snapshot, &[1, 2], Named::Device(beside(n))).await {
            assert!(named.insert(found.fragment.key, found.fragment).is_none(), "a row is shown twice");
        }
    }
    for event in rows.values().filter_map(told_with) {
        let (id, about) = (event.id.as_str().to_owned(), event.about());
        let Named::Device(device) = about[0] else { panic!("{about:?}") };
        assert!(told_of(snapshot, device).await.contains(&id), "inventory event {id}");
    }
    let names = |row: &&Fragment| !row.concerned_devices().is_empty();
    let expected: Vec<&Fragment> = rows.values().filter(names).collect();
    assert_eq!(named.values().collect::<Vec<_>>(), expected, "by what they name");
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Any events in any batches, compacted at any times: every look-up finds what it would have found without.
    #[test]
    fn look_ups_find_the_same_rows(
        batches in prop::collection::vec(
            (prop::collection::vec((1u8..3, 0..DEVICES, 0u64..60, any::<bool>()), 1..12), 0u8..4),
            1..14,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let clock = Clock::manual(at(1_000_000));
            let plain = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
            let compacted = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
            for (n, (events, then)) in (0..).zip(batches) {
                let events = || events.iter().map(|(user, device, counter, answered)| step(*user, *device, *counter, *answered));
                add(&plain, n, events()).await;
                add(&compacted, n, events()).await;
                clock.advance([0, 0, FLUSH, QUIET][usize::from(then)]);
                if then > 0 {
                    compact(&compacted).await.unwrap();
                }
            }
            assert_eq!(rows(&compacted).await, rows(&plain).await);
            assert_eq!(compacted.writer().await.unwrap().position("file:s"), plain.writer().await.unwrap().position("file:s"));
        });
    }
}

/// Five batches, of which the first is of this number.
pub(crate) async fn fill(lake: &Lake, clock: &Clock, first: i64) {
    for n in first..first + 5 {
        let events = (0u64..24).flat_map(|k| {
            let counter = k + u64::try_from(n).unwrap() * 6;
            [step(1, (k % 6) as u8, counter, false), step(1, (k % 6) as u8, counter, n % 2 == 0)]
        });
        add(lake, n, events).await;
    }
    clock.advance(1);
}

/// What is left when nothing more is due.
pub(crate) async fn settle(lake: &Lake, clock: &Clock) -> Compacted {
    let mut all = Compacted::default();
    for pause in [0, FLUSH, QUIET, QUIET] {
        clock.advance(pause);
        let done = compact(lake).await.unwrap();
        all.jobs += done.jobs;
        all.runs_in += done.runs_in;
        all.runs_out += done.runs_out;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_lake_ends_as_one_run_a_month_and_bucket() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let mut jobs = 0;
    for first in [0, 5, 10] {
        fill(&lake, &clock, first).await;
        clock.advance(FLUSH);
        jobs += compact(&lake).await.unwrap().jobs;
    }
    let before = rows(&lake).await;
    settle(&lake, &clock).await;
    assert_eq!(rows(&lake).await, before);
    // Three flushes of two months each, and then folds: a bucket had three runs.
    assert!(jobs >= 8, "{jobs}");
    // Six Devices lie in at most six of the buckets, in each of two months.
    assert!(lake.counts().runs <= 12, "{}", lake.counts().runs);
    assert_eq!(compact(&lake).await.unwrap(), Compacted::default(), "and then nothing is due");
    // The fragments of a row are one now.
    assert_eq!(lake.counts().fragments, before.len() as u64);
}

/// Two processes compact the same lake, again and again, while a third adds to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compactions_at_once_double_and_lose_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = Clock::manual(at(1_000_000));
    let writer = over(Arc::clone(&store), clock.clone()).await.unwrap();
    let (one, two) = (
        over(Arc::clone(&store), clock.clone()).await.unwrap(),
        over(Arc::clone(&store), clock.clone()).await.unwrap(),
    );
    let plain = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let (mut overtaken, mut jobs) = (0, 0);
    for n in 0..24 {
        let events = || (0u64..12).map(move |k| step(1, (k % 6) as u8, k * 3 + (n as u64) % 7, n % 3 == 0));
        add(&plain, n, events()).await;
        if n % 4 == 3 {
            clock.advance(if n % 8 == 3 { FLUSH } else { QUIET });
        }
        let (added, first, second) = tokio::join!(add(&writer, n, events()), compact(&one), compact(&two));
        let ((), first, second) = (added, first.unwrap(), second.unwrap());
        overtaken += first.overtaken + second.overtaken;
        jobs += first.jobs + second.jobs;
    }
    for lake in [&writer, &one, &two, &plain] {
        lake.refresh().await.unwrap();
    }
    println!("{jobs} jobs, {overtaken} more were overtaken");
    assert!(overtaken > 0, "the two never met");
    let wanted = rows(&plain).await;
    for lake in [&writer, &one, &two] {
        assert_eq!(rows(lake).await, wanted);
    }
}

/// A copy of a store, behind one that fails.
pub(crate) fn faulty(inner: &InMemory) -> (Arc<InMemory>, Arc<dyn ObjectStore>, Faults) {
    let inner = Arc::new(inner.fork());
    let (store, faults) = FaultStore::new(inner.clone());
    (inner, Arc::new(store), faults)
}

/// Of each way to fail every so-manieth operation, with another one first for each; at full size, all.
pub(crate) fn some_of(faults: &[Fault], operations: u64, every: u64) -> impl Iterator<Item = (u64, Fault)> {
    let every = if std::env::var_os("GRIDTRAIL_EVERY_FAULT").is_some() { 1 } else { every };
    let of = move |(first, fault): (u64, Fault)| {
        let here = (0..operations).filter(move |operation| operation % every == first % every);
        here.map(move |operation| (operation, fault))
    };
    (0..).zip(faults.to_vec()).flat_map(of)
}

/// Every operation of a compaction fails in every way. What it leaves is the lake as it was or as it was to be; the next
/// one ends the work.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_a_compaction_may_fail_in_every_way() {
    let clock = Clock::manual(at(1_000_000));
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    fill(&lake, &clock, 0).await;
    let wanted = rows(&lake).await;
    clock.advance(FLUSH);
    let filled = store.fork();
    let (_, counted, faults) = faulty(&filled);
    compact(&over(counted, clock.clone()).await.unwrap()).await.unwrap();
    let operations = faults.operations();
    assert!(operations > 30, "{operations}");
    let all = some_of(&Fault::ALL, operations, 4);
    let cases: usize = stream::iter(all)
        .map(|(operation, fault)| {
            let (inner, store, faults) = faulty(&filled);
            let (clock, wanted) = (clock.clone(), wanted.clone());
            async move {
                faults.at(operation, fault);
                if let Ok(lake) = over(store, clock.clone()).await {
                    // It says so, or it is no matter.
                    let _ = compact(&lake).await;
                }
                let Some(what) = faults.last() else { return 0 };
                let lake = over(inner, clock.clone()).await.unwrap();
                assert_eq!(rows(&lake).await, wanted, "{what}");
                for file in lake.named_files().await.unwrap() {
                    assert_eq!(file.found, Some(file.size), "{what}: {}", file.path);
                }
                settle(&lake, &Clock::manual(clock.now().plus_millis(2 * QUIET))).await;
                assert_eq!(rows(&lake).await, wanted, "{what}, and compacted again");
                1
            }
        })
        .buffer_unordered(4)
        .fold(0, |sum, case| async move { sum + case })
        .await;
    println!("{operations} operations, {cases} faults: no row lost, doubled or changed");
    assert!(cases > 30, "{cases}");
}

/// A run whose bytes were changed is named, and nothing is taken away for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_run_is_named_and_stays() {
    let clock = Clock::manual(at(1_000_000));
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    fill(&lake, &clock, 0).await;
    let run =
        lake.named_files().await.unwrap().into_iter().find(|file| file.path.contains("month=")).unwrap();
    let path = object_store::path::Path::from(run.path.as_str());
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    let mut changed = bytes.to_vec();
    changed[100] ^= 0xFF;
    store.put(&path, changed.into()).await.unwrap();
    clock.advance(FLUSH);
    let fresh = over(store.clone(), clock.clone()).await.unwrap();
    // Most changes are seen; one that is not seen here has changed no key, and the checksum of the run tells.
    if let Err(error) = compact(&fresh).await {
        assert!(error.to_string().contains(&run.path), "{error}");
        assert!(lake.named_files().await.unwrap().iter().any(|file| file.path == run.path));
    }
    store.put(&path, bytes.into()).await.unwrap();
}

/// Evidence has nothing to say of a compaction: positions of sources stay where they were.
#[tokio::test(flavor = "multi_thread")]
async fn positions_and_evidence_stay_as_they_were() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    fill(&lake, &clock, 0).await;
    let evidence = async || {
        let mut all: Vec<SourceEvidence> = Vec::new();
        let mut take = |commit: gridtrail_lake::Commit| {
            for evidence in commit.sources {
                match evidence {
                    gridtrail_lake::Evidence::Whole(evidence) => all.push(*evidence),
                    gridtrail_lake::Evidence::Broken(text) => panic!("{text}"),
                }
            }
        };
        let end = lake.evidence(&mut take).await.unwrap();
        (all, end.positions)
    };
    let before = evidence().await;
    settle(&lake, &clock).await;
    assert_eq!(evidence().await, before);
}
