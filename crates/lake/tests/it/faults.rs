//! Every operation of the way from a batch to its commit, failing in every way: nothing is lost, nothing is doubled, and
//! no log names a file that is not there.

use crate::it::compaction::some_of;
use crate::it::world::*;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment};
use gridtrail_faults::{Fault, FaultStore, Faults};
use gridtrail_inventory::{AskedChange, AskedFact, InventoryFact, OutcomeOf, PendingPart, RequestOutcome};
use gridtrail_lake::{Batch, Lake, LakeError, LakeSettings, SourceEvidence, Stream, Writer};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BATCHES: i64 = 3;
/// Offsets in a batch.
const EACH: i64 = 4;
const SOURCE: &str = "kafka:c:t:0";
/// Cases under way at once.
const AT_ONCE: usize = 4;
/// How often a writer starts over before the test gives up.
const TRIES: usize = 200;

/// The months of the requests in a batch: each goes into a run of its own.
const MONTHS_MS: [i64; 2] = [0, 40 * 86_400_000];

fn topic() -> Stream {
    Stream { cluster: "c".into(), topic: "t".into(), id: "t".into(), partitions: 1 }
}

/// A batch: two requests in two months, each of which names another Device beside its own, the bare answer to the request of the batch after
/// it, an event of access, one of the inventory, a quarantined communication, a schedule, a request to change the inventory, the outcome of that of the batch after it, and a dead letter.
fn batch(n: i64, first: bool) -> Batch {
    let counter = |n: i64| u64::try_from(100 + n).unwrap();
    let requests = MONTHS_MS.iter().zip([0u64, 50]).map(|(ms, more)| {
        let mut event = received(request_id(1, 1, counter(n) + more), at(*ms + n * 1_000));
        event.correlation.concerned_devices = vec![device(2)];
        event
    });
    let mut folded = fold(requests);
    let answer = bare_answer(request_id(1, 1, counter(n + 1)), at(n * 1_000 + 5_000));
    let mut fold_answer = fold([answer]);
    let letter = letter(SOURCE, n * EACH + 3, &[u8::try_from(n).unwrap()]);
    let mut evidence = source("x", n * EACH, (n + 1) * EACH);
    evidence.source = SOURCE.to_owned();
    evidence.first = first;
    evidence.finished = false;
    (evidence.records, evidence.stored, evidence.parked, evidence.dead_lettered) = (4, 2, 1, 1);
    assert!(folded.take_unplaced().is_empty());
    Batch {
        fragments: folded.into_fragments(),
        parked: fold_answer.take_unplaced(),
        dead_letters: vec![letter],
        access: vec![assigned(n)],
        inventory: vec![commissioned(&format!("i{n}"), device(1), at(n))],
        pending: pending(n),
        anomaly: vec![quarantined(&format!("q{n}"), counter(n), at(n))],
        schedules: vec![created(&format!("s{n}"), counter(n), at(n))],
        sources: vec![evidence],
        streams: vec![topic()],
        ..Batch::default()
    }
}

/// A request that a Device be commissioned, and that the one of the batch after it was.
fn pending(n: i64) -> Vec<PendingPart> {
    let id = |n: i64| request_id(1, 3, u64::try_from(n).unwrap());
    let fact = InventoryFact::SmiStatus { device: device(3), status: Some(SmiStatus::Commissioned) };
    let asked = AskedChange {
        request_id: id(n),
        variant: "8.1.1".parse().unwrap(),
        non_device: false,
        recorded_at: at(n),
        event_id: format!("r{n}").parse().unwrap(),
        facts: vec![AskedFact { outcome: OutcomeOf::Response, from: None, fact }],
    };
    let outcome = RequestOutcome {
        request_id: id(n + 1),
        variant: None,
        of: OutcomeOf::Response,
        code: "I0".parse().unwrap(),
        at: at(n),
        recorded_at: at(n),
        event_id: format!("o{}", n + 1).parse().unwrap(),
    };
    vec![PendingPart::Asked(asked), PendingPart::Outcome(outcome)]
}

fn assigned(n: i64) -> AccessRecord {
    let to = Assignment { party: "region".parse().unwrap(), role: UserRole::IS, descriptor: None };
    let event = AccessEvent::Assigned { user_id: user(1), to: Some(to), from: at(n) };
    AccessRecord { id: format!("a{n}").parse().unwrap(), recorded_at: at(n), event }
}

async fn open_over(store: Arc<dyn ObjectStore>) -> Result<Lake, LakeError> {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///faulty") };
    Lake::open(settings, Clock::manual(at(1_000_000))).await
}

/// Does what an ingest does: commits what the lake does not have, and after any error starts over from its position.
async fn write_all(store: &Arc<dyn ObjectStore>) {
    let mut errors = Vec::new();
    for _ in 0..TRIES {
        match Box::pin(write_rest(store)).await {
            Ok(()) => return,
            Err(error) => errors.push(error.to_string()),
        }
    }
    panic!("no end of errors: {errors:#?}");
}

async fn write_rest(store: &Arc<dyn ObjectStore>) -> Result<(), LakeError> {
    let lake = open_over(Arc::clone(store)).await?;
    let mut writer: Writer = lake.writer().await?;
    loop {
        let position = writer.position(SOURCE);
        let next = position.unwrap_or(0) / EACH;
        if next == BATCHES {
            break;
        }
        writer.commit(batch(next, position.is_none())).await?;
    }
    let mut maintenance = lake.maintenance().await?;
    maintenance.sweep().await?;
    maintenance.copy_evidence().await?;
    Ok(())
}

/// Every file that a table's log names, read without the library.
async fn named_files(store: &dyn ObjectStore, table: &str) -> BTreeSet<String> {
    let prefix = Path::from(format!("faulty/{table}/_delta_log"));
    let mut entries: Vec<_> = store.list(Some(&prefix)).try_collect().await.unwrap();
    entries.retain(|entry: &object_store::ObjectMeta| entry.location.as_ref().ends_with(".json"));
    entries.sort_by(|a, b| a.location.cmp(&b.location));
    assert!(!entries.is_empty(), "no log at {prefix}");
    let (mut live, mut ever) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        let bytes = store.get(&entry.location).await.unwrap().bytes().await.unwrap();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let action: serde_json::Value = serde_json::from_slice(line).unwrap();
            let path =
                |action: &serde_json::Value| format!("faulty/{table}/{}", action["path"].as_str().unwrap());
            if action["add"].is_object() {
                assert!(ever.insert(path(&action["add"])), "added twice: {action}");
                live.insert(path(&action["add"]));
            }
            if action["remove"].is_object() {
                assert!(live.remove(&path(&action["remove"])), "removed twice: {action}");
            }
        }
    }
    live
}

/// Holds a lake against what the batches say. `what` goes into messages.
async fn check(store: &Arc<InMemory>, what: &str) {
    let clean: Arc<dyn ObjectStore> = store.clone();
    for table in gridtrail_lake::table_names() {
        for file in named_files(store.as_ref(), table).await {
            // A partition's value is escaped in the path of the log entry, and not in the store.
            let path = Path::parse(&file).unwrap();
            assert!(store.head(&path).await.is_ok(), "{what}: {file} is named and not there");
        }
    }
    let lake = open_over(Arc::clone(&clean)).await.unwrap();
    let writer = lake.writer().await.unwrap();
    assert_eq!(writer.position(SOURCE), Some(BATCHES * EACH), "{what}");
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    let places: Vec<_> = letters.iter().map(|l| (l.position, l.raw.to_vec())).collect();
    let wanted: Vec<_> = (0..BATCHES).map(|n| (n * EACH + 3, vec![u8::try_from(n).unwrap()])).collect();
    assert_eq!(places, wanted, "{what}: dead letters");
    // One answer waits for a request that never comes.
    let mut expected: BTreeMap<TrailKey, usize> = BTreeMap::new();
    for n in 0..BATCHES {
        expected.extend(batch(n, false).fragments.into_iter().map(|fragment| (fragment.key, 1)));
    }
    // The others were answered, by the batch before each.
    for n in 1..BATCHES {
        let answered = request_id(1, 1, 100 + u64::try_from(n).unwrap());
        let (_, entries) = expected.iter_mut().find(|(key, _)| key.request_id() == Some(answered)).unwrap();
        *entries = 2;
    }
    let mut found = BTreeMap::new();
    for row in find(&lake, &[1], &query(1)).await {
        let key = row.fragment.key;
        if let Subject::Unjoined(id) = key.subject {
            assert_eq!(id.counter, 100 + u64::try_from(BATCHES).unwrap(), "{what}: still waiting");
            continue;
        }
        assert!(found.insert(key, row.fragment.history().len()).is_none(), "{what}: doubled {key:?}");
    }
    assert_eq!(found, expected, "{what}: trails and their history entries");
    let named = find_by_named(&lake.snapshot(), &[1], Named::Device(device(2))).await;
    let named: Vec<TrailKey> = named.into_iter().map(|row| row.fragment.key).collect();
    let keys: BTreeSet<TrailKey> = named.iter().copied().collect();
    assert_eq!(
        (named.len(), keys),
        (expected.len(), expected.into_keys().collect()),
        "{what}: by what they name"
    );
    let owner = lake.sharing().await.unwrap().current().owner(user(1), at(BATCHES)).is_some();
    assert!(owner, "{what}: events of access");
    let told: Vec<String> = (0..BATCHES).map(|n| format!("i{n}")).collect();
    assert_eq!(told_of(&lake.snapshot(), device(1)).await, told, "{what}: inventory events");
    let quarantined: Vec<u64> = (0..BATCHES).map(|n| u64::try_from(100 + n).unwrap()).collect();
    assert_eq!(held(&lake.snapshot(), at(BATCHES)).await, quarantined, "{what}: quarantined communications");
    assert_eq!(scheduled(&lake.snapshot()).await, quarantined, "{what}: schedules");
    let came_about: Vec<String> = (1..BATCHES).map(|n| format!("o{n}")).collect();
    assert_eq!(told_of(&lake.snapshot(), device(3)).await, came_about, "{what}: requests and their outcomes");
    let mut at = 0;
    let mut sources: Vec<SourceEvidence> = Vec::new();
    lake.evidence(|commit| {
        for evidence in commit.sources {
            match evidence {
                gridtrail_lake::Evidence::Whole(evidence) => sources.push(*evidence),
                gridtrail_lake::Evidence::Broken(text) => panic!("{what}: {text}"),
            }
        }
    })
    .await
    .unwrap();
    for evidence in sources {
        assert_eq!((evidence.from, evidence.first), (at, at == 0), "{what}: evidence");
        at = evidence.to;
    }
    assert_eq!(at, BATCHES * EACH, "{what}: evidence");
}

/// A copy of a store, behind one that fails.
fn faulty(tables: &InMemory) -> (Arc<InMemory>, Arc<dyn ObjectStore>, Faults) {
    let inner = Arc::new(tables.fork());
    let (store, faults) = FaultStore::new(inner.clone());
    (inner, Arc::new(store), faults)
}

/// A store that holds the tables, and nothing in them.
async fn tables() -> InMemory {
    let store = Arc::new(InMemory::new());
    open_over(store.clone()).await.unwrap();
    store.fork()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_may_fail_in_every_way() {
    let tables = tables().await;
    let (inner, store, faults) = faulty(&tables);
    Box::pin(write_all(&store)).await;
    let operations = faults.operations();
    check(&inner, "without a fault").await;
    assert!(operations > 50, "{operations}");
    let all = some_of(&Fault::ALL, operations, 8);
    let cases: usize = stream::iter(all)
        .map(|(operation, fault)| {
            let (inner, store, faults) = faulty(&tables);
            tokio::spawn(async move {
                faults.at(operation, fault);
                Box::pin(write_all(&store)).await;
                // Not every operation can fail in every way.
                let Some(what) = faults.last() else { return 0 };
                check(&inner, &what).await;
                1
            })
        })
        .buffer_unordered(AT_ONCE)
        .map(Result::unwrap)
        .fold(0, |sum, case| async move { sum + case })
        .await;
    println!("{operations} operations, {cases} faults: 0 lost, 0 doubled, every file that is named is there");
    assert!(cases > 20, "{cases}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_at_random_change_nothing_for_two_writers() {
    let rounds = setting("GRIDTRAIL_FAULT_ROUNDS", 20);
    let seed = setting("GRIDTRAIL_FAULT_SEED", 7);
    println!("GRIDTRAIL_FAULT_SEED={seed} GRIDTRAIL_FAULT_ROUNDS={rounds}");
    let tables = tables().await;
    let mut failed = 0;
    for round in seed..seed + rounds {
        let (inner, store, faults) = faulty(&tables);
        faults.random(round, 0.02, &Fault::ALL);
        let other = Arc::clone(&store);
        let second = tokio::spawn(async move { Box::pin(write_all(&other)).await });
        Box::pin(write_all(&store)).await;
        second.await.unwrap();
        failed += faults.failed();
        check(&inner, &format!("seed {round}")).await;
    }
    assert!(failed > rounds, "{failed}");
}

/// A setting of the test run from the environment, or its everyday value.
pub(crate) fn setting(name: &str, everyday: u64) -> u64 {
    std::env::var_os(name).map_or(everyday, |value| value.to_str().and_then(|v| v.parse().ok()).unwrap())
}
