//! Offsets that hold no record to read: markers of transactions, what was aborted, what was compacted away.

use super::broker::{Ingester, Known, Topic, futures_now, topic, topic_with};
use super::proof::{assert_proven, reconcile};
use crate::crash::Chance;
use crate::support::{until, verdict};
use gridtrail_codec::encode_protobuf;
use gridtrail_kafka::{Cluster, TopicPartition, Transactions, count};
use gridtrail_lake::SkipReason;
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of records that are compacted.
const KEYS: usize = 20;

pub(super) fn region(seed: u64) -> World {
    let settings = Settings { bare_responses_ppm: 0, ..Settings::for_events(2_000, 2).with_disorder() };
    World::seeded(seed, settings).unwrap()
}

/// The events of a region as values of records.
pub(super) fn values(world: &World) -> Vec<Vec<u8>> {
    let value = |event| {
        let mut value = Vec::new();
        encode_protobuf(&event, &mut value);
        value
    };
    world.events().map(value).collect()
}

/// A partition as a test has written it, offset by offset.
struct Written<'a> {
    to: TopicPartition,
    /// Tells the end of the partition, whatever is decided of it.
    all: &'a Cluster,
    next: i64,
    shown: u64,
    hidden: BTreeSet<i64>,
}

impl<'a> Written<'a> {
    fn nothing(topic: &Topic, partition: i32, all: &'a Cluster) -> Self {
        Self { to: (topic.name.clone(), partition), all, next: 0, shown: 0, hidden: BTreeSet::new() }
    }

    /// Writes records within a transaction that is about to be decided so.
    fn send(&mut self, by: &Transactions, committed: bool, values: &[&[u8]]) {
        by.send(&self.to, values.iter().copied()).unwrap();
        let end = self.next + i64::try_from(values.len()).unwrap();
        if committed {
            self.shown += values.len() as u64;
        } else {
            self.hidden.extend(self.next..end);
        }
        self.next = end;
    }

    /// Decides a transaction, and waits for its marker.
    fn decide(&mut self, by: &Transactions, committed: bool) {
        if committed { by.commit() } else { by.abort() }.unwrap();
        self.hidden.insert(self.next);
        self.next += 1;
        until("the marker is written", || self.end() == self.next);
    }

    fn end(&self) -> i64 {
        self.all.ends(std::slice::from_ref(&self.to)).unwrap()[&self.to].high
    }
}

/// Every offset of a partition that evidence declares as passed over by the broker; it may declare no others.
async fn passed_over(known: &Known, partition: i32) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    let suffix = format!(":{partition}");
    for skip in
        known.evidence().await.into_iter().filter(|e| e.source.ends_with(&suffix)).flat_map(|e| e.skipped)
    {
        assert_eq!(skip.why, SkipReason::NotDelivered, "{skip:?}");
        assert!((skip.from..skip.to).all(|offset| found.insert(offset)), "declared twice: {skip:?}");
    }
    found
}

/// Transactions lie across each other, half of them are aborted, and the partition ends in their markers: what was
/// committed is stored, every other offset is declared, and the end is reached.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_stored_and_every_other_offset_is_declared() {
    let Some(topic) = topic("transactions", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let world = region(31);
    let (kept, dropped) = (values(&world), values(&region(32)));
    let mut kept = kept.iter().map(Vec::as_slice).peekable();
    let mut dropped = dropped.iter().map(Vec::as_slice).cycle();
    let (keeps, drops) = (topic.transactions("keeps"), topic.transactions("drops"));
    let all = topic.cluster();
    let mut written = Written::nothing(&topic, 0, &all);
    let mut chance = Chance(31);
    while kept.peek().is_some() {
        let mut some = || 1 + usize::try_from(chance.below(120)).unwrap();
        keeps.begin().unwrap();
        drops.begin().unwrap();
        written.send(&keeps, true, &kept.by_ref().take(some()).collect::<Vec<_>>());
        written.send(&drops, false, &dropped.by_ref().take(some()).collect::<Vec<_>>());
        written.send(&keeps, true, &kept.by_ref().take(some()).collect::<Vec<_>>());
        if chance.below(2) == 0 {
            written.decide(&keeps, true);
            written.decide(&drops, false);
        } else {
            written.decide(&drops, false);
            written.decide(&keeps, true);
        }
    }
    let report = topic.ingest_once(&lake, "one");
    assert_eq!(report["records"], written.shown, "{report:#}");
    let known = Known::of(&lake).await;
    assert_eq!(known.position(&topic).await, written.next, "the end is a marker, and reached");
    assert_eq!(passed_over(&known, 0).await, written.hidden);
    assert_eq!(known.covers_every_offset_once().await, world.events().count() as u64);
    assert_eq!(assert_proven(&lake, &topic), written.shown);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
}

/// What stands behind an undecided transaction is not read before that is decided, and then it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_undecided_transaction_holds_reading_back_until_it_is_decided() {
    let Some(topic) = topic("undecided", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (lake, log) = (folder.path().join("lake"), folder.path().join("log"));
    let world = region(33);
    let values = values(&world);
    let mut parts = values.chunks(values.len() / 4 + 1).map(|part| part.iter().map(Vec::as_slice).collect());
    let mut part = || -> Vec<&[u8]> { parts.next().unwrap() };
    let (slow, quick, beside) =
        (topic.transactions("slow"), topic.transactions("quick"), topic.transactions("beside"));
    let all = topic.cluster();
    let (mut held, mut free) = (Written::nothing(&topic, 0, &all), Written::nothing(&topic, 1, &all));
    quick.begin().unwrap();
    held.send(&quick, true, &part());
    held.decide(&quick, true);
    let stable = held.next;
    slow.begin().unwrap();
    held.send(&slow, true, &part());
    quick.begin().unwrap();
    held.send(&quick, true, &part());
    held.decide(&quick, true);
    let (id, since) = (topic.id(), Clock::system().now());

    let ingest = Ingester::start(topic.ingest(&lake, "one", &[]), &log);
    let (known, last) = (Known::of(&lake).await, part());
    until("the lake has all that is decided, and said so since", || {
        // Each commit of the one partition says how far the other is, too.
        beside.begin().unwrap();
        free.send(&beside, true, &last[..1]);
        free.decide(&beside, true);
        let partitions = futures_now(known.partitions(&id));
        let complete = |n: usize| partitions.get(n).and_then(|partition| partition.complete_up_to);
        // The other holds no record from before.
        partitions.first().is_some_and(|held| held.position == Some(stable)) && complete(1) > Some(since)
    });
    let behind = known.partitions(&id).await.swap_remove(0);
    assert_eq!(
        behind.position,
        Some(stable),
        "of {} records, those from {stable} on are undecided",
        held.next
    );
    assert!(behind.complete_up_to.is_none_or(|at| at < since), "{behind:?}");
    slow.commit().unwrap();
    held.hidden.insert(held.next);
    held.next += 1;
    until("the marker is written", || held.end() == held.next);
    beside.begin().unwrap();
    free.send(&beside, true, &last);
    free.decide(&beside, true);
    known.has_all_of(&topic).await;
    ingest.stop();
    super::topics::swept(&lake);
    assert_eq!(known.position(&topic).await, held.next + free.next);
    assert_eq!(passed_over(&known, 0).await, held.hidden);
    assert_eq!(passed_over(&known, 1).await, free.hidden);
    assert_eq!(known.covers_every_offset_once().await, held.shown + free.shown);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
}

/// Writes records under a few keys, one more that closes their segment, and waits until only the last of each key is
/// left. `last` says where that is.
fn write_and_compact(topic: &Topic, values: &[Vec<u8>], last: &mut BTreeMap<String, i64>) {
    let mut next = topic.records();
    let closing = (format!("closes at {next}"), &values[0]);
    let records = values.iter().enumerate().map(|(n, value)| (format!("key {}", n % KEYS), value));
    let mut write = |records: &mut dyn Iterator<Item = (String, &Vec<u8>)>| {
        let publisher = topic.publisher();
        for (key, value) in records {
            publisher.send(&topic.name, Some(key.as_bytes()), None, value).unwrap();
            last.insert(key, next);
            next += 1;
        }
        publisher.finish().unwrap();
    };
    write(&mut records.into_iter());
    write(&mut std::iter::once(closing));
    until("the topic is compacted", || count(&topic.settings()).unwrap().records == last.len() as u64);
}

/// Offsets that were compacted away before they were read are declared, wherever reading begins.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_compacted_away_is_declared() {
    // A segment is closed by the first record that comes a millisecond later.
    let settings =
        [("cleanup.policy", "compact"), ("segment.ms", "1"), ("min.cleanable.dirty.ratio", "0.01")];
    let Some(topic) = topic_with("compacted", 1, &settings) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let values = values(&region(34));
    let (mut last, mut shown, mut hidden) = (BTreeMap::new(), 0, BTreeSet::new());
    for (round, half) in values.chunks(values.len() / 2 + 1).enumerate() {
        let first = topic.records();
        write_and_compact(&topic, half, &mut last);
        let left: BTreeSet<i64> = last.values().copied().filter(|offset| *offset >= first).collect();
        hidden.extend((first..topic.records()).filter(|offset| !left.contains(offset)));
        shown += left.len() as u64;
        let report = topic.ingest_once(&lake, "one");
        assert_eq!(report["records"], left.len(), "round {round}: {report:#}");
    }
    let known = Known::of(&lake).await;
    assert_eq!(passed_over(&known, 0).await, hidden);
    assert_eq!(known.covers_every_offset_once().await, shown);
    let (code, said) = reconcile(&lake, &topic);
    assert_eq!((code, &said["clean"]), (Some(0), &true.into()), "{said:#}");
}
