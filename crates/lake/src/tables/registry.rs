//! The tables of a lake, one line each.
//!
//! What a table is stands in a file of its own: its [`Definition`], and what the lake does with it ([`LakeTable`]). Whatever is done to
//! every table goes over this list: opening, verification, gathering, vacuum, windows, snapshots and time travel.

use crate::error::LakeError;
use crate::rows::index::RunIndex;
use crate::stopped::StoppedAt;
use crate::tables::access_events::AccessEvents;
use crate::tables::access_log::AccessLogTable;
use crate::tables::anomaly::Anomaly;
use crate::tables::commits::Commits;
use crate::tables::dead_letters::DeadLetters;
use crate::tables::holds::HoldChanges;
use crate::tables::inventory::Inventory;
use crate::tables::named_rows::NamedRows;
use crate::tables::pairs::PairTable;
use crate::tables::parked::{Parked, SWEPT};
use crate::tables::schedules::ScheduleTable;
use crate::tables::table::{Arriving, InventoryRuns, LakeTable, SideFile};
use crate::tables::trails::{Trails, buckets_of};
use futures::future::{join_all, try_join_all};
use gridtrail_model::Timestamp;
use gridtrail_runs::{KeyedFiles, Location, RunsError, Table};

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
            pub(crate) keyed: KeyedFiles,
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
    anomaly: Anomaly,
    schedules: ScheduleTable,
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

/// The names of the tables that look-ups read, the main one first.
pub(crate) fn looked_up() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|table| table.is_looked_up()).map(|table| table.definition().name)
}

/// Whether every refresh goes on to its newest version: a table that look-ups read, and dead letters, whose positions a writer holds its
/// own against.
fn is_followed(table: &dyn LakeTable) -> bool {
    table.is_looked_up() || table.definition().name == DeadLetters.definition().name
}

/// What goes into each table, in the order of [`ALL`].
pub(crate) type SideFiles = Vec<Option<SideFile>>;

/// What goes into each table with fragments.
pub(crate) fn side_files(arriving: &Arriving<'_>) -> Result<SideFiles, RunsError> {
    ALL.iter().map(|table| table.rows_of(arriving)).collect()
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
        // All to their end, also where one fails: the library takes it for a crash of the runtime when what its threads wait for is dropped.
        let others = join_all(others).await.into_iter().collect::<Result<Vec<Table>, LakeError>>()?;
        let opened = std::iter::once(trails).chain(others).collect();
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
        self.refresh_some(|of, name| is_followed(of) && !done.contains(&name)).await?;
        self.index()
    }

    /// Brings some tables to their newest versions, all at once: there are many, and each waits for the store.
    async fn refresh_some(
        &mut self,
        is_one: impl Fn(&dyn LakeTable, &'static str) -> bool,
    ) -> Result<(), RunsError> {
        let some = ALL.iter().zip(self.all()).filter(|(of, table)| is_one(**of, table.name()));
        join_all(some.map(|(_, table)| table.refresh())).await.into_iter().collect()
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
        self.refresh_some(|of, _| !is_followed(of)).await
    }

    /// The tables as they were, as far as a snapshot is made of them. `version` says which version of a table.
    pub(crate) async fn at(
        mut self,
        location: &Location,
        version: impl Fn(&str) -> Option<u64>,
    ) -> Result<Self, RunsError> {
        for (of, table) in ALL.iter().zip(self.all()) {
            if let Some(version) = version(of.definition().name) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept_for::KeptFor;
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
        let page = include_str!("../../../../docs/lake.md");
        for table in ALL {
            let (name, kept) = (table.definition().name, table.kept_for());
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/lake.md has no row of {name}"));
            assert_eq!(row.contains("for ever"), kept == KeptFor::Ever, "{row}");
            assert_eq!(row.contains(" months"), kept == KeptFor::Months, "{row}");
        }
    }
}
