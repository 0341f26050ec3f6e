//! Holding what was read against what must have been written.
//!
//! What is found: a row that was changed, removed, added, doubled or moved; a chain that lacks its beginning, or, where its end, a later
//! chain or the table's own count bears witness to it, its rows from some place on; a chain that is gone as a whole.
//!
//! What cannot be found by the log alone, since no secret is in it: somebody who writes a whole chain anew, and every later chain that
//! bears witness to it, and the counts of the table. The ends of chains are therefore told to the process's own log, too.

use crate::chain::began;
use crate::row::NO_HASH;
use crate::{Ended, Head, Row, RowKind, Started, Trimmed};
use gridtrail_model::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use uuid::Uuid;

/// Months of every record that nothing may have let go: less than these is no retention.
const MONTHS_KEPT: u32 = 3;

/// Something that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The beginning of a chain is gone: its first row is this.
    NoStart(Uuid, u64),
    /// A row, or the one before it, is not what was written.
    Changed(Uuid, u64),
    /// Rows are missing, from one to another.
    Missing(Uuid, u64, u64),
    /// There is another row of the same place, or the row has a time that puts it out of order.
    Twice(Uuid, u64),
    /// A row stands where none of its kind can: a beginning in the middle, or anything behind the end.
    Misplaced(Uuid, u64),
    /// The end counts other rows than there are.
    Count(Uuid, u64),
    /// What the row says cannot be read.
    Unreadable(Uuid, u64),
    /// Another chain saw a row here that is not this one.
    Another(Uuid, u64),
    /// Rows that the table did not count: they were added by somebody else.
    Uncounted(Uuid, u64),
    /// A row says that rows were let go which were not old enough.
    TooSoon(Uuid, u64),
}

impl Fault {
    /// The chain.
    pub const fn chain(&self) -> Uuid {
        self.place().0
    }

    /// The first row that is concerned.
    pub const fn seq(&self) -> u64 {
        self.place().1
    }

    const fn place(&self) -> (Uuid, u64) {
        match *self {
            Self::NoStart(chain, seq)
            | Self::Changed(chain, seq)
            | Self::Missing(chain, seq, _)
            | Self::Twice(chain, seq)
            | Self::Misplaced(chain, seq)
            | Self::Count(chain, seq)
            | Self::Unreadable(chain, seq)
            | Self::Another(chain, seq)
            | Self::Uncounted(chain, seq)
            | Self::TooSoon(chain, seq) => (chain, seq),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chain, seq) = self.place();
        match self {
            Self::NoStart(..) => write!(f, "chain {chain} lacks its beginning: its first row is {seq}"),
            Self::Changed(..) => write!(
                f,
                "row {seq} of chain {chain} does not fit its hash and the row before it: one of the two was changed"
            ),
            Self::Missing(_, first, last) if first == last => {
                write!(f, "row {first} of chain {chain} is missing")
            }
            Self::Missing(_, first, last) => {
                write!(f, "rows {first} to {last} of chain {chain} are missing")
            }
            Self::Twice(..) => {
                write!(f, "row {seq} of chain {chain} is there more than once, or out of order")
            }
            Self::Misplaced(..) => {
                write!(f, "row {seq} of chain {chain} is of a kind that cannot stand there")
            }
            Self::Count(..) => {
                write!(f, "the end of chain {chain}, row {seq}, counts other rows than there are")
            }
            Self::Unreadable(..) => write!(f, "what row {seq} of chain {chain} says cannot be read"),
            Self::Another(..) => {
                write!(f, "row {seq} of chain {chain} is not the one that a later chain saw")
            }
            Self::Uncounted(..) => write!(f, "the table never counted row {seq} of chain {chain}"),
            Self::TooSoon(..) => {
                write!(f, "row {seq} of chain {chain} says that rows were let go that were not old enough")
            }
        }
    }
}

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Chains of which there are rows.
    pub chains: u64,
    /// Rows.
    pub rows: u64,
    /// Chains without an end: of processes that run, or were killed. No damage.
    pub open: Vec<ChainEnd>,
    /// All rows before this time were let go, as a row of the log says.
    pub trimmed_before: Option<Timestamp>,
    /// What is not as it was written.
    pub faults: Vec<Fault>,
}

/// What rows say of other rows. It is gathered from all rows, in any order, before the audit.
#[derive(Debug, Clone, Default)]
pub struct Witnesses {
    /// Hashes that were seen, by chain and place.
    seen: HashMap<Uuid, BTreeMap<u64, Head>>,
    trimmed: HashMap<Uuid, Head>,
    trimmed_before: Option<Timestamp>,
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
            RowKind::Trimmed => {
                match read::<Trimmed>(row).and_then(|trimmed| Some((trimmed.before()?, trimmed.chains))) {
                    None => self.faults.push(unreadable),
                    Some((before, _)) if before > row.entry.at.months_ago(MONTHS_KEPT) => {
                        self.faults.push(Fault::TooSoon(row.chain, row.seq));
                    }
                    Some((before, chains)) => {
                        self.trimmed_before = self.trimmed_before.max(Some(before));
                        chains.into_iter().for_each(|head| self.trim(head));
                    }
                }
            }
        }
    }

    /// Takes in what others have gathered.
    pub fn merge(&mut self, other: Self) {
        other.seen.into_values().flat_map(BTreeMap::into_values).for_each(|head| self.see(head));
        other.trimmed.into_values().for_each(|head| self.trim(head));
        self.trimmed_before = self.trimmed_before.max(other.trimmed_before);
        self.faults.extend(other.faults);
    }

    fn see(&mut self, head: Head) {
        let known = self.seen.entry(head.chain).or_default().insert(head.seq, head);
        // Two that saw different rows: the row can be that of one of them at most.
        if known.is_some_and(|known| known.hash != head.hash) {
            self.faults.push(Fault::Another(head.chain, head.seq));
        }
    }

    fn trim(&mut self, head: Head) {
        let known = self.trimmed.entry(head.chain).or_insert(head);
        if known.seq < head.seq {
            *known = head;
        }
    }

    /// Whether a time lies before what was let go.
    fn went(&self, at: Option<Timestamp>) -> bool {
        at.zip(self.trimmed_before).is_some_and(|(at, before)| at < before)
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
    witnesses: Witnesses,
    /// The last row of each chain, as the table counted them when they were committed.
    counted: BTreeMap<Uuid, u64>,
    chains: BTreeMap<Uuid, State>,
    rows: u64,
    faults: BTreeSet<Fault>,
}

impl Audit {
    /// An audit of rows that bear this witness, in a table that counted these last rows.
    pub fn new(mut witnesses: Witnesses, counted: BTreeMap<Uuid, u64>) -> Self {
        let faults = std::mem::take(&mut witnesses.faults).into_iter().collect();
        Self { witnesses, counted, chains: BTreeMap::new(), rows: 0, faults }
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
        if self.witnesses.seen.get(&chain).and_then(|seen| seen.get(&seq)).is_some_and(|h| h.hash != row.hash)
        {
            self.faults.insert(Fault::Another(chain, seq));
        }
        let ended = row.kind == RowKind::End || self.chains.get(&chain).is_some_and(|state| state.ended);
        self.chains.insert(chain, State { seq, hash: row.hash, at: row.entry.at, ended });
    }

    /// The hash that the first row of a chain which is there follows on.
    fn first(&mut self, row: &Row) -> Option<[u8; 32]> {
        if row.seq == 0 {
            return Some(NO_HASH);
        }
        match self.witnesses.trimmed.get(&row.chain) {
            Some(last) if last.seq + 1 == row.seq => Some(last.hash),
            _ => {
                self.faults.insert(Fault::NoStart(row.chain, row.seq));
                None
            }
        }
    }

    /// What was found, once all rows were taken in.
    pub fn end(mut self) -> Findings {
        let known: BTreeSet<Uuid> = self.counted.keys().chain(self.witnesses.seen.keys()).copied().collect();
        for chain in known {
            let counted = self.counted.get(&chain).copied();
            let seen = self.witnesses.seen.get(&chain).and_then(|seen| seen.keys().next_back().copied());
            if let Some(missing) = counted.max(seen).and_then(|last| self.missing(chain, last)) {
                self.faults.insert(missing);
            }
        }
        for (chain, state) in &self.chains {
            if self.counted.get(chain).is_none_or(|counted| *counted < state.seq) {
                self.faults.insert(Fault::Uncounted(*chain, state.seq));
            }
        }
        let open = self.chains.iter().filter(|(_, state)| !state.ended);
        Findings {
            chains: self.chains.len() as u64,
            rows: self.rows,
            open: open.map(|(chain, s)| ChainEnd { chain: *chain, seq: s.seq, at: s.at }).collect(),
            trimmed_before: self.witnesses.trimmed_before,
            faults: self.faults.into_iter().collect(),
        }
    }

    /// Rows that must be at the end of a chain, up to this one, and are not.
    fn missing(&self, chain: Uuid, last: u64) -> Option<Fault> {
        if let Some(state) = self.chains.get(&chain) {
            return (state.seq < last).then_some(Fault::Missing(chain, state.seq + 1, last));
        }
        match self.witnesses.trimmed.get(&chain) {
            Some(trimmed) => (trimmed.seq < last).then_some(Fault::Missing(chain, trimmed.seq + 1, last)),
            // The chain went with its end. One that lived on would be named with what was let go.
            None if self.witnesses.went(began(chain)) => None,
            None => Some(Fault::Missing(chain, 0, last)),
        }
    }
}

#[cfg(test)]
mod tests;
