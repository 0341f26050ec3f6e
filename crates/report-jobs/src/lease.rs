//! Who makes a delivery: whoever holds the lease of the highest number.
//!
//! A lease is a name. It lapses by time, and whoever creates the next number has taken over. The time of a lease is that of its holder's clock: where
//! clocks differ, two workers may make one delivery, which costs work and nothing else, since what it comes to is decided by creating one object.

use crate::error::JobError;
use crate::journal::{Failure, Journal, Lease, Seen, attempt, failed};
use crate::key::DeliveryKey;
use crate::limits::{GRACE_MAX, RETRY_AFTER_MAX};
use crate::schedule::Job;
use gridtrail_model::Timestamp;
use std::time::Duration;

/// Whether a delivery may be attempted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// By an attempt of this number.
    Free(u32),
    /// Another worker is at it, until then at the latest.
    Held(Timestamp),
    /// The last attempt failed, and the next is due then.
    Failed { retry_at: Timestamp, why: String },
}

/// Whether a delivery may be attempted at a time.
///
/// Errors: `Store`, `Corrupt`.
pub(crate) async fn standing(
    journal: &Journal,
    key: &DeliveryKey,
    seen: Seen,
    now: Timestamp,
) -> Result<Standing, JobError> {
    let next = Standing::Free(seen.attempts + 1);
    if seen.attempts == 0 {
        return Ok(next);
    }
    if seen.failed >= seen.attempts {
        let failure: Option<Failure> = journal.read(key, &failed(seen.failed)).await?;
        return Ok(match failure {
            Some(Failure { retry_at, why, .. }) if now < retry_at => Standing::Failed { retry_at, why },
            _ => next,
        });
    }
    let lease: Option<Lease> = journal.read(key, &attempt(seen.attempts)).await?;
    Ok(match lease {
        Some(Lease { until, .. }) if now < until => Standing::Held(until),
        _ => next,
    })
}

/// A lease of a job's run that begins now.
pub(crate) fn lease(job: &Job, worker: &str, now: Timestamp) -> Lease {
    let grace = job.time_max.min(GRACE_MAX);
    Lease { worker: worker.to_owned(), taken_at: now, until: after(now, job.time_max + grace) }
}

/// When an attempt that failed is followed by the next: each time after twice as long, up to an hour.
pub(crate) fn retry_at(job: &Job, number: u32, now: Timestamp) -> Timestamp {
    let doubled =
        job.retry_after.saturating_mul(1u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX));
    after(now, doubled.min(RETRY_AFTER_MAX).max(job.retry_after))
}

/// So much later.
pub(crate) fn after(at: Timestamp, span: Duration) -> Timestamp {
    at.plus_millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}
