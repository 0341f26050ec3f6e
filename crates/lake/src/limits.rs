//! The sizes of this crate, each with its reason.

use gridtrail_runs::PAGE_ROWS;
pub(crate) use gridtrail_runs::{IDLE_MONTH_MS, RUNS_AT_ONCE};
use std::time::Duration;

/// Rows in a row group: small groups keep a look-up's page lists short (each query copies the list of the groups
/// it touches).
pub(crate) const ROW_GROUP_ROWS: usize = 131_072;

/// Rows of a write batch: pages close only at batch borders, so a page is never larger than this.
pub(crate) const WRITE_BATCH_ROWS: usize = 1_024;

/// For how long a file of the table `anomaly` waits for more of its rows to go before it is written anew without them.
pub(crate) const ANOMALY_ROWS_GO_AFTER_MS: i64 = 24 * 3_600_000;

/// Chance that a bloom filter lets an absent key through. At 1% a filter costs about 1.2 bytes a key.
pub(crate) const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// The same, of the filters of pairs: a session asks them for each of its User IDs.
pub(crate) const PAIR_FALSE_POSITIVES: f64 = 0.001;

/// Bits of a print in the filter of a run's viewers. With so many it lets one absent print through in a thousand.
pub(crate) const VIEWER_BITS: usize = 15;

/// Distinct Devices for which a row group's bloom filter is sized; the writer folds it down to what is used.
pub(crate) const BLOOM_DEVICES: u64 = 65_536;

/// Months whose rows an answer is looked for in at first; then in twice as many at a time. Most answers come within days of their request.
pub(crate) const MONTHS_AT_FIRST: usize = 1;

/// Devices behind one Communications Hub whose Commands are looked up at the same time, so that one call cannot crowd out others.
pub(crate) const DEVICES_BEHIND_AT_ONCE: usize = 8;

/// How far apart two fragments of one row may lie, by what their batches claim of when its request was received, and be one row to a
/// look-up at once. Systems that stamp one receipt in two places differ by the time that a queue takes, and a day is the longest that
/// one may take before somebody asks. What lies further apart is united by maintenance.
pub(crate) const APART_MS: i64 = 24 * 60 * 60 * 1_000;

/// Rows of one Device and month that are held in memory so that those of one key become one. A Device with more is what no meter is;
/// its rows are made one by part.
pub(crate) const HELD_ROWS: usize = 65_536;

/// New rows whose keys are looked for in the whole lake at once: some 40 MB of keys and places. Tests have few rows, and parts all the same.
pub(crate) const UNITE_ROWS: usize = if cfg!(test) { 2 * PAGE_ROWS } else { 262_144 };

/// The same, of those that are looked for by a column of every run: some 160 MB.
pub(crate) const UNITE_FOREIGN_ROWS: usize = 4 * UNITE_ROWS;

/// How often it is looked for rows that lie at several times further apart than a look-up joins. It reads the keys of all rows of the
/// Devices that anything is new of.
pub(crate) const UNITE_EVERY_MS: i64 = 6 * 60 * 60 * 1_000;

/// Devices that a run lists of rows that may close others and lie elsewhere. Of nearly all such rows the id names the DCC, which has a few
/// identifiers; what is longer than this a look-up reads from the run itself, once.
pub(crate) const CLOSING_TARGETS: usize = if cfg!(test) { 2 } else { 32 };

/// How long a result of a scheduled run waits for the events that say when its run was generated. Where none comes, as
/// when DUIS messages are all there is, its own time has to do.
pub(crate) const RUN_WAITS: Duration = Duration::from_secs(24 * 60 * 60);

/// Buckets of a month in a new lake. Chosen for a million or so trails of one bucket and month in a lake of a few million
/// meters; a larger one wants more (`gridtrail lake rebucket`).
pub(crate) const BUCKETS: u32 = 16;

/// Buckets of a month, at most: each is a run or more in the list of files of every month.
pub const BUCKETS_MAX: u32 = 4_096;

/// Bytes of the snapshots that came while the process ran and can be asked for by page tokens: one takes what changed since the one
/// before, a few kilobytes. With less room the oldest are read from the logs where they are asked for.
pub(crate) const RECENT_BYTES: u64 = 64 << 20;

/// Bytes of the snapshots that were read from the logs, each of which holds a lake's whole list of files. Tests have few files, and
/// too many snapshots all the same.
pub(crate) const EARLIER_BYTES: u64 = if cfg!(test) { 256 << 10 } else { 64 << 20 };

/// Snapshots that are read from the logs at the same time: what reading one takes is several times what it comes to.
pub(crate) const EARLIER_READ_AT_ONCE: usize = 2;

/// Moments whose versions are looked for at the same time.
pub(crate) const TRAVELLERS_AT_ONCE: usize = 16;

/// Days of the rows of days that a summary of evidence keeps: the thirteen months for which the lake keeps rows, and some.
pub const DAYS_KEPT: i64 = 400;

/// Texts of events that a day keeps; more are counted, no more.
pub(crate) const EVENTS_A_DAY: usize = 20;

/// Entries of open dead letters of one source that a file's summary keeps apart. With more, those of a day and partition are one: a summary is
/// read whole at every start.
pub(crate) const LETTERS_APART: usize = 256;

/// Bytes of evidence that are gathered into one file. A reader of all evidence holds a file in memory, and a start reads one tail a file: 34
/// million commits are some two hundred files.
pub(crate) const EVIDENCE_FILE_BYTES: u64 = 32 << 20;

/// Bytes of small side files that are read at the same time.
pub(crate) const READ_AT_ONCE_BYTES: u64 = 32 << 20;

/// Commits whose evidence is copied into one file, at most: what a process holds that copies after a long time in which nobody did.
pub(crate) const COPIED_AT_ONCE: u64 = if cfg!(test) { 64 } else { 16_384 };
