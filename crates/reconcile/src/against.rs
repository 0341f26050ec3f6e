//! The evidence, held against the topics themselves: everything is read again and hashed again.

use crate::audit::{Audit, Range};
use crate::fault::{FaultKind, ReconcileError};
use crate::proof::{Compared, Proof, conclude};
use gridtrail_kafka::{Admin, Bounds, Cluster, KafkaSettings, RangeHash, TopicPartition, reread};
use gridtrail_lake::{Lake, Partition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the brokers may take to answer for the first time.
const CONNECT: Duration = Duration::from_secs(30);

/// As [`crate::reconcile`], and reads every topic of the cluster again that the lake follows: each range of offsets must
/// hash to what its evidence says. The topics of the settings are not looked at.
///
/// What a topic's retention deleted since cannot be compared, and is counted apart. Cost: a read of all topics.
/// Errors: `Lake`; `Kafka`; `OtherCluster` when the lake follows no topic there.
pub async fn against_kafka(lake: &Lake, settings: &KafkaSettings) -> Result<Proof, ReconcileError> {
    lake.refresh().await?;
    let followed = lake.snapshot().partitions().to_vec();
    let asking = settings.clone();
    let topics = blocking(move || Topics::of(&asking, &followed)).await?;
    let keep = topics.partitions.iter().map(|(source, (_, bounds))| (source.clone(), bounds.low)).collect();
    let (mut proof, mut audit) = conclude(lake, Audit::keeping(keep)).await?;
    let faults_before = audit.faults.len();
    for (source, (partition, bounds)) in topics.partitions {
        let Some(at) = proof.sources.iter().position(|proof| proof.source == source) else { continue };
        let ranges = audit.ranges.remove(&source).unwrap_or_default();
        let compacted = topics.compacted.contains(&partition.0);
        let gone = proof.sources[at].ranges - ranges.len() as u64;
        let settings = settings.clone();
        let found = blocking(move || compare(&settings, &partition, bounds, ranges)).await?;
        let mut compared = Compared { gone, ..Compared::default() };
        for Found { range, records, sha256 } in found {
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
                audit.fault(FaultKind::ContentDiffers, &source, Some(range.version), what);
            }
        }
        proof.sources[at].compared = Some(compared);
    }
    proof.faults.extend(audit.faults.drain(faults_before..));
    proof.fault_count = audit.fault_count;
    Ok(proof)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReconcileError> + Send + 'static,
) -> Result<T, ReconcileError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ReconcileError::Internal("reading Kafka panicked"))?
}

/// The topics that the lake follows, as they are now.
struct Topics {
    /// By source, where its topic is still the one that was read.
    partitions: BTreeMap<String, (TopicPartition, Bounds)>,
    compacted: BTreeSet<String>,
}

impl Topics {
    fn of(settings: &KafkaSettings, followed: &[Partition]) -> Result<Self, ReconcileError> {
        let cluster = Cluster::connect(settings, CONNECT)?;
        let here: Vec<&Partition> = followed.iter().filter(|p| p.stream.cluster == cluster.id()).collect();
        if here.is_empty() {
            let ids: BTreeSet<&str> = followed.iter().map(|p| p.stream.cluster.as_str()).collect();
            let followed = ids.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ReconcileError::OtherCluster { asked: cluster.id().to_owned(), followed });
        }
        let names: BTreeSet<String> = here.iter().map(|p| p.stream.topic.clone()).collect();
        let topics = cluster.topics(&names.into_iter().collect::<Vec<_>>())?;
        let same = |p: &&Partition| topics.iter().any(|t| t.name == p.stream.topic && t.id == p.stream.id);
        let wanted: BTreeMap<String, TopicPartition> = here
            .into_iter()
            .filter(same)
            .map(|p| (p.stream.source(p.partition), (p.stream.topic.clone(), p.partition)))
            .collect();
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
        Ok(Self { partitions: partitions.collect(), compacted })
    }
}

/// What a range holds now.
struct Found {
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
) -> Result<Vec<Found>, ReconcileError> {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(Vec::new()) };
    let (from, to) = (first.from.max(bounds.low), last.to);
    let mut found = Vec::with_capacity(ranges.len());
    let mut left = ranges.into_iter().peekable();
    let (mut hash, mut records) = (RangeHash::default(), 0);
    let mut close = |range: Range, hash: &mut RangeHash, records: &mut u64| {
        let sha256 = std::mem::take(hash).finish();
        found.push(Found { range, records: std::mem::take(records), sha256 });
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
