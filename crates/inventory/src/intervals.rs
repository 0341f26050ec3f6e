//! When something is so: intervals of effective time.

use gridtrail_model::Timestamp;

/// From an instant until before another; `None`: no end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Interval {
    fn is_empty(self) -> bool {
        self.until.is_some_and(|until| until <= self.from)
    }

    /// Whether nothing lies between the end of this one and the beginning of another, which begins no earlier.
    fn reaches(self, later: Self) -> bool {
        self.until.is_none_or(|until| later.from <= until)
    }
}

/// Intervals of effective time, each from its first instant until before its end. What is so at the same instants is equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intervals {
    /// Ascending; none is empty, and something lies between each two.
    all: Vec<Interval>,
}

impl Intervals {
    /// No instant.
    pub const fn never() -> Self {
        Self { all: Vec::new() }
    }

    /// Every instant.
    pub fn always() -> Self {
        Self::between(None, None)
    }

    /// All that lies between two instants, both of them included, as a search has its dates; `None`: no bound.
    pub fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        let until = to.filter(|to| *to < Timestamp::MAX).map(|to| to.plus_millis(1));
        [(from.unwrap_or(Timestamp::MIN), until)].into_iter().collect()
    }

    /// Whether an instant is one of them.
    pub fn contains(&self, at: Timestamp) -> bool {
        let next = self.all.partition_point(|interval| interval.from <= at);
        let last = next.checked_sub(1).map(|last| self.all[last]);
        last.is_some_and(|interval| interval.until.is_none_or(|until| at < until))
    }

    /// Whether there is no instant.
    pub const fn is_never(&self) -> bool {
        self.all.is_empty()
    }

    /// The instants of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mut mine, mut others) = (self.all.iter().peekable(), other.all.iter().peekable());
        let mut all = Vec::new();
        while let (Some(one), Some(two)) = (mine.peek(), others.peek()) {
            let until = one.until.into_iter().chain(two.until).min();
            let both = Interval { from: one.from.max(two.from), until };
            if !both.is_empty() {
                all.push(both);
            }
            // The one that ends first meets nothing that comes later.
            if one.until.is_some() && one.until == until {
                mine.next()
            } else {
                others.next()
            };
        }
        Self { all }
    }

    /// The instants of either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// Whether every instant of another is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        self.and(other) == *other
    }

    /// Each, ascending: its first instant, and the first one behind it; `None`: no end is known.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> {
        self.all.iter().map(|interval| (interval.from, interval.until))
    }

    /// The first instant and the last one; `None` for the last: there is no end. `None`: there is no instant.
    pub fn bounds(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        let (first, last) = (self.all.first()?, self.all.last()?);
        Some((first.from, last.until.map(|until| until.plus_millis(-1))))
    }
}

/// The instants of any of some intervals, each from its first instant until before its end.
impl FromIterator<(Timestamp, Option<Timestamp>)> for Intervals {
    fn from_iter<I: IntoIterator<Item = (Timestamp, Option<Timestamp>)>>(intervals: I) -> Self {
        let intervals = intervals.into_iter().map(|(from, until)| Interval { from, until });
        let mut all: Vec<Interval> = intervals.filter(|interval| !interval.is_empty()).collect();
        all.sort_by_key(|interval| interval.from);
        all.dedup_by(|next, last| {
            let is_one = last.reaches(*next);
            if is_one {
                last.until = last.until.zip(next.until).map(|(one, two)| one.max(two));
            }
            is_one
        });
        Self { all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
    }

    fn intervals() -> impl Strategy<Value = Intervals> {
        let interval = (0i64..20, prop::option::of(0i64..24));
        prop::collection::vec(interval, 0..6)
            .prop_map(|all| all.into_iter().map(|(from, until)| (at(from), until.map(at))).collect())
    }

    proptest! {
        /// What is asked of sets is asked of each instant.
        #[test]
        fn they_are_sets_of_instants(one in intervals(), two in intervals(), from in prop::option::of(0i64..20), to in prop::option::of(0i64..20)) {
            let (from, to) = (from.map(at), to.map(at));
            let dates = Intervals::between(from, to);
            let mut covered = true;
            for instant in (-1..26).map(at) {
                let (in_one, in_two) = (one.contains(instant), two.contains(instant));
                prop_assert_eq!(one.and(&two).contains(instant), in_one && in_two);
                prop_assert_eq!(one.or(&two).contains(instant), in_one || in_two);
                prop_assert_eq!(
                    dates.contains(instant),
                    from.is_none_or(|from| from <= instant) && to.is_none_or(|to| instant <= to)
                );
                if let Some((first, last)) = one.bounds() {
                    prop_assert!(!in_one || first <= instant && last.is_none_or(|last| instant <= last));
                }
                covered &= in_one || !in_two;
            }
            prop_assert_eq!(one.covers(&two), covered);
            prop_assert_eq!(one.and(&two), two.and(&one));
            prop_assert_eq!(one.or(&two), two.or(&one));
            prop_assert_eq!(one.or(&Intervals::never()), one.clone());
            prop_assert_eq!(one.and(&Intervals::always()), one.clone());
            prop_assert_eq!(one.is_never(), one.bounds().is_none());
            prop_assert_eq!(one.iter().collect::<Intervals>(), one.clone());
            let ends: Vec<_> = one.iter().flat_map(|(from, until)| std::iter::once(from).chain(until)).collect();
            prop_assert!(ends.is_sorted_by(|end, next| end < next), "neither empty nor touching: {:?}", ends);
            for bound in one.bounds().into_iter().flat_map(|(first, last)| std::iter::once(first).chain(last)) {
                prop_assert!(one.contains(bound));
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_instants_too() {
        let always = Intervals::always();
        assert!(always.contains(Timestamp::MIN) && always.contains(Timestamp::MAX));
        assert_eq!(Intervals::between(None, Some(Timestamp::MAX)), always);
    }
}
