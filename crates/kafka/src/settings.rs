//! How Kafka is reached.

use crate::error::KafkaError;
use crate::limits::RECORD_BYTES;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// Settings that gridtrail's own guarantees rest on: they are refused from outside.
const RESERVED: &[(&str, &str)] = &[
    ("auto.offset.reset", "positions come from the lake, and an offset that is gone is an error"),
    ("enable.auto.commit", "group offsets are told for monitoring only, after the lake has the records"),
    (
        "enable.auto.offset.store",
        "group offsets are told for monitoring only, after the lake has the records",
    ),
    ("enable.partition.eof", "the end of a partition is part of the evidence"),
    ("group.id", "give it with --group"),
    ("bootstrap.servers", "give it with --kafka"),
];

/// How Kafka is reached and read.
#[derive(Clone)]
pub struct KafkaSettings {
    /// Brokers to start from, `host:port`, separated by commas.
    pub bootstrap: String,
    /// The consumer group: who reads which partition is settled in it, and nothing else.
    pub group: String,
    /// The topics.
    pub topics: Vec<String>,
    /// More settings of the client (librdkafka), such as `security.protocol` and `sasl.mechanism`.
    pub properties: Vec<(String, String)>,
}

impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A property may be a password.
        let names: Vec<_> = self.properties.iter().map(|(name, _)| name).collect();
        f.debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("properties", &names)
            .finish()
    }
}

/// Settings of every client, which properties may change.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "gridtrail"),
    // The address that a broker has had before is tried again soon after an outage.
    ("reconnect.backoff.max.ms", "2000"),
    ("topic.metadata.refresh.interval.ms", "5000"),
    ("log.connection.close", "false"),
];

/// Settings of a client that reads, which properties may change.
const READING: &[(&str, &str)] = &[
    // A rebalance takes away only what moves.
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    // What is fetched ahead of the ingest, for each partition: bounded memory whatever the lag.
    ("queued.max.messages.kbytes", "8192"),
    ("queued.min.messages", "50000"),
    // How soon fetching goes on once there is room again: the default of a second starves a catch-up.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.wait.max.ms", "100"),
    // A record that is larger comes all the same, alone (KIP-74): this bounds what is fetched of many small ones.
    ("fetch.message.max.bytes", "1048576"),
    // One answer of a broker, of all partitions together. The second must be larger than the first by a record.
    ("fetch.max.bytes", "33554432"),
    ("receive.message.max.bytes", "67108864"),
];

impl KafkaSettings {
    /// The settings of a client that writes.
    pub(crate) fn common(&self) -> Result<ClientConfig, KafkaError> {
        self.with(COMMON)
    }

    /// The settings of a client that reads and belongs to no group.
    pub(crate) fn client(&self) -> Result<ClientConfig, KafkaError> {
        self.with(&[COMMON, READING].concat())
    }

    fn with(&self, defaults: &[(&str, &str)]) -> Result<ClientConfig, KafkaError> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("message.max.bytes", RECORD_BYTES.to_string());
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
                return Err(KafkaError::Setting { name: name.clone(), why: (*why).to_owned() });
            }
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap);
        Ok(config)
    }

    /// The settings of a client that belongs to no group and sees all that there is, decided or not.
    pub(crate) fn uncommitted(&self) -> Result<ClientConfig, KafkaError> {
        let mut config = self.client()?;
        config.set("isolation.level", "read_uncommitted");
        Ok(config)
    }

    /// The settings of a member of the group.
    pub(crate) fn member(&self) -> Result<ClientConfig, KafkaError> {
        let mut config = self.client()?;
        config.set("group.id", &self.group);
        config.set("auto.offset.reset", "error");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("enable.partition.eof", "true");
        // Tells how much of a partition is left to read, and which brokers are connected.
        config.set("statistics.interval.ms", "1000");
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> KafkaSettings {
        KafkaSettings {
            bootstrap: "127.0.0.1:9".into(),
            group: "g".into(),
            topics: vec!["t".into()],
            properties: vec![(name.into(), value.into())],
        }
    }

    #[test]
    fn what_the_guarantees_rest_on_cannot_be_changed() {
        for (name, _) in RESERVED {
            let error = with(name, "x").member().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(
            with("isolation.level", "read_uncommitted").member().unwrap().get("auto.offset.reset"),
            Some("error")
        );
    }

    #[test]
    fn no_secret_is_printed() {
        let text = format!("{:?}", with("sasl.password", "hunter2"));
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }
}
