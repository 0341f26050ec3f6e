//! A start over a lake that is old: what it reads does not grow with the commits that there ever were.
//!
//! The lake is made, not lived through: its newest commits are real, and what came before lies in files of the `commits` table as gathering
//! leaves them, by the same code. Its main table's log is the real one, under the numbers that so many commits would have come to.

use crate::commit_evidence::CommitEvidence;
use crate::it::compaction::over;
use crate::it::faults::setting;
use crate::it::world::*;
use crate::tables::commits::{self, COPIED};
use crate::tables::side_files::named_last;
use futures::TryStreamExt;
use gridtrail_faults::{LateStore, RecordingStore};
use gridtrail_lake::{Batch, EvidencePart, EvidenceSummary, Lake, SourceEvidence, Stream};
use gridtrail_runs::{Changes, Move, NewFile};
use gridtrail_runtime::Clock;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Thirteen months.
const AGE_MS: i64 = 396 * 24 * 3_600_000;
const PARTITIONS: u64 = 12;
/// The version of the real log at which the made one begins: that of its first checkpoint.
const BEGINS: u64 = 100;
/// Commits behind it, which were not copied yet: as many as there are in a minute.
const NEW: u64 = 60;
/// How late every request is.
const LATE: Duration = Duration::from_millis(30);

fn stream() -> Stream {
    let partitions = i32::try_from(PARTITIONS).unwrap();
    Stream { cluster: "c".into(), topic: "events".into(), id: "one".into(), partitions }
}

/// What a commit says that reads one partition: a thousand records, of which now and then some wait or cannot be read.
fn evidence(nth: u64, at_ms: i64) -> SourceEvidence {
    let (partition, turn) = (nth % PARTITIONS, nth / PARTITIONS);
    let (from, to) = (turn.cast_signed() * 1_000, (turn.cast_signed() + 1) * 1_000);
    let letters = u64::from(nth.is_multiple_of(10_000));
    let mut evidence = SourceEvidence {
        source: stream().source(i32::try_from(partition).unwrap()),
        name: format!("events/{partition}"),
        first: turn == 0,
        from,
        to,
        records: 1_000,
        stored: 1_000 - letters,
        dead_lettered: letters,
        dead_lettered_at: (0..letters.cast_signed()).map(|n| from + n).collect(),
        sha256: format!("{:064x}", u128::from(nth).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
        recorded_min_ms: Some(at_ms - 2_000),
        recorded_max_ms: Some(at_ms - 100),
        recorded_mean_ms: Some(at_ms - 1_000),
        end: Some(to),
        complete_up_to_ms: Some(at_ms - 50),
        committed_at_ms: at_ms,
        ..SourceEvidence::default()
    };
    evidence.seal = evidence.sealed_by();
    evidence
}

/// A lake whose main table saw so many commits within thirteen months before its last ones, in so many files of evidence.
async fn made(store: Arc<dyn ObjectStore>, commits: u64, files: u64) {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::clone(&store), clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for nth in 0..BEGINS + NEW {
        let mut source = evidence(nth, at(1_000_000).millis());
        source.first = writer.position(&source.source).is_none();
        let batch = Batch { sources: vec![source], streams: vec![stream()], ..Batch::default() };
        writer.commit(batch).await.unwrap();
    }
    drop((lake, writer));
    grow_old(&store, commits - BEGINS).await;
    let lake = over(store, clock.clone()).await.unwrap();
    let mut table = lake.tables().await.commits;
    let (now, each) = (clock.now().millis(), commits / files);
    let entry = |nth: u64| {
        let ago = i128::from(AGE_MS) * i128::from(commits - nth) / i128::from(commits);
        let source = serde_json::to_value(evidence(nth, now - i64::try_from(ago).unwrap())).unwrap();
        CommitEvidence { version: nth, kind: "ingest".to_owned(), sources: vec![source] }
    };
    for file in 0..files {
        let last = if file + 1 == files { commits } else { (file + 1) * each };
        let held: Vec<_> = (file * each..last).map(entry).collect();
        let (encoded, rows, tag) = commits::write(&held).unwrap();
        let path = named_last(&table);
        let written = table.upload_encoded(&path, encoded).await.unwrap();
        let add = vec![NewFile { path, written, month: None, rows, tag, bounds: Vec::new() }];
        let (from, to) = (table.position(COPIED), (last - 1).cast_signed());
        let moves = vec![Move { app_id: COPIED.to_owned(), from, to }];
        table.commit(&Changes { add, moves, now_ms: now, ..Changes::default() }).await.unwrap();
    }
}

/// Has the main table's log begin at a checkpoint of a version that is later by so much. Entries say nothing of their state then, as the first
/// format has it, for that is sealed with their version.
async fn grow_old(store: &Arc<dyn ObjectStore>, by: u64) {
    let folder = Path::from("compacted/trails/_delta_log");
    let files: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    for file in files {
        let name = file.location.filename().unwrap().to_owned();
        let bytes = store.get(&file.location).await.unwrap().bytes().await.unwrap();
        store.delete(&file.location).await.unwrap();
        let (name, bytes) = match name.split_once('.') {
            None => {
                let mut hint: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                hint["version"] = (hint["version"].as_u64().unwrap() + by).into();
                (name, hint.to_string().into_bytes())
            }
            Some((version, kind)) => {
                let version = version.parse::<u64>().unwrap();
                if version < BEGINS {
                    continue;
                }
                let bytes = if kind == "json" { without_state(&bytes) } else { bytes.to_vec() };
                (format!("{:020}.{kind}", version + by), bytes)
            }
        };
        store.put(&folder.clone().join(name), bytes.into()).await.unwrap();
    }
}

fn without_state(entry: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut action: serde_json::Value = serde_json::from_slice(line).unwrap();
        if let Some(info) = action.get_mut("commitInfo").and_then(|info| info.as_object_mut()) {
            info.remove("gridtrailState");
        }
        lines.extend(action.to_string().into_bytes());
        lines.push(b'\n');
    }
    lines
}

/// What a server reads of the evidence when it starts.
async fn started(lake: &Lake) -> (EvidenceSummary, u64) {
    let (mut summary, mut newest) = (EvidenceSummary::default(), 0);
    let show = |part| match part {
        EvidencePart::Commit(commit) => drop(summary.take(&commit, None)),
        EvidencePart::Summary(later) => summary.absorb(*later),
    };
    newest = newest.max(lake.evidence_since(None, show).await.unwrap());
    (summary, newest)
}

/// A start reads the tails of files, sixteen at a time, and the entries that were not copied; what they come to is what all commits come to.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_reads_tails_and_no_old_commits() {
    let (commits, files) = (6_000, 40);
    let inner = Arc::new(InMemory::new());
    made(inner.clone(), commits, files).await;
    let (store, recording) = RecordingStore::new(inner);
    let lake = over(Arc::new(store), Clock::manual(at(1_000_000))).await.unwrap();
    println!("opened: {} requests in {} rounds", recording.requests(), recording.rounds());
    assert!(recording.rounds() <= 24, "{} rounds", recording.rounds());
    recording.reset();
    let (summary, newest) = started(&lake).await;
    let (requests, rounds, bytes) = (recording.requests(), recording.rounds(), recording.bytes());
    println!("{commits} commits in {files} files: {requests} requests in {rounds} rounds, {bytes} bytes");
    assert_eq!((summary.last, newest), (Some(commits + NEW), commits + NEW));
    // A tail a file, and an entry a commit that was not copied; the request for newer copies finds nothing, and is not counted.
    let entries = NEW + 1;
    assert_eq!(requests, files + entries);
    assert!(rounds <= files.div_ceil(16) + entries.div_ceil(16) + 3, "{rounds} rounds");

    let mut of_all = EvidenceSummary::default();
    let mut count = 0;
    lake.evidence(|commit| {
        count += 1;
        of_all.take(&commit, None);
    })
    .await
    .unwrap();
    assert_eq!(count, commits + NEW + 1);
    for all in [&summary, &of_all] {
        assert_eq!(
            (all.first, all.broken, all.partitions.len()),
            (Some(0), 0, usize::try_from(PARTITIONS).unwrap())
        );
    }
    assert_eq!((&summary.totals, &summary.days), (&of_all.totals, &of_all.days));
    assert_eq!((&summary.letters, &summary.fates), (&of_all.letters, &of_all.fates));
    assert_eq!(lake.letter_fates().await.unwrap(), of_all.fates);
}

/// With a commit a second for thirteen months, and 30 ms a request. `GRIDTRAIL_AGED_COMMITS` commits lie in as many files as 34 million do; with
/// fewer than those the files are shorter, and there are as many days in each.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a lake of thirteen months: see scripts/prove"]
async fn an_old_lake_is_fresh_soon_after_a_start() {
    let (commits, files) =
        (setting("GRIDTRAIL_AGED_COMMITS", 34_000_000), setting("GRIDTRAIL_AGED_FILES", 220));
    let folder = tempfile::tempdir().unwrap();
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let began = Instant::now();
    let prompt = LateStore::new(Arc::clone(&local), Duration::ZERO);
    made(Arc::new(prompt), commits, files).await;
    println!("made {commits} commits in {files} files in {:.0} s", began.elapsed().as_secs_f64());
    let bytes: u64 = local
        .list(Some(&Path::from("compacted/commits")))
        .map_ok(|file| file.size)
        .try_fold(0, |sum, size| async move { Ok(sum + size) })
        .await
        .unwrap();
    let late: Arc<dyn ObjectStore> = Arc::new(LateStore::new(local, LATE));
    for nth in 1..=3 {
        let began = Instant::now();
        let lake = over(Arc::clone(&late), Clock::manual(at(1_000_000))).await.unwrap();
        let opened = began.elapsed();
        lake.sharing().await.unwrap();
        lake.refresh().await.unwrap();
        let (summary, _) = started(&lake).await;
        let fresh = began.elapsed();
        assert_eq!(summary.last, Some(commits + NEW));
        println!(
            "start {nth}: {commits} commits, {files} files, {:.1} MB of evidence, {} ms a request: opened after {:.2} s, fresh after {:.2} s",
            bytes as f64 / 1e6,
            LATE.as_millis(),
            opened.as_secs_f64(),
            fresh.as_secs_f64()
        );
    }
}
