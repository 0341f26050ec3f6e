//! Somebody who can write to the store, and knows the log of a table.

use super::*;
use crate::compaction::CompactionSettings;
use crate::lake::{Lake, LakeSettings};
use crate::verify::{Damage, DamageKind, Verified, VerifySettings};
use futures::TryStreamExt;
use gridtrail_access_log::LogStore;
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

/// Somebody who can write to the store: takes a file, writes rows of their own into another, and has the log name that, checksum and all.
async fn rewrite(store: &InMemory, change: impl FnOnce(&mut Vec<Row>)) {
    let entries = Path::from("logged/access_log/_delta_log");
    let mut logs: Vec<_> = store.list(Some(&entries)).try_collect().await.unwrap();
    logs.retain(|entry: &object_store::ObjectMeta| entry.location.as_ref().ends_with(".json"));
    logs.sort_by(|a, b| a.location.cmp(&b.location));
    let last = store.get(&logs.last().unwrap().location).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(last.to_vec()).unwrap();
    let named: serde_json::Value = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|action| action["add"].is_object())
        .unwrap();
    let path = named["add"]["path"].as_str().unwrap().to_owned();
    let full = Path::parse(format!("logged/access_log/{}", path.replace("%3D", "="))).unwrap();
    let bytes = store.get(&full).await.unwrap().bytes().await.unwrap();
    let mut rows = read(bytes);
    change(&mut rows);
    let bytes = write(&rows).unwrap().bytes;
    let mut add = named["add"].clone();
    let made = path.replace(".parquet", "-x.parquet");
    add["path"] = made.clone().into();
    add["size"] = bytes.len().into();
    add["tags"] = serde_json::json!({});
    let remove = serde_json::json!({ "path": path, "dataChange": true, "deletionTimestamp": 0 });
    let lines = [
        serde_json::json!({ "commitInfo": { "timestamp": 0, "gridtrailCommitId": "forged" } }),
        serde_json::json!({ "remove": remove }),
        serde_json::json!({ "add": add }),
    ];
    let entry: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let full = Path::parse(format!("logged/access_log/{}", made.replace("%3D", "="))).unwrap();
    store.put(&full, bytes.into()).await.unwrap();
    let next = Path::from(format!("logged/access_log/_delta_log/{:020}.json", logs.len()));
    store.put(&next, entry.into()).await.unwrap();
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
