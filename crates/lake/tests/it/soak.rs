//! Everything at once: five writers, a compaction, a vacuum with log clean-up, and eight readers that stay at a version for
//! days. Nobody meets a file that is not there, and no row is lost, doubled or changed.
//!
//! Each has the lake open for itself, as processes have. `GRIDTRAIL_SOAK_COMMITS` raises the number of commits.

use crate::it::compaction::{HOUR, compact, over, rows, settle, step};
use crate::it::faults::setting;
use crate::it::world::*;
use gridtrail_faults::DatedStore;
use gridtrail_lake::{Batch, Lake, Snapshot, VerifySettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::RwLock;

const WRITERS: u64 = 5;
const READERS: u64 = 8;
/// How long a version can be asked for, less than what one step of the clock is.
const WINDOW: i64 = 48 * HOUR;
const STEP: i64 = 10 * HOUR;
/// Commits between two steps.
const COMMITS_A_STEP: u64 = 5;
/// Requests of a writer to each Device.
const ROUNDS: u64 = 40;

/// What all of them share.
struct World {
    store: Arc<dyn ObjectStore>,
    clock: Clock,
    /// Time passes between operations, not within: days would pass within one, for here a few commits are a day.
    passing: RwLock<()>,
    left: AtomicU64,
    /// Rows whose commit was acknowledged.
    acknowledged: Mutex<BTreeSet<TrailKey>>,
    told: Mutex<Vec<Event>>,
}

impl World {
    async fn lake(&self) -> Lake {
        over(Arc::clone(&self.store), self.clock.clone()).await.unwrap()
    }

    fn is_over(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Takes one of the commits that are still to be made.
    fn take_one(&self) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }
}

/// Requests and their answers, each pair in two commits, of which others may come between.
async fn write(world: Arc<World>, number: u64) {
    let mut writer = world.lake().await.writer().await.unwrap();
    let name = format!("w{number}");
    let mut at = 0;
    while world.take_one() {
        let round = u64::try_from(at).unwrap() / 2;
        let events = (0u8..6).map(|device| {
            // The same rows again before long: a version of many commits is read as fast as one of few.
            let counter = (round % ROUNDS * WRITERS + number) * 6 + u64::from(device);
            step(1 + device % 2, device, counter, at % 2 == 1)
        });
        let events: Vec<Event> = events.collect();
        let mut source = source(&name, at, at + 1);
        source.finished = false;
        let fragments = fold(events.clone()).into_fragments();
        let keys: Vec<TrailKey> = fragments.iter().map(|fragment| fragment.key).collect();
        let inventory = fragments.iter().filter_map(told_with).collect();
        let time_stands = world.passing.read().await;
        writer
            .commit(Batch { fragments, inventory, sources: vec![source], ..Batch::default() })
            .await
            .unwrap();
        drop(time_stands);
        world.acknowledged.lock().unwrap().extend(keys);
        world.told.lock().unwrap().extend(events);
        at += 1;
        if world.left.load(Ordering::Acquire).is_multiple_of(COMMITS_A_STEP) {
            let _alone = world.passing.write().await;
            world.clock.advance(STEP);
        }
    }
}

async fn seen(snapshot: &Snapshot) -> BTreeMap<TrailKey, Fragment> {
    let mut seen = BTreeMap::new();
    for device in 0..6 {
        for found in snapshot.lookup(&access(&[1, 2]), &query(device)).await.unwrap() {
            assert!(seen.insert(found.fragment.key, found.fragment).is_none(), "a row is shown twice");
        }
    }
    seen
}

/// Stays at a version until it is too old, and reads all of it now and then, each time with nothing in memory.
async fn read(world: Arc<World>) -> u64 {
    let mut versions = 0;
    while !world.is_over() {
        let before = world.passing.read().await;
        let known = world.acknowledged.lock().unwrap().clone();
        let lake = world.lake().await;
        let (pinned, since) = (lake.snapshot().version().clone(), world.clock.now().millis());
        let first = seen(&lake.snapshot()).await;
        assert!(known.iter().all(|key| first.contains_key(key)), "what was acknowledged is not there");
        drop(before);
        versions += 1;
        loop {
            tokio::task::yield_now().await;
            let _time_stands = world.passing.read().await;
            if world.is_over() || world.clock.now().millis() - since > WINDOW {
                break;
            }
            let snapshot = world.lake().await.snapshot_at(&pinned).await.unwrap();
            assert_eq!(seen(&snapshot).await, first, "a version does not change");
        }
    }
    versions
}

async fn keep_house(world: Arc<World>) -> u64 {
    let lake = world.lake().await;
    let mut runs = 0;
    while !world.is_over() {
        let time_stands = world.passing.read().await;
        runs += compact(&lake).await.unwrap().jobs;
        drop(time_stands);
        tokio::task::yield_now().await;
    }
    runs
}

async fn clean_up(world: Arc<World>) -> u64 {
    let lake = world.lake().await;
    let mut files = 0;
    while !world.is_over() {
        lake.maintenance().await.unwrap().copy_evidence().await.unwrap();
        let gone = lake.maintenance().await.unwrap().vacuum(false).await.unwrap();
        files += gone.iter().map(|table| table.files).sum::<u64>();
        tokio::task::yield_now().await;
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_compaction_vacuum_and_readers_leave_each_other_in_peace() {
    let commits = setting("GRIDTRAIL_SOAK_COMMITS", 120);
    let began = Clock::system().now();
    let clock = Clock::manual(began);
    let ahead = {
        let clock = clock.clone();
        move || Duration::from_millis((clock.now().millis() - began.millis()).unsigned_abs())
    };
    let world = Arc::new(World {
        store: Arc::new(DatedStore::new(Arc::new(InMemory::new()), ahead)),
        clock,
        passing: RwLock::new(()),
        left: AtomicU64::new(commits),
        acknowledged: Mutex::default(),
        told: Mutex::default(),
    });
    let keeping = tokio::spawn(keep_house(Arc::clone(&world)));
    let cleaning = tokio::spawn(clean_up(Arc::clone(&world)));
    let readers: Vec<_> = (0..READERS).map(|_| tokio::spawn(read(Arc::clone(&world)))).collect();
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(Arc::clone(&world), n))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut versions = 0;
    for reader in readers {
        versions += reader.await.unwrap();
    }
    let (jobs, files) = (keeping.await.unwrap(), cleaning.await.unwrap());
    let lake = world.lake().await;
    settle(&lake, &world.clock).await;
    lake.refresh().await.unwrap();
    let told = world.told.lock().unwrap().clone();
    let wanted = fold(told).into_fragments().into_iter().map(|fragment| (fragment.key, fragment));
    assert_eq!(rows(&lake).await, wanted.collect::<BTreeMap<_, _>>());
    assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
    assert!(jobs > 0 && files > 0, "{jobs} compactions, {files} files deleted");
    println!(
        "{commits} commits of {WRITERS} writers, {jobs} compactions, {files} files deleted, {versions} versions pinned: nothing missing"
    );
}
