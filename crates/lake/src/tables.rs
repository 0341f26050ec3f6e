//! The tables of a lake, one line each.
//!
//! What a table is stands in a file of its own: its [`Definition`], and what the lake does with it ([`LakeTable`]). Whatever is done to
//! every table goes over this list: opening, verification, gathering, vacuum, windows, snapshots and time travel.

use crate::access_events::AccessEvents;
use crate::access_log::AccessLogTable;
use crate::compaction::{Compacting, CompactionSettings};
use crate::dead_letters::DeadLetters;
use crate::error::LakeError;
use crate::evidence_table::Commits;
use crate::holds::HoldChanges;
use crate::index::RunIndex;
use crate::inventory::{Inventory, InventoryRuns};
use crate::keyed::KeyedFiles;
use crate::lake::Lake;
use crate::limits::BUCKETS;
use crate::maintenance::Maintenance;
use crate::named_rows::NamedRows;
use crate::pairs::PairTable;
use crate::parked::Parked;
use crate::retention::Went;
use crate::schema::Trails;
use crate::snapshot::{Newest, Snapshot, SnapshotVersion};
use crate::stopped::StoppedAt;
use crate::streams;
use crate::verify::FileCheck;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::future::try_join_all;
use gridtrail_inventory::InventoryEvent;
use gridtrail_model::{Fragment, Named, Timestamp};
use gridtrail_runs::{
    Changes, Definition, Encoded, Location, MergeRule, Move, NewFile, RunCache, RunsError, Summary, Table,
    TableFile, copy, gather,
};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

/// The mark that says how far file sources are complete.
pub(crate) const MARK_FILES: &str = "mark/files";
/// The position that says how many buckets were chosen.
pub(crate) const BUCKETS_CHOSEN: &str = "buckets";
/// The position in the parked table that names the version of the main table its last removal relies on.
pub(crate) const SWEPT: &str = "swept/trails";

/// For how long a table keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptFor {
    /// For so many months as the table's setting says, or longer where its own rule says so.
    Months,
    /// Until nothing needs them any more: the table's rule says when that is.
    Needed,
    /// For ever.
    Ever,
}

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
    /// asked.
    ///
    /// Any number of processes may do so at once, and be killed at any moment: what is to go goes, or is looked at again the next time.
    async fn expire(&self, _: &mut Maintenance, _: &Expiry<'_>) -> Result<Went, LakeError> {
        Ok(Went::default())
    }

    /// What a row of the main table names and ought to be found by, and is not, as far as that is up to this table. `None`: nothing.
    async fn missed(&self, _: &Snapshot, _: &Fragment) -> Result<Option<Named>, RunsError> {
        Ok(None)
    }

    /// What makes its small files fewer, up to the commit. `None`: they are few, or it is not gathered.
    async fn gather(&self, _: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        Ok(None)
    }

    /// What makes its runs fewer, of a table that is compacted by levels and buckets: [`Compacting::by_levels`].
    async fn compact(&self, _: &mut Compacting<'_>) -> Result<(), LakeError> {
        Ok(())
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
    pub(crate) lake: &'a Lake,
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
        let made = copy((self.lake.cache(), self.table), self.file, path, summary, self.given_up).await?;
        Ok(Changes {
            add: vec![made],
            remove: vec![Arc::clone(self.file)],
            moves: vec![guard],
            now_ms: self.now.millis(),
            ..Changes::default()
        })
    }
}

/// How rows are let go.
pub(crate) struct Expiry<'a> {
    pub(crate) settings: &'a CompactionSettings,
    /// Nothing goes, and it is only said what would.
    pub(crate) dry: bool,
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
}

impl<'a> Arriving<'a> {
    /// Fragments of the main table.
    pub(crate) fn placed(placed: &'a [Fragment]) -> Self {
        Self { placed, ..Self::default() }
    }

    /// What goes into each table with them.
    pub(crate) fn side_files(&self) -> Result<SideFiles, RunsError> {
        ALL.iter().map(|table| table.rows_of(self)).collect()
    }
}

/// What goes into each table, in the order of [`ALL`].
pub(crate) type SideFiles = Vec<Option<SideFile>>;

/// A file of a side table that was encoded and is not committed yet.
#[derive(Debug)]
pub(crate) struct SideFile {
    pub(crate) encoded: Encoded,
    pub(crate) rows: u64,
    pub(crate) tag: String,
}

impl SideFile {
    async fn commit(self, table: &mut Table, now: Timestamp) -> Result<(), RunsError> {
        let Self { encoded, rows, tag } = self;
        let path = table.definition().new_path(None);
        let written = table.upload_encoded(&path, encoded).await?;
        let file = NewFile { path, written, month: None, rows, tag, received: None };
        let changes = Changes { add: vec![file], now_ms: now.millis(), ..Changes::default() };
        table.commit(&changes).await.map(drop)
    }
}

/// A table whose small files are to become fewer.
pub(crate) struct Gathering<'a> {
    pub(crate) lake: &'a Lake,
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
        let (files, now_ms) = (self.lake.whole_files(self.table)?, self.now.millis());
        gather::gather((self.lake.cache(), self.table), files, now_ms, size, rule, summary, keep).await
    }
}

macro_rules! tables {
    ($($name:ident: $table:path,)*) => {
        /// Every table, the main one first.
        pub(crate) static ALL: &[&dyn LakeTable] = &[$(&$table),*];

        /// The tables of a lake, each at some version.
        #[derive(Debug, Clone)]
        pub(crate) struct Tables {
            pub(crate) runs: RunIndex,
            pub(crate) waiting: RunIndex,
            pub(crate) inventory_runs: InventoryRuns,
            keyed: KeyedFiles,
            $(pub(crate) $name: Table,)*
        }

        impl Tables {
            /// These tables, given in the order of [`ALL`].
            fn of(tables: Vec<Table>) -> Result<Self, RunsError> {
                let mut tables = tables.into_iter();
                let mut next = || tables.next().ok_or(RunsError::Internal("a lake has fewer tables than its list"));
                Ok(Self {
                    runs: RunIndex::default(),
                    waiting: RunIndex::default(),
                    inventory_runs: InventoryRuns::default(),
                    keyed: KeyedFiles::default(),
                    $($name: next()?,)*
                })
            }

            /// Every table, in the order of [`ALL`].
            pub(crate) fn all(&mut self) -> Vec<&mut Table> {
                vec![$(&mut self.$name),*]
            }

            /// The same, to look at.
            pub(crate) fn each(&self) -> Vec<&Table> {
                vec![$(&self.$name),*]
            }
        }
    };
}

tables! {
    trails: Trails,
    parked: Parked,
    pairs: PairTable,
    named_rows: NamedRows,
    inventory: Inventory,
    dead_letters: DeadLetters,
    commits: Commits,
    holds: HoldChanges,
    access: AccessEvents,
    access_log: AccessLogTable,
}

/// The name of the main table: a batch counts when it is committed to this one.
pub(crate) fn main() -> &'static str {
    Trails.definition().name
}

/// The mark of the main table that says that a table was made which earlier builds do not make.
fn made(table: &dyn LakeTable) -> String {
    format!("made/{}", table.definition().name)
}

/// The names of all tables of a lake, the main one first.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|table| table.definition().name)
}

/// Into how many buckets a month of a table's runs is sorted.
pub(crate) fn buckets_of(table: &Table) -> u32 {
    let chosen = table.position(BUCKETS_CHOSEN).and_then(|n| u32::try_from(n).ok());
    chosen.filter(|n| *n > 0).unwrap_or(BUCKETS)
}

impl Tables {
    pub(crate) async fn open(location: &Location, writes: bool) -> Result<Self, LakeError> {
        let trails = Table::open_or_create(location, Trails.definition(), writes).await?;
        // Nobody commits to the main table before all others were made: from then on, one whose log is not there was lost. One that
        // the build that made the lake did not know was lost where the main table says that it was made.
        let fresh = trails.version() == 0;
        let may_lack =
            |table: &dyn LakeTable| fresh || table.came_later() && trails.position(&made(table)).is_none();
        let lacking: Vec<bool> = ALL.iter().map(|table| may_lack(*table)).collect();
        let others = ALL.iter().zip(lacking).skip(1).map(|(table, may_lack)| {
            let definition = table.definition();
            Box::pin(async move {
                if may_lack && !writes && !Table::exists(location, definition.name).await? {
                    return Err(LakeError::NoTable { table: definition.name });
                }
                Ok(Table::open_or_create(location, definition, may_lack).await?)
            })
        });
        let opened = std::iter::once(trails).chain(try_join_all(others).await?).collect();
        let mut tables = Self::of(opened)?;
        tables.index()?;
        Ok(tables)
    }

    /// Brings what a snapshot is made of to the newest version, the main table first: what a commit of it counts
    /// on in a side table is then there. Only a sweep takes away from a side table, and says on which version of
    /// the main table it relies: an older one is refreshed again.
    pub(crate) async fn refresh(&mut self) -> Result<(), RunsError> {
        self.trails.refresh().await?;
        self.parked.refresh().await?;
        let relied_on = self.parked.position(SWEPT).unwrap_or(0);
        if u64::try_from(relied_on).unwrap_or(0) > self.trails.version() {
            self.trails.refresh().await?;
        }
        let done = [&Trails as &dyn LakeTable, &Parked].map(|table| table.definition().name);
        for (of, table) in ALL.iter().zip(self.all()) {
            if of.is_looked_up() && !done.contains(&table.name()) {
                table.refresh().await?;
            }
        }
        self.dead_letters.refresh().await?;
        self.index()
    }

    /// Commits to side tables what goes into them with fragments, before the commit of the main table that makes those count.
    pub(crate) async fn commit_beside(&mut self, files: SideFiles, now: Timestamp) -> Result<(), RunsError> {
        let some = self.all().into_iter().zip(files).filter_map(|(table, file)| Some((table, file?)));
        try_join_all(some.map(|(table, file)| file.commit(table, now))).await.map(drop)
    }

    /// Marks of the main table for tables of which it does not say yet that they were made.
    pub(crate) fn marks_of_made(&self) -> impl Iterator<Item = (String, i64)> {
        let later = ALL.iter().filter(|table| table.came_later()).map(|table| made(*table));
        later.filter(|mark| self.trails.position(mark).is_none()).map(|mark| (mark, 1))
    }

    /// Brings every table to its newest version.
    pub(crate) async fn refresh_all(&mut self) -> Result<(), RunsError> {
        self.refresh().await?;
        for (of, table) in ALL.iter().zip(self.all()) {
            if !of.is_looked_up() {
                table.refresh().await?;
            }
        }
        Ok(())
    }

    /// The tables as they were at a version, as far as a snapshot is made of them.
    pub(crate) async fn at(
        mut self,
        location: &Location,
        version: &SnapshotVersion,
    ) -> Result<Self, RunsError> {
        for (of, table) in ALL.iter().zip(self.all()) {
            if let Some(version) = version.of(of.definition().name) {
                *table = Table::open(location, of.definition(), Some(version)).await?;
            }
        }
        (self.runs, self.waiting) = (RunIndex::default(), RunIndex::default());
        self.inventory_runs = InventoryRuns::default();
        self.index()?;
        Ok(self)
    }

    /// Brings the lists of files up to the versions of their tables.
    pub(crate) fn index(&mut self) -> Result<(), RunsError> {
        self.runs.apply(&self.trails.take_changes(), &self.trails)?;
        self.waiting.apply(&self.parked.take_changes(), &self.parked)?;
        self.inventory_runs.apply(&self.inventory.take_changes(), &self.inventory)?;
        let mut keyed = self.keyed.clone();
        for (_, table) in ALL.iter().zip(self.all()).filter(|(of, _)| of.is_keyed()) {
            keyed.apply(&table.take_changes(), table)?;
        }
        self.keyed = keyed;
        Ok(())
    }

    /// Refuses tables of which the newest entry of one is not ours, or damaged.
    pub(crate) fn check_whole(&self) -> Result<(), RunsError> {
        self.each().into_iter().try_for_each(Table::check_whole)
    }

    /// Where one of them is not read on.
    pub(crate) fn stopped(&self) -> Option<StoppedAt> {
        self.each().into_iter().find_map(StoppedAt::of)
    }

    /// Into how many buckets a month's runs are sorted.
    pub(crate) fn buckets(&self) -> u32 {
        buckets_of(&self.trails)
    }

    pub(crate) fn version(&self) -> SnapshotVersion {
        SnapshotVersion::of_tables(|name| {
            self.each().into_iter().find(|table| table.name() == name).map_or(0, Table::version)
        })
    }

    /// The snapshot of these versions.
    ///
    /// `by_now` leads to what is known later; without it, the snapshot goes by itself alone.
    pub(crate) fn snapshot(&self, cache: RunCache, by_now: Weak<Newest>) -> Snapshot {
        let partitions = streams::partitions(self.trails.positions());
        let files = || self.trails.position(MARK_FILES).and_then(Timestamp::from_millis);
        Snapshot {
            version: self.version(),
            trails: self.runs.clone(),
            parked: self.waiting.clone(),
            keyed: self.keyed.clone(),
            inventory: self.inventory_runs.clone(),
            // A lake that follows topics is as complete as they are, whatever files it also took in.
            complete_up_to: streams::complete_up_to(&partitions).unwrap_or_else(files),
            partitions,
            cache,
            by_now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_has_a_name_of_its_own_and_the_main_one_comes_first() {
        assert_eq!(names().collect::<BTreeSet<_>>().len(), ALL.len());
        assert_eq!((names().next(), main()), (Some("trails"), "trails"));
        assert!(ALL[0].is_looked_up());
    }

    /// `docs/lake.md` says of every table for how long it keeps its rows.
    #[test]
    fn it_is_told_for_how_long_every_table_keeps_its_rows() {
        let page = include_str!("../../../docs/lake.md");
        for table in ALL {
            let (name, kept) = (table.definition().name, table.kept_for());
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/lake.md has no row of {name}"));
            assert_eq!(row.contains("for ever"), kept == KeptFor::Ever, "{row}");
            assert_eq!(row.contains(" months"), kept == KeptFor::Months, "{row}");
        }
    }

    #[test]
    fn a_version_names_the_tables_that_it_is_of() {
        let text = "trails=7,parked=2,mpxn_devices=3,named_rows=5,inventory=1";
        let version: SnapshotVersion = text.parse().unwrap();
        assert_eq!(
            (version.to_string().as_str(), version.trails(), version.of("parked")),
            (text, 7, Some(2))
        );
        assert_eq!(version.of("holds"), None);
        // Another build may read fewer tables, or more.
        for other in ["7.2.3", "trails=7,parked=2,mpxn_devices=3", &format!("{text},holds=1"), "trails=x", ""]
        {
            assert!(other.parse::<SnapshotVersion>().is_err(), "{other}");
        }
    }
}
