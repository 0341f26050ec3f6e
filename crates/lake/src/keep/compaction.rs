//! Compaction and gathering: what the lake does for them. Which runs become fewer, and how, is the same for every table
//! ([`gridtrail_runs::plan`]).

use crate::error::LakeError;
use crate::keep::maintenance::Maintenance;
use crate::site::{Site, Wanted};
use crate::tables::registry::{self, side_files};
use crate::tables::table::{Arriving, Compacting, Gathering, LakeTable, Work, WorkPlace, Worked};
use crate::tables::trails::buckets_of;
use deltalake_core::Path;
use futures::{StreamExt, stream};
use gridtrail_model::Timestamp;
pub use gridtrail_runs::CompactionSettings;
use gridtrail_runs::{RunsError, Table};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Jobs that were committed.
    pub jobs: u64,
    /// Jobs whose runs another process had compacted meanwhile.
    pub overtaken: u64,
    /// Jobs that found a run of theirs damaged, and left it where it is: [`Lake::damaged_files`] names it.
    pub refused: u64,
    /// Runs that were taken away.
    pub runs_in: u64,
    /// Runs that were added.
    pub runs_out: u64,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Rows of which a fragment was moved to the time of the others: see [`Maintenance::unite`](crate::Maintenance::unite).
    pub rows_united: u64,
}

impl Maintenance {
    /// Carries out what compaction is due, until nothing is.
    ///
    /// Killed at any moment, or dropped, it leaves the lake as it was, or with a job done: what was written and not
    /// committed is seen by nobody. Errors: `Unavailable`, `Corrupt`; what was done before stays.
    pub async fn compact(&mut self, settings: &CompactionSettings) -> Result<Compacted, LakeError> {
        let mut done = Compacted::default();
        self.tables.refresh().await?;
        if settings.full || self.is_uniting_due() {
            done.rows_united = self.unite_or_put_off(settings).await?;
            self.tables.refresh().await?;
        }
        self.compact_tables(settings, &mut done).await?;
        self.gather().await?;
        Ok(done)
    }

    /// The same of rows as they lie: those at several times are not looked for.
    pub(crate) async fn compact_tables(
        &mut self,
        settings: &CompactionSettings,
        done: &mut Compacted,
    ) -> Result<(), LakeError> {
        for number in 0..registry::ALL.len() {
            self.compact_table(number, settings, done).await?;
        }
        Ok(())
    }

    /// Carries out what a table is due, until nothing is.
    async fn compact_table(
        &mut self,
        number: usize,
        settings: &CompactionSettings,
        done: &mut Compacted,
    ) -> Result<(), LakeError> {
        self.carry_out_all(number, settings, done, |table, of| table.compaction(of)).await
    }

    /// Carries out jobs on a table's runs, until there are none. `due` says which there are.
    pub(super) async fn carry_out_all(
        &mut self,
        number: usize,
        settings: &CompactionSettings,
        done: &mut Compacted,
        due: fn(&dyn LakeTable, &Compacting<'_>) -> Vec<Work>,
    ) -> Result<(), LakeError> {
        // Jobs have threads of their own, which go on when this is dropped, until they see that it was.
        let wanted = Wanted::default();
        let site = self.lake.site().clone();
        loop {
            let table = self.tables.each()[number].clone();
            let (trails, inventory) = (&self.tables.runs, &self.tables.inventory_runs);
            let of = Compacting {
                site: &site,
                buckets: buckets_of(&table),
                table: &table,
                trails,
                inventory,
                settings,
            };
            let jobs = due(registry::ALL[number], &of);
            if jobs.is_empty() {
                return Ok(());
            }
            let before = (done.jobs, done.refused);
            let mut making = stream::iter(jobs)
                .map(|job| make(job, site.clone(), table.clone(), *settings, wanted.watch()))
                .buffer_unordered(settings.jobs.max(1));
            while let Some((inputs, made)) = making.next().await {
                match made {
                    Ok(made) => {
                        let beside = side_files(&Arriving::placed(&made.moved))?;
                        self.tables.commit_beside(beside, site.now()).await?;
                        commit(self.tables.all().swap_remove(number), made, done).await?;
                    }
                    // The others go on without the damaged file.
                    Err(error) => {
                        site.leave_alone(error, &inputs.iter().collect::<Vec<_>>())?;
                        done.refused += 1;
                    }
                }
            }
            drop(making);
            self.lake.refresh().await?;
            self.tables.refresh().await?;
            if (done.jobs, done.refused) == before {
                // Others are at work on the same runs: leave them to it.
                return Ok(());
            }
        }
    }

    /// Keeps the small files of every table few.
    async fn gather(&mut self) -> Result<(), RunsError> {
        self.tables.refresh_all().await?;
        let runs = self.tables.runs.iter().chain(self.tables.waiting.iter());
        let oldest = runs.map(|run| run.summary.min_received_ms).min().and_then(Timestamp::from_millis);
        let now = self.now();
        for (of, table) in registry::ALL.iter().zip(self.tables.all()) {
            let (site, runtime) = (self.lake.site().clone(), tokio::runtime::Handle::current());
            let read = table.clone();
            let work =
                move || runtime.block_on(of.gather(&Gathering { site: &site, table: &read, now, oldest }));
            let made = self.lake.site().detached().spawn_blocking(work).await;
            let made = match made.map_err(|_| RunsError::Internal("gathering a table panicked"))? {
                // It is left alone from now on, and the others are gathered without it.
                Err(error @ RunsError::Corrupt { .. }) => {
                    let files = table.files();
                    let paths = files.iter().map(|file| table.full_path(&file.path));
                    let paths = paths.collect::<Result<Vec<_>, _>>()?;
                    self.lake.site().leave_alone(error, &paths.iter().collect::<Vec<_>>())?;
                    None
                }
                made => made?,
            };
            if let Some(changes) = made {
                // Another process may have been faster.
                table.commit_unless_moved(&changes).await?;
            }
        }
        Ok(())
    }
}

/// Carries out a job on a thread of its own. Gives the files that it read, and what it made.
async fn make(
    job: Work,
    site: Site,
    table: Table,
    settings: CompactionSettings,
    given_up: Arc<AtomicBool>,
) -> (Vec<Path>, Result<Worked, RunsError>) {
    let (runtime, detached, inputs) =
        (tokio::runtime::Handle::current(), site.detached().clone(), job.inputs.clone());
    let work = move || {
        let (runtime, site, table) = (&runtime, &site, &table);
        job.make(&WorkPlace { runtime, site, table, settings: &settings, given_up: &given_up })
    };
    let made = detached.spawn_blocking(work).await;
    (inputs, made.unwrap_or(Err(RunsError::Internal("a compaction panicked"))))
}

/// Commits what a job made, and counts it. A job that was overtaken is dropped: its files are seen by nobody.
async fn commit(table: &mut Table, made: Worked, done: &mut Compacted) -> Result<(), RunsError> {
    let changes = made.changes;
    if table.commit_unless_moved(&changes).await?.is_none() {
        done.overtaken += 1;
        return Ok(());
    }
    done.jobs += 1;
    done.rows_in += made.rows_in;
    done.runs_in += changes.remove.len() as u64;
    done.runs_out += changes.add.len() as u64;
    done.bytes_in += changes.remove.iter().map(|file| file.size).sum::<u64>();
    done.bytes_out += changes.add.iter().map(|file| file.written.size).sum::<u64>();
    done.rows_out += changes.add.iter().map(|file| file.rows).sum::<u64>();
    Ok(())
}
