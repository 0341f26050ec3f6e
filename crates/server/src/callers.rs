//! What one caller may ask of a server: how many calls at once, how many a minute, and how many rows.
//!
//! A person counts once, however many sessions they have; so does a program with several tokens. Limits are each server's own.

use crate::limits::{CALLER_IDLE, CALLERS_KEPT, OPERATOR_CALLS};
use crate::status::CallError;
use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{InsufficientCapacity, NotUntil, Quota, RateLimiter};
use gridtrail_access::Access;
use gridtrail_port::{Hold, NoPlace, Place, Places};
use moka::sync::Cache;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// What one caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerLimits {
    /// Calls that are worked on at the same time.
    pub at_once: NonZeroU32,
    /// Calls a minute; `None`: any number.
    pub calls_a_minute: Option<NonZeroU32>,
    /// Rows a minute, by the sizes of the pages that are asked for; `None`: any number.
    pub rows_a_minute: Option<NonZeroU32>,
}

/// What callers may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Somebody who logged in.
    pub person: CallerLimits,
    /// Whoever brings a token that stands for itself.
    pub program: CallerLimits,
}

const fn some(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    /// A person reads pages: ten searches a second are no person's. A program's pace is its operator's business, but it has one, and leaves
    /// room for others: a thousand calls a second are a large report's.
    fn default() -> Self {
        let person = CallerLimits {
            at_once: some(8),
            calls_a_minute: Some(some(600)),
            rows_a_minute: Some(some(100_000)),
        };
        let program = CallerLimits {
            at_once: some(128),
            calls_a_minute: Some(some(60_000)),
            rows_a_minute: Some(some(6_000_000)),
        };
        Self { person, program }
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// A caller: a Party and a subject.
pub(crate) type CallerName = Arc<(Box<str>, Box<str>)>;

/// What is left to one caller.
#[derive(Debug)]
pub(crate) struct Allowance {
    name: CallerName,
    at_once: Arc<Semaphore>,
    calls: Option<Limiter>,
    rows: Option<Limiter>,
}

impl Allowance {
    fn new(name: CallerName, limits: CallerLimits) -> Self {
        let limiter = |count| Limiter::direct(Quota::per_minute(count));
        Self {
            name,
            // At most 2^32 - 1, which a semaphore takes on every machine that we run on.
            at_once: Arc::new(Semaphore::new(limits.at_once.get() as usize)),
            calls: limits.calls_a_minute.map(limiter),
            rows: limits.rows_a_minute.map(limiter),
        }
    }

    /// What all operators together may ask for: a few calls at once. No Party is called nothing.
    pub(crate) fn of_operators() -> Self {
        let limits =
            CallerLimits { at_once: some(OPERATOR_CALLS), calls_a_minute: None, rows_a_minute: None };
        Self::new(Arc::new(("".into(), "operators".into())), limits)
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> CallerName {
        Arc::clone(&self.name)
    }

    /// A place among those of some work that takes long, which is kept until it is dropped.
    ///
    /// Errors: `TooMuch` of `what`, where the caller has all that one may have; `Busy`.
    pub(crate) fn place_in(
        &self,
        places: &Places<CallerName>,
        what: &'static str,
    ) -> Result<Place<CallerName>, CallError> {
        let place = places.enter(self.name(), (1, Hold::Firm), CancellationToken::new());
        place.map_err(|reason| match reason {
            NoPlace::OfHolder => CallError::TooMuch { what, wait: Duration::from_secs(1) },
            NoPlace::OfAll => CallError::Busy,
        })
    }

    /// One more call; it counts until the permit is dropped.
    ///
    /// Errors: `TooMuch`.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let permit = Arc::clone(&self.at_once)
            .try_acquire_owned()
            .map_err(|_| CallError::TooMuch { what: "calls at once", wait: Duration::from_secs(1) })?;
        match self.calls.as_ref().map(Limiter::check) {
            None | Some(Ok(())) => Ok(permit),
            Some(Err(until)) => Err(too_much("calls", &until)),
        }
    }

    /// Waits until the caller may have so many more rows: a long answer is as slow as its caller's minute has room for.
    pub(crate) async fn pace(&self, rows: u64) {
        let Some(limiter) = &self.rows else { return };
        let (mut left, mut at_once) = (rows, u32::MAX);
        while left > 0 {
            let some = u32::try_from(left).unwrap_or(u32::MAX).min(at_once);
            let Some(asked) = NonZeroU32::new(some) else { return };
            match limiter.check_n(asked) {
                Ok(Ok(())) => left -= u64::from(some),
                Ok(Err(until)) => tokio::time::sleep(until.wait_time_from(MonotonicClock.now())).await,
                Err(InsufficientCapacity(most)) => at_once = most,
            }
        }
    }

    /// As many more rows as a page has room for.
    ///
    /// Errors: `TooMuch`.
    pub(crate) fn take_rows(&self, rows: u32) -> Result<(), CallError> {
        let (Some(limiter), Some(rows)) = (&self.rows, NonZeroU32::new(rows)) else { return Ok(()) };
        match limiter.check_n(rows) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(too_much("rows", &until)),
            Err(InsufficientCapacity(most)) => Err(CallError::PageAboveLimit { most }),
        }
    }
}

fn too_much(what: &'static str, until: &NotUntil<std::time::Instant>) -> CallError {
    CallError::TooMuch { what, wait: until.wait_time_from(MonotonicClock.now()) }
}

/// What is left to every caller of late.
#[derive(Debug, Clone)]
pub(crate) struct Allowances {
    limits: Limits,
    known: Cache<CallerName, Arc<Allowance>>,
}

impl Allowances {
    pub(crate) fn new(limits: Limits) -> Self {
        let known = Cache::builder().max_capacity(CALLERS_KEPT).time_to_idle(CALLER_IDLE).build();
        Self { limits, known }
    }

    /// What is left to a caller.
    pub(crate) fn of(&self, who: &Access) -> Arc<Allowance> {
        let limits = match who.session_id() {
            Some(_) => self.limits.person,
            None => self.limits.program,
        };
        let name: CallerName = Arc::new((who.party().as_str().into(), who.subject().into()));
        self.known.get_with_by_ref(&name, || Arc::new(Allowance::new(Arc::clone(&name), limits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(at_once: u32, calls: u32, rows: u32) -> CallerLimits {
        CallerLimits {
            at_once: some(at_once),
            calls_a_minute: NonZeroU32::new(calls),
            rows_a_minute: NonZeroU32::new(rows),
        }
    }

    fn allowance(limits: CallerLimits) -> Allowance {
        Allowance::new(Arc::new(("Avon".into(), "ann".into())), limits)
    }

    #[test]
    fn calls_at_once_are_counted_until_they_end() {
        let left = allowance(limits(2, 0, 0));
        let first = left.enter().unwrap();
        let _second = left.enter().unwrap();
        assert!(matches!(left.enter(), Err(CallError::TooMuch { what: "calls at once", .. })));
        drop(first);
        assert!(left.enter().is_ok());
    }

    #[test]
    fn work_that_takes_long_has_places_of_each_and_of_all() {
        let places = Places::new(gridtrail_port::Sizes { all: 3, each: 2, patience: Duration::MAX });
        let of = |name: &str| Allowance::new(Arc::new(("Avon".into(), name.into())), limits(9, 0, 0));
        let (ann, bob) = (of("ann"), of("bob"));
        let first = ann.place_in(&places, "pages").unwrap();
        let _second = ann.place_in(&places, "pages").unwrap();
        assert!(matches!(ann.place_in(&places, "pages"), Err(CallError::TooMuch { what: "pages", .. })));
        let _third = bob.place_in(&places, "pages").unwrap();
        assert!(matches!(bob.place_in(&places, "pages"), Err(CallError::Busy)));
        drop(first);
        assert!(bob.place_in(&places, "pages").is_ok());
    }

    #[test]
    fn a_minutes_calls_are_used_up_and_the_wait_is_told() {
        let left = allowance(limits(9, 2, 0));
        for _ in 0..2 {
            assert!(left.enter().is_ok());
        }
        // Two a minute come back one each half minute.
        match left.enter() {
            Err(CallError::TooMuch { what: "calls", wait }) => {
                assert!(wait <= Duration::from_secs(30) && wait > Duration::from_secs(20), "{wait:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_are_counted_by_the_page_and_a_page_that_never_fits_is_named() {
        let left = allowance(limits(9, 0, 100));
        assert!(left.take_rows(60).is_ok());
        assert!(matches!(left.take_rows(60), Err(CallError::TooMuch { what: "rows", .. })));
        assert!(left.take_rows(40).is_ok(), "what was refused took nothing");
        assert!(matches!(left.take_rows(101), Err(CallError::PageAboveLimit { most: 100 })));
        assert!(allowance(limits(1, 0, 0)).take_rows(u32::MAX).is_ok());
    }

    /// A minute's rows are there at once; what goes beyond waits, however many there are.
    #[tokio::test]
    async fn a_long_answer_waits_for_what_its_callers_minute_has_room_for() {
        let left = allowance(limits(9, 0, 100));
        left.pace(100).await;
        let waits = tokio::time::timeout(Duration::from_millis(1), left.pace(250)).await;
        assert!(waits.is_err());
        allowance(limits(1, 0, 0)).pace(u64::MAX).await;
        let fast = allowance(limits(9, 0, 60_000));
        // Thrice what a minute has room for would wait, and a little more than it hardly does.
        fast.pace(60_010).await;
    }
}
