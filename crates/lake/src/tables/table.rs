//! What the lake does with a table, beside what the table is: and what each of those jobs has to work with.
//!
//! A job gets what it needs and no more: the site, its own table, and what it asks of the rest. None knows the list of all tables.

use crate::error::LakeError;
use crate::kept_for::{KeptFor, Went};
use crate::limits::IDLE_MONTH_MS;
use crate::rows::index::RunIndex;
use crate::site::Site;
use crate::tables::check::FileCheck;
use crate::tables::fates::Fates;
use crate::tables::hold::ActiveHold;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use deltalake_core::Path;
use futures::future::BoxFuture;
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_inventory::{InventoryEvent, PendingPart};
use gridtrail_model::{Fragment, Named, Timestamp};
use gridtrail_runs::{
    Changes, CompactionSettings, Definition, Encoded, Job, KeyedFiles, KeyedRun, LevelRule, MergeRule, Move,
    NewFile, Rows, Run, RunCache, RunsError, Summary, Table, TableFile, carry_out, copy, gather, plan,
};
use gridtrail_schedules::ScheduleEvent;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What the lake does with a table.
#[async_trait]
pub(crate) trait LakeTable: Sync {
    /// What the table is.
    fn definition(&self) -> &'static Definition;

    /// Whether look-ups go by its first column alone, and read it before they know where rows lie.
    fn is_keyed(&self) -> bool {
        false
    }

    /// Whether look-ups read it, so that a snapshot holds on to a version of it.
    fn is_looked_up(&self) -> bool {
        self.is_keyed()
    }

    /// Whether earlier builds made lakes without it: then whoever may write makes it when the lake is opened.
    fn came_later(&self) -> bool {
        false
    }

    /// What goes into it with fragments, committed before the rows are: a repeat of it must change nothing. `None`: nothing does.
    fn rows_of(&self, _: &Arriving<'_>) -> Result<Option<SideFile>, RunsError> {
        Ok(None)
    }

    /// Reads a file of it from front to back, counts its rows and holds them against what they must be.
    ///
    /// Errors: `Corrupt` says the first thing that is wrong.
    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError>;

    /// For how long it keeps its rows.
    fn kept_for(&self) -> KeptFor;

    /// Lets rows go that are to be kept no longer; with `dry` none, and only says what would go. A table that keeps its rows for ever is not
    /// asked, nor is the main one, whose rows are what the others go by.
    ///
    /// Any number of processes may do so at once, and be killed at any moment: what is to go goes, or is looked at again the next time.
    async fn expire(&self, _: &mut Expiry<'_>) -> Result<Went, LakeError> {
        Ok(Went::default())
    }

    /// What a row of the main table names and ought to be found by, and is not, as far as that is up to this table. `None`: nothing.
    async fn missed(&self, _: (&RunCache, &KeyedFiles), _: &Fragment) -> Result<Option<Named>, RunsError> {
        Ok(None)
    }

    /// What makes its small files fewer, up to the commit. `None`: they are few, or it is not gathered.
    async fn gather(&self, _: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        Ok(None)
    }

    /// The jobs that make its runs fewer, of a table that is compacted by levels and buckets: [`Compacting::by_levels`].
    fn compaction(&self, _: &Compacting<'_>) -> Vec<Work> {
        Vec::new()
    }

    /// The jobs that sort its rows into another number of buckets, of a table that is compacted by levels: [`Compacting::by_buckets`]. The main
    /// one has its own way, which goes by months.
    fn rebucketing(&self, _: &Compacting<'_>) -> Vec<Work> {
        Vec::new()
    }

    /// Whether it is compacted by levels and buckets, as the main one is.
    fn is_in_buckets(&self) -> bool {
        false
    }

    /// Whether the format of the table says more of its files than the checksum in the log vouches for, so that an upgrade writes those of an
    /// older format anew.
    fn is_rewritten(&self) -> bool {
        false
    }

    /// Has the rows of a file written anew as they are, up to the commit. `None`: no format asks for it.
    async fn rewrite(&self, _: &Rewriting<'_>) -> Result<Option<Changes>, RunsError> {
        Ok(None)
    }
}

/// A file that is to be written anew.
pub(crate) struct Rewriting<'a> {
    pub(crate) site: &'a Site,
    pub(crate) table: &'a Table,
    pub(crate) file: &'a Arc<TableFile>,
    /// The version of the main table.
    pub(crate) main_version: u64,
    pub(crate) now: Timestamp,
    /// Whether nobody waits for it any more.
    pub(crate) given_up: &'a AtomicBool,
}

impl Rewriting<'_> {
    /// The same rows in another file, which takes the place of this one. `guard` moves what guards this one.
    pub(crate) async fn in_its_place<S: Summary>(
        &self,
        path: String,
        summary: S,
        guard: Move,
    ) -> Result<Changes, RunsError> {
        let made = copy((self.site.cache(), self.table), self.file, path, summary, self.given_up).await?;
        Ok(Changes {
            add: vec![made],
            remove: vec![Arc::clone(self.file)],
            moves: vec![guard],
            now_ms: self.now.millis(),
            ..Changes::default()
        })
    }
}

/// Fragments that come to lie where no look-up finds them yet: of a batch, or of what housekeeping moves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arriving<'a> {
    /// Those of the main table.
    pub(crate) placed: &'a [Fragment],
    /// Those that wait for their request, each at the time that it lies at until then.
    pub(crate) waiting: &'a [Fragment],
    /// What is told of the inventory.
    pub(crate) inventory: &'a [InventoryEvent],
    /// What requests ask of it, and what became of them.
    pub(crate) pending: &'a [PendingPart],
    /// What is told of thresholds and quarantined communications.
    pub(crate) anomaly: &'a [AnomalyEvent],
    /// What is told of DSP schedules.
    pub(crate) schedules: &'a [ScheduleEvent],
    /// Since when commits went into it.
    pub(crate) since_ms: Option<i64>,
}

impl<'a> Arriving<'a> {
    /// Fragments of the main table.
    pub(crate) fn placed(placed: &'a [Fragment]) -> Self {
        Self { placed, ..Self::default() }
    }
}

/// A file of a side table that was encoded and is not committed yet.
#[derive(Debug)]
pub(crate) struct SideFile {
    pub(crate) encoded: Encoded,
    pub(crate) rows: u64,
    pub(crate) tag: String,
}

impl SideFile {
    /// Commits it to its table.
    pub(crate) async fn commit(self, table: &mut Table, now: Timestamp) -> Result<(), RunsError> {
        let Self { encoded, rows, tag } = self;
        let path = table.definition().new_path(None);
        let written = table.upload_encoded(&path, encoded).await?;
        let file = NewFile { path, written, month: None, rows, tag, bounds: Vec::new() };
        let changes = Changes { add: vec![file], now_ms: now.millis(), ..Changes::default() };
        table.commit(&changes).await.map(drop)
    }
}

/// A table whose small files are to become fewer.
pub(crate) struct Gathering<'a> {
    pub(crate) site: &'a Site,
    pub(crate) table: &'a Table,
    pub(crate) now: Timestamp,
    /// The placement time of the oldest row that the lake has.
    pub(crate) oldest: Option<Timestamp>,
}

impl Gathering<'_> {
    /// Files that are of one size, merged by a rule; see [`gather::gather`].
    pub(crate) async fn by_size<R: MergeRule, S: Summary>(
        &self,
        size: impl Fn(&TableFile) -> u64,
        rule: R,
        summary: impl FnOnce(Option<&str>) -> S,
        keep: impl Fn(&[Arc<TableFile>], RecordBatch) -> Result<RecordBatch, RunsError>,
    ) -> Result<Option<Changes>, RunsError> {
        let (files, now_ms) = (self.site.whole_files(self.table)?, self.now.millis());
        gather::gather((self.site.cache(), self.table), files, now_ms, size, rule, summary, keep).await
    }

    /// The same by bytes, without rows that are older than every row of the lake, which `since` leaves out. They are committed before the row that
    /// they lead to, so it is only where all files are a day old that none is younger than its row.
    pub(crate) async fn by_size_since<R: MergeRule, S: Summary>(
        &self,
        rule: R,
        summary: S,
        since: impl Fn(&RecordBatch, Timestamp) -> Result<RecordBatch, RunsError>,
    ) -> Result<Option<Changes>, RunsError> {
        let day_old = |file: &Arc<TableFile>| self.now.millis() - file.written_ms >= IDLE_MONTH_MS;
        let keep = |files: &[Arc<TableFile>], batch| match self.oldest {
            Some(oldest) if files.iter().all(day_old) => since(&batch, oldest),
            _ => Ok(batch),
        };
        self.by_size(|file| file.size, rule, |_| summary, keep).await
    }
}

/// Reads what became of dead letters.
pub(crate) type AskFates<'a> = &'a (dyn Fn() -> BoxFuture<'static, Result<Fates, LakeError>> + Send + Sync);

/// A table whose rows are to be let go, with what decides which.
pub(crate) struct Expiry<'a> {
    pub(crate) site: &'a Site,
    /// The main table, as the holds were read beside it.
    pub(crate) main: &'a mut Table,
    /// The table itself, as it was before the holds were read.
    pub(crate) table: &'a mut Table,
    /// The holds that are in force.
    pub(crate) holds: &'a [ActiveHold],
    pub(crate) fates: AskFates<'a>,
    /// Nothing goes, and it is only said what would.
    pub(crate) dry: bool,
}

/// The runs of the table of the inventory at one version.
pub(crate) type InventoryRuns = gridtrail_runs::RunIndex<KeyedRun>;

/// A table that is compacted by levels and buckets.
pub(crate) struct Compacting<'a> {
    pub(crate) site: &'a Site,
    pub(crate) table: &'a Table,
    /// The runs of the main table.
    pub(crate) trails: &'a RunIndex,
    /// The runs of the table of the inventory.
    pub(crate) inventory: &'a InventoryRuns,
    pub(crate) settings: &'a CompactionSettings,
    /// Into how many buckets a month is sorted.
    pub(crate) buckets: u32,
}

type Make = Box<dyn FnOnce(&WorkPlace<'_>) -> Result<Worked, RunsError> + Send>;

/// A job of compaction, to be carried out on a thread of its own.
pub(crate) struct Work {
    /// The files that it reads.
    pub(crate) inputs: Vec<Path>,
    make: Make,
}

/// Where a job of compaction is carried out.
pub(crate) struct WorkPlace<'a> {
    pub(crate) runtime: &'a tokio::runtime::Handle,
    pub(crate) site: &'a Site,
    pub(crate) table: &'a Table,
    pub(crate) settings: &'a CompactionSettings,
    /// Whether nobody waits for it any more.
    pub(crate) given_up: &'a AtomicBool,
}

/// What a job of compaction made, up to the commit.
pub(crate) struct Worked {
    pub(crate) changes: Changes,
    pub(crate) rows_in: u64,
    /// Rows that come to lie where no look-up finds them yet.
    pub(crate) moved: Vec<Fragment>,
}

impl Work {
    /// Carries it out. CPU-bound: give it a thread. Errors: `GivenUp` once nobody wants it any more.
    pub(crate) fn make(self, place: &WorkPlace<'_>) -> Result<Worked, RunsError> {
        (self.make)(place)
    }
}

impl Compacting<'_> {
    /// What is due of some runs of the table, by its rule. `moved` says which rows come to lie elsewhere.
    pub(crate) fn by_levels<'r, L: LevelRule + Copy>(
        &self,
        rule: L,
        runs: impl Iterator<Item = &'r Arc<L::Run>>,
        moved: fn(Vec<<L::Rows as Rows>::Beside>) -> Vec<Fragment>,
    ) -> Vec<Work> {
        let now = if self.settings.full { Timestamp::MAX } else { self.site.now() };
        let whole = runs.filter(|run| !self.site.is_left_alone(run.path()));
        let due = plan::plan(whole, (self.buckets, self.settings.merged_runs()), now.millis(), |id| {
            self.table.position(id)
        });
        due.into_iter().map(|job| work(rule, job, moved)).collect()
    }

    /// What sorts some runs of the table into the number of buckets that it is to have now.
    pub(crate) fn by_buckets<'r, L: LevelRule + Copy>(
        &self,
        rule: L,
        runs: impl Iterator<Item = &'r Arc<L::Run>>,
        moved: fn(Vec<<L::Rows as Rows>::Beside>) -> Vec<Fragment>,
    ) -> Vec<Work> {
        let whole = runs.filter(|run| !self.site.is_left_alone(run.path()));
        let due = plan::into_buckets(whole, self.buckets, |id| self.table.position(id));
        due.into_iter().map(|job| work(rule, job, moved)).collect()
    }
}

fn work<L: LevelRule + Copy>(
    rule: L,
    job: Job<L::Run>,
    moved: fn(Vec<<L::Rows as Rows>::Beside>) -> Vec<Fragment>,
) -> Work {
    let inputs = job.inputs.iter().map(|run| run.path().clone()).collect();
    let make = move |place: &WorkPlace<'_>| {
        let (cache, table) = (place.site.cache(), place.table);
        let made = carry_out(&rule, (cache, table), &job, place.settings, place.given_up);
        let made = place.runtime.block_on(made)?;
        let changes = job.changes(made.files, place.site.now().millis());
        Ok(Worked { changes, rows_in: made.rows_in, moved: moved(made.beside) })
    };
    Work { inputs, make: Box::new(make) }
}
