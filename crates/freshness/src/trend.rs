//! Trends: how a lag grows, and when it will have grown too far.

use crate::level::Levels;
use crate::limits::{TREND_NOISE_MS, TREND_STEP_MS, TREND_WINDOW_MS};
use std::collections::VecDeque;

/// Up to when a partition was complete, at some times of the last half hour.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trend {
    /// Time and mark, both in milliseconds since the epoch, oldest first.
    points: VecDeque<(i64, i64)>,
}

impl Trend {
    /// The mark at a time. Times ascend.
    pub(crate) fn push(&mut self, at_ms: i64, complete_ms: i64) {
        if self.points.back().is_some_and(|(last, _)| at_ms - last < TREND_STEP_MS) {
            return;
        }
        self.points.push_back((at_ms, complete_ms));
        // One point from before the window stays, so that a trend always spans it.
        while self.points.get(1).is_some_and(|(second, _)| *second <= at_ms - TREND_WINDOW_MS) {
            self.points.pop_front();
        }
    }

    /// How long until the lag of a partition breaches, were it to grow as it did: by the straight line from where it
    /// was half an hour ago, or at the last commit before that, to where it is now. `None` while it does not grow.
    pub(crate) fn time_to_breach_ms(&self, now_ms: i64, complete_ms: i64, levels: &Levels) -> Option<i64> {
        let lag = now_ms - complete_ms;
        if lag >= levels.breach_ms() {
            return Some(0);
        }
        let from = now_ms - TREND_WINDOW_MS;
        let before = self.points.iter().rev().find(|(at, _)| *at <= from);
        let (at, complete) = *before.or_else(|| self.points.front())?;
        let (spanned, grown) = (now_ms - at, lag - (at - complete));
        if spanned < TREND_STEP_MS || grown < TREND_NOISE_MS {
            return None;
        }
        let left = i128::from(levels.breach_ms() - lag) * i128::from(spanned) / i128::from(grown);
        Some(i64::try_from(left).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    #[test]
    fn an_outage_breaches_when_it_has_lasted_long_enough() {
        let mut trend = Trend::default();
        (0..=60).for_each(|minute| trend.push(minute * MINUTE, minute * MINUTE));
        let (levels, stopped) = (Levels::default(), 60 * MINUTE);
        assert_eq!(trend.time_to_breach_ms(stopped, stopped, &levels), None);
        assert_eq!(trend.time_to_breach_ms(stopped + 2 * HOUR, stopped, &levels), Some(22 * HOUR));
        assert_eq!(trend.time_to_breach_ms(stopped + 25 * HOUR, stopped, &levels), Some(0));
    }

    #[test]
    fn a_backlog_that_shrinks_never_breaches_and_one_that_grows_by_half_takes_twice_as_long() {
        let levels = Levels::default();
        let (mut shrinks, mut grows) = (Trend::default(), Trend::default());
        for minute in 0..=60 {
            shrinks.push(minute * MINUTE, minute * MINUTE * 3 - 20 * HOUR);
            grows.push(minute * MINUTE, minute * MINUTE / 2 - 4 * HOUR);
        }
        assert_eq!(shrinks.time_to_breach_ms(HOUR, 3 * HOUR - 20 * HOUR, &levels), None);
        // A lag of 4.5 hours that gains half an hour an hour: 19.5 hours are left, at half the pace.
        assert_eq!(grows.time_to_breach_ms(HOUR, HOUR / 2 - 4 * HOUR, &levels), Some(39 * HOUR));
    }

    proptest! {
        /// On a straight line the time told is the time that it takes, and few points are kept.
        #[test]
        fn a_straight_line_is_told_exactly(percent in 0i64..90, lag in 0i64..20 * HOUR, step in MINUTE..10 * MINUTE) {
            let mut trend = Trend::default();
            let complete = |at: i64| at * percent / 100 - lag;
            let times: Vec<i64> = (0..100).map(|n| n * step).collect();
            times.iter().for_each(|at| trend.push(*at, complete(*at)));
            prop_assert!(trend.points.len() <= 33);
            let (now, levels) = (times[99], Levels::default());
            let left = trend.time_to_breach_ms(now, complete(now), &levels);
            let lag = now - complete(now);
            match left {
                Some(0) => prop_assert!(lag >= levels.breach_ms()),
                Some(left) => {
                    let then = now + left;
                    let off = (then - complete(then) - levels.breach_ms()).abs();
                    prop_assert!(off <= MINUTE, "off by {off} ms");
                }
                None => prop_assert!(false, "a lag that grows is told of"),
            }
        }
    }
}
