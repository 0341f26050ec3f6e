//! Stores that fail.

use crate::it::world::{Place, World, until_idle};
use gridtrail_faults::{Fault, FaultStore};
use gridtrail_report_jobs::PastState;
use object_store::ObjectStore;
use std::sync::Arc;

/// Each operation, on files and on the journal alike, fails now and then in every way in which stores fail. In the end every report is there once.
#[tokio::test]
async fn stores_may_fail_in_every_way() {
    let rounds = std::env::var_os("GRIDTRAIL_JOB_FAULT_ROUNDS")
        .map_or(6, |rounds| rounds.to_str().unwrap().parse().unwrap());
    let first = std::env::var_os("GRIDTRAIL_JOB_FAULT_SEED")
        .map_or(1, |seed| seed.to_str().unwrap().parse().unwrap());
    println!("GRIDTRAIL_JOB_FAULT_SEED={first} GRIDTRAIL_JOB_FAULT_ROUNDS={rounds}");
    let mut injected = 0;
    for seed in first..first + rounds {
        let place = if seed % 2 == 0 { Place::Disk } else { Place::Objects };
        let mut world = World::new(place, "retry_after = \"1s\"\ntime_max = \"60s\"").await;
        let (store, faults) = FaultStore::new(Arc::clone(&world.store));
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        faults.random(seed, 0.03, &Fault::ALL);
        let faulty = Arc::clone(&store);
        world.by(|_| faulty);
        let mut workers = [world.worker_by(Arc::clone(&store)), world.worker_by(store)];
        for _ in 0..200 {
            for worker in &mut workers {
                until_idle(worker).await;
                // What is seen is whole at all times.
                world.whole().await;
            }
            let history = world.journal().history(None).await.unwrap();
            if history.len() == 6 && history.iter().all(|past| past.state == PastState::Published) {
                break;
            }
            world.clock.advance(130_000);
        }
        injected += faults.failed();
        faults.none();
        until_idle(&mut world.worker()).await;
        let files = world.whole().await;
        assert_eq!(files.len(), 12, "seed {seed}: {:?}", files.keys());
        let history = world.journal().history(None).await.unwrap();
        assert!(
            history.len() == 6 && history.iter().all(|past| past.state == PastState::Published),
            "seed {seed}: {history:?}"
        );
    }
    assert!(injected > 20, "{injected} faults");
    println!("{rounds} rounds, {injected} faults of stores: each report once and whole");
}
