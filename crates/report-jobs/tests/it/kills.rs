//! Workers that end for ever before any one of their operations, as a killed process does.

use crate::it::stores::{Hook, Hooked};
use crate::it::world::{Place, World, published, until_idle};
use gridtrail_report_jobs::Step;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Steps of a worker to its end, or until it is stopped for ever.
async fn until_stopped(world: &World, hook: &Hook, stopped: &tokio::sync::Notify) -> bool {
    let mut worker = world.worker_by(Hooked::store(Arc::clone(&world.store), hook));
    let work = async {
        loop {
            match worker.step().await {
                Step::Idle { .. } => return,
                Step::Ended(_) => {}
                Step::Failed { error, .. } => panic!("{error}"),
            }
        }
    };
    // Dropped as it is: a killed process releases nothing.
    tokio::select! {
        () = stopped.notified() => true,
        () = work => false,
    }
}

/// Whatever operation a worker is killed before: who comes after it makes what is missing and nothing twice, and no half file is ever seen.
#[tokio::test]
async fn a_worker_may_be_killed_before_any_operation() {
    let mut kills = 0;
    for place in [Place::Disk, Place::Objects] {
        for operation in 0.. {
            let mut world = World::new(place, "catch_up = 1\ntime_max = \"60s\"").await;
            let job = Arc::get_mut(&mut world.schedule.jobs[0]).unwrap();
            job.users.truncate(1);
            job.formats.truncate(1);
            let (count, stopped) = (AtomicU32::new(0), Arc::new(tokio::sync::Notify::new()));
            let hook: Hook = {
                let stopped = Arc::clone(&stopped);
                Arc::new(move |_, _| {
                    let goes_on = count.fetch_add(1, Ordering::Relaxed) < operation;
                    if !goes_on {
                        stopped.notify_one();
                    }
                    goes_on
                })
            };
            let plain = Arc::clone(&world.store);
            world.hooked(&hook);
            let was_killed = until_stopped(&world, &hook, &stopped).await;
            let seen = world.whole().await;
            // By then its lease has lapsed.
            world.clock.advance(120_001);
            world.by(|_| plain);
            let (ended, failed) = until_idle(&mut world.worker()).await;
            assert!(failed.is_empty(), "{place:?}, operation {operation}: {failed:?}");
            let files = world.whole().await;
            assert_eq!(files.len(), 1, "{place:?}, operation {operation}: {:?}", files.keys());
            assert!(published(&ended) <= 1);
            for (name, bytes) in seen {
                assert_eq!(
                    files[&name], bytes,
                    "{place:?}, operation {operation}: what was seen has changed"
                );
            }
            let history = world.journal().history(None).await.unwrap();
            assert_eq!(history.len(), 3, "{history:?}");
            if !was_killed {
                assert!(ended.is_empty() && operation > 20, "{operation} operations");
                break;
            }
            kills += 1;
            // A worker that begins anew takes away what was left aside.
            until_idle(&mut world.worker()).await;
            assert!(world.has_nothing_aside().await, "{place:?}, operation {operation}");
        }
    }
    println!("{kills} kills, each before another operation: each report once and whole");
}
