//! What can go wrong with Kafka, by what the caller can do about it.

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
    #[error("the cluster at {bootstrap} did not answer within {seconds} s")]
    Unreachable {
        /// The address.
        bootstrap: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A topic is not there.
    #[error("topic {0} is not there; create it, or correct its name")]
    NoTopic(String),
    /// Where the lake is could not be learned.
    #[error("read the positions of the lake")]
    Positions(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault of gridtrail itself.
    #[error("{0}")]
    Internal(&'static str),
}

impl KafkaError {
    pub(crate) fn broker(doing: impl Into<String>) -> impl FnOnce(Client) -> Self {
        let doing = doing.into();
        move |source| Self::Broker { doing, source }
    }
}
