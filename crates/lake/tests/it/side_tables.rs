//! Side tables whose rows have no key: their files become few, what reads them reads the same, and what is to go goes; whoever fails, and
//! whoever does the same at the same time.

use crate::it::compaction::{compact, faulty, over, some_of};
use crate::it::world::*;
use gridtrail_faults::Fault;
use gridtrail_lake::{
    Batch, CommitKind, CompactionSettings, DeadLetter, EvidencePart, EvidenceSummary, Fate, Hold, HoldScope,
    Lake, SourceEvidence, VerifySettings,
};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::collections::BTreeMap;
use std::sync::Arc;

const SIDE: [&str; 3] = ["commits", "dead_letters", "holds"];

/// Everything that somebody reads of side tables.
#[derive(Debug, PartialEq)]
struct Seen {
    letters: Vec<DeadLetter>,
    fates: Vec<Option<Fate>>,
    holds: Vec<Hold>,
    evidence: Vec<gridtrail_lake::Commit>,
    summary: EvidenceSummary,
}

async fn seen(lake: &Lake) -> Seen {
    lake.refresh().await.unwrap();
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    let known = lake.letter_fates().await.unwrap();
    let fates = letters.iter().map(|letter| known.of(&letter.source, letter.position)).collect();
    let (mut evidence, mut summary) = (Vec::new(), EvidenceSummary::default());
    lake.evidence(|commit| evidence.push(commit)).await.unwrap();
    let show = |part| match part {
        EvidencePart::Commit(commit) => drop(summary.take(&commit, None)),
        EvidencePart::Summary(later) => summary.absorb(*later),
    };
    lake.evidence_since(None, show).await.unwrap();
    for partition in summary.partitions.values_mut() {
        // Which minutes are marked depends on where files begin.
        partition.marks = gridtrail_lake::Marks::default();
    }
    assert!(evidence.is_sorted_by_key(|commit| commit.version));
    Seen { letters, fates, holds: lake.holds().await.unwrap(), evidence, summary }
}

fn letter_at(n: i64, read_at: Timestamp) -> DeadLetter {
    DeadLetter { read_at, ..letter("file:s", n, format!("record {n}").as_bytes()) }
}

/// A batch with a dead letter.
async fn put_aside(lake: &Lake, n: i64) {
    let mut evidence = source("s", n, n + 1);
    (evidence.records, evidence.dead_lettered, evidence.finished) = (1, 1, false);
    evidence.dead_lettered_at = std::iter::once(n).collect();
    let letters = vec![letter_at(n, lake.clock().now())];
    let batch = Batch { dead_letters: letters, sources: vec![evidence], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

async fn dismiss(lake: &Lake, positions: impl IntoIterator<Item = i64>) {
    let mut dismissal = SourceEvidence::of_letters("file:s", "s");
    dismissal.dismissed_at = positions.into_iter().collect();
    let kind = CommitKind::Dismissal;
    let batch = Batch { sources: vec![dismissal], kind, ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

/// Some rounds of everything that writes to side tables, a file each.
async fn fill(lake: &Lake, rounds: std::ops::Range<i64>) {
    for n in rounds {
        put_aside(lake, n).await;
        let scope =
            HoldScope { device: Some(device(u8::try_from(n % 200).unwrap())), ..HoldScope::default() };
        let id = lake.place_hold(scope, "tester", "a case").await.unwrap().hold.id;
        if n % 2 == 0 {
            lake.release_hold(&id, "tester", "it is over").await.unwrap();
        }
        if n % 3 == 0 {
            dismiss(lake, [n]).await;
        }
        lake.maintenance().await.unwrap().copy_evidence().await.unwrap();
        lake.clock().advance(60_000);
    }
}

async fn files(lake: &Lake) -> BTreeMap<&'static str, usize> {
    let named = lake.named_files().await.unwrap();
    let of = |table: &'static str| {
        (table, named.iter().filter(|file| file.path.contains(&format!("/{table}/"))).count())
    };
    SIDE.into_iter().map(of).collect()
}

async fn retain(lake: &Lake) -> gridtrail_lake::Retained {
    lake.maintenance().await.unwrap().retain(&CompactionSettings::default(), false).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn side_tables_stay_few_files_and_say_the_same() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    // Whoever opened it before goes on reading.
    let reader = lake.dead_letters().await.unwrap();
    for round in 0..4 {
        fill(&lake, round * 6..(round + 1) * 6).await;
        let before = seen(&lake).await;
        compact(&lake).await.unwrap();
        assert_eq!(seen(&lake).await, before, "round {round}");
    }
    let few = files(&lake).await;
    assert!(few.values().all(|files| *files <= 9), "{few:?}");
    let letters: Vec<i64> = seen(&lake).await.letters.iter().map(|letter| letter.position).collect();
    assert_eq!(letters, (0..24).collect::<Vec<_>>(), "in the order in which they were put aside");
    assert!(reader.is_empty());
    let found = lake.verify(&VerifySettings::default()).await.unwrap();
    assert!(found.is_clean(), "{:?}", found.damages);
}

/// Of letters that lie in one file those go that are settled and old, and the others stay where they are.
#[tokio::test(flavor = "multi_thread")]
async fn settled_letters_go_from_among_open_ones() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    fill(&lake, 0..8).await;
    compact(&lake).await.unwrap();
    clock.advance(600 * 24 * 3_600_000);
    fill(&lake, 8..10).await;
    dismiss(&lake, [8]).await;
    compact(&lake).await.unwrap();
    let would = lake.maintenance().await.unwrap().retain(&CompactionSettings::default(), true).await.unwrap();
    assert_eq!((would.rows_of("dead_letters"), retain(&lake).await.rows_of("dead_letters")), (3, 3));
    let left = seen(&lake).await;
    let positions: Vec<i64> = left.letters.iter().map(|letter| letter.position).collect();
    assert_eq!(positions, [1, 2, 4, 5, 7, 8, 9], "0, 3 and 6 were dismissed long ago, and 8 just now");
    let fates = lake.letter_fates().await.unwrap();
    assert_eq!(fates.expired("file:s").iter().collect::<Vec<_>>(), [0, 3, 6]);
    assert_eq!(retain(&lake).await, gridtrail_lake::Retained::default());
    assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
}

/// A file that is damaged is left where it is, and the others around it are not put across it.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, _) = open(folder.path().to_str().unwrap()).await;
    fill(&lake, 0..9).await;
    let table = folder.path().join("commits");
    let entries = std::fs::read_dir(table).unwrap().map(|entry| entry.unwrap().path());
    let mut copies: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect();
    copies.sort();
    let whole = std::fs::read(&copies[4]).unwrap();
    let before = seen(&lake).await;
    std::fs::write(&copies[4], &whole[1..]).unwrap();
    for _ in 0..3 {
        compact(&lake).await.unwrap();
    }
    assert!(copies[4].exists() && lake.damaged_files().len() == 1, "{:?}", lake.damaged_files());
    std::fs::write(&copies[4], whole).unwrap();
    assert_eq!(seen(&lake).await, before);
    assert!(files(&lake).await["commits"] < 9);
}

/// Every operation of housekeeping fails in every way: side tables say the same afterwards, and the next housekeeping ends the work.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_on_side_tables_may_fail_in_every_way() {
    let filled = Arc::new(InMemory::new());
    let clock = Clock::manual(at(1_000_000));
    let lake = over(filled.clone(), clock.clone()).await.unwrap();
    fill(&lake, 0..5).await;
    clock.advance(600 * 24 * 3_600_000);
    let before = seen(&lake).await;
    let keep = async |lake: &Lake| {
        let mut maintenance = lake.maintenance().await?;
        maintenance.copy_evidence().await?;
        maintenance.compact(&CompactionSettings::default()).await?;
        maintenance.retain(&CompactionSettings::default(), false).await.map(drop)
    };
    let (_, counted, faults) = faulty(&filled);
    keep(&over(counted, clock.clone()).await.unwrap()).await.unwrap();
    let operations = faults.operations();
    let (mut cases, all) = (0, some_of(&Fault::ALL, operations, 31).collect::<Vec<_>>());
    for (operation, fault) in all {
        let (inner, store, faults) = faulty(&filled);
        faults.at(operation, fault);
        if let Ok(lake) = over(store, clock.clone()).await {
            let _ = keep(&lake).await;
        }
        let Some(what) = faults.last() else { continue };
        cases += 1;
        let lake = over(inner, clock.clone()).await.unwrap();
        check(&seen(&lake).await, &before, &what);
        keep(&lake).await.unwrap();
        let after = seen(&lake).await;
        check(&after, &before, &what);
        assert_eq!(after.letters.len(), 3, "{what}: the settled ones went in the end");
        let few = files(&lake).await;
        assert!(few.values().all(|files| *files < 4), "{what}: {few:?}");
        assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean(), "{what}");
    }
    println!("{operations} operations, {cases} faults");
    assert!(cases > 20, "{cases}");
}

/// Open letters are there, in order; of settled ones some may have gone. What else there is says the same, and perhaps more.
fn check(found: &Seen, before: &Seen, what: &str) {
    assert_eq!(found.holds, before.holds, "{what}");
    assert!(found.evidence.starts_with(&before.evidence), "{what}");
    let positions = |seen: &Seen, settled: bool| {
        let of = seen.letters.iter().zip(&seen.fates);
        let of = of.filter(|(_, fate)| settled || **fate == Some(Fate::Open));
        of.map(|(letter, _)| letter.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(found, false), positions(before, false), "{what}");
    let all = positions(before, true);
    let left = positions(found, true);
    assert!(left.is_sorted_by(|a, b| a < b) && left.iter().all(|position| all.contains(position)), "{what}");
}

/// Two keep house at once while a third writes: nothing is lost or doubled, and nobody is told of a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_housekeepers_at_once_lose_nothing() {
    for round in 0..6 {
        let filled = Arc::new(InMemory::new());
        let clock = Clock::manual(at(1_000_000));
        let lake = over(filled.clone(), clock.clone()).await.unwrap();
        fill(&lake, 0..6).await;
        clock.advance(600 * 24 * 3_600_000);
        let before = seen(&lake).await;
        let store: Arc<dyn ObjectStore> = filled;
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let lake = over(Arc::clone(&store), clock.clone()).await.unwrap();
            tasks.push(tokio::spawn(async move {
                for _ in 0..3 {
                    compact(&lake).await.unwrap();
                    retain(&lake).await;
                }
            }));
        }
        put_aside(&lake, 6).await;
        lake.place_hold(HoldScope { user: Some(user(1)), ..HoldScope::default() }, "a", "b").await.unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        let found = seen(&lake).await;
        let open: Vec<_> = found.letters.iter().map(|letter| letter.position).collect();
        assert_eq!(open, [1, 2, 4, 5, 6], "round {round}");
        assert_eq!(found.holds.len(), before.holds.len() + 1, "round {round}");
        assert!(found.evidence.starts_with(&before.evidence), "round {round}");
        assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean(), "round {round}");
    }
}
