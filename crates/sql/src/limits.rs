//! How much a session may take.

use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes of a statement: one that a person wrote has a few thousand.
pub(crate) const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// Rows of a batch that an answer comes in.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// How much a session may take.
#[derive(Debug, Clone)]
pub struct SqlLimits {
    /// Bytes that scans, sorts, joins and aggregates hold together. Nothing is written to disks: what needs more fails.
    pub memory_bytes: usize,
    /// Parts of a table that are read at the same time.
    pub parts: NonZeroU32,
    /// How long a statement may take, to its last row.
    pub time: Duration,
}

impl Default for SqlLimits {
    /// 1 GiB, two parts, five minutes.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            parts: NonZeroU32::MIN.saturating_add(1),
            time: Duration::from_secs(5 * 60),
        }
    }
}
