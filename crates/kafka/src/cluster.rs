//! A cluster: who it is, what its topics are, and where their partitions begin and end.

use crate::error::KafkaError;
use crate::settings::KafkaSettings;
use crate::topic_ids::{self, Description};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError as Client;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long one question to a broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the client is asked at a time which cluster it has found. It may learn that just before it begins to wait for
/// it, and then waits to the end.
const ASK: Duration = Duration::from_millis(200);

/// Where a partition begins and ends: the first offset that is there, and the one behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that can still be read.
    pub low: i64,
    /// Behind the last offset that can be read.
    pub high: i64,
}

/// A topic and one of its partitions.
pub type TopicPartition = (String, i32);

/// A topic, as this cluster knows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A connection that asks and reads nothing. Every call blocks, for ten seconds at the most.
pub struct Cluster {
    client: BaseConsumer<Logged>,
    id: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects. Errors: `Setting`; `Unreachable` when no broker says within `patience` which cluster it is of.
    pub fn connect(settings: &KafkaSettings, patience: Duration) -> Result<Self, KafkaError> {
        let client: BaseConsumer<Logged> = settings
            .client()?
            .create_with_context(Logged)
            .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
        let began = Instant::now();
        loop {
            if let Some(id) = client.client().fetch_cluster_id(ASK) {
                return Ok(Self { client, id });
            }
            if began.elapsed() >= patience {
                let (bootstrap, seconds) = (settings.bootstrap.clone(), patience.as_secs());
                return Err(KafkaError::Unreachable { bootstrap, seconds });
            }
        }
    }

    /// The cluster's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The topics of these names. A name without a topic is left out.
    pub fn topics(&self, names: &[String]) -> Result<Vec<Topic>, KafkaError> {
        self.serve();
        let failed = |why: String| KafkaError::Broker {
            doing: format!("describe the topics {}: {why}", names.join(", ")),
            source: Client::AdminOpCreation("DescribeTopics".into()),
        };
        let found =
            topic_ids::describe(self.client.client().native_ptr(), names, PATIENCE).map_err(failed)?;
        let topic = |Description { name, found }| {
            found.map(|f: topic_ids::Found| Topic { name, id: f.id, partitions: f.partitions })
        };
        Ok(found.into_iter().filter_map(topic).collect())
    }

    /// Where partitions begin and end at this moment.
    pub fn bounds(&self, of: &[TopicPartition]) -> Result<HashMap<TopicPartition, Bounds>, KafkaError> {
        let lows = self.offsets(of, Offset::Beginning)?;
        let highs = self.offsets(of, Offset::End)?;
        let bounds = |(partition, low): (TopicPartition, i64)| {
            let high = *highs.get(&partition)?;
            Some((partition, Bounds { low, high }))
        };
        Ok(lows.into_iter().filter_map(bounds).collect())
    }

    /// Where partitions end at this moment, as far as they can be read.
    pub fn ends(&self, of: &[TopicPartition]) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
        self.offsets(of, Offset::End)
    }

    /// One question for all partitions. A partition that is not there is left out.
    fn offsets(
        &self,
        of: &[TopicPartition],
        which: Offset,
    ) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
        self.serve();
        let failed = || KafkaError::broker("ask where partitions begin and end");
        let mut list = TopicPartitionList::with_capacity(of.len());
        for (topic, partition) in of {
            list.add_partition_offset(topic, *partition, which).map_err(failed())?;
        }
        let answer = self.client.offsets_for_times(list, PATIENCE).map_err(failed())?;
        let mut offsets = HashMap::new();
        for element in answer.elements() {
            element.error().map_err(failed())?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert((element.topic().to_owned(), element.partition()), offset);
            }
        }
        Ok(offsets)
    }

    /// Lets the client tell what it has to tell: errors and log lines wait for it.
    fn serve(&self) {
        while self.client.poll(Duration::ZERO).is_some() {}
    }
}

/// A client whose log lines are this process's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, line: &str) {
        log(level, fac, line);
    }

    fn error(&self, error: Client, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for Logged {}

/// Logs what the client tells of as an error. The end of a partition is none, though it comes as one.
pub(crate) fn log_error(error: &Client, reason: &str) {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        tracing::warn!(%error, reason, "kafka");
    }
}

pub(crate) fn log(level: RDKafkaLogLevel, fac: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Debug => tracing::debug!(fac, line, "kafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::info!(fac, line, "kafka"),
        RDKafkaLogLevel::Warning => tracing::warn!(fac, line, "kafka"),
        _ => tracing::error!(fac, line, "kafka"),
    }
}
