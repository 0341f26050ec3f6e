//! Positions of a source, as the few ranges that they make up.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A set of positions, kept as ascending ranges that neither touch nor overlap. Written down as `3,7-12`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// Adds one position. Cheap in ascending order.
    pub fn insert(&mut self, position: i64) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == position => *last = position,
            Some((_, last)) if position <= *last => self.insert_between(position),
            _ => self.0.push((position, position)),
        }
    }

    fn insert_between(&mut self, position: i64) {
        let mut all: Vec<i64> = self.iter().collect();
        if let Err(at) = all.binary_search(&position) {
            all.insert(at, position);
            *self = all.into_iter().collect();
        }
    }

    /// Adds every position of another set. Cheap in ascending order.
    pub fn insert_all(&mut self, other: &Self) {
        let Some((first, _)) = other.0.first() else { return };
        let mut ranges = other.0.clone();
        if self.0.last().is_some_and(|(_, last)| first <= last) {
            ranges.append(&mut self.0);
            ranges.sort_unstable();
        }
        for (first, last) in ranges {
            match self.0.last_mut() {
                Some((_, before)) if first <= before.saturating_add(1) => *before = last.max(*before),
                _ => self.0.push((first, last)),
            }
        }
    }

    /// The positions that another set does not have.
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        for &(mut first, last) in &self.0 {
            let from = other.0.partition_point(|(_, end)| *end < first);
            for &(start, end) in other.0[from..].iter().take_while(|(start, _)| *start <= last) {
                if first < start {
                    rest.push((first, start - 1));
                }
                first = end.saturating_add(1);
            }
            if first <= last {
                rest.push((first, last));
            }
        }
        Self(rest)
    }

    /// How many positions.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last.abs_diff(*first) + 1).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, both ends included.
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.0
    }

    /// Every position, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Whether a position is one of them.
    pub fn contains(&self, position: i64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < position);
        self.0.get(at).is_some_and(|(first, _)| *first <= position)
    }
}

impl FromIterator<i64> for Spans {
    fn from_iter<I: IntoIterator<Item = i64>>(positions: I) -> Self {
        let mut spans = Self::default();
        positions.into_iter().for_each(|position| spans.insert(position));
        spans
    }
}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

/// The text is not a list of ascending ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of ascending ranges such as 3,7-12")]
pub struct BadSpans;

impl FromStr for Spans {
    type Err = BadSpans;
    fn from_str(text: &str) -> Result<Self, BadSpans> {
        let mut spans = Self::default();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<i64>();
            let (first, last) = (number(first).map_err(|_| BadSpans)?, number(last).map_err(|_| BadSpans)?);
            // Touching ranges are one range: a list that is written in any other way was changed.
            let ascending = spans.0.last().is_none_or(|(_, before)| before.saturating_add(1) < first);
            if !ascending || first < 0 || last < first {
                return Err(BadSpans);
            }
            spans.0.push((first, last));
        }
        Ok(spans)
    }
}

impl Serialize for Spans {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Spans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn spans_are_a_set_of_positions(positions in prop::collection::vec(0i64..60, 0..60)) {
            let spans: Spans = positions.iter().copied().collect();
            let set: BTreeSet<i64> = positions.into_iter().collect();
            prop_assert_eq!(spans.len(), set.len() as u64);
            prop_assert_eq!(spans.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert!((0..60).all(|p| spans.contains(p) == set.contains(&p)));
            prop_assert!(spans.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
            prop_assert_eq!(spans.to_string().parse::<Spans>().unwrap(), spans);
        }
    }

    proptest! {
        #[test]
        fn spans_add_and_subtract_like_sets(
            a in prop::collection::btree_set(0i64..40, 0..40),
            b in prop::collection::btree_set(0i64..40, 0..40),
        ) {
            let of = |set: &BTreeSet<i64>| set.iter().copied().collect::<Spans>();
            let mut both = of(&a);
            both.insert_all(&of(&b));
            prop_assert_eq!(both, of(&(&a | &b)));
            prop_assert_eq!(of(&a).without(&of(&b)), of(&(&a - &b)));
        }
    }

    #[test]
    fn text_that_was_changed_is_refused() {
        for text in ["3,", "3-", "7-3", "3,4", "3,3", "5,1", "-3", "a", "1-2-3"] {
            assert!(text.parse::<Spans>().is_err(), "{text}");
        }
        assert!("".parse::<Spans>().unwrap().is_empty());
    }
}
