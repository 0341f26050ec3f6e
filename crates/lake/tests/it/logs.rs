//! A log of which an entry is missing, cut or another engine's is never answered from beyond it, and never taken for an empty lake.

use crate::it::world::*;
use deltalake_core::DeltaTableBuilder;
use deltalake_core::checkpoints::create_checkpoint;
use futures::TryStreamExt;
use gridtrail_lake::{
    Batch, CompactionSettings, DamageKind, Lake, LakeError, LakeErrorKind, LakeSettings, RunsError,
    VerifySettings, table_names,
};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::sync::Arc;

async fn open(store: &Arc<InMemory>, create: bool) -> Result<Lake, LakeError> {
    let store: Arc<dyn ObjectStore> = store.clone();
    let settings = LakeSettings { store: Some(store), create, ..LakeSettings::at("memory:///logs") };
    Lake::open(settings, Clock::manual(at(1_000_000))).await
}

/// A lake of some commits, each with a row of its own.
async fn filled(commits: u64) -> Arc<InMemory> {
    let store = Arc::new(InMemory::new());
    let lake = open(&store, true).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for n in 0..commits {
        let position = i64::try_from(n).unwrap();
        let batch = Batch {
            fragments: fold([received(request_id(1, 1, n), at(position))]).into_fragments(),
            sources: vec![source("s", position, position + 1)],
            ..Batch::default()
        };
        writer.commit(batch).await.unwrap();
    }
    store
}

fn entry(table: &str, version: u64) -> Path {
    Path::from(format!("logs/{table}/_delta_log/{version:020}.json"))
}

async fn text(store: &InMemory, path: &Path) -> String {
    String::from_utf8(store.get(path).await.unwrap().bytes().await.unwrap().to_vec()).unwrap()
}

/// Opening is refused as damage that names a path, whoever opens: also who would make a lake.
async fn assert_refused(store: &Arc<InMemory>, names: &str) {
    for create in [false, true] {
        let error = open(store, create).await.map(|lake| lake.counts()).unwrap_err();
        assert_eq!(error.kind(), LakeErrorKind::Corrupt, "{names}: {error}");
        assert!(error.to_string().contains(names), "{names}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_log_is_gone_is_damage_and_no_new_table() {
    let whole = filled(3).await;
    for table in table_names() {
        for all in [false, true] {
            let store = Arc::new(whole.fork());
            let gone = Path::from(format!("logs/{table}{}", if all { "" } else { "/_delta_log" }));
            let files: Vec<ObjectMeta> = store.list(Some(&gone)).try_collect().await.unwrap();
            for file in files {
                store.delete(&file.location).await.unwrap();
            }
            assert_refused(&store, &format!("logs/{table}/_delta_log")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_missing_or_cut_are_damage() {
    let whole = filled(5).await;
    for missing in 0..5 {
        let store = Arc::new(whole.fork());
        store.delete(&entry("trails", missing)).await.unwrap();
        assert_refused(&store, entry("trails", missing).as_ref()).await;
    }
    let store = Arc::new(whole.fork());
    for missing in 0..3 {
        store.delete(&entry("trails", missing)).await.unwrap();
    }
    assert_refused(&store, entry("trails", 0).as_ref()).await;
    for version in [0, 3, 5] {
        let path = entry("trails", version);
        let bytes = whole.get(&path).await.unwrap().bytes().await.unwrap();
        let border = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        // Nothing left, in the middle of a line, and behind a whole one.
        for length in [0, bytes.len() / 2, bytes.len() - 1, border, border + 1] {
            let store = Arc::new(whole.fork());
            store.put(&path, bytes.slice(..length).into()).await.unwrap();
            assert_refused(&store, path.as_ref()).await;
        }
    }
}

/// Whatever character of a commit that is believed changes: it is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_character_of_an_entry_is_damage() {
    let whole = filled(2).await;
    let path = entry("trails", 2);
    let said = text(&whole, &path).await;
    for (from, to) in [
        ("\\\"max_device\\\":\\\"00-DB", "\\\"max_device\\\":\\\"00-DA"),
        ("\\\"min_received_ms\\\":177", "\\\"min_received_ms\\\":178"),
        ("\"appId\":\"file:s\"", "\"appId\":\"file:t\""),
        ("\"size\":", "\"size\":1"),
        ("month=2026-02", "month=2026-03"),
        ("gridtrail.xxh64\":\"", "gridtrail.xxh63\":\""),
    ] {
        let changed = said.replace(from, to);
        assert_ne!(changed, said, "{from}");
        let store = Arc::new(whole.fork());
        store.put(&path, changed.into()).await.unwrap();
        assert_refused(&store, path.as_ref()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_believed_only_where_it_is_whole() {
    let whole = filled(103).await;
    let hint = Path::from("logs/trails/_delta_log/_last_checkpoint");
    let path = Path::from("logs/trails/_delta_log/00000000000000000100.checkpoint.parquet");
    let rows = open(&whole, false).await.unwrap().counts();
    assert_eq!(rows.fragments, 103);
    let bytes = whole.get(&path).await.unwrap().bytes().await.unwrap();
    for length in [0, bytes.len() / 2, bytes.len() - 1] {
        let store = Arc::new(whole.fork());
        store.put(&path, bytes.slice(..length).into()).await.unwrap();
        assert_refused(&store, path.as_ref()).await;
    }
    // A bit anywhere: damage, or the same.
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        let store = Arc::new(whole.fork());
        store.put(&path, changed.into()).await.unwrap();
        match open(&store, false).await {
            Ok(lake) => assert_eq!(lake.counts(), rows, "byte {at}"),
            Err(error) => assert_eq!(error.kind(), LakeErrorKind::Corrupt, "byte {at}: {error}"),
        }
    }
    // Without a hint, or with one that is cut, the checkpoint is found; once what lies below it was cleaned up, too.
    for clean in [false, true] {
        for said in [None, Some("{\"versi"), Some("{\"version\":7}")] {
            let store = Arc::new(whole.fork());
            for version in (0..100).filter(|_| clean) {
                store.delete(&entry("trails", version)).await.unwrap();
            }
            match said {
                None => store.delete(&hint).await.unwrap(),
                Some(said) => drop(store.put(&hint, said.as_bytes().to_vec().into()).await.unwrap()),
            }
            assert_eq!(open(&store, false).await.unwrap().counts(), rows, "{clean} {said:?}");
        }
    }
    let store = Arc::new(whole.fork());
    for version in 0..99 {
        store.delete(&entry("trails", version)).await.unwrap();
    }
    store.delete(&path).await.unwrap();
    assert_refused(&store, "_delta_log").await;
}

/// A build that wrote a checkpoint of the newest version, and not of the one that it was due at, left none where one is looked for first.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_found_behind_a_checkpoint_of_any_version() {
    let store = filled(104).await;
    let url = open(&store, false).await.unwrap().site().location().url.join("/logs/trails").unwrap();
    let builder = DeltaTableBuilder::from_url(url.clone()).unwrap().with_version(102);
    let shared: Arc<dyn ObjectStore> = store.clone();
    let table = builder.with_storage_backend(shared, url).load().await.unwrap();
    create_checkpoint(&table, None).await.unwrap();
    store
        .delete(&Path::from("logs/trails/_delta_log/00000000000000000100.checkpoint.parquet"))
        .await
        .unwrap();
    for version in 0..102 {
        store.delete(&entry("trails", version)).await.unwrap();
    }
    let lake = open(&store, false).await.unwrap();
    let newest = lake.snapshot().version().to_string();
    let version = newest.replace("trails=104", "trails=103").parse().unwrap();
    let snapshot = lake.snapshot_at(&version).await.unwrap();
    assert_eq!((snapshot.version(), snapshot.trails.rows()), (&version, 103));
}

/// What a commit and a new version cost does not grow with the list of files: whatever is not touched is shared, and nothing counts the
/// files of the list anew.
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_commit_nor_a_new_version_copies_a_list_of_files() {
    let store = filled(60).await;
    let lake = open(&store, false).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let listed: Vec<_> = lake.snapshot().trails.iter().cloned().collect();
    let held = || listed.iter().map(Arc::strong_count).collect::<Vec<_>>();
    let before = held();
    let mut kept = Vec::new();
    for n in 60..70 {
        let position = i64::try_from(n).unwrap();
        let batch = Batch {
            fragments: fold([received(request_id(1, 1, n), at(position))]).into_fragments(),
            sources: vec![source("s", position, position + 1)],
            ..Batch::default()
        };
        writer.commit(batch).await.unwrap();
        kept.push(lake.snapshot());
    }
    assert_eq!(kept.last().unwrap().trails.runs(), 70);
    // Ten versions are kept, and each lists all of these runs.
    assert_eq!(held(), before);
    let known = kept[8].bytes_beside(Some(&kept[7]));
    assert!(known > 0 && 4 * known < kept[8].bytes_beside(None), "{known}");
}

/// What another engine's OPTIMIZE leaves: files taken away, others in their place, nothing of ours about them.
async fn optimize(store: &InMemory, version: u64) {
    let said = text(store, &entry("trails", version - 1)).await;
    let added = said.lines().find(|line| line.starts_with("{\"add\"")).unwrap();
    let path = added.split("\"path\":\"").nth(1).unwrap().split('"').next().unwrap();
    let lines = [
        r#"{"commitInfo":{"operation":"OPTIMIZE","engineInfo":"delta-rs:1"}}"#.to_owned(),
        format!(r#"{{"remove":{{"path":"{path}","dataChange":false}}}}"#),
        r#"{"add":{"path":"part-0.parquet","size":1,"partitionValues":{"month":"2026-02"},"modificationTime":1,"dataChange":false}}"#.to_owned(),
    ];
    store.put(&entry("trails", version), lines.join("\n").into_bytes().into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_engine_stops_the_lake_before_it_and_is_named() {
    let store = filled(4).await;
    let lake = open(&store, false).await.unwrap();
    let rows = find(&lake, &[1], &query(1)).await;
    let mut running = lake.writer().await.unwrap();
    optimize(&store, 5).await;
    // One that runs, and one that starts.
    for lake in [lake.clone(), open(&store, false).await.unwrap()] {
        let error = lake.refresh().await.unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(entry("trails", 5).as_ref()) && said.contains("OPTIMIZE of delta-rs:1"),
            "{said}"
        );
        assert_eq!(lake.snapshot().version().trails(), 4);
        assert_eq!(find(&lake, &[1], &query(1)).await, rows);
        let stopped = lake.stopped().unwrap();
        assert_eq!((stopped.table, stopped.version, stopped.foreign), ("trails", 4, true));
        assert!(stopped.remedy().contains(entry("trails", 5).as_ref()), "{}", stopped.remedy());
        assert!(matches!(lake.writer().await, Err(LakeError::Runs(RunsError::NotOurs { .. }))));
        assert!(matches!(lake.maintenance().await, Err(LakeError::Runs(RunsError::NotOurs { .. }))));
        let status = lake.inspection().await.unwrap().status().await.unwrap();
        assert_eq!(status.stopped, [stopped]);
        let found = lake.verify(&VerifySettings::default()).await.unwrap();
        let damages: Vec<_> = found.damages.iter().map(|damage| (damage.kind, damage.path.clone())).collect();
        assert_eq!(damages, [(DamageKind::Log, entry("trails", 5).to_string())]);
    }
    let batch = Batch { sources: vec![source("s", 4, 5)], ..Batch::default() };
    assert!(matches!(running.commit(batch).await, Err(LakeError::Runs(RunsError::NotOurs { .. }))));
    // And whatever comes behind it, its checkpoint included.
    store.copy(&entry("trails", 5), &entry("trails", 6)).await.unwrap();
    let hint = Path::from("logs/trails/_delta_log/_last_checkpoint");
    store.put(&hint, b"{\"version\":6}".to_vec().into()).await.unwrap();
    let checkpoint = Path::from("logs/trails/_delta_log/00000000000000000006.checkpoint.parquet");
    store.put(&checkpoint, b"PAR1".to_vec().into()).await.unwrap();
    let started = open(&store, false).await.unwrap();
    assert_eq!(find(&started, &[1], &query(1)).await, rows);
    // Gone, as the remedy says, all go on.
    for path in [entry("trails", 5), entry("trails", 6), hint, checkpoint] {
        store.delete(&path).await.unwrap();
    }
    for lake in [&lake, &started] {
        lake.refresh().await.unwrap();
        assert_eq!(lake.stopped(), None);
    }
    let mut writer = started.writer().await.unwrap();
    commit(&mut writer, "more", [received(request_id(1, 1, 70), at(70))]).await;
    started.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
    assert!(started.verify(&VerifySettings::default()).await.unwrap().is_clean());
    lake.refresh().await.unwrap();
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), rows.len() + 1);
}

/// In any table.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_engine_in_any_table_stops_what_writes() {
    let whole = filled(1).await;
    for table in table_names() {
        let store = Arc::new(whole.fork());
        let files: Vec<ObjectMeta> =
            store.list(Some(&Path::from(format!("logs/{table}/_delta_log")))).try_collect().await.unwrap();
        let next = files.iter().filter(|file| file.location.as_ref().ends_with(".json")).count() as u64;
        let vacuumed = r#"{"commitInfo":{"operation":"VACUUM START","engineInfo":"other"}}"#;
        store.put(&entry(table, next), vacuumed.as_bytes().to_vec().into()).await.unwrap();
        let lake = open(&store, false).await.unwrap();
        assert_eq!(lake.stopped().unwrap().table, table);
        assert_eq!(find(&lake, &[1], &query(1)).await.len(), 1, "{table}");
        let error = lake.maintenance().await.unwrap_err();
        assert!(error.to_string().contains("VACUUM START of other"), "{table}: {error}");
    }
}

/// An entry that a running process would read next is cut: it stays where it is, wholly, until the entry is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_takes_in_an_entry_wholly_or_not_at_all() {
    let whole = filled(3).await;
    let last = whole.get(&entry("trails", 3)).await.unwrap().bytes().await.unwrap();
    whole.delete(&entry("trails", 3)).await.unwrap();
    let lake = open(&whole, false).await.unwrap();
    let rows = find(&lake, &[1], &query(1)).await;
    assert_eq!(rows.len(), 2);
    for length in [0, 40, last.len() / 2, last.len() - 2] {
        whole.put(&entry("trails", 3), last.slice(..length).into()).await.unwrap();
        let error = lake.refresh().await.unwrap_err();
        assert_eq!(error.kind(), LakeErrorKind::Corrupt, "{length}");
        assert_eq!(find(&lake, &[1], &query(1)).await, rows, "{length}");
        assert!(!lake.stopped().unwrap().foreign, "{length}");
    }
    whole.put(&entry("trails", 3), last.into()).await.unwrap();
    lake.refresh().await.unwrap();
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 3);
}

/// What a newer build or another engine made is refused by name, whichever table it is, and never misread.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_format_or_with_needs_that_are_not_known_is_refused_by_name() {
    let whole = filled(0).await;
    for table in table_names() {
        let store = Arc::new(whole.fork());
        let made = text(&store, &entry(table, 0)).await;
        let newer = made.replace(r#""gridtrail.formatVersion":"2""#, r#""gridtrail.formatVersion":"3""#);
        assert_ne!(newer, made, "{table}");
        store.put(&entry(table, 0), newer.into_bytes().into()).await.unwrap();
        let error = open(&store, false).await.map(|lake| lake.counts()).unwrap_err();
        assert_eq!(error.kind(), LakeErrorKind::Settings, "{table}: {error}");
        assert!(error.to_string().contains(&format!("table {table} is of format \"3\"")), "{error}");
        let needs = made.replace(
            r#""minReaderVersion":1"#,
            r#""minReaderVersion":3,"readerFeatures":["deletionVectors"]"#,
        );
        assert_ne!(needs, made, "{table}");
        store.put(&entry(table, 0), needs.into_bytes().into()).await.unwrap();
        let error = open(&store, false).await.map(|lake| lake.counts()).unwrap_err();
        assert_eq!(error.kind(), LakeErrorKind::Settings, "{table}: {error}");
        assert!(error.to_string().contains(&format!("table {table} needs deletionVectors")), "{error}");
    }
}
