//! Limits, each with its reason.

/// How long a ticket holds, in milliseconds: one hour, less than any snapshot is kept.
pub const TICKET_LIFE_MS: i64 = 60 * 60 * 1000;

/// How long the handle of a prepared statement holds, in milliseconds: a day, as a token does at most. Pools of connections keep them.
pub(crate) const HANDLE_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// Bytes of a message with rows: half of what clients take unless told otherwise (4 MiB).
pub(crate) const SHEET_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of a message with rows that are sent at all: what clients take, less what stands around the rows. A single row can come to more
/// than half of it.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024 - 16 * 1024;

/// Bytes of the values that one row of parameters comes to.
pub(crate) const PARAMETERS_BYTES_MAX: usize = 32 * 1024;

/// Bytes of all messages that put values for parameters: a schema, a row, and what the protocol puts around them.
pub const PUT_BYTES_MAX: usize = 256 * 1024;

/// Statements of which values for parameters are kept that came apart from their handle, and how many bytes those have together.
pub(crate) const PUT_KEPT_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of what is remembered of prepared statements, so that asking what one will give does not plan it: some thousands of statements.
pub(crate) const DESCRIBED_KEPT_BYTES: u64 = 16 * 1024 * 1024;

/// Statements that are remembered, so that they can be cancelled.
pub(crate) const STATEMENTS_KEPT: u64 = 20_000;
