//! Making, changing and deleting topics.

use crate::brokers::Logged;
use crate::error::KafkaError;
use crate::limits::RECORD_BYTES;
use crate::settings::KafkaSettings;
use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

/// The replicas of a topic: as many as the cluster's own setting says.
const OF_THE_CLUSTER: i32 = -1;
/// How long a cluster may take to carry out one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Changes the topics of a cluster. Every call blocks until the cluster has carried it out.
pub struct Admin {
    client: AdminClient<Logged>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// A client. Errors: `Setting`.
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        let client = settings
            .common()?
            .create_with_context(Logged::default())
            .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
        Ok(Self { client })
    }

    /// Creates a topic for events, with as many replicas as the cluster gives topics. Whether it was not there before.
    ///
    /// It takes messages of [`MESSAGE_BYTES`](crate::MESSAGE_BYTES), and keeps the time at which the broker appended a
    /// record, which says how far a reader with a backlog is. Errors: `Broker`.
    pub fn create_event_topic(&self, name: &str, partitions: i32) -> Result<bool, KafkaError> {
        let record_bytes = RECORD_BYTES.to_string();
        self.create_topic(
            name,
            partitions,
            &[("max.message.bytes", &record_bytes), ("message.timestamp.type", "LogAppendTime")],
        )
    }

    /// Creates a topic, with as many replicas as the cluster gives topics. Whether it was not there before. Errors: `Broker`.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configuration: &[(&str, &str)],
    ) -> Result<bool, KafkaError> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(OF_THE_CLUSTER));
        for (key, value) in configuration {
            topic = topic.set(key, value);
        }
        let doing = format!("create topic {name}");
        let done = block_on(self.client.create_topics([&topic], &options()));
        match done.map_err(KafkaError::broker(doing.as_str()))?.pop() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(KafkaError::broker(doing)(Client::AdminOp(code))),
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Result<(), KafkaError> {
        answered(&format!("delete topic {name}"), block_on(self.client.delete_topics(&[name], &options())))
    }

    /// Gives a topic so many partitions in all.
    pub fn grow_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaError> {
        let count = usize::try_from(partitions).unwrap_or(0);
        let done = block_on(self.client.create_partitions([&NewPartitions::new(name, count)], &options()));
        answered(&format!("add partitions to topic {name}"), done)
    }

    /// Whether a topic drops records that later ones of the same key stand in for.
    pub fn is_compacted(&self, topic: &str) -> Result<bool, KafkaError> {
        let doing = format!("read the settings of topic {topic}");
        let asked = block_on(self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &options()));
        for resource in asked.map_err(KafkaError::broker(doing.as_str()))? {
            let resource =
                resource.map_err(|code| KafkaError::broker(doing.as_str())(Client::AdminOp(code)))?;
            let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
            if policy.is_some_and(|policy| policy.contains("compact")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes the records of a partition below an offset, as a topic's retention does in time.
    pub fn delete_records(&self, topic: &str, partition: i32, below: i64) -> Result<(), KafkaError> {
        let failed = || KafkaError::broker(format!("delete records of {topic}/{partition}"));
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(below)).map_err(failed())?;
        let done = block_on(self.client.delete_records(&list, &options())).map_err(failed())?;
        done.elements().iter().try_for_each(|element| element.error()).map_err(failed())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// What became of one topic of a request: its name, and where it failed, why.
type Answer = Result<String, (String, RDKafkaErrorCode)>;

fn answered(doing: &str, done: Result<Vec<Answer>, Client>) -> Result<(), KafkaError> {
    for topic in done.map_err(KafkaError::broker(doing))? {
        topic.map_err(|(_, code)| KafkaError::broker(doing)(Client::AdminOp(code)))?;
    }
    Ok(())
}
