//! One Delta table: the commit log, without the library's own writers.
//!
//! **I3: a source position and the rows it produced are committed together, or not at all.** Every commit names
//! the positions it starts from and moves them; they are checked against the very snapshot that the commit is built
//! on, again after every refresh, because the library compares transaction ids and never their values.
//!
//! An error from a commit never means "not written": the log is read back for the commit's own id before anyone is
//! told (the store may have accepted the write and lost the answer). That goes for "this version is there already", too:
//! it may be ours. So the library tries once, and no second time by itself.

use crate::checksum::{self, Written};
use crate::error::LakeError;
use crate::limits::{CHECKPOINT_EVERY, COMMIT_ATTEMPTS};
use crate::location::Location;
use crate::log::entry::{Commit, Entry};
use crate::log::{CHECKSUM_TAG, FileChanges, Log, Stop, TAG, TAIL_TAG, TableFile};
use crate::retention;
use crate::run::Encoded;
use crate::schema::delta_columns;
use crate::windows;
use arrow::datatypes::Schema;
use bytes::Bytes;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Metadata, MetadataExt as _, Remove, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableBuilder, Path};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A move of one source position: the table must be at `from` and will be at `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) app_id: String,
    /// `None`: the table must not know the source yet.
    pub(crate) from: Option<i64>,
    pub(crate) to: i64,
}

/// A file that was uploaded and is about to be committed.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub(crate) path: String,
    pub(crate) written: Written,
    pub(crate) month: Option<String>,
    pub(crate) rows: u64,
    pub(crate) tag: String,
    /// Smallest and largest `received_at`, RFC 3339, for the statistics that other engines prune by.
    pub(crate) received: Option<(String, String)>,
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
pub(crate) struct Changes {
    pub(crate) add: Vec<NewFile>,
    pub(crate) remove: Vec<Arc<TableFile>>,
    pub(crate) moves: Vec<Move>,
    /// Positions that must be where they are said to be, and stay there.
    pub(crate) requires: Vec<(String, Option<i64>)>,
    /// Properties of the table to be set.
    pub(crate) properties: Vec<(&'static str, String)>,
    /// Whether rows go, as opposed to lying elsewhere.
    pub(crate) drops: bool,
    /// Whether rows come that no file had, though files are taken away.
    pub(crate) brings: bool,
    /// Numbers that only grow, whoever commits: the larger of this and the table's own is kept.
    pub(crate) marks: Vec<(String, i64)>,
    /// Time of the commit, milliseconds since the epoch: the age of removed files counts from here.
    pub(crate) now_ms: i64,
    /// Goes into the log entry beside the commit id.
    pub(crate) evidence: Option<Value>,
}

/// The key of the commit id in a log entry.
const COMMIT_ID: &str = "gridtrailCommitId";
/// The key of the time of the commit in a log entry, milliseconds since the epoch.
const COMMITTED_MS: &str = "gridtrailCommittedMs";
/// The key of the checksum of the state that a log entry leads to.
const STATE: &str = "gridtrailState";
/// The key of the evidence in a log entry.
pub(crate) const EVIDENCE: &str = "gridtrailEvidence";
/// One Delta table at one version.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    name: &'static str,
    location: Location,
    log: Log,
    /// The library's own view of it, which only a commit needs. It may be behind.
    delta: Option<DeltaTable>,
}

impl Table {
    /// Whether a table is there.
    pub(crate) async fn exists(location: &Location, name: &'static str) -> Result<bool, LakeError> {
        let found = log_store(location, name)?.is_delta_table_location().await;
        found.map_err(LakeError::delta(format!("look for table {name}")))
    }

    /// Whether files of rows lie in a table's folder.
    pub(crate) async fn has_rows(location: &Location, name: &'static str) -> Result<bool, LakeError> {
        let folder = table_path(location, name, "")?;
        let mut listed = location.store.list(Some(&folder));
        while let Some(file) = listed.try_next().await.map_err(LakeError::store(format!("list {folder}")))? {
            if file.location.as_ref().ends_with(".parquet") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// That a table's log is not there, though it must be.
    pub(crate) fn lost(location: &Location, name: &'static str) -> Result<LakeError, LakeError> {
        let path = table_path(location, name, "_delta_log")?.to_string();
        let why = "it is not there, and the lake is: put it back from a copy of the store, for a new one would be empty".to_owned();
        Ok(LakeError::Corrupt { path, why })
    }

    /// Opens a table. It is made when it is not there, unless it must be.
    pub(crate) async fn open_or_create(
        location: &Location,
        name: &'static str,
        (schema, by_month): (&Schema, bool),
        create: bool,
    ) -> Result<Self, LakeError> {
        if Self::exists(location, name).await? {
            return Self::open(location, name, None).await;
        }
        if !create || (Self::has_rows(location, name).await? && !Self::exists(location, name).await?) {
            return Err(Self::lost(location, name)?);
        }
        let mut columns = delta_columns(schema);
        let mut create = CreateBuilder::new().with_log_store(log_store(location, name)?);
        if by_month {
            columns.push(deltalake_core::kernel::StructField::new(
                "month",
                deltalake_core::kernel::DataType::STRING,
                false,
            ));
            create = create.with_partition_columns(["month"]);
        }
        // The library's own defaults keep removed files for less time than the log that names them.
        let created = create
            .with_columns(columns)
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_configuration(windows::properties().chain([retention::property()]))
            .with_raise_if_key_not_exists(false)
            // Of several processes that make it at once, one does: tried again, the others would make it once more, as version 1.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        match created {
            Ok(_) => Self::open(location, name, None).await,
            // Another process may have created it just now.
            Err(error) => Self::open(location, name, None)
                .await
                .map_err(|_| LakeError::delta(format!("create table {name}"))(error)),
        }
    }

    /// Opens a table that must be there, at a version or at its newest.
    pub(crate) async fn open(
        location: &Location,
        name: &'static str,
        version: Option<u64>,
    ) -> Result<Self, LakeError> {
        let folder = table_path(location, name, "_delta_log")?;
        // What reading a log holds is large, and would lie on the stack of everybody who opens a lake.
        let log = Box::pin(Log::open(location, folder, version)).await?;
        Ok(Self { name, location: location.clone(), log, delta: None })
    }

    /// The table at another version.
    pub(crate) async fn at(&self, version: u64) -> Result<Self, LakeError> {
        Self::open(&self.location, self.name, Some(version)).await
    }

    /// The version that this handle is at.
    pub(crate) fn version(&self) -> u64 {
        self.log.version()
    }

    /// Takes in newer commits.
    pub(crate) async fn refresh(&mut self) -> Result<(), LakeError> {
        Box::pin(self.log.refresh()).await
    }

    /// The live files, in no order.
    pub(crate) fn files(&self) -> Vec<Arc<TableFile>> {
        self.log.files().cloned().collect()
    }

    /// What changed among the files since this was last asked.
    pub(crate) fn take_changes(&mut self) -> FileChanges {
        self.log.take_changes()
    }

    /// Every file that lies in the table's folder beside its log, named or not, by its path from the root of the store.
    pub(crate) async fn stored_files(&self) -> Result<HashMap<String, ObjectMeta>, LakeError> {
        let (prefix, log) = (self.full_path("")?, self.full_path("_delta_log")?);
        let listed = self.location.store.list(Some(&prefix));
        let files = listed.map_ok(|file| (file.location.to_string(), file));
        let mut files: HashMap<_, _> =
            files.try_collect().await.map_err(LakeError::store(format!("list {prefix}")))?;
        files.retain(|_, file| !file.location.prefix_matches(&log));
        Ok(files)
    }

    /// Every file that is named, by its path from the root of the store, with `None`; and every one that was taken away, with
    /// when, milliseconds since the epoch: as far back as the newest checkpoint lists them, which is at least for as long as
    /// they are kept.
    ///
    /// The log is read anew. A handle that slept while its next entries were cleaned up takes what it knows for the newest
    /// version, and would take every file since for one that nobody names.
    pub(crate) async fn fates(&self) -> Result<HashMap<String, Option<i64>>, LakeError> {
        let log = Box::pin(Log::open_with_removed(&self.location, self.full_path("_delta_log")?)).await?;
        let removed = log.removed().into_iter().map(|(path, at)| (path, Some(at)));
        let named = log.files().map(|file| (file.path.clone(), None));
        // What is named is, whatever became of it before.
        removed.chain(named).map(|(path, fate)| Ok((self.full_path(&path)?.to_string(), fate))).collect()
    }

    /// The name of the table.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a file is named at this version.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.log.names(path)
    }

    /// A property, as committed at this version.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.log.property(name)
    }

    /// The position of a source, as committed at this version.
    pub(crate) fn position(&self, app_id: &str) -> Option<i64> {
        self.log.number(app_id)
    }

    /// Every position and mark, as committed at this version.
    pub(crate) fn positions(&self) -> &Log {
        &self.log
    }

    /// The path of a table's file from the root of the store.
    pub(crate) fn full_path(&self, path: &str) -> Result<Path, LakeError> {
        table_path(&self.location, self.name, path)
    }

    /// The store, whose paths start at its root.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        self.location.store.clone()
    }

    /// Uploads a file that a later commit will name.
    pub(crate) async fn upload(&self, path: &str, bytes: Bytes) -> Result<Written, LakeError> {
        let written = Written::of(&bytes);
        self.upload_encoded(path, Encoded { bytes, written }).await
    }

    /// Uploads a file that was encoded, in the same way.
    pub(crate) async fn upload_encoded(&self, path: &str, file: Encoded) -> Result<Written, LakeError> {
        let full = self.full_path(path)?;
        let put = self.location.store.put(&full, file.bytes.into()).await;
        put.map(|_| file.written).map_err(LakeError::store(format!("write {full}")))
    }

    /// When a version was committed, milliseconds since the epoch; `None` when its entry is not there, or does not say.
    pub(crate) async fn committed_ms(&self, version: u64) -> Result<Option<i64>, LakeError> {
        let info = self.log_entry(version).await?.and_then(|entry| commit_info(&entry));
        // Entries of earlier versions, and the first, have the library's own time.
        Ok(info.and_then(|info| info[COMMITTED_MS].as_i64().or_else(|| info["timestamp"].as_i64())))
    }

    /// The log entry of one version, as JSON lines; `None` when it is not there.
    pub(crate) async fn log_entry(&self, version: u64) -> Result<Option<Bytes>, LakeError> {
        self.log.entry(version).await
    }

    /// Commits, and brings this handle to the new version. Returns that version.
    ///
    /// Once begun it goes on to its end, also when this is dropped: the library takes it for a crash of the runtime when
    /// what its threads wait for is dropped. See [`crate::Lake::wait_for_detached`].
    pub(crate) async fn commit(&mut self, changes: &Changes) -> Result<u64, LakeError> {
        let (mut own, changes) = (self.clone(), changes.clone());
        let detached = self.location.detached.clone();
        let committing = detached.spawn(async move {
            let done = own.commit_to_the_end(&changes).await;
            (own, done)
        });
        let panicked = |_| LakeError::Internal("a commit panicked");
        let (own, done) = committing.await.map_err(panicked)?;
        *self = own;
        done
    }

    async fn commit_to_the_end(&mut self, changes: &Changes) -> Result<u64, LakeError> {
        let commit_id = uuid::Uuid::new_v4().to_string();
        let base = self.version();
        let mut last_error = None;
        for _ in 0..COMMIT_ATTEMPTS {
            let table = self.current().await?;
            self.check_positions(changes)?;
            self.check_removes(&changes.remove)?;
            match self.try_commit(&table, changes, &commit_id).await {
                Ok(version) => {
                    Box::pin(self.log.advance(Some(version))).await?;
                    self.check_whole()?;
                    self.delta = Some(table);
                    self.checkpoint_if_due(version).await;
                    return Ok(version);
                }
                Err(error) => {
                    self.refresh().await?;
                    if let Some(version) = self.find_commit(&commit_id, base + 1).await? {
                        return Ok(version);
                    }
                    let conflict = matches!(
                        error,
                        deltalake_core::DeltaTableError::Transaction {
                            source: deltalake_core::kernel::transaction::TransactionError::CommitConflict(_)
                                | deltalake_core::kernel::transaction::TransactionError::VersionAlreadyExists(
                                    _
                                )
                                | deltalake_core::kernel::transaction::TransactionError::MaxCommitAttempts(_)
                        }
                    );
                    if !conflict {
                        return Err(LakeError::delta(format!("commit to table {}", self.name))(error));
                    }
                    last_error = Some(error);
                }
            }
        }
        tracing::warn!(table = self.name, error = ?last_error, "commit overtaken too often");
        Err(LakeError::Overtaken { attempts: COMMIT_ATTEMPTS })
    }

    /// The library's view at the newest version, with this handle's own at the very same.
    ///
    /// Errors: `NotOurs`, `Corrupt` where the newest version is none that we answer from.
    async fn current(&mut self) -> Result<DeltaTable, LakeError> {
        let mut table = match self.delta.take() {
            Some(table) => table,
            None => match load(&self.location, self.name).await {
                Ok(table) => table,
                Err(error) => return Err(self.log.damage().await.unwrap_or(error)),
            },
        };
        loop {
            if let Err(error) = table.update_incremental(None).await {
                let failed = LakeError::delta(format!("read the newest version of table {}", self.name));
                return Err(self.log.damage().await.unwrap_or_else(|| failed(error)));
            }
            let version = table.version().unwrap_or(0);
            Box::pin(self.log.advance(Some(version))).await?;
            self.check_whole()?;
            if self.log.version() < version {
                // The entries between were cleaned up while nothing was asked of this handle.
                self.log.restart().await?;
                self.check_whole()?;
            }
            // What is read entry by entry may have been ahead.
            if self.log.version() == version {
                return Ok(table);
            }
        }
    }

    /// Refuses a table whose newest entry is not ours, or damaged.
    pub(crate) fn check_whole(&self) -> Result<(), LakeError> {
        self.log.stop().map_or(Ok(()), |stop| Err(stop.clone().error()))
    }

    /// Why the newest entry is not answered from, where that is so.
    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.log.stop()
    }

    fn check_positions(&self, changes: &Changes) -> Result<(), LakeError> {
        let moved = changes.moves.iter().map(|change| (&change.app_id, change.from));
        let required = changes.requires.iter().map(|(app_id, at)| (app_id, *at));
        for (app_id, expected) in moved.chain(required) {
            let found = self.position(app_id);
            if found != expected {
                return Err(LakeError::PositionMoved {
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
    fn check_removes(&self, removes: &[Arc<TableFile>]) -> Result<(), LakeError> {
        match removes.iter().all(|file| self.log.names(&file.path)) {
            true => Ok(()),
            false => Err(LakeError::Internal("a file that is to be taken away is not there")),
        }
    }

    async fn try_commit(
        &self,
        table: &DeltaTable,
        changes: &Changes,
        commit_id: &str,
    ) -> Result<u64, deltalake_core::DeltaTableError> {
        let entry = self.entry(changes, commit_id);
        let state = entry.seal(self.log.sum_after(&entry), self.version() + 1);
        let mut metadata = vec![
            (COMMIT_ID.to_owned(), Value::from(commit_id)),
            (COMMITTED_MS.to_owned(), Value::from(changes.now_ms)),
            (STATE.to_owned(), Value::from(state)),
        ];
        metadata.extend(changes.evidence.clone().map(|evidence| (EVIDENCE.to_owned(), evidence)));
        let moves = entry.numbers.iter().map(|(app_id, to)| Transaction::new(app_id, *to)).collect();
        let properties = CommitProperties::default()
            .with_application_transactions(moves)
            .with_metadata(metadata)
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        let snapshot = table.snapshot()?;
        let (actions, operation) = actions(changes, snapshot.metadata())?;
        let prepared = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(snapshot), table.log_store(), operation)
            .into_prepared_commit_future()
            .await?;
        Ok(prepared.await?.version)
    }

    /// What a commit says, as it is read from the log afterwards. It is made for the version behind that of this handle: the
    /// library tries no other.
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
    async fn find_commit(&self, commit_id: &str, first: u64) -> Result<Option<u64>, LakeError> {
        for version in first..=self.version() {
            let entry = self.log_entry(version).await?;
            if entry.is_some_and(|entry| commit_info(&entry).is_some_and(|info| info[COMMIT_ID] == commit_id))
            {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    async fn checkpoint_if_due(&mut self, version: u64) {
        if !version.is_multiple_of(CHECKPOINT_EVERY) {
            return;
        }
        // A handle of the library keeps its log tail for ever; the next one starts from the checkpoint.
        self.delta = None;
        // A checkpoint only saves time: the log is whole without it, so a failure is told and passed over.
        let made = match load(&self.location, self.name).await {
            Ok(table) => deltalake_core::checkpoints::create_checkpoint(&table, None).await,
            Err(error) => return tracing::warn!(table = self.name, version, %error, "checkpoint not written"),
        };
        if let Err(error) = made {
            tracing::warn!(table = self.name, version, %error, "checkpoint not written");
        }
    }
}

/// What a commit is made of, and what other engines are to think that it does.
fn actions(
    changes: &Changes,
    metadata: &Metadata,
) -> Result<(Vec<Action>, DeltaOperation), deltalake_core::DeltaTableError> {
    let rewrite = !changes.remove.is_empty() && !changes.drops;
    let removes = changes.remove.iter().map(|file| remove(file, changes));
    let adds = changes.add.iter().map(|file| add(file, !rewrite || changes.brings, changes.now_ms));
    let mut actions: Vec<Action> = removes.map(Action::Remove).chain(adds.map(Action::Add)).collect();
    if !changes.properties.is_empty() {
        let mut metadata = metadata.clone();
        for (name, value) in &changes.properties {
            metadata = metadata.add_config_key((*name).to_owned(), value.clone())?;
        }
        actions.push(Action::Metadata(metadata));
        let properties = changes.properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        return Ok((actions, DeltaOperation::SetTableProperties { properties: properties.collect() }));
    }
    let operation = if changes.drops {
        DeltaOperation::Delete { predicate: None }
    } else if rewrite {
        DeltaOperation::Optimize { predicate: None, target_size: 0 }
    } else {
        DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None }
    };
    Ok((actions, operation))
}

/// The library's view of a table, at its newest version.
async fn load(location: &Location, name: &'static str) -> Result<DeltaTable, LakeError> {
    let url = location.table(name)?;
    let failed = || LakeError::delta(format!("open table {name}"));
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(failed())?;
    builder.with_storage_backend(location.store.clone(), url).load().await.map_err(failed())
}

/// The path of a table's file from the root of the store.
fn table_path(location: &Location, name: &'static str, path: &str) -> Result<Path, LakeError> {
    let root = location.table(name)?;
    let root =
        Path::from_url_path(root.path()).map_err(|_| LakeError::Internal("a table's URL is no path"))?;
    Ok(path.split('/').filter(|part| !part.is_empty()).fold(root, |full, part| full.join(part)))
}

/// The `commitInfo` of a log entry.
pub(crate) fn commit_info(entry: &[u8]) -> Option<Value> {
    let lines = entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find_map(|mut action| action.get_mut("commitInfo").map(Value::take))
}

fn log_store(location: &Location, name: &str) -> Result<LogStoreRef, LakeError> {
    let url = location.table(name)?;
    let failed = || LakeError::delta(format!("reach table {name}"));
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(failed())?;
    builder.with_storage_backend(location.store.clone(), url).build_storage().map_err(failed())
}

fn partition(month: Option<&String>) -> HashMap<String, Option<String>> {
    month.map(|month| ("month".to_owned(), Some(month.clone()))).into_iter().collect()
}

fn add(file: &NewFile, data_change: bool, now_ms: i64) -> Add {
    let (min, max): (Value, Value) = match &file.received {
        Some((min, max)) => {
            (serde_json::json!({ "received_at": min }), serde_json::json!({ "received_at": max }))
        }
        None => (serde_json::json!({}), serde_json::json!({})),
    };
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
