//! One Delta table: opened, followed and read, without the library's own readers and writers.

use super::checksum::Written;
use super::commit::{COMMITTED_MS, commit_info};
use super::location::Location;
use super::log::{FileChanges, Log, Stop, TableFile};
use super::windows;
use crate::definition::{Definition, MONTH};
use crate::error::RunsError;
use crate::pages::Encoded;
use bytes::Bytes;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableBuilder, Path};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::sync::Arc;

/// One Delta table at one version. Cheap to clone, however many files it has.
#[derive(Debug, Clone)]
pub struct Table {
    definition: &'static Definition,
    pub(super) location: Location,
    pub(super) log: Log,
}

impl Table {
    /// Whether a table is there.
    pub async fn exists(location: &Location, name: &'static str) -> Result<bool, RunsError> {
        let found = log_store(location, name)?.is_delta_table_location().await;
        found.map_err(RunsError::delta(format!("look for table {name}")))
    }

    /// Whether files of rows lie in a table's folder.
    pub async fn has_rows(location: &Location, name: &'static str) -> Result<bool, RunsError> {
        let folder = table_path(location, name, "")?;
        let mut listed = location.store.list(Some(&folder));
        while let Some(file) = listed.try_next().await.map_err(RunsError::store(format!("list {folder}")))? {
            if file.location.as_ref().ends_with(".parquet") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// That a table's log is not there, though it must be.
    pub fn lost(location: &Location, name: &'static str) -> Result<RunsError, RunsError> {
        let path = table_path(location, name, "_delta_log")?.to_string();
        let why = "it is not there, and the lake is: put it back from a copy of the store, for a new one would be empty".to_owned();
        Ok(RunsError::Corrupt { path, why })
    }

    /// Opens a table. It is made when it is not there, unless it must be.
    pub async fn open_or_create(
        location: &Location,
        definition: &'static Definition,
        create: bool,
    ) -> Result<Self, RunsError> {
        let name = definition.name;
        if Self::exists(location, name).await? {
            return Self::open(location, definition, None).await;
        }
        if !create || (Self::has_rows(location, name).await? && !Self::exists(location, name).await?) {
            return Err(Self::lost(location, name)?);
        }
        let mut create = CreateBuilder::new().with_log_store(log_store(location, name)?);
        if definition.by_month {
            create = create.with_partition_columns([MONTH]);
        }
        // The library's own defaults keep removed files for less time than the log that names them.
        let created = create
            .with_columns(definition.columns()?)
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_configuration(windows::properties().chain(definition.properties()))
            .with_raise_if_key_not_exists(false)
            // Of several processes that make it at once, one does: tried again, the others would make it once more, as version 1.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        match created {
            Ok(_) => Self::open(location, definition, None).await,
            // Another process may have created it just now.
            Err(error) => Self::open(location, definition, None)
                .await
                .map_err(|_| RunsError::delta(format!("create table {name}"))(error)),
        }
    }

    /// Opens a table that must be there, at a version or at its newest.
    pub async fn open(
        location: &Location,
        definition: &'static Definition,
        version: Option<u64>,
    ) -> Result<Self, RunsError> {
        let folder = table_path(location, definition.name, "_delta_log")?;
        // What reading a log holds is large, and would lie on the stack of everybody who opens a lake.
        let log = Box::pin(Log::open(location, folder, version)).await?;
        if let Some(feature) = log.needs().first() {
            return Err(RunsError::Feature { table: definition.name, feature: feature.clone() });
        }
        let table = Self { definition, location: location.clone(), log };
        table.format()?;
        Ok(table)
    }

    /// The table at another version.
    pub async fn at(&self, version: u64) -> Result<Self, RunsError> {
        Self::open(&self.location, self.definition, Some(version)).await
    }

    /// The version that this handle is at.
    pub fn version(&self) -> u64 {
        self.log.version()
    }

    /// Takes in newer commits. Errors: `Format`, `Feature` where a newer build made the table one that this build cannot read.
    pub async fn refresh(&mut self) -> Result<(), RunsError> {
        Box::pin(self.log.refresh()).await?;
        self.format().map(drop)
    }

    /// The format that the table is of at this version. Errors: `Format`, `Feature` where it is none that this build knows.
    pub fn format(&self) -> Result<u32, RunsError> {
        self.definition.check_table(|name| self.log.property(name))
    }

    /// The live files, in no order.
    pub fn files(&self) -> Vec<Arc<TableFile>> {
        self.log.files().cloned().collect()
    }

    /// What changed among the files since this was last asked; at first, all of them.
    pub fn take_changes(&mut self) -> FileChanges {
        self.log.take_changes()
    }

    /// Every file that lies in the table's folder beside its log, named or not, by its path from the root of the store.
    pub async fn stored_files(&self) -> Result<HashMap<String, ObjectMeta>, RunsError> {
        let (prefix, log) = (self.full_path("")?, self.full_path("_delta_log")?);
        let listed = self.location.store.list(Some(&prefix));
        let files = listed.map_ok(|file| (file.location.to_string(), file));
        let mut files: HashMap<_, _> =
            files.try_collect().await.map_err(RunsError::store(format!("list {prefix}")))?;
        files.retain(|_, file| !file.location.prefix_matches(&log));
        Ok(files)
    }

    /// Every file that is named, by its path from the root of the store, with `None`; and every one that was taken away, with
    /// when, milliseconds since the epoch: as far back as the newest checkpoint lists them, which is at least for as long as
    /// they are kept.
    ///
    /// The log is read anew. A handle that slept while its next entries were cleaned up takes what it knows for the newest
    /// version, and would take every file since for one that nobody names.
    pub async fn fates(&self) -> Result<HashMap<String, Option<i64>>, RunsError> {
        let log = Box::pin(Log::open_with_removed(&self.location, self.full_path("_delta_log")?)).await?;
        let removed = log.removed().into_iter().map(|(path, at)| (path, Some(at)));
        let named = log.files().map(|file| (file.path.clone(), None));
        // What is named is, whatever became of it before.
        removed.chain(named).map(|(path, fate)| Ok((self.full_path(&path)?.to_string(), fate))).collect()
    }

    /// The name of the table.
    pub fn name(&self) -> &'static str {
        self.definition.name
    }

    /// What the table is.
    pub fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// Whether a file is named at this version.
    pub fn names(&self, path: &str) -> bool {
        self.log.names(path)
    }

    /// A property, as committed at this version.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.log.property(name)
    }

    /// The position of a source, as committed at this version.
    pub fn position(&self, app_id: &str) -> Option<i64> {
        self.log.number(app_id)
    }

    /// Every position and mark, as committed at this version.
    pub fn positions(&self) -> &Log {
        &self.log
    }

    /// The path of a table's file from the root of the store.
    pub fn full_path(&self, path: &str) -> Result<Path, RunsError> {
        table_path(&self.location, self.name(), path)
    }

    /// The store, whose paths start at its root.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.location.store.clone()
    }

    /// Uploads a file that a later commit will name.
    pub async fn upload(&self, path: &str, bytes: Bytes) -> Result<Written, RunsError> {
        let written = Written::of(&bytes);
        self.upload_encoded(path, Encoded { bytes, written }).await
    }

    /// Uploads a file that was encoded, in the same way.
    pub async fn upload_encoded(&self, path: &str, file: Encoded) -> Result<Written, RunsError> {
        let full = self.full_path(path)?;
        let put = self.location.store.put(&full, file.bytes.into()).await;
        put.map(|_| file.written).map_err(RunsError::store(format!("write {full}")))
    }

    /// When a version was committed, milliseconds since the epoch; `None` when its entry is not there, or does not say.
    pub async fn committed_ms(&self, version: u64) -> Result<Option<i64>, RunsError> {
        let info = self.log_entry(version).await?.and_then(|entry| commit_info(&entry));
        // Entries of earlier versions, and the first, have the library's own time.
        Ok(info.and_then(|info| info[COMMITTED_MS].as_i64().or_else(|| info["timestamp"].as_i64())))
    }

    /// The log entry of one version, as JSON lines; `None` when it is not there.
    pub async fn log_entry(&self, version: u64) -> Result<Option<Bytes>, RunsError> {
        self.log.entry(version).await
    }

    /// Refuses a table whose newest entry is not ours, or damaged.
    pub fn check_whole(&self) -> Result<(), RunsError> {
        self.log.check_whole()
    }

    /// Why the newest entry is not answered from, where that is so.
    pub fn stop(&self) -> Option<&Stop> {
        self.log.stop()
    }
}

/// The library's view of a table, at a version or at its newest.
pub(super) async fn load(
    location: &Location,
    name: &'static str,
    version: Option<u64>,
) -> Result<DeltaTable, RunsError> {
    let url = location.table(name)?;
    let failed = || RunsError::delta(format!("open table {name}"));
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(failed())?;
    let builder = builder.with_storage_backend(location.store.clone(), url);
    let builder = version.into_iter().fold(builder, DeltaTableBuilder::with_version);
    builder.load().await.map_err(failed())
}

/// The path of a table's file from the root of the store.
fn table_path(location: &Location, name: &'static str, path: &str) -> Result<Path, RunsError> {
    let root = location.table(name)?;
    let root =
        Path::from_url_path(root.path()).map_err(|_| RunsError::Internal("a table's URL is no path"))?;
    Ok(path.split('/').filter(|part| !part.is_empty()).fold(root, |full, part| full.join(part)))
}

fn log_store(location: &Location, name: &str) -> Result<LogStoreRef, RunsError> {
    let url = location.table(name)?;
    let failed = || RunsError::delta(format!("reach table {name}"));
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(failed())?;
    builder.with_storage_backend(location.store.clone(), url).build_storage().map_err(failed())
}
