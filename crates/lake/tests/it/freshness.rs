//! What a watch over the lake reads: the evidence since a version, and what waits.

use crate::it::world::*;
use gridtrail_lake::{EvidencePart, Lake};

/// The versions of the commits that are shown, or are in what is shown of several.
async fn versions_since(lake: &Lake, after: Option<u64>) -> (Vec<u64>, u64) {
    let mut versions = Vec::new();
    let show = |part| match part {
        EvidencePart::Commit(commit) => versions.push(commit.version),
        EvidencePart::Summary(summary) => versions.extend(summary.first.unwrap()..=summary.last.unwrap()),
    };
    let newest = lake.evidence_since(after, show).await.unwrap();
    (versions, newest)
}

/// Every commit is shown once, whether it lies in the log or was copied out of it, and none that the snapshot lacks.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_goes_on_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap();
    let (lake, mut writer) = open(address).await;
    let (reader, _) = open(address).await;
    for (name, n) in [("a", 1), ("b", 2), ("c", 3)] {
        commit(&mut writer, name, [received(request_id(1, 1, n), at(0))]).await;
    }
    let (all, newest) = versions_since(&lake, None).await;
    assert_eq!((all.len(), all.last()), (3, Some(&newest)));
    assert_eq!(versions_since(&lake, Some(newest)).await, (Vec::new(), newest));
    assert_eq!(versions_since(&lake, Some(newest - 1)).await.0, [newest]);
    // The other process has not seen them yet, whatever the log holds.
    assert!(versions_since(&reader, None).await.0.is_empty());
    reader.refresh().await.unwrap();
    assert_eq!(versions_since(&reader, None).await, (all.clone(), newest));

    // Copied, and the log cleaned up: from the copy.
    assert_eq!(lake.maintenance().await.unwrap().copy_evidence().await.unwrap(), 3);
    commit(&mut writer, "d", [received(request_id(1, 1, 4), at(0))]).await;
    for version in &all {
        std::fs::remove_file(folder.path().join(format!("trails/_delta_log/{version:020}.json"))).unwrap();
    }
    let (since, now) = versions_since(&lake, Some(all[0])).await;
    assert_eq!((since.as_slice(), now), ([all[1], all[2], newest + 1].as_slice(), newest + 1));
    assert_eq!(versions_since(&lake, Some(newest)).await.0, [newest + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_by_age() {
    let (lake, mut writer) = memory().await;
    let waiting = async |limit| {
        let waiting = lake.snapshot().waiting(at(limit)).await.unwrap();
        (waiting.rows, waiting.oldest, waiting.before_limit)
    };
    assert_eq!(waiting(0).await, (0, None, 0));
    let answers =
        [(1, 1_000), (2, 2_000), (3, 3_000)].map(|(n, sent)| bare_answer(request_id(1, 1, n), at(sent)));
    commit(&mut writer, "a", answers).await;
    commit(&mut writer, "b", [bare_answer(request_id(1, 1, 4), at(9_000))]).await;
    for (limit, before) in [(1_000, 0), (1_001, 1), (3_000, 2), (9_000, 3), (9_001, 4)] {
        assert_eq!(waiting(limit).await, (4, Some(at(1_000)), before), "{limit}");
    }
}
