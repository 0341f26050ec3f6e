//! `commits`: what each commit read of each source, for operators.

use crate::error::{ScanError, TooLarge};
use crate::listed::{
    ColumnOf, Columns, Open, count, counts, flag, flags, number, numbers, text, texts, time, times, words,
    words_of,
};
use datafusion::error::DataFusionError;
use futures::stream::{self, StreamExt as _};
use gridtrail_lake::{Commit, Evidence, Lake, SourceEvidence};
use gridtrail_model::Timestamp;
use std::sync::Arc;

pub(crate) const COMMENT: &str =
    "The evidence of commits: what each read of each source, and what became of it";

/// Rows that are held while the evidence is read, which nobody else can do meanwhile. A lake has a row a commit and source.
const ROWS_MAX: usize = 500_000;

/// What one commit says of one source.
pub(crate) struct OfSource {
    version: u64,
    kind: String,
    /// `None`: it was changed since it was written.
    evidence: Option<Read>,
}

/// What the table has of a piece of evidence.
struct Read {
    source: String,
    name: String,
    from: i64,
    to: i64,
    records: u64,
    stored: u64,
    parked: u64,
    duplicates: u64,
    dead_lettered: u64,
    complete_up_to_ms: Option<i64>,
    committed_at_ms: i64,
    event: Option<String>,
}

impl OfSource {
    fn of(version: u64, kind: &str, evidence: Evidence) -> Self {
        let evidence = match evidence {
            Evidence::Whole(evidence) => Some(Read::of(*evidence)),
            Evidence::Broken(_) => None,
        };
        Self { version, kind: kind.to_owned(), evidence }
    }

    fn counted(&self, of: impl Fn(&Read) -> u64) -> Option<u64> {
        self.evidence.as_ref().map(of)
    }
}

impl Read {
    fn of(evidence: SourceEvidence) -> Self {
        Self {
            source: evidence.source,
            name: evidence.name,
            from: evidence.from,
            to: evidence.to,
            records: evidence.records,
            stored: evidence.stored,
            parked: evidence.parked,
            duplicates: evidence.duplicates,
            dead_lettered: evidence.dead_lettered,
            complete_up_to_ms: evidence.complete_up_to_ms,
            committed_at_ms: evidence.committed_at_ms,
            event: evidence.event,
        }
    }
}

fn at(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millis(millis)
}

pub(crate) static COLUMNS: Columns<OfSource> = &[
    ColumnOf {
        name: "version",
        comment: "The version that the commit made",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.version)),
    },
    ColumnOf {
        name: "kind",
        comment: "ingest, sweep, replay, dismissal, retention or repair",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.kind.as_str())),
    },
    ColumnOf {
        name: "is_whole",
        comment: "Whether the evidence is as it was written; what is not says nothing more",
        kind: flag,
        fill: |rows| flags(rows, |row| Some(row.evidence.is_some())),
    },
    ColumnOf {
        name: "committed_at",
        comment: "When, by the writer's clock",
        kind: time,
        fill: |rows| times(rows, |row| at(row.evidence.as_ref()?.committed_at_ms)),
    },
    ColumnOf {
        name: "source",
        comment: "The source and partition",
        kind: text,
        fill: |rows| texts(rows, |row| row.evidence.as_ref().map(|evidence| evidence.source.clone())),
    },
    ColumnOf {
        name: "source_name",
        comment: "The file's path, or topic and partition",
        kind: text,
        fill: |rows| texts(rows, |row| row.evidence.as_ref().map(|evidence| evidence.name.clone())),
    },
    ColumnOf {
        name: "position_from",
        comment: "Where the batch starts: byte of a file, offset of a partition",
        kind: number,
        fill: |rows| numbers(rows, |row| row.evidence.as_ref().map(|evidence| evidence.from)),
    },
    ColumnOf {
        name: "position_to",
        comment: "Where the next batch starts",
        kind: number,
        fill: |rows| numbers(rows, |row| row.evidence.as_ref().map(|evidence| evidence.to)),
    },
    ColumnOf {
        name: "records",
        comment: "Records read",
        kind: count,
        fill: |rows| counts(rows, |row| row.counted(|evidence| evidence.records)),
    },
    ColumnOf {
        name: "stored",
        comment: "Records that went into trails, or among the events of access",
        kind: count,
        fill: |rows| counts(rows, |row| row.counted(|evidence| evidence.stored)),
    },
    ColumnOf {
        name: "parked",
        comment: "Records that wait for their request",
        kind: count,
        fill: |rows| counts(rows, |row| row.counted(|evidence| evidence.parked)),
    },
    ColumnOf {
        name: "duplicates",
        comment: "Records that told nothing that others of the batch had not told",
        kind: count,
        fill: |rows| counts(rows, |row| row.counted(|evidence| evidence.duplicates)),
    },
    ColumnOf {
        name: "dead_lettered",
        comment: "Records that could not be read",
        kind: count,
        fill: |rows| counts(rows, |row| row.counted(|evidence| evidence.dead_lettered)),
    },
    ColumnOf {
        name: "complete_up_to",
        comment: "Everything that the source held at this time is in the lake with the commit",
        kind: time,
        fill: |rows| times(rows, |row| at(row.evidence.as_ref()?.complete_up_to_ms?)),
    },
    ColumnOf {
        name: "event",
        comment: "What a person must know of",
        kind: text,
        fill: |rows| texts(rows, |row| row.evidence.as_ref()?.event.clone()),
    },
];

/// The evidence of all commits, oldest first.
pub(crate) fn open(lake: Lake) -> Open<OfSource> {
    Arc::new(move || {
        let lake = lake.clone();
        let all = async move {
            let (mut rows, mut are_too_many) = (Vec::new(), false);
            let take = |Commit { version, kind, sources }: Commit| {
                rows.extend(sources.into_iter().map(|evidence| OfSource::of(version, &kind, evidence)));
                are_too_many |= rows.len() > ROWS_MAX;
                rows.truncate(ROWS_MAX);
            };
            lake.evidence(take).await.map_err(ScanError::from)?;
            if are_too_many {
                let why = format!(
                    "the evidence has more than {ROWS_MAX} rows; `gridtrail reconcile` goes through it"
                );
                return Err(TooLarge(why).into());
            }
            Ok::<_, DataFusionError>(rows)
        };
        stream::once(all).boxed()
    })
}
