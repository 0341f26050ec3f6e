//! Reading a topic and doing nothing with it: what any reading is to be measured beside.

use crate::brokers::Logged;
use crate::cluster::Cluster;
use crate::error::KafkaError;
use crate::settings::KafkaSettings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(100);

/// What a topic held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Records.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// From the assignment to the last record.
    pub took: Duration,
}

/// Reads all that the topics hold now, from the beginning, by a client with the same settings as a [`crate::Reader`]'s,
/// and counts it.
pub fn count(settings: &KafkaSettings) -> Result<Counted, KafkaError> {
    let cluster = Cluster::connect(settings, Duration::from_secs(30))?;
    let mut partitions = Vec::new();
    for topic in cluster.topics(&settings.topics)? {
        partitions.extend((0..topic.partitions).map(|partition| (topic.name.clone(), partition)));
    }
    let bounds = cluster.bounds(&partitions)?;
    let failed = || KafkaError::broker("read a topic");
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in bounds.keys() {
        list.add_partition_offset(topic, *partition, Offset::Beginning).map_err(failed())?;
    }
    let mut left = bounds;
    left.retain(|_, bounds| bounds.low < bounds.end.readable);
    let consumer: BaseConsumer<Logged> = settings
        .member()?
        .create_with_context(Logged::default())
        .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
    let began = Instant::now();
    consumer.assign(&list).map_err(failed())?;
    let mut counted = Counted::default();
    let mut last = (String::new(), -1);
    while !left.is_empty() {
        let Some(Ok(message)) = consumer.poll(POLL) else { continue };
        counted.records += 1;
        counted.bytes += message.payload_len() as u64;
        if message.partition() != last.1 || message.topic() != last.0 {
            last = (message.topic().to_owned(), message.partition());
        }
        if left.get(&last).is_some_and(|bounds| message.offset() + 1 >= bounds.end.readable) {
            left.remove(&last);
        }
    }
    counted.took = began.elapsed();
    Ok(counted)
}
