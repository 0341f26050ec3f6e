//! What can go wrong with a statement, by what its author can do about it.

use datafusion::error::DataFusionError;
use gridtrail_access::AccessError;
use gridtrail_lake::{LakeError, LakeErrorKind};

/// Why a statement was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement asks for something that sessions do not do.
    #[error(
        "{what} is not allowed here; a session answers SELECT, VALUES, SHOW TABLES, SHOW COLUMNS and EXPLAIN of these"
    )]
    Refused {
        /// What it asks for.
        what: String,
    },
    /// The statement cannot be read, or names what is not there.
    #[error("{0}")]
    Statement(String),
    /// An expression failed on rows that the session may see.
    #[error("{0}")]
    Expression(String),
    /// The statement needs more memory than the session may take.
    #[error(
        "the statement needs more memory than the session may take: {0}; ask for fewer rows or columns, or sort and join less"
    )]
    Memory(String),
    /// The statement took too long.
    #[error("the statement took longer than {seconds} seconds; ask for a shorter time or fewer Devices")]
    Time {
        /// How long it may take.
        seconds: u64,
    },
    /// The caller may not ask, or no longer.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The lake could not be read.
    #[error("the tables could not be read")]
    Lake(#[source] LakeErrorSource),
    /// Something that cannot happen did.
    #[error("the statement failed: {0}")]
    Internal(String),
}

/// An error of the lake, which the engine may share between the parts of a plan.
pub(crate) type LakeErrorSource = std::sync::Arc<LakeError>;

/// What the author of a statement can do about a [`SqlError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// Correct the statement.
    Statement,
    /// Ask for less.
    TooMuch,
    /// Log in anew, or get the role.
    Denied,
    /// Try again later.
    Unavailable,
    /// Report it.
    Internal,
}

impl SqlError {
    /// What its author can do about it.
    pub fn kind(&self) -> SqlErrorKind {
        match self {
            Self::Refused { .. } | Self::Statement(_) | Self::Expression(_) => SqlErrorKind::Statement,
            Self::Memory(_) | Self::Time { .. } => SqlErrorKind::TooMuch,
            Self::Access(_) => SqlErrorKind::Denied,
            Self::Lake(error) if error.kind() == LakeErrorKind::Unavailable => SqlErrorKind::Unavailable,
            Self::Lake(_) | Self::Internal(_) => SqlErrorKind::Internal,
        }
    }

    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into() }
    }
}

/// An error of the lake, as it passes through the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the tables could not be read")]
pub(crate) struct ScanError(pub(crate) LakeErrorSource);

impl From<LakeError> for ScanError {
    fn from(error: LakeError) -> Self {
        Self(std::sync::Arc::new(error))
    }
}

impl From<ScanError> for DataFusionError {
    fn from(error: ScanError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        let text = || error.strip_backtrace();
        match error.find_root() {
            DataFusionError::External(source) => match source.downcast_ref::<ScanError>() {
                Some(ScanError(lake)) => Self::Lake(lake.clone()),
                None => Self::Internal(text()),
            },
            DataFusionError::ResourcesExhausted(why) => Self::Memory(why.clone()),
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..)
            | DataFusionError::Configuration(_) => Self::Statement(text()),
            DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => Self::Expression(text()),
            _ => Self::Internal(text()),
        }
    }
}
