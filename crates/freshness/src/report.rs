//! The report: what the ledger and a snapshot come to at a time. Plain values.

use crate::ledger::{Ledger, level_of};
use crate::level::{Level, Levels};
use crate::limits::{BEHIND_HOLDS_MS, DAY_MS};
use crate::trend::time_to_breach_ms;
use gridtrail_lake::{
    EvidenceSummary, OpenTransaction, Partition, PartitionState, SourceDay, SourceKey, Waiting,
};
use gridtrail_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What a report is made from, beside the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The reader's time.
    pub now: Timestamp,
    /// The partitions of the snapshot from which the reader answers.
    pub partitions: &'a [Partition],
    /// What waits in that snapshot, with what is older than the first level as its limit.
    pub waiting: Waiting,
    /// Its version.
    pub version: &'a str,
    /// When the reader last made sure that there is no newer one.
    pub confirmed: Timestamp,
    /// How many days of the daily table, up to today.
    pub days: i64,
    /// Why the reader stays at that version though there is a newer one: an entry of a log is not gridtrail's, or damaged.
    pub stopped: Option<&'a str>,
}

/// How fresh the lake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When this was so.
    pub at: Timestamp,
    /// The levels that it is judged by.
    pub levels: Levels,
    /// The worst of all.
    pub level: Level,
    /// Up to when all sources that are followed are complete.
    pub complete_up_to: Option<Timestamp>,
    /// The version that the reader answers from.
    pub version: String,
    /// How long ago the reader last made sure that there is no newer one.
    pub confirmed_ago_ms: i64,
    /// Topics by cluster and name, then files.
    pub sources: Vec<SourceReport>,
    /// What waits for its request.
    pub waiting: WaitingReport,
    /// By day, newest first, then by source.
    pub days: Vec<DayReport>,
    /// Pieces of evidence that were changed since they were written, and left out.
    pub broken_evidence: u64,
    /// Why the reader stays at its version though there is a newer one. Then the level is the worst: what the lake holds beyond
    /// it is not known.
    pub stopped: Option<String>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// Which.
    pub source: SourceKey,
    /// The worse of what its lag and its dead letters come to, of which those of events of access count at once. A lake that follows topics is not behind for want of
    /// files: there, their lag has no level.
    pub level: Level,
    /// Up to when every partition is complete.
    pub complete_up_to: Option<Timestamp>,
    /// How long ago that is. `None` when it is not known.
    pub lag_ms: Option<i64>,
    /// How long until the lag breaches at its present trend; `None` while it does not grow.
    pub time_to_breach_ms: Option<i64>,
    /// Records read since the lake began.
    pub records: u64,
    /// Commits since the lake began.
    pub commits: u64,
    /// Records that waited for their request when they came.
    pub parked: u64,
    /// Records that could not be read when they came.
    pub dead_lettered: u64,
    /// Those of them that are open: neither replayed nor dismissed.
    pub open_letters: u64,
    /// From when the oldest of those counts: up to then its partition was complete without it. Where that was never so,
    /// the time of the oldest record beside it.
    pub open_letters_since: Option<Timestamp>,
    /// By number. Files have none.
    pub partitions: Vec<PartitionReport>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    /// Its number.
    pub partition: i32,
    /// What its lag comes to.
    pub level: Level,
    /// Up to when it is complete.
    pub complete_up_to: Option<Timestamp>,
    /// How long ago that is.
    pub lag_ms: Option<i64>,
    /// How long until it breaches.
    pub time_to_breach_ms: Option<i64>,
    /// The offset that is read next.
    pub position: Option<i64>,
    /// Offsets between that and the partition's end, be they readable or not. `None` when it is not known: no commit said so
    /// for [`BEHIND_HOLDS_MS`](crate::limits::BEHIND_HOLDS_MS).
    pub behind: Option<u64>,
    /// What holds reading back.
    pub open_transaction: Option<OpenTransaction>,
    /// When the last commit was made that read of it.
    pub committed_at: Option<Timestamp>,
}

/// What waits for its request. Each is found as a row of its own meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingReport {
    /// How many.
    pub rows: u64,
    /// How many are older than the first level: those count as late.
    pub late: u64,
    /// The time of the oldest.
    pub oldest: Option<Timestamp>,
    /// [`Level::Warn`] when any is late. Never worse: they can be found.
    pub level: Level,
}

/// One day of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayReport {
    /// The day, in UTC, as `2026-03-01`.
    pub day: String,
    /// The source.
    pub source: SourceKey,
    /// What the worst of the day comes to: its lag, its records, its dead letters by their age now, or that up to when
    /// it was complete was not known.
    pub level: Level,
    /// The longest that what was complete lay behind the clock.
    pub lag_worst_ms: Option<i64>,
    /// The longest that a record took from its receipt until it could be found.
    pub delay_worst_ms: Option<i64>,
    /// How long they took in the mean.
    pub delay_mean_ms: Option<i64>,
    /// Records read.
    pub records: u64,
    /// Commits.
    pub commits: u64,
    /// At least so many records were found only after the duty was broken, or still are not: dead letters count.
    pub late_least: u64,
    /// At most so many were.
    pub late_most: u64,
    /// Records that waited for their request when they came.
    pub parked: u64,
    /// Records that could not be read when they came.
    pub dead_lettered: u64,
    /// Those of them that are open still.
    pub open_letters: u64,
    /// Records that said to be received later than they were read.
    pub future: u64,
    /// Positions that the source deleted before they were read.
    pub lost: u64,
    /// Positions that the source deleted before anyone read it for the first time.
    pub before_first_read: u64,
    /// What a person must know of.
    pub events: Vec<String>,
    /// What operators wrote when they dismissed dead letters: for operators.
    pub notes: Vec<String>,
    /// How often there was such a thing.
    pub events_count: u64,
}

/// A day as text.
pub fn day_text(day: i64) -> String {
    let start = Timestamp::from_millis(day.saturating_mul(DAY_MS)).unwrap_or(Timestamp::MAX);
    start.to_string().chars().take(10).collect()
}

impl Ledger {
    /// What the evidence and a snapshot come to.
    pub fn report(&self, inputs: &Inputs<'_>) -> Report {
        let mut parts: BTreeMap<SourceKey, Vec<PartitionReport>> = BTreeMap::new();
        for partition in inputs.partitions {
            let Partition { stream, partition: number, .. } = partition;
            let key = SourceKey::Topic { cluster: stream.cluster.clone(), topic: stream.topic.clone() };
            let known = self.evidence.partitions.get(&stream.source(*number));
            parts.entry(key).or_default().push(self.partition_report(partition, known, inputs.now));
        }
        let follows_topics = !parts.is_empty();
        let files = self.evidence.partitions.get("files").map(|_| SourceKey::Files);
        // Whatever left evidence has its row: also a topic that is followed no longer and left dead letters.
        let left =
            self.evidence.letters.iter().filter(|(_, open)| !open.is_empty()).map(|(key, _)| key.clone());
        for key in files.into_iter().chain(left) {
            parts.entry(key).or_default();
        }
        let sources: Vec<_> = parts
            .into_iter()
            .map(|(key, partitions)| self.source_report(key, partitions, follows_topics, inputs.now))
            .collect();
        let followed = sources.iter().filter(|source| !follows_topics || !source.partitions.is_empty());
        let marks: Option<Vec<Timestamp>> = followed.map(|source| source.complete_up_to).collect();
        let waiting = self.waiting_report(inputs.waiting);
        let stopped = inputs.stopped.map(|_| Level::Breach);
        let levels = sources.iter().map(|source| source.level).chain([waiting.level]).chain(stopped);
        Report {
            at: inputs.now,
            levels: self.levels,
            // Where nothing is known of any source, nothing shows that the duty is kept.
            level: levels.max().filter(|_| !sources.is_empty()).unwrap_or(Level::Breach),
            complete_up_to: marks.and_then(|marks| marks.into_iter().min()),
            version: inputs.version.to_owned(),
            confirmed_ago_ms: (inputs.now.millis() - inputs.confirmed.millis()).max(0),
            sources,
            waiting,
            days: self.day_reports(inputs),
            broken_evidence: self.evidence.broken,
            stopped: inputs.stopped.map(str::to_owned),
        }
    }

    fn partition_report(
        &self,
        partition: &Partition,
        known: Option<&PartitionState>,
        now: Timestamp,
    ) -> PartitionReport {
        let open_transaction = known.and_then(|known| known.open_transaction);
        // Whatever was said of it before: what the broker appended from then on cannot be found.
        let hidden_from = open_transaction.filter(|open| open.appended).and_then(|open| open.record_ms);
        let hidden_from = hidden_from.and_then(Timestamp::from_millis);
        // Nothing is said of the future, whatever the writer's clock was.
        let complete = partition.complete_up_to.map(|at| at.min(now).min(hidden_from.unwrap_or(now)));
        let lag_ms = complete.map(|at| now.millis() - at.millis());
        let trend = known.zip(complete);
        let position = partition.position.or(known.map(|known| known.to));
        PartitionReport {
            partition: partition.partition,
            level: self.levels.of(lag_ms),
            complete_up_to: complete,
            lag_ms,
            time_to_breach_ms: match trend {
                Some((known, at)) => time_to_breach_ms(&known.marks, now.millis(), at.millis(), &self.levels),
                None => complete.is_none().then_some(0),
            },
            position,
            behind: known
                .filter(|known| now.millis() - known.committed_ms <= BEHIND_HOLDS_MS)
                .and_then(|known| u64::try_from((known.end? - position?).max(0)).ok()),
            open_transaction,
            committed_at: known.and_then(|known| Timestamp::from_millis(known.committed_ms)),
        }
    }

    fn source_report(
        &self,
        source: SourceKey,
        partitions: Vec<PartitionReport>,
        follows_topics: bool,
        now: Timestamp,
    ) -> SourceReport {
        let files = self.evidence.partitions.get("files").filter(|_| source == SourceKey::Files);
        let complete_up_to = match files {
            Some(files) => files.complete_ms.and_then(Timestamp::from_millis).map(|at| at.min(now)),
            None => {
                let marks: Option<Vec<_>> = partitions.iter().map(|p| p.complete_up_to).collect();
                marks.and_then(|marks| marks.into_iter().min())
            }
        };
        let lag_ms = complete_up_to.map(|at| now.millis() - at.millis());
        let judged = if source == SourceKey::Files { !follows_topics } else { !partitions.is_empty() };
        let totals = self.evidence.totals.get(&source).copied().unwrap_or_default();
        let open = self.evidence.letters.get(&source).map(Vec::as_slice).unwrap_or_default();
        let since = open.iter().map(|letters| letters.since_ms).min();
        let letters = since.map(|at| self.levels.of(Some((now.millis() - at).max(0))));
        let of_access = open.iter().filter_map(level_of).max();
        let lag = judged.then(|| self.levels.of(lag_ms));
        let time_to_breach_ms = match (files, complete_up_to) {
            (Some(files), Some(at)) if judged => {
                time_to_breach_ms(&files.marks, now.millis(), at.millis(), &self.levels)
            }
            _ => partitions.iter().filter_map(|partition| partition.time_to_breach_ms).min(),
        };
        SourceReport {
            level: lag.max(letters).max(of_access).unwrap_or(Level::Fresh),
            complete_up_to,
            lag_ms,
            time_to_breach_ms,
            records: totals.records,
            commits: totals.commits,
            parked: totals.parked,
            dead_lettered: totals.dead_lettered,
            open_letters: open.iter().map(|letters| letters.positions.len()).sum(),
            open_letters_since: since.and_then(Timestamp::from_millis),
            partitions,
            source,
        }
    }

    fn waiting_report(&self, waiting: Waiting) -> WaitingReport {
        let Waiting { rows, oldest, before_limit } = waiting;
        let level = if before_limit > 0 { Level::Warn } else { Level::Fresh };
        WaitingReport { rows, late: before_limit, oldest, level }
    }

    fn day_reports(&self, inputs: &Inputs<'_>) -> Vec<DayReport> {
        let today = inputs.now.millis().div_euclid(DAY_MS);
        if inputs.days <= 0 {
            return Vec::new();
        }
        let from = today.saturating_sub(inputs.days - 1);
        // What is followed has lagged on since its last commit.
        let known = self.evidence.days.range((from, first_key())..).map(|(k, v)| (k.clone(), v.clone()));
        let mut covered = EvidenceSummary {
            days: known.collect(),
            partitions: self.evidence.partitions.clone(),
            ..EvidenceSummary::default()
        };
        let (now, mut unknown) = (inputs.now.millis(), BTreeSet::new());
        for partition in inputs.partitions {
            let id = partition.stream.source(partition.partition);
            if covered.partitions.contains_key(&id) {
                covered.cover(&id, now);
            } else if partition.complete_up_to.is_none() {
                let Partition { stream, .. } = partition;
                let key = SourceKey::Topic { cluster: stream.cluster.clone(), topic: stream.topic.clone() };
                unknown.insert((today, key));
            }
        }
        if inputs.partitions.is_empty() {
            covered.cover("files", now);
        }
        unknown.extend(covered.unknown_days().map(|(day, key)| (day, key.clone())));
        for day in &unknown {
            covered.days.entry(day.clone()).or_default();
        }
        let rows = covered.days.iter().filter(|((day, _), _)| (from..=today).contains(day));
        let report = |(of, row): (&(i64, SourceKey), &SourceDay)| {
            (of.0, self.day_report(of, row, unknown.contains(of), now))
        };
        let mut days: Vec<_> = rows.map(report).collect();
        days.sort_by(|(a, _), (b, _)| b.cmp(a));
        days.into_iter().map(|(_, report)| report).collect()
    }

    fn day_report(
        &self,
        (day, key): &(i64, SourceKey),
        row: &SourceDay,
        is_unknown: bool,
        now_ms: i64,
    ) -> DayReport {
        let open =
            self.evidence.letters.get(key).into_iter().flatten().filter(|letters| letters.day() == *day);
        let (mut open_letters, mut open_late, mut open_oldest, mut of_access) = (0, 0, None, None);
        for letters in open {
            of_access = of_access.max(level_of(letters));
            open_letters += letters.positions.len();
            open_oldest = open_oldest.max(Some((now_ms - letters.since_ms).max(0)));
            // Put aside so long ago, it is late for certain.
            if now_ms - letters.at_ms > self.levels.breach_ms() {
                open_late += letters.positions.len();
            }
        }
        let lag = row.lag_worst_ms.map(|lag| self.levels.of(Some(lag)));
        let delay = row.delay_worst_ms.map(|delay| self.levels.of(Some(delay)));
        let unknown = is_unknown.then_some(Level::Breach);
        let open = open_oldest.map(|age| self.levels.of(Some(age)));
        let (late_least, late_most) = row.later_than(self.levels.breach_ms());
        let mean = row.delay_sum_ms.checked_div(i128::from(row.delay_count));
        DayReport {
            day: day_text(*day),
            source: key.clone(),
            level: lag.max(delay).max(unknown).max(open).max(of_access).unwrap_or(Level::Fresh),
            lag_worst_ms: row.lag_worst_ms,
            delay_worst_ms: row.delay_worst_ms,
            delay_mean_ms: mean.and_then(|mean| i64::try_from(mean).ok()),
            records: row.counts.records,
            commits: row.counts.commits,
            late_least: late_least + open_late,
            late_most: late_most + open_letters,
            parked: row.counts.parked,
            dead_lettered: row.counts.dead_lettered,
            open_letters,
            future: row.future,
            lost: row.lost,
            before_first_read: row.before_first_read,
            events: row.events.clone(),
            notes: row.notes.clone(),
            events_count: row.events_count,
        }
    }
}

/// No source comes before it.
fn first_key() -> SourceKey {
    SourceKey::Topic { cluster: String::new(), topic: String::new() }
}
