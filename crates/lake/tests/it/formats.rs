//! A lake of every format that was ever released is read, searched, verified, compacted and upgraded, and what is of a newer format than any that
//! is known is refused by name.
//!
//! Each folder in `testdata/formats` holds a small lake, as the build wrote it whose format it is of, and `answers.txt`: what that build answered.
//! `scripts/format-fixture NAME` makes one more by the build at hand. Two months, level 0 and buckets, rows in every table.

use crate::it::access_log::calls;
use crate::it::faults::setting;
use crate::it::world::*;
use gridtrail_access::{AccessEvent, AccessRecord, Assignment};
use gridtrail_faults::{Fault, FaultStore};
use gridtrail_lake::{Batch, CompactionSettings, Evidence, HoldScope, Lake, LakeSettings, VerifySettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
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
pub(crate) fn events(commit: u64) -> Vec<Event> {
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
            inventory: vec![commissioned(&format!("i{commit}"), device(1), at(position))],
            anomaly: vec![quarantined(&format!("q{commit}"), commit, at(position))],
            schedules: vec![created(&format!("s{commit}"), commit, at(position))],
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

/// Writes a fixture, where that is asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a fixture, into the folder that GRIDTRAIL_WRITE_FIXTURE names"]
async fn the_fixture_is_written_on_demand() {
    let folder = std::env::var_os("GRIDTRAIL_WRITE_FIXTURE").expect("GRIDTRAIL_WRITE_FIXTURE names a folder");
    let folder = PathBuf::from(folder);
    std::fs::create_dir(&folder).expect("the folder of a fixture is not there yet, and can be made");
    let root = folder.join("lake").to_str().unwrap().to_owned();
    let clock = Clock::manual(at(1_000_000));
    let lake = Lake::open(LakeSettings::at(&root), clock.clone()).await.unwrap();
    fill(&lake, &clock).await;
    for number in 0..DEVICES {
        let found = find(&lake, &[1, 2], &query(number)).await;
        let placed = found.iter().filter(|found| !matches!(found.fragment.key.subject, Subject::Unjoined(_)));
        let shown: Shown =
            placed.map(|f| ((f.fragment.key, f.placement), f.fragment.history().len())).collect();
        assert_eq!(shown, expected(number), "Device {number}");
    }
    check_whole(&lake).await;
    std::fs::write(folder.join("answers.txt"), answers(&lake).await).unwrap();
    // The library writes where the lake lay into the first entry of each table, where nothing of ours reads it.
    for table in gridtrail_lake::table_names() {
        let first = folder.join("lake").join(table).join("_delta_log/00000000000000000000.json");
        let text =
            std::fs::read_to_string(&first).unwrap().replace(&format!("file://{root}/"), "file:///lake/");
        assert!(!text.contains(&root), "{}", first.display());
        std::fs::write(first, text).unwrap();
    }
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

/// All that a lake answers, as far as every version knows it.
async fn answers(lake: &Lake) -> String {
    let mut lines = Vec::new();
    for number in 0..DEVICES {
        for found in find(lake, &[1, 2], &query(number)).await {
            let key = found.fragment.key;
            let of = match key.subject {
                Subject::Leg(leg) => format!("leg {} of {}", leg.command_variant, leg.request_id),
                Subject::Unjoined(request) => format!("waits for {request}"),
                other => panic!("no fixture has {other:?}"),
            };
            let events = found.fragment.history().len();
            lines.push(format!("{} {of}, at {}: {events}", device(number), found.placement));
        }
    }
    lines.sort();
    let devices = lake.snapshot().devices_of("1217290354420".parse().unwrap()).await.unwrap();
    lines.push(format!("Devices of 1217290354420: {}", devices.len()));
    // Earlier builds knew no inventory.
    let told = told_of(&lake.snapshot(), device(1)).await;
    lines.extend(told.iter().map(|id| format!("inventory event of {}: {id}", device(1))));
    // Nor quarantine.
    let held = held(&lake.snapshot(), at(100_000)).await;
    lines.extend(held.iter().map(|counter| format!("quarantined: {counter}")));
    // Nor schedules.
    lines.extend(scheduled(&lake.snapshot()).await.iter().map(|number| format!("schedule: {number}")));
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    lines.extend(
        letters.iter().map(|letter| format!("dead letter of {} at {}", letter.source, letter.position)),
    );
    for hold in lake.holds().await.unwrap() {
        lines.push(format!("hold: {}, {}", hold.placed.who, hold.placed.reason));
    }
    let owner = lake.sharing().await.unwrap().current().owner(user(1), at(2)).cloned();
    lines.push(format!("{} is of {}", user(1), owner.unwrap()));
    let mut log = lake.read_access_log(None, None).await.unwrap();
    let mut calls = 0;
    while let Some(rows) = log.next().await.unwrap() {
        calls += rows.len();
    }
    lines.push(format!("rows of the access log: {calls}"));
    let mut whole = 0;
    let count = |commit: gridtrail_lake::Commit| {
        whole += commit.sources.iter().filter(|evidence| matches!(evidence, Evidence::Whole(_))).count();
    };
    lake.evidence(count).await.unwrap();
    lines.push(format!("sources in evidence: {whole}"));
    lines.join("\n") + "\n"
}

/// A fixture: a lake of a format, and what it answers.
pub(crate) struct Fixture {
    pub(crate) name: String,
    store: Arc<InMemory>,
    answers: String,
}

impl Fixture {
    async fn read(folder: &std::path::Path) -> Self {
        let root = folder.join("lake");
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
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let answers = std::fs::read_to_string(folder.join("answers.txt")).unwrap();
        Self { name, store, answers }
    }

    /// Every fixture.
    pub(crate) async fn all() -> Vec<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/formats");
        let mut folders: Vec<_> =
            std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        let mut all = Vec::new();
        for folder in folders {
            all.push(Self::read(&folder).await);
        }
        assert!(all.len() > 1);
        all
    }

    /// A copy of its lake, opened.
    pub(crate) async fn open(&self) -> Lake {
        over(Arc::new(self.store.fork())).await
    }

    async fn check(&self, lake: &Lake, when: &str) {
        assert_eq!(answers(lake).await, self.answers, "{}, {when}", self.name);
        check_whole(lake).await;
    }
}

pub(crate) async fn over(store: Arc<dyn ObjectStore>) -> Lake {
    let settings = LakeSettings { store: Some(store), create: false, ..LakeSettings::at("memory:///first") };
    Lake::open(settings, Clock::manual(at(8 * HOUR))).await.unwrap()
}

async fn check_whole(lake: &Lake) {
    let found = lake.verify(&VerifySettings::default()).await.unwrap();
    assert_eq!(found.damages, [], "{found:#?}");
}

/// Housekeeping does its work, and more can be taken in.
async fn check_living(fixture: &Fixture, lake: &Lake) {
    let rows = lake.counts().fragments;
    let mut maintenance = lake.maintenance().await.unwrap();
    maintenance.sweep().await.unwrap();
    maintenance.copy_evidence().await.unwrap();
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    assert!(maintenance.compact(&full).await.unwrap().jobs > 0);
    assert!(lake.counts().fragments < rows, "fragments of one row were merged");
    fixture.check(lake, "compacted").await;
    let mut writer = lake.writer().await.unwrap();
    commit(&mut writer, "more", [received(request_id(1, 1, 70_000), at(5))]).await;
    check_whole(lake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_every_format_is_read_searched_verified_and_compacted() {
    for fixture in Fixture::all().await {
        let lake = fixture.open().await;
        fixture.check(&lake, "as it is").await;
        check_living(&fixture, &lake).await;
    }
}

/// Of each table the format that it is of and the one that this build writes.
async fn formats(lake: &Lake) -> Vec<(u32, u32)> {
    let status = lake.inspection().await.unwrap().status().await.unwrap();
    status.tables.iter().map(|table| (table.format, table.newest_format)).collect()
}

/// An upgrade brings every table to this build's format, and changes no answer: not of what was opened before, nor of a moment in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_every_format_is_upgraded_while_searches_go_on() {
    let mut rewritten = BTreeMap::new();
    for fixture in Fixture::all().await {
        let (lake, before) = (fixture.open().await, fixture.open().await);
        let foretold = lake.maintenance().await.unwrap().upgrade(true).await.unwrap();
        fixture.check(&lake, "only looked at").await;
        let version = lake.snapshot().version().to_string();
        let upgraded = lake.maintenance().await.unwrap().upgrade(false).await.unwrap();
        assert!(upgraded.is_whole(), "{upgraded:?}");
        assert_eq!(upgraded, foretold, "{}", fixture.name);
        assert_eq!(answers(&before).await, fixture.answers, "of before, {}", fixture.name);
        fixture.check(&lake, "upgraded").await;
        let pinned = lake.snapshot_at(&version.parse().unwrap()).await.unwrap();
        let found = pinned.lookup(&access(&[1, 2]), &query(1)).await.unwrap();
        assert_eq!(found, find(&lake, &[1, 2], &query(1)).await);
        assert!(formats(&lake).await.iter().all(|(is, newest)| is == newest), "{}", fixture.name);
        // Once more there is nothing to do.
        let again = lake.maintenance().await.unwrap().upgrade(false).await.unwrap();
        assert!(again.tables.is_empty(), "{again:?}");
        check_living(&fixture, &lake).await;
        rewritten.insert(fixture.name, upgraded.tables.iter().map(|table| table.files).sum::<u64>());
    }
    assert!(rewritten["first"] > 10, "files without checksums of pages are written anew: {rewritten:?}");
    assert_eq!(rewritten["page-checksums"], 0, "what has them stays as it is: {rewritten:?}");
}

/// Two upgrades and a compaction at once: one of them is first at each file, and nothing is lost or there twice.
#[tokio::test(flavor = "multi_thread")]
async fn upgrades_and_compactions_at_once_lose_nothing() {
    let fixtures = Fixture::all().await;
    let fixture = fixtures.iter().find(|fixture| fixture.name == "first").unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(fixture.store.fork());
    let (a, b, c) = (over(Arc::clone(&store)).await, over(Arc::clone(&store)).await, over(store).await);
    let (mut one, mut other) = (a.maintenance().await.unwrap(), b.maintenance().await.unwrap());
    let mut compacting = c.maintenance().await.unwrap();
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    let (one, other, compacted) =
        tokio::join!(one.upgrade(false), other.upgrade(false), compacting.compact(&full));
    compacted.unwrap();
    assert!(one.unwrap().is_whole() && other.unwrap().is_whole());
    a.refresh().await.unwrap();
    fixture.check(&a, "upgraded and compacted at once").await;
    assert!(formats(&a).await.iter().all(|(is, newest)| is == newest));
    assert!(a.maintenance().await.unwrap().upgrade(false).await.unwrap().tables.is_empty());
}

/// Cut short at any operation, an upgrade goes on where it is called again. By day at some of all operations.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_cut_short_anywhere_is_called_again() {
    let fixtures = Fixture::all().await;
    let fixture = fixtures.iter().find(|fixture| fixture.name == "first").unwrap();
    let (store, faults) = FaultStore::new(Arc::new(fixture.store.fork()));
    let lake = over(Arc::new(store)).await;
    let mut maintenance = lake.maintenance().await.unwrap();
    faults.none();
    maintenance.upgrade(false).await.unwrap();
    let operations = faults.operations();
    assert!(operations > 50, "{operations}");
    let every = if setting("GRIDTRAIL_EVERY_FAULT", 0) > 0 { 1 } else { 97 };
    for operation in (0..operations).step_by(every) {
        for fault in [Fault::Before, Fault::AnswerLost] {
            let copy = Arc::new(fixture.store.fork());
            let (store, faults) = FaultStore::new(Arc::clone(&copy) as Arc<dyn ObjectStore>);
            let lake = over(Arc::new(store)).await;
            let mut maintenance = lake.maintenance().await.unwrap();
            faults.at(operation, fault);
            let cut = maintenance.upgrade(false).await;
            faults.none();
            drop(maintenance);
            lake.wait_for_detached().await;
            let when = format!("operation {operation}, {fault:?}: {cut:?}");
            let lake = over(copy).await;
            fixture.check(&lake, &when).await;
            assert!(lake.maintenance().await.unwrap().upgrade(false).await.unwrap().is_whole(), "{when}");
            assert!(formats(&lake).await.iter().all(|(is, newest)| is == newest), "{when}");
            fixture.check(&lake, &when).await;
        }
    }
}
