//! Writing records to a topic: what load tests, demonstrations and replays need.

use crate::error::KafkaError;
use crate::settings::KafkaSettings;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the last records may take to be delivered.
const FLUSH: Duration = Duration::from_secs(60);
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
    failed: Arc<Mutex<Option<Client>>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, line: &str) {
        crate::cluster::log(level, fac, line);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.delivered.fetch_add(1, Ordering::Relaxed)),
            Err((error, _)) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.clone());
            }
        }
    }
}

impl Publisher {
    /// A publisher. Errors: `Setting`.
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        let mut config = settings.common()?;
        config.set("enable.idempotence", "true");
        config.set("compression.type", "lz4");
        config.set("linger.ms", "5");
        config.set("queue.buffering.max.messages", "200000");
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
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((Client::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(FULL);
                }
                Err((error, _)) => return Err(KafkaError::broker(format!("write to {topic}"))(error)),
            }
        }
    }

    /// Waits until every record is delivered. Returns how many were.
    pub fn finish(self) -> Result<u64, KafkaError> {
        self.producer.flush(FLUSH).map_err(KafkaError::broker("wait for the last records"))?;
        self.check()?;
        Ok(self.delivered())
    }

    /// How many records the brokers have so far.
    pub fn delivered(&self) -> u64 {
        self.deliveries.delivered.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<(), KafkaError> {
        match &*self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(error) => Err(KafkaError::broker("deliver a record")(error.clone())),
        }
    }
}
