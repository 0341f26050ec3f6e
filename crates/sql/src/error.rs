//! What can go wrong with a statement, by what its author can do about it.

use datafusion::error::DataFusionError;
use gridtrail_access::{AccessError, AccessErrorKind};
use gridtrail_access_log::LogError;
use gridtrail_lake::{LakeError, LakeErrorKind};
use gridtrail_search::{SearchError, SearchErrorKind};

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
    /// The statement is too large, with what its names stand for in their places.
    #[error(
        "the statement has more than {max} {what}, counting what each name of WITH, and of a column, stands for at every place that uses it; ask for less at once"
    )]
    TooManyParts {
        /// Of what it has too many.
        what: &'static str,
        /// How many it may have.
        max: u64,
    },
    /// The statement took too long.
    #[error("the statement took longer than {seconds} seconds; ask for a shorter time or fewer Devices")]
    Time {
        /// How long it may take.
        seconds: u64,
    },
    /// The caller may not ask, or no longer.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The caller may no longer see all that the statement was begun with.
    #[error("what you may see has changed while the statement ran; ask again")]
    RightsChanged,
    /// The statement could not be noted in the access log.
    #[error("statements cannot be recorded just now; try again")]
    NotRecorded(#[from] LogError),
    /// The lake could not be read.
    #[error("the tables could not be read")]
    Lake(#[source] LakeErrorSource),
    /// The inventory could not be read.
    #[error("{}", .0.user_text())]
    Inventory(#[source] std::sync::Arc<SearchError>),
    /// A part of a statement that another process planned could not be carried out here.
    #[error(transparent)]
    Elsewhere(std::sync::Arc<SqlError>),
    /// Temporary files could not be written or read.
    #[error(
        "statements cannot put anything into temporary files just now; try again, or ask for less at once"
    )]
    Spill(#[source] std::sync::Arc<std::io::Error>),
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
    /// Ask again: the answer would be another now.
    Changed,
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
            Self::Memory(_) | Self::TooManyParts { .. } | Self::Time { .. } => SqlErrorKind::TooMuch,
            Self::Access(error) if error.kind() == AccessErrorKind::Unavailable => SqlErrorKind::Unavailable,
            Self::Access(_) => SqlErrorKind::Denied,
            Self::RightsChanged => SqlErrorKind::Changed,
            Self::NotRecorded(_) | Self::Spill(_) => SqlErrorKind::Unavailable,
            Self::Lake(error) if error.kind() == LakeErrorKind::Unavailable => SqlErrorKind::Unavailable,
            Self::Inventory(error) => match error.kind() {
                SearchErrorKind::Exhausted => SqlErrorKind::TooMuch,
                SearchErrorKind::Unavailable => SqlErrorKind::Unavailable,
                _ => SqlErrorKind::Internal,
            },
            Self::Elsewhere(error) => error.kind(),
            Self::Lake(_) | Self::Internal(_) => SqlErrorKind::Internal,
        }
    }

    /// The name of the gRPC status that says it, and the reason beside it, as the access log has them and clients are told.
    pub fn told(&self) -> (&'static str, &'static str) {
        match self {
            Self::Refused { .. } => ("INVALID_ARGUMENT", "STATEMENT_NOT_ALLOWED"),
            Self::Statement(_) => ("INVALID_ARGUMENT", "INVALID_STATEMENT"),
            Self::Expression(_) => ("INVALID_ARGUMENT", "EXPRESSION_FAILED"),
            Self::Memory(_) | Self::TooManyParts { .. } => ("RESOURCE_EXHAUSTED", "STATEMENT_TOO_LARGE"),
            Self::Time { .. } => ("DEADLINE_EXCEEDED", "TOO_SLOW"),
            Self::Access(error) => match error.kind() {
                AccessErrorKind::NoIdentity => ("UNAUTHENTICATED", "NO_IDENTITY"),
                AccessErrorKind::Denied => ("PERMISSION_DENIED", "ROLE_MISSING"),
                AccessErrorKind::Unavailable => ("UNAVAILABLE", "STORE_UNAVAILABLE"),
                AccessErrorKind::SetUp => ("INTERNAL", "INTERNAL"),
            },
            Self::RightsChanged => ("ABORTED", "RIGHTS_CHANGED"),
            Self::NotRecorded(_) => ("UNAVAILABLE", "ACCESS_LOG_UNAVAILABLE"),
            Self::Lake(error) => match error.kind() {
                LakeErrorKind::Unavailable => ("UNAVAILABLE", "STORE_UNAVAILABLE"),
                LakeErrorKind::Corrupt => ("DATA_LOSS", "DATA_DAMAGED"),
                _ => ("INTERNAL", "INTERNAL"),
            },
            Self::Inventory(error) => match error.kind() {
                SearchErrorKind::Exhausted => ("RESOURCE_EXHAUSTED", "SEARCH_TOO_WIDE"),
                SearchErrorKind::Unavailable => ("UNAVAILABLE", "STORE_UNAVAILABLE"),
                SearchErrorKind::Corrupt => ("DATA_LOSS", "DATA_DAMAGED"),
                _ => ("INTERNAL", "INTERNAL"),
            },
            Self::Elsewhere(error) => error.told(),
            Self::Spill(_) => ("UNAVAILABLE", "STORE_UNAVAILABLE"),
            Self::Internal(_) => ("INTERNAL", "INTERNAL"),
        }
    }

    /// Why the lake cannot be had as it was.
    pub(crate) fn of_moment(error: LakeError) -> Self {
        match error {
            LakeError::TooEarly { earliest } => {
                Self::Statement(format!("{earliest} is the earliest that can be asked for"))
            }
            error if error.kind() == LakeErrorKind::VersionGone => {
                Self::Statement("there is no such version of the lake".to_owned())
            }
            error => Self::Lake(error.into()),
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

/// What is told where the engine's parts hold too much.
const HELD_TOO_MUCH: &str = "its scans, sorts, joins and aggregates hold too much";

/// Something that would not fit, as it passes through the engine: said in words that follow from what the caller may see.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TooLarge(pub(crate) String);

impl From<TooLarge> for DataFusionError {
    fn from(error: TooLarge) -> Self {
        Self::External(Box::new(error))
    }
}

/// Temporary files that could not be written or read, as that passes through the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("temporary files cannot be used")]
pub(crate) struct SpillError(#[source] std::sync::Arc<std::io::Error>);

impl From<std::io::Error> for SpillError {
    fn from(error: std::io::Error) -> Self {
        Self(std::sync::Arc::new(error))
    }
}

impl From<SpillError> for DataFusionError {
    fn from(error: SpillError) -> Self {
        Self::External(Box::new(error))
    }
}

/// What a writer of ours refused, which the engine hands on as an error of input and output.
fn refused_by_writer(error: &DataFusionError) -> Option<SqlError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let refused = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(TooLarge(why)) = refused.and_then(|refused| refused.downcast_ref()) {
            return Some(SqlError::Memory(why.clone()));
        }
        if let Some(SpillError(error)) = refused.and_then(|refused| refused.downcast_ref()) {
            return Some(SqlError::Spill(error.clone()));
        }
        cause = error.source();
    }
    None
}

/// An error of a look-up in the inventory, as it passes through the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the inventory could not be read")]
pub(crate) struct InventoryError(std::sync::Arc<SearchError>);

impl From<SearchError> for InventoryError {
    fn from(error: SearchError) -> Self {
        Self(std::sync::Arc::new(error))
    }
}

impl From<InventoryError> for DataFusionError {
    fn from(error: InventoryError) -> Self {
        if let SearchError::NoRoom(no_room) = &*error.0 {
            return Self::ResourcesExhausted(no_room.to_string());
        }
        Self::External(Box::new(error))
    }
}

/// Why a part of a plan could not be carried out here, as it passes through the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(crate) struct PartError(std::sync::Arc<SqlError>);

impl From<SqlError> for PartError {
    fn from(error: SqlError) -> Self {
        Self(std::sync::Arc::new(error))
    }
}

impl From<PartError> for DataFusionError {
    fn from(error: PartError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        if let Some(refused) = refused_by_writer(&error) {
            return refused;
        }
        let text = || error.strip_backtrace();
        match error.find_root() {
            DataFusionError::External(source) => {
                if let Some(ScanError(error)) = source.downcast_ref() {
                    Self::Lake(error.clone())
                } else if let Some(InventoryError(error)) = source.downcast_ref() {
                    Self::Inventory(error.clone())
                } else if let Some(PartError(error)) = source.downcast_ref() {
                    Self::Elsewhere(error.clone())
                } else if let Some(TooLarge(why)) = source.downcast_ref() {
                    Self::Memory(why.clone())
                } else if let Some(SpillError(error)) = source.downcast_ref() {
                    Self::Spill(error.clone())
                } else {
                    Self::Internal(text())
                }
            }
            // What the engine says names bytes: those of reading are of rows of others as well.
            DataFusionError::ResourcesExhausted(_) => Self::Memory(HELD_TOO_MUCH.to_owned()),
            DataFusionError::SQL(error, _) => Self::Statement(error.to_string()),
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..)
            | DataFusionError::Configuration(_) => Self::Statement(text()),
            DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => Self::Expression(text()),
            _ => Self::Internal(text()),
        }
    }
}
