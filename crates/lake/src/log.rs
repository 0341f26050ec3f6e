//! A table's log, followed: the files that it names and the numbers that it carries, as of one version.
//!
//! The library reads the log anew for each number, lists the log to learn of a new version, and keeps every entry that it
//! has ever seen. Here a new version is one request for the entry behind the last, and costs what that entry holds,
//! however long the log is. A start reads the newest checkpoint and the entries after it.

use crate::checksum;
use crate::error::LakeError;
use crate::limits::{CHECKPOINT_EVERY, LOG_READS_AT_ONCE, QUIET_REFRESHES};
use crate::location::Location;
use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, StructArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake_core::Path;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// The tag that holds a file's summary.
pub(crate) const TAG: &str = "gridtrail";
/// The tag that holds the checksum of a file's bytes.
pub(crate) const CHECKSUM_TAG: &str = "gridtrail.xxh64";

/// A file of a table, as its log lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableFile {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) month: Option<String>,
    /// When it was committed, milliseconds since the epoch.
    pub(crate) written_ms: i64,
    /// The JSON that the writer left in the file's tag.
    pub(crate) tag: Option<String>,
    /// XXH64 of its bytes. Files of earlier versions have none.
    pub(crate) xxh64: Option<u64>,
}

/// What changed since it was last asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileChanges {
    /// All that was known before is to be forgotten.
    pub(crate) anew: bool,
    pub(crate) added: Vec<Arc<TableFile>>,
    pub(crate) removed: Vec<Arc<TableFile>>,
}

/// A table's log at one version.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    location: Location,
    /// Where the entries lie.
    folder: Path,
    version: u64,
    numbers: BTreeMap<String, i64>,
    properties: HashMap<String, String>,
    files: HashMap<String, Arc<TableFile>>,
    changes: FileChanges,
    /// Files that were taken away and are still listed as such, with the time of it, milliseconds since the epoch; `None`
    /// where nobody asks for them.
    removed: Option<HashMap<String, i64>>,
    /// Refreshes in a row that found nothing new.
    quiet: u32,
}

/// What lies in the folder of a log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listed {
    pub(crate) entries: BTreeSet<u64>,
    pub(crate) checkpoints: BTreeSet<u64>,
}

/// How the other lines of an entry begin.
const OTHER_LINES: [&str; 5] =
    ["{\"commitInfo\":", "{\"protocol\":", "{\"cdc\":", "{\"domainMetadata\":", "{\"checkpointMetadata\":"];

/// The lines of an entry that matter here.
#[derive(Deserialize)]
enum Line {
    #[serde(rename = "txn")]
    Number(Number),
    #[serde(rename = "add")]
    Add(Added),
    #[serde(rename = "remove")]
    Remove(Removed),
    #[serde(rename = "metaData")]
    Metadata(Metadata),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Number {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    path: String,
    size: i64,
    #[serde(default)]
    modification_time: i64,
    #[serde(default)]
    partition_values: HashMap<String, Option<String>>,
    #[serde(default)]
    tags: Option<HashMap<String, Option<String>>>,
    /// Whether it has rows that no file of the table had, as opposed to rows that lay elsewhere.
    #[serde(default = "changes_data")]
    data_change: bool,
}

/// What does not say counts as new.
const fn changes_data() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    path: String,
    #[serde(default)]
    deletion_timestamp: Option<i64>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    configuration: HashMap<String, Option<String>>,
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

impl Log {
    /// The log in a folder, at a version or at its newest. Errors: `VersionGone` when the version is not, or no longer, to
    /// be had.
    pub(crate) async fn open(
        location: &Location,
        folder: Path,
        wanted: Option<u64>,
    ) -> Result<Self, LakeError> {
        let mut log = Self::at_no_version(location, folder);
        log.start(wanted).await?;
        Ok(log)
    }

    /// The log in a folder at its newest version, with the files that were taken away.
    pub(crate) async fn open_with_removed(location: &Location, folder: Path) -> Result<Self, LakeError> {
        let mut log = Self::at_no_version(location, folder);
        log.removed = Some(HashMap::new());
        log.start(None).await?;
        Ok(log)
    }

    fn at_no_version(location: &Location, folder: Path) -> Self {
        Self {
            location: location.clone(),
            folder,
            version: 0,
            numbers: BTreeMap::new(),
            properties: HashMap::new(),
            files: HashMap::new(),
            changes: FileChanges::default(),
            removed: None,
            quiet: 0,
        }
    }

    /// Reads a checkpoint and what came after it.
    async fn start(&mut self, wanted: Option<u64>) -> Result<(), LakeError> {
        let checkpoint = match wanted {
            None => self.newest_checkpoint().await?,
            Some(version) => self.checkpoint_before(version).await?,
        };
        let gone = |version: u64| LakeError::VersionGone { version: version.to_string() };
        let mut log = Self {
            version: checkpoint.unwrap_or(0),
            numbers: BTreeMap::new(),
            properties: HashMap::new(),
            files: HashMap::new(),
            changes: FileChanges { anew: true, ..FileChanges::default() },
            removed: self.removed.as_ref().map(|_| HashMap::new()),
            quiet: 0,
            ..self.clone()
        };
        match checkpoint {
            Some(version) => log.read_checkpoint(version).await?,
            None => match log.entry(0).await? {
                Some(entry) => log.apply(0, &entry)?,
                None => return Err(gone(wanted.unwrap_or(0))),
            },
        }
        log.advance(wanted).await?;
        match wanted {
            Some(version) if version != log.version => Err(gone(version)),
            _ => {
                *self = log;
                Ok(())
            }
        }
    }

    /// The version.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A property of the table.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// A number that commits carry.
    pub(crate) fn number(&self, app_id: &str) -> Option<i64> {
        self.numbers.get(app_id).copied()
    }

    /// The numbers whose names start so, in order of name.
    pub(crate) fn numbers_starting_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, i64)> {
        self.numbers
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, number)| (name.as_str(), *number))
    }

    /// The live files, in no order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<TableFile>> {
        self.files.values()
    }

    /// Files that were taken away, and when, milliseconds since the epoch: those that the newest checkpoint still lists, and
    /// all since. Empty unless they were asked for.
    pub(crate) fn removed(&self) -> HashMap<String, i64> {
        self.removed.clone().unwrap_or_default()
    }

    /// The versions whose entries lie in the folder, ascending, and those of the checkpoints.
    pub(crate) async fn listed(&self) -> Result<Listed, LakeError> {
        let failed = LakeError::store(format!("list {}", self.folder));
        let listed = self.location.store.list(Some(&self.folder));
        let files: Vec<ObjectMeta> = listed.try_collect().await.map_err(failed)?;
        let mut found = Listed::default();
        for name in files.iter().filter_map(|file| file.location.filename()) {
            let Some((version, kind)) = name.split_once('.') else { continue };
            let Ok(version) = version.parse() else { continue };
            match kind {
                "json" => drop(found.entries.insert(version)),
                "checkpoint.parquet" => drop(found.checkpoints.insert(version)),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether a file is live.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// What changed among the files since this was last asked.
    pub(crate) fn take_changes(&mut self) -> FileChanges {
        std::mem::take(&mut self.changes)
    }

    /// Takes in newer entries, up to a version or as far as there are any. Where it fails, it stays at what was read.
    pub(crate) async fn advance(&mut self, until: Option<u64>) -> Result<(), LakeError> {
        // One request at a time while there is little to read, which is nearly always, and more once there is much.
        let mut at_once = 1;
        while until.is_none_or(|until| self.version < until) {
            let next = self.version + 1;
            let last = until.unwrap_or(u64::MAX).min(next + at_once - 1);
            let entries: Vec<_> = stream::iter(next..=last)
                .map(|version| {
                    let log = &*self;
                    async move { log.entry(version).await }
                })
                .buffered(LOG_READS_AT_ONCE)
                .collect()
                .await;
            for entry in entries {
                let Some(entry) = entry? else { return Ok(()) };
                self.apply(self.version + 1, &entry)?;
            }
            at_once = LOG_READS_AT_ONCE as u64;
        }
        Ok(())
    }

    /// Starts over from the newest checkpoint, as one does who stayed behind what was cleaned up.
    pub(crate) async fn restart(&mut self) -> Result<(), LakeError> {
        self.start(None).await
    }

    /// Takes in newer entries. Entries that were cleaned up before they were read are made up for by a checkpoint.
    pub(crate) async fn refresh(&mut self) -> Result<(), LakeError> {
        let before = self.version;
        self.advance(None).await?;
        if self.version > before {
            self.quiet = 0;
            return Ok(());
        }
        // Nothing behind the last entry: there is nothing new, or what came next is cleaned up already. That is asked for
        // rarely, since a log is kept for days.
        self.quiet += 1;
        if self.quiet.is_multiple_of(QUIET_REFRESHES) && self.is_behind_checkpoint().await? {
            self.start(None).await?;
        }
        Ok(())
    }

    async fn is_behind_checkpoint(&self) -> Result<bool, LakeError> {
        Ok(self.newest_checkpoint().await?.is_some_and(|version| version > self.version))
    }

    /// The entry of one version, as JSON lines; `None` when it is not there.
    pub(crate) async fn entry(&self, version: u64) -> Result<Option<Bytes>, LakeError> {
        self.read(format!("{version:020}.json")).await
    }

    async fn read(&self, name: String) -> Result<Option<Bytes>, LakeError> {
        let path = self.folder.clone().join(name);
        let failed = || LakeError::store(format!("read {path}"));
        match self.location.store.get(&path).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed()),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed()(error)),
        }
    }

    /// The newest checkpoint, by the hint that its writer left.
    async fn newest_checkpoint(&self) -> Result<Option<u64>, LakeError> {
        let Some(hint) = self.read("_last_checkpoint".to_owned()).await? else { return Ok(None) };
        let hint: Option<LastCheckpoint> = serde_json::from_slice(&hint).ok();
        Ok(hint.map(|hint| hint.version))
    }

    /// The newest checkpoint that is not younger than a version. One may not have been written: the log is whole without it.
    async fn checkpoint_before(&self, version: u64) -> Result<Option<u64>, LakeError> {
        let mut at = version - version % CHECKPOINT_EVERY;
        while at > 0 {
            let path = self.folder.clone().join(checkpoint_name(at));
            match self.location.store.head(&path).await {
                Ok(_) => return Ok(Some(at)),
                Err(object_store::Error::NotFound { .. }) => at -= CHECKPOINT_EVERY,
                Err(error) => return Err(LakeError::store(format!("look for {path}"))(error)),
            }
        }
        Ok(None)
    }

    fn apply(&mut self, version: u64, entry: &[u8]) -> Result<(), LakeError> {
        for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // What stands around the files and numbers is long, and says nothing of them.
            if OTHER_LINES.iter().any(|start| line.starts_with(start.as_bytes())) {
                continue;
            }
            // A kind of line that is unknown may be one that was changed: passing it over would lose files in silence.
            let line = serde_json::from_slice(line).map_err(|error| LakeError::Corrupt {
                path: self.folder.clone().join(format!("{version:020}.json")).to_string(),
                why: error.to_string(),
            })?;
            match line {
                Line::Number(Number { app_id, version }) => drop(self.numbers.insert(app_id, version)),
                Line::Metadata(Metadata { configuration }) => {
                    self.properties =
                        configuration.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                }
                Line::Add(added) => self.add(added.into()),
                Line::Remove(Removed { path, deletion_timestamp }) => {
                    self.remove(&path);
                    if let Some(removed) = &mut self.removed {
                        removed.insert(path, deletion_timestamp.unwrap_or(0));
                    }
                }
            }
        }
        self.version = version;
        Ok(())
    }

    fn add(&mut self, file: TableFile) {
        let file = Arc::new(file);
        self.changes.added.push(Arc::clone(&file));
        self.files.insert(file.path.clone(), file);
    }

    fn remove(&mut self, path: &str) {
        let Some(file) = self.files.remove(path) else { return };
        // One that came and went since it was last asked never was.
        let before = self.changes.added.len();
        self.changes.added.retain(|added| added.path != path);
        if self.changes.added.len() == before {
            self.changes.removed.push(file);
        }
    }

    async fn read_checkpoint(&mut self, version: u64) -> Result<(), LakeError> {
        let name = checkpoint_name(version);
        let path = self.folder.clone().join(name.as_str());
        let bytes = self.read(name).await?;
        let bytes = bytes.ok_or_else(|| LakeError::VersionGone { version: version.to_string() })?;
        let corrupt = || LakeError::corrupt(path.as_ref());
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(corrupt())?;
        let names = ["txn.appId", "txn.version", "add.path", "add.size", "add.modificationTime"];
        let more = [
            "add.partitionValues",
            "add.tags",
            "remove.path",
            "remove.deletionTimestamp",
            "metaData.configuration",
        ];
        let columns = ProjectionMask::columns(builder.parquet_schema(), names.into_iter().chain(more));
        let batches = builder.with_projection(columns).build().map_err(corrupt())?;
        for batch in batches {
            let batch = batch
                .map_err(|error| LakeError::Corrupt { path: path.to_string(), why: error.to_string() })?;
            let taken = self.take_checkpoint(&batch);
            taken.ok_or_else(|| LakeError::Corrupt {
                path: path.to_string(),
                why: "a column of the checkpoint is of another type".to_owned(),
            })?;
        }
        Ok(())
    }

    fn take_checkpoint(&mut self, batch: &RecordBatch) -> Option<()> {
        if let Some(txn) = batch.column_by_name("txn") {
            let txn = txn.as_struct_opt()?;
            let names = txn.column_by_name("appId")?.as_string_opt::<i32>()?;
            let versions = txn.column_by_name("version")?.as_primitive_opt::<Int64Type>()?;
            for row in (0..txn.len()).filter(|row| names.is_valid(*row) && versions.is_valid(*row)) {
                self.numbers.insert(names.value(row).to_owned(), versions.value(row));
            }
        }
        if let Some(metadata) = batch.column_by_name("metaData") {
            let metadata = metadata.as_struct_opt()?;
            for row in (0..metadata.len()).filter(|row| metadata.is_valid(*row)) {
                self.properties.extend(map_values(metadata, "configuration", row)?);
            }
        }
        if let Some(listed) = &mut self.removed
            && let Some(remove) = batch.column_by_name("remove")
        {
            let remove = remove.as_struct_opt()?;
            let paths = remove.column_by_name("path")?.as_string_opt::<i32>()?;
            let times = remove.column_by_name("deletionTimestamp")?.as_primitive_opt::<Int64Type>()?;
            for row in (0..remove.len()).filter(|row| remove.is_valid(*row) && paths.is_valid(*row)) {
                listed.insert(paths.value(row).to_owned(), times.value(row));
            }
        }
        let add = batch.column_by_name("add")?.as_struct_opt()?;
        let paths = add.column_by_name("path")?.as_string_opt::<i32>()?;
        let sizes = add.column_by_name("size")?.as_primitive_opt::<Int64Type>()?;
        let times = add.column_by_name("modificationTime")?.as_primitive_opt::<Int64Type>()?;
        for row in (0..add.len()).filter(|row| add.is_valid(*row) && paths.is_valid(*row)) {
            self.add(TableFile {
                path: paths.value(row).to_owned(),
                size: u64::try_from(sizes.value(row)).unwrap_or(0),
                month: map_value(add, "partitionValues", row, "month"),
                written_ms: times.value(row),
                tag: map_value(add, "tags", row, TAG),
                xxh64: map_value(add, "tags", row, CHECKSUM_TAG).as_deref().and_then(checksum::from_text),
            });
        }
        Some(())
    }
}

impl From<Added> for TableFile {
    fn from(added: Added) -> Self {
        let Added { path, size, modification_time, mut partition_values, tags, .. } = added;
        let mut tags = tags.unwrap_or_default();
        Self {
            path,
            size: u64::try_from(size).unwrap_or(0),
            month: partition_values.remove("month").flatten(),
            written_ms: modification_time,
            tag: tags.remove(TAG).flatten(),
            xxh64: tags.remove(CHECKSUM_TAG).flatten().as_deref().and_then(checksum::from_text),
        }
    }
}

/// The files that an entry adds with rows that may be new to the table. `None`: it cannot be read.
pub(crate) fn new_rows(entry: &[u8]) -> Option<Vec<TableFile>> {
    let mut added = Vec::new();
    for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if OTHER_LINES.iter().any(|start| line.starts_with(start.as_bytes())) {
            continue;
        }
        match serde_json::from_slice(line).ok()? {
            Line::Add(file) if file.data_change => added.push(file.into()),
            Line::Add(_) | Line::Remove(_) | Line::Number(_) | Line::Metadata(_) => {}
        }
    }
    Some(added)
}

fn checkpoint_name(version: u64) -> String {
    format!("{version:020}.checkpoint.parquet")
}

/// What a map of texts holds under a key, in one row of a struct that has such a column.
fn map_value(of: &StructArray, column: &str, row: usize, key: &str) -> Option<String> {
    map_values(of, column, row)?.find_map(|(name, value)| (name == key).then_some(value))
}

/// What a map of texts holds, without what is null.
fn map_values(
    of: &StructArray,
    column: &str,
    row: usize,
) -> Option<impl Iterator<Item = (String, String)> + use<>> {
    let maps: &MapArray = of.column_by_name(column)?.as_map_opt()?;
    let entries = maps.value(row);
    let entries = if maps.is_null(row) { entries.slice(0, 0) } else { entries };
    let text = |column: &ArrayRef, at: usize| {
        let texts = column.as_string_opt::<i32>()?;
        texts.is_valid(at).then(|| texts.value(at).to_owned())
    };
    Some(
        (0..entries.len())
            .filter_map(move |at| Some((text(entries.column(0), at)?, text(entries.column(1), at)?))),
    )
}
