//! `dead_letters`: records that could not be read, for operators. They hold what anybody may have sent, so no Job Type Role leads to them.

use crate::error::ScanError;
use crate::listed::{
    ColumnOf, Columns, Open, bytes, bytes_of, count, counts, number, numbers, text, texts, time, times,
    words, words_of,
};
use datafusion::error::DataFusionError;
use futures::stream::{self, StreamExt as _};
use gridtrail_lake::{DeadLetter, Extent, Lake};
use std::sync::Arc;

pub(crate) const COMMENT: &str = "Records that could not be read, as they came";

pub(crate) static COLUMNS: Columns<DeadLetter> = &[
    ColumnOf {
        name: "source",
        comment: "The source and partition, as in the evidence of its commit",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.source.as_str())),
    },
    ColumnOf {
        name: "source_name",
        comment: "The file's path, or topic and partition",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.source_name.as_str())),
    },
    ColumnOf {
        name: "position",
        comment: "Where the record starts: the byte in a file, the offset in a topic",
        kind: number,
        fill: |rows| numbers(rows, |row| Some(row.position)),
    },
    ColumnOf {
        name: "read_at",
        comment: "When it was put aside",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.read_at)),
    },
    ColumnOf {
        name: "reason",
        comment: "Why it could not be read",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.reason.as_str())),
    },
    ColumnOf {
        name: "raw",
        comment: "The record, byte for byte; its beginning, where it was cut",
        kind: bytes,
        fill: |rows| bytes_of(rows, |row| Some(row.raw.as_ref())),
    },
    ColumnOf {
        name: "extent",
        comment: "whole, cut or unsaid: how much of the record is there",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(extent(row).0)),
    },
    ColumnOf {
        name: "record_bytes",
        comment: "The length of a record that was cut",
        kind: count,
        fill: |rows| counts(rows, |row| extent(row).1),
    },
    ColumnOf {
        name: "record_sha256",
        comment: "The SHA-256 of a record that was cut",
        kind: text,
        fill: |rows| texts(rows, |row| extent(row).2),
    },
    ColumnOf {
        name: "record_key",
        comment: "The record's key in its topic",
        kind: bytes,
        fill: |rows| bytes_of(rows, |row| row.key.as_deref()),
    },
];

const fn extent(letter: &DeadLetter) -> (&'static str, Option<u64>, Option<&String>) {
    match &letter.extent {
        Extent::Whole => ("whole", None, None),
        Extent::Cut { bytes, sha256 } => ("cut", Some(*bytes), Some(sha256)),
        Extent::Unsaid => ("unsaid", None, None),
    }
}

/// All dead letters, oldest file first: one file in memory at a time.
pub(crate) fn open(lake: Lake) -> Open<DeadLetter> {
    Arc::new(move || {
        let lake = lake.clone();
        let rows = stream::try_unfold(None, move |reader| {
            let lake = lake.clone();
            async move {
                let mut reader = match reader {
                    Some(reader) => reader,
                    None => lake.dead_letters().await.map_err(ScanError::from)?,
                };
                let letters = reader.next().await.map_err(ScanError::from)?;
                Ok::<_, DataFusionError>(letters.map(|letters| (letters, Some(reader))))
            }
        });
        rows.boxed()
    })
}
