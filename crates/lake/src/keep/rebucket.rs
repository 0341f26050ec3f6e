//! Another number of buckets: chosen first, then every month is written anew, one commit a month, and every other table that lies in buckets.
//!
//! A run says how many buckets there were when it was written, so look-ups are right at every moment in between, and so is
//! compaction, which makes new runs by the new number from the start.

use crate::error::LakeError;
use crate::keep::compaction::{Compacted, CompactionSettings};
use crate::keep::maintenance::Maintenance;
use crate::keep::rewrite::{self, MonthRewrite};
use crate::limits::BUCKETS_MAX;
use crate::rows::run::RunFile;
use crate::tables::registry::{ALL, side_files};
use crate::tables::table::Arriving;
use crate::tables::trails::BUCKETS_CHOSEN;
use gridtrail_runs::{Changes, Move, RunsError, Table};
use std::sync::Arc;

/// Has whatever writes runs of a table sort them into so many buckets from now on.
async fn choose(table: &mut Table, buckets: u32, now_ms: i64) -> Result<(), RunsError> {
    let from = table.position(BUCKETS_CHOSEN);
    if from != Some(buckets.into()) {
        let moves = vec![Move { app_id: BUCKETS_CHOSEN.to_owned(), from, to: buckets.into() }];
        table.commit(&Changes { moves, now_ms, ..Changes::default() }).await?;
    }
    Ok(())
}

impl Maintenance {
    /// Sorts the rows of every month, and of every other table that lies in buckets, into so many. Killed in between, it goes on where it is called again.
    ///
    /// Memory, threads and rate are those of the settings. Errors: `Settings` when there cannot be so many; `Unavailable`,
    /// `Corrupt`: months that were written anew stay so.
    pub async fn rebucket(
        &mut self,
        buckets: u32,
        settings: &CompactionSettings,
    ) -> Result<Compacted, LakeError> {
        if !(1..=BUCKETS_MAX).contains(&buckets) {
            return Err(LakeError::Buckets { buckets, most: BUCKETS_MAX });
        }
        self.tables.refresh().await?;
        let now_ms = self.now().millis();
        for (of, table) in ALL.iter().zip(self.tables.all()) {
            if of.is_in_buckets() {
                choose(table, buckets, now_ms).await?;
            }
        }
        let mut done = Compacted::default();
        loop {
            self.tables.refresh().await?;
            let site = self.lake.site();
            let whole = |run: &&Arc<RunFile>| !site.is_left_alone(&run.path);
            let months = self.tables.runs.months();
            let months = months.map(|(name, runs)| (name, runs.into_iter().filter(whole).collect()));
            let Some(job) = rewrite::with_other_buckets(months, buckets).into_iter().next() else { break };
            self.rebucket_month(job, settings, &mut done).await?;
            self.lake.refresh().await?;
        }
        for number in 0..ALL.len() {
            self.carry_out_all(number, settings, &mut done, |table, of| table.rebucketing(of)).await?;
        }
        Ok(done)
    }

    async fn rebucket_month(
        &mut self,
        job: MonthRewrite,
        settings: &CompactionSettings,
        done: &mut Compacted,
    ) -> Result<(), RunsError> {
        let moves = rewrite::fences(&job.month, job.inputs.iter(), &self.tables.trails);
        let inputs = job.inputs.clone();
        let made = match self.rewrite(job, settings).await {
            Ok(made) => made,
            // It keeps the number of buckets that it has, and the others of its month go on.
            Err(error) => {
                self.lake
                    .site()
                    .leave_alone(error, &inputs.iter().map(|run| &run.path).collect::<Vec<_>>())?;
                done.refused += 1;
                return Ok(());
            }
        };
        let beside = side_files(&Arriving::placed(&made.moved))?;
        self.tables.commit_beside(beside, self.lake.clock().now()).await?;
        let changes = Changes {
            add: made.files,
            remove: inputs.iter().map(|run| Arc::clone(&run.file)).collect(),
            moves,
            now_ms: self.lake.clock().now().millis(),
            ..Changes::default()
        };
        match self.tables.trails.commit_unless_moved(&changes).await? {
            // A compaction was faster: its runs are sorted the next time round.
            None => done.overtaken += 1,
            Some(_) => {
                done.jobs += 1;
                done.runs_in += changes.remove.len() as u64;
                done.runs_out += changes.add.len() as u64;
                done.rows_in += inputs.iter().map(|run| run.summary.rows).sum::<u64>();
                done.rows_out += made.rows_kept;
                done.bytes_in += changes.remove.iter().map(|file| file.size).sum::<u64>();
                done.bytes_out += changes.add.iter().map(|file| file.written.size).sum::<u64>();
            }
        }
        Ok(())
    }
}
