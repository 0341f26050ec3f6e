//! What can go wrong in the lake, by what the caller can do about it.

use gridtrail_runs::{RunsError, is_denied};

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A table could not be read or written.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// There is no lake at the address.
    #[error("{address} holds no lake{hint}")]
    NoLake {
        /// The address as given.
        address: String,
        /// What is there instead, where that is known, and what to do.
        hint: String,
    },
    /// A lake was to be made where something else is at home.
    #[error("no lake can be made at {address}: {folder} {holds}; choose a folder outside of it")]
    Occupied {
        /// The address as given.
        address: String,
        /// The folder that it lies in, or is.
        folder: String,
        /// What that is.
        holds: &'static str,
    },
    /// A lake that nothing may be written to lacks a table: nothing was committed to it yet, or an earlier build made it.
    #[error(
        "the lake has no table {table}: it was not wholly made, or by an earlier build, and nothing may be written to it; open it once with a command that \
         may write, such as `gridtrail lake status`"
    )]
    NoTable {
        /// The table.
        table: &'static str,
    },
    /// A moment that was asked for lies before those that are kept.
    #[error("the lake can be asked as of {earliest} at the earliest")]
    TooEarly {
        /// The earliest instant that can be asked for now.
        earliest: gridtrail_model::Timestamp,
    },
    /// None of the caller's Job Type Roles may use the component.
    #[error("none of the caller's Job Type Roles may use: {component}")]
    NotPermitted {
        /// The component.
        component: gridtrail_access::Component,
    },
    /// Records would be kept for less time than they must be.
    #[error(
        "{months} months is too short: Users may ask for the record of the last three months at any time (SEC Section H8.16), \
         so keep 3 months or more"
    )]
    Retention {
        /// The months that were asked for.
        months: u32,
    },
    /// There cannot be so many buckets.
    #[error("{buckets} buckets are none that a month can have: choose from 1 to {most}")]
    Buckets {
        /// How many were asked for.
        buckets: u32,
        /// How many there can be.
        most: u32,
    },
    /// A hold cannot be placed.
    #[error("the hold cannot be placed: {why}")]
    Hold {
        /// Why not.
        why: &'static str,
    },
    /// There is no such hold.
    #[error("there is no hold {id}; `gridtrail lake hold list --all` names all")]
    NoHold {
        /// The id as given.
        id: String,
    },
}

/// What a caller can do about a [`LakeError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LakeErrorKind {
    /// Try again later.
    Unavailable,
    /// Get the permission: trying again does not help.
    Denied,
    /// Have a human look at the lake.
    Corrupt,
    /// Ask for another version.
    VersionGone,
    /// Read the source again from the table's position.
    PositionMoved,
    /// Correct the settings.
    Settings,
    /// Report it.
    Internal,
}

/// What the caller can do about an error of the store: some do not go away by themselves.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> LakeErrorKind {
    if is_denied(error) { LakeErrorKind::Denied } else { LakeErrorKind::Unavailable }
}

/// What the caller can do about an error of a table.
fn kind_in_table(error: &RunsError) -> LakeErrorKind {
    match error {
        RunsError::Location { .. }
        | RunsError::Windows { .. }
        | RunsError::Format { .. }
        | RunsError::FileFormat { .. }
        | RunsError::Feature { .. } => LakeErrorKind::Settings,
        // What a log names is there for as long as anybody may ask for it.
        _ if error.is_not_found() => LakeErrorKind::Corrupt,
        RunsError::Store { source, .. } => kind_of(source),
        RunsError::Delta { source, .. } => kind_of(source),
        RunsError::Overtaken { .. } | RunsError::GivenUp => LakeErrorKind::Unavailable,
        RunsError::Corrupt { .. } | RunsError::NotOurs { .. } => LakeErrorKind::Corrupt,
        RunsError::VersionGone { .. } => LakeErrorKind::VersionGone,
        RunsError::PositionMoved { .. } => LakeErrorKind::PositionMoved,
        RunsError::Internal(_) => LakeErrorKind::Internal,
    }
}

impl LakeError {
    /// What the caller can do about it.
    pub fn kind(&self) -> LakeErrorKind {
        match self {
            Self::Runs(error) => kind_in_table(error),
            Self::NoLake { .. }
            | Self::Occupied { .. }
            | Self::NoTable { .. }
            | Self::Retention { .. }
            | Self::Buckets { .. }
            | Self::Hold { .. }
            | Self::NoHold { .. } => LakeErrorKind::Settings,
            Self::TooEarly { .. } => LakeErrorKind::VersionGone,
            Self::NotPermitted { .. } => LakeErrorKind::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error as StoreError;
    use std::io;

    fn store(source: StoreError) -> LakeError {
        RunsError::Store { doing: "write month=2026-03/a.parquet".into(), source }.into()
    }

    /// Of what the store says, only that goes for "try again" which may be otherwise the next time.
    #[test]
    fn what_does_not_go_away_by_itself_is_not_unavailable() {
        let generic = |kind: io::ErrorKind| StoreError::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(kind)),
        };
        let of_store = |name: fn(String, Box<dyn std::error::Error + Send + Sync>) -> StoreError| {
            name("a".into(), "no".into())
        };
        let cases = [
            (generic(io::ErrorKind::PermissionDenied), LakeErrorKind::Denied),
            (generic(io::ErrorKind::ReadOnlyFilesystem), LakeErrorKind::Denied),
            (of_store(|path, source| StoreError::PermissionDenied { path, source }), LakeErrorKind::Denied),
            (of_store(|path, source| StoreError::Unauthenticated { path, source }), LakeErrorKind::Denied),
            (of_store(|path, source| StoreError::NotFound { path, source }), LakeErrorKind::Corrupt),
            (generic(io::ErrorKind::TimedOut), LakeErrorKind::Unavailable),
            (generic(io::ErrorKind::StorageFull), LakeErrorKind::Unavailable),
        ];
        for (source, kind) in cases {
            let delta = deltalake_core::DeltaTableError::ObjectStore {
                source: StoreError::Generic { store: "wrapped", source: source.to_string().into() },
            };
            assert_eq!(
                LakeError::from(RunsError::delta("commit")(delta)).kind(),
                LakeErrorKind::Unavailable,
                "text decides nothing"
            );
            assert_eq!(store(source).kind(), kind);
        }
        let denied = generic(io::ErrorKind::PermissionDenied);
        let delta = deltalake_core::DeltaTableError::ObjectStore { source: denied };
        assert_eq!(LakeError::from(RunsError::delta("commit")(delta)).kind(), LakeErrorKind::Denied);
    }
}
