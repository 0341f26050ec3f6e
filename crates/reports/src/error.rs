//! Why a report was not made.

use crate::argument::ArgumentError;
use crate::manifest::ManifestError;
use gridtrail_access::AccessError;
use gridtrail_model::UserId;
use gridtrail_sql::{SqlError, SqlErrorKind};

/// Why a report was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A manifest of this build is wrong.
    #[error("the manifest of a report is wrong")]
    Manifest(#[from] ManifestError),
    /// There is no report of this name.
    #[error("there is no report {name:?}; there are {known}")]
    NoReport {
        /// The name, cut at 64 characters.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It was asked for wrongly.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// It was asked of a User ID whose rows the caller does not see.
    #[error("{0} is not yours, and nobody granted it to you")]
    NotYours(UserId),
    /// The caller may not see reports, or no longer.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The statement was not answered.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A statement of this build does not give what its manifest says.
    #[error("the column {column} of {report} is to be {expected}; its statement gives {found}")]
    Column {
        /// The report.
        report: String,
        /// The column.
        column: String,
        /// What the manifest says.
        expected: &'static str,
        /// What the statement gives.
        found: String,
    },
    /// Something that cannot happen did.
    #[error("the report failed: {0}")]
    Internal(String),
}

impl ReportError {
    /// What the caller can do about it.
    pub fn kind(&self) -> SqlErrorKind {
        match self {
            Self::NoReport { .. } | Self::Argument(_) => SqlErrorKind::Statement,
            Self::NotYours(_) | Self::Access(_) => SqlErrorKind::Denied,
            Self::Sql(error) => error.kind(),
            Self::Manifest(_) | Self::Column { .. } | Self::Internal(_) => SqlErrorKind::Internal,
        }
    }
}
