//! What a table's log says of a source only ever grows, whoever writes, and however old what they know.

use crate::it::world::*;
use futures::TryStreamExt;
use gridtrail_lake::{Batch, Lake, LakeErrorKind, LakeSettings, Writer};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::sync::Arc;

const SOURCE: &str = "file:shared";
const WRITERS: usize = 3;
const ROUNDS: usize = 60;

/// Every action of a table's log, oldest first, read without the library.
async fn actions(store: &dyn ObjectStore, table: &str) -> Vec<serde_json::Value> {
    let log = Path::from(format!("watermarks/{table}/_delta_log"));
    let mut entries: Vec<_> =
        store.list(Some(&log)).map_ok(|entry| entry.location).try_collect().await.unwrap();
    entries.retain(|path| path.as_ref().ends_with(".json"));
    entries.sort();
    let mut actions = Vec::new();
    for path in entries {
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        actions.extend(lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()));
    }
    actions
}

fn batch(counter: u64, from: i64, to: i64) -> Batch {
    let events = [received(request_id(1, 1, counter), at(counter.cast_signed()))];
    Batch {
        fragments: fold(events).into_fragments(),
        sources: vec![source("shared", from, to)],
        ..Batch::default()
    }
}

/// Commits a stretch that a writer may take for the next one, as one that was paused for a while would: it starts at some
/// position that the source once had.
async fn try_to_commit(writer: &mut Writer, n: usize, known: &[i64]) -> Option<i64> {
    let from = known[known.len() - 1 - n * 7 % known.len().min(3)];
    let to = from + 1 + i64::try_from(n * 13 % 20).unwrap();
    match writer.commit(batch(n as u64, from, to)).await {
        Ok(_) => Some(to),
        Err(error) => {
            assert_eq!(error.kind(), LakeErrorKind::PositionMoved, "{error:?}");
            None
        }
    }
}

/// Writers that know nothing of each other, and much that is out of date, write one source: its position never goes
/// back, its ranges follow each other, and no file is named twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_never_goes_back_and_nothing_is_committed_twice() {
    let store = Arc::new(InMemory::new());
    let settings = LakeSettings { store: Some(store.clone()), ..LakeSettings::at("memory:///watermarks") };
    let lake = Lake::open(settings, Clock::manual(at(1_000_000))).await.unwrap();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(lake.writer().await.unwrap());
    }
    let (mut known, mut refused) = (vec![0], 0);
    for n in 0..ROUNDS {
        let writer = &mut writers[n * 5 % WRITERS];
        if n % 4 == 0 {
            writer.refresh().await.unwrap();
        }
        match try_to_commit(writer, n, &known).await {
            Some(to) => known.push(to),
            None => refused += 1,
        }
    }
    assert!(known.len() > 5 && refused > 5, "{} commits, {refused} refused", known.len());
    let (mut positions, mut ranges, mut paths) = (vec![0], Vec::new(), BTreeSet::new());
    for action in actions(store.as_ref(), "trails").await {
        if action["txn"]["appId"] == SOURCE {
            positions.push(action["txn"]["version"].as_i64().unwrap());
        }
        if let Some(path) = action["add"]["path"].as_str() {
            assert!(paths.insert(path.to_owned()), "named twice: {path}");
        }
        for evidence in action["commitInfo"]["gridtrailEvidence"]["sources"].as_array().into_iter().flatten()
        {
            ranges.push((evidence["from"].as_i64().unwrap(), evidence["to"].as_i64().unwrap()));
        }
    }
    assert_eq!(positions, known);
    assert!(positions.is_sorted(), "{positions:?}");
    assert_eq!(ranges, known.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>());
}
