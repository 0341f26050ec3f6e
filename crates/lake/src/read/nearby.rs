//! What a look-up reads that seeks rows at known times: what lies near those, and nothing else.
//!
//! A row lies where its lowest fragment does, and a link leads to the fragment that names what is sought. So fragments are looked for
//! around the time of each link, and further where one of a row lies so close to an edge that the next may lie behind it (see
//! [`Scan`](crate::read::scan::Scan), whose rows are the same at one time or several).

use crate::limits::APART_MS;
use crate::read::query::{self, KeyQuery, Reach};
use crate::rows::run::RunFile;
use gridtrail_model::Timestamp;
use std::ops::RangeInclusive;

/// The times at which rows are sought, and what is read around them.
#[derive(Debug)]
pub(crate) struct Nearby {
    /// Ascending.
    times: Vec<Timestamp>,
    /// What is read, in milliseconds, ascending; no two overlap.
    spans: Vec<RangeInclusive<i64>>,
    /// Whether a row that lies below the upper edge of what is asked for may be led to from above it.
    has_above: bool,
}

impl Nearby {
    /// What a query reads for some times within its reach, so far around each.
    pub(crate) fn of(mut times: Vec<Timestamp>, (query, reach): (&KeyQuery, Reach), around_ms: i64) -> Self {
        times.sort_unstable();
        times.dedup();
        // A row lies no later than any of its fragments.
        times.retain(|at| query.from.is_none_or(|from| from <= *at));
        let twice_ms = around_ms.saturating_mul(2);
        let is_above = |to: Timestamp| times.iter().any(|at| to < *at && *at <= to.plus_millis(twice_ms));
        let edge = query::latest(query).filter(|latest| is_above(*latest));
        times.retain(|at| reach.to.is_none_or(|to| *at <= to));
        let span = |at: Timestamp, below_ms| {
            at.millis().saturating_sub(below_ms)..=at.millis().saturating_add(around_ms)
        };
        // What is read at the edge reaches as far below the rows that lie near it.
        let edge_span = edge.map(|latest| span(latest, twice_ms));
        let mut spans: Vec<_> = times.iter().map(|at| span(*at, around_ms)).chain(edge_span).collect();
        spans.sort_unstable_by_key(|span| *span.start());
        spans.dedup_by(|next, last| {
            let overlap = next.start() <= last.end();
            if overlap {
                *last = *last.start()..=*last.end().max(next.end());
            }
            overlap
        });
        Self { times, spans, has_above: edge.is_some() }
    }

    /// Whether nothing is to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether a run may hold anything of it.
    pub(crate) fn meets(&self, file: &RunFile) -> bool {
        let (min, max) = (file.summary.min_received_ms, file.summary.max_received_ms);
        self.spans.iter().any(|span| *span.start() <= max && min <= *span.end())
    }

    /// Whether rows are sought at a time.
    pub(crate) fn has(&self, at: Timestamp) -> bool {
        self.times.binary_search(&at).is_ok()
    }

    /// Whether rows near the upper edge are read, whatever they say.
    pub(crate) const fn has_above(&self) -> bool {
        self.has_above
    }

    /// Whether all was read that lies so close to a row's fragments, lowest and highest, that it may be of the row.
    pub(crate) fn covers(&self, lowest: Timestamp, highest: Timestamp) -> bool {
        let (from, to) = (lowest.plus_millis(-APART_MS).millis(), highest.plus_millis(APART_MS).millis());
        self.spans.iter().any(|span| span.contains(&from) && span.contains(&to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::query::View;
    use gridtrail_model::DeviceId;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
    }

    proptest! {
        /// What is sought within a period, and a day around it, is read; of a row that is sought, all that can be of it.
        #[test]
        fn all_is_read_that_lies_near_what_is_sought(
            times in prop::collection::vec(-9 * APART_MS..9 * APART_MS, 0..9),
            from in prop::option::of(-9 * APART_MS..0),
            to in prop::option::of(0..9 * APART_MS),
            around in 1..4i64,
        ) {
            let query = KeyQuery {
                from: from.map(at),
                to: to.map(at),
                ..KeyQuery::all(DeviceId::from_bytes([0; 8]), View::Audit, 1)
            };
            let around_ms = around * APART_MS;
            let reach = Reach::of(&query, around_ms);
            let nearby = Nearby::of(times.iter().copied().map(at).collect(), (&query, reach), around_ms);
            for time in times {
                let within = from.is_none_or(|from| from <= time);
                let sought = within && to.is_none_or(|to| time <= to + around_ms);
                prop_assert_eq!(nearby.has(at(time)), sought, "{}", time);
                prop_assert!(!sought || nearby.covers(at(time), at(time)));
                // What leads over the upper edge has the last day below it read, with a day around that.
                let above = to.filter(|to| within && *to < time && time <= to + 2 * around_ms);
                let near = |to: i64| nearby.has_above() && nearby.covers(at(to - APART_MS), at(to));
                prop_assert!(above.is_none_or(near), "{} above {:?}", time, to);
            }
            let ordered = nearby.spans.windows(2).all(|pair| pair[0].end() < pair[1].start());
            prop_assert!(ordered, "{:?}", nearby.spans);
            prop_assert_eq!(nearby.is_empty(), nearby.times.is_empty() && !nearby.has_above());
        }
    }
}
