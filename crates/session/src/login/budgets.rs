//! How many logins are begun and brought: by address, by Identity Provider, and in all.
//!
//! Nobody is known yet who logs in, so what one address and one Identity Provider may use up is bounded, and leaves others theirs.

use super::LoginError;
use crate::limits::{LOGINS, LOGINS_OF_ADDRESS, LOGINS_OF_PROVIDER, RATES_IDLE, RATES_KEPT, Rate};
use governor::{DefaultDirectRateLimiter, Quota};
use gridtrail_port::network_of;
use moka::sync::Cache;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

/// What is left to everybody.
#[derive(Debug)]
pub(super) struct Budgets {
    all: DefaultDirectRateLimiter,
    of_address: Rates<IpAddr>,
    of_provider: Rates<Box<str>>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            all: limiter(LOGINS),
            of_address: Rates::new(LOGINS_OF_ADDRESS),
            of_provider: Rates::new(LOGINS_OF_PROVIDER),
        }
    }
}

impl Budgets {
    /// One more of an address, where it is known.
    ///
    /// Errors: `Busy`.
    pub(super) fn take_of_address(&self, from: Option<SocketAddr>) -> Result<(), LoginError> {
        match from {
            Some(_) => self.of_address.take(network_of(from)),
            None => Ok(()),
        }
    }

    /// One more of an Identity Provider that is enrolled.
    ///
    /// Errors: `Busy`.
    pub(super) fn take_of_provider(&self, entity_id: &str) -> Result<(), LoginError> {
        self.of_provider.take(entity_id.into())?;
        self.all.check().map_err(|_| LoginError::Busy)
    }
}

/// One rate for each of many.
#[derive(Debug)]
struct Rates<K: Hash + Eq + Send + Sync + 'static> {
    rate: Rate,
    known: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rates<K> {
    fn new(rate: Rate) -> Self {
        let known = Cache::builder().max_capacity(RATES_KEPT).time_to_idle(RATES_IDLE).build();
        Self { rate, known }
    }

    fn take(&self, who: K) -> Result<(), LoginError> {
        let limiter = self.known.get_with(who, || Arc::new(limiter(self.rate)));
        limiter.check().map_err(|_| LoginError::Busy)
    }
}

fn limiter(rate: Rate) -> DefaultDirectRateLimiter {
    let count = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    DefaultDirectRateLimiter::direct(Quota::per_second(count(rate.a_second)).allow_burst(count(rate.at_once)))
}
