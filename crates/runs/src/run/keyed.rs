//! Runs that are told by their first key column alone: for a table that is compacted by levels and buckets and whose log says nothing
//! else of its runs.

use crate::delta::checksum::Written;
use crate::delta::commit::NewFile;
use crate::delta::log::TableFile;
use crate::error::RunsError;
use crate::pages::cache::{OpenRun, RunCache};
use crate::run::bucket::{Bucket, KeyColumn};
use crate::run::compact::LevelRule;
use crate::run::index::{Run, RunFacts};
use crate::run::list::Listed;
use crate::run::merge::{Merge, MergeRule};
use crate::run::writer::Summary;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deltalake_core::Path;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A table whose rows are merged by a rule, and sorted into buckets by their first column.
#[derive(Debug, Clone, Copy)]
pub struct ByKey<R> {
    /// How rows are merged.
    pub rule: R,
    /// The number of the column that says when a row was, in milliseconds. `None`: rows have no time.
    pub time: Option<usize>,
}

impl<R: MergeRule + Clone + Sync + 'static> LevelRule for ByKey<R> {
    type Run = KeyedRun;
    type Rows = Merge<R>;
    type Summary = KeyedSummary;

    async fn rows(&self, cache: &RunCache, runs: Vec<Arc<OpenRun>>, _: bool) -> Result<Merge<R>, RunsError> {
        Merge::new(self.rule.clone(), cache, runs).await
    }

    fn summary(&self, month: Option<String>, bucket: Option<Bucket>, since_ms: Option<i64>) -> KeyedSummary {
        KeyedSummary::new(self.time, month, bucket, since_ms)
    }
}

/// What the log says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    rows: u64,
    /// The smallest and the largest key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<(String, String)>,
    /// The smallest and the largest time, where rows have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times_ms: Option<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
    /// Bytes at the end of the file that hold its footer, with all that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    footer_bytes: Option<u64>,
}

/// A run as the log lists it.
#[derive(Debug)]
pub struct KeyedRun {
    path: Path,
    /// Bytes at the end of the file that hold its footer.
    pub footer_bytes: Option<u64>,
    file: Arc<TableFile>,
    facts: RunFacts,
    keys: Option<(Vec<u8>, Vec<u8>)>,
    number: u64,
}

/// How many runs were listed.
static LISTED: AtomicU64 = AtomicU64::new(0);

impl KeyedRun {
    /// Tells it from all other runs that this process lists.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Listed for KeyedRun {
    fn listed(file: &Arc<TableFile>, path: Path) -> Result<Self, RunsError> {
        let read = || {
            let tag: Tag = serde_json::from_str(file.tag.as_deref()?).ok()?;
            let key = |text: &String| URL_SAFE_NO_PAD.decode(text).ok();
            let keys = match &tag.keys {
                Some((min, max)) => Some((key(min)?, key(max)?)),
                None => None,
            };
            Some((tag, keys))
        };
        let why = || "its log entry has no summary".to_owned();
        let (tag, keys) = read().ok_or_else(|| RunsError::Corrupt { path: file.path.clone(), why: why() })?;
        let facts = RunFacts {
            rows: tag.rows,
            times_ms: tag.times_ms.unwrap_or((i64::MIN, i64::MAX)),
            bucket: tag.bucket,
            since_ms: tag.since_ms,
        };
        let (file, number) = (Arc::clone(file), LISTED.fetch_add(1, Ordering::Relaxed));
        Ok(Self { path, footer_bytes: tag.footer_bytes, file, facts, keys, number })
    }

    fn bytes(&self) -> usize {
        let keys = self.keys.as_ref().map_or(0, |(min, max)| min.len() + max.len());
        size_of::<Self>() + self.path.as_ref().len() + keys + self.file.bytes()
    }
}

impl Run for KeyedRun {
    type Counts = ();

    fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> &Arc<TableFile> {
        &self.file
    }

    fn facts(&self) -> RunFacts {
        self.facts
    }

    fn footer_bytes(&self) -> Option<u64> {
        self.footer_bytes
    }

    fn spans(&self, key: &[u8]) -> bool {
        self.keys.as_ref().is_some_and(|(min, max)| min.as_slice() <= key && key <= max.as_slice())
    }

    fn count(&self, (): &mut (), _: bool) {}
}

/// What is to be said of a run, gathered while it is written.
#[derive(Debug)]
pub struct KeyedSummary {
    time: Option<usize>,
    month: Option<String>,
    keys: Option<(Vec<u8>, Vec<u8>)>,
    times_ms: Option<(i64, i64)>,
    rows: u64,
    bucket: Option<Bucket>,
    since_ms: Option<i64>,
}

impl KeyedSummary {
    /// Of a run of a month and bucket, with since when commits went into it; `time` is the number of the column that says when a row was.
    pub fn new(
        time: Option<usize>,
        month: Option<String>,
        bucket: Option<Bucket>,
        since_ms: Option<i64>,
    ) -> Self {
        Self { time, month, keys: None, times_ms: None, rows: 0, bucket, since_ms }
    }
}

impl Summary for KeyedSummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        self.rows += batch.num_rows() as u64;
        let keys = KeyColumn::of(batch)?;
        // Rows come in the order of their keys, those without one first.
        if let Some(last) = batch.num_rows().checked_sub(1).and_then(|row| keys.get(row)) {
            let first = || (0..batch.num_rows()).find_map(|row| keys.get(row)).unwrap_or(last).to_vec();
            let first = self.keys.take().map_or_else(first, |(first, _)| first);
            self.keys = Some((first, last.to_vec()));
        }
        let Some(time) = self.time else { return Ok(()) };
        let times = batch.columns().get(time).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
        let times = times.ok_or(RunsError::Internal("the column of times of a batch has none"))?;
        for at in times.iter().flatten() {
            let (min, max) = self.times_ms.unwrap_or((at, at));
            self.times_ms = Some((min.min(at), max.max(at)));
        }
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        let key = |key: Vec<u8>| URL_SAFE_NO_PAD.encode(key);
        let tag = Tag {
            rows: self.rows,
            keys: self.keys.map(|(min, max)| (key(min), key(max))),
            times_ms: self.times_ms,
            since_ms: self.since_ms,
            bucket: self.bucket,
            footer_bytes: written.tail.map(|tail| tail.bytes),
        };
        let tag =
            serde_json::to_string(&tag).map_err(|_| RunsError::Internal("a summary could not be written"))?;
        Ok(NewFile { path, written, month: self.month, rows: self.rows, tag, bounds: Vec::new() })
    }
}
