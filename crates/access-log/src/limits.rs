//! Limits, each with its reason.

use std::time::Duration;

/// How often what was noted is written down: a kill loses no more than what came since.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Entries that may wait to be written down: half a minute of a thousand calls a second, in 20 MB or so.
pub(crate) const QUEUE: usize = 32_768;

/// How long the store may refuse until calls are refused, too: whoever is killed then loses at most so much.
pub(crate) const BEHIND_AFTER: Duration = Duration::from_secs(60);

/// The first and the longest pause before the store is asked again.
pub(crate) const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long [`crate::AccessLog::write`] waits.
pub(crate) const WRITE_LIFE: Duration = Duration::from_secs(10);

/// How long the end of a chain may take.
pub const CLOSE_LIFE: Duration = Duration::from_secs(10);

/// Calls a second that nobody was admitted for and that have a row each. Of more there are counts: a flood of bad tokens is told, and
/// fills nothing.
pub(crate) const REFUSALS_EACH: u32 = 32;

/// Kinds of such calls that are counted apart.
pub(crate) const REFUSAL_KINDS: usize = 256;

/// Other chains that the start of a chain bears witness to, the newest ones.
pub const HEADS_MAX: usize = 64;

/// How far the clock of whoever wrote a row may be ahead of the clock of whoever audits it: five minutes, in milliseconds.
pub const SKEW_MS: i64 = 5 * 60 * 1000;
