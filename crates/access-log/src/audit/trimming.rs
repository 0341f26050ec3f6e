//! What rows say was let go, and how much of that is believed.

use super::{Fault, Grounds};
use crate::chain::began;
use crate::{Gone, Head, Trimmed};
use gridtrail_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Months of every record that nothing may have let go: less than these is no retention.
const MONTHS_KEPT: u32 = 3;

/// What a row says was let go.
#[derive(Debug, Clone)]
pub(super) struct Trimming {
    /// The row that says so.
    pub(super) by: Head,
    pub(super) before: Timestamp,
    pub(super) said: Trimmed,
}

impl Trimming {
    /// Whether all that it says was old enough: by the clock of whoever audits, since a row says of itself what it likes.
    fn may_be(&self, grounds: &Grounds) -> bool {
        let old = |head: &Head| head.at < self.before && began(head.chain).is_some_and(|at| at < self.before);
        self.before <= grounds.kept_from
            && self.before <= self.by.at.months_ago(MONTHS_KEPT)
            && !grounds.is_future(self.by.at)
            && self.said.chains.iter().all(old)
    }
}

/// What was let go, as far as it is believed.
#[derive(Debug, Default)]
pub(super) struct Trimmings {
    /// All rows before this time.
    pub(super) before: Option<Timestamp>,
    /// How many rows.
    pub(super) rows: u64,
    /// The last rows that went of chains that go on, by chain.
    heads: HashMap<Uuid, Head>,
    /// The last row that went of each chain.
    gone: BTreeMap<Uuid, u64>,
}

impl Trimmings {
    /// Judges what rows say.
    pub(super) fn judge(
        trimmings: Vec<Trimming>,
        seen: &HashMap<Uuid, BTreeMap<u64, Head>>,
        grounds: &Grounds,
        faults: &mut BTreeSet<Fault>,
    ) -> Self {
        let mut judged = Self::default();
        let mut newest: Option<Trimming> = None;
        for trimming in trimmings {
            if !trimming.may_be(grounds) {
                faults.insert(Fault::TooSoon(trimming.by.chain, trimming.by.seq));
                continue;
            }
            judged.before = judged.before.max(Some(trimming.before));
            trimming.said.chains.iter().for_each(|head| judged.went(*head));
            // Each counts all that went before it, too.
            if newest.as_ref().is_none_or(|newest| newest.said.gone.rows < trimming.said.gone.rows) {
                newest = Some(trimming);
            }
        }
        if let Some(Trimming { by, said, .. }) = newest {
            judged.rows = said.gone.rows;
            if said.gone != Gone::of(&grounds.gone) {
                faults.insert(Fault::Unanchored(by.chain, by.seq));
            }
        }
        let may_have_gone = |(chain, last): &(&Uuid, &u64)| {
            let old = |at: Option<Timestamp>| at.zip(judged.before).is_some_and(|(at, before)| at < before);
            let seen = seen.get(chain).into_iter().flat_map(|rows| rows.range(..=**last));
            // Another chain saw a row of it that was too young to go.
            old(began(**chain)) && seen.map(|(_, head)| head).all(|head| old(Some(head.at)))
        };
        judged.gone =
            grounds.gone.iter().filter(may_have_gone).map(|(chain, last)| (*chain, *last)).collect();
        judged
    }

    fn went(&mut self, head: Head) {
        let known = self.heads.entry(head.chain).or_insert(head);
        if known.seq < head.seq {
            *known = head;
        }
    }

    /// The last row that went of a chain that goes on.
    pub(super) fn last_of(&self, chain: Uuid) -> Option<&Head> {
        self.heads.get(&chain).filter(|head| self.gone_of(chain) == Some(head.seq))
    }

    /// The place of the last row that went of a chain.
    pub(super) fn gone_of(&self, chain: Uuid) -> Option<u64> {
        self.gone.get(&chain).copied()
    }
}
