//! The day: when transactions start.
//!
//! Transactions are numbered through the whole run, the earliest first. The number alone gives the start, by the
//! inverse of the daily profile, so any part of a run can be made without the rest.

use std::ops::Range;

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

/// Share of each hour of the day, UTC, in thousandths: reads pile up after midnight, when the day's log is
/// complete; people are awake from 07:00. The shape is an estimate: no hourly profile is published.
const HOURS: [u64; 24] =
    [120, 140, 115, 85, 60, 40, 24, 24, 30, 32, 32, 32, 30, 28, 28, 28, 30, 34, 32, 24, 14, 8, 5, 5];

/// The share of transactions that start from 00:00 to 06:00, in thousandths.
pub const NIGHT_SHARE_PER_MILLE: u64 = 560;

/// How many times busier than the mean hour the busiest is, rounded up.
pub(crate) const PEAK_FACTOR: u64 = 4;

/// How many counters a transaction has for itself: its requests and alerts need one each.
pub(crate) const COUNTERS_PER_TRANSACTION: u64 = 4;

/// When a transaction starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// The first of its counters: Unix milliseconds, or a finer unit where one is too coarse to tell the
    /// transactions of the busiest hour apart. Counters rise with the number of the transaction.
    pub(crate) counter: u64,
    /// Whether it starts from 00:00 to 06:00.
    pub(crate) night: bool,
}

/// The starts of all transactions of a run.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    start_ms: i64,
    days: u64,
    transactions: u64,
    /// Counters in a millisecond.
    scale: u64,
}

impl Profile {
    pub(crate) fn new(start_ms: i64, days: u32, transactions: u64) -> Self {
        let days = u64::from(days);
        let daily = transactions.div_ceil(days);
        let busiest_hour = daily * PEAK_FACTOR / 24 + 1;
        let mut scale = 1;
        while HOUR_MS * scale < busiest_hour * COUNTERS_PER_TRANSACTION {
            scale *= 10;
        }
        Self { start_ms, days, transactions, scale }
    }

    pub(crate) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The transactions that start on these days, counted from 0.
    pub(crate) fn of_days(&self, days: Range<u64>) -> Range<u64> {
        let first = |day: u64| share(self.transactions, day.min(self.days), self.days);
        first(days.start)..first(days.end)
    }

    /// When the transaction of this number starts.
    pub(crate) fn start(&self, number: u64) -> Start {
        // The inverse of `of_days`: the last day whose first transaction is not after this one.
        let mut day = share(self.days, number, self.transactions);
        while self.of_days(0..day + 1).end <= number {
            day += 1;
        }
        let today = self.of_days(day..day + 1);
        let (hour, hours_share) = hour_of(number - today.start, today.end - today.start);
        let in_hour = share(HOUR_MS * self.scale, hours_share.0, hours_share.1);
        let since_start = (day * DAY_MS + hour * HOUR_MS) * self.scale + in_hour;
        // A run starts after 1900; one before 1970 counts from 1970.
        let origin = u64::try_from(self.start_ms).unwrap_or(0) * self.scale;
        Start {
            at_ms: self.start_ms.saturating_add_unsigned(since_start / self.scale),
            counter: origin + since_start,
            night: hour < 6,
        }
    }
}

/// `all` × `part` / `whole`, rounded down, without overflow. `part` is at most `whole`.
#[expect(clippy::cast_possible_truncation, reason = "part is at most whole, so the result is at most all")]
fn share(all: u64, part: u64, whole: u64) -> u64 {
    (u128::from(all) * u128::from(part) / u128::from(whole.max(1))) as u64
}

/// The hour in which the transaction of this rank starts, of so many in the day, and its rank among those of
/// the hour.
fn hour_of(rank: u64, of: u64) -> (u64, (u64, u64)) {
    let mut before = 0;
    let mut first = 0;
    for (hour, weight) in (0..).zip(HOURS) {
        before += weight;
        let end = share(of, before, 1_000);
        if rank < end {
            return (hour, (rank - first, end - first));
        }
        first = end;
    }
    (23, (0, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_are_shares_of_a_thousand() {
        assert_eq!(HOURS.iter().sum::<u64>(), 1_000);
        assert_eq!(HOURS[..6].iter().sum::<u64>(), NIGHT_SHARE_PER_MILLE);
        assert!(HOURS.iter().all(|share| share * 24 <= 1_000 * PEAK_FACTOR));
    }

    #[test]
    fn starts_and_counters_rise_and_counters_keep_their_distance() {
        for (days, transactions) in [(1, 1), (3, 100), (2, 9_999), (1, 40_000_000)] {
            let profile = Profile::new(1_772_323_200_000, days, transactions);
            let mut last: Option<Start> = None;
            for number in (0..transactions).take(20_000) {
                let start = profile.start(number);
                if let Some(last) = last {
                    assert!(start.at_ms >= last.at_ms);
                    assert!(start.counter >= last.counter + COUNTERS_PER_TRANSACTION);
                }
                last = Some(start);
            }
        }
    }

    #[test]
    fn every_transaction_starts_on_the_day_that_counts_it() {
        let profile = Profile::new(0, 7, 1_003);
        for day in 0..7 {
            for number in profile.of_days(day..day + 1) {
                assert_eq!(u64::try_from(profile.start(number).at_ms).unwrap() / DAY_MS, day);
            }
        }
        assert_eq!(profile.of_days(0..7), 0..1_003);
        assert_eq!(profile.of_days(0..99), 0..1_003);
    }

    #[test]
    fn the_peak_is_after_midnight() {
        let profile = Profile::new(0, 1, 100_000);
        let night = (0..100_000).filter(|n| profile.start(*n).at_ms < 6 * 3_600_000).count();
        assert_eq!(night, 56_000);
        assert_eq!((0..100_000).filter(|n| profile.start(*n).night).count(), night);
    }
}
