//! What somebody may read of the log: their own calls, newest first.
//!
//! The log is read from its end, a row group after the other by the latest time in it, until what is found is newer than all that is not read.
//! A page looks at so many rows and no more, so that one of somebody who seldom asks, in the log of many, may be short or empty, and says where
//! the next goes on. Nothing tells of others: neither their calls nor the places of rows in their chains.

use super::{Columns, LogSummary, NAME};
use crate::error::LakeError;
use crate::rows::rule::corrupt;
use gridtrail_access::Access;
use gridtrail_access_log::{Entry, RowKind};
use gridtrail_runs::{OpenRun, RunCache, RunsError, Scan, Table, TableFile};
use parquet::file::statistics::Statistics;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// Rows that a page looks at: one or two seconds of work.
pub(crate) const LOOKED_AT_MAX: u64 = 1_000_000;

/// What a file or row group counts for at least, for the request that it takes.
const PART_ROWS_MIN: u64 = 10_000;

/// The number of the column `at`, by which files are ordered.
const AT: usize = 0;

/// A row's place among all: by time, then by chain, and of a chain by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at_ms: i64,
    chain: u128,
    seq: u64,
}

/// Where the next page begins, at the version of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallsFrom {
    version: u64,
    before: Place,
}

impl CallsFrom {
    /// For a page token, which is to be sealed: it tells where rows lie.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { version, before: Place { at_ms, chain, seq } } = self;
        [&version.to_be_bytes()[..], &at_ms.to_be_bytes(), &chain.to_be_bytes(), &seq.to_be_bytes()].concat()
    }

    /// From what [`CallsFrom::to_bytes`] made. `None`: these bytes are no such place.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (at_ms, rest) = rest.split_first_chunk()?;
        let (chain, rest) = rest.split_first_chunk()?;
        let before = Place {
            at_ms: i64::from_be_bytes(*at_ms),
            chain: u128::from_be_bytes(*chain),
            seq: u64::from_be_bytes(rest.try_into().ok()?),
        };
        Some(Self { version: u64::from_be_bytes(*version), before })
    }
}

/// Calls of one caller.
#[derive(Debug)]
pub struct OwnCalls {
    /// Newest first.
    pub calls: Vec<Entry>,
    /// Where those before them begin; `None`: there are none.
    pub next: Option<CallsFrom>,
    version: u64,
    places: Vec<Place>,
}

impl OwnCalls {
    /// Ends the page after so many calls: those that follow are on the next.
    pub fn end_after(&mut self, calls: usize) {
        if calls < self.calls.len()
            && let Some(last) = calls.checked_sub(1).and_then(|last| self.places.get(last))
        {
            self.next = Some(CallsFrom { version: self.version, before: *last });
            self.calls.truncate(calls);
            self.places.truncate(calls);
        }
    }
}

impl OwnCalls {
    /// A page of them, which looks at so many rows of the log.
    pub(crate) async fn read(
        (cache, mut table): (&RunCache, Table),
        who: &Access,
        (from, most): (Option<CallsFrom>, usize),
        looked_at_max: u64,
    ) -> Result<Self, LakeError> {
        match from {
            Some(from) if from.version != table.version() => table = table.at(from.version).await?,
            Some(_) => {}
            None => {
                table.refresh().await?;
                table.check_whole()?;
            }
        }
        let mut looking = Looking::new(cache, &table, who, (from.map(|from| from.before), most));
        looking.look(looked_at_max).await?;
        Ok(looking.page())
    }
}

/// A part of the log that is not read yet: a file, or one of its row groups.
struct Part {
    /// No row of it is later, as far as it is asked for.
    last_ms: i64,
    rows: u64,
    file: Arc<TableFile>,
    group: Option<(Arc<OpenRun>, usize)>,
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.last_ms == other.last_ms
    }
}

impl Eq for Part {}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.last_ms.cmp(&other.last_ms)
    }
}

/// A look for calls from the end of the log.
struct Looking<'a> {
    cache: &'a RunCache,
    table: &'a Table,
    who: &'a Access,
    before: Option<Place>,
    most: usize,
    /// What is not read, the latest on top.
    parts: BinaryHeap<Part>,
    /// The newest that were found, one more than are asked for.
    found: BTreeMap<Place, Entry>,
}

impl<'a> Looking<'a> {
    fn new(
        cache: &'a RunCache,
        table: &'a Table,
        who: &'a Access,
        (before, most): (Option<Place>, usize),
    ) -> Self {
        let mut looking =
            Self { cache, table, who, before, most, parts: BinaryHeap::new(), found: BTreeMap::new() };
        for file in table.files() {
            // Files of others say nothing.
            let summary = LogSummary::of(&file);
            let (first, last) =
                summary.as_ref().map_or((i64::MIN, i64::MAX), |of| (of.min_at_ms, of.max_at_ms));
            let rows = summary.map_or(PART_ROWS_MIN, |summary| summary.rows);
            looking.add((first, last), rows, file, None);
        }
        looking
    }

    /// Adds what may have rows that are asked for.
    fn add(
        &mut self,
        (first_ms, last_ms): (i64, i64),
        rows: u64,
        file: Arc<TableFile>,
        group: Option<(Arc<OpenRun>, usize)>,
    ) {
        let latest = self.before.map_or(i64::MAX, |before| before.at_ms);
        if first_ms <= latest {
            self.parts.push(Part { last_ms: last_ms.min(latest), rows, file, group });
        }
    }

    /// Reads on until there is a page, or enough was looked at.
    async fn look(&mut self, looked_at_max: u64) -> Result<(), LakeError> {
        let mut looked_at = 0;
        while let Some(part) = self.parts.peek() {
            let last_ms = part.last_ms;
            let is_full = self.newer_than(last_ms) >= self.most;
            // The next page must begin before this one, or nobody would ever come further.
            let gets_on = self.before.is_none_or(|before| last_ms < before.at_ms);
            if is_full || (looked_at >= looked_at_max && gets_on) {
                break;
            }
            let Some(part) = self.parts.pop() else { break };
            match part.group {
                Some((run, group)) => {
                    looked_at += part.rows.max(PART_ROWS_MIN);
                    self.read(run, group).await?;
                }
                None => self.open(part.file).await?,
            }
        }
        Ok(())
    }

    /// How many were found that are newer than this.
    fn newer_than(&self, at_ms: i64) -> usize {
        self.found.keys().rev().take_while(|place| place.at_ms > at_ms).count()
    }

    /// The row groups of a file, in its place.
    async fn open(&mut self, file: Arc<TableFile>) -> Result<(), RunsError> {
        let run = self.cache.open_to_rewrite(self.table, &file).await?;
        for (number, group) in run.metadata.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or_default();
            let span = match group.columns().get(AT).and_then(|column| column.statistics()) {
                Some(Statistics::Int64(times)) => {
                    let millis = |micros: &i64| micros.div_euclid(1_000);
                    (times.min_opt().map_or(i64::MIN, millis), times.max_opt().map_or(i64::MAX, millis))
                }
                _ => (i64::MIN, i64::MAX),
            };
            self.add(span, rows, Arc::clone(&file), Some((Arc::clone(&run), number)));
        }
        Ok(())
    }

    /// Takes the caller's own calls of a row group.
    async fn read(&mut self, run: Arc<OpenRun>, group: usize) -> Result<(), RunsError> {
        let mut scan = Scan::of_group(self.cache.clone(), run, group);
        while let Some(batch) = scan.next().await? {
            let columns = Columns::of(&batch).ok_or_else(corrupt(NAME))?;
            for row in 0..batch.num_rows() {
                if self.is_own(&columns, row) {
                    let row = columns.row(row).ok_or_else(corrupt(NAME))?;
                    let place =
                        Place { at_ms: row.entry.at.millis(), chain: row.chain.as_u128(), seq: row.seq };
                    self.take(place, row.entry);
                }
            }
            // Decoding is work without an end to wait for: others have their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn is_own(&self, columns: &Columns<'_>, row: usize) -> bool {
        let is = |name: &str, text: &str| columns.text(name, row).flatten() == Some(text);
        is("subject", self.who.subject())
            && is("party", self.who.party().as_str())
            && is("kind", RowKind::Call.name())
    }

    fn take(&mut self, place: Place, call: Entry) {
        if self.before.is_some_and(|before| place >= before) {
            return;
        }
        self.found.insert(place, call);
        if self.found.len() > self.most + 1 {
            self.found.pop_first();
        }
    }

    /// What was found that is newer than all that was not read.
    fn page(mut self) -> OwnCalls {
        let version = self.table.version();
        let unread_ms = self.parts.peek().map(|part| part.last_ms);
        let (mut calls, mut places) = (Vec::new(), Vec::new());
        let mut has_more = unread_ms.is_some();
        while let Some((place, call)) = self.found.pop_last() {
            if unread_ms.is_some_and(|unread| place.at_ms <= unread) {
                break;
            }
            if calls.len() == self.most {
                has_more = true;
                break;
            }
            calls.push(call);
            places.push(place);
        }
        let before = match (places.last(), unread_ms) {
            (Some(last), _) if calls.len() == self.most => Some(*last),
            // All that is later was given.
            (_, Some(unread)) => Some(Place { at_ms: unread, chain: u128::MAX, seq: u64::MAX }),
            (_, None) => None,
        };
        let next = before.filter(|_| has_more).map(|before| CallsFrom { version, before });
        OwnCalls { calls, next, version, places }
    }
}
