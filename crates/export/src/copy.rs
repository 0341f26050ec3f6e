//! One table of a copy: which version of its lake it is of, its files, and how it is committed to.

use crate::data::{CopyFile, Encoded, Place, Rows, places_of};
use crate::error::ExportError;
use crate::limits::KNOWN_ROWS;
use crate::tables::CopiedTable;
use gridtrail_access::Party;
use gridtrail_lake::{Lake, SnapshotVersion};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{Changes, Location, Move, NewFile, RunsError, Table, TableFile, TableVacuumed, vacuum};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// The property that says which lake a copy is of.
const OF: &str = "gridtrail.copyOf";
/// The property that says for whom.
const FOR: &str = "gridtrail.copyFor";
/// The positions that say which version of each table of the lake a copy is of begin with this.
const LAKE: &str = "lake/";
/// The position that moves whenever files are gathered: of two processes that gather the same, one gives way.
pub(crate) const GATHERED: &str = "gathered";
/// The position that stands for whose rows a copy has: other User IDs, another number.
pub(crate) const RIGHTS: &str = "rights";
/// The position that stands for what waits in the lake: other fragments, another number.
pub(crate) const WAITING: &str = "waiting";

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
        if self.keeps(file.written, Some(&file.month)) {
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

    /// Whether a file that was to go is this one, to the byte: it stays.
    pub(crate) fn keeps(&mut self, written: Written, month: Option<&str>) -> bool {
        let is_same = |there: &Arc<TableFile>| {
            there.xxh64 == Some(written.xxh64)
                && there.size == written.size
                && there.month.as_deref() == month
        };
        let same = self.remove.values().find(|there| is_same(there)).map(|there| there.path.clone());
        same.is_some_and(|path| self.remove.remove(&path).is_some())
    }

    pub(crate) fn take_away<S>(&mut self, file: &CopyFile<S>) {
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
        let files = self.table.files().into_iter().map(CopyFile::<Rows>::of);
        let rows = files.map(|file| Ok::<_, RunsError>(file?.summary.rows)).sum::<Result<u64, _>>()?;
        Ok(rows)
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

    /// The files of a table of trails, by month and time.
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

    /// Refuses a copy of another lake, or for another purpose.
    pub(crate) fn check_purpose(&self, lake: &Lake, purpose: &Purpose) -> Result<(), ExportError> {
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

    /// Commits what a plan says, with the version of the lake that the copy is of then, and positions that stand for what else it goes by.
    pub(crate) async fn commit(
        &mut self,
        lake: &Lake,
        plan: Plan,
        (version, purpose): (&SnapshotVersion, &Purpose),
        positions: Vec<(&'static str, i64)>,
    ) -> Result<(), ExportError> {
        let table = &self.table;
        let of_lake = version.tables().map(|(name, at)| (format!("{LAKE}{name}"), at.cast_signed()));
        let others = positions.into_iter().map(|(name, to)| (name.to_owned(), to));
        let moves =
            of_lake.chain(others).map(|(app_id, to)| Move { from: table.position(&app_id), app_id, to });
        let first = table.property(OF).is_none();
        let properties = [(OF, lake.address().to_owned()), (FOR, purpose.to_string())];
        let changes = Changes {
            drops: !plan.remove.is_empty(),
            add: plan.add,
            remove: plan.remove.into_values().collect(),
            moves: moves.collect(),
            // Whoever gathered files meanwhile may have taken some of these away.
            requires: vec![(GATHERED.to_owned(), table.position(GATHERED))],
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
