//! Copying evidence out of the log, which is cleaned up long before anyone stops asking.

use crate::commit_evidence::{CommitEvidence, evidence_of};
use crate::error::LakeError;
use crate::keep::maintenance::Maintenance;
use crate::limits::COPIED_AT_ONCE;
use crate::tables::commits::{self, COPIED};
use crate::tables::side_files;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_runs::{Changes, LOG_READS_AT_ONCE, Move, NewFile, RunsError};
use std::ops::RangeInclusive;

impl Maintenance {
    /// Copies the evidence of commits since the last copy into the `commits` table. Returns how many commits.
    ///
    /// Memory: the evidence of [`COPIED_AT_ONCE`] versions. Errors: `PositionMoved` when another process copied it first.
    pub async fn copy_evidence(&mut self) -> Result<u64, LakeError> {
        self.tables.trails.refresh().await?;
        self.tables.commits.refresh().await?;
        let (newest, mut copied) = (self.tables.trails.version(), 0);
        loop {
            let from = self.tables.commits.position(COPIED);
            let first = from.map_or(0, |copied| u64::try_from(copied).unwrap_or(0) + 1);
            if first > newest {
                return Ok(copied);
            }
            let last = newest.min(first + (COPIED_AT_ONCE - 1));
            copied += self.copy_versions(first..=last, from).await?;
        }
    }

    /// Copies the evidence of some versions. Returns how many commits.
    pub(crate) async fn copy_versions(
        &mut self,
        versions: RangeInclusive<u64>,
        from: Option<i64>,
    ) -> Result<u64, RunsError> {
        let (trails, last) = (&self.tables.trails, *versions.end());
        let read = |version: u64| async move {
            let entry = trails.log_entry(version).await?;
            let entry = entry.ok_or_else(|| RunsError::VersionGone { version: version.to_string() })?;
            Ok::<_, RunsError>(evidence_of(version, &entry))
        };
        let read: Vec<_> = stream::iter(versions).map(read).buffered(LOG_READS_AT_ONCE).try_collect().await?;
        let read: Vec<CommitEvidence> = read.into_iter().flatten().collect();
        let mut add = Vec::new();
        if !read.is_empty() {
            let (encoded, rows, tag) = commits::write(&read)?;
            let path = side_files::named_last(&self.tables.commits);
            let written = self.tables.commits.upload_encoded(&path, encoded).await?;
            add.push(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() });
        }
        let moves = vec![Move { app_id: COPIED.to_owned(), from, to: last.cast_signed() }];
        let now_ms = self.lake.clock().now().millis();
        self.tables.commits.commit(&Changes { add, moves, now_ms, ..Changes::default() }).await?;
        Ok(read.len() as u64)
    }
}
