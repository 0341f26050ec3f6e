//! The sizes of this crate, each with its reason.

/// A lag that grew by less than this within the window is steady: commits and heartbeats come every few seconds.
pub(crate) const TREND_NOISE_MS: i64 = 60_000;

/// How often what waits for its request is looked at: its age counts in hours.
pub(crate) const WAITING_EVERY_MS: i64 = 10_000;

/// An hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// A day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// How long what a commit said of a partition's end is repeated as how far behind the lake is. An ingest that reads a
/// partition says so every ten seconds; of one that nobody reads, nobody knows.
pub(crate) const BEHIND_HOLDS_MS: i64 = 5 * 60_000;
