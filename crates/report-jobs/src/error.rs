//! Why a report was not made or not written.

use gridtrail_access::{AccessError, AccessErrorKind, Party};
use gridtrail_lake::{LakeError, LakeErrorKind};
use gridtrail_model::{Timestamp, UserId};
use gridtrail_reports::{OutputError, ReportError};
use gridtrail_sql::SqlErrorKind;
use std::io;
use std::time::Duration;

/// Why a report was not made or not written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// An object could not be written or read. Whether something was written is not known.
    #[error("{doing} {object}")]
    Store {
        /// What was being done, such as "create".
        doing: &'static str,
        /// The object.
        object: String,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// An object of the journal is not what was written: somebody has to look at it.
    #[error("the object {object} cannot be read: {reason}")]
    Corrupt {
        /// The object.
        object: String,
        /// What is wrong.
        reason: String,
    },
    /// A file on this machine could not be used.
    #[error("keep a report on this machine until it is written")]
    Io(#[from] io::Error),
    /// The lake could not be used.
    #[error("use the lake")]
    Lake(#[from] LakeError),
    /// The User ID is not that of the Party that the schedule says.
    #[error("{user_id} is not a User ID of {party} at {at}: correct the schedule, or wait until it is")]
    NotOfParty {
        /// The User ID.
        user_id: UserId,
        /// The Party.
        party: Party,
        /// When.
        at: Timestamp,
    },
    /// Rights were lost between the making of a report and its writing.
    #[error("rights that the report was made with were lost before it was written")]
    RightsLost,
    /// Rights cannot be told.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The report was not made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The report was not written down.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file that is not of this job has the name.
    #[error("{0} is there already, and this job has not written it: move it away")]
    Foreign(String),
    /// The files lie at another destination.
    #[error(
        "its files were made for {to}, and the schedule has another destination now: set that back until they are there"
    )]
    Moved {
        /// Where they are to go.
        to: String,
    },
    /// It took too long.
    #[error("it took longer than {} s: give the job more time (time_max), or ask for less", .0.as_secs())]
    TooLong(Duration),
    /// A lease lapsed, and another worker has gone on.
    #[error("another worker has taken over")]
    TakenOver,
}

impl JobError {
    /// What can be done about it.
    pub fn kind(&self) -> SqlErrorKind {
        match self {
            Self::Store { .. } | Self::Io(_) => SqlErrorKind::Unavailable,
            Self::Lake(error) => match error.kind() {
                LakeErrorKind::Unavailable => SqlErrorKind::Unavailable,
                _ => SqlErrorKind::Internal,
            },
            Self::Access(error) => match error.kind() {
                AccessErrorKind::Unavailable => SqlErrorKind::Unavailable,
                AccessErrorKind::SetUp => SqlErrorKind::Internal,
                AccessErrorKind::NoIdentity | AccessErrorKind::Denied => SqlErrorKind::Denied,
            },
            Self::NotOfParty { .. } | Self::RightsLost => SqlErrorKind::Denied,
            Self::Report(error) => error.kind(),
            Self::TooLong(_) => SqlErrorKind::TooMuch,
            Self::Foreign(_) | Self::Moved { .. } => SqlErrorKind::Statement,
            Self::TakenOver => SqlErrorKind::Changed,
            Self::Corrupt { .. } | Self::Output(_) => SqlErrorKind::Internal,
        }
    }
}
