//! How much a schedule may ask for.

use std::time::Duration;

/// Jobs of a schedule.
pub(crate) const JOBS_MAX: usize = 1_000;
/// User IDs of a job: a file each.
pub(crate) const USER_IDS_MAX: usize = 1_000;
/// Missed periods that a job may catch up with.
pub(crate) const CATCH_UP_MAX: u32 = 1_000;
/// Reports that a schedule may have to catch up with at once: of all its jobs, User IDs and missed periods. So many more, at most, are told to be
/// missed.
pub(crate) const OPEN_MAX: usize = 100_000;
/// The longest time that a setting may be.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(31 * 86_400);
/// The longest time that a run may take, and a lease so little longer.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(86_400);
/// A failed run is tried again after at most so long, however often it failed.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// A lease outlives the run that it is for by at most so much: clocks of workers differ.
pub(crate) const GRACE_MAX: Duration = Duration::from_secs(30);
/// How soon it is looked again whether the lake is complete, whether a store answers, or what another worker came to.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// A small object of the journal.
pub(crate) const OBJECT_BYTES_MAX: u64 = 1 << 20;
/// What is uploaded at once of a file.
pub(crate) const PART_BYTES: usize = 8 << 20;
/// Objects of the journal that are read at the same time.
pub(crate) const READS_AT_ONCE: usize = 16;
