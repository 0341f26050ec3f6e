//! One table of a copy: which version of its lake it is of, and how it is brought to a newer one.

use crate::changed::Changed;
use crate::data::{CopyFile, Encoded, Place, places_of};
use crate::error::ExportError;
use crate::limits::{CHANGED_MOST, KNOWN_ROWS};
use crate::scanned::Scanned;
use crate::tables::CopiedTable;
use gridtrail_access::{Access, Party};
use gridtrail_lake::{Lake, RowChanges, Snapshot, SnapshotVersion, WaitingRows};
use gridtrail_runs::{Changes, Location, Move, NewFile, RunsError, Table, TableFile, TableVacuumed, vacuum};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh64::xxh64;

/// The property that says which lake a copy is of.
const OF: &str = "gridtrail.copyOf";
/// The property that says for whom.
const FOR: &str = "gridtrail.copyFor";
/// The positions that say which version of each table of the lake a copy is of begin with this.
const LAKE: &str = "lake/";
/// The position that stands for whose rows a copy has: other User IDs, another number.
const RIGHTS: &str = "rights";
/// The position that stands for what waits in the lake: other fragments, another number.
const WAITING: &str = "waiting";

/// For whom a copy is kept, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// The Party whose rows it has. `None`: all rows, for operators.
    pub party: Option<Party>,
    /// The operator who keeps it.
    pub by: String,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.party {
            Some(party) => write!(f, "Party {}", party.as_str()),
            None => f.write_str("operators"),
        }
    }
}

/// What bringing a copy up to a version came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// The version of the copy's own log.
    pub version: u64,
    /// Whether there was anything to do.
    pub changed: bool,
    /// Whether all rows were scanned, and not only those that changed.
    pub whole: bool,
    /// Rows that came, or came to say something else.
    pub rows: u64,
    /// Rows in the files that were written: those, and what lay in one file with them.
    pub rows_written: u64,
    /// Bytes of those files.
    pub bytes_written: u64,
    /// Files that were written.
    pub files_written: u64,
    /// Files that were taken away.
    pub files_taken_away: u64,
}

/// One table of a copy.
#[derive(Debug)]
pub struct Copy {
    pub(crate) kind: CopiedTable,
    pub(crate) table: Table,
    /// Which rows files have that were looked at before, by path.
    known: HashMap<String, Arc<Vec<Place>>>,
}

/// What one commit is to do.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) add: Vec<NewFile>,
    /// By path.
    pub(crate) remove: HashMap<String, Arc<TableFile>>,
    /// Which rows the files that come have, as far as that is kept in memory.
    pub(crate) places: Vec<(String, Vec<Place>)>,
    /// Rows that came, or came to say something else.
    pub(crate) rows: u64,
}

impl Plan {
    /// Has the commit add a file; one that is there already as it is, to the byte, is left there.
    pub(crate) async fn add(&mut self, table: &Table, file: Encoded) -> Result<(), ExportError> {
        let is_same = |there: &Arc<TableFile>| {
            there.xxh64 == Some(file.written.xxh64)
                && there.size == file.written.size
                && there.month.as_deref() == Some(file.month.as_str())
        };
        let same = self.remove.values().find(|there| is_same(there)).map(|there| there.path.clone());
        if let Some(path) = same {
            self.remove.remove(&path);
            return Ok(());
        }
        let (file, places) = file.upload(table).await?;
        let held: usize = self.places.iter().map(|(_, places)| places.len()).sum();
        if held + places.len() <= KNOWN_ROWS {
            self.places.push((file.path.clone(), places));
        }
        self.add.push(file);
        Ok(())
    }

    pub(crate) fn take_away(&mut self, file: &CopyFile) {
        self.remove.insert(file.file.path.clone(), Arc::clone(&file.file));
    }
}

impl Copy {
    /// Opens a table of a copy. It is made where there is none.
    ///
    /// Errors: `Within`; `Copy` when the address cannot be used, or the table was written to by another engine.
    pub async fn open(lake: &Lake, location: &Location, kind: CopiedTable) -> Result<Self, ExportError> {
        let folder = |url: &str| format!("{}/", url.trim_end_matches('/'));
        let (of_lake, of_copy) = (folder(lake.address()), folder(location.url.as_str()));
        if of_copy.starts_with(&of_lake) || of_lake.starts_with(&of_copy) {
            return Err(ExportError::Within);
        }
        let table = Table::open_or_create(location, kind.definition(), true).await?;
        table.check_whole()?;
        Ok(Self { kind, table, known: HashMap::new() })
    }

    /// Which table it is.
    pub fn kind(&self) -> CopiedTable {
        self.kind
    }

    /// The version of its own log.
    pub fn version(&self) -> u64 {
        self.table.version()
    }

    /// How many rows it has.
    pub fn rows(&self) -> Result<u64, ExportError> {
        Ok(self.files()?.iter().map(|file| file.summary.rows).sum())
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.table.files().iter().map(|file| file.size).sum()
    }

    /// The version of the lake that it is of. `None`: of none yet.
    pub fn is_of(&self) -> Option<SnapshotVersion> {
        SnapshotVersion::from_tables(|name| {
            self.table.position(&format!("{LAKE}{name}")).and_then(|at| u64::try_from(at).ok())
        })
    }

    /// The positions that say which version of the lake it is of, as they are now.
    pub(crate) fn lake_positions(&self) -> Vec<(String, Option<i64>)> {
        let of_lake = self.table.positions().numbers_starting_with(LAKE);
        of_lake.map(|(name, at)| (name.to_owned(), Some(at))).collect()
    }

    /// Its files, by month and time.
    pub(crate) fn files(&self) -> Result<Vec<CopyFile>, RunsError> {
        let mut files = self.table.files().into_iter().map(CopyFile::of).collect::<Result<Vec<_>, _>>()?;
        files.sort_by(|a, b| {
            let place = |file: &CopyFile| (file.summary.first, file.summary.last);
            (a.month(), place(a), &a.file.path).cmp(&(b.month(), place(b), &b.file.path))
        });
        Ok(files)
    }

    /// Which rows a file has. Those that were asked about lately are in memory.
    pub(crate) async fn places(&mut self, file: &CopyFile) -> Result<Arc<Vec<Place>>, ExportError> {
        if let Some(places) = self.known.get(&file.file.path) {
            return Ok(Arc::clone(places));
        }
        let places = places_of(file.fetch(&self.table).await?, &file.file.path)?;
        Ok(self.remember(file.file.path.clone(), places))
    }

    fn remember(&mut self, path: String, places: Vec<Place>) -> Arc<Vec<Place>> {
        let held: usize = self.known.values().map(|places| places.len()).sum();
        if held + places.len() > KNOWN_ROWS {
            self.known.clear();
        }
        let places = Arc::new(places);
        self.known.insert(path, Arc::clone(&places));
        places
    }

    /// Brings the table up to a snapshot, in one commit, for an access: rows of other User IDs than before are rows that changed.
    ///
    /// It may be dropped or killed at any moment: the table is then at the version before, or at the new one.
    ///
    /// Cost: what changed, look-ups and the files that it lies in; everything where that cannot be told. Errors: `Another`, `Overtaken`; as those
    /// of a look-up.
    pub async fn bring_up_to(
        &mut self,
        lake: &Lake,
        (who, purpose): (&Access, &Purpose),
        snapshot: &Arc<Snapshot>,
    ) -> Result<Copied, ExportError> {
        self.table.refresh().await?;
        self.table.check_whole()?;
        self.check_purpose(lake, purpose)?;
        let rights = number(who.user_ids().digest());
        let same_rights = self.table.position(RIGHTS) == Some(rights);
        let since = self.is_of();
        if same_rights && since.as_ref() == Some(snapshot.version()) {
            return Ok(Copied { version: self.version(), ..Copied::default() });
        }
        let told = same_rights && !self.kind.has_rows_of_others(who);
        let changes = match &since {
            Some(since) if told => lake.row_changes(who, (since, snapshot), CHANGED_MOST).await?,
            _ => None,
        };
        let waiting = snapshot.rows_that_wait(who).await?;
        let waits = number_of(&waiting);
        let whole = changes.is_none();
        let rows = lake.counts().fragments;
        let plan = match changes {
            None => self.anew(who, (snapshot, rows), waiting).await?,
            Some(changes) => {
                let same = self.table.position(WAITING) == Some(waits);
                self.changed(who, (snapshot, rows), changes, (waiting, same)).await?
            }
        };
        let mut copied = Copied {
            changed: true,
            whole,
            rows: plan.rows,
            rows_written: plan.add.iter().map(|file| file.rows).sum(),
            bytes_written: plan.add.iter().map(|file| file.written.size).sum(),
            files_written: plan.add.len() as u64,
            files_taken_away: plan.remove.len() as u64,
            version: 0,
        };
        self.commit(lake, plan, (snapshot.version(), purpose), (rights, waits)).await?;
        copied.version = self.version();
        Ok(copied)
    }

    fn check_purpose(&self, lake: &Lake, purpose: &Purpose) -> Result<(), ExportError> {
        let of = |of: &str, whom: &str| format!("of {of} for {whom}");
        let (Some(found_of), Some(found_for)) = (self.table.property(OF), self.table.property(FOR)) else {
            return Ok(());
        };
        let wanted = purpose.to_string();
        match found_of == lake.address() && found_for == wanted {
            true => Ok(()),
            false => Err(ExportError::Another {
                table: self.kind.name(),
                found: of(found_of, found_for),
                wanted: of(lake.address(), &wanted),
            }),
        }
    }

    /// Everything, scanned.
    async fn anew(
        &self,
        who: &Access,
        of: (&Arc<Snapshot>, u64),
        waiting: WaitingRows,
    ) -> Result<Plan, ExportError> {
        let mut plan = Plan::default();
        self.files()?.iter().for_each(|file| plan.take_away(file));
        let scan = Scanned { copy: self, who, of, waiting: Arc::new(waiting.joined), sought: Arc::default() };
        scan.write(None, &mut plan).await?;
        Ok(plan)
    }

    /// What changed.
    async fn changed(
        &mut self,
        who: &Access,
        of: (&Arc<Snapshot>, u64),
        changes: RowChanges,
        waiting: (WaitingRows, bool),
    ) -> Result<Plan, ExportError> {
        let mut plan = Plan::default();
        Changed::of(self, changes, waiting).await?.write(self, who, of, &mut plan).await?;
        Ok(plan)
    }

    async fn commit(
        &mut self,
        lake: &Lake,
        plan: Plan,
        (version, purpose): (&SnapshotVersion, &Purpose),
        (rights, waits): (i64, i64),
    ) -> Result<(), ExportError> {
        let table = &self.table;
        let of_lake = version.tables().map(|(name, at)| (format!("{LAKE}{name}"), at.cast_signed()));
        let others = [(RIGHTS.to_owned(), rights), (WAITING.to_owned(), waits)];
        let moves =
            of_lake.chain(others).map(|(app_id, to)| Move { from: table.position(&app_id), app_id, to });
        let first = table.property(OF).is_none();
        let properties = [(OF, lake.address().to_owned()), (FOR, purpose.to_string())];
        let changes = Changes {
            drops: !plan.remove.is_empty(),
            add: plan.add,
            remove: plan.remove.into_values().collect(),
            moves: moves.collect(),
            properties: if first { properties.into() } else { Vec::new() },
            now_ms: lake.clock().now().millis(),
            evidence: Some(json!({
                "kind": "export", "lake": version.to_string(), "for": purpose.to_string(), "by": purpose.by
            })),
            ..Changes::default()
        };
        if self.table.commit_unless_moved(&changes).await?.is_none() {
            return Err(ExportError::Overtaken { table: self.kind.name() });
        }
        let named: BTreeSet<String> = self.table.files().iter().map(|file| file.path.clone()).collect();
        self.known.retain(|path, _| named.contains(path));
        for (path, places) in plan.places {
            self.remember(path, places);
        }
        Ok(())
    }

    /// Deletes what no version needs any more that can still be asked for: files that were taken away, and old entries of the log.
    pub async fn vacuum(&mut self, lake: &Lake) -> Result<TableVacuumed, ExportError> {
        // Nobody copies evidence of a copy's commits.
        Ok(vacuum(&mut self.table, lake.clock().now().millis(), u64::MAX, false).await?)
    }

    /// Waits for commits that go on though whoever wanted them is gone.
    pub async fn wait_for_detached(location: &Location) {
        location.detached.close();
        location.detached.wait().await;
        location.detached.reopen();
    }
}

/// A digest as a position: positions are numbers from nought on.
fn number(digest: &[u8; 32]) -> i64 {
    i64::from_be_bytes(std::array::from_fn(|at| digest[at])) & i64::MAX
}

/// A number that stands for what waits.
fn number_of(waiting: &WaitingRows) -> i64 {
    let all: String = waiting.fragments.iter().map(|fragment| format!("{fragment:?}\n")).collect();
    xxh64(all.as_bytes(), 0).cast_signed() & i64::MAX
}
