//! Where rows are kept: the lake. Tests bring their own.

use crate::{Head, Row};
use async_trait::async_trait;

/// The store refused, or its answer was lost: what was to be written may be there or not.
#[derive(Debug, thiserror::Error)]
#[error("keep the access log")]
pub struct StoreFailed(#[source] Box<dyn std::error::Error + Send + Sync>);

impl StoreFailed {
    /// For this reason.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Keeps rows.
#[async_trait]
pub trait LogStore: Send + 'static {
    /// The last rows of the newest chains, [`crate::HEADS_MAX`] at most.
    async fn heads(&mut self) -> Result<Vec<Head>, StoreFailed>;

    /// Keeps rows that follow each other in one chain: all or none. Those that it has already, since an answer was lost, it does not
    /// keep a second time: then this succeeds.
    async fn append(&mut self, rows: &[Row]) -> Result<(), StoreFailed>;
}
