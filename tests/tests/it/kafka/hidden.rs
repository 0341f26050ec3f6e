//! What an open transaction hides is not read, and nothing that is said meanwhile is better than that.

use super::broker::{Ingester, Known, Topic, futures_now, kafka, topic, topic_with};
use super::gaps::{region, values};
use super::proof::{assert_proven, reconcile};
use crate::support::{gridtrail, run, succeed, text, until};
use gridtrail_lake::{Partition, SourceEvidence};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use std::path::Path;

/// What the lake knows of the only partition.
fn partition(known: &Known, topic: &str) -> Option<Partition> {
    futures_now(known.partitions(topic)).into_iter().next()
}

/// What the newest evidence says of it.
fn newest(known: &Known) -> SourceEvidence {
    futures_now(known.evidence()).pop().unwrap()
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn freshness(lake: &Path) -> String {
    succeed(&["freshness", "--lake", lake.to_str().unwrap()])
}

/// Records behind an open transaction, and what is said of them until that is decided.
struct Hidden<'a> {
    topic: &'a Topic,
    id: String,
    values: Vec<Vec<u8>>,
}

impl<'a> Hidden<'a> {
    fn of(topic: &'a Topic, seed: u64) -> Self {
        Self { topic, id: topic.id(), values: values(&region(seed)) }
    }

    /// Writes plain records; gives how many offsets there are then.
    fn write(&self, from: usize, count: usize) -> i64 {
        let publisher = self.topic.publisher();
        for value in &self.values[from..from + count] {
            publisher.send(&self.topic.name, None, None, value).unwrap();
        }
        publisher.finish().unwrap();
        self.high()
    }

    fn high(&self) -> i64 {
        let of = (self.topic.name.clone(), 0);
        self.topic.cluster().ends(std::slice::from_ref(&of)).unwrap()[&of].high
    }

    /// What is said while nothing is decided: by evidence, by the page, by the proof.
    fn assert_told(&self, known: &Known, lake: &Path, since: Timestamp, (stable, high): (i64, i64)) {
        let evidence = newest(known);
        let told = evidence.open_transaction.unwrap();
        assert_eq!((told.last_stable, evidence.to, evidence.end), (stable, stable, Some(high)));
        let record = Timestamp::from_millis(told.record_ms.unwrap()).unwrap();
        assert!(record >= since && record <= now(), "{record}");
        let complete = partition(known, &self.id).unwrap().complete_up_to.unwrap();
        assert!(complete <= record, "complete up to {complete}, and hidden from {record} on");
        let page = freshness(lake);
        let name = format!("{}/0", self.topic.name);
        for said in [&name, &format!("last stable offset {stable}"), &record.to_string()] {
            assert!(page.contains(said), "{said}: {page}");
        }
        // The command that is printed names the producer.
        let command =
            page.lines().find_map(|line| line.trim().strip_prefix("kafka-transactions.sh ")).unwrap();
        let command = command.replace("HOST:PORT", &self.topic.bootstrap);
        let tool = ["run", "org.apache.kafka.tools.TransactionsCommand"];
        let producers = kafka(&tool.into_iter().chain(command.split_whitespace()).collect::<Vec<_>>());
        let open =
            producers.lines().filter(|line| line.split_whitespace().last() == Some(&stable.to_string()));
        assert_eq!(open.count(), 1, "{producers}");
        let (code, said) = reconcile(lake, self.topic);
        assert_eq!(
            (code, &said["clean"], said["fault_count"].as_u64()),
            (Some(8), &false.into(), Some(1)),
            "{said:#}"
        );
        assert_eq!(said["faults"][0]["kind"], "hidden", "{said:#}");
        let what = said["faults"][0]["what"].as_str().unwrap();
        assert!(what.contains(&format!("{} offsets from {stable} on", high - stable)), "{what}");
    }
}

/// The mark stops before the first record that is hidden, whatever is written behind it; when the transaction is decided,
/// either way, all that is readable is read, and all is fresh again.
async fn a_transaction_is_open_and_then_decided(test: &str, committed: bool, settings: &[(&str, &str)]) {
    let Some(topic) = topic_with(test, 1, settings) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (lake, log) = (folder.path().join("lake"), folder.path().join("log"));
    let hidden = Hidden::of(&topic, 41);
    let stable = hidden.write(0, 20);
    let ingest = Ingester::start(topic.ingest(&lake, "one", &[]), &log);
    let known = Known::of(&lake).await;
    known.has_all_of(&topic).await;

    let since = now();
    let open = topic.transactions("open");
    open.begin().unwrap();
    open.send(&(topic.name.clone(), 0), hidden.values[20..25].iter().map(Vec::as_slice)).unwrap();
    let high = hidden.write(25, 30);
    until("it is told of, with the time of its record", || {
        newest(&known).open_transaction.is_some_and(|told| told.record_ms.is_some())
    });
    hidden.assert_told(&known, &lake, since, (stable, high));

    let decided = now();
    if committed { open.commit() } else { open.abort() }.unwrap();
    until("the marker is written", || hidden.high() == high + 1);
    until("all is fresh again", || {
        let evidence = newest(&known);
        let complete = partition(&known, &hidden.id).unwrap().complete_up_to;
        evidence.to == high + 1 && evidence.open_transaction.is_none() && complete >= Some(decided)
    });
    assert_eq!(newest(&known).end, Some(high + 1));
    let page = freshness(&lake);
    assert!(!page.contains("last stable offset"), "{page}");
    ingest.stop();
    let records = if committed { 55 } else { 50 };
    assert_eq!(assert_proven(&lake, &topic), records);
    assert_eq!(known.covers_every_offset_once().await, records);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fresh_behind_a_transaction_before_it_is_committed() {
    a_transaction_is_open_and_then_decided("commits", true, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fresh_behind_a_transaction_before_it_is_aborted() {
    let by_the_broker = [("message.timestamp.type", "LogAppendTime")];
    a_transaction_is_open_and_then_decided("aborts", false, &by_the_broker).await;
}

/// A lake that begins behind an open transaction: of a topic that keeps append times, it is complete up to that record's.
#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_begins_behind_a_transaction_ends_with_a_code_of_its_own() {
    let Some(topic) = topic_with("begins", 1, &[("message.timestamp.type", "LogAppendTime")]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let hidden = Hidden::of(&topic, 42);
    let stable = hidden.write(0, 20);
    let since = now();
    let open = topic.transactions("open");
    open.begin().unwrap();
    open.send(&(topic.name.clone(), 0), hidden.values[20..21].iter().map(Vec::as_slice)).unwrap();
    let high = hidden.write(21, 10);
    let once = || topic.ingest(&lake, "one", &["--once", "--once-patience", "4s"]).output().unwrap();
    let output = once();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    let wanted = format!("{} offsets of {}/0 from {stable} on are hidden", high - stable, topic.name);
    assert!(said.contains(&wanted) && said.contains(" describe-producers "), "{said}");
    let known = Known::of(&lake).await;
    hidden.assert_told(&known, &lake, since, (stable, high));
    let record = newest(&known).open_transaction.unwrap();
    let complete = partition(&known, &hidden.id).unwrap().complete_up_to.unwrap();
    assert!(record.appended && complete.millis() == record.record_ms.unwrap(), "{complete}: {record:?}");

    open.commit().unwrap();
    let output = once();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(known.position(&topic).await, high + 1);
}

/// By the other isolation level nothing is hidden: all is read at once, and the statements are as true. What was read so is
/// not held to be lost by a committed reader.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what_is_not_decided_is_as_fresh_as_it_says() {
    let Some(topic) = topic("uncommitted", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (lake, log) = (folder.path().join("lake"), folder.path().join("log"));
    let hidden = Hidden::of(&topic, 43);
    let open = topic.transactions("open");
    open.begin().unwrap();
    open.send(&(topic.name.clone(), 0), hidden.values[..5].iter().map(Vec::as_slice)).unwrap();
    let high = hidden.write(5, 10);
    let uncommitted = ["--kafka-set", "isolation.level=read_uncommitted"];
    let once = [&["--once", "--once-patience", "60s"], &uncommitted[..]].concat();
    let output = topic.ingest(&lake, "one", &once).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let known = Known::of(&lake).await;
    let evidence = newest(&known);
    assert_eq!((evidence.to, evidence.end, evidence.open_transaction), (high, Some(high), None));
    assert!(known.evidence().await.iter().map(|e| e.records).sum::<u64>() == 15);
    // Held against the topic as it was read, it is the same; a committed reader sees less of it, and says so.
    let lake_text = lake.to_str().unwrap();
    let against = ["reconcile", "--lake", lake_text, "--against-kafka", &topic.bootstrap];
    let output = run(&[&against[..], &uncommitted].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let (code, said) = reconcile(&lake, &topic);
    assert_eq!((code, &said["faults"][0]["kind"]), (Some(8), &"content-differs".into()), "{said:#}");

    let committed = Ingester::start(topic.ingest(&lake, "one", &[]), &log);
    open.commit().unwrap();
    until("it is read on", || known_position(&known, &topic) == high + 1);
    committed.stop();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(!log.contains("the cluster lost records"), "{log}");
}

fn known_position(known: &Known, topic: &Topic) -> i64 {
    futures_now(known.position(topic))
}

/// What the lake has not read yet is no fault, and not passed over either.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_yet_is_counted_by_the_proof() {
    let Some(topic) = topic("unread", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let hidden = Hidden::of(&topic, 44);
    hidden.write(0, 10);
    topic.ingest_once(&lake, "one");
    assert_proven(&lake, &topic);
    hidden.write(10, 7);
    topic.admin().grow_topic(&topic.name, 2).unwrap();
    let added = topic.transactions("added");
    added.begin().unwrap();
    added.send(&(topic.name.clone(), 1), [hidden.values[17].as_slice()]).unwrap();
    added.commit().unwrap();
    until("the new partition is readable", || topic.ends() == [17, 2]);
    let (code, said) = reconcile(&lake, &topic);
    let unread: u64 = said["unread"].as_object().unwrap().values().filter_map(|n| n.as_u64()).sum();
    assert_eq!((code, unread), (Some(0), 7 + 2), "{said:#}");
    let lake = lake.to_str().unwrap();
    let words = succeed(&["reconcile", "--lake", lake, "--against-kafka", &topic.bootstrap]);
    assert!(words.contains("offsets of the topics are not in it yet"), "{words}");
}

/// `--once` ends where it cannot come to an end.
#[tokio::test(flavor = "multi_thread")]
async fn once_ends_without_its_topic_and_without_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let lake = lake.to_str().unwrap();
    let nobody = ["ingest", "--kafka", "127.0.0.1:1", "--lake", lake, "--once", "--once-patience", "1s"];
    let output = run(&nobody);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("no broker of 127.0.0.1:1 answered within 1 s"), "{said}");
    let Some(topic) = topic("missing", 1) else { return };
    let mut command = gridtrail();
    command.args(["ingest", "--kafka", &topic.bootstrap, "--lake", lake, "--once", "--no-maintenance"]);
    command.args(["--topic", &topic.name, "--topic", "nobody.made.this"]);
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("topic nobody.made.this is not there") && said.contains("--create-topic"),
        "{said}"
    );
}
