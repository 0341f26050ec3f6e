//! The access log in a lake: exactly once whatever the store does, few files, and whatever is changed behind its back is named.

use crate::it::world::{at, user};
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_access_log::{AccessLog, Chain, Entry, LogStore, Row, RowKind, Started};
use gridtrail_faults::{Fault, FaultStore, Faults};
use gridtrail_lake::{CallsFrom, CompactionSettings, Lake, LakeSettings, Verified, VerifySettings};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::collections::BTreeSet;
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

fn bearer(subject: &str, party: &str) -> Access {
    let claims = Bearer {
        subject: subject.into(),
        party: party.parse().unwrap(),
        org_id: OrgId::All,
        user_ids: BTreeSet::from([user(1)]),
        roles: BTreeSet::from([JobTypeRole::new(1).unwrap()]),
        valid_from: at(0),
        expires_at: at(DAY),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

/// All pages of somebody's own calls, with how many there were.
async fn own_pages(lake: &Lake, who: &Access, most: usize, looked_at: u64) -> (Vec<Entry>, usize) {
    let (mut all, mut pages, mut from) = (Vec::new(), 0, None);
    loop {
        let page = lake.own_calls_among(who, from, most, looked_at).await.unwrap();
        assert!(page.calls.len() <= most);
        all.extend(page.calls);
        pages += 1;
        assert!(pages < 10_000, "there is no end");
        let Some(next) = page.next else { return (all, pages) };
        assert_eq!(CallsFrom::from_bytes(&next.to_bytes()), Some(next));
        from = Some(next);
    }
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

/// Two servers write at once, calls of one moment, over two months, and house is kept: every page has the caller's own, newest first.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_reads_their_own_calls_page_by_page_and_those_of_nobody_else() {
    let clock = Clock::manual(at(0));
    let lake = over(Arc::new(InMemory::new()), &clock).await;
    let mut store = lake.access_log().await;
    let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
    let servers = [Chain::start(clock.now(), &started), Chain::start(clock.now(), &started)];
    let mut chains = servers.map(|(chain, first)| (chain, vec![first]));
    let callers = [("ann", "Avon"), ("ann", "Severn"), ("bob", "Avon"), ("ann", "Avon"), ("", "")];
    for n in 0..300_u64 {
        // Several of one time, and a leap into the next month.
        clock.advance(if n == 150 { 31 * DAY } else { i64::from(n % 3 == 0) });
        for (chain, rows) in &mut chains {
            let mut call = entry(n, clock.now());
            let (subject, party) = callers[usize::try_from(n).unwrap() % callers.len()];
            (call.subject, call.party) = (Some(subject.into()), Some(party.into()));
            rows.push(chain.add(call));
            if rows.len() >= 7 {
                store.append(rows).await.unwrap();
                rows.clear();
            }
        }
        if n % 60 == 59 {
            lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
        }
    }
    for (_, rows) in &chains {
        store.append(rows).await.unwrap();
    }
    let ann = bearer("ann", "Avon");
    let written = all_rows(&lake).await;
    let is_anns = |row: &&Row| {
        row.entry.subject.as_deref() == Some("ann") && row.entry.party.as_deref() == Some("Avon")
    };
    let mut anns: Vec<&Row> = written.iter().filter(is_anns).collect();
    anns.sort_by_key(|row| std::cmp::Reverse((row.entry.at, row.chain, row.seq)));
    let anns: Vec<Entry> = anns.into_iter().map(|row| row.entry.clone()).collect();
    assert_eq!(anns.len(), 240);
    for (most, looked_at) in [(1, u64::MAX), (7, u64::MAX), (7, 0), (1_000, u64::MAX), (1_000, 0), (240, 0)] {
        let (found, pages) = own_pages(&lake, &ann, most, looked_at).await;
        assert_eq!(found, anns, "{most} a page, {looked_at} looked at");
        assert!(pages <= 240 / most + if looked_at == 0 { 300 } else { 1 }, "{pages} pages");
    }
    assert_eq!(own_pages(&lake, &bearer("cat", "Avon"), 7, 0).await.0, []);
    // What comes while pages are read is not in them.
    let first = lake.own_calls(&ann, None, 200).await.unwrap();
    let mut late = entry(0, clock.now());
    (late.subject, late.party) = (Some("ann".into()), Some("Avon".into()));
    let (chain, _) = &mut chains[0];
    store.append(&[chain.add(late.clone())]).await.unwrap();
    lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
    let second = lake.own_calls(&ann, first.next, 200).await.unwrap();
    assert_eq!([first.calls, second.calls].concat(), anns);
    assert_eq!(second.next, None);
    assert_eq!(lake.own_calls(&ann, None, 1_000).await.unwrap().calls.len(), 241);
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
