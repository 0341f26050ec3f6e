//! Whatever is killed, paused or taken away: every trail is as the generator says, and every offset was taken once.

use super::broker::{Broker, Ingester, Known, Topic, futures_now, topic};
use super::proof::{assert_proven, change_evidence, reconcile};
use crate::crash::{Chance, kill, region, region_of_legs};
use crate::support::{PATIENCE, setting, succeed, until, until_within, verdict};
use gridtrail_runtime::Clock;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const SMALL: &[&str] = &["--batch-rows", "700"];

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_of_a_topic_may_be_killed_at_any_moment() {
    let Some(_) = topic("killed", 1) else { return };
    let kills = setting("GRIDTRAIL_KAFKA_KILLS", 10);
    let seed = setting("GRIDTRAIL_CRASH_SEED", 20_260_302);
    println!("GRIDTRAIL_CRASH_SEED={seed} GRIDTRAIL_KAFKA_KILLS={kills}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let world = region_of_legs(seed, &events);
    let (mut killed, mut rounds, mut right) = (0, 0, 0);
    while killed < kills {
        rounds += 1;
        let topic = topic("killed", 3).unwrap();
        let lake = folder.path().join(format!("lake-{rounds}"));
        // The producer runs beside the killed.
        let mut publish = crate::support::gridtrail();
        publish.args(topic.publish_args(&events)).args(["--rate", "20000"]).stdout(Stdio::null());
        let mut publishing = publish.spawn().unwrap();
        while killed < kills {
            let ingest = topic.ingest(&lake, "one", SMALL).args(["--once"]).spawn().unwrap();
            if !kill(ingest, &lake, &mut chance) {
                break;
            }
            killed += 1;
        }
        assert!(publishing.wait().unwrap().success());
        topic.ingest_once(&lake, "one");
        let verdict = verdict(&world, lake.to_str().unwrap()).await;
        verdict.assert_clean();
        right += verdict.right;
        let records = Known::of(&lake).await.covers_every_offset_once().await;
        assert_eq!(records, world.events().count() as u64);
        assert_eq!(assert_proven(&lake, &topic), records);
        change_evidence(&lake);
        let (code, said) = reconcile(&lake, &topic);
        assert_eq!((code, &said["faults"][0]["kind"]), (Some(8), &"broken-evidence".into()), "{said:#}");
        std::fs::remove_dir_all(&lake).unwrap();
    }
    println!("{killed} kills in {rounds} lakes: {right} trails as they must be, 0 lost, 0 doubled, 0 wrong");
}

/// One is paused past its session with a batch in hand; another takes over; the first wakes and must change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_that_wakes_changes_nothing() {
    let Some(topic) = topic("zombie", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake, log) =
        (folder.path().join("events"), folder.path().join("lake"), folder.path().join("log"));
    let world = region(11, &events);
    // Batches stay open for long, so that there is one in hand when it is paused.
    let zombie = Ingester::start(topic.ingest(&lake, "zombie", &["--commit-every", "3000"]), &log);
    until("the first has joined", || lake.join("trails/_delta_log/00000000000000000001.json").exists());
    topic.publish(&events);
    zombie.signal("-STOP");
    let heir = Ingester::start(topic.ingest(&lake, "heir", SMALL), &log);
    let known = Known::of(&lake).await;
    known.has_all_of(&topic).await;
    let before = known.0.counts();
    zombie.signal("-CONT");
    // It is alive again when it takes part in the group: whatever it had in hand is settled by then.
    heir.stop();
    let more = folder.path().join("more");
    let second = region(12, &more);
    topic.publish(&more);
    known.has_all_of(&topic).await;
    zombie.stop();
    super::topics::swept(&lake);
    assert!(known.0.counts().fragments >= before.fragments);
    assert_eq!(
        known.covers_every_offset_once().await,
        (world.events().count() + second.events().count()) as u64
    );
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("partitions given"), "{log}");
}

/// The broker dies while records wait, stays away, and comes back. Nothing counts as complete meanwhile, and the lag grows.
/// `GRIDTRAIL_BROKER_AWAY_SECONDS` says how long.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_may_die_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start("a_broker_may_die_and_come_back", &folder.path().join("kafka")) else {
        return;
    };
    let away = setting("GRIDTRAIL_BROKER_AWAY_SECONDS", 5);
    let topic = Topic::create(broker.bootstrap.clone(), "dies", 2);
    let id = topic.id();
    let (events, lake, log) =
        (folder.path().join("events"), folder.path().join("lake"), folder.path().join("log"));
    let world = region_of_legs(13, &events);
    let ingest = Ingester::start(topic.ingest(&lake, "one", SMALL), &log);
    topic.publish(&events);
    let known = Known::of(&lake).await;
    known.has_all_of(&topic).await;
    // What comes now is read by nobody before the broker dies.
    ingest.signal("-STOP");
    let (position, since) = (known.position(&topic).await, Clock::system().now());
    topic.publish(&events);
    let waiting = topic.records() - position;
    broker.kill();
    ingest.signal("-CONT");
    until_within(Duration::from_secs(away) + PATIENCE, "the lag says for how long it is away", || {
        lags(&lake).into_iter().all(|lag| lag >= away as f64)
    });
    let partitions = known.partitions(&id).await;
    assert_eq!(partitions.iter().filter_map(|p| p.position).sum::<i64>(), position, "nothing is committed");
    assert!(partitions.iter().all(|p| p.complete_up_to.is_some_and(|at| at <= since)), "{partitions:#?}");
    broker.restart();
    known.has_all_of(&topic).await;
    let complete = || futures_now(known.partitions(&id)).iter().filter_map(|p| p.complete_up_to).min();
    until("it is complete again", || complete().is_some_and(|at| at > since));
    ingest.stop();
    super::topics::swept(&lake);
    let verdict = verdict(&world, lake.to_str().unwrap()).await;
    verdict.assert_clean();
    assert_eq!(known.covers_every_offset_once().await, 2 * world.events().count() as u64);
    println!(
        "broker away for {away} s, {waiting} records waiting: {} trails as they must be, 0 lost, 0 doubled, 0 wrong",
        verdict.right
    );
}

/// How far each partition is behind, in seconds, as `gridtrail freshness` says.
fn lags(lake: &Path) -> Vec<f64> {
    let said = succeed(&["freshness", "--lake", lake.to_str().unwrap(), "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let partitions = said["sources"][0]["partitions"].as_array().unwrap();
    let lags: Vec<f64> = partitions
        .iter()
        .filter_map(|partition| partition["lag"].as_str()?.trim_end_matches('s').parse().ok())
        .collect();
    assert_eq!(lags.len(), 2, "{said:#}");
    lags
}

/// An ingester that comes back under its name has its partitions at once: nobody waits for the session of the one that was
/// killed, which here would outlast the test's patience.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_under_its_name_goes_on_at_once() {
    let Some(topic) = topic("named", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake, log) =
        (folder.path().join("events"), folder.path().join("lake"), folder.path().join("log"));
    let world = region_of_legs(14, &events);
    let start = || {
        let more = ["--kafka-set", "session.timeout.ms=300000", "--kafka-set", "max.poll.interval.ms=300000"];
        Ingester::start(topic.ingest(&lake, "one", &more), &log)
    };
    let mut killed = start();
    until("the first has joined", || lake.join("trails/_delta_log/00000000000000000001.json").exists());
    let known = Known::of(&lake).await;
    topic.publish(&events);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let heir = start();
    known.has_all_of(&topic).await;
    heir.stop();
    super::topics::swept(&lake);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
    assert_eq!(known.covers_every_offset_once().await, world.events().count() as u64);
}
