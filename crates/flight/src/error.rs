//! What can go wrong with a message of the protocol, by what its sender can do about it.

use arrow::error::ArrowError;
use gridtrail_lake::{LakeError, LakeErrorKind};
use gridtrail_search::{NotOpened, SearchError};
use gridtrail_sql::SqlError;

/// Why a message was not answered.
#[derive(Debug, thiserror::Error)]
pub enum FlightError {
    /// It is no message of the protocol, or one that does not fit.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// The protocol has it, and this service has not.
    #[error("{0} is not supported: sessions read, statement by statement, and change nothing")]
    Unsupported(String),
    /// The ticket or handle is unknown: altered, or another caller's.
    #[error("there is no such statement of yours: prepare it again")]
    Unknown,
    /// The time of the ticket or handle is over, or its version is gone.
    #[error("the statement is no longer held: prepare it again")]
    Expired,
    /// The caller's rights are others than when the ticket or handle was given.
    #[error("your rights have changed since the statement was prepared: prepare it again")]
    OtherRights,
    /// The statement was cancelled.
    #[error("the statement was cancelled")]
    Cancelled,
    /// One row is larger than a message may be.
    #[error("a row has {bytes} bytes, more than a message may have; ask for fewer columns")]
    RowTooLarge {
        /// How many.
        bytes: usize,
    },
    /// The statement was not answered; its session has recorded that.
    #[error(transparent)]
    Statement(SqlError),
    /// There is no session for the caller.
    #[error(transparent)]
    Session(#[from] SqlError),
    /// The lake could not be read.
    #[error("the tables could not be read")]
    Lake(#[source] LakeError),
    /// Something could not be sealed.
    #[error(transparent)]
    Seal(#[from] SearchError),
    /// An answer could not be written.
    #[error("write the answer")]
    Write(#[from] ArrowError),
    /// Metadata could not be made.
    #[error("tell what there is")]
    Metadata(#[source] Box<arrow_flight::error::FlightError>),
}

impl FlightError {
    /// Whether the session of the statement has recorded it.
    pub const fn is_on_record(&self) -> bool {
        matches!(self, Self::Statement(error) if !matches!(error, SqlError::NotRecorded(_)))
    }

    pub(crate) fn malformed(what: impl std::fmt::Display) -> Self {
        Self::Malformed(what.to_string())
    }
}

impl From<LakeError> for FlightError {
    fn from(error: LakeError) -> Self {
        if error.kind() == LakeErrorKind::VersionGone { Self::Expired } else { Self::Lake(error) }
    }
}

impl From<NotOpened> for FlightError {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Foreign => Self::Unknown,
            NotOpened::Expired => Self::Expired,
            NotOpened::OtherRights => Self::OtherRights,
        }
    }
}

impl From<arrow_flight::error::FlightError> for FlightError {
    fn from(error: arrow_flight::error::FlightError) -> Self {
        Self::Metadata(Box::new(error))
    }
}
