//! Why a copy could not be kept.

use arrow::error::ArrowError;
use gridtrail_lake::{LakeError, LakeErrorKind};
use gridtrail_runs::RunsError;
use gridtrail_search::{SearchError, SearchErrorKind};

/// Why a copy could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The lake could not be read.
    #[error("read the lake")]
    Lake(#[from] LakeError),
    /// The inventory could not be read.
    #[error("read the inventory")]
    Inventory(#[from] SearchError),
    /// The copy could not be read or written.
    #[error("keep the copy")]
    Copy(#[from] RunsError),
    /// The copy is of another lake, or for somebody else.
    #[error("{table} at this address is a copy {found}, and not {wanted}; choose another address")]
    Another {
        /// The table.
        table: &'static str,
        /// What it is.
        found: String,
        /// What it was to be.
        wanted: String,
    },
    /// A copy would lie within the lake that it is of, or the other way round.
    #[error(
        "a copy must lie outside of its lake: whatever lies in a lake's folders is deleted by its maintenance"
    )]
    Within,
    /// Another process keeps the same copy, and was first.
    #[error("another process brought {table} up to date meanwhile; one is enough")]
    Overtaken {
        /// The table.
        table: &'static str,
    },
    /// Rows could not be put into columns.
    #[error("put rows into columns")]
    Columns(#[from] ArrowError),
    /// A fault of our own.
    #[error("{0}")]
    Internal(&'static str),
}

/// What a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportErrorKind {
    /// Another address, or other arguments.
    Settings,
    /// Try again.
    Unavailable,
    /// Nothing by trying again.
    Failed,
}

impl ExportError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ExportErrorKind {
        match self {
            Self::Another { .. } | Self::Within => ExportErrorKind::Settings,
            Self::Overtaken { .. } => ExportErrorKind::Unavailable,
            Self::Lake(error) => of_lake(error.kind()),
            Self::Inventory(error) if error.kind() == SearchErrorKind::Unavailable => {
                ExportErrorKind::Unavailable
            }
            Self::Copy(RunsError::Location { .. }) => ExportErrorKind::Settings,
            Self::Copy(RunsError::Store { .. } | RunsError::Overtaken { .. }) => ExportErrorKind::Unavailable,
            Self::Inventory(_) | Self::Copy(_) | Self::Columns(_) | Self::Internal(_) => {
                ExportErrorKind::Failed
            }
        }
    }
}

fn of_lake(kind: LakeErrorKind) -> ExportErrorKind {
    match kind {
        LakeErrorKind::Settings => ExportErrorKind::Settings,
        LakeErrorKind::Unavailable => ExportErrorKind::Unavailable,
        _ => ExportErrorKind::Failed,
    }
}
