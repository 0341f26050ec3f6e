//! Writing records to a topic: what load tests, demonstrations and replays need.

use crate::brokers::{Brokers, client_context};
use crate::cluster::TopicPartition;
use crate::error::KafkaError;
use crate::settings::KafkaSettings;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the last records may take to be delivered.
const FLUSH: Duration = Duration::from_secs(60);
/// How long a transaction may take to be decided.
const DECIDE: Duration = Duration::from_secs(60);
/// How long a broker may take to say whether a topic is there.
const ASK: Duration = Duration::from_secs(30);
/// How long a topic that is being made may take to be there, and how often it is looked for.
const APPEAR: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long to wait when the client's own queue is full.
const FULL: Duration = Duration::from_millis(5);

/// Writes records to topics, in order for each key, each exactly once as far as the broker knows this publisher.
pub struct Publisher {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("delivered", &self.delivered()).finish_non_exhaustive()
    }
}

/// What became of the records so far.
#[derive(Clone, Default)]
struct Deliveries {
    delivered: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<Undelivered>>>,
    brokers: Arc<Brokers>,
}

/// The first record that could not be delivered.
#[derive(Clone)]
struct Undelivered {
    topic: String,
    bytes: usize,
    error: Client,
}

impl Undelivered {
    fn error(self) -> KafkaError {
        let Self { topic, bytes, error } = self;
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => KafkaError::TooLarge { topic, bytes },
            Some(
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopicId,
            ) => KafkaError::NoTopic(topic),
            _ => KafkaError::broker(format!("deliver a record to {topic}"))(error),
        }
    }
}

client_context!(Deliveries);

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.delivered.fetch_add(1, Ordering::Relaxed)),
            Err((error, message)) => {
                let undelivered = || Undelivered {
                    topic: message.topic().to_owned(),
                    bytes: message.payload_len(),
                    error: error.clone(),
                };
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(undelivered);
            }
        }
    }
}

impl Publisher {
    /// A publisher. Errors: `Setting`.
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        Self::of(settings.common()?)
    }

    fn of(mut config: ClientConfig) -> Result<Self, KafkaError> {
        config.set("enable.idempotence", "true");
        config.set("compression.type", "lz4");
        config.set("linger.ms", "5");
        config.set("queue.buffering.max.messages", "200000");
        // Memory, whatever the size of a record.
        config.set("queue.buffering.max.kbytes", "131072");
        config.set("statistics.interval.ms", "1000");
        let deliveries = Deliveries::default();
        let producer = config
            .create_with_context(deliveries.clone())
            .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
        Ok(Self { producer, deliveries })
    }

    /// Hands on one record. Blocks while the client's queue is full.
    ///
    /// Errors: `Broker` when this record cannot be sent, or one before it could not be delivered.
    pub fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        content_type: Option<&str>,
        value: &[u8],
    ) -> Result<(), KafkaError> {
        self.check()?;
        let headers = content_type
            .map(|value| OwnedHeaders::new().insert(Header { key: "content-type", value: Some(value) }));
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(value);
        record.key = key;
        record.headers = headers;
        self.hand_on(record)
    }

    fn hand_on(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((Client::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(FULL);
                }
                Err((error, record)) => {
                    let (topic, bytes) = (record.topic.to_owned(), record.payload.map_or(0, <[u8]>::len));
                    return Err(Undelivered { topic, bytes, error }.error());
                }
            }
        }
    }

    /// Whether a topic is there. Where brokers make topics that are asked for, asking makes it.
    ///
    /// Errors: `NoTopic`; `Broker` when no broker answers.
    pub fn look_for(&self, topic: &str) -> Result<(), KafkaError> {
        let began = Instant::now();
        loop {
            let asked = self.producer.client().fetch_metadata(Some(topic), ASK);
            let asked = asked.map_err(KafkaError::broker(format!("look for topic {topic}")))?;
            match asked.topics().iter().find(|found| found.name() == topic).map(|found| found.error()) {
                Some(None) => return Ok(()),
                // A topic that was just made has no leader for a moment.
                _ if began.elapsed() < APPEAR => std::thread::sleep(LOOK_AGAIN),
                _ => return Err(KafkaError::NoTopic(topic.to_owned())),
            }
        }
    }

    /// Waits until every record is delivered. Returns how many were.
    pub fn finish(self) -> Result<u64, KafkaError> {
        self.flush()?;
        Ok(self.delivered())
    }

    fn flush(&self) -> Result<(), KafkaError> {
        self.producer.flush(FLUSH).map_err(KafkaError::broker("wait for the last records"))?;
        self.check()
    }

    /// How many records the brokers have so far.
    pub fn delivered(&self) -> u64 {
        self.deliveries.delivered.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<(), KafkaError> {
        match &*self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(undelivered) => Err(undelivered.clone().error()),
        }
    }
}

/// Writes records in transactions: who reads what is decided sees all records of one, or none.
#[derive(Debug)]
pub struct Transactions(Publisher);

impl Transactions {
    /// A publisher by a name of its own. What another one of that name left undecided is aborted. Blocks until the
    /// cluster has taken it in. Errors: `Setting`, `Broker`.
    pub fn new(settings: &KafkaSettings, name: &str) -> Result<Self, KafkaError> {
        let mut config = settings.common()?;
        config.set("transactional.id", name);
        let publisher = Publisher::of(config)?;
        let begun = publisher.producer.init_transactions(DECIDE);
        begun.map_err(KafkaError::broker("announce a writer of transactions"))?;
        Ok(Self(publisher))
    }

    /// Begins a transaction. The one before must be decided.
    pub fn begin(&self) -> Result<(), KafkaError> {
        self.0.producer.begin_transaction().map_err(KafkaError::broker("begin a transaction"))
    }

    /// Writes protobuf records to a partition, as part of the transaction. Blocks until the broker has them, so that an
    /// aborted transaction leaves offsets that hold no record.
    pub fn send<'a>(
        &self,
        to: &TopicPartition,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), KafkaError> {
        for value in values {
            let record = BaseRecord::<[u8], [u8]>::to(&to.0).partition(to.1).payload(value);
            self.0.hand_on(record)?;
        }
        self.0.flush()
    }

    /// Decides that the records count. Their marker may follow a moment later.
    pub fn commit(&self) -> Result<(), KafkaError> {
        self.0.producer.commit_transaction(DECIDE).map_err(KafkaError::broker("commit a transaction"))
    }

    /// Decides that they do not.
    pub fn abort(&self) -> Result<(), KafkaError> {
        self.0.producer.abort_transaction(DECIDE).map_err(KafkaError::broker("abort a transaction"))
    }
}
