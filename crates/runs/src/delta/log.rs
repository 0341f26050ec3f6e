//! A table's log, followed: the files that it names and the numbers that it carries, as of one version.
//!
//! The library reads the log anew for each number, lists the log to learn of a new version, and keeps every entry that it
//! has ever seen. Here a new version is one request for the entry behind the last, and costs what that entry holds,
//! however long the log is. A start reads the newest checkpoint and the entries after it.
//!
//! **Nothing is believed that is not ours and not whole.** An entry counts as a whole or not at all ([`entry`]); each says what state it
//! leads to ([`state`]), and so does the entry of a checkpoint's version. Where one is not ours, or damaged, or missing while later ones
//! are there, the log stays at the version before it, and says why in [`Log::stop`].

mod changes;
mod checkpoint;
pub(crate) mod entry;
mod listed;
pub(crate) mod state;

use crate::delta::checksum::{ALTERED, Tail, Written};
use crate::delta::location::Location;
use crate::error::RunsError;
use crate::limits::{CHECKPOINT_EVERY, LOG_READS_AT_ONCE, QUIET_REFRESHES};
use bytes::Bytes;
pub use changes::FileChanges;
use changes::Pending;
use checkpoint::Checkpoint;
use deltalake_core::Path;
use entry::Entry;
use futures::{StreamExt, TryStreamExt, stream};
use listed::{Listed, checkpoint_name};
use object_store::{ObjectMeta, ObjectStoreExt, PutMode};
use serde::Deserialize;
use state::{State, StateSum};
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

/// The tag that holds a file's summary.
pub(crate) const TAG: &str = "gridtrail";
/// The tag that holds the checksum of a file's bytes.
pub(crate) const CHECKSUM_TAG: &str = "gridtrail.xxh64";
/// The tag that holds the length and the checksum of a run's tail.
pub(crate) const TAIL_TAG: &str = "gridtrail.tail";

/// A file of a table, as its log lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// Its path from the folder of the table.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// The month that it lies in, where the table is by month.
    pub month: Option<String>,
    /// When it was committed, milliseconds since the epoch.
    pub written_ms: i64,
    /// The JSON that the writer left in the file's tag.
    pub tag: Option<String>,
    /// XXH64 of its bytes. Files of earlier versions have none.
    pub xxh64: Option<u64>,
    /// What follows its pages. `None` where its footer has no sums of them, as in the first format.
    pub tail: Option<Tail>,
}

impl TableFile {
    /// Refuses bytes that are not those of the file. `path` names it.
    pub fn check(&self, path: &Path, found: Written) -> Result<(), RunsError> {
        let corrupt = |why: String| Err(RunsError::Corrupt { path: path.to_string(), why });
        if found.size != self.size {
            return corrupt(format!("it has {} bytes, and is said to have {}", found.size, self.size));
        }
        if self.xxh64.is_some_and(|xxh64| xxh64 != found.xxh64) {
            corrupt(ALTERED.to_owned())
        } else {
            Ok(())
        }
    }

    /// How many bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.path.len() + text(&self.month) + text(&self.tag)
    }
}

/// Why a log is not read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The next entry is of another engine.
    NotOurs {
        /// The entry.
        path: String,
        /// What it is.
        what: String,
    },
    /// The next entry is damaged, or missing.
    Damaged {
        /// The entry.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Stop {
    /// What a caller is told of it.
    pub(crate) fn error(self) -> RunsError {
        match self {
            Self::NotOurs { path, what } => RunsError::NotOurs { path, what },
            Self::Damaged { path, why } => RunsError::Corrupt { path, why },
        }
    }
}

/// A table's log at one version. Cheap to clone, however many files there are.
#[derive(Debug, Clone)]
pub struct Log {
    location: Location,
    /// Where the entries lie.
    folder: Path,
    version: u64,
    state: State,
    /// `None`: nobody has asked yet for the files as they are.
    pending: Option<Pending>,
    /// Files that were taken away and are still listed as such, with the time of it, milliseconds since the epoch; `None`
    /// where nobody asks for them.
    removed: Option<HashMap<String, i64>>,
    /// Refreshes in a row that found nothing new.
    quiet: u32,
    /// Why the entry behind the version is not read, where it is there.
    stop: Option<Stop>,
}

/// What is wrong with the entry of a version that nothing is left of.
const MISSING: &str = "it is missing, and nothing stands in for it";

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
    ) -> Result<Self, RunsError> {
        let mut log = Self::at_no_version(location, folder);
        log.start(wanted).await?;
        Ok(log)
    }

    /// The log in a folder at its newest version, with the files that were taken away.
    pub(crate) async fn open_with_removed(location: &Location, folder: Path) -> Result<Self, RunsError> {
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
            state: State::default(),
            pending: None,
            removed: None,
            quiet: 0,
            stop: None,
        }
    }

    /// Reads a checkpoint and what came after it. Errors: `Corrupt` where an entry that must be there is damaged or missing; one
    /// that is not ours is told by [`Log::stop`], and what came before it is read.
    async fn start(&mut self, wanted: Option<u64>) -> Result<(), RunsError> {
        let mut log = Self {
            removed: self.removed.as_ref().map(|_| HashMap::new()),
            ..Self::at_no_version(&self.location, self.folder.clone())
        };
        let gone = |version: u64| RunsError::VersionGone { version: version.to_string() };
        if !log.begin_at_checkpoint(wanted).await? {
            match log.entry(0).await? {
                Some(entry) => {
                    let entry = Entry::read(&entry, 0, &log.entry_name(0)).map_err(Stop::error)?;
                    log.take(0, entry);
                }
                None => match wanted {
                    Some(version) => return Err(gone(version)),
                    None => return Err(log.no_beginning().await?),
                },
            }
        }
        log.advance(wanted).await?;
        match (wanted, &log.stop) {
            (Some(version), _) if version == log.version => {}
            (Some(_), Some(stop)) | (None, Some(stop @ Stop::Damaged { .. })) => {
                return Err(stop.clone().error());
            }
            (Some(version), None) => return Err(gone(version)),
            (None, Some(Stop::NotOurs { .. })) => {}
            (None, None) => log.check_end().await?,
        }
        *self = log;
        Ok(())
    }

    /// Reads the newest checkpoint that can be begun from. Whether there is one.
    async fn begin_at_checkpoint(&mut self, wanted: Option<u64>) -> Result<bool, RunsError> {
        if let Some(version) = wanted {
            return match self.checkpoint_before(version).await? {
                Some(version) => self.read_checkpoint(version).await,
                None => Ok(false),
            };
        }
        let hinted = self.newest_checkpoint().await?;
        if let Some(version) = hinted
            && self.read_checkpoint(version).await?
        {
            return Ok(true);
        }
        // The first entry says that nothing was cleaned up: without a hint there has been no checkpoint of ours yet.
        if hinted.is_none() && self.entry(0).await?.is_some() {
            return Ok(false);
        }
        for version in self.listed().await?.checkpoints.into_iter().rev() {
            if Some(version) != hinted && self.read_checkpoint(version).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is wrong with a log of which neither a checkpoint nor the first entry is there.
    async fn no_beginning(&self) -> Result<RunsError, RunsError> {
        let listed = self.listed().await?;
        Ok(match listed.entries.first().or(listed.checkpoints.first()) {
            Some(first) => RunsError::Corrupt {
                path: self.entry_name(0),
                why: format!(
                    "it is missing, and so is any checkpoint that would stand in for it; the oldest version there is {first}"
                ),
            },
            None => RunsError::Corrupt { path: self.folder.to_string(), why: "it is empty".to_owned() },
        })
    }

    /// Refuses a log of which an entry is missing while a later one is there.
    async fn check_end(&mut self) -> Result<(), RunsError> {
        while let Some(later) = self.later_entry().await? {
            let before = self.version;
            self.advance(None).await?;
            if let Some(stop) = self.stop.clone() {
                return match stop {
                    Stop::Damaged { .. } => Err(stop.error()),
                    Stop::NotOurs { .. } => Ok(()),
                };
            }
            if self.version == before {
                return Err(self.gap(later).error());
            }
        }
        Ok(())
    }

    /// The newest entry that lies behind the version.
    async fn later_entry(&self) -> Result<Option<u64>, RunsError> {
        Ok(self.newest_entry().await?.filter(|last| *last > self.version))
    }

    /// The newest entry at the version or behind it. Cost: one listing from there on.
    async fn newest_entry(&self) -> Result<Option<u64>, RunsError> {
        // What every name of the version begins with comes before them.
        let offset = self.folder.clone().join(format!("{:020}", self.version));
        let failed = RunsError::store(format!("list {}", self.folder));
        let listed = self.location.store.list_with_offset(Some(&self.folder), &offset);
        let files: Vec<ObjectMeta> = listed.try_collect().await.map_err(failed)?;
        Ok(Listed::among(&files).entries.last().copied())
    }

    fn gap(&self, later: u64) -> Stop {
        let why = format!("it is missing, and version {later} is there");
        Stop::Damaged { path: self.entry_name(self.version + 1), why }
    }

    fn entry_name(&self, version: u64) -> String {
        self.folder.clone().join(format!("{version:020}.json")).to_string()
    }

    /// Why the entry behind the version is not read, where it is there.
    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// The sum of the state that an entry would lead to.
    pub(crate) fn sum_after(&self, entry: &Entry) -> StateSum {
        self.state.sum_after(entry)
    }

    /// All properties of the table.
    pub(crate) fn properties(&self) -> &HashMap<String, String> {
        &self.state.properties
    }

    /// What the table needs of whoever reads it.
    pub(crate) fn needs(&self) -> &[String] {
        &self.state.needs
    }

    /// The version.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A property of the table.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.state.properties.get(name).map(String::as_str)
    }

    /// A number that commits carry.
    pub fn number(&self, app_id: &str) -> Option<i64> {
        self.state.numbers.get(app_id).copied()
    }

    /// The numbers whose names start so, in order of name.
    pub fn numbers_starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        self.state
            .numbers
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, number)| (name.as_str(), *number))
    }

    /// The live files, in no order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<TableFile>> {
        self.state.files.values()
    }

    /// Files that were taken away, and when, milliseconds since the epoch: those that the newest checkpoint still lists, and
    /// all since. Empty unless they were asked for.
    pub(crate) fn removed(&self) -> HashMap<String, i64> {
        self.removed.clone().unwrap_or_default()
    }

    /// The versions whose entries lie in the folder, ascending, and those of the checkpoints.
    pub(crate) async fn listed(&self) -> Result<Listed, RunsError> {
        let failed = RunsError::store(format!("list {}", self.folder));
        let listed = self.location.store.list(Some(&self.folder));
        let files: Vec<ObjectMeta> = listed.try_collect().await.map_err(failed)?;
        Ok(Listed::among(&files))
    }

    /// Whether a file is live.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.state.files.contains_key(path)
    }

    /// What changed among the files since this was last asked; all of them where it never was, and where the log was begun anew.
    pub(crate) fn take_changes(&mut self) -> FileChanges {
        match self.pending.replace(Pending::default()) {
            Some(pending) => pending.into(),
            None => FileChanges { anew: true, added: self.files().cloned().collect(), removed: Vec::new() },
        }
    }

    /// Takes in newer entries, up to a version or as far as there are any that can be believed: see [`Log::stop`]. Where it fails, it stays at
    /// what was read.
    pub(crate) async fn advance(&mut self, until: Option<u64>) -> Result<(), RunsError> {
        self.stop = None;
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
                if let Err(stop) = self.apply(self.version + 1, &entry) {
                    self.stop = Some(stop);
                    return Ok(());
                }
            }
            at_once = LOG_READS_AT_ONCE as u64;
        }
        Ok(())
    }

    /// Takes in everything that is there by now, and makes sure that it is: a handle that slept while its next entries were cleaned up
    /// would take its own version for the newest.
    ///
    /// Errors: `NotOurs`, `Corrupt` where the newest version is none that we answer from, or an entry is missing.
    pub(crate) async fn advance_to_newest(&mut self) -> Result<(), RunsError> {
        loop {
            let Some(newest) = self.newest_entry().await? else {
                let own = Stop::Damaged { path: self.entry_name(self.version), why: MISSING.to_owned() };
                return Err(own.error());
            };
            self.advance(Some(newest)).await?;
            self.check_whole()?;
            if self.version >= newest {
                return Ok(());
            }
            // The entries between were cleaned up, or are lost: then this fails.
            self.restart().await?;
            self.check_whole()?;
        }
    }

    /// Refuses a log whose newest entry is not ours, or damaged.
    pub(crate) fn check_whole(&self) -> Result<(), RunsError> {
        self.stop.clone().map_or(Ok(()), |stop| Err(stop.error()))
    }

    /// Writes the entry behind the version, unless one is there: then the store's error is `AlreadyExists`.
    pub(crate) async fn write_next(&self, entry: Bytes) -> Result<(), RunsError> {
        let path = self.folder.clone().join(format!("{:020}.json", self.version + 1));
        let put = self.location.store.put_opts(&path, entry.into(), PutMode::Create.into()).await;
        put.map(drop).map_err(RunsError::store(format!("write {path}")))
    }

    /// Starts over from the newest checkpoint, as one does who stayed behind what was cleaned up.
    pub(crate) async fn restart(&mut self) -> Result<(), RunsError> {
        let mut anew = self.clone();
        anew.start(None).await?;
        // Never back: what was answered from once is.
        if anew.version >= self.version {
            *self = anew;
        }
        Ok(())
    }

    /// Takes in newer entries. Entries that were cleaned up before they were read are made up for by a checkpoint.
    pub(crate) async fn refresh(&mut self) -> Result<(), RunsError> {
        let (before, gap) = (self.version, self.stop.take().filter(|stop| self.is_gap(stop)));
        self.advance(None).await?;
        if self.version > before || self.stop.is_some() {
            self.quiet = 0;
            return Ok(());
        }
        // Nothing behind the last entry: there is nothing new, or what came next is cleaned up already, or lost. That is asked for
        // rarely, since a log is kept for days.
        self.quiet += 1;
        if self.quiet.is_multiple_of(QUIET_REFRESHES) || gap.is_some() {
            if self.newest_checkpoint().await?.is_some_and(|version| version > self.version) {
                self.restart().await?;
            }
            if self.stop.is_none() {
                self.stop = self.lost().await?;
            }
        }
        Ok(())
    }

    /// Whether what stops the log may be that the next entry is missing, or its own.
    fn is_gap(&self, stop: &Stop) -> bool {
        let names = [self.version, self.version + 1].map(|version| self.entry_name(version));
        matches!(stop, Stop::Damaged { path, .. } if names.contains(path))
    }

    /// What of the log is not there, though it must be.
    async fn lost(&self) -> Result<Option<Stop>, RunsError> {
        if let Some(later) = self.later_entry().await? {
            // It may have come just now.
            let next = self.entry(self.version + 1).await?;
            return Ok(next.is_none().then(|| self.gap(later)));
        }
        let own = self.entry(self.version).await?;
        let lost = || Stop::Damaged { path: self.entry_name(self.version), why: MISSING.to_owned() };
        Ok(own.is_none().then(lost))
    }

    /// The entry of one version, as JSON lines; `None` when it is not there.
    pub(crate) async fn entry(&self, version: u64) -> Result<Option<Bytes>, RunsError> {
        self.read(format!("{version:020}.json")).await
    }

    async fn read(&self, name: String) -> Result<Option<Bytes>, RunsError> {
        let path = self.folder.clone().join(name);
        let failed = || RunsError::store(format!("read {path}"));
        match self.location.store.get(&path).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed()),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed()(error)),
        }
    }

    /// The newest checkpoint, by the hint that its writer left.
    async fn newest_checkpoint(&self) -> Result<Option<u64>, RunsError> {
        let Some(hint) = self.read("_last_checkpoint".to_owned()).await? else { return Ok(None) };
        let hint: Option<LastCheckpoint> = serde_json::from_slice(&hint).ok();
        Ok(hint.map(|hint| hint.version))
    }

    /// The newest checkpoint at or below a version.
    async fn checkpoint_before(&self, version: u64) -> Result<Option<u64>, RunsError> {
        let due = version - version % CHECKPOINT_EVERY;
        if due == 0 {
            return Ok(None);
        }
        let path = self.folder.clone().join(checkpoint_name(due));
        match self.location.store.head(&path).await {
            Ok(_) => Ok(Some(due)),
            // It may not have been written; and an earlier build wrote that of a later version where other commits got in between.
            Err(object_store::Error::NotFound { .. }) => {
                Ok(self.listed().await?.checkpoints.range(..=version).next_back().copied())
            }
            Err(error) => Err(RunsError::store(format!("look for {path}"))(error)),
        }
    }

    /// Takes in an entry, wholly or not at all.
    fn apply(&mut self, version: u64, bytes: &[u8]) -> Result<(), Stop> {
        let path = self.entry_name(version);
        let entry = Entry::read(bytes, version, &path)?;
        let seal = entry.commit.state.as_ref().map(|_| entry.seal(self.state.sum_after(&entry), version));
        if entry.commit.state != seal {
            let why = "what it says does not lead to the state that its writer came to".to_owned();
            return Err(Stop::Damaged { path, why });
        }
        self.take(version, entry);
        Ok(())
    }

    fn take(&mut self, version: u64, entry: Entry) {
        for (path, taken_away_ms) in entry.removed {
            self.remove(&path);
            if let Some(removed) = &mut self.removed {
                removed.insert(path, taken_away_ms);
            }
        }
        for file in entry.added {
            self.pending.iter_mut().for_each(|pending| pending.add(&file));
            self.state.add(file);
        }
        entry.numbers.into_iter().for_each(|(name, number)| self.state.set_number(name, number));
        entry.properties.into_iter().for_each(|properties| self.state.set_properties(properties));
        entry.needs.into_iter().for_each(|needs| self.state.needs = needs);
        self.version = version;
    }

    fn remove(&mut self, path: &str) {
        let Some(file) = self.state.remove(path) else { return };
        self.pending.iter_mut().for_each(|pending| pending.remove(&file));
    }

    /// Reads the checkpoint of a version. `false`: it is not there, or is of an entry that is not ours.
    async fn read_checkpoint(&mut self, version: u64) -> Result<bool, RunsError> {
        let name = checkpoint_name(version);
        let path = self.folder.clone().join(name.as_str());
        let Some(bytes) = self.read(name).await? else { return Ok(false) };
        let entry = match self.entry(version).await? {
            Some(entry) => match Entry::read(&entry, version, &self.entry_name(version)) {
                Ok(entry) => entry,
                Err(Stop::NotOurs { .. }) => return Ok(false),
                Err(stop) => return Err(stop.error()),
            },
            // What is cleaned up lies below a checkpoint.
            None => {
                return Err(RunsError::Corrupt {
                    path: self.entry_name(version),
                    why: "it is missing, and a checkpoint of its version is there".to_owned(),
                });
            }
        };
        let Checkpoint { state, removed } = Checkpoint::read(bytes, path.as_ref())?;
        if entry.commit.state.as_ref().is_some_and(|said| *said != entry.seal(state.sum(), version)) {
            return Err(RunsError::Corrupt {
                path: path.to_string(),
                why: "it is not the state that the entry of its version leads to; where all entries from the first on are there, move it \
                      and _last_checkpoint away"
                    .to_owned(),
            });
        }
        self.removed = self.removed.take().map(|_| removed);
        (self.version, self.state) = (version, state);
        Ok(true)
    }
}
