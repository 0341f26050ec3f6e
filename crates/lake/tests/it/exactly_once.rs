//! I3: a source position and the rows it produced are committed together, or not at all.

use crate::it::world::*;
use gridtrail_lake::{Batch, LakeErrorKind};

fn batch(counter: u64, from: i64, to: i64) -> Batch {
    let events = [received(request_id(1, 1, counter), at(counter.cast_signed()))];
    Batch {
        fragments: fold(events).into_fragments(),
        sources: vec![source("f", from, to)],
        ..Batch::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_committed_already_is_refused() {
    let (lake, mut writer) = memory().await;
    writer.commit(batch(1, 0, 10)).await.unwrap();
    assert_eq!(writer.position("file:f"), Some(10));
    assert_eq!(writer.commit(batch(1, 0, 10)).await.unwrap_err().kind(), LakeErrorKind::PositionMoved);
    // A gap is refused as well.
    assert_eq!(writer.commit(batch(1, 11, 20)).await.unwrap_err().kind(), LakeErrorKind::PositionMoved);
    writer.commit(batch(2, 10, 20)).await.unwrap();
    assert_eq!(lake.counts().fragments, 2);
}

/// Two owners of one source, as after a rebalance: for each step one wins, the other is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_owners_one_wins_each_step() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, mut one) = open(folder.path().to_str().unwrap()).await;
    let mut two = lake.writer().await.unwrap();
    for step in 0..5 {
        let (from, to) = (step * 10, step * 10 + 10);
        let (a, b) = tokio::join!(one.commit(batch(1, from, to)), two.commit(batch(2, from, to)));
        assert!(a.is_ok() != b.is_ok(), "step {step}: {a:?} {b:?}");
        let lost = a.err().or(b.err()).unwrap();
        assert_eq!(lost.kind(), LakeErrorKind::PositionMoved, "{lost:?}");
        one.refresh().await.unwrap();
        two.refresh().await.unwrap();
        assert_eq!(one.position("file:f"), Some(to));
    }
    assert_eq!(lake.counts().fragments, 5);
}

/// A repeat of a batch whose side tables were written but whose main commit was not finds its dead letters there.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_adds_no_dead_letter_twice() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap();
    let (_, mut writer) = open(address).await;
    let letter = |position| letter("file:f", position, b"\xFF\x00raw");
    let with = |letters: Vec<_>, to| Batch { dead_letters: letters, ..batch(1, 0, to) };
    writer.commit(with(vec![letter(3)], 5)).await.unwrap();
    // Refused by the main table, after the side table was asked.
    assert!(writer.commit(with(vec![letter(3)], 5)).await.is_err());
    let logs = std::fs::read_dir(folder.path().join("dead_letters")).unwrap();
    let files =
        logs.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "parquet")).count();
    assert_eq!(files, 1);
}

/// What a commit's log entry says of a run survives a checkpoint, and so does the position.
#[tokio::test(flavor = "multi_thread")]
async fn summaries_and_positions_survive_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap();
    let (_, mut writer) = open(address).await;
    for step in 0..105_i64 {
        writer.commit(batch(step.cast_unsigned(), step * 10, step * 10 + 10)).await.unwrap();
    }
    assert!(folder.path().join("trails/_delta_log/_last_checkpoint").exists());
    let (lake, writer) = open(address).await;
    assert_eq!(writer.position("file:f"), Some(1_050));
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 105);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_copied_once() {
    let (lake, mut writer) = memory().await;
    writer.commit(batch(1, 0, 10)).await.unwrap();
    writer.commit(batch(2, 10, 20)).await.unwrap();
    let mut maintenance = lake.maintenance().await.unwrap();
    assert_eq!(maintenance.copy_evidence().await.unwrap(), 2);
    assert_eq!(maintenance.copy_evidence().await.unwrap(), 0);
    writer.commit(batch(3, 20, 30)).await.unwrap();
    assert_eq!(maintenance.copy_evidence().await.unwrap(), 1);
}
