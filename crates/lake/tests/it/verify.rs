//! One byte that changes anywhere in any file is found, and named; what is whole is never called damaged.

use crate::it::access_log::calls;
use crate::it::faults::setting;
use crate::it::world::*;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment};
use gridtrail_lake::{Batch, DamageKind, HoldScope, Lake, LakeSettings, Verified, VerifySettings};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::sync::Arc;

const HOUR: i64 = 3_600_000;

async fn over(store: Arc<dyn ObjectStore>, clock: &Clock) -> Lake {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///verified") };
    Lake::open(settings, clock.clone()).await.unwrap()
}

async fn verify(lake: &Lake, rows: bool) -> Verified {
    let settings = VerifySettings { rows, ..VerifySettings::default() };
    lake.verify(&settings).await.unwrap()
}

/// That a User ID is a Party's since a time.
fn assigned(n: i64) -> AccessRecord {
    let to = Assignment {
        party: "region".parse().unwrap(),
        role: gridtrail_model::UserRole::IS,
        descriptor: None,
    };
    let event = AccessEvent::Assigned { user_id: user(1), to: Some(to), from: at(n) };
    AccessRecord { id: format!("a{n}").parse().unwrap(), recorded_at: at(n), event }
}

/// Commits with rows in two months, parked answers, events of access, of the inventory, of anomaly detection and of schedules, records of calls and dead letters; some of it compacted.
async fn fill(lake: &Lake, clock: &Clock, commits: i64) {
    for n in 0..commits {
        let number = u64::try_from(n).unwrap();
        let id = |device: u8| request_id(1, device, number / 2 * 100 + u64::from(device));
        let events = (0..12u8).flat_map(|device| {
            let received_at = at(i64::from(device % 2) * 31 * 24 * HOUR + n / 2);
            let mut request = received(id(device), received_at);
            request.correlation.concerned_devices = vec![crate::it::world::device(100 + device)];
            [request, event(id(device), received_at, answer(id(device), at(n * 1_000)))]
        });
        let mut waiting = fold([bare_answer(request_id(1, 1, 9_000 + number), at(n * 1_000))]);
        let batch = Batch {
            fragments: fold(events).into_fragments(),
            parked: waiting.take_unplaced(),
            access: vec![assigned(n)],
            inventory: vec![commissioned(&format!("i{n}"), device(1), at(n))],
            anomaly: vec![quarantined(&format!("q{n}"), 1, at(n))],
            schedules: vec![created(&format!("s{n}"), number, at(n))],
            dead_letters: vec![letter("file:s", n, &[1, 2, 3])],
            sources: vec![source("s", n, n + 1)],
            ..Batch::default()
        };
        lake.writer().await.unwrap().commit(batch).await.unwrap();
        calls(lake, clock, 1, n % 2 == 0).await;
        if n % 4 == 1 {
            clock.advance(7 * HOUR);
            let mut maintenance = lake.maintenance().await.unwrap();
            maintenance.compact(&gridtrail_lake::CompactionSettings::default()).await.unwrap();
            maintenance.copy_evidence().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_lake_is_clean() {
    let clock = Clock::manual(at(1_000_000));
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), &clock).await;
    fill(&lake, &clock, 12).await;
    let scope = HoldScope { device: Some(device(1)), ..HoldScope::default() };
    lake.place_hold(scope, "tester", "a case").await.unwrap();
    let found = verify(&lake, true).await;
    assert_eq!(found.damages, [], "{found:#?}");
    let files: u64 = found.tables.iter().map(|table| table.files).sum();
    assert_eq!(files, lake.named_files().await.unwrap().len() as u64);
    assert!(found.tables.iter().all(|table| table.without_checksum == 0 && table.files > 0), "{found:#?}");
    assert_eq!(found.tables[0].rows, lake.counts().fragments);
    assert!(found.devices == 12 && found.rows_merged > 0, "{found:#?}");
    let quick = verify(&lake, false).await;
    assert!(quick.is_clean() && quick.devices == 0 && quick.tables[0].rows == 0, "{quick:#?}");
    assert_eq!(quick.tables[0].bytes, found.tables[0].bytes);
}

/// How far into a file a byte is flipped: into its magic number, its pages, its bloom filters and indexes, its footer.
fn places(size: usize, few: bool) -> Vec<usize> {
    let all = [0, size / 5, size / 2, size * 3 / 4, size - 9, size - 1];
    if few { vec![size / 2] } else { all.to_vec() }
}

/// Flips bytes of each file in turn. Returns how many files and how many flips there were.
async fn flip_each(store: &Arc<InMemory>, clock: &Clock, few: bool) -> (usize, usize) {
    let files = over(store.clone(), clock).await.named_files().await.unwrap();
    let flips = files.iter().flat_map(|file| {
        let size = usize::try_from(file.size).unwrap();
        places(size, few).into_iter().map(|place| (Path::parse(&file.path).unwrap(), place))
    });
    let flips = stream::iter(flips.collect::<Vec<_>>())
        .map(|(path, place)| {
            let (store, clock) = (Arc::new(store.fork()), clock.clone());
            async move {
                let mut bytes = store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
                bytes[place] ^= 1 << (place % 8);
                store.put(&path, bytes.into()).await.unwrap();
                let found = verify(&over(store, &clock).await, false).await;
                let named: Vec<_> = found.damages.iter().map(|d| (d.path.as_str(), d.kind)).collect();
                assert_eq!(named, [(path.as_ref(), DamageKind::Checksum)], "byte {place}");
            }
        })
        .buffer_unordered(4)
        .count()
        .await;
    (files.len(), flips)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_byte_is_found_in_the_very_file() {
    let clock = Clock::manual(at(1_000_000));
    let store = Arc::new(InMemory::new());
    fill(&over(store.clone(), &clock).await, &clock, 7).await;
    let (files, flips) = flip_each(&store, &clock, false).await;
    println!("{flips} of {flips} flipped bytes found, in {files} files");
    assert!(files > 20, "{files}");
}

/// At full size: a lake of a thousand files and more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: scripts/prove runs it"]
async fn one_flipped_byte_in_a_thousand_files_is_found() {
    let commits = i64::try_from(setting("GRIDTRAIL_VERIFY_COMMITS", 450)).unwrap();
    let clock = Clock::manual(at(1_000_000));
    let store = Arc::new(InMemory::new());
    fill(&over(store.clone(), &clock).await, &clock, commits).await;
    let (files, flips) = flip_each(&store, &clock, true).await;
    println!("{flips} of {flips} flipped bytes found, in {files} files");
    assert!(files >= 1_000, "{files}");
}

/// A file that is gone, one that was cut, and an entry of a log that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let clock = Clock::manual(at(1_000_000));
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), &clock).await;
    fill(&lake, &clock, 5).await;
    let files: Vec<_> = lake.named_files().await.unwrap();
    let (gone, cut) = (Path::parse(&files[0].path).unwrap(), Path::parse(&files[1].path).unwrap());
    store.delete(&gone).await.unwrap();
    let bytes = store.get(&cut).await.unwrap().bytes().await.unwrap();
    store.put(&cut, bytes.slice(..bytes.len() - 1).into()).await.unwrap();
    let entry = Path::from("verified/dead_letters/_delta_log/00000000000000000003.json");
    store.delete(&entry).await.unwrap();
    let found = verify(&lake, true).await;
    let named: BTreeSet<_> = found.damages.iter().map(|damage| (damage.path.clone(), damage.kind)).collect();
    let wanted = [
        (gone.to_string(), DamageKind::Missing),
        (cut.to_string(), DamageKind::Size),
        (entry.to_string(), DamageKind::Log),
    ];
    assert_eq!(named, BTreeSet::from(wanted), "{found:#?}");
}

/// Bytes are as they were written, and their rows are wrong all the same: the log is made to say what a faulty writer would.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_as_the_log_says_are_named() {
    let clock = Clock::manual(at(1_000_000));
    let plain = Arc::new(InMemory::new());
    let lake = over(plain.clone(), &clock).await;
    fill(&lake, &clock, 2).await;
    // A faulty writer would say what its faults lead to; here nothing is said of that, as in the first format.
    let log = Path::from("verified/trails/_delta_log");
    let entries: Vec<object_store::ObjectMeta> = plain.list(Some(&log)).try_collect().await.unwrap();
    for entry in entries {
        let text = plain.get(&entry.location).await.unwrap().bytes().await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        plain.put(&entry.location, text.replace("\"gridtrailState\":", "\"_\":").into()).await.unwrap();
    }
    // Two batches, the word that their rows were looked at, and then what compaction makes.
    let entry = Path::from("verified/trails/_delta_log/00000000000000000004.json");
    let text = plain.get(&entry).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("l1-"), "the fourth entry is a flush: {text}");
    // Either month may have been flushed first.
    let (month, other) =
        if text.contains("month=2026-02") { ("2026-02", "2026-03") } else { ("2026-03", "2026-02") };
    let in_month = |month: &str| format!("\"partitionValues\":{{\"month\":\"{month}\"}}");
    for (from, to) in [
        ("\\\"rows\\\":1,", "\\\"rows\\\":2,"),
        ("\\\"number\\\":", "\\\"number\\\":1"),
        ("\\\"min_received_ms\\\":177", "\\\"min_received_ms\\\":176"),
        ("\\\"max_recorded_ms\\\":177", "\\\"max_recorded_ms\\\":176"),
        (in_month(month).as_str(), in_month(other).as_str()),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let store = Arc::new(plain.fork());
        store.put(&entry, changed.into()).await.unwrap();
        let found = verify(&over(store, &clock).await, true).await;
        assert!(found.damage_count > 0, "{from}");
        assert!(found.damages.iter().all(|damage| damage.kind == DamageKind::Rows), "{from}: {found:#?}");
    }
}
