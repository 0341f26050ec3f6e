//! Chains as they are written, and what their first and last rows say.

use crate::row::NO_HASH;
use crate::{Entry, Row, RowKind};
use gridtrail_model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The last row of a chain, at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "HeadText", try_from = "HeadText")]
pub struct Head {
    /// The chain.
    pub chain: Uuid,
    /// The row's place in it.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Its time.
    pub at: Timestamp,
}

impl Head {
    /// Of a row.
    pub fn of(row: &Row) -> Self {
        Self { chain: row.chain, seq: row.seq, hash: row.hash, at: row.entry.at }
    }

    /// SHA-256 over chains, places and hashes, in hexadecimal digits. The hash of a row covers all rows before it.
    pub fn hash_of_all<'a>(heads: impl Iterator<Item = &'a Self>) -> String {
        let mut hash = Sha256::new_with_prefix(b"gridtrail access log went 1\n");
        for head in heads {
            hash.update(head.chain.as_bytes());
            hash.update(head.seq.to_be_bytes());
            hash.update(head.hash);
        }
        hex::encode(hash.finalize())
    }
}

/// A head in JSON.
#[derive(Clone, Serialize, Deserialize)]
struct HeadText {
    chain: String,
    seq: u64,
    hash: String,
    at: String,
}

impl From<Head> for HeadText {
    fn from(head: Head) -> Self {
        let hash = hex::encode(head.hash);
        Self { chain: head.chain.to_string(), seq: head.seq, hash, at: head.at.to_string() }
    }
}

impl TryFrom<HeadText> for Head {
    type Error = &'static str;
    fn try_from(text: HeadText) -> Result<Self, &'static str> {
        let mut hash = NO_HASH;
        hex::decode_to_slice(&text.hash, &mut hash).map_err(|_| "a hash has 64 hexadecimal digits")?;
        let chain = text.chain.parse().map_err(|_| "a chain is named by a UUID")?;
        Ok(Self { chain, seq: text.seq, hash, at: text.at.parse().map_err(|_| "a head has a time")? })
    }
}

/// What the first row of a chain says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Whose chain it is: where a server listens, or which housekeeping.
    pub by: String,
    /// The version of gridtrail.
    pub version: String,
    /// The last rows of the newest other chains then. Whoever takes those rows away later is found.
    pub heads: Vec<Head>,
}

/// What is said of rows that were let go since they were old enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trimmed {
    /// All rows before this time, as text.
    pub before: String,
    /// How many.
    pub rows: u64,
    /// [`Head::hash_of_all`] of the last rows that went, one a chain: a copy of what went can be held against it.
    pub hash: String,
    /// The last rows that ever went of chains whose end did not go with them: of those that go on, and of processes that were killed.
    pub chains: Vec<Head>,
    /// All that ever went, with this.
    pub gone: Gone,
}

impl Trimmed {
    /// The time before which all rows went.
    pub fn before(&self) -> Option<Timestamp> {
        self.before.parse().ok()
    }
}

/// All rows that were ever let go: counted, and with a hash over which chains they were of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gone {
    /// Chains of which rows went.
    pub chains: u64,
    /// The rows.
    pub rows: u64,
    /// SHA-256 over every chain and the last of its rows that went, in hexadecimal digits.
    pub hash: String,
}

impl Gone {
    /// Of the last row that went of each chain.
    pub fn of(last: &BTreeMap<Uuid, u64>) -> Self {
        let mut hash = Sha256::new_with_prefix(b"gridtrail access log gone 1\n");
        for (chain, seq) in last {
            hash.update(chain.as_bytes());
            hash.update(seq.to_be_bytes());
        }
        // The rows of a chain count from 0.
        let rows = last.values().fold(0_u64, |rows, seq| rows.saturating_add(seq.saturating_add(1)));
        Self { chains: last.len() as u64, rows, hash: hex::encode(hash.finalize()) }
    }
}

/// What the last row of a chain says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How many rows stand before it.
    pub rows: u64,
}

/// A chain that is being written.
#[derive(Debug)]
pub struct Chain {
    head: Head,
}

impl Chain {
    /// Begins a chain at a time.
    pub fn start(now: Timestamp, started: &Started) -> (Self, Row) {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        // Below a billion, so it fits.
        let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1_000, nanos));
        let row = Row::after(&NO_HASH, id, 0, RowKind::Start, structural(now, started));
        (Self { head: Head::of(&row) }, row)
    }

    /// The next row: a call.
    pub fn add(&mut self, entry: Entry) -> Row {
        self.next(RowKind::Call, entry)
    }

    /// The next row: that old rows were let go.
    pub fn trim(&mut self, now: Timestamp, trimmed: &Trimmed) -> Row {
        self.next(RowKind::Trimmed, structural(now, trimmed))
    }

    /// The last row.
    pub fn end(mut self, now: Timestamp) -> Row {
        let ended = Ended { rows: self.head.seq + 1 };
        self.next(RowKind::End, structural(now, &ended))
    }

    /// Its last row so far.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    fn next(&mut self, kind: RowKind, mut entry: Entry) -> Row {
        // Also where the machine's clock was set back: in order of time the rows of a chain are in order.
        entry.at = entry.at.max(self.head.at);
        let row = Row::after(&self.head.hash, self.head.chain, self.head.seq + 1, kind, entry);
        self.head = Head::of(&row);
        row
    }
}

/// A row that is no call.
fn structural(now: Timestamp, says: &impl Serialize) -> Entry {
    let mut entry = Entry::of("", now);
    entry.times = 0;
    // Texts and numbers: writing them cannot fail.
    entry.detail = serde_json::to_string(says).ok();
    entry
}

/// When a chain began.
pub(crate) fn began(chain: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = chain.get_timestamp()?.to_unix();
    let millis =
        i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_when_it_began_and_never_goes_back() {
        let now: Timestamp = "2026-03-01T09:30:00.250Z".parse().unwrap();
        let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
        let (mut chain, first) = Chain::start(now, &started);
        assert_eq!(began(first.chain), Some(now));
        let later = chain.add(Entry::of("call", now.plus_millis(-5_000)));
        assert_eq!((later.entry.at, later.seq), (now, 1));
        assert_eq!(chain.end(now.plus_millis(1)).entry.detail.unwrap(), r#"{"rows":2}"#);
    }

    #[test]
    fn a_head_reads_as_it_is_written() {
        let at = "2026-03-01T09:30:00.250Z".parse().unwrap();
        let head = Head { chain: Uuid::from_u128(5), seq: 9, hash: [0xA5; 32], at };
        let text = serde_json::to_string(&head).unwrap();
        assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
        for (from, to) in
            [("a5a5", "a5"), ("a5a5", "axa5"), ("a5", "+5"), ("-0000-", "_0000_"), ("T09", "T29")]
        {
            assert!(serde_json::from_str::<Head>(&text.replacen(from, to, 1)).is_err(), "{from}");
        }
    }
}
