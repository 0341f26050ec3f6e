//! Every limit of this crate, with its reason.

const HOUR_MS: i64 = 3_600_000;

/// For how long a quarantined communication is available to its User: 120 hours (AA 4.5, 4.14).
pub const AVAILABLE_MS: i64 = 120 * HOUR_MS;

/// For how long a communication stays in the archive: 30 days (AA 4.5, 4.14).
pub const ARCHIVED_MS: i64 = 30 * 24 * HOUR_MS;

/// Within which a Thresholds File is applied or rejected: 72 hours of receipt (AA 3.7).
pub const PROCESSING_MS: i64 = 72 * HOUR_MS;

/// The same of a Fast-Track Notification: 24 hours (AA 3.7).
pub const FAST_TRACK_MS: i64 = 24 * HOUR_MS;

/// Within which an action file is validated, where the threshold was the DCC's: 24 hours of receipt (AA 4.16).
pub const VALIDATED_MS: i64 = 24 * HOUR_MS;

/// The shortest period of a threshold, in seconds. No published document says one: the detection works minute by minute.
pub const PERIOD_S_MIN: u32 = 60;

/// The longest period of a threshold, in seconds: a month, by which forecasts go.
pub const PERIOD_S_MAX: u32 = 31 * 24 * 3_600;

/// The longest reference of an SMSR or Incident, in characters. No published document says how the DSMS numbers them.
pub const REFERENCE_MAX: usize = 40;

/// The longest reason, in characters: one that fits the mail that tells it.
pub const REASON_MAX: usize = 300;

/// The most thresholds of a file: of each of 129 Service Reference Variants and of all together, both kinds, for seven periods.
pub const THRESHOLDS_MAX: usize = 2_000;

/// The most communications that one event names: so that an event stays below a megabyte.
pub const COMMUNICATIONS_MAX: usize = 10_000;

/// The most faults of a refused file that are told: the first that were found.
pub const FAULTS_MAX: usize = 100;
