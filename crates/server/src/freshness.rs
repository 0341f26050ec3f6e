//! From a report of freshness to its message.

use crate::freshness_page::page_of;
use crate::limits::FRESHNESS_DAYS_DEFAULT;
use crate::row::wire_time;
use crate::status::CallError;
use gridtrail_freshness::{
    DAYS_KEPT, DayReport, Freshness, Level, Levels, PartitionReport, Report, SourceKey, SourceReport,
    WaitingReport,
};
use gridtrail_model::Timestamp;
use gridtrail_proto::query::v1;
use gridtrail_search::SearchError;

/// The message of a report, with all that stands in it: what a server tells callers is made of [`gridtrail_freshness::Outward`].
pub fn freshness_response(report: Report) -> v1::GetFreshnessResponse {
    v1::GetFreshnessResponse {
        at: Some(wire_time(report.at)),
        level: wire_level(report.level).into(),
        levels: Some(wire_levels(report.levels)),
        complete_up_to: report.complete_up_to.map(wire_time),
        snapshot_version: report.version,
        snapshot_age: Some(wire_span(report.confirmed_ago_ms)),
        sources: report.sources.into_iter().map(source).collect(),
        waiting: Some(waiting(report.waiting)),
        days: report.days.into_iter().map(day).collect(),
        broken_evidence: report.broken_evidence,
        stopped: report.stopped.unwrap_or_default(),
        next_page_token: String::new(),
    }
}

/// The page of freshness that is asked for, of what is told of a report.
///
/// Errors: `Invalid`, `NotReady`.
pub(crate) fn freshness_page(
    freshness: &dyn Freshness,
    asked: &v1::GetFreshnessRequest,
    told: impl FnOnce(Report) -> Report,
) -> Result<v1::GetFreshnessResponse, CallError> {
    let days = match asked.days {
        0 => FRESHNESS_DAYS_DEFAULT.into(),
        days => i64::from(days),
    };
    if days > DAYS_KEPT {
        return Err(SearchError::invalid("days", format!("at most {DAYS_KEPT}; found {days}")).into());
    }
    let report = freshness.report(days).ok_or(CallError::NotReady)?;
    page_of(freshness_response(told(report)), &asked.page_token)
}

fn source(report: SourceReport) -> v1::FreshnessSource {
    let (name, cluster) = names(&report.source);
    v1::FreshnessSource {
        name,
        cluster,
        level: wire_level(report.level).into(),
        complete_up_to: report.complete_up_to.map(wire_time),
        lag: report.lag_ms.map(wire_span),
        time_to_breach: report.time_to_breach_ms.map(wire_span),
        records: report.records,
        commits: report.commits,
        parked: report.parked,
        dead_lettered: report.dead_lettered,
        open_dead_letters: report.open_letters,
        oldest_open_dead_letter: report.open_letters_since.map(wire_time),
        partitions: report.partitions.into_iter().map(partition).collect(),
    }
}

fn names(source: &SourceKey) -> (String, String) {
    (source.name().to_owned(), source.cluster().to_owned())
}

fn partition(report: PartitionReport) -> v1::FreshnessPartition {
    v1::FreshnessPartition {
        partition: report.partition,
        level: wire_level(report.level).into(),
        complete_up_to: report.complete_up_to.map(wire_time),
        lag: report.lag_ms.map(wire_span),
        time_to_breach: report.time_to_breach_ms.map(wire_span),
        position: report.position,
        behind: report.behind,
        committed_at: report.committed_at.map(wire_time),
        last_stable_offset: report.open_transaction.map(|open| open.last_stable),
        last_stable_offset_time: report
            .open_transaction
            .and_then(|open| Timestamp::from_millis(open.record_ms?))
            .map(wire_time),
    }
}

fn waiting(report: WaitingReport) -> v1::FreshnessWaiting {
    v1::FreshnessWaiting {
        rows: report.rows,
        late: report.late,
        oldest: report.oldest.map(wire_time),
        level: wire_level(report.level).into(),
    }
}

fn day(report: DayReport) -> v1::FreshnessDay {
    let (source, cluster) = names(&report.source);
    v1::FreshnessDay {
        day: report.day,
        source,
        cluster,
        level: wire_level(report.level).into(),
        lag_worst: report.lag_worst_ms.map(wire_span),
        receipt_to_queryable_worst: report.delay_worst_ms.map(wire_span),
        receipt_to_queryable_mean: report.delay_mean_ms.map(wire_span),
        records: report.records,
        commits: report.commits,
        late_least: report.late_least,
        late_most: report.late_most,
        parked: report.parked,
        dead_lettered: report.dead_lettered,
        open_dead_letters: report.open_letters,
        future: report.future,
        lost: report.lost,
        before_first_read: report.before_first_read,
        events: report.events.into_iter().chain(report.notes).collect(),
        events_count: report.events_count,
    }
}

const fn wire_level(level: Level) -> v1::FreshnessLevel {
    match level {
        Level::Fresh => v1::FreshnessLevel::Fresh,
        Level::Warn => v1::FreshnessLevel::Warn,
        Level::Critical => v1::FreshnessLevel::Critical,
        Level::Breach => v1::FreshnessLevel::Breach,
    }
}

fn wire_levels(levels: Levels) -> v1::FreshnessLevels {
    v1::FreshnessLevels {
        warn: Some(wire_span(levels.warn_ms())),
        critical: Some(wire_span(levels.critical_ms())),
        breach: Some(wire_span(levels.breach_ms())),
    }
}

pub(crate) fn wire_span(millis: i64) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: millis / 1000,
        // Less than a thousand milliseconds, so under 10^9 nanoseconds; of the sign of the seconds, as the type wants.
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or_default(),
    }
}
