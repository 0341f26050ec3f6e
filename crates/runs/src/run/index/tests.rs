//! What versions of an index share, and what they are said to take.

use super::*;
use crate::delta::checksum::Written;
use crate::run::keyed::{KeyedRun, KeyedSummary};
use crate::run::writer::Summary as _;

const MONTHS: u32 = 13;
const BUCKETS: u32 = 256;

fn run(number: u32, month: u32, bucket: Option<Bucket>) -> Arc<KeyedRun> {
    let summary = KeyedSummary::new(None, None, bucket, None);
    let file = summary.file(number.to_string(), Written { size: 1, xxh64: 0, tail: None }).unwrap();
    let file = TableFile {
        path: file.path,
        size: 1,
        month: Some(format!("2026-{month:02}")),
        written_ms: 0,
        tag: Some(file.tag),
        xxh64: None,
        tail: None,
    };
    Arc::new(KeyedRun::listed(&Arc::new(file), Path::from("a/path")).unwrap())
}

/// Three runs in every bucket of every month.
fn filled() -> (RunIndex<KeyedRun>, Vec<Arc<KeyedRun>>) {
    let (mut index, mut runs) = (RunIndex::default(), Vec::new());
    for month in 0..MONTHS {
        for number in 0..3 * BUCKETS {
            let bucket = Bucket { number: number % BUCKETS, of: BUCKETS };
            let run = run(month * 3 * BUCKETS + number, month, Some(bucket));
            runs.push(Arc::clone(&run));
            index.add(run);
        }
    }
    (index, runs)
}

/// Each version counts once more the runs of the lists that it touched, and no others: of ten thousand runs, three or fewer.
#[test]
fn a_new_version_shares_every_list_that_it_does_not_touch() {
    let (mut index, runs) = filled();
    assert_eq!((index.runs(), index.iter().count()), (9_984, 9_984));
    let mut versions = Vec::new();
    for number in 0..50_u32 {
        versions.push(index.clone());
        index.add(run(100_000 + number, number % MONTHS, None));
        // What compaction took away, of a bucket that nothing was taken from before.
        let gone = &runs[(number * 101) as usize];
        index.remove(gone);
    }
    assert_eq!(index.runs(), 9_984);
    let more: usize = runs.iter().map(|run| Arc::strong_count(run) - 1).sum();
    // Each is held by the list that all versions share; a list that was changed holds two of its three once more.
    assert!(more <= runs.len() + 50 * 2, "{more} of {}", runs.len());
    for (number, version) in (0_u64..).zip(&versions) {
        assert_eq!((version.runs(), version.iter().count() as u64), (9_984, 9_984), "version {number}");
    }
}

#[test]
fn the_bytes_of_a_version_are_those_that_it_shares_with_none() {
    let (mut index, runs) = filled();
    let held: usize = runs.iter().map(|run| run.bytes()).sum();
    let alone = index.bytes_beside(None);
    assert!((held..2 * held).contains(&alone), "{alone} of {held}");
    let first = index.clone();
    let months = first.bytes_beside(Some(&index));
    assert!(months < 1_000, "the same has nothing to itself but the list of its months: {months}");
    let mut beside = 0;
    for number in 0..100_u32 {
        let before = index.clone();
        index.add(run(100_000 + number, 1, None));
        index.remove(&runs[number as usize]);
        beside += index.bytes_beside(Some(&before)) - months;
    }
    // One by one or together, as much was made.
    assert_eq!(index.bytes_beside(Some(&first)), beside + months);
    let made: usize = 100 * runs[0].bytes();
    assert!((made..10 * made).contains(&beside), "{beside} of {made}");
    // As many came as went.
    assert!(index.bytes_beside(None).abs_diff(alone) < made / 10, "{}", index.bytes_beside(None));
    // What was read from the log anew shares nothing, whatever it says.
    let (anew, _) = filled();
    assert_eq!(anew.bytes_beside(Some(&index)), alone);
}

#[test]
fn a_key_leads_to_level_0_and_to_its_bucket_within_the_months_that_are_asked_for() {
    let (mut index, _) = filled();
    index.add(run(100_000, 3, None));
    index.add(run(100_001, 3, Some(Bucket { number: Bucket::of_key(b"key", 7).number, of: 7 })));
    let of = |first: Option<&str>, last: Option<&str>| {
        index.of_key("key", first.map(str::to_owned), last.map(str::to_owned)).collect::<Vec<_>>()
    };
    let all = of(None, None);
    assert_eq!(all.len(), 13 * 3 + 2);
    let here = |run: &&Arc<KeyedRun>| {
        run.facts().bucket.is_none_or(|bucket| bucket == Bucket::of_key(b"key", bucket.of))
    };
    assert!(all.iter().all(here));
    assert_eq!(of(Some("2026-03"), Some("2026-03")).len(), 5);
    assert_eq!(of(Some("2026-10"), None).len(), 3 * 3);
}

#[test]
fn the_most_runs_of_a_level_are_known_without_a_look_at_each() {
    let (mut index, runs) = filled();
    assert_eq!(index.most_runs(), (0, 3));
    index.add(run(100_000, 3, None));
    index.add(run(100_001, 3, Some(Bucket { number: 9, of: BUCKETS })));
    assert_eq!(index.most_runs(), (1, 4));
    for gone in runs.iter().filter(|run| run.facts().bucket.is_some_and(|bucket| bucket.number == 9)) {
        index.remove(gone);
    }
    assert_eq!(index.most_runs(), (1, 3));
    for gone in &runs {
        index.remove(gone);
    }
    assert_eq!((index.most_runs(), index.runs()), ((1, 1), 2));
}
