//! The `commits` table: evidence copied out of the log, which is cleaned up long before anyone stops asking.

use crate::error::LakeError;
use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
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

/// The evidence of one commit.
pub(crate) struct CommitEvidence {
    pub(crate) version: u64,
    pub(crate) kind: String,
    /// As they stand in the log, changed or not: whoever proves with them must see what is there.
    pub(crate) sources: Vec<Value>,
}

/// A file of evidence.
pub(crate) fn write(commits: &[CommitEvidence]) -> Result<(Bytes, u64), LakeError> {
    let failed = |_| LakeError::Internal("a file of evidence could not be encoded");
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
        .map_err(|_| LakeError::Internal("columns of a file of evidence do not fit its schema"))?;
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&COMMITS), None).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    Ok((writer.into_inner().map_err(failed)?.into(), rows))
}
