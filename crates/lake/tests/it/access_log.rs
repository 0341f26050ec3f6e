//! The access log in a lake: exactly once whatever the store does, few files, and whatever is changed behind its back is named.

use crate::it::world::at;
use gridtrail_access_log::{AccessLog, Chain, Entry, LogStore, Row, RowKind, Started};
use gridtrail_faults::{Fault, FaultStore, Faults};
use gridtrail_lake::{CompactionSettings, Lake, LakeSettings, Verified, VerifySettings};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;

const DAY: i64 = 86_400_000;

async fn over(store: Arc<dyn ObjectStore>, clock: &Clock) -> Lake {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///logged") };
    Lake::open(settings, clock.clone()).await.unwrap()
}

fn entry(n: u64, now: Timestamp) -> Entry {
    let mut entry = Entry::of("AuditTrailService.Search", now);
    entry.outcome = "OK".into();
    (entry.subject, entry.rows) = (Some(format!("person {n}")), Some(n));
    entry
}

/// A chain of calls, a commit each, as a server writes it that is killed, or asked to stop.
pub(crate) async fn calls(lake: &Lake, clock: &Clock, count: u64, ends: bool) -> Vec<Row> {
    let mut store = lake.access_log().await;
    let heads = store.heads().await.unwrap();
    let started = Started { by: "test".into(), version: "0".into(), heads };
    let (mut chain, first) = Chain::start(clock.now(), &started);
    let mut rows = vec![first];
    for n in 0..count {
        clock.advance(1_000);
        rows.push(chain.add(entry(n, clock.now())));
    }
    if ends {
        rows.push(chain.end(clock.now()));
    }
    for row in &rows {
        store.append(std::slice::from_ref(row)).await.unwrap();
    }
    rows
}

async fn verify(lake: &Lake) -> Verified {
    lake.verify(&VerifySettings::default()).await.unwrap()
}

async fn all_rows(lake: &Lake) -> Vec<Row> {
    let mut reader = lake.read_access_log(None, None).await.unwrap();
    let mut rows = Vec::new();
    while let Some(more) = reader.next().await.unwrap() {
        rows.extend(more);
    }
    rows
}

fn log_files(named: &[gridtrail_lake::NamedFile]) -> Vec<Path> {
    let of_log = named.iter().filter(|file| file.path.contains("/access_log/"));
    of_log.map(|file| Path::parse(&file.path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_commits_become_few_files_and_are_read_in_order_of_time() {
    let clock = Clock::manual(at(0));
    let lake = over(Arc::new(InMemory::new()), &clock).await;
    let mut written = calls(&lake, &clock, 30, true).await;
    // The second is killed within the next month.
    clock.advance(31 * DAY);
    written.extend(calls(&lake, &clock, 30, false).await);
    let before = verify(&lake).await;
    assert_eq!(log_files(&lake.named_files().await.unwrap()).len(), 63);
    lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
    for _ in 0..20 {
        lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
    }
    let files = log_files(&lake.named_files().await.unwrap());
    assert!(files.len() < 12, "{}", files.len());
    assert_eq!(all_rows(&lake).await, written);
    for found in [before, verify(&lake).await] {
        assert_eq!(found.damages, [], "{found:#?}");
        let log = found.access_log.unwrap();
        assert_eq!((log.chains, log.rows, log.open.len(), log.open[0].seq), (2, 63, 1, 30));
    }
    let (from, to) = (written[3].entry.at, written[5].entry.at);
    let mut reader = lake.read_access_log(Some(from), Some(to)).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), written[3..=5]);
}

/// Every operation of a commit fails in every way, also with an answer that is lost: the rows are there once.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_while_rows_are_added_they_are_there_once() {
    let mut failed = 0;
    for fault in Fault::ALL {
        for operation in 0..40 {
            let clock = Clock::manual(at(0));
            let (store, faults) = FaultStore::new(Arc::new(InMemory::new()));
            let lake = over(Arc::new(store), &clock).await;
            failed += u64::from(add_with(&lake, &clock, &faults, operation, fault).await);
        }
    }
    assert!(failed > 20, "few operations failed: {failed}");
}

/// Whether an operation failed.
async fn add_with(lake: &Lake, clock: &Clock, faults: &Faults, operation: u64, fault: Fault) -> bool {
    let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
    let (mut chain, first) = Chain::start(clock.now(), &started);
    // In two months: two files.
    let rows = [first, chain.add(entry(1, clock.now())), chain.add(entry(2, at(40 * DAY)))];
    let mut store = lake.access_log().await;
    store.append(&rows[..1]).await.unwrap();
    faults.at(operation, fault);
    let mut tries = 0;
    while store.append(&rows[1..]).await.is_err() {
        tries += 1;
        assert!(tries < 5, "operation {operation}, {fault:?}");
    }
    let hit = faults.failed() > 0;
    faults.none();
    clock.advance(40 * DAY);
    lake.maintenance().await.unwrap();
    assert_eq!(all_rows(lake).await, rows, "operation {operation}, {fault:?}");
    assert!(verify(lake).await.is_clean(), "operation {operation}, {fault:?}");
    hit
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_write_at_once_and_maintenance_gathers_meanwhile() {
    let clock = Clock::system();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = over(Arc::clone(&store), &clock).await;
    let other = over(store, &clock).await;
    let server = async |lake: &Lake| {
        let (log, committing) =
            AccessLog::open(lake.access_log().await, clock.clone(), "test").await.unwrap();
        for n in 0..6 {
            log.note(entry(n, clock.now())).unwrap();
            log.write(entry(n + 100, clock.now())).await.unwrap();
            lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
        }
        committing.close().await.unwrap();
    };
    tokio::join!(server(&lake), server(&other));
    lake.maintenance().await.unwrap();
    let found = verify(&lake).await;
    assert_eq!(found.damages, []);
    let log = found.access_log.unwrap();
    assert_eq!((log.chains, log.rows, log.open), (2, 28, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_and_the_log_says_so() {
    let clock = Clock::manual("2026-01-10T00:00:00Z".parse().unwrap());
    let lake = over(Arc::new(InMemory::new()), &clock).await;
    calls(&lake, &clock, 3, true).await;
    let killed = calls(&lake, &clock, 2, false).await;
    // One lives on for months.
    let mut store = lake.access_log().await;
    let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
    let (mut chain, first) = Chain::start(clock.now(), &started);
    store.append(&[first]).await.unwrap();
    for n in 0..20 {
        store.append(&[chain.add(entry(n, clock.now()))]).await.unwrap();
        clock.advance(30 * DAY);
    }
    lake.set_access_log_months(4).await.unwrap();
    assert!(lake.set_access_log_months(2).await.is_err());
    assert_eq!((lake.access_log_months().await, lake.retention_months().await), (4, 13));
    let mut maintenance = lake.maintenance().await.unwrap();
    let settings = CompactionSettings::default();
    let would = maintenance.retain(&settings, true).await.unwrap().rows_of("access_log");
    let went = maintenance.retain(&settings, false).await.unwrap().rows_of("access_log");
    assert!(went > 20 && went == would, "{went}, {would}");
    assert_eq!(maintenance.retain(&settings, false).await.unwrap().rows_of("access_log"), 0);
    let rows = all_rows(&lake).await;
    assert!(rows.iter().all(|row| row.chain != killed[0].chain), "the oldest are gone");
    assert_eq!(rows.iter().filter(|row| row.kind == RowKind::Trimmed).count(), 1);
    let found = verify(&lake).await;
    assert_eq!(found.damages, [], "{found:#?}");
    let log = found.access_log.unwrap();
    assert!(log.trimmed_before.is_some_and(|before| rows[0].entry.at >= before));
    // A server that starts now, and the next retention, go on from there.
    store.append(&[chain.add(entry(21, clock.now()))]).await.unwrap();
    calls(&lake, &clock, 1, true).await;
    clock.advance(60 * DAY);
    store.append(&[chain.end(clock.now())]).await.unwrap();
    let mut maintenance = lake.maintenance().await.unwrap();
    assert!(maintenance.retain(&settings, false).await.unwrap().rows_of("access_log") > 0);
    let found = verify(&lake).await;
    assert_eq!(found.damages, [], "{found:#?}");
    // What went while four months were kept is not missed when more are kept from now on.
    lake.set_access_log_months(24).await.unwrap();
    let found = verify(&lake).await;
    assert_eq!(found.damages, [], "{found:#?}");
    let log = found.access_log.unwrap();
    assert_eq!(Some(log.kept_from), log.trimmed_before);
    assert!(log.gone > 20, "{log:?}");
}

/// A chain that was silent for so long that the row which says how it went on has gone, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_on_after_years_of_silence() {
    let clock = Clock::manual(at(0));
    let lake = over(Arc::new(InMemory::new()), &clock).await;
    let mut store = lake.access_log().await;
    let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
    let (mut chain, first) = Chain::start(clock.now(), &started);
    store.append(&[first, chain.add(entry(1, clock.now()))]).await.unwrap();
    for _ in 0..3 {
        clock.advance(450 * DAY);
        let mut maintenance = lake.maintenance().await.unwrap();
        assert!(
            maintenance.retain(&CompactionSettings::default(), false).await.unwrap().rows_of("access_log")
                > 0
        );
        assert_eq!(verify(&lake).await.damages, []);
    }
    store.append(&[chain.add(entry(2, clock.now()))]).await.unwrap();
    lake.maintenance().await.unwrap();
    assert_eq!(verify(&lake).await.damages, []);
}
