//! Trends: how a lag grows, and when it will have grown too far.

use crate::level::Levels;
use crate::limits::TREND_NOISE_MS;
use gridtrail_lake::{MARKS_STEP_MS, MARKS_WINDOW_MS, Marks};

/// How long until the lag of a partition breaches, were it to grow as it did: by the straight line from where it
/// was half an hour ago, or at the last commit before that, to where it is now. `None` while it does not grow.
pub(crate) fn time_to_breach_ms(
    marks: &Marks,
    now_ms: i64,
    complete_ms: i64,
    levels: &Levels,
) -> Option<i64> {
    let lag = now_ms - complete_ms;
    if lag >= levels.breach_ms() {
        return Some(0);
    }
    let from = now_ms - MARKS_WINDOW_MS;
    let before = marks.iter().rev().find(|(at, _)| *at <= from);
    let (at, complete) = before.or_else(|| marks.iter().next())?;
    let (spanned, grown) = (now_ms - at, lag - (at - complete));
    if spanned < MARKS_STEP_MS || grown < TREND_NOISE_MS {
        return None;
    }
    let left = i128::from(levels.breach_ms() - lag) * i128::from(spanned) / i128::from(grown);
    Some(i64::try_from(left).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    #[test]
    fn an_outage_breaches_when_it_has_lasted_long_enough() {
        let mut trend = Marks::default();
        (0..=60).for_each(|minute| trend.push(minute * MINUTE, minute * MINUTE));
        let (levels, stopped) = (Levels::default(), 60 * MINUTE);
        assert_eq!(time_to_breach_ms(&trend, stopped, stopped, &levels), None);
        assert_eq!(time_to_breach_ms(&trend, stopped + 2 * HOUR, stopped, &levels), Some(22 * HOUR));
        assert_eq!(time_to_breach_ms(&trend, stopped + 25 * HOUR, stopped, &levels), Some(0));
    }

    #[test]
    fn a_backlog_that_shrinks_never_breaches_and_one_that_grows_by_half_takes_twice_as_long() {
        let levels = Levels::default();
        let (mut shrinks, mut grows) = (Marks::default(), Marks::default());
        for minute in 0..=60 {
            shrinks.push(minute * MINUTE, minute * MINUTE * 3 - 20 * HOUR);
            grows.push(minute * MINUTE, minute * MINUTE / 2 - 4 * HOUR);
        }
        assert_eq!(time_to_breach_ms(&shrinks, HOUR, 3 * HOUR - 20 * HOUR, &levels), None);
        // A lag of 4.5 hours that gains half an hour an hour: 19.5 hours are left, at half the pace.
        assert_eq!(time_to_breach_ms(&grows, HOUR, HOUR / 2 - 4 * HOUR, &levels), Some(39 * HOUR));
    }

    proptest! {
        /// On a straight line the time told is the time that it takes, and few points are kept.
        #[test]
        fn a_straight_line_is_told_exactly(percent in 0i64..90, lag in 0i64..20 * HOUR, step in MINUTE..10 * MINUTE) {
            let mut trend = Marks::default();
            let complete = |at: i64| at * percent / 100 - lag;
            let times: Vec<i64> = (0..100).map(|n| n * step).collect();
            times.iter().for_each(|at| trend.push(*at, complete(*at)));
            prop_assert!(trend.iter().count() <= 33);
            let (now, levels) = (times[99], Levels::default());
            let left = time_to_breach_ms(&trend, now, complete(now), &levels);
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
