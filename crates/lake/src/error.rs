//! What can go wrong in the lake, by what the caller can do about it.

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The lake's address cannot be used.
    #[error("the lake's address \"{address}\" cannot be used: {why}")]
    Location {
        /// The address as given.
        address: String,
        /// Why not.
        why: String,
    },
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
    /// A lake that nothing was committed to yet, and nothing may be written to, lacks a table.
    #[error(
        "the lake has no table {table}: it was not wholly made, and nothing may be written to it; open it once with a command that \
         may write, such as `gridtrail lake status`"
    )]
    NoTable {
        /// The table.
        table: &'static str,
    },
    /// The object store did not answer, or refused.
    #[error("{doing}")]
    Store {
        /// What was being done.
        doing: String,
        /// The store's own error.
        #[source]
        source: object_store::Error,
    },
    /// The Delta log could not be read or written.
    #[error("{doing}")]
    Delta {
        /// What was being done.
        doing: String,
        /// The library's own error.
        #[source]
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// A file does not hold what it must.
    #[error("{path} is damaged: {why}")]
    Corrupt {
        /// The file's path.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A log entry was written by another engine.
    #[error(
        "{path} was not written by gridtrail: {what}; gridtrail answers from the version before it and writes nothing to this table \
         until it is gone: `gridtrail lake status` says how to get rid of it"
    )]
    NotOurs {
        /// The entry's path.
        path: String,
        /// What it is.
        what: String,
    },
    /// A table version that was asked for is no longer, or not yet, there.
    #[error("version {version} of the lake is not available")]
    VersionGone {
        /// The version asked for.
        version: String,
    },
    /// A moment that was asked for lies before those that are kept.
    #[error("the lake can be asked as of {earliest} at the earliest")]
    TooEarly {
        /// The earliest instant that can be asked for now.
        earliest: gridtrail_model::Timestamp,
    },
    /// Another writer committed these source positions first: drop the batch and read on from the table's position.
    #[error("the position of {source_id} moved from {expected} to {found} under this batch")]
    PositionMoved {
        /// The source and partition.
        source_id: String,
        /// Where the batch starts.
        expected: i64,
        /// Where the table is.
        found: i64,
    },
    /// What a table keeps lasts shorter than what relies on it.
    #[error("table {table} must not be used as it is set: {why}; correct its properties")]
    Windows {
        /// The table.
        table: &'static str,
        /// What is wrong.
        why: String,
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
    /// Other commits got in between too many times.
    #[error("the commit was overtaken {attempts} times in a row")]
    Overtaken {
        /// How often it was tried.
        attempts: u32,
    },
    /// Nobody waits for what was begun any more.
    #[error("it was given up before it was done")]
    GivenUp,
    /// A fault of gridtrail itself.
    #[error("{0}")]
    Internal(&'static str),
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

/// Whether what lies behind an error is that somebody must permit what was tried.
pub fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let by_system = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem));
        let by_store = error.downcast_ref::<object_store::Error>().is_some_and(|error| {
            matches!(
                error,
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
            )
        });
        if by_system || by_store {
            return true;
        }
        next = error.source();
    }
    false
}

impl LakeError {
    /// What the caller can do about it.
    pub fn kind(&self) -> LakeErrorKind {
        match self {
            Self::Location { .. }
            | Self::NoLake { .. }
            | Self::Occupied { .. }
            | Self::NoTable { .. }
            | Self::Windows { .. }
            | Self::Retention { .. }
            | Self::Buckets { .. }
            | Self::Hold { .. }
            | Self::NoHold { .. } => LakeErrorKind::Settings,
            // What a log names is there for as long as anybody may ask for it.
            _ if self.is_not_found() => LakeErrorKind::Corrupt,
            Self::Store { source, .. } => kind_of(source),
            Self::Delta { source, .. } => kind_of(source),
            Self::Overtaken { .. } | Self::GivenUp => LakeErrorKind::Unavailable,
            Self::Corrupt { .. } | Self::NotOurs { .. } => LakeErrorKind::Corrupt,
            Self::VersionGone { .. } | Self::TooEarly { .. } => LakeErrorKind::VersionGone,
            Self::PositionMoved { .. } => LakeErrorKind::PositionMoved,
            Self::Internal(_) => LakeErrorKind::Internal,
        }
    }

    /// Whether a file was not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Store { source: object_store::Error::NotFound { .. }, .. })
    }

    pub(crate) fn store(doing: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Store { doing, source }
    }

    /// What went wrong while a file was written: the store, or else a fault of our own.
    pub(crate) fn write(path: &str, error: parquet::errors::ParquetError) -> Self {
        let doing = format!("write {path}");
        match error {
            parquet::errors::ParquetError::External(source) => match source.downcast::<object_store::Error>()
            {
                Ok(source) => Self::Store { doing, source: *source },
                Err(source) => Self::Store {
                    doing,
                    source: object_store::Error::Generic { store: "object store", source },
                },
            },
            _ => Self::Internal("a run could not be encoded"),
        }
    }

    pub(crate) fn delta(doing: impl Into<String>) -> impl FnOnce(deltalake_core::DeltaTableError) -> Self {
        let doing = doing.into();
        move |source| Self::Delta { doing, source: Box::new(source) }
    }

    pub(crate) fn corrupt(path: &str) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |error| Self::Corrupt { path, why: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error as StoreError;
    use std::io;

    fn store(source: StoreError) -> LakeError {
        LakeError::Store { doing: "write month=2026-03/a.parquet".into(), source }
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
                LakeError::delta("commit")(delta).kind(),
                LakeErrorKind::Unavailable,
                "text decides nothing"
            );
            assert_eq!(store(source).kind(), kind);
        }
        let denied = generic(io::ErrorKind::PermissionDenied);
        let delta = deltalake_core::DeltaTableError::ObjectStore { source: denied };
        assert_eq!(LakeError::delta("commit")(delta).kind(), LakeErrorKind::Denied);
    }
}
