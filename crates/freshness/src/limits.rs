//! The sizes of this crate, each with its reason.

/// Days of the daily table that are kept: the thirteen months for which the lake keeps rows, and some.
pub const DAYS_KEPT: i64 = 400;

/// How far back a trend looks: long enough that a few slow commits are none, short against the hours between levels.
pub(crate) const TREND_WINDOW_MS: i64 = 30 * 60_000;

/// How far apart the points of a trend are at least.
pub(crate) const TREND_STEP_MS: i64 = 60_000;

/// A lag that grew by less than this within the window is steady: commits and heartbeats come every few seconds.
pub(crate) const TREND_NOISE_MS: i64 = 60_000;

/// How often what waits for its request is looked at: its age counts in hours.
pub(crate) const WAITING_EVERY_MS: i64 = 10_000;

/// Texts of events that a day keeps; more are counted, no more.
pub(crate) const EVENTS_A_DAY: usize = 20;

/// An hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// A day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// How long what a commit said of a partition's end is repeated as how far behind the lake is. An ingest that reads a
/// partition says so every ten seconds; of one that nobody reads, nobody knows.
pub(crate) const BEHIND_HOLDS_MS: i64 = 5 * 60_000;
