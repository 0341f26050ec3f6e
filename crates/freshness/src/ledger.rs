//! The ledger: the evidence of commits, folded into what a report needs and no more.
//!
//! Memory: a few numbers a partition, a row a day and source for [`DAYS_KEPT`], and the positions of dead letters that
//! are open: neither replayed nor dismissed.
//!
//! A day is a day of commits, in UTC: evidence says when records were received by their least, mean and greatest time
//! only, so no record can be put into the day of its receipt. A day without a commit has its row all the same, with the
//! lag that it saw.

use crate::level::{Level, Levels};
use crate::limits::{DAY_MS, DAYS_KEPT, EVENTS_A_DAY};
use crate::source::{SourceKey, key_of};
use crate::trend::Trend;
use gridtrail_lake::{Commit, Evidence, OpenTransaction, SkipReason, SourceEvidence, Spans};
use gridtrail_model::Timestamp;
use std::collections::BTreeMap;

/// How long records of one commit took from their receipt until they could be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Their source.
    pub source: SourceKey,
    /// Of the record that took longest.
    pub worst_ms: i64,
}

/// One partition, or all files.
#[derive(Debug, Clone)]
pub(crate) struct PartitionLedger {
    pub(crate) key: SourceKey,
    /// Up to when it was complete at its last commit, milliseconds since the epoch.
    pub(crate) complete_ms: Option<i64>,
    /// Up to when its lag is in the daily table.
    pub(crate) covered_ms: i64,
    pub(crate) committed_ms: i64,
    pub(crate) to: i64,
    /// Behind its last record, be it readable or not, when that was last asked for.
    pub(crate) end: Option<i64>,
    pub(crate) open_transaction: Option<OpenTransaction>,
    pub(crate) trend: Trend,
}

/// Counts of a source since the lake began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) commits: u64,
    pub(crate) parked: u64,
    pub(crate) dead_lettered: u64,
}

/// Dead letters of one commit and partition that are open.
#[derive(Debug, Clone)]
pub(crate) struct OpenLetters {
    source: String,
    /// When they were put aside.
    pub(crate) at_ms: i64,
    /// The source held none of them before: up to then it was complete. Their age counts from here, since nothing
    /// says when a record that cannot be read was received. Of a partition that was never complete, from the oldest
    /// record beside them.
    pub(crate) since_ms: i64,
    pub(crate) positions: Spans,
    /// Those of events of access that suspend what they name.
    pub(crate) suspending: Spans,
    /// Those of events of access of which nothing says whom they name.
    pub(crate) naming_nobody: Spans,
}

/// One day of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Day {
    pub(crate) counts: Totals,
    /// The longest that what was complete lay behind the clock.
    pub(crate) lag_worst_ms: Option<i64>,
    /// Whether up to when it was complete was ever not known.
    pub(crate) unknown: bool,
    pub(crate) delay_worst_ms: Option<i64>,
    pub(crate) delay_sum_ms: i128,
    pub(crate) delay_count: u64,
    pub(crate) late_least: u64,
    pub(crate) late_most: u64,
    pub(crate) future: u64,
    pub(crate) lost: u64,
    pub(crate) before_first_read: u64,
    pub(crate) events: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) events_count: u64,
}

/// Folded evidence.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) levels: Levels,
    pub(crate) version: Option<u64>,
    pub(crate) partitions: BTreeMap<String, PartitionLedger>,
    pub(crate) totals: BTreeMap<SourceKey, Totals>,
    pub(crate) letters: BTreeMap<SourceKey, Vec<OpenLetters>>,
    pub(crate) days: BTreeMap<(i64, SourceKey), Day>,
    pub(crate) broken: u64,
}

impl Ledger {
    /// An empty one. What is late is late by these levels.
    pub fn new(levels: Levels) -> Self {
        Self {
            levels,
            version: None,
            partitions: BTreeMap::new(),
            totals: BTreeMap::new(),
            letters: BTreeMap::new(),
            days: BTreeMap::new(),
            broken: 0,
        }
    }

    /// The version up to which evidence was taken in.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// There is no evidence up to this version but what was taken in.
    pub fn reached(&mut self, version: u64) {
        self.version = self.version.max(Some(version));
    }

    /// Takes in the evidence of a commit; commits come in order, and one that comes again changes nothing.
    ///
    /// `seen` is when the reader first answered from the commit's version, where it watched: records are found from
    /// then on. Else the time of the commit stands in, which its writer took before it wrote.
    pub fn take(&mut self, commit: &Commit, seen: Option<Timestamp>) -> Vec<Delay> {
        if self.version.is_some_and(|version| commit.version <= version) {
            return Vec::new();
        }
        self.version = Some(commit.version);
        let mut delays = Vec::new();
        for evidence in &commit.sources {
            match evidence {
                Evidence::Whole(evidence) => delays.extend(self.take_source(evidence, seen)),
                // What was changed since proves nothing.
                Evidence::Broken(_) => self.broken += 1,
            }
        }
        delays
    }

    fn take_source(&mut self, e: &SourceEvidence, seen: Option<Timestamp>) -> Option<Delay> {
        if e.expired.is_some() || e.repaired().is_some() {
            // What retention takes away is read by nobody, and of no source; what a repair puts back was read before.
            return None;
        }
        let committed = e.committed_at_ms;
        let complete_before = self.partitions.get(&e.source).and_then(|partition| partition.complete_ms);
        let key = match e.letters_of() {
            Some(source) => self.settle_letters(source, e),
            None => {
                let key = key_of(e);
                self.move_on(e, &key);
                key
            }
        };
        if e.dead_lettered > 0 {
            let open = OpenLetters {
                source: e.source.clone(),
                at_ms: committed,
                since_ms: [complete_before, e.recorded_min_ms]
                    .into_iter()
                    .flatten()
                    .fold(committed, i64::min),
                positions: e.dead_lettered_at.clone(),
                suspending: e.suspending_at.clone(),
                naming_nobody: e.naming_nobody_at.clone(),
            };
            self.letters.entry(key.clone()).or_default().push(open);
        }
        let counts =
            Totals { records: e.records, commits: 1, parked: e.parked, dead_lettered: e.dead_lettered };
        // What was dead-lettered is counted among the records of its source already.
        if e.letters_of().is_none() {
            self.totals.entry(key.clone()).or_default().add(counts);
        }
        let breach = self.levels.breach_ms();
        let at = seen.map_or(committed, |seen| seen.millis());
        let delay = |recorded: Option<i64>| recorded.map(|recorded| (at - recorded).max(0));
        let (worst, least) = (delay(e.recorded_min_ms), delay(e.recorded_max_ms));
        let read = e.stored + e.parked;
        let day = self.day(committed, &key);
        day.counts.add(counts);
        day.delay_worst_ms = day.delay_worst_ms.max(worst);
        if let Some(mean) = delay(e.recorded_mean_ms) {
            day.delay_sum_ms += i128::from(mean) * i128::from(read);
            day.delay_count += read;
        }
        if least.is_some_and(|least| least > breach) {
            day.late_least += read;
            day.late_most += read;
        } else if worst.is_some_and(|worst| worst > breach) {
            day.late_least += 1;
            // The latest of them was not late.
            day.late_most += read.saturating_sub(1).max(1);
        }
        day.future += e.future;
        for skip in &e.skipped {
            match skip.why {
                SkipReason::Lost => day.lost += skip.len(),
                SkipReason::BeforeFirstRead => day.before_first_read += skip.len(),
                // Nothing that anybody could have searched for.
                SkipReason::NotDelivered | SkipReason::Tombstone => {}
            }
        }
        if let Some(event) = &e.event {
            day.events_count += 1;
            // A dismissal says why in the words of whoever dismissed.
            let texts = if e.dismissed_at.is_empty() { &mut day.events } else { &mut day.notes };
            if texts.len() < EVENTS_A_DAY && !texts.contains(event) {
                texts.push(event.clone());
            }
        }
        worst.map(|worst_ms| Delay { source: key, worst_ms })
    }

    /// How far a partition is with a commit; of files, how far all are.
    fn move_on(&mut self, e: &SourceEvidence, key: &SourceKey) {
        let (id, complete) = match key {
            SourceKey::Topic { .. } => (e.source.as_str(), e.complete_up_to_ms),
            SourceKey::Files => ("files", e.recorded_max_ms.filter(|_| e.finished)),
        };
        // As the writer marks it: never in the future, never back.
        let complete = complete.map(|ms| ms.min(e.committed_at_ms));
        self.cover(id, e.committed_at_ms);
        let partition = self.partitions.entry(id.to_owned()).or_insert_with(|| PartitionLedger {
            key: key.clone(),
            complete_ms: None,
            covered_ms: e.committed_at_ms,
            committed_ms: e.committed_at_ms,
            to: e.to,
            end: None,
            open_transaction: None,
            trend: Trend::default(),
        });
        partition.complete_ms = partition.complete_ms.max(complete);
        partition.committed_ms = partition.committed_ms.max(e.committed_at_ms);
        partition.to = e.to;
        partition.end = e.end;
        partition.open_transaction = e.open_transaction;
        if let Some(complete) = partition.complete_ms {
            partition.trend.push(e.committed_at_ms, complete);
        }
    }

    /// Puts the lag of a partition into the daily table, up to a time before which it did not change.
    pub(crate) fn cover(&mut self, id: &str, until_ms: i64) {
        let Some(partition) = self.partitions.get_mut(id) else { return };
        let (key, complete) = (partition.key.clone(), partition.complete_ms);
        let from = partition.covered_ms;
        partition.covered_ms = from.max(until_ms);
        let first = from.div_euclid(DAY_MS).max(until_ms.div_euclid(DAY_MS) - DAYS_KEPT);
        for day in first..=until_ms.div_euclid(DAY_MS) {
            // The lag is longest just before what ends it: the commit, or midnight.
            let end = until_ms.min((day + 1) * DAY_MS);
            if end <= from {
                continue;
            }
            let row = self.day(day * DAY_MS, &key);
            match complete {
                Some(complete) => row.lag_worst_ms = row.lag_worst_ms.max(Some((end - complete).max(0))),
                None => row.unknown = true,
            }
        }
    }

    fn day(&mut self, at_ms: i64, key: &SourceKey) -> &mut Day {
        let day = at_ms.div_euclid(DAY_MS);
        if let Some(((newest, _), _)) = self.days.last_key_value()
            && day > *newest
        {
            self.days.retain(|(kept, _), _| *kept > day - DAYS_KEPT);
        }
        self.days.entry((day, key.clone())).or_default()
    }

    /// Takes letters that were replayed or dismissed off the open ones. Gives their source.
    fn settle_letters(&mut self, source: &str, e: &SourceEvidence) -> SourceKey {
        let mut settled = e.replayed_at.clone();
        settled.insert_all(&e.dismissed_at);
        for open in self.letters.values_mut() {
            for letters in open.iter_mut().filter(|letters| letters.source == source) {
                for spans in [&mut letters.positions, &mut letters.suspending, &mut letters.naming_nobody] {
                    *spans = spans.without(&settled);
                }
            }
            open.retain(|letters| !letters.positions.is_empty());
        }
        key_of(&SourceEvidence {
            source: source.to_owned(),
            name: e.name.clone(),
            ..SourceEvidence::default()
        })
    }
}

impl OpenLetters {
    /// How bad it is that they are open, beside their age. An event of access that names nobody may be a rescission of any pair, which nothing
    /// suspends; of one that names somebody the pairs are suspended, which somebody will miss.
    pub(crate) fn level(&self) -> Option<Level> {
        match (self.naming_nobody.is_empty(), self.suspending.is_empty()) {
            (false, _) => Some(Level::Breach),
            (true, false) => Some(Level::Critical),
            (true, true) => None,
        }
    }

    pub(crate) fn day(&self) -> i64 {
        self.at_ms.div_euclid(DAY_MS)
    }
}

impl Totals {
    fn add(&mut self, more: Self) {
        self.records += more.records;
        self.commits += more.commits;
        self.parked += more.parked;
        self.dead_lettered += more.dead_lettered;
    }
}
