//! What can go wrong with Kafka, by what the caller can do about it.

use crate::limits::RECORD_BYTES;
use rdkafka::error::KafkaError as Client;

/// Why Kafka could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// A client setting that cannot be used.
    #[error("the Kafka setting {name} cannot be used: {why}")]
    Setting {
        /// The setting's name. Its value may be a secret.
        name: String,
        /// Why not.
        why: String,
    },
    /// No broker answered, or it refused.
    #[error("{doing}")]
    Broker {
        /// What was being done.
        doing: String,
        /// The client's own error.
        #[source]
        source: Client,
    },
    /// The cluster did not say who it is.
    #[error("no broker of {bootstrap} answered within {seconds} s{}", because(.last))]
    Unreachable {
        /// The address.
        bootstrap: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the client said last of why not.
        last: Option<String>,
    },
    /// A topic is not there.
    #[error(
        "topic {0} is not there: correct its name, or create it, as by `gridtrail publish --create-topic` or Kafka's own \
         `kafka-topics.sh --create` (docs/kafka.md)"
    )]
    NoTopic(String),
    /// A topic does not take records of this size.
    #[error(
        "topic {topic} takes no record of {bytes} bytes: set its max.message.bytes to {} (docs/kafka.md)",
        RECORD_BYTES
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// Bytes of the record's value.
        bytes: usize,
    },
    /// A partition ends before what was read of it.
    #[error(
        "{topic}/{partition} ends at {end}, and the lake has it up to {lake}: the cluster lost records. It is not read \
         before an operator has settled what became of them"
    )]
    EndsBefore {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the lake is.
        lake: i64,
        /// Where the partition ends.
        end: i64,
    },
    /// Where the lake is could not be learned.
    #[error("read the positions of the lake")]
    Positions(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault of gridtrail itself.
    #[error("{0}")]
    Internal(&'static str),
}

fn because(last: &Option<String>) -> String {
    last.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

impl KafkaError {
    pub(crate) fn broker(doing: impl Into<String>) -> impl FnOnce(Client) -> Self {
        let doing = doing.into();
        move |source| Self::Broker { doing, source }
    }
}
