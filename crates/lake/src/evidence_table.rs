//! The `commits` table: evidence copied out of the log, which is cleaned up long before anyone stops asking.

use crate::evidence::sha256;
use crate::retention;
use crate::tables::LakeTable;
use crate::verify::FileCheck;
use arrow::array::{ArrayRef, AsArray, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use gridtrail_runs::{Definition, Encoded, RunsError};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// The columns of the table: one row a commit of the main table and source, one with an empty source for a commit
/// that read none.
pub(crate) static COMMITS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("version", DataType::Int64, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, true),
        Field::new("from_position", DataType::Int64, true),
        Field::new("to_position", DataType::Int64, true),
        Field::new("evidence", DataType::Utf8, false),
    ]))
});

static TABLE: Definition = Definition {
    name: "commits",
    schema: &COMMITS,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[],
    layout: || WriterProperties::builder().build(),
    note: None,
    made_with: retention::made_with,
};

/// The table of evidence.
pub(crate) struct Commits;

#[async_trait]
impl LakeTable for Commits {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        let bytes = file.bytes().await?;
        let commits = read(bytes, file.file.tag.as_deref()).map_err(|why| file.corrupt(why))?;
        file.rows = commits.iter().map(|commit| commit.sources.len().max(1) as u64).sum();
        Ok(())
    }
}

/// What the log says of a file of evidence, beside its path and size.
#[derive(Serialize, Deserialize)]
struct Tag {
    /// SHA-256 over the file, in hexadecimal. Evidence is sealed piece by piece, but for what lies around it.
    sha256: Option<String>,
}

/// The tag of a file.
pub(crate) fn tag(bytes: &[u8]) -> String {
    // One text: writing it cannot fail.
    serde_json::to_string(&Tag { sha256: Some(sha256(bytes)) }).unwrap_or_default()
}

/// The evidence in a file, by the version of the commit. Errors: what is wrong with the file.
pub(crate) fn read(bytes: Bytes, tag: Option<&str>) -> Result<Vec<CommitEvidence>, String> {
    let tag = tag.and_then(|tag| serde_json::from_str::<Tag>(tag).ok());
    // Files of earlier versions have no hash.
    if tag.and_then(|tag| tag.sha256).is_some_and(|hash| hash != sha256(&bytes)) {
        return Err("it is not as it was written: its SHA-256 is another one".to_owned());
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    let mut commits: Vec<CommitEvidence> = Vec::new();
    for batch in reader.map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        let text = |at: usize| batch.column(at).as_string_opt::<i32>().ok_or("no text");
        let versions = batch.column(0).as_primitive_opt::<Int64Type>().ok_or("no version")?;
        let (kinds, details) = (text(1)?, text(5)?);
        for row in 0..batch.num_rows() {
            let version = u64::try_from(versions.value(row)).map_err(|_| "a version below zero")?;
            if commits.last().is_none_or(|commit| commit.version != version) {
                commits.push(CommitEvidence {
                    version,
                    kind: kinds.value(row).to_owned(),
                    sources: Vec::new(),
                });
            }
            // What is no JSON any more is kept as text: it was changed, and whoever proves with it must see that.
            let text = details.value(row);
            let source = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            if let (Some(commit), false) = (commits.last_mut(), source.is_null()) {
                commit.sources.push(source);
            }
        }
    }
    Ok(commits)
}

/// The evidence of one commit.
pub(crate) struct CommitEvidence {
    pub(crate) version: u64,
    pub(crate) kind: String,
    /// As they stand in the log, changed or not: whoever proves with them must see what is there.
    pub(crate) sources: Vec<Value>,
}

/// A file of evidence.
pub(crate) fn write(commits: &[CommitEvidence]) -> Result<(Encoded, u64), RunsError> {
    let (mut versions, mut froms, mut tos) = (Int64Builder::new(), Int64Builder::new(), Int64Builder::new());
    let (mut kinds, mut sources, mut details) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let mut rows = 0;
    let mut row = |commit: &CommitEvidence, source: Option<&Value>| {
        versions.append_value(commit.version.cast_signed());
        kinds.append_value(&commit.kind);
        sources.append_option(source.and_then(|s| s.get("source")?.as_str()));
        froms.append_option(source.and_then(|s| s.get("from")?.as_i64()));
        tos.append_option(source.and_then(|s| s.get("to")?.as_i64()));
        details.append_value(source.unwrap_or(&Value::Null).to_string());
        rows += 1;
    };
    for commit in commits {
        if commit.sources.is_empty() {
            row(commit, None);
        }
        for source in &commit.sources {
            row(commit, Some(source));
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(versions.finish()),
        Arc::new(kinds.finish()),
        Arc::new(sources.finish()),
        Arc::new(froms.finish()),
        Arc::new(tos.finish()),
        Arc::new(details.finish()),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&COMMITS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of evidence do not fit its schema"))?;
    Ok((Encoded::of(&TABLE, std::iter::once(Ok(batch)))?, rows))
}
