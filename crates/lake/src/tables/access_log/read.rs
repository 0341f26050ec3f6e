//! Reading the log as a whole: for operators, and for SQL, which keeps of it the caller's own calls.

use super::{LogRule, LogSummary, rows};
use crate::error::LakeError;
use crate::site::Site;
use gridtrail_access_log::Row;
use gridtrail_model::Timestamp;
use gridtrail_runs::{Merge, RunCache, RunsError, Table, TableFile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads the access log in order of time. Memory: a batch of each file of a month.
pub struct LogReader {
    site: Site,
    table: Table,
    span: (Option<Timestamp>, Option<Timestamp>),
    /// The next is the last.
    months: Vec<Vec<Arc<TableFile>>>,
    merge: Option<Merge<LogRule>>,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader").field("span", &self.span).finish_non_exhaustive()
    }
}

impl LogReader {
    /// Of the rows that lie between two times, both included. Errors: `Unavailable`.
    pub(crate) async fn new(
        site: Site,
        mut table: Table,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<Self, LakeError> {
        table.refresh().await?;
        table.check_whole()?;
        let mut months: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for file in table.files() {
            let outside = LogSummary::of(&file).is_some_and(|summary| {
                from.is_some_and(|from| summary.max_at_ms < from.millis())
                    || to.is_some_and(|to| summary.min_at_ms > to.millis())
            });
            if !outside {
                months.entry(file.month.clone()).or_default().push(file);
            }
        }
        let months = months.into_values().rev().collect();
        Ok(Self { site, table, span: (from, to), months, merge: None })
    }

    /// The next rows; `None` after the last. Errors: `Unavailable`, `Corrupt`.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, LakeError> {
        loop {
            let merge = match &mut self.merge {
                Some(merge) => merge,
                None => {
                    let Some(files) = self.months.pop() else { return Ok(None) };
                    let merge = merged(self.site.cache(), &self.table, &files).await?;
                    self.merge.insert(merge)
                }
            };
            let Some(batch) = merge.next().await? else {
                self.merge = None;
                continue;
            };
            let (from, to) = self.span;
            let mut rows = rows(&batch, super::NAME)?;
            rows.retain(|row| {
                from.is_none_or(|from| row.entry.at >= from) && to.is_none_or(|to| row.entry.at <= to)
            });
            return Ok(Some(rows));
        }
    }
}

/// The rows of files, in order.
pub(crate) async fn merged(
    cache: &RunCache,
    table: &Table,
    files: &[Arc<TableFile>],
) -> Result<Merge<LogRule>, RunsError> {
    let mut runs = Vec::with_capacity(files.len());
    for file in files {
        runs.push(cache.open_to_rewrite(table, file).await?);
    }
    Merge::new(LogRule, cache, runs).await
}
