//! What can go wrong in a table, by what the caller can do about it.

/// Why a table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The address of a store cannot be used.
    #[error("the lake's address \"{address}\" cannot be used: {why}")]
    Location {
        /// The address as given.
        address: String,
        /// Why not.
        why: String,
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
    /// A version that was asked for is no longer, or not yet, there.
    #[error("version {version} of the lake is not available")]
    VersionGone {
        /// The version asked for.
        version: String,
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
    /// A table is of a format that this build does not know.
    #[error(
        "table {table} is of format \"{found}\", and this build knows formats up to {known}: use the build that wrote it, or a newer one"
    )]
    Format {
        /// The table.
        table: &'static str,
        /// What it says of its format.
        found: String,
        /// The newest format of it that is known.
        known: u32,
    },
    /// A file is of a format that this build does not know.
    #[error(
        "{path} {what}, and this build knows formats of table {table} up to {known}: use the build that wrote it, or a newer one"
    )]
    FileFormat {
        /// The file's path.
        path: String,
        /// What it says of its format.
        what: String,
        /// Its table.
        table: &'static str,
        /// The newest format of the table that is known.
        known: u32,
    },
    /// A table needs something of its readers that this build does not have.
    #[error(
        "table {table} needs {feature} of whoever reads it, which this build does not have: use the build that wrote it, or, where another \
         engine did, put it back from a copy of the store"
    )]
    Feature {
        /// The table.
        table: &'static str,
        /// What it needs, as Delta Lake names it.
        feature: String,
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

impl RunsError {
    /// Whether a file was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Store { source: object_store::Error::NotFound { .. }, .. })
    }

    /// Whether a file was to be made, and is there.
    pub(crate) fn is_already_there(&self) -> bool {
        matches!(self, Self::Store { source: object_store::Error::AlreadyExists { .. }, .. })
    }

    /// The store did not answer, or refused, while something was done.
    pub fn store(doing: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Store { doing, source }
    }

    /// What went wrong while a file was written: the store, or else a fault of our own.
    pub fn write(path: &str, error: parquet::errors::ParquetError) -> Self {
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

    /// The library could not do what was asked, while something was done.
    pub fn delta(doing: impl Into<String>) -> impl FnOnce(deltalake_core::DeltaTableError) -> Self {
        let doing = doing.into();
        move |source| Self::Delta { doing, source: Box::new(source) }
    }

    /// A Parquet file cannot be read.
    pub fn corrupt(path: &str) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |error| Self::Corrupt { path, why: error.to_string() }
    }
}
