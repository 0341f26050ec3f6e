//! What a lake holds and what is due, from its logs alone: no file is read.

use crate::error::LakeError;
use crate::keep::maintenance::Maintenance;
use crate::keep::retention::Expiring;
use crate::kept_for::months_of;
use crate::lake::Lake;
use crate::rows::run::RunFile;
use crate::stopped::StoppedAt;
use crate::tables::holds;
use gridtrail_model::Timestamp;
use gridtrail_runs::{CompactionSettings, RunsError, Windows, plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a lake holds, and what is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeStatus {
    /// Each table.
    pub tables: Vec<TableStatus>,
    /// Each month of the main table that holds any run, oldest first.
    pub months: Vec<MonthStatus>,
    /// Into how many buckets a month is sorted.
    pub buckets: u32,
    /// Compactions that are due.
    pub compactions_due: u64,
    /// Months that records are kept for.
    pub retention_months: u32,
    /// Months from which retention would take rows now.
    pub expiring: Vec<Expiring>,
    /// Legal holds in force.
    pub holds: u64,
    /// For how long what was is kept, in the main table.
    pub windows: Windows,
    /// Entries of logs that are not ours, or damaged, so that nothing is answered from them nor from what lies behind them.
    pub stopped: Vec<StoppedAt>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStatus {
    /// Its name.
    pub name: &'static str,
    /// The format that it is of.
    pub format: u32,
    /// The format that this build writes.
    pub newest_format: u32,
    /// Its newest version.
    pub version: u64,
    /// Files that the version names.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, where the log says: of a row's fragments each counts.
    pub rows: Option<u64>,
}

/// A month of the main table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MonthStatus {
    /// The month, as `2026-03`.
    pub month: String,
    /// Runs of level 0.
    pub level_0: u64,
    /// Runs of buckets.
    pub bucketed: u64,
    /// The most runs that any bucket has.
    pub bucket_max: u64,
    /// Rows: of a row's fragments each counts.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// The oldest placement time.
    pub oldest: Option<Timestamp>,
    /// The newest placement time.
    pub newest: Option<Timestamp>,
}

impl Maintenance {
    /// What the lake holds, and what is due. Cost: what is new in the logs, and the table of holds.
    ///
    /// Errors: `Unavailable`, `Settings` when a window cannot be read.
    pub async fn status(&mut self) -> Result<LakeStatus, LakeError> {
        for table in self.tables.all() {
            table.refresh().await?;
        }
        self.tables.index()?;
        let stopped: Vec<_> =
            self.tables.all().into_iter().filter_map(|table| StoppedAt::of(table)).collect();
        // Of a lake that is not whole, nothing is due: nothing would be done.
        let (expiring, holds) = if stopped.is_empty() {
            (self.expiring().await?, holds::read_all(self.lake.site(), &mut self.tables.holds).await?)
        } else {
            (Vec::new(), Vec::new())
        };
        let rows =
            BTreeMap::from([("trails", self.tables.runs.rows()), ("parked", self.tables.waiting.rows())]);
        let tables = self.tables.each().into_iter().map(|table| {
            let files = table.files();
            Ok(TableStatus {
                name: table.name(),
                format: table.format()?,
                newest_format: table.definition().format,
                version: table.version(),
                files: files.len() as u64,
                bytes: files.iter().map(|file| file.size).sum(),
                rows: rows.get(table.name()).copied(),
            })
        });
        let (tables, trails) = (tables.collect::<Result<_, RunsError>>()?, &self.tables.trails);
        let (buckets, now) = (self.tables.buckets(), self.now());
        let sizes = (buckets, CompactionSettings::default().merged_runs());
        let due = plan::plan(self.tables.runs.iter(), sizes, now.millis(), |id| trails.position(id));
        Ok(LakeStatus {
            tables,
            months: self.tables.runs.months().map(|(name, runs)| MonthStatus::of(name, &runs)).collect(),
            buckets,
            compactions_due: due.len() as u64,
            retention_months: months_of(trails),
            expiring,
            holds: holds.iter().filter(|hold| hold.released.is_none()).count() as u64,
            windows: Windows::of(trails)?,
            stopped,
        })
    }
}

impl Lake {
    /// The most runs that any month of the main table has in level 0, and that any bucket of one has, at the newest snapshot. Cost: a
    /// look at each month, however many runs there are.
    pub fn most_runs(&self) -> (usize, usize) {
        self.snapshot().trails.most_runs()
    }
}

impl MonthStatus {
    fn of(name: &str, runs: &[&Arc<RunFile>]) -> Self {
        let mut status = Self { month: name.to_owned(), ..Self::default() };
        let mut buckets: BTreeMap<_, u64> = BTreeMap::new();
        for run in runs {
            let summary = &run.summary;
            match summary.bucket {
                Some(bucket) => *buckets.entry(bucket).or_default() += 1,
                None => status.level_0 += 1,
            }
            status.rows += summary.rows;
            status.bytes += run.file.size;
            let (oldest, newest) =
                [summary.min_received_ms, summary.max_received_ms].map(Timestamp::from_millis).into();
            status.oldest = status.oldest.into_iter().chain(oldest).min();
            status.newest = status.newest.max(newest);
        }
        status.bucketed = buckets.values().sum();
        status.bucket_max = buckets.into_values().max().unwrap_or(0);
        status
    }
}
