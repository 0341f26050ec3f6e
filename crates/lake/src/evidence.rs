//! Evidence: what one commit read of each source, and what became of it.

use serde::{Deserialize, Serialize};

/// What a batch read of one source and partition. Counts add up: `records = stored + parked + dead_lettered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEvidence {
    /// The source and partition: `file:<SHA-256 of the content>`.
    pub source: String,
    /// A name that a person knows, such as the file's path.
    pub name: String,
    /// Where the batch starts: byte of a file.
    pub from: i64,
    /// Where the next batch starts.
    pub to: i64,
    /// Records read.
    pub records: u64,
    /// Records that went into trails.
    pub stored: u64,
    /// Records that wait for their request.
    pub parked: u64,
    /// Records that could not be read.
    pub dead_lettered: u64,
    /// SHA-256 over the bytes from `from` to `to`, in hexadecimal.
    pub sha256: String,
    /// Smallest `recorded_at`, milliseconds since the epoch.
    pub recorded_min_ms: Option<i64>,
    /// Largest `recorded_at`, milliseconds since the epoch.
    pub recorded_max_ms: Option<i64>,
    /// Whether the source was read to its end.
    pub finished: bool,
}
