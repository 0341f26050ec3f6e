//! Snapshots: the lake at one fixed vector of table versions.

use crate::error::LakeError;
use crate::rows::index::RunIndex;
use crate::rows::lookup;
use crate::streams::{self, MARK_FILES, Partition, Stream};
use crate::tables::registry::{self, Tables, looked_up};
use crate::tables::table::InventoryRuns;
use gridtrail_model::Timestamp;
use gridtrail_runs::{KeyedFiles, RunCache, RunsError, Table};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// A fixed vector of table versions, by the names of the tables that look-ups read, the main one first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotVersion(Vec<(&'static str, u64)>);

impl fmt::Display for SnapshotVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, version)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={version}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for SnapshotVersion {
    type Err = LakeError;
    fn from_str(text: &str) -> Result<Self, LakeError> {
        let read = |text: &str| {
            let parts = text.split(',').map(|part| part.split_once('=')).collect::<Option<Vec<_>>>()?;
            let of = |table: &str| parts.iter().find(|(name, _)| *name == table)?.1.parse().ok();
            let versions: Vec<_> =
                looked_up().map(|table| Some((table, of(table)?))).collect::<Option<_>>()?;
            (parts.len() == versions.len()).then_some(Self(versions))
        };
        // A build that reads other tables wrote it: its versions are none that this one can go back to.
        let gone = || RunsError::VersionGone { version: text.chars().take(64).collect() };
        Ok(read(text).ok_or_else(gone)?)
    }
}

impl SnapshotVersion {
    /// What `version` says of each table that look-ups read.
    pub(crate) fn of_tables(version: impl Fn(&str) -> u64) -> Self {
        Self(looked_up().map(|table| (table, version(table))).collect())
    }

    /// The versions of some tables.
    pub(crate) fn of_all(tables: &Tables) -> Self {
        Self::of_tables(|name| {
            tables.each().into_iter().find(|table| table.name() == name).map_or(0, Table::version)
        })
    }

    /// The version of a table. `None`: look-ups do not read it.
    pub(crate) fn of(&self, table: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| *name == table).map(|(_, version)| *version)
    }

    /// The version of each table that look-ups read, by its name, the main one first.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }

    /// The version that has these versions of tables. `None`: one that look-ups read is not among them.
    pub fn from_tables(version: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        Some(Self(looked_up().map(|table| Some((table, version(table)?))).collect::<Option<_>>()?))
    }

    /// The version of the main table, with every other table at its first: for stores of tests.
    pub fn of_trails(trails: u64) -> Self {
        Self::of_tables(|table| if table == registry::main() { trails } else { 0 })
    }

    /// The version of the main table.
    pub fn trails(&self) -> u64 {
        self.0.first().map_or(0, |(_, version)| *version)
    }
}

/// The newest snapshot that a process has seen of a lake.
#[derive(Debug)]
pub(crate) struct Newest(RwLock<Arc<Snapshot>>);

impl Newest {
    /// The newest is what `first` makes, which is told where to ask for newer ones.
    pub(crate) fn new(first: impl FnOnce(Weak<Self>) -> Snapshot) -> Arc<Self> {
        Arc::new_cyclic(|newest| Self(RwLock::new(Arc::new(first(newest.clone())))))
    }

    pub(crate) fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, snapshot: Arc<Snapshot>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

/// The lake at one version. Cheap to share; it never changes.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) version: SnapshotVersion,
    pub(crate) trails: RunIndex,
    pub(crate) parked: RunIndex,
    pub(crate) keyed: KeyedFiles,
    pub(crate) inventory: InventoryRuns,
    pub(crate) complete_up_to: Option<Timestamp>,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) cache: RunCache,
    /// What is known by now: whether a row of another User may be shown is never decided by what was known then.
    pub(crate) by_now: Weak<Newest>,
}

/// Parked fragments of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many. Some may have found their request by now: they are shown with it, and swept to it later.
    pub rows: u64,
    /// The time of the oldest.
    pub oldest: Option<Timestamp>,
    /// How many are older than the limit that was asked about.
    pub before_limit: u64,
}

impl Snapshot {
    /// The snapshot of some tables at their versions.
    ///
    /// `by_now` leads to what is known later; without it, the snapshot goes by itself alone.
    pub(crate) fn of(tables: &Tables, cache: RunCache, by_now: Weak<Newest>) -> Self {
        let partitions = streams::partitions(tables.trails.positions());
        let files = || tables.trails.position(MARK_FILES).and_then(Timestamp::from_millis);
        Self {
            version: SnapshotVersion::of_all(tables),
            trails: tables.runs.clone(),
            parked: tables.waiting.clone(),
            keyed: tables.keyed.clone(),
            inventory: tables.inventory_runs.clone(),
            // A lake that follows topics is as complete as they are, whatever files it also took in.
            complete_up_to: streams::complete_up_to(&partitions).unwrap_or_else(files),
            partitions,
            cache,
            by_now,
        }
    }

    /// About how many bytes it takes beside what it shares with another.
    pub(crate) fn bytes_beside(&self, other: Option<&Self>) -> usize {
        let partition = |partition: &Partition| {
            let Stream { cluster, topic, id, .. } = &partition.stream;
            size_of::<Partition>() + cluster.len() + topic.len() + id.len()
        };
        size_of::<Self>()
            + self.trails.bytes_beside(other.map(|other| &other.trails))
            + self.parked.bytes_beside(other.map(|other| &other.parked))
            + self.keyed.bytes_beside(other.map(|other| &other.keyed))
            + self.inventory.bytes_beside(other.map(|other| &other.inventory))
            + self.partitions.iter().map(partition).sum::<usize>()
    }

    /// The version.
    pub fn version(&self) -> &SnapshotVersion {
        &self.version
    }

    /// Every event that was recorded up to this time is in the snapshot. `None`: nothing was ever read to its end.
    pub fn complete_up_to(&self) -> Option<Timestamp> {
        self.complete_up_to
    }

    /// Every partition of the topics that the lake follows, and how far each is read and complete.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// What waits for its request in this snapshot: how much, since when, and how much of it since before `limit`.
    /// No row's content leaves.
    ///
    /// The time of an answer is when it was sent to the User. Cost: the runs of the parked table that `limit` divides.
    /// Errors as [`Snapshot::lookup`].
    pub async fn waiting(&self, limit: Timestamp) -> Result<Waiting, LakeError> {
        let mut waiting = Waiting::default();
        for file in self.parked.iter().filter(|file| file.summary.rows > 0) {
            let summary = &file.summary;
            waiting.rows += summary.rows;
            let oldest = Timestamp::from_millis(summary.min_received_ms);
            waiting.oldest = waiting.oldest.into_iter().chain(oldest).min();
            if summary.max_received_ms < limit.millis() {
                waiting.before_limit += summary.rows;
            } else if summary.min_received_ms < limit.millis() {
                let run = file.open(&self.cache).await?;
                let fragments = lookup::all(&self.cache, &run).await?;
                let before = fragments.iter().filter(|f| f.placement().is_some_and(|at| at < limit));
                waiting.before_limit += before.count() as u64;
            }
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_the_tables_that_it_is_of() {
        let text = "trails=7,parked=2,mpxn_devices=3,named_rows=5,inventory=1,anomaly=4,schedules=6";
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
