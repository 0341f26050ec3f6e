//! The sizes of this crate, each with its reason.

/// Times that a commit is tried again when other commits keep getting in between.
pub(crate) const COMMIT_ATTEMPTS: u32 = 20;

/// Commits between two checkpoints of a table's log: a reader replays at most this many log entries.
pub(crate) const CHECKPOINT_EVERY: u64 = 100;

/// Refreshes in a row without anything new after which it is asked whether the log was cleaned up meanwhile, or an entry of it
/// lost. A process that slept for days is back within seconds.
pub(crate) const QUIET_REFRESHES: u32 = 10;

/// Log entries that are read at the same time when a table is opened: hides an object store's latency.
pub const LOG_READS_AT_ONCE: usize = 16;
