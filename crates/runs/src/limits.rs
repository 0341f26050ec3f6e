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

/// Rows in a data page: the unit that a look-up decodes. 1,024 rows of compressed columns are a few kilobytes.
pub const PAGE_ROWS: usize = 1_024;

/// Rows converted to Arrow at a time while a run is written: bounds the memory held beside the fragments.
pub const ENCODE_ROWS: usize = 16_384;

/// Parts of a run that lie no further apart than this are fetched with one request: a request costs more than the bytes
/// between them.
pub(crate) const GAP_BYTES: u64 = 16 * 1024;

/// What is read of a file in a file system in one go, at most: room for it is made before it is known whether the file is that
/// long, and a damaged footer can name any place. Single requests end where the file does.
pub(crate) const AT_ONCE_BYTES: u64 = 16 << 20;

/// Tail of a file that is fetched with its first request where nothing says how long its footer is.
pub(crate) const TAIL_BYTES: u64 = 64 * 1024;

/// Rows that compaction decodes at once.
pub(crate) const READ_BATCH_ROWS: usize = 8_192;

/// Runs of level 0 of one size class that are gathered into one. A row is written once for each class that it passes, and
/// a look-up asks the bloom filters of up to three runs a class: with four there are at most ten classes below what is
/// flushed, so at most 32 runs.
pub const GATHER_RUNS: usize = 4;

/// Runs of level 0 that one job merges, at least, however little memory it is given. While commits are compacted as they come there are no more
/// ([`GATHER_RUNS`]); a load of files leaves thousands.
pub(crate) const MERGED_RUNS: usize = 32;

/// What a merge holds of each run, measured over runs of 100,000 rows: the bytes of a row group, and a decoded batch.
pub(crate) const MERGED_RUN_BYTES: u64 = 4 << 20;

/// Rows of level 0, for each bucket, from which it is flushed: enough that a bucket's new run is worth its footer.
pub const FLUSH_ROWS: u64 = 131_072;

/// Age of the oldest run of level 0 from which it is flushed however small it is: bounds how long a late event's run stays
/// where every look-up has to ask for it.
pub const FLUSH_AGE_MS: i64 = 6 * 60 * 60 * 1_000;

/// Runs of a bucket, at most.
pub const FOLD_RUNS: usize = 3;

/// How long a month must have been quiet before its buckets are folded into one run each.
pub const IDLE_MONTH_MS: i64 = 24 * 60 * 60 * 1_000;

/// What one run that is being written holds in memory, measured: a row group of encoded columns, the encoders' own room, and
/// what waits to be uploaded.
pub(crate) const WRITER_BYTES: u64 = 24 << 20;

/// Runs that a look-up opens or reads at the same time.
pub const RUNS_AT_ONCE: usize = 16;

/// Parts of one run that are read at the same time where rows of it are looked for by more than one key: ingest looks for those of a
/// whole batch, in [`RUNS_AT_ONCE`] runs.
pub(crate) const SHEETS_AT_ONCE: usize = 4;

/// Runs that a look-up which has to wait reads at once, the newest ones: mostly those hold the page of results that was asked
/// for.
pub(crate) const READ_AHEAD_RUNS: usize = 2;

/// Rows that housekeeping and ingest read at once.
pub(crate) const READ_ROWS: usize = 8 * PAGE_ROWS;
