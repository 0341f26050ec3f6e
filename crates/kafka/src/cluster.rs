//! A cluster: who it is, what its topics are, and where their partitions begin and end.

use crate::brokers::{Brokers, Logged, log};
use crate::error::KafkaError;
use crate::settings::KafkaSettings;
use crate::topic_ids::{self, Description};
use gridtrail_runtime::with_causes;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError as Client;
use rdkafka::message::{Message, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one question to a broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long records may take to come, of which the times are wanted.
const RECORDS_PATIENCE: Duration = Duration::from_secs(5);

/// How long the client is asked at a time which cluster it has found. It may learn that just before it begins to wait for
/// it, and then waits to the end.
const ASK: Duration = Duration::from_millis(200);

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that can still be read.
    pub low: i64,
    /// Its end.
    pub end: End,
}

/// Where a partition ends. Only what is between the two is hidden: behind a transaction that is not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Behind the last record that can be read: by the isolation level `read_committed` the last stable offset.
    pub readable: i64,
    /// Behind the last record that there is (the high watermark).
    pub high: i64,
}

impl End {
    /// Whether records are hidden.
    pub const fn hides(&self) -> bool {
        self.readable < self.high
    }
}

/// When a record says that it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordTime {
    /// Milliseconds since the epoch.
    pub ms: i64,
    /// Whether that is when the broker appended it; else it is what the producer says.
    pub appended: bool,
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

/// A connection that asks, and reads nothing to keep. Every call blocks, for ten seconds a question at the most.
pub struct Cluster {
    settings: KafkaSettings,
    client: BaseConsumer<Asking>,
    /// Asks the same, records that no transaction has decided yet included.
    uncommitted: BaseConsumer<Asking>,
    brokers: Arc<Brokers>,
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
        let failed = |e: Client| KafkaError::Setting { name: "of the client".into(), why: e.to_string() };
        let asking = Asking::default();
        let client: BaseConsumer<Asking> =
            settings.client()?.create_with_context(asking.clone()).map_err(failed)?;
        let uncommitted = settings.uncommitted()?.create_with_context(Asking::default()).map_err(failed)?;
        let began = Instant::now();
        loop {
            if let Some(id) = client.client().fetch_cluster_id(ASK) {
                let (settings, brokers) = (settings.clone(), Arc::default());
                return Ok(Self { settings, client, uncommitted, brokers, id });
            }
            serve(&client);
            if began.elapsed() >= patience {
                let (bootstrap, seconds) = (settings.bootstrap.clone(), patience.as_secs());
                return Err(KafkaError::Unreachable { bootstrap, seconds, last: asking.last() });
            }
        }
    }

    /// The cluster's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The brokers to start from, as they were given.
    pub fn bootstrap(&self) -> &str {
        &self.settings.bootstrap
    }

    /// Which brokers are known to be away.
    pub(crate) fn brokers(&self) -> &Arc<Brokers> {
        &self.brokers
    }

    /// A question was not answered, and will be asked again. Logged once where that lasts, until one is answered, and not at all where a
    /// broker is known to be away.
    pub fn unanswered(&self, error: &KafkaError) {
        self.brokers.unanswered(&with_causes(error));
    }

    /// The topics of these names. A name without a topic is left out.
    pub fn topics(&self, names: &[String]) -> Result<Vec<Topic>, KafkaError> {
        serve(&self.client);
        let failed = |why: String| KafkaError::Broker {
            doing: format!("describe the topics {}: {why}", names.join(", ")),
            source: Client::AdminOpCreation("DescribeTopics".into()),
        };
        let found = topic_ids::describe(self.client.client(), names, PATIENCE).map_err(failed)?;
        self.brokers.answered();
        let topic = |Description { name, found }| {
            found.map(|f: topic_ids::TopicIdentity| Topic { name, id: f.id, partitions: f.partitions })
        };
        Ok(found.into_iter().filter_map(topic).collect())
    }

    /// Where partitions begin and end at this moment.
    pub fn bounds(&self, of: &[TopicPartition]) -> Result<HashMap<TopicPartition, Bounds>, KafkaError> {
        let lows = self.offsets(&self.client, of, Offset::Beginning)?;
        let ends = self.ends(of)?;
        let bounds = |(partition, low): (TopicPartition, i64)| {
            let end = *ends.get(&partition)?;
            Some((partition, Bounds { low, end }))
        };
        Ok(lows.into_iter().filter_map(bounds).collect())
    }

    /// Where partitions end at this moment.
    ///
    /// What there is gets asked for first. Neither offset ever goes back, so what cannot be read *after* that was hidden
    /// then: an end that moves between the two questions makes nothing hidden, and hides nothing.
    pub fn ends(&self, of: &[TopicPartition]) -> Result<HashMap<TopicPartition, End>, KafkaError> {
        let highs = self.offsets(&self.uncommitted, of, Offset::End)?;
        let readables = self.offsets(&self.client, of, Offset::End)?;
        let end = |(partition, high): (TopicPartition, i64)| {
            let readable = *readables.get(&partition)?;
            Some((partition, End { readable: readable.min(high), high }))
        };
        Ok(highs.into_iter().filter_map(end).collect())
    }

    /// One question for all partitions. A partition that is not there is left out.
    fn offsets(
        &self,
        client: &BaseConsumer<Asking>,
        of: &[TopicPartition],
        which: Offset,
    ) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
        serve(client);
        let failed = || KafkaError::broker("ask where partitions begin and end");
        let mut list = TopicPartitionList::with_capacity(of.len());
        for (topic, partition) in of {
            list.add_partition_offset(topic, *partition, which).map_err(failed())?;
        }
        let answer = client.offsets_for_times(list, PATIENCE).map_err(failed())?;
        let mut offsets = HashMap::new();
        for element in answer.elements() {
            element.error().map_err(failed())?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert((element.topic().to_owned(), element.partition()), offset);
            }
        }
        self.brokers.answered();
        Ok(offsets)
    }

    /// The times of records by partition and offset, also of those that no transaction has decided. Left out is what is not
    /// there, has no time, or did not come within five seconds. No group is joined.
    pub fn times_of(
        &self,
        records: &[(TopicPartition, i64)],
    ) -> Result<HashMap<TopicPartition, RecordTime>, KafkaError> {
        let mut config = self.settings.member()?;
        config.set("isolation.level", "read_uncommitted");
        config.set("queued.min.messages", "1");
        config.set("statistics.interval.ms", "0");
        let consumer: BaseConsumer<Logged> = config
            .create_with_context(Logged { brokers: Arc::clone(&self.brokers) })
            .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
        let failed = || KafkaError::broker("read the times of records");
        let mut list = TopicPartitionList::with_capacity(records.len());
        for ((topic, partition), offset) in records {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).map_err(failed())?;
        }
        consumer.assign(&list).map_err(failed())?;
        let mut wanted: HashMap<TopicPartition, i64> = records.iter().cloned().collect();
        let mut times = HashMap::new();
        let began = Instant::now();
        while !wanted.is_empty() && began.elapsed() < RECORDS_PATIENCE {
            // What is wrong for good ends with the patience.
            let Some(Ok(message)) = consumer.poll(ASK) else { continue };
            let partition = (message.topic().to_owned(), message.partition());
            if wanted.remove(&partition) == Some(message.offset())
                && let Some(time) = time_of(message.timestamp())
            {
                times.insert(partition, time);
            }
        }
        Ok(times)
    }
}

fn time_of(timestamp: Timestamp) -> Option<RecordTime> {
    match timestamp {
        Timestamp::LogAppendTime(ms) => Some(RecordTime { ms, appended: true }),
        Timestamp::CreateTime(ms) => Some(RecordTime { ms, appended: false }),
        Timestamp::NotAvailable => None,
    }
}

/// The command of Kafka's own tools that names the producers of a partition: the one whose open transaction begins at the
/// last stable offset is the one that hides what is behind it.
pub fn describe_producers(bootstrap: &str, topic: &str, partition: i32) -> String {
    format!(
        "kafka-transactions.sh --bootstrap-server {bootstrap} describe-producers --topic {topic} --partition {partition}"
    )
}

/// Lets the client tell what it has to tell: errors and log lines wait for it.
fn serve(client: &BaseConsumer<Asking>) {
    while client.poll(Duration::ZERO).is_some() {}
}

/// A client that asks now and then. What it has to tell it tells late, and the question itself fails; so it is kept.
#[derive(Debug, Clone, Default)]
struct Asking {
    last: Arc<Mutex<Option<String>>>,
}

impl Asking {
    fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Asking {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, line: &str) {
        log(level, fac, line);
    }

    fn error(&self, error: Client, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        if reason.contains(": ") {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Asking {}
