//! What does not add up, and what keeps a proof from being made at all.

use gridtrail_kafka::KafkaError;
use gridtrail_lake::LakeError;

/// In which way something does not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// Evidence was changed since it was written, or cannot be read.
    BrokenEvidence,
    /// Positions that no evidence covers.
    Gap,
    /// Positions that two pieces of evidence cover.
    Overlap,
    /// Counts of one range that contradict each other.
    Counts,
    /// Positions that are said to have ended in two places, or in a place of another range.
    Places,
    /// The lake stands at another position than its evidence.
    Position,
    /// A dead letter that the evidence names is not in its table.
    LetterMissing,
    /// A file that a log names is not in the store, or has another size.
    FileMissing,
    /// A topic's records are not those that were read.
    ContentDiffers,
    /// A topic holds records that a transaction hides.
    Hidden,
    /// Retention is said to have taken rows that were not old enough, or at a time that has not come.
    TooSoon,
}

impl FaultKind {
    /// The word for it, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokenEvidence => "broken-evidence",
            Self::Gap => "gap",
            Self::Overlap => "overlap",
            Self::Counts => "counts",
            Self::Places => "places",
            Self::Position => "position",
            Self::LetterMissing => "letter-missing",
            Self::FileMissing => "file-missing",
            Self::ContentDiffers => "content-differs",
            Self::Hidden => "hidden",
            Self::TooSoon => "too-soon",
        }
    }
}

/// One thing that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which way.
    pub kind: FaultKind,
    /// The source that it is about; empty where it is about none.
    pub source: String,
    /// The version of the main table whose evidence it is about.
    pub version: Option<u64>,
    /// What was found, in a sentence.
    pub what: String,
}

/// Why no proof was made, be it clean or not.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The lake could not be read.
    #[error("read the lake")]
    Lake(#[from] LakeError),
    /// Kafka could not be read.
    #[error("read the topics again")]
    Kafka(#[from] KafkaError),
    /// The lake follows no topic of this cluster.
    #[error("the lake follows no topic of the cluster {asked}; it follows topics of: {followed}")]
    OtherCluster {
        /// The id of the cluster that was asked.
        asked: String,
        /// The ids of those that the lake follows, separated by commas.
        followed: String,
    },
    /// A fault of gridtrail itself.
    #[error("{0}")]
    Internal(&'static str),
}
