//! The evidence, held against the topics themselves: everything is read again and hashed again.

use crate::audit::{Audit, Range};
use crate::fault::{FaultKind, ReconcileError};
use crate::proof::{Compared, Proof, conclude};
use gridtrail_kafka::{
    Admin, Bounds, Cluster, KafkaSettings, RangeHash, Topic, TopicPartition, describe_producers, reread,
};
use gridtrail_lake::{Lake, Partition, Stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the brokers may take to answer for the first time.
const CONNECT: Duration = Duration::from_secs(30);
/// How long transactions that were open at the start may take to be decided, and how often that is asked for.
const DECIDED: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// As [`crate::reconcile`], and reads every topic of the cluster again that the lake follows: each range of offsets must
/// hash to what its evidence says. The topics of the settings are not looked at.
///
/// What a topic's retention deleted since cannot be compared, and is counted apart; so is what the topics held at the start
/// and the lake has not read. What is hidden from committed readers then, and ten seconds later still, is a fault: nobody
/// knows what it is. Cost: a read of all topics. Errors: `Lake`; `Kafka`; `OtherCluster` when the lake follows no topic
/// there.
pub async fn against_kafka(lake: &Lake, settings: &KafkaSettings) -> Result<Proof, ReconcileError> {
    lake.refresh().await?;
    let followed = lake.snapshot().partitions().to_vec();
    let asking = settings.clone();
    // Before the evidence is read: whatever is written meanwhile is not said to be missing.
    let topics = Arc::new(blocking(move || Topics::of(&asking, &followed)).await?);
    let keep = topics.partitions.iter().map(|(source, (_, bounds))| (source.clone(), bounds.low)).collect();
    let (mut proof, mut audit) = conclude(lake, Audit::keeping(keep)).await?;
    let faults_before = audit.faults.len();
    let cluster_sources = format!("kafka:{}:", topics.cluster.id());
    for proof in proof.sources.iter_mut().filter(|proof| proof.source.starts_with(&cluster_sources)) {
        let source = proof.source.clone();
        let Some((partition, bounds)) = topics.partitions.get(&source).cloned() else {
            // The topic was deleted, and perhaps another made of its name.
            proof.compared = Some(Compared { gone: proof.ranges, ..Compared::default() });
            continue;
        };
        let ranges = audit.ranges.remove(&source).unwrap_or_default();
        let compacted = topics.compacted.contains(&partition.0);
        let gone = proof.ranges - ranges.len() as u64;
        let settings = settings.clone();
        let name = proof.name.clone();
        let found = blocking(move || compare(&settings, &partition, bounds, ranges)).await?;
        proof.compared = Some(judge(&mut audit, &source, found, compacted, gone));
        if proof.to > bounds.end.high {
            let what =
                format!("{name} ends at {}, before what was read of it ({})", bounds.end.high, proof.to);
            audit.fault(FaultKind::ContentDiffers, &source, None, what);
        }
    }
    proof.unread = topics.unread(&proof);
    find_hidden(&topics, &proof, &mut audit).await?;
    proof.faults.extend(audit.faults.drain(faults_before..));
    proof.fault_count = audit.fault_count;
    Ok(proof)
}

/// How the ranges of a source compare with what its topic holds now.
fn judge(audit: &mut Audit, source: &str, found: Vec<RangeNow>, compacted: bool, gone: u64) -> Compared {
    let mut compared = Compared { gone, ..Compared::default() };
    for RangeNow { range, records, sha256 } in found {
        if sha256 == range.sha256 && records == range.records {
            compared.same += 1;
        } else if compacted && records < range.records {
            compared.thinned += 1;
        } else {
            compared.different += 1;
            let what = format!(
                "{} to {} hold {records} records in the topic now, and held {} others when they were read",
                range.from, range.to, range.records
            );
            audit.fault(FaultKind::ContentDiffers, source, Some(range.version), what);
        }
    }
    compared
}

/// What transactions hide from the lake that are not decided, of what the topics held at the start. Most are decided soon.
async fn find_hidden(topics: &Arc<Topics>, proof: &Proof, audit: &mut Audit) -> Result<(), ReconcileError> {
    let read: BTreeMap<&str, i64> = proof.sources.iter().map(|p| (p.source.as_str(), p.to)).collect();
    let mut hidden: Vec<(String, TopicPartition, Bounds)> = Vec::new();
    for (source, (partition, bounds)) in &topics.partitions {
        let position = read.get(source.as_str()).copied().unwrap_or(0);
        if bounds.end.hides() && position < bounds.end.high {
            hidden.push((source.clone(), partition.clone(), *bounds));
        }
    }
    let began = Instant::now();
    loop {
        let of: Vec<TopicPartition> = hidden.iter().map(|(_, partition, _)| partition.clone()).collect();
        if of.is_empty() {
            return Ok(());
        }
        let asked = Arc::clone(topics);
        let ends = blocking(move || Ok(asked.cluster.ends(&of)?)).await?;
        let readable = |partition: &TopicPartition| ends.get(partition).map_or(i64::MAX, |end| end.readable);
        hidden.retain(|(_, partition, bounds)| readable(partition) < bounds.end.high);
        if began.elapsed() < DECIDED {
            tokio::time::sleep(ASK_AGAIN).await;
            continue;
        }
        for (source, partition, bounds) in &hidden {
            let (last_stable, (topic, number)) = (readable(partition), partition);
            let what = format!(
                "{} offsets from {last_stable} on are hidden behind a transaction that is not decided; {} names its producer",
                bounds.end.high - last_stable,
                describe_producers(topics.cluster.bootstrap(), topic, *number),
            );
            audit.fault(FaultKind::Hidden, source, None, what);
        }
        return Ok(());
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReconcileError> + Send + 'static,
) -> Result<T, ReconcileError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ReconcileError::Internal("reading Kafka panicked"))?
}

/// The topics that the lake follows, as they are now.
struct Topics {
    cluster: Cluster,
    /// By source, where its topic is still the one that was read; of those topics also the partitions that the lake does not
    /// know.
    partitions: BTreeMap<String, (TopicPartition, Bounds)>,
    compacted: BTreeSet<String>,
}

impl Topics {
    fn of(settings: &KafkaSettings, followed: &[Partition]) -> Result<Self, ReconcileError> {
        // What is hidden is so from committed readers, however the topics are read again.
        let mut committed = settings.clone();
        committed.properties.push(("isolation.level".to_owned(), "read_committed".to_owned()));
        let cluster = Cluster::connect(&committed, CONNECT)?;
        let here: Vec<&Partition> = followed.iter().filter(|p| p.stream.cluster == cluster.id()).collect();
        if here.is_empty() {
            let ids: BTreeSet<&str> = followed.iter().map(|p| p.stream.cluster.as_str()).collect();
            let followed = ids.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ReconcileError::OtherCluster { asked: cluster.id().to_owned(), followed });
        }
        let names: BTreeSet<String> = here.iter().map(|p| p.stream.topic.clone()).collect();
        let topics = cluster.topics(&names.into_iter().collect::<Vec<_>>())?;
        let mut wanted: BTreeMap<String, TopicPartition> = BTreeMap::new();
        for Topic { name, id, partitions } in &topics {
            // One that was made anew under its name is a source of its own, and read from its start.
            let (cluster, topic, id) = (cluster.id().to_owned(), name.clone(), id.clone());
            let stream = Stream { cluster, topic, id, partitions: *partitions };
            wanted.extend((0..*partitions).map(|number| (stream.source(number), (name.clone(), number))));
        }
        let bounds = cluster.bounds(&wanted.values().cloned().collect::<Vec<_>>())?;
        let admin = Admin::new(settings)?;
        let mut compacted = BTreeSet::new();
        for topic in &topics {
            if admin.is_compacted(&topic.name)? {
                compacted.insert(topic.name.clone());
            }
        }
        let partitions = wanted.into_iter().filter_map(|(source, partition)| {
            let bounds = *bounds.get(&partition)?;
            Some((source, (partition, bounds)))
        });
        let partitions = partitions.collect();
        Ok(Self { cluster, partitions, compacted })
    }

    /// Offsets that the topics held and the lake has not read, by partition.
    fn unread(&self, proof: &Proof) -> BTreeMap<String, u64> {
        let read: BTreeMap<&str, i64> = proof.sources.iter().map(|p| (p.source.as_str(), p.to)).collect();
        let mut unread = BTreeMap::new();
        for (source, ((topic, partition), bounds)) in &self.partitions {
            let position = read.get(source.as_str()).copied().unwrap_or(0).max(bounds.low);
            if let Some(left) = u64::try_from(bounds.end.high - position).ok().filter(|left| *left > 0) {
                unread.insert(format!("{topic}/{partition}"), left);
            }
        }
        unread
    }
}

/// What a range holds now.
struct RangeNow {
    range: Range,
    records: u64,
    sha256: String,
}

/// Reads a partition again, and hashes each range of it. Ranges come in order.
fn compare(
    settings: &KafkaSettings,
    partition: &TopicPartition,
    bounds: Bounds,
    ranges: Vec<Range>,
) -> Result<Vec<RangeNow>, ReconcileError> {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(Vec::new()) };
    let (from, to) = (first.from.max(bounds.low), last.to);
    let mut found = Vec::with_capacity(ranges.len());
    let mut left = ranges.into_iter().peekable();
    let (mut hash, mut records) = (RangeHash::default(), 0);
    let mut close = |range: Range, hash: &mut RangeHash, records: &mut u64| {
        let sha256 = std::mem::take(hash).finish();
        found.push(RangeNow { range, records: std::mem::take(records), sha256 });
    };
    reread(settings, partition, from, to, |offset, value| {
        while let Some(range) = left.next_if(|range| range.to <= offset) {
            close(range, &mut hash, &mut records);
        }
        if left.peek().is_some_and(|range| range.from <= offset) {
            hash.record(offset, value);
            records += 1;
        }
    })?;
    for range in left {
        close(range, &mut hash, &mut records);
    }
    Ok(found)
}
