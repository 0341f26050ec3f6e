//! `freshness`: how fresh the tables are, a row a source, as coarse as the service tells it.

use crate::listed::{
    ColumnOf, Columns, Open, count, counts, number, numbers, text, texts, time, times, words, words_of,
};
use futures::stream::{self, StreamExt as _};
use gridtrail_freshness::{Freshness, Outward, Report, SourceReport};
use gridtrail_model::Timestamp;
use std::sync::Arc;

pub(crate) const COMMENT: &str = "How fresh the tables are: a row a source";

/// One source, and when it was looked at.
pub(crate) struct SourceAt {
    at: Timestamp,
    source: SourceReport,
}

pub(crate) static COLUMNS: Columns<SourceAt> = &[
    ColumnOf {
        name: "at",
        comment: "When this was so",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.at)),
    },
    ColumnOf {
        name: "source",
        comment: "The topic, or files",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.source.source.name())),
    },
    ColumnOf {
        name: "cluster",
        comment: "The cluster of the topic",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.source.source.cluster()).filter(|name| !name.is_empty())),
    },
    ColumnOf {
        name: "level",
        comment: "FRESH, WARN, CRITICAL or BREACH",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.source.level.to_string().to_uppercase())),
    },
    ColumnOf {
        name: "complete_up_to",
        comment: "Everything that was recorded before this time is in the tables, or is a dead letter or a gap that is told",
        kind: time,
        fill: |rows| times(rows, |row| row.source.complete_up_to),
    },
    ColumnOf {
        name: "lag_ms",
        comment: "How long ago that is",
        kind: number,
        fill: |rows| numbers(rows, |row| row.source.lag_ms),
    },
    ColumnOf {
        name: "time_to_breach_ms",
        comment: "How long until the lag breaches the duty at its present trend; none while it does not grow",
        kind: number,
        fill: |rows| numbers(rows, |row| row.source.time_to_breach_ms),
    },
    ColumnOf {
        name: "records",
        comment: "Records read since the lake began",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.source.records)),
    },
    ColumnOf {
        name: "commits",
        comment: "Commits since the lake began",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.source.commits)),
    },
    ColumnOf {
        name: "parked",
        comment: "Records that waited for their request when they came, as of the first look in this hour",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.source.parked)),
    },
    ColumnOf {
        name: "dead_lettered",
        comment: "Records that could not be read when they came",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.source.dead_lettered)),
    },
    ColumnOf {
        name: "open_dead_letters",
        comment: "Those of them that are neither replayed nor dismissed",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.source.open_letters)),
    },
    ColumnOf {
        name: "oldest_open_dead_letter",
        comment: "The hour from which the oldest of those counts",
        kind: time,
        fill: |rows| times(rows, |row| row.source.open_letters_since),
    },
];

/// What the tables' freshness is told by: reports, and what of them is told outwards.
#[derive(Debug, Clone)]
pub struct Freshened {
    /// Makes the reports.
    pub freshness: Arc<dyn Freshness>,
    /// Tells of them what everybody may know: one for all sessions of a process, for it tells some of it by the hour.
    pub outward: Arc<Outward>,
}

/// The sources, as everybody may know of them. There is none before the lake was looked at.
pub(crate) fn open(from: Freshened) -> Open<SourceAt> {
    Arc::new(move || {
        let report = from.freshness.report(1).map(|report| from.outward.of(report));
        let sources = report.into_iter().flat_map(|Report { at, sources, .. }| {
            sources.into_iter().map(move |source| SourceAt { at, source })
        });
        stream::iter([Ok(sources.collect())]).boxed()
    })
}
