//! The answer as programs read it. The fields are an interface; what is not known is left out.

use crate::client::{some, time};
use gridtrail_proto::query::v1::{self as wire, FreshnessLevel};
use pbjson_types::Duration;
use serde::Serialize;

/// How fresh a server's answers are.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct FreshnessAnswer {
    /// When this was so.
    pub(crate) at: String,
    /// The worst level: "fresh", "warn", "critical" or "breach".
    pub(crate) level: String,
    /// What the sources held before this time can be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) complete_up_to: Option<String>,
    /// The version that searches are answered at.
    pub(crate) snapshot_version: String,
    /// Since it was last made sure that there is no newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot_age_seconds: Option<f64>,
    /// Where the levels begin.
    pub(crate) levels: LevelsRow,
    /// Topics, then files.
    pub(crate) sources: Vec<SourceRow>,
    /// Answers whose request is not on record.
    pub(crate) waiting: WaitingRow,
    /// The daily table, newest day first.
    pub(crate) days: Vec<DayRow>,
    /// Pieces of evidence that were changed since they were written.
    pub(crate) broken_evidence: u64,
    /// Why the server stays at its version though there is a newer one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) stopped: String,
}

/// Where the levels begin.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct LevelsRow {
    warn_seconds: Option<f64>,
    critical_seconds: Option<f64>,
    breach_seconds: Option<f64>,
}

/// A source.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct SourceRow {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<String>,
    pub(crate) level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) complete_up_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_breach_seconds: Option<f64>,
    pub(crate) records: u64,
    pub(crate) commits: u64,
    pub(crate) parked: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) open_dead_letters: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_open_dead_letter: Option<String>,
    pub(crate) partitions: Vec<PartitionRow>,
}

/// A partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct PartitionRow {
    pub(crate) partition: i32,
    pub(crate) level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) complete_up_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_breach_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) behind: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) committed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_stable_offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_stable_offset_time: Option<String>,
}

/// What waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct WaitingRow {
    pub(crate) level: String,
    pub(crate) rows: u64,
    pub(crate) late: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest: Option<String>,
}

/// A day of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct DayRow {
    pub(crate) day: String,
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<String>,
    pub(crate) level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag_worst_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt_to_queryable_worst_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt_to_queryable_mean_seconds: Option<f64>,
    pub(crate) records: u64,
    pub(crate) commits: u64,
    pub(crate) late_least: u64,
    pub(crate) late_most: u64,
    pub(crate) parked: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) open_dead_letters: u64,
    pub(crate) future: u64,
    pub(crate) lost: u64,
    pub(crate) before_first_read: u64,
    pub(crate) events: Vec<String>,
    pub(crate) events_count: u64,
}

impl FreshnessAnswer {
    /// Whether anything is at critical or breach, or at a level that this command does not know.
    pub(crate) fn is_stale(&self) -> bool {
        !matches!(self.level.as_str(), "fresh" | "warn")
    }
}

impl From<wire::GetFreshnessResponse> for FreshnessAnswer {
    fn from(said: wire::GetFreshnessResponse) -> Self {
        let level = level(said.level);
        let levels = said.levels.unwrap_or_default();
        Self {
            at: time(said.at).unwrap_or_default(),
            level,
            complete_up_to: time(said.complete_up_to),
            snapshot_version: said.snapshot_version,
            snapshot_age_seconds: seconds(said.snapshot_age),
            levels: LevelsRow {
                warn_seconds: seconds(levels.warn),
                critical_seconds: seconds(levels.critical),
                breach_seconds: seconds(levels.breach),
            },
            sources: said.sources.into_iter().map(SourceRow::from).collect(),
            waiting: WaitingRow::from(said.waiting.unwrap_or_default()),
            days: said.days.into_iter().map(DayRow::from).collect(),
            broken_evidence: said.broken_evidence,
            stopped: said.stopped,
        }
    }
}

impl From<wire::FreshnessSource> for SourceRow {
    fn from(source: wire::FreshnessSource) -> Self {
        Self {
            level: level(source.level),
            name: source.name,
            cluster: some(source.cluster),
            complete_up_to: time(source.complete_up_to),
            lag_seconds: seconds(source.lag),
            time_to_breach_seconds: seconds(source.time_to_breach),
            records: source.records,
            commits: source.commits,
            parked: source.parked,
            dead_lettered: source.dead_lettered,
            open_dead_letters: source.open_dead_letters,
            oldest_open_dead_letter: time(source.oldest_open_dead_letter),
            partitions: source.partitions.into_iter().map(PartitionRow::from).collect(),
        }
    }
}

impl From<wire::FreshnessPartition> for PartitionRow {
    fn from(partition: wire::FreshnessPartition) -> Self {
        Self {
            level: level(partition.level),
            partition: partition.partition,
            complete_up_to: time(partition.complete_up_to),
            lag_seconds: seconds(partition.lag),
            time_to_breach_seconds: seconds(partition.time_to_breach),
            position: partition.position,
            behind: partition.behind,
            committed_at: time(partition.committed_at),
            last_stable_offset: partition.last_stable_offset,
            last_stable_offset_time: time(partition.last_stable_offset_time),
        }
    }
}

impl From<wire::FreshnessWaiting> for WaitingRow {
    fn from(waiting: wire::FreshnessWaiting) -> Self {
        Self {
            level: level(waiting.level),
            rows: waiting.rows,
            late: waiting.late,
            oldest: time(waiting.oldest),
        }
    }
}

impl From<wire::FreshnessDay> for DayRow {
    fn from(day: wire::FreshnessDay) -> Self {
        Self {
            level: level(day.level),
            day: day.day,
            source: day.source,
            cluster: some(day.cluster),
            lag_worst_seconds: seconds(day.lag_worst),
            receipt_to_queryable_worst_seconds: seconds(day.receipt_to_queryable_worst),
            receipt_to_queryable_mean_seconds: seconds(day.receipt_to_queryable_mean),
            records: day.records,
            commits: day.commits,
            late_least: day.late_least,
            late_most: day.late_most,
            parked: day.parked,
            dead_lettered: day.dead_lettered,
            open_dead_letters: day.open_dead_letters,
            future: day.future,
            lost: day.lost,
            before_first_read: day.before_first_read,
            events: day.events,
            events_count: day.events_count,
        }
    }
}

fn level(number: i32) -> String {
    let name = match FreshnessLevel::try_from(number) {
        Ok(FreshnessLevel::Fresh) => "fresh",
        Ok(FreshnessLevel::Warn) => "warn",
        Ok(FreshnessLevel::Critical) => "critical",
        Ok(FreshnessLevel::Breach) => "breach",
        Ok(FreshnessLevel::Unspecified) | Err(_) => "unknown",
    };
    name.to_owned()
}

fn seconds(span: Option<Duration>) -> Option<f64> {
    // Whole milliseconds, which a double holds exactly for longer than any lake lasts.
    let millis = |span: Duration| span.seconds as f64 * 1_000.0 + f64::from(span.nanos / 1_000_000);
    span.map(|span| millis(span) / 1_000.0)
}
