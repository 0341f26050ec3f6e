//! Commits: what one does, and how it comes into the log.
//!
//! **I3: a source position and the rows it produced are committed together, or not at all.** Every commit names
//! the positions it starts from and moves them; they are checked against the very snapshot that the commit is built
//! on, again after every refresh, because the library compares transaction ids and never their values.
//!
//! An error from a commit never means "not written": the log is read back for the commit's own id before anyone is
//! told (the store may have accepted the write and lost the answer). That goes for "this version is there already", too:
//! it may be ours.
//!
//! The library says what an entry looks like; the entry is put by ourselves, at the version behind the one that was checked, where there is none.
//! The library would hold every file of the table in columns of its own for it, and go through all of them at each commit (decision 0103).

use super::checksum::{self, Written};
use super::log::entry::{Commit, Entry};
use super::log::{CHECKSUM_TAG, TAG, TAIL_TAG, TableFile};
use super::table::{Table, load};
use crate::definition::MONTH;
use crate::error::RunsError;
use crate::limits::{CHECKPOINT_EVERY, COMMIT_ATTEMPTS};
use deltalake_core::kernel::transaction::CommitData;
use deltalake_core::kernel::{Action, Add, MetadataExt as _, Remove, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A move of one source position: the table must be at `from` and will be at `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The source and partition, or whatever else the position is of.
    pub app_id: String,
    /// `None`: the table must not know the source yet.
    pub from: Option<i64>,
    /// Where it is afterwards.
    pub to: i64,
}

/// A file that was uploaded and is about to be committed.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Its path from the folder of the table.
    pub path: String,
    /// Its size and checksums.
    pub written: Written,
    /// The month that it lies in, where the table is by month.
    pub month: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// What the log is to say of it: JSON.
    pub tag: String,
    /// Smallest and largest values of some columns as JSON has them, times as RFC 3339: the statistics that other engines prune by.
    pub bounds: Vec<(&'static str, String, String)>,
}

impl NewFile {
    /// What a commit says of it beside its path and size.
    fn tags(&self) -> impl Iterator<Item = (&'static str, String)> {
        let tail = self.written.tail.map(|tail| (TAIL_TAG, tail.to_text()));
        let all = [(TAG, self.tag.clone()), (CHECKSUM_TAG, checksum::to_text(self.written.xxh64))];
        all.into_iter().chain(tail)
    }

    /// The file as the log lists it once it is committed.
    fn listed(&self, now_ms: i64) -> TableFile {
        TableFile {
            path: self.path.clone(),
            size: self.written.size,
            month: self.month.clone(),
            written_ms: now_ms,
            tag: Some(self.tag.clone()),
            xxh64: Some(self.written.xxh64),
            tail: self.written.tail,
        }
    }
}

/// What one commit does.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Files that come.
    pub add: Vec<NewFile>,
    /// Files that go.
    pub remove: Vec<Arc<TableFile>>,
    /// Positions that move.
    pub moves: Vec<Move>,
    /// Positions that must be where they are said to be, and stay there.
    pub requires: Vec<(String, Option<i64>)>,
    /// Properties of the table to be set.
    pub properties: Vec<(&'static str, String)>,
    /// Whether rows go, as opposed to lying elsewhere.
    pub drops: bool,
    /// Whether rows come that no file had, though files are taken away.
    pub brings: bool,
    /// Numbers that only grow, whoever commits: the larger of this and the table's own is kept.
    pub marks: Vec<(String, i64)>,
    /// Time of the commit, milliseconds since the epoch: the age of removed files counts from here.
    pub now_ms: i64,
    /// Goes into the log entry beside the commit id.
    pub evidence: Option<Value>,
}

/// The key of the commit id in a log entry.
const COMMIT_ID: &str = "gridtrailCommitId";
/// The key of the time of the commit in a log entry, milliseconds since the epoch.
pub(super) const COMMITTED_MS: &str = "gridtrailCommittedMs";
/// The key of the checksum of the state that a log entry leads to.
const STATE: &str = "gridtrailState";
/// The key of the evidence in a log entry.
pub const EVIDENCE: &str = "gridtrailEvidence";

impl Table {
    /// Commits, and brings this handle to the new version. Returns that version.
    ///
    /// Once begun it goes on to its end, also when this is dropped: whether an entry that was on its way counts, nobody could say. The
    /// tracker of its [`Location`](crate::Location) tells when.
    ///
    /// Cost: one listing from the version on, the entry written, and read back; a new checkpoint now and then.
    pub async fn commit(&mut self, changes: &Changes) -> Result<u64, RunsError> {
        let (mut own, changes) = (self.clone(), changes.clone());
        let detached = self.location.detached.clone();
        let committing = detached.spawn(async move {
            let done = own.commit_to_the_end(&changes).await;
            (own, done)
        });
        let panicked = |_| RunsError::Internal("a commit panicked");
        let (own, done) = committing.await.map_err(panicked)?;
        *self = own;
        done
    }

    /// Commits, unless another process moved a position first that the commit is about: then nothing counts. Returns the new version.
    pub async fn commit_unless_moved(&mut self, changes: &Changes) -> Result<Option<u64>, RunsError> {
        match self.commit(changes).await {
            Err(RunsError::PositionMoved { .. }) => Ok(None),
            committed => committed.map(Some),
        }
    }

    async fn commit_to_the_end(&mut self, changes: &Changes) -> Result<u64, RunsError> {
        let commit_id = uuid::Uuid::new_v4().to_string();
        let base = self.version();
        let mut last_error = None;
        for _ in 0..COMMIT_ATTEMPTS {
            Box::pin(self.log.advance_to_newest()).await?;
            self.format()?;
            self.check_positions(changes)?;
            self.check_removes(&changes.remove)?;
            match self.try_commit(changes, &commit_id).await {
                Ok(version) => {
                    Box::pin(self.log.advance(Some(version))).await?;
                    self.check_whole()?;
                    self.checkpoint_if_due(version).await;
                    return Ok(version);
                }
                Err(error) => {
                    self.refresh().await?;
                    if let Some(version) = self.find_commit(&commit_id, base + 1).await? {
                        return Ok(version);
                    }
                    if !error.is_already_there() {
                        return Err(error);
                    }
                    last_error = Some(error);
                }
            }
        }
        tracing::warn!(table = self.name(), error = ?last_error, "commit overtaken too often");
        Err(RunsError::Overtaken { attempts: COMMIT_ATTEMPTS })
    }

    fn check_positions(&self, changes: &Changes) -> Result<(), RunsError> {
        let moved = changes.moves.iter().map(|change| (&change.app_id, change.from));
        let required = changes.requires.iter().map(|(app_id, at)| (app_id, *at));
        for (app_id, expected) in moved.chain(required) {
            let found = self.position(app_id);
            if found != expected {
                return Err(RunsError::PositionMoved {
                    source_id: app_id.clone(),
                    expected: expected.unwrap_or(0),
                    found: found.unwrap_or(0),
                });
            }
        }
        Ok(())
    }

    /// What is taken away must be there. Whoever takes files away moves a position that guards them, so that this only
    /// fails where somebody did not.
    fn check_removes(&self, removes: &[Arc<TableFile>]) -> Result<(), RunsError> {
        match removes.iter().all(|file| self.log.names(&file.path)) {
            true => Ok(()),
            false => Err(RunsError::Internal("a file that is to be taken away is not there")),
        }
    }

    /// Writes the entry of the version behind this one.
    async fn try_commit(&self, changes: &Changes, commit_id: &str) -> Result<u64, RunsError> {
        let entry = self.entry(changes, commit_id);
        let version = self.version() + 1;
        let state = entry.seal(self.log.sum_after(&entry), version);
        let mut metadata = HashMap::from([
            (COMMIT_ID.to_owned(), Value::from(commit_id)),
            (COMMITTED_MS.to_owned(), Value::from(changes.now_ms)),
            (STATE.to_owned(), Value::from(state)),
        ]);
        metadata.extend(changes.evidence.clone().map(|evidence| (EVIDENCE.to_owned(), evidence)));
        let moves = entry.numbers.iter().map(|(app_id, to)| Transaction::new(app_id, *to)).collect();
        let (mut actions, mut operation) = actions(changes);
        if !changes.properties.is_empty() {
            let action;
            (action, operation) = self.set_properties(changes).await?;
            actions.push(action);
        }
        let entry = CommitData::new(actions, operation, metadata, moves).get_bytes();
        let entry = entry.map_err(|_| RunsError::Internal("a log entry could not be written as JSON"))?;
        self.log.write_next(entry).await?;
        Ok(version)
    }

    /// The action that sets properties. It repeats all else that the table says of itself, which is read from the log anew: that is rare.
    async fn set_properties(&self, changes: &Changes) -> Result<(Action, DeltaOperation), RunsError> {
        let failed = || RunsError::delta(format!("set properties of table {}", self.name()));
        let table = load(&self.location, self.name(), None).await?;
        let mut metadata = table.snapshot().map_err(failed())?.metadata().clone();
        for (name, value) in &changes.properties {
            let set = metadata.add_config_key((*name).to_owned(), value.clone());
            metadata = set.map_err(|error| failed()(error.into()))?;
        }
        let properties = changes.properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let operation = DeltaOperation::SetTableProperties { properties: properties.collect() };
        Ok((Action::Metadata(metadata), operation))
    }

    /// What a commit says, as it is read from the log afterwards. It is made for the version behind that of this handle, and no other.
    fn entry(&self, changes: &Changes, commit_id: &str) -> Entry {
        let moves = changes.moves.iter().map(|change| (change.app_id.clone(), change.to));
        let larger = |(app_id, mark): &(String, i64)| {
            let known = self.log.number(app_id);
            (app_id.clone(), known.map_or(*mark, |known| known.max(*mark)))
        };
        let properties = (!changes.properties.is_empty()).then(|| {
            let mut all = self.log.properties().clone();
            all.extend(changes.properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            all
        });
        Entry {
            numbers: moves.chain(changes.marks.iter().map(larger)).collect(),
            needs: None,
            properties,
            added: changes.add.iter().map(|file| Arc::new(file.listed(changes.now_ms))).collect(),
            removed: changes.remove.iter().map(|file| (file.path.clone(), changes.now_ms)).collect(),
            commit: Commit {
                id: Some(commit_id.to_owned()),
                committed_ms: changes.now_ms,
                ..Commit::default()
            },
        }
    }

    /// The version whose log entry carries this commit id, from `first` to the version of this handle.
    async fn find_commit(&self, commit_id: &str, first: u64) -> Result<Option<u64>, RunsError> {
        for version in first..=self.version() {
            let entry = self.log_entry(version).await?;
            if entry.is_some_and(|entry| commit_info(&entry).is_some_and(|info| info[COMMIT_ID] == commit_id))
            {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    async fn checkpoint_if_due(&self, version: u64) {
        if !version.is_multiple_of(CHECKPOINT_EVERY) {
            return;
        }
        // A checkpoint only saves time: the log is whole without it, so a failure is told and passed over. It is of this version and not
        // of the newest, for this is where one is looked for.
        let made = match load(&self.location, self.name(), Some(version)).await {
            Ok(table) => deltalake_core::checkpoints::create_checkpoint(&table, None).await,
            Err(error) => {
                return tracing::warn!(table = self.name(), version, %error, "checkpoint not written");
            }
        };
        if let Err(error) = made {
            tracing::warn!(table = self.name(), version, %error, "checkpoint not written");
        }
    }
}

/// What a commit does to files, and what other engines are to think that it does.
fn actions(changes: &Changes) -> (Vec<Action>, DeltaOperation) {
    let rewrite = !changes.remove.is_empty() && !changes.drops;
    let removes = changes.remove.iter().map(|file| remove(file, changes));
    let adds = changes.add.iter().map(|file| add(file, !rewrite || changes.brings, changes.now_ms));
    let operation = if changes.drops {
        DeltaOperation::Delete { predicate: None }
    } else if rewrite {
        DeltaOperation::Optimize { predicate: None, target_size: 0 }
    } else {
        DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None }
    };
    (removes.map(Action::Remove).chain(adds.map(Action::Add)).collect(), operation)
}

/// The `commitInfo` of a log entry.
pub fn commit_info(entry: &[u8]) -> Option<Value> {
    let lines = entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find_map(|mut action| action.get_mut("commitInfo").map(Value::take))
}

fn partition(month: Option<&String>) -> HashMap<String, Option<String>> {
    month.map(|month| (MONTH.to_owned(), Some(month.clone()))).into_iter().collect()
}

fn add(file: &NewFile, data_change: bool, now_ms: i64) -> Add {
    let min: HashMap<&str, &String> = file.bounds.iter().map(|(column, min, _)| (*column, min)).collect();
    let max: HashMap<&str, &String> = file.bounds.iter().map(|(column, _, max)| (*column, max)).collect();
    let stats =
        serde_json::json!({ "numRecords": file.rows, "minValues": min, "maxValues": max, "nullCount": {} });
    Add {
        path: file.path.clone(),
        size: file.written.size.cast_signed(),
        modification_time: now_ms,
        data_change,
        partition_values: partition(file.month.as_ref()),
        stats: Some(stats.to_string()),
        tags: Some(file.tags().map(|(name, value)| (name.to_owned(), Some(value))).collect()),
        ..Default::default()
    }
}

fn remove(file: &TableFile, changes: &Changes) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: changes.drops,
        deletion_timestamp: Some(changes.now_ms),
        extended_file_metadata: Some(true),
        partition_values: Some(partition(file.month.as_ref())),
        size: Some(file.size.cast_signed()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
