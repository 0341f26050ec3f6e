//! Rows of which fragments came at known times: what whoever keeps a copy of rows asks when something is new.

use crate::error::LakeError;
use crate::limits::APART_MS;
use crate::read::query::{Found, KeyQuery, RowPosition, View};
use crate::read::scan::joined;
use crate::read::snapshot::Snapshot;
use gridtrail_access::Access;
use gridtrail_model::{Anchor, Fragment, Subject, Timestamp, TrailKey};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of a page of a look-up.
const ROWS_AT_ONCE: usize = 1_024;
/// By how much further down a row is looked for each time that it does not begin where it was looked for.
const WIDER: i64 = 16;

/// Keys of rows, each with the times at which fragments of it lie.
pub type TouchedKeys = BTreeMap<TrailKey, BTreeSet<Timestamp>>;
/// The same, by what the rows lie under.
pub type TouchedRows = BTreeMap<Anchor, TouchedKeys>;

/// The rows that have something which waits for its request.
#[derive(Debug, Default)]
pub struct WaitingRows {
    /// Rows that are nothing else: the answer to a request that is not on record.
    pub alone: Vec<Found>,
    /// Rows that are on record, or may be, and show what waits with them.
    pub joined: TouchedRows,
    /// What waits, in an order that is always the same.
    pub fragments: Vec<Fragment>,
}

/// Adds that fragments of a row lie at some times.
pub(crate) fn touch(rows: &mut TouchedRows, fragment: &Fragment) {
    let times = rows.entry(fragment.anchor()).or_default().entry(fragment.key).or_default();
    times.extend(fragment.received.iter());
}

impl Snapshot {
    /// Of the rows of some keys under an anchor, those that have a fragment at one of the times that are named with the key, as a scan gives
    /// them. All times are looked at as one span.
    ///
    /// Errors: as those of a look-up.
    pub async fn rows_at(
        &self,
        who: &Access,
        anchor: Anchor,
        keys: &TouchedKeys,
    ) -> Result<Vec<Found>, LakeError> {
        let times = || keys.values().flatten().copied();
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
        // A row lies at its smallest time: as a rule at one of these, or within a day below.
        let mut below_ms = APART_MS;
        loop {
            let from = first.plus_millis(-below_ms);
            let query = KeyQuery {
                from: Some(from),
                to: Some(last),
                ..KeyQuery::under(anchor, View::Audit, ROWS_AT_ONCE)
            };
            let mut found = self.every_page(who, query).await?;
            found
                .retain(|row| keys.get(&row.fragment.key).is_some_and(|times| has_any(&row.fragment, times)));
            let of_row = |row: &Found| {
                row.fragment.received.iter().map(|at| (row.fragment.key, *at)).collect::<Vec<_>>()
            };
            let there: BTreeSet<_> = found.iter().flat_map(of_row).collect();
            let has_all = keys.iter().all(|(key, times)| times.iter().all(|at| there.contains(&(*key, *at))));
            // What is found nowhere went since.
            if has_all || from == Timestamp::MIN {
                return Ok(found);
            }
            below_ms = below_ms.saturating_mul(WIDER);
        }
    }

    async fn every_page(&self, who: &Access, mut query: KeyQuery) -> Result<Vec<Found>, LakeError> {
        let mut found = Vec::new();
        loop {
            let rows = self.lookup(who, &query).await?;
            let is_last = rows.len() < query.limit;
            query.before =
                rows.last().map(|row| RowPosition { placement: row.placement, key: row.fragment.key });
            found.extend(rows);
            if is_last {
                return Ok(found);
            }
        }
    }

    /// The rows that have something which waits for its request, as far as a caller may see them.
    ///
    /// Cost: all that waits is read, and what is on record of its requests. Errors: as those of a look-up.
    pub async fn rows_that_wait(&self, who: &Access) -> Result<WaitingRows, LakeError> {
        let (mut rows, mut waiting) = (self.waiting_rows(who, View::Audit).await?, WaitingRows::default());
        while let Some((_, chains)) = rows.pop_first() {
            for chain in joined(chains, APART_MS) {
                waiting.fragments.push(chain.fragment.clone());
                match chain.fragment.key.subject {
                    // Nothing is on record that it could be a part of.
                    Subject::Unjoined(_) => {
                        waiting.alone.push(Found { placement: chain.lowest, fragment: chain.fragment });
                    }
                    _ => touch(&mut waiting.joined, &chain.fragment),
                }
            }
        }
        waiting.fragments.sort_by_key(|fragment| (fragment.anchor(), fragment.key, fragment.placement()));
        Ok(waiting)
    }
}

fn has_any(fragment: &Fragment, times: &BTreeSet<Timestamp>) -> bool {
    fragment.received.iter().any(|at| times.contains(at))
}
