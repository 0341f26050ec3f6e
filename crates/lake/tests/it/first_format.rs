//! A lake of the first format, as the build before page checksums wrote it, is read, searched, verified and compacted.
//!
//! `testdata/first-format` was written by that build, with this very file: `GRIDTRAIL_WRITE_FIXTURE=FOLDER` and
//! `--ignored the_fixture_is_written_on_demand` write one by the build at hand. Two months, level 0 and buckets, all side tables.

use crate::it::access_log::calls;
use crate::it::world::*;
use gridtrail_access::{AccessEvent, AccessRecord, Assignment};
use gridtrail_lake::{Batch, CompactionSettings, Evidence, HoldScope, Lake, LakeSettings, VerifySettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const HOUR: i64 = 3_600_000;
const COMMITS: u64 = 5;
pub(crate) const DEVICES: u8 = 12;
/// Requests to each Device in a commit.
const EACH: u64 = 4;

/// The id of a request of a commit.
fn id(device: u8, commit: u64, n: u64) -> RequestId {
    request_id(1 + device % 2, device, 1 + commit * 100 + n)
}

/// When it was received: in one of two months.
fn received_at(device: u8, commit: u64, n: u64) -> Timestamp {
    at(i64::try_from((n % 2) * 31 * 24).unwrap() * HOUR
        + i64::try_from(commit * 10_000 + n * 1_000).unwrap()
        + i64::from(device))
}

/// The requests of a commit, and the answers to those of the commit before it.
fn events(commit: u64) -> Vec<Event> {
    let all = (0..DEVICES).flat_map(|device| (0..EACH).map(move |n| (device, n)));
    let of = |(device, n): (u8, u64)| {
        let request = received(id(device, commit, n), received_at(device, commit, n));
        let answered = commit.checked_sub(1).map(|before| {
            let (id, at) = (id(device, before, n), received_at(device, before, n));
            event(id, at, answer(id, at.plus_millis(30_000)))
        });
        std::iter::once(request).chain(answered)
    };
    all.flat_map(of).collect()
}

fn assigned(n: u64) -> AccessRecord {
    let to = Assignment { party: "region".parse().unwrap(), role: UserRole::IS, descriptor: None };
    let event = AccessEvent::Assigned { user_id: user(1), to: Some(to), from: at(0) };
    AccessRecord { id: format!("a{n}").parse().unwrap(), recorded_at: at(1), event }
}

/// The answer to a request that is not on record.
fn waiting(commit: u64) -> Event {
    bare_answer(request_id(1, 1, 90_000 + commit), at(i64::try_from(commit).unwrap() * 1_000))
}

/// Fills a lake with what the fixture holds.
pub(crate) async fn fill(lake: &Lake, clock: &Clock) {
    lake.maintenance().await.unwrap().rebucket(4, &CompactionSettings::default()).await.unwrap();
    for commit in 0..COMMITS {
        let position = i64::try_from(commit).unwrap();
        let batch = Batch {
            fragments: fold(events(commit)).into_fragments(),
            parked: fold([waiting(commit)]).take_unplaced(),
            access: if commit % 2 == 0 { vec![assigned(commit)] } else { Vec::new() },
            dead_letters: if commit % 2 == 0 {
                vec![letter("file:s", position, &[1, 2, 3])]
            } else {
                Vec::new()
            },
            sources: vec![source("s", position, position + 1)],
            ..Batch::default()
        };
        lake.writer().await.unwrap().commit(batch).await.unwrap();
        if commit == 2 {
            calls(lake, clock, 1, true).await;
            clock.advance(7 * HOUR);
            let mut maintenance = lake.maintenance().await.unwrap();
            maintenance.compact(&CompactionSettings::default()).await.unwrap();
            maintenance.copy_evidence().await.unwrap();
        }
    }
    let scope = HoldScope { device: Some(device(1)), ..HoldScope::default() };
    lake.place_hold(scope, "tester", "a case").await.unwrap();
}

/// Writes the fixture, where that is asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a fixture, into the folder that GRIDTRAIL_WRITE_FIXTURE names"]
async fn the_fixture_is_written_on_demand() {
    let folder = std::env::var_os("GRIDTRAIL_WRITE_FIXTURE").expect("GRIDTRAIL_WRITE_FIXTURE names a folder");
    let clock = Clock::manual(at(1_000_000));
    let settings = LakeSettings::at(folder.to_str().unwrap());
    let lake = Lake::open(settings, clock.clone()).await.unwrap();
    fill(&lake, &clock).await;
}

/// The fixture, in memory.
async fn fixture() -> Arc<InMemory> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/first-format");
    let store = Arc::new(InMemory::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Parts of the path, since a month's folder has a sign in its name that the store would escape.
            let parts =
                path.strip_prefix(&root).unwrap().iter().map(|part| part.to_str().unwrap().to_owned());
            let key = Path::from_iter(std::iter::once("first".to_owned()).chain(parts));
            store.put(&key, std::fs::read(&path).unwrap().into()).await.unwrap();
        }
    }
    store
}

async fn open_fixture(clock: &Clock) -> Lake {
    let settings =
        LakeSettings { store: Some(fixture().await), create: false, ..LakeSettings::at("memory:///first") };
    Lake::open(settings, clock.clone()).await.unwrap()
}

/// What a search shows of a row, as far as every version knows it.
type Shown = BTreeMap<(TrailKey, Timestamp), usize>;

/// What the events come to: each row with its place and how many changes it has.
fn expected(device_number: u8) -> Shown {
    let all = fold((0..COMMITS).flat_map(events)).into_fragments();
    let of_device =
        all.into_iter().filter(|fragment| fragment.device.value() == Some(&device(device_number)));
    of_device.map(|f| ((f.key, f.placement().unwrap()), f.history().len())).collect()
}

async fn check_rows(lake: &Lake) {
    for number in 0..DEVICES {
        let found = find(lake, &[1, 2], &query(number)).await;
        let waits =
            |found: &&gridtrail_lake::Found| matches!(found.fragment.key.subject, Subject::Unjoined(_));
        let waiting = found.iter().filter(waits).count() as u64;
        assert_eq!(waiting, if number == 1 { COMMITS } else { 0 }, "Device {number}");
        let placed = found.iter().filter(|found| !waits(found));
        let shown: Shown =
            placed.map(|f| ((f.fragment.key, f.placement), f.fragment.history().len())).collect();
        assert_eq!(shown, expected(number), "Device {number}");
    }
    let devices = lake.snapshot().devices_of("1217290354420".parse().unwrap()).await.unwrap();
    assert_eq!(devices.len(), usize::from(DEVICES));
}

async fn check_whole(lake: &Lake) {
    let found = lake.verify(&VerifySettings::default()).await.unwrap();
    assert_eq!(found.damages, [], "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_the_first_format_is_read_searched_verified_and_compacted() {
    let clock = Clock::manual(at(8 * HOUR));
    let lake = open_fixture(&clock).await;
    check_whole(&lake).await;
    check_rows(&lake).await;
    assert_eq!(lake.dead_letters().await.unwrap().rest().await.unwrap().len(), 3);
    assert_eq!(lake.holds().await.unwrap().len(), 1);
    assert!(lake.sharing().await.unwrap().current().owner(user(1), at(2)).is_some());
    let mut log = lake.read_access_log(None, None).await.unwrap();
    assert!(log.next().await.unwrap().is_some_and(|rows| rows.len() == 3));
    let mut whole = 0;
    let count = |commit: gridtrail_lake::Commit| {
        whole += commit.sources.iter().filter(|evidence| matches!(evidence, Evidence::Whole(_))).count();
    };
    lake.evidence(count).await.unwrap();
    assert_eq!(whole as u64, COMMITS);

    let rows = lake.counts().fragments;
    let mut maintenance = lake.maintenance().await.unwrap();
    maintenance.sweep().await.unwrap();
    maintenance.copy_evidence().await.unwrap();
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    assert!(maintenance.compact(&full).await.unwrap().jobs > 0);
    assert!(lake.counts().fragments < rows, "fragments of one row were merged");
    check_rows(&lake).await;
    check_whole(&lake).await;
    // And it takes in more.
    let mut writer = lake.writer().await.unwrap();
    commit(&mut writer, "more", [received(request_id(1, 1, 70_000), at(5))]).await;
    check_whole(&lake).await;
}
