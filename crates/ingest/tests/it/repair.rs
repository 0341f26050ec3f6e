//! A damaged run gets its rows back from the files that they came from, exactly once, and what is gone is told.

use super::*;
use gridtrail_ingest::{RepairSettings, Repaired, repair};
use gridtrail_lake::{CompactionSettings, LakeErrorKind, VerifySettings};
use std::collections::BTreeSet;
use tempfile::TempDir;

const DAY: i64 = 86_400_000;

async fn over(folder: &TempDir) -> Lake {
    over_on(folder, 40).await
}

/// The same, so many days after the first events.
async fn over_on(folder: &TempDir, day: i64) -> Lake {
    let settings = LakeSettings::at(folder.path().to_str().unwrap());
    Lake::open(settings, Clock::manual(at(day * DAY))).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The answer to a request, which says nothing of when that was received.
fn answered(counter: u64) -> Event {
    let request = received(counter);
    let request_id = request.correlation.request_id.unwrap();
    let sent = request.recorded_at.plus_millis(5_000);
    Event {
        id: format!("a{counter}").parse().unwrap(),
        recorded_at: sent,
        correlation: Correlation { request_id: Some(request_id), ..Correlation::of_user(user()) },
        body: Body::ResponseSent(ResponseSent {
            response_id: Some(ResponseId::mirror_of(&request_id)),
            code: "I0".parse().unwrap(),
            at: sent,
            content: ResponseContent::ServiceResponse,
        }),
    }
}

/// Files of requests, some with the answers to those of the file before; each file is a commit or more.
fn files(folder: &Path) {
    for file in 0..4u64 {
        let requests = (file * 20..file * 20 + 20).map(received);
        let answers = (file.saturating_sub(1) * 20..file * 20).map(answered);
        let lines: Vec<String> = requests.chain(answers).map(|event| encode_json(&event)).collect();
        std::fs::write(folder.join(format!("{file}.jsonl")), lines.join("\n")).unwrap();
    }
}

/// Rows as a search shows them: counters, and how many changes each has. The error, where it is refused.
async fn rows(lake: &Lake) -> Result<Vec<(u64, usize)>, LakeErrorKind> {
    let key = DevKey::generate().unwrap();
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user()].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let query = KeyQuery::all(device(), View::Audit, 100_000);
    let found = lake.snapshot().lookup(&key.access(&claims).unwrap(), &query).await;
    let found = found.map_err(|error| error.kind())?;
    let row = |found: &gridtrail_lake::Found| {
        (found.fragment.key.request_id().unwrap().counter, found.fragment.history().len())
    };
    Ok(found.iter().map(row).collect())
}

fn flip(path: &str) {
    let path = Path::new("/").join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    // Pages come first.
    bytes[60] ^= 4;
    std::fs::write(&path, bytes).unwrap();
}

async fn filled(folder: &Path) -> TempDir {
    files(folder);
    let store = tempfile::tempdir().unwrap();
    let lake = over(&store).await;
    ingest(&lake, folder, &FileSettings { batch_rows: 15, ..FileSettings::default() }).await.unwrap();
    lake.maintenance().await.unwrap().sweep().await.unwrap();
    store
}

async fn runs(lake: &Lake) -> Vec<String> {
    let files = lake.named_files().await.unwrap();
    files.into_iter().filter(|file| file.path.contains("/trails/")).map(|file| file.path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_runs_get_their_rows_back_from_files_whether_they_were_compacted_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path()).await;
    let moved = tempfile::tempdir().unwrap();
    for file in ["0.jsonl", "1.jsonl"] {
        std::fs::rename(folder.path().join(file), moved.path().join(format!("x-{file}"))).unwrap();
    }
    let settings = RepairSettings { paths: vec![moved.path().to_owned()], ..RepairSettings::default() };
    for compacted in [false, true] {
        let store = tempfile::tempdir().unwrap();
        copy(whole.path(), store.path());
        let lake = over(&store).await;
        if compacted {
            let full = CompactionSettings { full: true, ..CompactionSettings::default() };
            lake.maintenance().await.unwrap().compact(&full).await.unwrap();
        }
        let expected = rows(&lake).await.unwrap();
        assert_eq!(expected.len(), 80);
        // All at once: those of level 0 of a month have one guard.
        let damaged = runs(&lake).await;
        damaged.iter().for_each(|run| flip(run));
        let lake = over(&store).await;
        assert_eq!(rows(&lake).await, Err(LakeErrorKind::Corrupt), "{compacted}");
        let dry = repair(&lake, &RepairSettings { dry: true, ..settings.clone() }).await.unwrap();
        let paths = |of: &[Repaired]| of.iter().map(|run| run.path.clone()).collect::<BTreeSet<_>>();
        assert_eq!(paths(&dry), damaged.iter().cloned().collect(), "{compacted}");
        assert!(dry.iter().all(|run| run.rows.is_none() && run.lost.is_empty()), "{dry:?}");
        let repaired = repair(&lake, &settings).await.unwrap();
        assert_eq!(paths(&repaired), paths(&dry), "{compacted}");
        assert!(
            repaired.iter().all(|run| run.rows.is_some_and(|rows| rows >= run.rows_before)),
            "{repaired:?}"
        );
        for lake in [&lake, &over(&store).await] {
            assert_eq!(rows(lake).await.unwrap(), expected, "{compacted}");
            assert_eq!(repair(lake, &settings).await.unwrap(), [], "once");
        }
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        lake.maintenance().await.unwrap().compact(&full).await.unwrap();
        let found = lake.verify(&VerifySettings::default()).await.unwrap();
        assert_eq!(found.damages, [], "{compacted}");
        assert_eq!(rows(&lake).await.unwrap(), expected, "{compacted}");
        let mut told = BTreeSet::new();
        let take = |commit: gridtrail_lake::Commit| {
            for evidence in commit.sources {
                let Evidence::Whole(evidence) = evidence else { panic!("broken evidence") };
                told.extend(evidence.repaired().map(str::to_owned));
            }
        };
        lake.evidence(take).await.unwrap();
        assert_eq!(told, paths(&dry), "they are in the evidence");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_a_source_is_gone_stays_unless_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let lake = over(&store).await;
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.unwrap().compact(&full).await.unwrap();
    let expected = rows(&lake).await.unwrap();
    let run = runs(&lake).await.pop().unwrap();
    flip(&run);
    std::fs::remove_file(folder.path().join("2.jsonl")).unwrap();
    let lake = over(&store).await;
    let settings = RepairSettings::default();
    let stays = repair(&lake, &settings).await.unwrap();
    assert_eq!(stays[0].rows, None);
    assert!(!stays[0].lost.is_empty() && stays[0].lost.iter().all(|lost| lost.name.ends_with("2.jsonl")));
    assert_eq!(rows(&lake).await, Err(LakeErrorKind::Corrupt));
    let accepted = repair(&lake, &RepairSettings { accept_loss: true, ..settings }).await.unwrap();
    assert!(accepted[0].rows.is_some());
    let left = rows(&lake).await.unwrap();
    assert!(
        left.len() < expected.len() && left.iter().all(|row| expected.iter().any(|other| row.0 == other.0))
    );
    assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
}

/// Runs under one guard, such as those of level 0 of a month, come back one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn all_damaged_runs_of_a_month_come_back_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let lake = over(&store).await;
    let expected = rows(&lake).await.unwrap();
    let damaged = runs(&lake).await;
    assert!(damaged.len() > 2, "{damaged:?}");
    damaged.iter().for_each(|run| flip(run));
    let lake = over(&store).await;
    let repaired = repair(&lake, &RepairSettings::default()).await.unwrap();
    assert!(repaired.len() == damaged.len() && repaired.iter().all(|run| run.rows.is_some()), "{repaired:?}");
    assert_eq!(rows(&lake).await.unwrap(), expected);
    assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
}

/// A run of answers that wait is replaced by what still waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..20).map(answered).map(|event| encode_json(&event)).collect();
    std::fs::write(folder.path().join("a.jsonl"), lines.join("\n")).unwrap();
    let store = tempfile::tempdir().unwrap();
    let lake = over(&store).await;
    ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    let expected = rows(&lake).await.unwrap();
    assert_eq!((expected.len(), lake.counts().parked), (20, 20));
    let files = lake.named_files().await.unwrap();
    let parked = files.into_iter().find(|file| file.path.contains("/parked/")).unwrap();
    flip(&parked.path);
    let lake = over(&store).await;
    assert_eq!(rows(&lake).await, Err(LakeErrorKind::Corrupt));
    let swept = lake.maintenance().await.unwrap().sweep().await.unwrap();
    assert_eq!((swept.joined, swept.waiting), (0, 20), "what is damaged is left alone");
    let repaired = repair(&lake, &RepairSettings::default()).await.unwrap();
    assert_eq!(repaired[0].rows, Some(20), "{repaired:?}");
    assert_eq!(rows(&lake).await.unwrap(), expected);
    assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
}

/// A run of the inventory gets its rows back from files of inventory events and from messages, and none of a message that was put aside.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_runs_of_the_inventory_get_their_rows_back() {
    let folder = tempfile::tempdir().unwrap();
    crate::it::inventory::write_sources(folder.path());
    let whole = tempfile::tempdir().unwrap();
    let lake = over(&whole).await;
    ingest(&lake, folder.path(), &FileSettings { batch_rows: 2, ..FileSettings::default() }).await.unwrap();
    drop(lake);
    for compacted in [false, true] {
        let store = tempfile::tempdir().unwrap();
        copy(whole.path(), store.path());
        let lake = over(&store).await;
        if compacted {
            let full = CompactionSettings { full: true, ..CompactionSettings::default() };
            lake.maintenance().await.unwrap().compact(&full).await.unwrap();
        }
        let expected = crate::it::inventory::known(&lake).await;
        assert_eq!(expected.events().len(), 5, "three events, an alert, and a request that succeeded");
        let rows = async |lake: &Lake| {
            let verified = lake.verify(&VerifySettings::default()).await.unwrap();
            assert_eq!(verified.damages, []);
            verified.tables.iter().find(|table| table.name == "inventory").unwrap().rows
        };
        let before = rows(&lake).await;
        let files = lake.named_files().await.unwrap();
        let runs: Vec<String> =
            files.into_iter().map(|file| file.path).filter(|path| path.contains("/inventory/")).collect();
        runs.iter().for_each(|run| flip(run));
        let lake = over(&store).await;
        let repaired = repair(&lake, &RepairSettings::default()).await.unwrap();
        assert_eq!(repaired.len(), runs.len());
        assert!(repaired.iter().all(|run| run.rows.is_some() && run.lost.is_empty()), "{repaired:?}");
        assert_eq!(crate::it::inventory::known(&lake).await, expected, "{compacted}");
        assert_eq!(repair(&lake, &RepairSettings::default()).await.unwrap(), [], "once");
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        lake.maintenance().await.unwrap().compact(&full).await.unwrap();
        assert_eq!(crate::it::inventory::known(&lake).await, expected, "{compacted}, compacted");
        assert!(rows(&lake).await <= before, "nothing is there that was not");
    }
}

/// A file of schedules gets its rows back from messages.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_of_schedules_get_their_rows_back() {
    let folder = tempfile::tempdir().unwrap();
    crate::it::schedules::write_sources(folder.path());
    let store = tempfile::tempdir().unwrap();
    let lake = over_on(&store, 1).await;
    ingest(&lake, folder.path(), &FileSettings { batch_rows: 2, ..FileSettings::default() }).await.unwrap();
    let expected = crate::it::schedules::known(&lake).await;
    assert_eq!(expected.len(), 2);
    let files = lake.named_files().await.unwrap();
    let damaged: Vec<String> =
        files.into_iter().map(|file| file.path).filter(|path| path.contains("/schedules/")).collect();
    assert!(!damaged.is_empty());
    damaged.iter().for_each(|file| flip(file));
    let lake = over_on(&store, 1).await;
    let repaired = repair(&lake, &RepairSettings::default()).await.unwrap();
    assert_eq!(repaired.len(), damaged.len());
    assert!(repaired.iter().all(|file| file.rows.is_some() && file.lost.is_empty()), "{repaired:?}");
    assert_eq!(crate::it::schedules::known(&lake).await, expected);
    assert_eq!(repair(&lake, &RepairSettings::default()).await.unwrap(), [], "once");
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
}

/// A file of anomaly detection gets its rows back from files of anomaly events and from messages.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_of_anomaly_detection_get_their_rows_back() {
    let folder = tempfile::tempdir().unwrap();
    crate::it::anomaly::write_sources(folder.path());
    let store = tempfile::tempdir().unwrap();
    let lake = over_on(&store, 1).await;
    ingest(&lake, folder.path(), &FileSettings { batch_rows: 2, ..FileSettings::default() }).await.unwrap();
    let expected = crate::it::anomaly::held(&lake).await;
    assert_eq!(expected.len(), 4, "three that events tell of, and one that an alert does");
    let files = lake.named_files().await.unwrap();
    let damaged: Vec<String> =
        files.into_iter().map(|file| file.path).filter(|path| path.contains("/anomaly/")).collect();
    assert!(!damaged.is_empty());
    damaged.iter().for_each(|file| flip(file));
    let lake = over_on(&store, 1).await;
    let repaired = repair(&lake, &RepairSettings::default()).await.unwrap();
    assert_eq!(repaired.len(), damaged.len());
    assert!(repaired.iter().all(|file| file.rows.is_some() && file.lost.is_empty()), "{repaired:?}");
    assert_eq!(crate::it::anomaly::held(&lake).await, expected);
    assert_eq!(repair(&lake, &RepairSettings::default()).await.unwrap(), [], "once");
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
    // What is gone by the clock is not written anew.
    let files = lake.named_files().await.unwrap();
    let paths = files.into_iter().map(|file| file.path).filter(|path| path.contains("/anomaly/"));
    paths.for_each(|path| flip(&path));
    let lake = over(&store).await;
    let repaired = repair(&lake, &RepairSettings::default()).await.unwrap();
    assert!(!repaired.is_empty() && repaired.iter().all(|file| file.rows == Some(0)), "{repaired:?}");
}
