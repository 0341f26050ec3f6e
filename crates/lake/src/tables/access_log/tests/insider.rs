//! Somebody who can write to the store, and knows the log of a table.

use super::*;
use crate::keep::compaction::CompactionSettings;
use crate::keep::verify::{Damage, DamageKind, Verified, VerifySettings};
use crate::lake::{Lake, LakeSettings};
use futures::TryStreamExt;
use gridtrail_access_log::{Gone, LogStore, Trimmed};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;

async fn over(store: Arc<InMemory>, clock: &Clock) -> Lake {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///logged") };
    Lake::open(settings, clock.clone()).await.unwrap()
}

/// A whole chain of calls, in one commit.
async fn calls(lake: &Lake, clock: &Clock, count: u64) -> Uuid {
    let mut store = lake.access_log().await;
    let heads = store.heads().await.unwrap();
    let started = Started { by: "test".into(), version: "0".into(), heads };
    let (mut chain, first) = Chain::start(clock.now(), &started);
    let mut rows = vec![first];
    for _ in 0..count {
        clock.advance(1_000);
        rows.push(chain.add(Entry::of("AuditTrailService.Search", clock.now())));
    }
    rows.push(chain.end(clock.now()));
    store.append(&rows).await.unwrap();
    rows[0].chain
}

async fn verify(lake: &Lake) -> Verified {
    lake.verify(&VerifySettings::default()).await.unwrap()
}

/// The entries of the table's log, oldest first, and every action of theirs.
async fn entries(store: &InMemory) -> (usize, Vec<serde_json::Value>) {
    let folder = Path::from("logged/access_log/_delta_log");
    let mut logs: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    logs.retain(|entry: &object_store::ObjectMeta| entry.location.as_ref().ends_with(".json"));
    logs.sort_by(|a, b| a.location.cmp(&b.location));
    let mut actions = Vec::new();
    for log in &logs {
        let text = String::from_utf8(store.get(&log.location).await.unwrap().bytes().await.unwrap().to_vec());
        actions.extend(
            text.unwrap().lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()),
        );
    }
    (logs.len(), actions)
}

/// Somebody who can write to the store: takes files, puts rows of their own in, and has the log say so, checksum, counts and all.
async fn forge(store: &InMemory, remove: &[String], rows: &[Row], numbers: &[(String, u64)]) {
    let (version, actions) = entries(store).await;
    let bytes = write(rows).unwrap().bytes;
    let month = Month::of(rows[0].entry.at).to_string();
    let path = format!("month={month}/{}-x.parquet", Uuid::now_v7());
    let mut add = actions.iter().rev().find(|action| action["add"].is_object()).unwrap()["add"].clone();
    (add["path"], add["size"]) = (path.clone().into(), bytes.len().into());
    (add["tags"], add["partitionValues"]) = (serde_json::json!({}), serde_json::json!({ "month": month }));
    let mut lines = vec![
        serde_json::json!({ "commitInfo": { "timestamp": 0, "gridtrailCommitId": "forged" } }),
        serde_json::json!({ "add": add }),
    ];
    lines.extend(remove.iter().map(
        |path| serde_json::json!({ "remove": { "path": path, "dataChange": true, "deletionTimestamp": 0 } }),
    ));
    lines.extend(
        numbers.iter().map(|(name, to)| serde_json::json!({ "txn": { "appId": name, "version": to } })),
    );
    let entry: String = lines.iter().map(|line| format!("{line}\n")).collect();
    store.put(&Path::parse(format!("logged/access_log/{path}")).unwrap(), bytes.into()).await.unwrap();
    let next = Path::from(format!("logged/access_log/_delta_log/{version:020}.json"));
    store.put(&next, entry.into()).await.unwrap();
}

/// The files that the log names, each as its last action says.
async fn named(store: &InMemory) -> Vec<String> {
    let mut named = BTreeSet::new();
    for action in entries(store).await.1 {
        named.extend(action["add"]["path"].as_str().map(str::to_owned));
        action["remove"]["path"].as_str().map(|path| named.remove(path));
    }
    named.into_iter().collect()
}

/// Takes the newest file, and puts other rows in its place.
async fn rewrite(store: &InMemory, change: impl FnOnce(&mut Vec<Row>)) {
    let (_, actions) = entries(store).await;
    let newest = actions.iter().rev().find_map(|action| action["add"]["path"].as_str()).unwrap().to_owned();
    let full = Path::parse(format!("logged/access_log/{newest}")).unwrap();
    let mut rows = read(store.get(&full).await.unwrap().bytes().await.unwrap());
    change(&mut rows);
    forge(store, &[newest], &rows, &[]).await;
}

fn chain_damages(found: &Verified) -> BTreeSet<&str> {
    assert!(found.damages.iter().all(|damage| damage.kind == DamageKind::Chain), "{found:#?}");
    found.damages.iter().map(|Damage { path, .. }| path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_with_the_store_does_is_found_and_named() {
    let clock = Clock::manual("2026-03-01T09:30:00Z".parse().unwrap());
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), &clock).await;
    calls(&lake, &clock, 3).await;
    let chain = calls(&lake, &clock, 2).await;
    for _ in 0..2 {
        calls(&lake, &clock, 2).await;
    }
    // All rows in one file, the newest.
    lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
    type Change = fn(&mut Vec<Row>);
    let changes: [(Change, u64); 5] = [
        // The second chain: rows 5 to 8.
        (|rows| rows[6].entry.subject = Some("nobody".into()), 1),
        (|rows| drop(rows.remove(7)), 2),
        (|rows| rows.insert(7, rows[7].clone()), 2),
        (|rows| drop(rows.drain(7..9)), 2),
        (|rows| drop(rows.drain(5..9)), 0),
    ];
    for (number, (change, seq)) in changes.into_iter().enumerate() {
        let forked = Arc::new(store.fork());
        rewrite(&forked, |rows| {
            assert_eq!(rows.len(), 17);
            change(rows);
        })
        .await;
        let found = verify(&over(forked, &clock).await).await;
        assert_eq!(chain_damages(&found), BTreeSet::from([format!("{chain}/{seq}").as_str()]), "{number}");
    }
    assert_eq!(verify(&lake).await.damages, []);
}

/// All rows are gone, and in their place stands a chain that says that they were old enough.
async fn emptied(
    store: &InMemory,
    lake: &Lake,
    clock: &Clock,
    written: &str,
    before: &str,
    marked: bool,
) -> Verified {
    let forked = Arc::new(store.fork());
    let counted = all_counted(&lake.tables().await.access_log);
    let gone = if marked { counted.clone() } else { BTreeMap::new() };
    let written: Timestamp = written.parse().unwrap();
    let started = Started { by: "retention".into(), version: "0".into(), heads: Vec::new() };
    let (mut chain, first) = Chain::start(written, &started);
    let (rows, hash) = (gone.values().map(|seq| seq + 1).sum(), String::new());
    let said = Trimmed { before: before.into(), rows, hash, chains: Vec::new(), gone: Gone::of(&gone) };
    let rows = [first, chain.trim(written, &said), chain.end(written)];
    let mut numbers: Vec<_> = gone.into_iter().map(|(chain, seq)| (gone_mark(chain), seq)).collect();
    numbers.push((crate::tables::access_log::counted(rows[0].chain), 2));
    forge(&forked, &named(store).await, &rows, &numbers).await;
    let found = verify(&over(forked, clock).await).await;
    for (chain, last) in counted {
        let missing = format!("rows 0 to {last} of chain {chain} are missing");
        assert!(found.damages.iter().any(|damage| damage.what == missing), "{missing}: {found:#?}");
    }
    found
}

/// A row that says that all was let go, and is dated 2031, made an empty log clean.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_trimming_does_not_hide_rows() {
    let clock = Clock::manual("2026-03-01T09:30:00Z".parse().unwrap());
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), &clock).await;
    for _ in 0..3 {
        calls(&lake, &clock, 2).await;
        clock.advance(86_400_000);
    }
    lake.maintenance().await.unwrap();
    let says = |found: &Verified, what: &str| found.damages.iter().any(|damage| damage.what.contains(what));
    for marked in [false, true] {
        let found = emptied(&store, &lake, &clock, "2031-03-01T09:30:00Z", "2030-11-01", marked).await;
        assert!(
            says(&found, "of a time that has not come") && says(&found, "were not old enough"),
            "{found:#?}"
        );
        let now = clock.now().to_string();
        let found = emptied(&store, &lake, &clock, &now, "2026-03-05", marked).await;
        assert!(says(&found, "were not old enough"), "{found:#?}");
    }
    // Six months later the rows are older than records must be kept, and not older than the setting lets go.
    clock.advance(180 * 86_400_000);
    let now = clock.now().to_string();
    let found = emptied(&store, &lake, &clock, &now, "2026-04-01", true).await;
    assert!(says(&found, "were not old enough"), "{found:#?}");
    assert_eq!(verify(&lake).await.damages, []);
}
