//! `access_log`: the caller's own calls. Neither others' calls nor how many there are is in it: a row's place in its chain is left out.

use crate::error::ScanError;
use crate::listed::{
    ColumnOf, Columns, Open, count, counts, flag, flags, text, texts, time, times, words, words_of,
};
use datafusion::error::DataFusionError;
use futures::stream::{self, StreamExt as _};
use gridtrail_access::Access;
use gridtrail_access_log::{Entry, RowKind};
use gridtrail_lake::Lake;
use std::sync::Arc;

pub(crate) const COMMENT: &str = "Who asked for what: the caller's own calls, and statements";

pub(crate) static COLUMNS: Columns<Entry> = &[
    ColumnOf {
        name: "at",
        comment: "When it was answered",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.at)),
    },
    ColumnOf {
        name: "took_us",
        comment: "How long it took, in microseconds",
        kind: count,
        fill: |rows| counts(rows, |row| row.took_us),
    },
    ColumnOf {
        name: "peer",
        comment: "The address that it came from: a proxy's, where there is one",
        kind: text,
        fill: |rows| texts(rows, |row| row.peer.as_deref()),
    },
    ColumnOf {
        name: "call",
        comment: "Which call, such as AuditTrailService.Search",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.call.as_ref())),
    },
    ColumnOf {
        name: "outcome",
        comment: "The name of its gRPC status; CANCELLED where the caller went away first",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.outcome.as_ref())),
    },
    ColumnOf {
        name: "reason",
        comment: "The reason that was told",
        kind: words,
        fill: |rows| words_of(rows, |row| row.reason.as_deref()),
    },
    ColumnOf {
        name: "detail",
        comment: "What else there is to say: of a statement its text, without literals",
        kind: text,
        fill: |rows| texts(rows, |row| row.detail.as_deref()),
    },
    ColumnOf {
        name: "session",
        comment: "The session, by the digest that names it",
        kind: text,
        fill: |rows| texts(rows, |row| row.session.as_deref()),
    },
    ColumnOf {
        name: "roles",
        comment: "The Job Type Roles, separated by commas",
        kind: words,
        fill: |rows| words_of(rows, |row| row.roles.as_deref()),
    },
    ColumnOf {
        name: "key_kind",
        comment: "What kind of key was looked up; several, separated by commas",
        kind: words,
        fill: |rows| words_of(rows, |row| row.key_kind.as_deref()),
    },
    ColumnOf {
        name: "key",
        comment: "The key",
        kind: text,
        fill: |rows| texts(rows, |row| row.key.as_deref()),
    },
    ColumnOf {
        name: "variants",
        comment: "The Service Reference Variants that it was narrowed to, separated by commas",
        kind: text,
        fill: |rows| texts(rows, |row| row.variants.as_deref()),
    },
    ColumnOf {
        name: "period_from",
        comment: "The earliest receipt that was asked for",
        kind: time,
        fill: |rows| times(rows, |row| row.from),
    },
    ColumnOf { name: "period_to", comment: "The latest", kind: time, fill: |rows| times(rows, |row| row.to) },
    ColumnOf {
        name: "rows",
        comment: "Rows that left in the answer",
        kind: count,
        fill: |rows| counts(rows, |row| row.rows),
    },
    ColumnOf {
        name: "rows_of_others",
        comment: "Those of them that another User sent; of a statement, rows of others that it read",
        kind: count,
        fill: |rows| counts(rows, |row| row.rows_of_others),
    },
    ColumnOf {
        name: "page_size",
        comment: "Most rows of the page",
        kind: count,
        fill: |rows| counts(rows, |row| row.page_size),
    },
    ColumnOf {
        name: "later_page",
        comment: "Whether it was a page after the first",
        kind: flag,
        fill: |rows| flags(rows, |row| row.later_page),
    },
    ColumnOf {
        name: "version",
        comment: "The version of the lake that was read",
        kind: text,
        fill: |rows| texts(rows, |row| row.version.as_deref()),
    },
];

/// The calls of one caller, oldest first: of the same person or system of the same Party.
pub(crate) fn open(lake: Lake, who: Access) -> Open<Entry> {
    Arc::new(move || {
        let (lake, who) = (lake.clone(), who.clone());
        let rows = stream::try_unfold(None, move |reader| {
            let (lake, who) = (lake.clone(), who.clone());
            async move {
                let mut reader = match reader {
                    Some(reader) => reader,
                    None => lake.read_access_log(None, None).await.map_err(ScanError::from)?,
                };
                let Some(rows) = reader.next().await.map_err(ScanError::from)? else { return Ok(None) };
                let own = rows.into_iter().filter(|row| row.kind == RowKind::Call).map(|row| row.entry);
                let own: Vec<Entry> = own.filter(|entry| is_of(entry, &who)).collect();
                Ok::<_, DataFusionError>(Some((own, Some(reader))))
            }
        });
        rows.boxed()
    })
}

fn is_of(entry: &Entry, who: &Access) -> bool {
    entry.subject.as_deref() == Some(who.subject()) && entry.party.as_deref() == Some(who.party().as_str())
}
