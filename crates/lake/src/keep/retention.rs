//! Retention: what is older than it must be kept goes, month by month.
//!
//! 1. A month is **due** when all of it is further back than the setting, in calendar months, UTC.
//! 2. A due month without an event younger than the floor, and without a hold, goes **as a whole**, unread.
//! 3. Any other due month is **written anew** with only the rows whose latest message is younger than the floor, or which a
//!    legal hold keeps, all fragments of a row being seen together. The summary of a run stores
//!    the earliest time at which retention could drop another row of it.
//!
//! The floor is three calendar months before the day that begins now: SEC Section H8.16(b) and (c) give Users the record "during
//! a period of no less than three months prior to any date on which that record is accessed", and a message belongs to that record
//! however old its request is. So no setting lets a row go while its latest message is younger.
//!
//! A late event for a month that went becomes a row of its own, as any other that arrives: its run lies in the old month, and
//! goes when it is three months old.

use crate::error::LakeError;
use crate::evidence::{CommitKind, Expired, SourceEvidence};
use crate::keep::kept_rows::Keep;
use crate::keep::maintenance::Maintenance;
use crate::keep::rewrite::{self, MonthRewrite, Rewritten};
use crate::kept_for::{DROPS, KeptFor, MONTHS, MonthRetained, RETENTION_MONTHS_MIN, Went, floor, months_of};
use crate::lake::Lake;
use crate::month::Month;
use crate::read::snapshot::Snapshot;
use crate::rows::run::RunFile;
use crate::site::Wanted;
use crate::tables::access_log;
use crate::tables::hold::{ActiveHold, HOLDS};
use crate::tables::holds;
use crate::tables::registry::{self, side_files};
use crate::tables::table::{Arriving, Expiry};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use gridtrail_runs::{Changes, CompactionSettings, Move, RunsError, Table};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Weak};

/// Times that what is due is looked for again after others got in between.
const ATTEMPTS: u32 = 5;

/// What retention took away, or would.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retained {
    /// Of trails, by month.
    pub months: Vec<MonthRetained>,
    /// Rows of other tables, by the name of the table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Commits that others overtook; what they were about is looked at again the next time.
    pub overtaken: u64,
    /// Months and files that stay since a file is damaged: [`Lake::damaged_files`] names it.
    pub refused: u64,
}

impl Retained {
    /// Rows that went from a table other than trails.
    pub fn rows_of(&self, table: &str) -> u64 {
        self.rows.get(table).copied().unwrap_or(0)
    }

    fn take(&mut self, table: &'static str, went: Went) {
        self.months.extend(went.months);
        if went.rows > 0 {
            self.rows.insert(table, went.rows);
        }
        self.overtaken += went.overtaken;
        self.refused += went.refused;
    }
}

/// A month from which retention would take rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiring {
    /// The month.
    pub month: Month,
    /// Rows that it has: of a row's fragments each counts.
    pub rows: u64,
    /// Whether all of them would go.
    pub whole: bool,
}

/// What is to be done with a month that is due.
struct Due {
    month: Month,
    runs: Vec<Arc<RunFile>>,
    /// Moves of all that guards the runs, from where it was when they were read.
    moves: Vec<Move>,
    /// `None`: it goes as a whole.
    keep: Option<Arc<Keep>>,
}

impl Lake {
    /// Months that records are kept for.
    pub async fn retention_months(&self) -> u32 {
        months_of(&self.tables().await.trails)
    }

    /// Months that rows of the access log are kept for.
    pub async fn access_log_months(&self) -> u32 {
        months_of(&self.tables().await.access_log)
    }

    /// Sets how many months records are kept for. What that makes due goes with the next retention.
    ///
    /// Errors: `Settings` when it is less than [`RETENTION_MONTHS_MIN`].
    pub async fn set_retention_months(&self, months: u32) -> Result<(), LakeError> {
        let mut tables = self.tables().await;
        self.set_months(&mut tables.trails, months, None).await?;
        self.refresh().await
    }

    /// Sets how many months rows of the access log are kept for, in the same way.
    pub async fn set_access_log_months(&self, months: u32) -> Result<(), LakeError> {
        let mut tables = self.tables().await;
        tables.access_log.refresh().await?;
        let raised = access_log::raise_months(&tables.access_log, months, self.clock().now());
        self.set_months(&mut tables.access_log, months, raised).await?;
        self.maintenance().await.map(drop)
    }

    async fn set_months(
        &self,
        table: &mut Table,
        months: u32,
        with: Option<(&'static str, String)>,
    ) -> Result<(), LakeError> {
        if months < RETENTION_MONTHS_MIN {
            return Err(LakeError::Retention { months });
        }
        let properties = [(MONTHS, months.to_string())].into_iter().chain(with).collect();
        let now_ms = self.clock().now().millis();
        Ok(table.commit(&Changes { properties, now_ms, ..Changes::default() }).await.map(drop)?)
    }
}

impl Maintenance {
    /// Lets go what is older than it must be kept, table by table; with `dry` nothing, and only says what would go.
    ///
    /// Any number of processes may do so at once, and be killed at any moment: a month goes in one commit, or stays as it is.
    /// Memory, threads and rate are those of the settings. Errors: `Unavailable`, `Corrupt`; what went before is gone.
    pub async fn retain(&mut self, settings: &CompactionSettings, dry: bool) -> Result<Retained, LakeError> {
        let mut done = Retained::default();
        let trails = self.expire_trails(settings, dry).await?;
        done.take(registry::main(), trails);
        self.expire_others(dry, &mut done).await?;
        if !dry {
            self.lake.refresh().await?;
        }
        Ok(done)
    }

    /// Lets go what is due of the tables beside the main one.
    async fn expire_others(&mut self, dry: bool, done: &mut Retained) -> Result<(), LakeError> {
        self.tables.refresh().await?;
        // Read behind the positions that say how many holds there are.
        let holds = self.active_holds().await?;
        let lake = self.lake.clone();
        let fates = move || -> BoxFuture<'static, _> {
            let lake = lake.clone();
            Box::pin(async move { lake.letter_fates().await })
        };
        let mut tables = self.tables.all().into_iter();
        let Some(main) = tables.next() else { return Ok(()) };
        for (of, table) in registry::ALL.iter().skip(1).zip(tables) {
            if of.kept_for() == KeptFor::Ever {
                continue;
            }
            let (site, main, holds) = (self.lake.site(), &mut *main, holds.as_slice());
            let went = of.expire(&mut Expiry { site, main, table, holds, fates: &fates, dry }).await?;
            done.take(of.definition().name, went);
        }
        Ok(())
    }

    /// Lets go the months of trails that are due.
    async fn expire_trails(&mut self, settings: &CompactionSettings, dry: bool) -> Result<Went, LakeError> {
        let mut done = Went::default();
        // A row is let go as a whole, so its fragments must lie together first.
        if !dry && !self.due().await?.1.is_empty() {
            self.unite(settings).await?;
        }
        for _ in 0..ATTEMPTS {
            let overtaken = done.overtaken;
            let (changes, all_due) = self.due().await?;
            for due in all_due {
                self.retain_month(due, changes, (settings, dry), &mut done).await?;
            }
            // Others were at work on the same months: look again at what is left.
            if dry || done.overtaken == overtaken {
                break;
            }
        }
        Ok(done)
    }

    /// The months from which something goes, oldest first, and where the position of holds was before they were read.
    async fn due(&mut self) -> Result<(Option<i64>, Vec<Due>), RunsError> {
        self.tables.refresh().await?;
        let changes = self.tables.trails.position(HOLDS);
        let holds = self.active_holds().await?;
        let now = self.now();
        let (floor, first_kept) = (floor(now), Month::of(now).minus(months_of(&self.tables.trails)));
        let mut all_due = Vec::new();
        for (name, runs) in self.tables.runs.months() {
            let Ok(month) = name.parse::<Month>() else { continue };
            if month >= first_kept {
                continue;
            }
            let holds: Vec<_> = holds.iter().filter(|hold| hold.scope.covers(month)).cloned().collect();
            let whole =
                holds.is_empty() && runs.iter().all(|run| run.summary.max_recorded_ms < floor.millis());
            let keep = Keep { floor_ms: floor.millis(), changes: changes.unwrap_or(0), holds };
            // Which rows of a damaged run may go cannot be told, nor which others are parts of them.
            let damaged = !whole && runs.iter().any(|run| self.lake.site().is_left_alone(&run.path));
            if damaged {
                continue;
            }
            if whole || runs.iter().any(|run| keep.may_shorten(run)) {
                let runs: Vec<_> = runs.into_iter().cloned().collect();
                let moves = rewrite::fences(name, runs.iter(), &self.tables.trails);
                all_due.push(Due { month, runs, moves, keep: (!whole).then(|| Arc::new(keep)) });
            }
        }
        Ok((changes, all_due))
    }

    /// The months from which something would go.
    pub(crate) async fn expiring(&mut self) -> Result<Vec<Expiring>, RunsError> {
        let (_, all_due) = self.due().await?;
        let expiring = |due: Due| Expiring {
            month: due.month,
            rows: due.runs.iter().map(|run| run.summary.rows).sum(),
            whole: due.keep.is_none(),
        };
        Ok(all_due.into_iter().map(expiring).collect())
    }

    pub(crate) async fn active_holds(&mut self) -> Result<Vec<ActiveHold>, RunsError> {
        let holds = holds::read_all(self.lake.site(), &mut self.tables.holds).await?;
        let snapshot = Snapshot::of(&self.tables, self.lake.cache().clone(), Weak::new());
        let mut active = Vec::new();
        for hold in holds.into_iter().filter(|hold| hold.released.is_none()) {
            let devices = match hold.scope.mpxn {
                Some(mpxn) => snapshot.devices_of(mpxn).await?.into_iter().collect(),
                None => HashSet::new(),
            };
            active.push(ActiveHold { scope: hold.scope, devices });
        }
        Ok(active)
    }

    async fn retain_month(
        &mut self,
        due: Due,
        changes: Option<i64>,
        (settings, dry): (&CompactionSettings, bool),
        done: &mut Went,
    ) -> Result<(), RunsError> {
        let Due { month, runs, moves, keep } = due;
        let Rewritten { files, rows_kept, rows_dropped, rows_held, moved } = match keep {
            None => {
                let rows_dropped = runs.iter().map(|run| run.summary.rows).sum();
                Rewritten { rows_dropped, ..Rewritten::default() }
            }
            keep => {
                let (month, inputs, buckets) = (month.to_string(), runs.clone(), self.tables.buckets());
                match self.rewrite(MonthRewrite { month, inputs, buckets, keep, dry }, settings).await {
                    Ok(rewritten) => rewritten,
                    Err(error) => {
                        self.lake
                            .site()
                            .leave_alone(error, &runs.iter().map(|run| &run.path).collect::<Vec<_>>())?;
                        done.refused += 1;
                        return Ok(());
                    }
                }
            }
        };
        let expired = Expired { files: runs.len() as u64, rows_dropped, rows_kept, rows_held };
        if !dry {
            let beside = side_files(&Arriving::placed(&moved))?;
            self.tables.commit_beside(beside, self.now()).await?;
            let remove = runs.iter().map(|run| Arc::clone(&run.file)).collect();
            let change = Changes { add: files, remove, moves, ..Changes::default() };
            let evidence = SourceEvidence::of_retention(&month.to_string(), expired, self.now_ms());
            if !self.commit_drop(change, changes, evidence).await? {
                done.overtaken += 1;
                return Ok(());
            }
        }
        if rows_dropped > 0 {
            done.months.push(MonthRetained { month, expired });
        }
        Ok(())
    }

    /// Commits to the main table what retention does. `false`: others got in between.
    async fn commit_drop(
        &mut self,
        mut change: Changes,
        holds: Option<i64>,
        evidence: SourceEvidence,
    ) -> Result<bool, RunsError> {
        let drops = self.tables.trails.position(DROPS);
        change.moves.push(Move { app_id: DROPS.to_owned(), from: drops, to: drops.unwrap_or(0) + 1 });
        change.requires = vec![(HOLDS.to_owned(), holds)];
        change.drops = true;
        change.now_ms = self.now_ms();
        change.evidence = Some(json!({ "kind": CommitKind::Retention.name(), "sources": [evidence] }));
        Ok(self.tables.trails.commit_unless_moved(&change).await?.is_some())
    }

    /// Writes a month anew, up to the commit, with as many threads as the settings have jobs.
    pub(crate) async fn rewrite(
        &self,
        job: MonthRewrite,
        settings: &CompactionSettings,
    ) -> Result<Rewritten, RunsError> {
        let wanted = Wanted::default();
        let job = Arc::new(job);
        let write = |part: u32| {
            let (job, site, table) = (Arc::clone(&job), self.lake.site().clone(), self.tables.trails.clone());
            let (settings, given_up) = (*settings, wanted.watch());
            let (runtime, detached) =
                (tokio::runtime::Handle::current(), self.lake.site().detached().clone());
            let work = move || runtime.block_on(job.write(part, (&site, &table), &settings, &given_up));
            async move {
                let written = detached.spawn_blocking(work).await;
                written.map_err(|_| RunsError::Internal("writing a month anew panicked"))?
            }
        };
        let mut writing = stream::iter(0..job.parts()).map(write).buffer_unordered(settings.jobs.max(1));
        let mut all = Rewritten::default();
        while let Some(part) = writing.next().await {
            let part = part?;
            all.files.extend(part.files);
            all.rows_kept += part.rows_kept;
            all.rows_dropped += part.rows_dropped;
            all.rows_held += part.rows_held;
            all.moved.extend(part.moved);
        }
        Ok(all)
    }
}
