//! What a look-up reads that seeks rows at known times: what lies near those, and nothing else.
//!
//! A row lies where its lowest fragment does, and a link leads to the fragment that names what is sought. So fragments are looked for
//! around the time of each link, and further where one of a row lies so close to an edge that the next may lie behind it (see
//! [`Scan`](crate::scan::Scan), whose rows are the same at one time or several).

use crate::limits::APART_MS;
use crate::scan::Reach;
use crate::snapshot::RunFile;
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
    /// What is read for some times within a reach, so far around each. No row of the query lies later than `latest`.
    pub(crate) fn of(
        mut times: Vec<Timestamp>,
        (reach, latest): (Reach, Option<Timestamp>),
        around_ms: i64,
    ) -> Self {
        times.sort_unstable();
        times.dedup();
        // A row lies no later than any of its fragments.
        let from = reach.from.map(|from| from.plus_millis(APART_MS));
        times.retain(|at| from.is_none_or(|from| from <= *at));
        let twice_ms = around_ms.saturating_mul(2);
        let is_above = |to: Timestamp| times.iter().any(|at| to < *at && *at <= to.plus_millis(twice_ms));
        let edge = latest.filter(|latest| is_above(*latest));
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
