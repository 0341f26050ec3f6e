//! Verification: whether every file is what it was when it was written, and every run what look-ups rely on.
//!
//! 1. **Logs**: each is read anew from its newest checkpoint, every entry is ours and leads to the state that it says, and none is missing.
//! 2. **Files**: each that is named is there, with its size and checksum.
//! 3. **Rows** (what checks them stands with each table): each run is read from front to back: sorted, each key once, each row in its month and bucket,
//!    found by its look-up, and no other than the log's summary says.
//! 4. **A sample** (`sample`): the fragments of some Devices, from all runs, come to the same whatever the order in which
//!    they are merged, and to the same again when they are written and read.
//! 5. **The access log** (`chains`): every chain is whole, and its hashes are those of its rows.
//!
//! It changes nothing, and the lake may be written to meanwhile: it holds fast to the versions that it finds at first.
//! Memory: a row group a file, and two files at a time. Cost: with rows, every byte is read twice.

mod chains;
mod sample;

use crate::error::LakeError;
use crate::keep::unite;
use crate::lake::Lake;
use crate::rows::index::RunIndex;
use crate::tables::access_log;
use crate::tables::check::{FileCheck, Sample};
use crate::tables::registry;
use deltalake_core::Path;
use futures::{StreamExt, stream};
use gridtrail_access_log::{Fault, Findings, Witnesses};
use gridtrail_runs::{FaultKind, FileFault, RunCache, RunsError, Table, TableFile, TableRead, verify_file};
use std::sync::Arc;

/// Damages that are kept one by one. Any more are counted.
const DAMAGES_KEPT: usize = 1_000;
/// Memory for the footers of runs: each is read once.
const CACHE_BYTES: u64 = 64 << 20;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySettings {
    /// Whether rows are read, too. Otherwise it ends with the files: existence, size and checksum.
    pub rows: bool,
    /// Devices of which all fragments are merged in several orders.
    pub sample: usize,
    /// Files that are read at the same time.
    pub jobs: usize,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { rows: true, sample: 1_000, jobs: 2 }
    }
}

/// In which way something is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DamageKind {
    /// A log cannot be read, or lacks an entry.
    Log,
    /// A file that a log names is not there.
    Missing,
    /// A file has another size than its log says.
    Size,
    /// The bytes of a file are not those that were written.
    Checksum,
    /// A file cannot be read, or its rows are not as they must be.
    Rows,
    /// Fragments of one row do not merge to the same in every order.
    Merge,
    /// A chain of the access log is not as it was written.
    Chain,
}

impl DamageKind {
    /// The word for it, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Missing => "missing",
            Self::Size => "size",
            Self::Checksum => "checksum",
            Self::Rows => "rows",
            Self::Merge => "merge",
            Self::Chain => "chain",
        }
    }
}

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In which way.
    pub kind: DamageKind,
    /// The file, by its path from the root of the store; of a log, its folder; of a merge, the Device; of the
    /// access log, the chain and the row, as `CHAIN/7`.
    pub path: String,
    /// What was found, in a sentence.
    pub what: String,
}

impl From<FileFault> for Damage {
    fn from(FileFault { kind, path, what }: FileFault) -> Self {
        let kind = match kind {
            FaultKind::Log => DamageKind::Log,
            FaultKind::Missing => DamageKind::Missing,
            FaultKind::Size => DamageKind::Size,
            FaultKind::Checksum => DamageKind::Checksum,
            FaultKind::Rows => DamageKind::Rows,
        };
        Self { kind, path, what }
    }
}

impl From<&Fault> for Damage {
    fn from(fault: &Fault) -> Self {
        let path = format!("{}/{}", fault.chain(), fault.seq());
        Self { kind: DamageKind::Chain, path, what: fault.to_string() }
    }
}

/// What was found in one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableVerified {
    /// Its name.
    pub name: &'static str,
    /// The version that was looked at.
    pub version: u64,
    /// Files that its log names.
    pub files: u64,
    /// Those of them that an earlier version wrote, without a checksum.
    pub without_checksum: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Files that no version names any more, or ever named, and that may go: vacuum takes them.
    pub orphans: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Each table.
    pub tables: Vec<TableVerified>,
    /// Devices whose fragments were merged in several orders.
    pub devices: u64,
    /// Rows of those Devices that have more than one fragment.
    pub rows_merged: u64,
    /// Rows, of all, whose batches disagree on when the request was received, and that lie at several times: what waits for compaction
    /// and maintenance to make it one.
    pub rows_at_several_times: u64,
    /// What the chains of the access log are; `None` where they were not looked at, since it was not asked for, or since a file of them
    /// is damaged.
    pub access_log: Option<Findings>,
    /// What is damaged, the first thousand.
    pub damages: Vec<Damage>,
    /// How much is.
    pub damage_count: u64,
}

impl Verified {
    /// Whether nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.damage_count == 0
    }

    fn damaged(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damages.len() < DAMAGES_KEPT {
            self.damages.push(damage);
        }
    }
}

/// One file to look at.
struct Item {
    number: usize,
    table: Table,
    file: Arc<TableFile>,
    path: Path,
}

/// What was found in one file.
struct Looked {
    table: usize,
    bytes: u64,
    rows: u64,
    sample: Sample,
    witnesses: Witnesses,
    damage: Option<Damage>,
}

/// One verification at work.
#[derive(Clone)]
struct Verification {
    lake: Lake,
    cache: RunCache,
    settings: VerifySettings,
}

impl Lake {
    /// Looks at every file of every table; see [`VerifySettings`]. Damage is found, not failed at.
    ///
    /// Errors: `Unavailable` when the store does not answer.
    pub async fn verify(&self, settings: &VerifySettings) -> Result<Verified, LakeError> {
        let cache = self.site().cache_of(CACHE_BYTES);
        Ok(Verification { lake: self.clone(), cache, settings: *settings }.run().await?)
    }
}

impl Verification {
    async fn run(self) -> Result<Verified, RunsError> {
        let mut found = Verified::default();
        let mut tables = self.lake.tables().await;
        let mut items = Vec::new();
        for (number, table) in tables.all().into_iter().enumerate() {
            let Some(fresh) = self.open(table, &mut found).await? else { continue };
            *table = fresh;
            for file in table.files() {
                items.push(Item { number, path: table.full_path(&file.path)?, file, table: table.clone() });
            }
        }
        let (mut sample, mut witnesses) = (Sample::new(self.settings.sample), Witnesses::default());
        let mut log_is_whole = found.is_clean();
        let jobs = self.settings.jobs.max(1);
        let mut looking = stream::iter(items).map(|item| self.clone().look(item)).buffer_unordered(jobs);
        while let Some(looked) = looking.next().await {
            let Looked { table, bytes, rows, sample: devices, witnesses: seen, damage } = looked?;
            witnesses.merge(seen);
            let is_log = found.tables.get(table).is_some_and(|table| table.name == access_log::NAME);
            log_is_whole &= damage.is_none() || !is_log;
            if let Some(table) = found.tables.get_mut(table) {
                table.bytes += bytes;
                table.rows += rows;
            }
            sample.merge(devices);
            damage.into_iter().for_each(|damage| found.damaged(damage));
        }
        drop(looking);
        if self.settings.rows && log_is_whole {
            let audited = chains::check(self.clone(), tables.access_log.clone(), witnesses).await?;
            audited.faults.iter().for_each(|fault| found.damaged(fault.into()));
            found.access_log = Some(audited);
        }
        if self.settings.rows && found.is_clean() {
            sample::check(&self, &mut tables, sample, &mut found).await?;
            found.rows_at_several_times = self.count_scattered(tables.runs.clone()).await?;
        }
        Ok(found)
    }

    /// How many rows lie at several times.
    async fn count_scattered(&self, runs: RunIndex) -> Result<u64, RunsError> {
        let (cache, runtime) = (self.cache.clone(), tokio::runtime::Handle::current());
        let work = move || runtime.block_on(unite::count_scattered(&cache, &runs));
        let counted = tokio::task::spawn_blocking(work).await;
        match counted.map_err(|_| RunsError::Internal("counting rows panicked"))? {
            // Runs were taken away and deleted meanwhile.
            Err(error) if error.is_not_found() => Ok(0),
            counted => counted,
        }
    }

    /// A table, read anew from its newest checkpoint. `None`: its log is damaged.
    async fn open(&self, table: &Table, found: &mut Verified) -> Result<Option<Table>, RunsError> {
        let (definition, now) = (table.definition(), self.lake.clock().now());
        let read = TableRead::of(self.lake.site().location(), definition, now.millis()).await?;
        read.fault.into_iter().for_each(|fault| found.damaged(fault.into()));
        let files = read.table.as_ref().map(Table::files).unwrap_or_default();
        found.tables.push(TableVerified {
            name: definition.name,
            version: read.table.as_ref().map_or(0, Table::version),
            files: files.len() as u64,
            without_checksum: files.iter().filter(|file| file.xxh64.is_none()).count() as u64,
            orphans: read.orphans,
            ..TableVerified::default()
        });
        Ok(read.table)
    }

    /// Looks at a file on a thread of its own.
    async fn look(self, item: Item) -> Result<Looked, RunsError> {
        let runtime = tokio::runtime::Handle::current();
        let work = move || runtime.block_on(self.look_here(item));
        let looked = tokio::task::spawn_blocking(work).await;
        looked.map_err(|_| RunsError::Internal("verifying a file panicked"))?
    }

    async fn look_here(self, item: Item) -> Result<Looked, RunsError> {
        let (mut sample, mut witnesses) = (Sample::new(self.settings.sample), Witnesses::default());
        let (cache, file, path) = (&self.cache, &item.file, &item.path);
        let mut count = 0;
        let look_closer = async || {
            if !self.settings.rows {
                return Ok(());
            }
            let of = registry::ALL[item.number];
            let (table, sample, witnesses) = (of.definition(), &mut sample, &mut witnesses);
            let mut check = FileCheck { cache, table, file, path, rows: 0, sample, witnesses };
            let checked = of.check(&mut check).await;
            count = check.rows;
            checked
        };
        let read = verify_file((cache, &item.table), (file, path), look_closer).await?;
        let damage = read.fault.map(Damage::from);
        Ok(Looked { table: item.number, bytes: read.bytes, rows: count, sample, witnesses, damage })
    }
}
