//! The `commits` table: evidence copied out of the log, which is cleaned up long before anyone stops asking.
//!
//! The footer of each file says what its evidence comes to ([`EvidenceSummary`]), so that a start reads a tail a file and not every commit.
//! Nothing is ever taken out of the table: a proof begins at the first position of every source.

use crate::commit_evidence::{Commit, CommitEvidence};
use crate::evidence::sha256;
use crate::kept_for;
use crate::kept_for::KeptFor;
use crate::limits::EVIDENCE_FILE_BYTES;
use crate::rows::run;
use crate::tables::check::FileCheck;
use crate::tables::evidence_summary::EvidenceSummary;
use crate::tables::side_files::{self, batches};
use crate::tables::table::{Gathering, LakeTable};
use arrow::array::{ArrayRef, AsArray, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use gridtrail_runs::{
    Changes, Definition, Encoded, GatherNote, Note, NoteKind, RunCache, RunsError, Table, TableFile,
};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
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

/// The position in the `commits` table: the last version of the main table whose evidence was copied.
pub(crate) const COPIED: &str = "copied/trails";

static TABLE: Definition = Definition {
    name: "commits",
    schema: &COMMITS,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[],
    layout,
    note: Some(NOTE),
    made_with: kept_for::made_with,
};

/// The Parquet settings of a file of evidence.
fn layout() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(run::zstd())
        // No two pieces of evidence are the same.
        .set_column_dictionary_enabled("evidence".into(), false)
        .build()
}

/// The footer's name for the summary.
const KEY: &str = "gridtrail.evidence";

/// What the footer of a file says of its evidence.
const NOTE: NoteKind = NoteKind {
    gather: || Box::new(Summarising::default()),
    read: |metadata| match summary_of(metadata) {
        Ok(summary) => Ok(summary.map(|(summary, bytes)| Note::new(summary, bytes))),
        Err(_) => Err("the summary of its evidence cannot be read"),
    },
};

fn summary_of(metadata: &ParquetMetaData) -> Result<Option<(EvidenceSummary, usize)>, serde_json::Error> {
    let values = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let text = values.filter(|value| value.key == KEY).find_map(|value| value.value.as_deref());
    text.map(|text| Ok((serde_json::from_str(text)?, text.len()))).transpose()
}

/// Gathers the summary of a file while it is written.
#[derive(Default)]
struct Summarising {
    rows: CommitRows,
    summary: EvidenceSummary,
}

impl GatherNote for Summarising {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let summary = &mut self.summary;
        let done = self.rows.take(batch, |commit| drop(summary.take(&Commit::read(commit), None)));
        done.map_err(|_| RunsError::Internal("rows of evidence lack a column"))
    }

    fn end(&self) -> Result<KeyValue, RunsError> {
        let summary = ended(self.summary.clone(), self.rows.last.clone());
        let text = serde_json::to_string(&summary);
        let text = text.map_err(|_| RunsError::Internal("a summary of evidence could not be written"))?;
        Ok(KeyValue::new(KEY.to_owned(), text))
    }
}

/// The summary of a file, of which the last commit was not taken in yet.
fn ended(mut summary: EvidenceSummary, last: Option<CommitEvidence>) -> EvidenceSummary {
    last.into_iter().for_each(|commit| drop(summary.take(&Commit::read(commit), None)));
    summary.put_letters_together();
    summary
}

/// The table of evidence.
pub(crate) struct Commits;

#[async_trait]
impl LakeTable for Commits {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Ever
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        let (bytes, mut summary) = (file.bytes().await?, EvidenceSummary::default());
        let mut rows = 0;
        let read = read(bytes, file.file.tag.as_deref(), |commit| {
            rows += commit.sources.len().max(1) as u64;
            summary.take(&Commit::read(commit), None);
        });
        read.map_err(|why| file.corrupt(why))?;
        file.rows = rows;
        let opened = file.cache.open(file.table, (file.file, file.path), None).await?;
        let summary = ended(summary, None);
        match opened.note::<EvidenceSummary>() {
            Some(said) if *said != summary => Err(file.corrupt("its evidence does not come to its summary")),
            // Files of earlier versions have none.
            _ => Ok(()),
        }
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        let files = side_files::by_name(of.table);
        let Some(files) = of.consecutive(files, |file| file.size, EVIDENCE_FILE_BYTES).await? else {
            return Ok(None);
        };
        let mut parts = Vec::with_capacity(files.len());
        for (file, bytes) in &files {
            let path = of.table.full_path(&file.path)?;
            let corrupt = |why: String| RunsError::Corrupt { path: path.to_string(), why };
            check(bytes, file.tag.as_deref()).map_err(corrupt)?;
            let mut batches = batches(bytes.clone(), path.as_ref())?.peekable();
            let first = match batches.peek() {
                Some(Ok(batch)) => first_version(batch).ok_or_else(|| corrupt("no version".to_owned()))?,
                Some(Err(_)) | None => i64::MIN,
            };
            parts.push((first, batches));
        }
        // By their versions: earlier builds named files by clocks that may differ.
        parts.sort_by_key(|(first, _)| *first);
        let (mut rows, mut versions) = (0, Vec::<i64>::new());
        let all = parts.into_iter().flat_map(|(_, batches)| batches).map(
            |batch: Result<RecordBatch, RunsError>| {
                let columns = batch?.columns().to_vec();
                let batch = RecordBatch::try_new(Arc::clone(&COMMITS), columns);
                let batch = batch.map_err(|_| RunsError::Internal("evidence has other columns"))?;
                rows += batch.num_rows() as u64;
                versions.extend(batch.column(0).as_primitive::<Int64Type>().values());
                Ok(batch)
            },
        );
        let encoded = Encoded::of(&TABLE, all)?;
        if !versions.is_sorted() {
            let path = files.first().map(|(file, _)| of.table.full_path(&file.path)).transpose()?;
            let path = path.map(|path| path.to_string()).unwrap_or_default();
            return Err(RunsError::Corrupt { path, why: "others hold evidence of its commits".to_owned() });
        }
        let span = versions.first().zip(versions.last()).map(|(first, last)| (*first, *last));
        let tag = tag(&encoded.bytes, span.map(|(a, b)| (a.cast_unsigned(), b.cast_unsigned())));
        let files = files.into_iter().map(|(file, _)| file).collect();
        of.replace(files, (encoded, rows, tag)).await.map(Some)
    }
}

fn first_version(batch: &RecordBatch) -> Option<i64> {
    batch.columns().first()?.as_primitive_opt::<Int64Type>()?.values().first().copied()
}

/// What the log says of a file of evidence, beside its path and size.
#[derive(Default, Serialize, Deserialize)]
struct Tag {
    /// SHA-256 over the file, in hexadecimal. Evidence is sealed piece by piece, but for what lies around it.
    sha256: Option<String>,
    /// The versions of its first and last commit. Files of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    versions: Option<(u64, u64)>,
}

/// The tag of a file.
pub(crate) fn tag(bytes: &[u8], versions: Option<(u64, u64)>) -> String {
    // Text and numbers: writing them cannot fail.
    serde_json::to_string(&Tag { sha256: Some(sha256(bytes)), versions }).unwrap_or_default()
}

fn tag_of(tag: Option<&str>) -> Tag {
    tag.and_then(|tag| serde_json::from_str(tag).ok()).unwrap_or_default()
}

/// A file of the table.
pub(crate) struct EvidenceFile {
    pub(crate) file: Arc<TableFile>,
    /// The versions of its first and last commit. Those of earlier versions do not say.
    pub(crate) versions: Option<(u64, u64)>,
}

/// The files of the table, in the order of their commits.
pub(crate) fn in_order(table: &Table) -> impl Iterator<Item = EvidenceFile> + use<> {
    let files = side_files::by_name(table).into_iter();
    files.map(|file| EvidenceFile { versions: tag_of(file.tag.as_deref()).versions, file })
}

/// What the footer of a file says that its evidence comes to. `None`: it says nothing, or is damaged.
pub(crate) async fn summary(
    cache: &RunCache,
    table: &Table,
    file: &TableFile,
) -> Result<Option<EvidenceSummary>, RunsError> {
    let path = table.full_path(&file.path)?;
    match cache.open(table.definition(), (file, &path), None).await {
        Ok(opened) => Ok(opened.note::<EvidenceSummary>().cloned()),
        Err(RunsError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses bytes that are not those of the file.
fn check(bytes: &[u8], tag: Option<&str>) -> Result<(), String> {
    // Files of earlier versions have no hash.
    if tag_of(tag).sha256.is_some_and(|hash| hash != sha256(bytes)) {
        return Err("it is not as it was written: its SHA-256 is another one".to_owned());
    }
    Ok(())
}

/// Shows the evidence in a file, by the version of the commit. Errors: what is wrong with the file; nothing of one that is not as it was
/// written was shown then.
pub(crate) fn read(
    bytes: Bytes,
    tag: Option<&str>,
    mut show: impl FnMut(CommitEvidence),
) -> Result<(), String> {
    check(&bytes, tag)?;
    let mut rows = CommitRows::default();
    for batch in batches(bytes, "").map_err(|error| error.to_string())? {
        rows.take(&batch.map_err(|error| error.to_string())?, &mut show)?;
    }
    rows.last.into_iter().for_each(show);
    Ok(())
}

/// Puts commits together from their rows.
#[derive(Default)]
struct CommitRows {
    /// The commit of the last row: it may have more.
    last: Option<CommitEvidence>,
}

impl CommitRows {
    /// Takes in rows, and shows the commits that are whole with them.
    fn take(
        &mut self,
        batch: &RecordBatch,
        mut show: impl FnMut(CommitEvidence),
    ) -> Result<(), &'static str> {
        let column = |at: usize| batch.columns().get(at);
        let text = |at: usize| column(at).and_then(|column| column.as_string_opt::<i32>()).ok_or("no text");
        let versions = column(0).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let versions = versions.ok_or("no version")?;
        let (kinds, details) = (text(1)?, text(5)?);
        for row in 0..batch.num_rows() {
            let version = u64::try_from(versions.value(row)).map_err(|_| "a version below zero")?;
            if self.last.as_ref().is_none_or(|commit| commit.version != version) {
                let kind = kinds.value(row).to_owned();
                self.last.replace(CommitEvidence { version, kind, sources: Vec::new() }).map(&mut show);
            }
            // What is no JSON any more is kept as text: it was changed, and whoever proves with it must see that.
            let text = details.value(row);
            let source = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            if let (Some(commit), false) = (self.last.as_mut(), source.is_null()) {
                commit.sources.push(source);
            }
        }
        Ok(())
    }
}

/// A file of evidence, with its rows and its tag.
pub(crate) fn write(commits: &[CommitEvidence]) -> Result<(Encoded, u64, String), RunsError> {
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
    let encoded = Encoded::of(&TABLE, std::iter::once(Ok(batch)))?;
    let span = commits.first().zip(commits.last()).map(|(first, last)| (first.version, last.version));
    let tag = tag(&encoded.bytes, span);
    Ok((encoded, rows, tag))
}
