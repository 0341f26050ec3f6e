//! Holding what was read against what must have been written.
//!
//! What is found: a row that was changed, removed, added, doubled or moved; a chain that lacks its beginning, or, where its end, a later
//! chain or the table's own count bears witness to it, its rows from some place on; a chain that is gone as a whole.
//!
//! That rows were let go is believed of what is old enough by the clock and the retention setting of whoever audits, whatever a row says of
//! when it was written; and only of what the table counted when they went.
//!
//! What cannot be found by the log alone, since no secret is in it: somebody who writes a whole chain anew, and every later chain that
//! bears witness to it, and the counts of the table. The ends of chains are therefore told to the process's own log, too.

mod fault;
mod trimming;

pub use fault::Fault;
use trimming::{Trimming, Trimmings};

use crate::limits::SKEW_MS;
use crate::row::NO_HASH;
use crate::{Ended, Head, Row, RowKind, Started, Trimmed};
use gridtrail_model::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// A chain, as far as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEnd {
    /// The chain.
    pub chain: Uuid,
    /// Its last row.
    pub seq: u64,
    /// The time of that.
    pub at: Timestamp,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Chains of which there are rows.
    pub chains: u64,
    /// Rows.
    pub rows: u64,
    /// Chains without an end: of processes that run, or were killed. No damage.
    pub open: Vec<ChainEnd>,
    /// All rows before this time were let go, as a row of the log says.
    pub trimmed_before: Option<Timestamp>,
    /// Rows that were ever let go.
    pub gone: u64,
    /// No row of this time or later may have been let go.
    pub kept_from: Timestamp,
    /// What is not as it was written.
    pub faults: Vec<Fault>,
}

/// What an audit holds rows against: the present, and what the table says of its chains.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// The time by the clock of whoever audits.
    pub now: Timestamp,
    /// No row of this time or later may have been let go, by that clock and the retention setting in force.
    pub kept_from: Timestamp,
    /// The last row of each chain, as the table counted them when they were committed.
    pub counted: BTreeMap<Uuid, u64>,
    /// The last row of each chain that was let go, as the table counted them when they went.
    pub gone: BTreeMap<Uuid, u64>,
}

impl Grounds {
    /// Whether a time has not come, for any clock that may be believed.
    fn is_future(&self, at: Timestamp) -> bool {
        at > self.now.plus_millis(SKEW_MS)
    }
}

/// What rows say of other rows. It is gathered from all rows, in any order, before the audit.
#[derive(Debug, Clone, Default)]
pub struct Witnesses {
    /// Hashes that were seen, by chain and place.
    seen: HashMap<Uuid, BTreeMap<u64, Head>>,
    trimmings: Vec<Trimming>,
    faults: Vec<Fault>,
}

impl Witnesses {
    /// Takes in a row.
    pub fn take(&mut self, row: &Row) {
        let unreadable = Fault::Unreadable(row.chain, row.seq);
        match row.kind {
            RowKind::Call | RowKind::End => {}
            RowKind::Start => match read::<Started>(row) {
                Some(started) => started.heads.into_iter().for_each(|head| self.see(head)),
                None => self.faults.push(unreadable),
            },
            RowKind::Trimmed => match read::<Trimmed>(row).and_then(|said| Some((said.before()?, said))) {
                Some((before, said)) => self.trimmings.push(Trimming { by: Head::of(row), before, said }),
                None => self.faults.push(unreadable),
            },
        }
    }

    /// Takes in what others have gathered.
    pub fn merge(&mut self, other: Self) {
        other.seen.into_values().flat_map(BTreeMap::into_values).for_each(|head| self.see(head));
        self.trimmings.extend(other.trimmings);
        self.faults.extend(other.faults);
    }

    fn see(&mut self, head: Head) {
        let known = self.seen.entry(head.chain).or_default().insert(head.seq, head);
        // Two that saw different rows: the row can be that of one of them at most.
        if known.is_some_and(|known| known.hash != head.hash) {
            self.faults.push(Fault::Another(head.chain, head.seq));
        }
    }
}

fn read<T: DeserializeOwned>(row: &Row) -> Option<T> {
    serde_json::from_str(row.entry.detail.as_deref()?).ok()
}

/// A chain, as far as it was read.
#[derive(Debug)]
struct State {
    seq: u64,
    hash: [u8; 32],
    at: Timestamp,
    ended: bool,
}

/// One audit. Memory: what is known of each chain, whatever its rows.
#[derive(Debug)]
pub struct Audit {
    grounds: Grounds,
    /// Hashes that were seen, by chain and place.
    seen: HashMap<Uuid, BTreeMap<u64, Head>>,
    trimmed: Trimmings,
    chains: BTreeMap<Uuid, State>,
    rows: u64,
    faults: BTreeSet<Fault>,
}

impl Audit {
    /// An audit of rows that bear this witness, on these grounds.
    pub fn new(witnesses: Witnesses, grounds: Grounds) -> Self {
        let Witnesses { seen, trimmings, faults } = witnesses;
        let mut faults: BTreeSet<Fault> = faults.into_iter().collect();
        let trimmed = Trimmings::judge(trimmings, &seen, &grounds, &mut faults);
        Self { grounds, seen, trimmed, chains: BTreeMap::new(), rows: 0, faults }
    }

    /// Takes in a row. Those of one chain come in order.
    pub fn take(&mut self, row: &Row) {
        self.rows += 1;
        let (chain, seq) = (row.chain, row.seq);
        let previous = match self.chains.get(&chain) {
            None => self.first(row),
            Some(state) if seq <= state.seq => {
                self.faults.insert(Fault::Twice(chain, seq));
                return;
            }
            Some(state) => {
                if state.ended {
                    self.faults.insert(Fault::Misplaced(chain, seq));
                }
                let follows = seq == state.seq + 1;
                if !follows {
                    self.faults.insert(Fault::Missing(chain, state.seq + 1, seq - 1));
                }
                follows.then_some(state.hash)
            }
        };
        // Behind a gap it cannot be told what the row before was.
        if previous.is_some_and(|previous| row.hash_after(&previous) != row.hash) {
            self.faults.insert(Fault::Changed(chain, seq));
        }
        if (row.kind == RowKind::Start) != (seq == 0) {
            self.faults.insert(Fault::Misplaced(chain, seq));
        }
        if row.kind == RowKind::End && read(row) != Some(Ended { rows: seq }) {
            self.faults.insert(Fault::Count(chain, seq));
        }
        if self.seen.get(&chain).and_then(|seen| seen.get(&seq)).is_some_and(|h| h.hash != row.hash) {
            self.faults.insert(Fault::Another(chain, seq));
        }
        // Of a chain the first such row: all behind it are no earlier.
        let known_as_future = self.chains.get(&chain).is_some_and(|state| self.grounds.is_future(state.at));
        if self.grounds.is_future(row.entry.at) && !known_as_future {
            self.faults.insert(Fault::Future(chain, seq));
        }
        let ended = row.kind == RowKind::End || self.chains.get(&chain).is_some_and(|state| state.ended);
        self.chains.insert(chain, State { seq, hash: row.hash, at: row.entry.at, ended });
    }

    /// The hash that the first row of a chain which is there follows on.
    fn first(&mut self, row: &Row) -> Option<[u8; 32]> {
        if row.seq == 0 {
            return Some(NO_HASH);
        }
        match self.trimmed.last_of(row.chain) {
            Some(last) if last.seq + 1 == row.seq => Some(last.hash),
            _ => {
                self.faults.insert(Fault::NoStart(row.chain, row.seq));
                None
            }
        }
    }

    /// What was found, once all rows were taken in.
    pub fn end(mut self) -> Findings {
        let counted = &self.grounds.counted;
        let known: BTreeSet<Uuid> =
            counted.keys().chain(self.seen.keys()).chain(self.grounds.gone.keys()).copied().collect();
        for chain in known {
            let last_of = |of: &BTreeMap<Uuid, u64>| of.get(&chain).copied();
            let seen = self.seen.get(&chain).and_then(|seen| seen.keys().next_back().copied());
            let last = last_of(counted).max(last_of(&self.grounds.gone)).max(seen);
            if let Some(missing) = last.and_then(|last| self.missing(chain, last)) {
                self.faults.insert(missing);
            }
        }
        for (chain, state) in &self.chains {
            if counted.get(chain).is_none_or(|counted| *counted < state.seq) {
                self.faults.insert(Fault::Uncounted(*chain, state.seq));
            }
        }
        let open = self.chains.iter().filter(|(_, state)| !state.ended);
        Findings {
            chains: self.chains.len() as u64,
            rows: self.rows,
            open: open.map(|(chain, s)| ChainEnd { chain: *chain, seq: s.seq, at: s.at }).collect(),
            trimmed_before: self.trimmed.before,
            gone: self.trimmed.rows,
            kept_from: self.grounds.kept_from,
            faults: self.faults.into_iter().collect(),
        }
    }

    /// Rows that must be at the end of a chain, up to this one, and are not.
    fn missing(&self, chain: Uuid, last: u64) -> Option<Fault> {
        let there = self.chains.get(&chain).map(|state| state.seq);
        // What stands behind rows that went is told by the first row that is there.
        let first = there.or_else(|| self.trimmed.gone_of(chain)).map_or(0, |seq| seq.saturating_add(1));
        (first <= last).then_some(Fault::Missing(chain, first, last))
    }
}

#[cfg(test)]
mod tests;
