//! Another number of buckets changes where rows lie, and nothing else, at every step.

use crate::it::compaction::{FLUSH, add, compact, faulty, fill, over, rows, settle, some_of, step};
use crate::it::world::*;
use futures::{StreamExt, stream};
use gridtrail_faults::Fault;
use gridtrail_lake::{CompactionSettings, Lake, LakeError, LakeErrorKind, VerifySettings};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use std::sync::Arc;

async fn rebucket(lake: &Lake, buckets: u32) -> Result<gridtrail_lake::Compacted, LakeError> {
    lake.maintenance().await?.rebucket(buckets, &CompactionSettings::default()).await
}

async fn filled() -> (Arc<InMemory>, Lake, Clock) {
    let store = Arc::new(InMemory::new());
    let clock = Clock::manual(at(1_000_000));
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    for first in [0, 5] {
        fill(&lake, &clock, first).await;
        clock.advance(FLUSH);
        compact(&lake).await.unwrap();
    }
    // Some of level 0, which has no buckets.
    add(&lake, 10, [step(1, 1, 3, true), step(2, 2, 9, false)]).await;
    (store, lake, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_are_equal_whatever_the_number_of_buckets() {
    let (store, lake, clock) = filled().await;
    let wanted = rows(&lake).await;
    for (n, buckets) in (11..).zip([32, 12, 5, 1, 64]) {
        let done = rebucket(&lake, buckets).await.unwrap();
        assert_eq!((done.jobs, done.overtaken), (3, 0), "two months, and the inventory: {done:?}");
        assert_eq!(rows(&lake).await, wanted, "{buckets}");
        assert_eq!(rebucket(&lake, buckets).await.unwrap().jobs, 0);
        // What comes now goes into the new number.
        add(&lake, n, [step(1, 1, 3, true)]).await;
        clock.advance(FLUSH);
        compact(&lake).await.unwrap();
        let fresh = over(store.clone(), clock.clone()).await.unwrap();
        assert_eq!(rows(&fresh).await, wanted, "{buckets}, compacted");
        let found = fresh.verify(&VerifySettings::default()).await.unwrap();
        assert!(found.is_clean(), "{found:#?}");
    }
    assert_eq!(rebucket(&lake, 0).await.unwrap_err().kind(), LakeErrorKind::Settings);
}

/// Cut short anywhere, it leaves months of both numbers; look-ups are right, compaction goes on, and it can be ended.
#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_cut_short_anywhere() {
    let (store, lake, clock) = filled().await;
    let wanted = rows(&lake).await;
    let filled = store.fork();
    let (_, counted, faults) = faulty(&filled);
    rebucket(&over(counted, clock.clone()).await.unwrap(), 24).await.unwrap();
    let operations = faults.operations();
    let all = some_of(&[Fault::Before, Fault::AnswerLost, Fault::ShortRead], operations, 6);
    let cases: usize = stream::iter(all)
        .map(|(operation, fault)| {
            let (inner, store, faults) = faulty(&filled);
            let (clock, wanted) = (clock.clone(), wanted.clone());
            async move {
                faults.at(operation, fault);
                if let Ok(lake) = over(store, clock.clone()).await {
                    let _ = rebucket(&lake, 24).await;
                }
                let Some(what) = faults.last() else { return 0 };
                let lake = over(inner, clock.clone()).await.unwrap();
                assert_eq!(rows(&lake).await, wanted, "{what}");
                settle(&lake, &Clock::manual(clock.now())).await;
                assert_eq!(rows(&lake).await, wanted, "{what}, and compacted");
                rebucket(&lake, 24).await.unwrap();
                assert_eq!(rows(&lake).await, wanted, "{what}, and ended");
                1
            }
        })
        .buffer_unordered(4)
        .fold(0, |sum, case| async move { sum + case })
        .await;
    println!("{operations} operations, {cases} cuts: no row lost, doubled or changed");
    assert!(cases > 50, "{cases}");
}
