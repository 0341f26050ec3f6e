//! The runs of trails, by month and bucket, and what a month counts of them: which Devices their rows may close elsewhere.

use crate::rows::run::RunFile;
use deltalake_core::Path;
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_runs::{FileChanges, Listed, Run, RunFacts, RunsError, Table, TableFile};
use rpds::HashTrieMapSync;
use std::ops::Deref;
use std::sync::Arc;

/// How many runs of a month list a Device among [`closing_targets`](crate::rows::run::RunSummary::closing_targets); under `None`, how many
/// list nothing, and may have any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing(HashTrieMapSync<Option<DeviceId>, usize>);

impl Closing {
    fn count(&mut self, target: Option<DeviceId>, is_there: bool) {
        let runs = self.0.get(&target).copied().unwrap_or(0);
        match if is_there { runs + 1 } else { runs.saturating_sub(1) } {
            0 => drop(self.0.remove_mut(&target)),
            runs => self.0.insert_mut(target, runs),
        }
    }

    fn may_have(&self, target: DeviceId) -> bool {
        self.0.contains_key(&Some(target)) || self.0.contains_key(&None)
    }
}

impl Listed for RunFile {
    fn listed(file: &Arc<TableFile>, path: Path) -> Result<Self, RunsError> {
        Self::new(Arc::clone(file), path)
    }

    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Run for RunFile {
    type Counts = Closing;

    fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> &Arc<TableFile> {
        &self.file
    }

    fn facts(&self) -> RunFacts {
        let summary = &self.summary;
        RunFacts {
            rows: summary.rows,
            times_ms: (summary.min_received_ms, summary.max_received_ms),
            bucket: summary.bucket,
            since_ms: summary.since_ms,
        }
    }

    fn footer_bytes(&self) -> Option<u64> {
        self.summary.footer_bytes
    }

    fn spans(&self, key: &[u8]) -> bool {
        key.try_into().is_ok_and(|id| self.may_hold(DeviceId::from_bytes(id)))
    }

    fn count(&self, counts: &mut Closing, is_there: bool) {
        match self.summary.closing() {
            Some(listed) => listed.into_iter().for_each(|target| counts.count(Some(target), is_there)),
            None => counts.count(None, is_there),
        }
    }
}

/// The runs of a table of fragments at one version. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunIndex(gridtrail_runs::RunIndex<RunFile>);

impl Deref for RunIndex {
    type Target = gridtrail_runs::RunIndex<RunFile>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl RunIndex {
    /// Takes in what changed. `table` says where files lie.
    pub(crate) fn apply(&mut self, changes: &FileChanges, table: &Table) -> Result<(), RunsError> {
        self.0.apply(changes, table)
    }

    /// The runs that a look-up of a Device within a period goes through: the same for every Device of a bucket. That a run's Devices
    /// begin behind one or end before it leaves none out: of a run of few Devices it would tell which those are.
    pub(crate) fn of_device(
        &self,
        device: DeviceId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> impl Iterator<Item = &Arc<RunFile>> {
        let (first, last) = (from.map(Timestamp::month), to.map(Timestamp::month));
        let runs = self.0.of_key(device.to_bytes(), first, last);
        runs.filter(move |run| run.may_lie_within(from, to))
    }

    /// The runs in which a row may lie that closes others, whose id names a Device, and that lies under something else.
    pub(crate) fn closing_elsewhere(&self, target: DeviceId) -> impl Iterator<Item = &Arc<RunFile>> {
        let runs = self.0.of_months(move |closing| closing.may_have(target));
        runs.filter(move |run| run.closing.get().is_none_or(|listed| listed.contains(&target)))
    }

    /// About how many bytes it takes beside what it shares with another.
    pub(crate) fn bytes_beside(&self, other: Option<&Self>) -> usize {
        self.0.bytes_beside(other.map(|other| &other.0))
    }
}
