//! Upgrading: a lake of an older format becomes one of this build's, while searches go on.
//!
//! A format is reached in steps, each from the one before it. A step says of a file whether it is as the step leaves it; one that is not is
//! written anew, its rows as they are, and takes its place in a commit of its own, guarded as compactions are. Once no file is left the table says
//! that it is of the new format. So an upgrade that is killed at any moment, or overtaken, goes on where it is called again, and a lake that is of this format
//! already costs a look at its properties.
//!
//! Builds that know older formats alone are refused from the moment at which a table says that it is of a newer one.

use crate::error::LakeError;
use crate::keep::maintenance::Maintenance;
use crate::limits::RUNS_AT_ONCE;
use crate::site::{Site, Wanted};
use crate::tables::parked::{Parked, SWEPT};
use crate::tables::registry;
use crate::tables::table::{LakeTable, Rewriting};
use futures::future::join_all;
use gridtrail_runs::{Changes, Definition, OpenRun, RunCache, RunsError, Table, TableFile};
use std::sync::Arc;

/// Memory for the footers of files that are looked at.
const CACHE_BYTES: u64 = 64 << 20;
/// How often the files of a table are looked at before an upgrade gives up: others may add some, or be faster, each time.
const ROUNDS: u32 = 16;

/// What leads from one format of a table to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The format that it leads to, from the one before it.
    pub(crate) to: u32,
    /// Whether a file is as the step leaves it. Asked of tables whose files can be written anew.
    pub(crate) is_done: fn(&Definition, &OpenRun) -> bool,
}

/// The steps that there are, oldest first.
///
/// To 2: every table says its format. Files that look-ups read have the checksums of their pages, and say who may see their rows (0092), as
/// has been written for a while; so pages of all of them are checked when they are read.
const STEPS: &[Step] = &[Step { to: 2, is_done: |table, run| run.is_whole(table) }];

/// What an upgrade did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upgraded {
    /// Each table that was of an older format, or did not say what it needs of its readers.
    pub tables: Vec<TableUpgraded>,
}

/// What an upgrade did to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableUpgraded {
    /// Its name.
    pub name: &'static str,
    /// The format that it was of.
    pub from: u32,
    /// The format that it is of afterwards: the same, where a file stands against it.
    pub to: u32,
    /// Files that were written anew.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that stay as they are, since they are damaged. The table then stays of its format.
    pub refused: u64,
    /// Commits that came too late, since others had taken the files away.
    pub overtaken: u64,
    /// Whether it is, or would be, wholly of the new format.
    pub is_whole: bool,
}

impl Upgraded {
    /// Whether all tables are of this build's format now.
    pub fn is_whole(&self) -> bool {
        self.tables.iter().all(|table| table.is_whole)
    }
}

/// What is due of a table.
struct Due {
    files: Vec<Arc<TableFile>>,
    refused: u64,
}

impl Maintenance {
    /// Makes every table one of the format that this build writes. With `dry`, only says what would be done.
    ///
    /// Errors: `Unavailable`, `Corrupt`; what was done before stays.
    pub async fn upgrade(&mut self, dry: bool) -> Result<Upgraded, LakeError> {
        self.upgrade_by(STEPS, dry).await
    }

    /// The same, by other steps.
    pub(crate) async fn upgrade_by(&mut self, steps: &[Step], dry: bool) -> Result<Upgraded, LakeError> {
        let mut done = Upgraded::default();
        for number in 0..registry::ALL.len() {
            self.tables.refresh_all().await?;
            if let Some(of) = self.upgrade_table(number, steps, dry).await? {
                done.tables.push(of);
            }
        }
        self.tables.refresh().await?;
        self.lake.refresh().await?;
        Ok(done)
    }

    async fn upgrade_table(
        &mut self,
        number: usize,
        steps: &[Step],
        dry: bool,
    ) -> Result<Option<TableUpgraded>, RunsError> {
        let of = registry::ALL[number];
        let definition = of.definition();
        let table = &self.tables.each()[number];
        let from = table.format()?;
        if says_all(table) {
            return Ok(None);
        }
        let to = definition.format;
        let wanted: Vec<Step> =
            steps.iter().filter(|step| from < step.to && step.to <= to).copied().collect();
        let name = definition.name;
        let mut done =
            TableUpgraded { name, from, to, files: 0, bytes: 0, refused: 0, overtaken: 0, is_whole: false };
        for _ in 0..ROUNDS {
            let table = self.tables.each()[number].clone();
            let due = due(self.lake.site(), of, &table, &wanted).await?;
            (done.refused, done.is_whole) = (due.refused, due.refused == 0 && (dry || due.files.is_empty()));
            if dry {
                done.files = due.files.len() as u64;
                done.bytes = due.files.iter().map(|file| file.size).sum();
            }
            if dry || due.files.is_empty() {
                break;
            }
            for file in due.files {
                self.rewrite_file(number, file, &mut done).await?;
            }
            self.tables.refresh_all().await?;
        }
        if !done.is_whole {
            done.to = from;
        } else if !dry {
            let properties = definition.format_properties();
            let now_ms = self.lake.clock().now().millis();
            let changes = Changes { properties, now_ms, ..Changes::default() };
            self.tables.all()[number].commit(&changes).await?;
        }
        Ok(Some(done))
    }

    /// Has the main table be at a version that no removal of parked fragments relies on yet: the guard of those moves to it.
    async fn move_main_on(&mut self, now_ms: i64) -> Result<(), RunsError> {
        let relied_on = self.tables.parked.position(SWEPT).and_then(|version| u64::try_from(version).ok());
        if relied_on.is_some_and(|version| version >= self.tables.trails.version()) {
            self.tables.trails.commit(&Changes { now_ms, ..Changes::default() }).await?;
        }
        Ok(())
    }

    /// Writes a file anew and puts it in the old one's place.
    async fn rewrite_file(
        &mut self,
        number: usize,
        file: Arc<TableFile>,
        done: &mut TableUpgraded,
    ) -> Result<(), RunsError> {
        let (of, site, now) = (registry::ALL[number], self.lake.site().clone(), self.now());
        if is_guarded_by_main(of) {
            self.move_main_on(now.millis()).await?;
        }
        let (main_version, table) = (self.tables.trails.version(), self.tables.each()[number].clone());
        if !table.names(&file.path) {
            // Somebody else wrote its rows anew meanwhile.
            done.overtaken += 1;
            return Ok(());
        }
        let (runtime, own) = (tokio::runtime::Handle::current(), (table.clone(), Arc::clone(&file)));
        // It has a thread of its own, which goes on when this is dropped, until it sees that it was.
        let wanted = Wanted::default();
        let watch = wanted.watch();
        let work = move || {
            let (table, file, given_up) = (&own.0, &own.1, &*watch);
            let job = Rewriting { site: &site, table, file, main_version, now, given_up };
            runtime.block_on(of.rewrite(&job))
        };
        let made = self.lake.site().detached().spawn_blocking(work).await;
        let changes = match made.map_err(|_| RunsError::Internal("writing a file anew panicked"))? {
            Err(error) => {
                // The next round counts it among those that stay.
                return self.lake.site().leave_alone(error, &[&table.full_path(&file.path)?]);
            }
            Ok(None) => return Err(RunsError::Internal("a file that is to be written anew cannot be")),
            Ok(Some(changes)) => changes,
        };
        let table = &mut *self.tables.all().swap_remove(number);
        match table.commit_unless_moved(&changes).await? {
            // What a compaction made of it is of this build's format, or is looked at in the next round.
            None => done.overtaken += 1,
            Some(_) => {
                done.files += 1;
                done.bytes += file.size;
            }
        }
        table.refresh().await
    }
}

/// Whether what guards the files of a table is the version of the main one that its last removal relies on.
fn is_guarded_by_main(of: &dyn LakeTable) -> bool {
    of.definition().name == Parked.definition().name
}

/// Whether a table says all that this build has one say of its format.
fn says_all(table: &Table) -> bool {
    table.definition().format_properties().iter().all(|(name, value)| table.property(name) == Some(value))
}

/// The files of a table that are not as some steps leave them.
async fn due(site: &Site, of: &dyn LakeTable, table: &Table, steps: &[Step]) -> Result<Due, RunsError> {
    let mut due = Due { files: Vec::new(), refused: 0 };
    if steps.is_empty() || !of.is_rewritten() {
        return Ok(due);
    }
    let cache = site.cache_of(CACHE_BYTES);
    let files = table.files();
    for files in files.chunks(RUNS_AT_ONCE) {
        let looked = join_all(files.iter().map(|file| is_done(&cache, table, file, steps))).await;
        for (file, done) in files.iter().zip(looked) {
            let path = table.full_path(&file.path)?;
            match done {
                _ if site.is_left_alone(&path) => due.refused += 1,
                Ok(true) => {}
                Ok(false) => due.files.push(Arc::clone(file)),
                Err(error) => {
                    site.leave_alone(error, &[&path])?;
                    due.refused += 1;
                }
            }
        }
    }
    Ok(due)
}

async fn is_done(
    cache: &RunCache,
    table: &Table,
    file: &Arc<TableFile>,
    steps: &[Step],
) -> Result<bool, RunsError> {
    let path = table.full_path(&file.path)?;
    let run = cache.open(table.definition(), (file, &path), None).await?;
    Ok(steps.iter().all(|step| (step.is_done)(table.definition(), &run)))
}

#[cfg(test)]
mod tests;
