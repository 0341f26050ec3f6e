//! A broker that is away, and a topic that is not there: what is said of them, and how often.

use super::broker::{Broker, Ingester, Known, Topic, topic};
use crate::crash::region;
use crate::support::{gridtrail, run, text, until};
use std::path::Path;

/// What the group gave, took, or has forgotten of its members since a broker was killed.
const OF_THE_GROUP: [&str; 4] =
    ["partitions given", "partitions taken", "group.instance.id", "joining the group anew"];

/// The lines that an operator reads of Kafka being away or back: all of them, but for those of the group.
fn lines_about_brokers(log: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(log).unwrap();
    let by_kafka = |line: &&str| line.contains("gridtrail_kafka") || line.contains("gridtrail_ingest");
    let after = log.lines().filter(by_kafka).filter(|line| !line.contains("DEBUG"));
    let of_the_group = |line: &&str| OF_THE_GROUP.iter().any(|what| line.contains(what));
    after.filter(|line| !of_the_group(line)).map(str::to_owned).collect()
}

/// Of so many complaints of the client one line is made. It complains several times a second at first, and then more seldom.
const COMPLAINTS: usize = 8;

/// How often the client has complained of a broker, by the log.
fn complaints_of(broker: &Broker, log: &Path) -> usize {
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains("DEBUG") && line.contains(&broker.bootstrap)).count()
}

/// One line when it goes, and one when it is back, however often the client tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start("a_broker_that_is_away_is_told_of_once", &folder.path().join("kafka"))
    else {
        return;
    };
    let topic = Topic::create(broker.bootstrap.clone(), "told", 2);
    let (events, lake, log) =
        (folder.path().join("events"), folder.path().join("lake"), folder.path().join("log"));
    region(51, &events);
    let said_at_debug = ["--log", "warn,gridtrail=info,gridtrail_kafka=debug"];
    let ingest = Ingester::start(topic.ingest(&lake, "one", &said_at_debug), &log);
    topic.publish(&events);
    Known::of(&lake).await.has_all_of(&topic).await;
    let before = lines_about_brokers(&log).len();
    broker.kill();
    until("the broker is told to be away", || lines_about_brokers(&log).len() > before);
    let complained = complaints_of(&broker, &log);
    until("the client has complained often", || complaints_of(&broker, &log) >= complained + COMPLAINTS);
    let said = lines_about_brokers(&log).split_off(before);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("WARN") && said[0].contains(&broker.bootstrap), "{said:#?}");
    broker.restart();
    topic.publish(&events);
    Known::of(&lake).await.has_all_of(&topic).await;
    until("the broker is told to be back", || lines_about_brokers(&log).len() > before + 1);
    ingest.stop();
    let said = lines_about_brokers(&log).split_off(before);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[1].contains("INFO") && said[1].contains("is back"), "{said:#?}");
}

/// An ingest that is to end does so when its broker goes and does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn once_ends_when_its_broker_goes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start("once_ends_when_its_broker_goes", &folder.path().join("kafka")) else {
        return;
    };
    let topic = Topic::create(broker.bootstrap.clone(), "goes", 1);
    // What is hidden keeps it from ending by itself.
    let open = topic.transactions("open");
    open.begin().unwrap();
    open.send(&(topic.name.clone(), 0), [b"x".as_slice()]).unwrap();
    let (lake, log) = (folder.path().join("lake"), folder.path().join("log"));
    let once = ["--once", "--once-patience", "3s", "--no-maintenance"];
    let mut ingest = Ingester::start(topic.ingest(&lake, "one", &once), &log);
    until("it reads", || lake.join("trails/_delta_log/00000000000000000001.json").exists());
    broker.kill();
    let status = ingest.0.wait().unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    // Where it was quick enough to see the transaction for so long, that is the reason.
    assert!(matches!(status.code(), Some(5 | 6)), "{status}: {said}");
}

/// A topic that is not there is named, with what to do; what is suggested works.
#[tokio::test(flavor = "multi_thread")]
async fn publish_names_the_topic_that_is_not_there_and_makes_it_when_told_to() {
    let Some(topic) = topic("beside", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let world = region(52, &events);
    let absent = Topic { bootstrap: topic.bootstrap.clone(), name: format!("{}.absent", topic.name) };
    let access = format!("{}.access-events", absent.name);
    let publish = |more: &[&str]| {
        let args = [absent.publish_args(&events), vec!["--access-topic", &access], more.to_vec()].concat();
        let output = run(&args);
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = publish(&[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&format!("topic {} is not there", absent.name)), "{said}");
    assert!(said.contains("--create-topic"), "{said}");
    // Twice: the second time they are there.
    for _ in 0..2 {
        let (code, said) = publish(&["--create-topic", "--partitions", "3"]);
        assert_eq!(code, Some(0), "{said}");
    }
    let made = absent.cluster().topics(&[absent.name.clone(), access.clone()]).unwrap();
    assert_eq!(made.iter().map(|topic| topic.partitions).collect::<Vec<_>>(), [3, 3]);
    let report = absent.ingest_once(&lake, "one");
    assert_eq!(report["records"].as_u64().unwrap(), 2 * world.events().count() as u64, "{report:#}");
    for topic in [&absent.name, &access] {
        topic_is_deleted(&absent, topic);
    }
}

fn topic_is_deleted(by: &Topic, name: &str) {
    by.admin().delete_topic(name).unwrap();
}

/// Messages of the largest size that is legal arrive as they were sent, many partitions beside them notwithstanding.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_sixteen_mebibytes_arrives_whole() {
    use gridtrail_kafka::MESSAGE_BYTES;
    let Some(beside) = topic("large", 1) else { return };
    let topic = Topic { bootstrap: beside.bootstrap.clone(), name: format!("{}.made", beside.name) };
    assert!(topic.admin().create_event_topic(&topic.name, 6).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let publisher = topic.publisher();
    let small = vec![b'-'; 2_000];
    // Nothing that compresses: random bytes, not the same twice.
    let mut chance = crate::crash::Chance(53);
    let mut large = |bytes: usize| -> Vec<u8> {
        (0..bytes / 8 + 1).flat_map(|_| chance.below(u64::MAX).to_le_bytes()).take(bytes).collect()
    };
    let sent = [large(5_000_000), large(MESSAGE_BYTES), large(MESSAGE_BYTES - 1)];
    for value in &sent {
        for key in 0..200u32 {
            publisher.send(&topic.name, Some(&key.to_le_bytes()), Some("text/plain"), &small).unwrap();
        }
        publisher.send(&topic.name, Some(b"large"), Some("text/plain"), value).unwrap();
    }
    assert_eq!(publisher.finish().unwrap(), 603);
    let report = topic.ingest_once(&lake, "one");
    assert_eq!(report["dead_lettered"], 603, "{report:#}");
    let known = Known::of(&lake).await;
    assert_eq!(known.covers_every_offset_once().await, 603);
    // By their hashes, whatever a dead letter keeps of them.
    super::proof::assert_proven(&lake, &topic);

    // A topic that was made for smaller ones is named, with what to do.
    let event = folder.path().join("events");
    std::fs::create_dir(&event).unwrap();
    let hex = hex::encode(large(1_500_000));
    std::fs::write(event.join("one.jsonl"), format!("{{\"x\": \"{hex}\"}}\n")).unwrap();
    let mut command = gridtrail();
    command.args(["publish", event.to_str().unwrap(), "--kafka", &beside.bootstrap, "--topic", &beside.name]);
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    topic_is_deleted(&topic, &topic.name);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("max.message.bytes") && said.contains(&beside.name), "{said}");
}
