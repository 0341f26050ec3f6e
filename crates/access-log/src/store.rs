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

    /// It, and all that lies beneath it, on one line.
    pub(crate) fn report(&self) -> String {
        let mut text = self.to_string();
        let mut next: Option<&dyn std::error::Error> = Some(self.0.as_ref());
        while let Some(error) = next {
            text.push_str(&format!(": {error}"));
            next = error.source();
        }
        text
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
