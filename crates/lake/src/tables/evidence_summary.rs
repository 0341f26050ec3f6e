//! What the evidence of many commits comes to: all that a process needs to know of it to say how fresh the lake is and what became of
//! dead letters.
//!
//! Commits are folded one by one ([`EvidenceSummary::take`]). Summaries of consecutive stretches of commits make one
//! ([`EvidenceSummary::absorb`]), so a start need not read commits that some file has a summary of. **What a summary says is never better
//! than what the commits say**, and the same wherever the marks of a source only grow, as those of a topic do. Where files are read out of the order
//! in which their records were received, the lag of files on a day may come to more.
//!
//! Memory: a few numbers a partition, a row a day and source for [`DAYS_KEPT`], and the positions of dead letters.
//!
//! A day is a day of commits, in UTC: evidence says when records were received by their least, mean and greatest time only, so no record
//! can be put into the day of its receipt. A day without a commit has its row all the same, with the lag that it saw.

use crate::commit_evidence::{Commit, Evidence};
use crate::evidence::{OpenTransaction, SkipReason, SourceEvidence};
use crate::limits::{DAYS_KEPT, EVENTS_A_DAY, LETTERS_APART};
use crate::marks::Marks;
use crate::source_key::{SourceKey, key_of};
use crate::spans::Spans;
use crate::tables::fates::Fates;
use gridtrail_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// What stands for the partition that all files together are.
const FILES: &str = "files";

/// How long records of one commit took from their receipt until they could be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Their source.
    pub source: SourceKey,
    /// Of the record that took longest.
    pub worst_ms: i64,
}

/// One partition, or all files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// Its source.
    pub key: SourceKey,
    /// Up to when it was complete at its last commit, milliseconds since the epoch.
    pub complete_ms: Option<i64>,
    /// When the first commit was made, milliseconds since the epoch.
    first_ms: i64,
    /// Up to when nothing of these commits says how complete it was: until then its lag is by what came before.
    unmarked_ms: i64,
    /// Up to when its lag is in the rows of days.
    covered_ms: i64,
    /// When the last commit was made.
    pub committed_ms: i64,
    /// Where it is read next.
    pub to: i64,
    /// Behind its last record, be it readable or not, when that was last asked for.
    pub end: Option<i64>,
    /// What held reading back at its last commit.
    pub open_transaction: Option<OpenTransaction>,
    /// Up to when it was complete, at some times of the last half hour of commits.
    pub marks: Marks,
}

/// Counts of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceTotals {
    /// Records read.
    pub records: u64,
    /// Commits.
    pub commits: u64,
    /// Records that waited for their request when they came.
    pub parked: u64,
    /// Records that could not be read when they came.
    pub dead_lettered: u64,
}

/// Dead letters of one commit and partition that are open; where there are very many, of a day and partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLetters {
    source: String,
    /// When they were put aside.
    pub at_ms: i64,
    /// The source held none of them before: up to then it was complete. Their age counts from here, since nothing
    /// says when a record that cannot be read was received. Of a partition that was never complete, from the oldest
    /// record beside them.
    pub since_ms: i64,
    /// Whether none of the commits before said how complete the partition was.
    #[serde(default, skip_serializing_if = "is_false")]
    unmarked: bool,
    /// Where they stand.
    pub positions: Spans,
    /// Those of events of access that suspend what they name.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub suspending: Spans,
    /// Those of events of access of which nothing says whom they name.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub naming_nobody: Spans,
}

/// Commits of a day whose records took about as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Delayed {
    commits: u64,
    /// Records that were stored or parked.
    read: u64,
    /// As many, without one of each commit that has several.
    but_latest: u64,
}

/// One day of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceDay {
    /// Counts of the day.
    pub counts: SourceTotals,
    /// The longest that what was complete lay behind the clock.
    pub lag_worst_ms: Option<i64>,
    /// The longest that a record took from its receipt until it could be found.
    pub delay_worst_ms: Option<i64>,
    /// The sum of the delays of so many records.
    #[serde(with = "text")]
    pub delay_sum_ms: i128,
    /// Records whose delays are in the sum.
    pub delay_count: u64,
    /// By the bounds of the least and the greatest delay of a commit's records, see [`bound_of`].
    #[serde(with = "entries")]
    delayed: BTreeMap<(i64, i64), Delayed>,
    /// Records that said to be received later than they were read.
    pub future: u64,
    /// Positions that the source deleted before they were read.
    pub lost: u64,
    /// Positions that the source deleted before anyone read it for the first time.
    pub before_first_read: u64,
    /// What a person must know of.
    pub events: Vec<String>,
    /// What operators wrote when they dismissed dead letters.
    pub notes: Vec<String>,
    /// How often there was such a thing.
    pub events_count: u64,
}

/// The evidence of consecutive commits, folded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EvidenceSummary {
    /// The version of the first commit.
    pub first: Option<u64>,
    /// The version of the last one.
    pub last: Option<u64>,
    /// By source; all files together are one.
    #[serde(with = "entries")]
    pub partitions: BTreeMap<String, PartitionState>,
    /// Counts.
    #[serde(with = "entries")]
    pub totals: BTreeMap<SourceKey, SourceTotals>,
    /// Dead letters that none of these commits settles.
    #[serde(with = "entries")]
    pub letters: BTreeMap<SourceKey, Vec<OpenLetters>>,
    /// By day since the epoch.
    #[serde(with = "entries")]
    pub days: BTreeMap<(i64, SourceKey), SourceDay>,
    /// What became of dead letters.
    pub fates: Fates,
    /// Pieces of evidence that were changed since they were written.
    pub broken: u64,
}

impl EvidenceSummary {
    /// Takes in the evidence of a commit, and gives how long its records took; commits come in order, and one that comes again changes
    /// nothing.
    ///
    /// `seen` is when the reader first answered from the commit's version, where it watched: records are found from
    /// then on. Else the time of the commit stands in, which its writer took before it wrote.
    pub fn take(&mut self, commit: &Commit, seen: Option<Timestamp>) -> Vec<Delay> {
        if self.last.is_some_and(|version| commit.version <= version) {
            return Vec::new();
        }
        self.first.get_or_insert(commit.version);
        self.last = Some(commit.version);
        let mut delays = Vec::new();
        for evidence in &commit.sources {
            match evidence {
                Evidence::Whole(evidence) => delays.extend(self.take_source(evidence, seen)),
                // What was changed since proves nothing.
                Evidence::Broken(_) => self.broken += 1,
            }
        }
        self.fates.take(commit);
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
            Some(source) => {
                let mut settled = e.replayed_at.clone();
                settled.insert_all(&e.dismissed_at);
                self.settle_letters(source, &settled);
                key_of(source, &e.name)
            }
            None => {
                let key = key_of(&e.source, &e.name);
                self.move_on(e, &key);
                key
            }
        };
        if e.dead_lettered > 0 {
            let since = [complete_before, e.recorded_min_ms].into_iter().flatten().fold(committed, i64::min);
            let open = OpenLetters {
                source: e.source.clone(),
                at_ms: committed,
                since_ms: since,
                unmarked: complete_before.is_none(),
                positions: e.dead_lettered_at.clone(),
                suspending: e.suspending_at.clone(),
                naming_nobody: e.naming_nobody_at.clone(),
            };
            self.letters.entry(key.clone()).or_default().push(open);
        }
        let counts =
            SourceTotals { records: e.records, commits: 1, parked: e.parked, dead_lettered: e.dead_lettered };
        // What was dead-lettered is counted among the records of its source already.
        if e.letters_of().is_none() {
            self.totals.entry(key.clone()).or_default().add(counts);
        }
        let at = seen.map_or(committed, |seen| seen.millis());
        let worst = self.day(committed, &key).take(e, counts, at);
        worst.map(|worst_ms| Delay { source: key, worst_ms })
    }

    /// How far a partition is with a commit; of files, how far all are.
    fn move_on(&mut self, e: &SourceEvidence, key: &SourceKey) {
        let (id, complete) = match key {
            SourceKey::Topic { .. } => (e.source.as_str(), e.complete_up_to_ms),
            SourceKey::Files => (FILES, e.recorded_max_ms.filter(|_| e.finished)),
        };
        // As the writer marks it: never in the future, never back.
        let complete = complete.map(|ms| ms.min(e.committed_at_ms));
        self.cover(id, e.committed_at_ms);
        let partition = self.partitions.entry(id.to_owned()).or_insert_with(|| PartitionState {
            key: key.clone(),
            complete_ms: None,
            first_ms: e.committed_at_ms,
            unmarked_ms: e.committed_at_ms,
            covered_ms: e.committed_at_ms,
            committed_ms: e.committed_at_ms,
            to: e.to,
            end: None,
            open_transaction: None,
            marks: Marks::default(),
        });
        partition.complete_ms = partition.complete_ms.max(complete);
        partition.committed_ms = partition.committed_ms.max(e.committed_at_ms);
        partition.to = e.to;
        partition.end = e.end;
        partition.open_transaction = e.open_transaction;
        if let Some(complete) = partition.complete_ms {
            partition.marks.push(e.committed_at_ms, complete);
        }
    }

    /// Puts the lag of a partition into the rows of days, up to a time before which it did not change. `id` is its source, or `files`.
    pub fn cover(&mut self, id: &str, until_ms: i64) {
        let Some(partition) = self.partitions.get_mut(id) else { return };
        let (key, from) = (partition.key.clone(), partition.covered_ms);
        partition.covered_ms = from.max(until_ms);
        let Some(complete) = partition.complete_ms else {
            partition.unmarked_ms = partition.unmarked_ms.max(until_ms);
            return;
        };
        for (day, end) in days_between(from, until_ms) {
            let row = self.day(day * DAY_MS, &key);
            row.lag_worst_ms = row.lag_worst_ms.max(Some((end - complete).max(0)));
        }
    }

    /// The days on which it was not known of some partition how complete it was, where these commits are the first that there are.
    pub fn unknown_days(&self) -> impl Iterator<Item = (i64, &SourceKey)> {
        self.partitions.values().flat_map(|partition| {
            days_between(partition.first_ms, partition.unmarked_ms).map(|(day, _)| (day, &partition.key))
        })
    }

    fn day(&mut self, at_ms: i64, key: &SourceKey) -> &mut SourceDay {
        let day = at_ms.div_euclid(DAY_MS);
        if let Some(((newest, _), _)) = self.days.last_key_value()
            && day > *newest
        {
            self.days.retain(|(kept, _), _| *kept > day - DAYS_KEPT);
        }
        self.days.entry((day, key.clone())).or_default()
    }

    /// Takes letters of a source that were replayed or dismissed off the open ones.
    fn settle_letters(&mut self, source: &str, settled: &Spans) {
        for open in self.letters.values_mut() {
            for letters in open.iter_mut().filter(|letters| letters.source == source) {
                for spans in [&mut letters.positions, &mut letters.suspending, &mut letters.naming_nobody] {
                    *spans = spans.without(settled);
                }
            }
            open.retain(|letters| !letters.positions.is_empty());
        }
        self.letters.retain(|_, open| !open.is_empty());
    }

    /// Takes in the summary of the commits that follow. What was taken in before is not to be among them.
    pub fn absorb(&mut self, later: Self) {
        self.first = self.first.or(later.first);
        self.last = self.last.max(later.last);
        for (source, settled) in later.fates.settled() {
            self.settle_letters(source, &settled);
        }
        for (key, letters) in later.letters {
            for mut open in letters {
                let before = self.partitions.get(&open.source).and_then(|partition| partition.complete_ms);
                if let Some(complete) = before.filter(|_| open.unmarked) {
                    (open.since_ms, open.unmarked) = (open.since_ms.min(complete), false);
                }
                self.letters.entry(key.clone()).or_default().push(open);
            }
        }
        for (id, partition) in later.partitions {
            // Until one of the later commits said how complete it was, what came before counts.
            self.cover(&id, partition.unmarked_ms);
            match self.partitions.get_mut(&id) {
                Some(known) => known.follow(partition),
                None => drop(self.partitions.insert(id, partition)),
            }
        }
        later.totals.into_iter().for_each(|(key, totals)| self.totals.entry(key).or_default().add(totals));
        for ((day, key), row) in later.days {
            self.day(day * DAY_MS, &key).absorb(row);
        }
        self.fates.absorb(later.fates);
        self.broken += later.broken;
    }

    /// Makes dead letters of a partition and day one entry where there are very many. They count from the oldest of them.
    pub(crate) fn put_letters_together(&mut self) {
        for open in self.letters.values_mut().filter(|open| open.len() > LETTERS_APART) {
            let mut days: BTreeMap<(String, i64), OpenLetters> = BTreeMap::new();
            for letters in std::mem::take(open) {
                match days.get_mut(&(letters.source.clone(), letters.day())) {
                    Some(known) => known.absorb(&letters),
                    None => drop(days.insert((letters.source.clone(), letters.day()), letters)),
                }
            }
            open.extend(days.into_values());
        }
    }
}

/// The days that a time without a commit touches, each with how far it reaches within: the lag is longest just before what ends it, be
/// that the commit or midnight.
fn days_between(from_ms: i64, until_ms: i64) -> impl Iterator<Item = (i64, i64)> {
    let last = until_ms.div_euclid(DAY_MS);
    let first = from_ms.div_euclid(DAY_MS).max(last - DAYS_KEPT);
    let ends = (first..=last).map(move |day| (day, until_ms.min((day + 1) * DAY_MS)));
    ends.filter(move |(_, end)| *end > from_ms)
}

/// The least of the bounds that a delay does not exceed: whole minutes up to an hour, whole hours from there on.
fn bound_of(delay_ms: i64) -> i64 {
    let step = step_at(delay_ms);
    delay_ms.saturating_add(step - 1).div_euclid(step) * step
}

/// How far the bounds of delays lie apart there.
const fn step_at(delay_ms: i64) -> i64 {
    if delay_ms <= HOUR_MS { MINUTE_MS } else { HOUR_MS }
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl SourceDay {
    /// Takes in what a commit says; gives the longest delay of its records.
    fn take(&mut self, e: &SourceEvidence, counts: SourceTotals, at_ms: i64) -> Option<i64> {
        self.counts.add(counts);
        let delay = |recorded: Option<i64>| recorded.map(|recorded| (at_ms - recorded).max(0));
        let (worst, least) = (delay(e.recorded_min_ms), delay(e.recorded_max_ms));
        let read = e.stored + e.parked;
        self.delay_worst_ms = self.delay_worst_ms.max(worst);
        if let Some(mean) = delay(e.recorded_mean_ms) {
            self.delay_sum_ms += i128::from(mean) * i128::from(read);
            self.delay_count += read;
        }
        if let Some(worst) = worst.or(least) {
            let bounds = (bound_of(least.unwrap_or(0)), bound_of(worst));
            // The latest of several need not have been late.
            let commit = Delayed { commits: 1, read, but_latest: read.saturating_sub(1).max(1) };
            self.delayed.entry(bounds).or_default().add(commit);
        }
        self.future += e.future;
        for skip in &e.skipped {
            match skip.why {
                SkipReason::Lost => self.lost += skip.len(),
                SkipReason::BeforeFirstRead => self.before_first_read += skip.len(),
                // Nothing that anybody could have searched for.
                SkipReason::NotDelivered | SkipReason::Tombstone => {}
            }
        }
        if let Some(event) = &e.event {
            self.events_count += 1;
            // A dismissal says why in the words of whoever dismissed.
            let texts = if e.dismissed_at.is_empty() { &mut self.events } else { &mut self.notes };
            add_text(texts, event);
        }
        worst
    }

    /// At least and at most how many records took longer than so. Exact in what the commits say where it is a whole number of hours, or of
    /// minutes up to an hour.
    pub fn later_than(&self, limit_ms: i64) -> (u64, u64) {
        let certain = |bound: i64| bound - step_at(bound) >= limit_ms;
        let (mut at_least, mut at_most) = (0, 0);
        for ((least, worst), delayed) in &self.delayed {
            if certain(*least) {
                at_least += delayed.read;
            } else if certain(*worst) {
                at_least += delayed.commits;
            }
            if *least > limit_ms {
                at_most += delayed.read;
            } else if *worst > limit_ms {
                at_most += delayed.but_latest;
            }
        }
        (at_least, at_most)
    }

    /// Takes in what later commits of the same day say.
    fn absorb(&mut self, later: Self) {
        self.counts.add(later.counts);
        self.lag_worst_ms = self.lag_worst_ms.max(later.lag_worst_ms);
        self.delay_worst_ms = self.delay_worst_ms.max(later.delay_worst_ms);
        self.delay_sum_ms += later.delay_sum_ms;
        self.delay_count += later.delay_count;
        for (bounds, delayed) in later.delayed {
            self.delayed.entry(bounds).or_default().add(delayed);
        }
        self.future += later.future;
        self.lost += later.lost;
        self.before_first_read += later.before_first_read;
        later.events.iter().for_each(|text| add_text(&mut self.events, text));
        later.notes.iter().for_each(|text| add_text(&mut self.notes, text));
        self.events_count += later.events_count;
    }
}

fn add_text(texts: &mut Vec<String>, text: &String) {
    if texts.len() < EVENTS_A_DAY && !texts.contains(text) {
        texts.push(text.clone());
    }
}

impl PartitionState {
    /// Goes on to where later commits say that it is.
    fn follow(&mut self, later: Self) {
        self.complete_ms = self.complete_ms.max(later.complete_ms);
        self.covered_ms = self.covered_ms.max(later.covered_ms);
        self.committed_ms = self.committed_ms.max(later.committed_ms);
        (self.to, self.end, self.open_transaction) = (later.to, later.end, later.open_transaction);
        self.marks.absorb(&later.marks);
    }
}

impl OpenLetters {
    /// The day on which they were put aside, since the epoch.
    pub fn day(&self) -> i64 {
        self.at_ms.div_euclid(DAY_MS)
    }

    fn absorb(&mut self, later: &Self) {
        self.since_ms = self.since_ms.min(later.since_ms);
        self.unmarked |= later.unmarked;
        self.positions.insert_all(&later.positions);
        self.suspending.insert_all(&later.suspending);
        self.naming_nobody.insert_all(&later.naming_nobody);
    }
}

impl SourceTotals {
    fn add(&mut self, more: Self) {
        self.records += more.records;
        self.commits += more.commits;
        self.parked += more.parked;
        self.dead_lettered += more.dead_lettered;
    }
}

impl Delayed {
    fn add(&mut self, more: Self) {
        self.commits += more.commits;
        self.read += more.read;
        self.but_latest += more.but_latest;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Maps whose keys are no texts, as lists of pairs.
mod entries {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Numbers that JSON has no room for, as texts.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
