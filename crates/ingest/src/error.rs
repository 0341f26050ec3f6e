//! What can stop an ingest. A record that cannot be read never does: it becomes a dead letter.

use crate::name::ENDINGS;
use gridtrail_kafka::KafkaError;
use gridtrail_lake::{LakeError, LakeErrorKind};
use std::path::PathBuf;

/// Why an ingest stopped.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A file or folder could not be read.
    #[error("read {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to read.
    #[error(
        "{path} holds no file of events, and {others} other files; names of files of events end with {endings}",
        endings = ENDINGS
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// Files whose names tell of nothing that is read.
        others: usize,
    },
    /// The name of a file does not tell what it holds.
    #[error("the name of {0} does not tell what it holds; names of files of events end with {endings}", endings = ENDINGS)]
    Ending(PathBuf),
    /// The lake could not take a batch.
    #[error("write to the lake")]
    Lake(#[from] LakeError),
    /// Kafka could not be read.
    #[error("read from Kafka")]
    Kafka(#[from] KafkaError),
    /// Records cannot be read before somebody decides a transaction.
    #[error(
        "{hidden} offsets of {topic}/{partition} from {last_stable} on are hidden behind a transaction that is not decided; \
         {command} names its producer"
    )]
    Hidden {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The last stable offset: that of the transaction's first record.
        last_stable: i64,
        /// How many offsets there are from there on.
        hidden: i64,
        /// The command of Kafka's own tools that names the producer.
        command: String,
    },
    /// Another ingester kept reading the same files.
    #[error("another ingester keeps reading the same files; stop one of the two")]
    Contended,
    /// A fault of gridtrail itself.
    #[error("{0}")]
    Internal(&'static str),
}

impl IngestError {
    /// Whether the lake is damaged, which no time heals.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Lake(error) if error.kind() == LakeErrorKind::Corrupt)
    }

    /// Whether another ingester was faster, so that reading again from the table's positions is the cure.
    pub(crate) fn is_overtaken(&self) -> bool {
        matches!(self, Self::Lake(error) if error.kind() == LakeErrorKind::PositionMoved)
    }
}
