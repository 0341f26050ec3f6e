//! How much a session may take.

use crate::spill::Spill;
use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes that a statement may have: one that a person wrote has a few thousand.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of stack that a thread needs on which sessions work: a statement within its limits may be as deep as it has expressions (`1+1+1+…`), and the
/// engine clones and drops them level by level.
pub const STACK_BYTES: usize = 256 << 20;

/// Bytes of a statement's text in the access log; what is longer is cut.
pub(crate) const RECORDED_BYTES_MAX: usize = 2 * 1024;

/// Keys of a statement that the access log names.
pub(crate) const RECORDED_KEYS_MAX: usize = 16;

/// Parameters of a statement.
pub(crate) const PARAMETERS_MAX: usize = 1_000;

/// Selects and tables of a statement, and nodes of its plan, each counted at every place that names it: a person asks for some hundreds.
pub(crate) const NODES_MAX: u64 = 4_096;

/// Expressions of a statement, and of its plan, each counted at every place that names it. A statement that names none twice has fewer.
pub(crate) const EXPRESSIONS_MAX: u64 = 64 * 1024;

/// Different moments that a statement may look back to: each takes some reading of logs.
pub(crate) const MOMENTS_MAX: usize = 4;

/// How often a statement that runs looks whether its caller may still see what it was begun with.
pub(crate) const RIGHTS_EVERY: Duration = Duration::from_millis(500);

/// Bytes that a sort sets aside, so that it can read again what it wrote to disks, of a large memory.
pub(crate) const MERGE_BYTES: usize = 10 << 20;

/// Rows of a batch that an answer comes in.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// Bytes from which on a statement is a long one: it may have thousands of expressions, each with a column of every batch.
pub(crate) const LONG_STATEMENT_BYTES: usize = 4 * 1024;

/// Rows of a batch of such a statement.
pub(crate) const BATCH_ROWS_OF_LONG_STATEMENTS: usize = 1_024;

/// How much a session may take.
#[derive(Debug, Clone)]
pub struct SqlLimits {
    /// Bytes that scans, sorts, joins and aggregates hold together.
    pub memory_bytes: usize,
    /// Where sorts, aggregates and joins put what does not fit. `None`: nothing is written to disks, and what needs more fails.
    pub spill: Option<Spill>,
    /// Parts of a table that are read at the same time.
    pub parts: NonZeroU32,
    /// How long a statement may take, to its last row.
    pub time: Duration,
}

impl Default for SqlLimits {
    /// 1 GiB, nothing written to disks, two parts, five minutes.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            spill: None,
            parts: NonZeroU32::MIN.saturating_add(1),
            time: Duration::from_secs(5 * 60),
        }
    }
}
