//! A vacuum deletes what nobody needs, and never what somebody does: by our windows, whoever is pinned, behind or killed.

use crate::it::compaction::{FLUSH, HOUR, QUIET, add, compact, faulty, fill, over, rows, some_of, step};
use crate::it::world::*;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_faults::Fault;
use gridtrail_lake::{Lake, LakeError, LakeErrorKind, TableVacuumed};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// Files are dated by their store, so the clock has to begin with the store's.
fn clock() -> Clock {
    Clock::manual(Clock::system().now())
}

async fn vacuum(lake: &Lake, dry: bool) -> Result<TableVacuumed, LakeError> {
    let all = lake.maintenance().await?.vacuum(dry).await?;
    let sum = |count: fn(&TableVacuumed) -> u64| all.iter().map(count).sum();
    Ok(TableVacuumed {
        name: "all",
        files: sum(|table| table.files),
        bytes: sum(|table| table.bytes),
        log_entries: sum(|table| table.log_entries),
    })
}

async fn objects(store: &InMemory, folder: &str) -> Vec<String> {
    let listed = store.list(Some(&Path::from(folder)));
    listed.map_ok(|file| file.location.to_string()).try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_window_names_stays_and_what_nothing_names_goes() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    fill(&lake, &clock, 0).await;
    let pinned = lake.snapshot();
    let orphan = Path::from("compacted/trails/month=2026-02/l1-killed.parquet");
    store.put(&orphan, "half a run".into()).await.unwrap();
    // Older than the window when they are taken away: the time of that counts.
    clock.advance(50 * HOUR);
    compact(&lake).await.unwrap();
    let wanted = rows(&lake).await;
    let compacted = lake.counts().runs;
    let gone = vacuum(&lake, true).await.unwrap();
    assert_eq!(gone.files, 1, "only the orphan: {gone:?}");
    assert_eq!(vacuum(&lake, false).await.unwrap(), gone);
    assert!(store.head(&orphan).await.is_err());
    clock.advance(48 * HOUR);
    assert_eq!(vacuum(&lake, false).await.unwrap().files, 0);
    // A reader that was pinned before opens everything anew, with nothing in memory.
    let reader = over(store.clone(), clock.clone()).await.unwrap();
    let snapshot = reader.snapshot_at(pinned.version()).await.unwrap();
    for n in 0..6 {
        let found = snapshot.lookup(&access(&[1, 2]), &query(n)).await.unwrap();
        assert!(
            !found.is_empty() && found.iter().all(|row| wanted.get(&row.fragment.key) == Some(&row.fragment))
        );
    }
    clock.advance(2 * HOUR);
    let gone = vacuum(&lake, false).await.unwrap();
    assert!(gone.files >= 10 && gone.bytes > 0, "{gone:?}");
    assert_eq!(vacuum(&lake, false).await.unwrap().files, 0);
    let fresh = over(store.clone(), clock.clone()).await.unwrap();
    assert_eq!(rows(&fresh).await, wanted);
    let runs = objects(&store, "compacted/trails").await.into_iter().filter(|path| path.ends_with("parquet"));
    assert_eq!(runs.filter(|path| !path.contains("_delta_log")).count() as u64, compacted);
}

/// The log ends at a checkpoint that is older than its window, and nothing is deleted whose evidence was not copied. Who
/// stayed behind, as reader and as writer, goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_cleaned_up_and_who_fell_behind_recovers() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    let behind = over(store.clone(), clock.clone()).await.unwrap();
    let asleep = over(store.clone(), clock.clone()).await.unwrap();
    let mut stale = behind.writer().await.unwrap();
    commit(&mut stale, "first", [step(1, 0, 0, false)]).await;
    let early = behind.snapshot().version().clone();
    for n in 0..100u64 {
        add(&lake, n.cast_signed(), [step(1, (n % 6) as u8, n, false)]).await;
    }
    // Through the checkpoint, the files that were taken away are still known as such.
    clock.advance(50 * HOUR);
    compact(&lake).await.unwrap();
    add(&lake, 100, [step(1, 1, 200, false)]).await;
    let wanted = rows(&lake).await;
    let before = vacuum(&lake, false).await.unwrap();
    let entries = |table: &'static str, store: Arc<InMemory>| async move {
        let log = objects(&store, &format!("compacted/{table}/_delta_log")).await;
        log.into_iter().filter(|path| path.ends_with(".json")).count()
    };
    assert_eq!(
        (before.files, entries("trails", store.clone()).await > 100),
        (0, true),
        "not copied yet: {before:?}"
    );
    assert!(entries("mpxn_devices", store.clone()).await < 20, "no evidence lies there: {before:?}");
    lake.maintenance().await.unwrap().copy_evidence().await.unwrap();
    let gone = vacuum(&lake, false).await.unwrap();
    assert!(gone.log_entries >= 100 && entries("trails", store.clone()).await < 20, "{gone:?}");
    let gone = behind.snapshot_at(&early).await;
    assert!(gone.is_ok(), "it has that one in memory");
    let fresh = over(store.clone(), clock.clone()).await.unwrap();
    assert_eq!(fresh.snapshot_at(&early).await.unwrap_err().kind(), LakeErrorKind::VersionGone);
    assert_eq!(rows(&fresh).await, wanted);
    // One that slept all the while takes what it knows for the newest version, and all files since are old by now.
    clock.advance(50 * HOUR);
    vacuum(&asleep, false).await.unwrap();
    assert_eq!(rows(&over(store.clone(), clock.clone()).await.unwrap()).await, wanted);
    // It finds nothing behind its last entry, and is back before long.
    for _ in 0..100 {
        behind.refresh().await.unwrap();
    }
    assert_eq!(rows(&behind).await, wanted);
    commit(&mut stale, "last", [step(1, 2, 300, false)]).await;
    lake.refresh().await.unwrap();
    assert_eq!(rows(&lake).await.len(), wanted.len() + 1);
    let end = lake.evidence(|_| {}).await.unwrap();
    assert_eq!(end.positions.len(), 3);
    assert!(lake.verify(&gridtrail_lake::VerifySettings::default()).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_contradict_each_other_are_refused() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    lake.check_windows().await.unwrap();
    let entry = Path::from("compacted/parked/_delta_log/00000000000000000000.json");
    let text = store.get(&entry).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    for (wrong, why) in [("interval 47 hours", "shorter"), ("two days", "must be such as")] {
        let changed = text.replace("interval 49 hours", wrong);
        assert_ne!(changed, text);
        store.put(&entry, changed.into()).await.unwrap();
        let lake = over(store.clone(), clock.clone()).await.unwrap();
        let refused = lake.check_windows().await.unwrap_err();
        assert_eq!(refused.kind(), LakeErrorKind::Settings);
        assert!(refused.to_string().contains("parked") && refused.to_string().contains(why), "{refused}");
        assert_eq!(vacuum(&lake, false).await.unwrap_err().kind(), LakeErrorKind::Settings);
    }
}

/// Every operation of a vacuum fails in every way: what is needed is there, and the next one ends the work.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_a_vacuum_may_fail_in_every_way() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    fill(&lake, &clock, 0).await;
    clock.advance(FLUSH);
    compact(&lake).await.unwrap();
    let wanted = rows(&lake).await;
    clock.advance(2 * QUIET);
    let filled = store.fork();
    let (_, counted, faults) = faulty(&filled);
    let whole = vacuum(&over(counted, clock.clone()).await.unwrap(), false).await.unwrap();
    let operations = faults.operations();
    let all = some_of(&Fault::ALL, operations, 8);
    let cases: usize = stream::iter(all)
        .map(|(operation, fault)| {
            let (inner, store, faults) = faulty(&filled);
            let (clock, wanted, whole) = (clock.clone(), wanted.clone(), whole.clone());
            async move {
                faults.at(operation, fault);
                let mut gone = 0;
                if let Ok(lake) = over(store, clock.clone()).await
                    && let Ok(vacuumed) = vacuum(&lake, false).await
                {
                    gone = vacuumed.files;
                }
                let Some(what) = faults.last() else { return 0 };
                let lake = over(inner, clock.clone()).await.unwrap();
                assert_eq!(rows(&lake).await, wanted, "{what}");
                for file in lake.named_files().await.unwrap() {
                    assert_eq!(file.found, Some(file.size), "{what}: {}", file.path);
                }
                let rest = vacuum(&lake, false).await.unwrap().files;
                assert!(
                    gone + rest <= whole.files && (gone == whole.files || rest > 0 || gone == 0),
                    "{what}"
                );
                assert_eq!(vacuum(&lake, true).await.unwrap().files, 0, "{what}");
                1
            }
        })
        .buffer_unordered(4)
        .fold(0, |sum, case| async move { sum + case })
        .await;
    println!("{operations} operations, {cases} faults: every file that is needed is there");
    assert!(cases > 20, "{cases}");
}
