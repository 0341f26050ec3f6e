//! What became of each delivery: small objects in a store, created once and never changed or deleted.
//!
//! A local directory has no conditional replacement, and needs none here: everything is a new name, and who creates a name first has won. Of a
//! delivery there are `attempt-0001` and on (a lease each), `failed-0001` and on (why an attempt came to nothing), `decided` (what it comes to)
//! and `ended` (that this has come about).

use crate::error::JobError;
use crate::key::{DeliveryKey, minute_of, read_minute};
use crate::limits::OBJECT_BYTES_MAX;
use bytes::Bytes;
use futures::TryStreamExt as _;
use gridtrail_model::{Timestamp, UserId};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The folder of it beside the tables of a lake.
pub const FOLDER: &str = "_report_jobs";

/// The journal of one lake.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// What a value is as a text.
pub(crate) mod as_text {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// That a worker makes a delivery, until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// Random: tells one process from another.
    pub(crate) worker: String,
    #[serde(with = "as_text")]
    pub(crate) taken_at: Timestamp,
    #[serde(with = "as_text")]
    pub(crate) until: Timestamp,
}

/// That an attempt came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    #[serde(with = "as_text")]
    pub(crate) at: Timestamp,
    #[serde(with = "as_text")]
    pub(crate) retry_at: Timestamp,
    pub(crate) why: String,
}

/// What a delivery comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decided", rename_all = "snake_case")]
pub(crate) enum Decision {
    /// These very files.
    Publish(Publication),
    /// Nothing: it is among too many that were missed.
    Skip {
        #[serde(with = "as_text")]
        at: Timestamp,
        why: String,
    },
}

/// The files of a delivery, which lie aside until they get their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publication {
    pub(crate) worker: String,
    /// The attempt that made them, under whose number they lie aside.
    pub(crate) attempt: u32,
    /// Where they lie and are to go.
    pub(crate) to: String,
    pub(crate) report: String,
    pub(crate) version: u32,
    pub(crate) rows: u64,
    #[serde(with = "as_text")]
    pub(crate) made_at: Timestamp,
    /// Up to when the lake was complete, and was to be.
    pub(crate) complete_up_to: Option<String>,
    #[serde(with = "as_text")]
    pub(crate) needed_up_to: Timestamp,
    pub(crate) lake_version: String,
    /// The User IDs whose rows it may hold.
    pub(crate) user_ids: Vec<String>,
    pub(crate) files: Vec<FileSum>,
}

impl Publication {
    /// Whether the lake was not complete up to the end of the period.
    pub(crate) fn may_miss_rows(&self) -> bool {
        let complete = self.complete_up_to.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        complete.is_none_or(|at| at < self.needed_up_to)
    }
}

/// A file, by its name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// Its name, from the destination on.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// That what was decided has come about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub(crate) enum End {
    Published {
        #[serde(with = "as_text")]
        at: Timestamp,
    },
    Skipped {
        #[serde(with = "as_text")]
        at: Timestamp,
    },
    /// Rights were lost when it was decided and not yet published.
    Withdrawn {
        #[serde(with = "as_text")]
        at: Timestamp,
        why: String,
    },
}

/// What there is of a delivery, by the names of its objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The number of the last attempt; 0 where there was none.
    pub(crate) attempts: u32,
    /// The number of the last attempt that is known to have failed.
    pub(crate) failed: u32,
    pub(crate) is_decided: bool,
    pub(crate) is_ended: bool,
}

impl Seen {
    fn add(&mut self, name: &str) {
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        match name.split_once('-') {
            Some(("attempt", text)) => self.attempts = self.attempts.max(number(text)),
            Some(("failed", text)) => self.failed = self.failed.max(number(text)),
            _ => {
                self.is_decided |= name == DECIDED;
                self.is_ended |= name == ENDED;
            }
        }
    }
}

pub(crate) const DECIDED: &str = "decided";
pub(crate) const ENDED: &str = "ended";

pub(crate) fn attempt(number: u32) -> String {
    format!("attempt-{number:04}")
}

pub(crate) fn failed(number: u32) -> String {
    format!("failed-{number:04}")
}

/// The form of all objects.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document<T> {
    version: u32,
    content: T,
}

impl Journal {
    /// A journal in a folder of a store: [`FOLDER`] beside the tables of a lake.
    pub fn new(store: Arc<dyn ObjectStore>, folder: Path) -> Self {
        Self { store, folder }
    }

    fn folder_of(&self, key: &DeliveryKey) -> Path {
        self.folder.clone().join(key.job.as_str()).join(minute_of(key.due)).join(key.user_id.to_string())
    }

    fn path(&self, key: &DeliveryKey, name: &str) -> Path {
        self.folder_of(key).join(name)
    }

    /// What there is of a delivery.
    ///
    /// Errors: `Store`.
    pub(crate) async fn look(&self, key: &DeliveryKey) -> Result<Seen, JobError> {
        let mut seen = Seen::default();
        for location in self.list(&self.folder_of(key)).await? {
            seen.add(location.filename().unwrap_or_default());
        }
        Ok(seen)
    }

    /// What there is of every delivery of a job, or of all.
    ///
    /// Errors: `Store`.
    pub(crate) async fn look_at_all(
        &self,
        job: Option<&str>,
    ) -> Result<BTreeMap<DeliveryKey, Seen>, JobError> {
        let folder = job.map_or_else(|| self.folder.clone(), |job| self.folder.clone().join(job));
        let mut seen: BTreeMap<DeliveryKey, Seen> = BTreeMap::new();
        for location in self.list(&folder).await? {
            // What others put there is none of ours.
            if let Some((key, name)) = self.read_path(&location) {
                seen.entry(key).or_default().add(&name);
            }
        }
        Ok(seen)
    }

    fn read_path(&self, location: &Path) -> Option<(DeliveryKey, String)> {
        let parts: Vec<String> =
            location.prefix_match(&self.folder)?.map(|part| part.as_ref().to_owned()).collect();
        let [job, due, user_id, name] = <[String; 4]>::try_from(parts).ok()?;
        let user_id: UserId = user_id.parse().ok()?;
        Some((DeliveryKey { job, due: read_minute(&due)?, user_id }, name))
    }

    async fn list(&self, folder: &Path) -> Result<Vec<Path>, JobError> {
        let listed = self.store.list(Some(folder)).map_ok(|object| object.location).try_collect().await;
        listed.map_err(|source| JobError::Store { doing: "list", object: folder.to_string(), source })
    }

    /// Creates an object. Whether it is certain that this write is the one that is there; no two workers write the same.
    ///
    /// Errors: `Store`: it may be there, now or later.
    pub(crate) async fn create(
        &self,
        key: &DeliveryKey,
        name: &str,
        content: &impl Serialize,
    ) -> Result<bool, JobError> {
        let path = self.path(key, name);
        let bytes = serde_json::to_vec(&Document { version: VERSION, content });
        let bytes = bytes.map_err(|error| corrupt(&path, &error))?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&path, PutPayload::from(bytes.clone()), options).await;
        let Err(source) = put else { return Ok(true) };
        // Also "already exists" may be said of our own write, which the client had sent twice, or of none at all.
        match self.bytes(&path).await {
            Ok(Some(found)) => Ok(found == bytes),
            Ok(None) | Err(_) => Err(JobError::Store { doing: "create", object: path.to_string(), source }),
        }
    }

    /// Reads an object, if it is there.
    ///
    /// Errors: `Store`, `Corrupt`.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        key: &DeliveryKey,
        name: &str,
    ) -> Result<Option<T>, JobError> {
        let path = self.path(key, name);
        let Some(bytes) = self.bytes(&path).await? else { return Ok(None) };
        let Document { version, content } =
            serde_json::from_slice(&bytes).map_err(|error| corrupt(&path, &error))?;
        if version == VERSION {
            return Ok(Some(content));
        }
        let reason = format!("it has version {version}, which is not read");
        Err(JobError::Corrupt { object: path.to_string(), reason })
    }

    async fn bytes(&self, path: &Path) -> Result<Option<Bytes>, JobError> {
        let failed = |source| JobError::Store { doing: "read", object: path.to_string(), source };
        let found = match self.store.get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(failed)?,
        };
        if found.meta.size > OBJECT_BYTES_MAX {
            let reason = format!("it is longer than {OBJECT_BYTES_MAX} bytes");
            return Err(JobError::Corrupt { object: path.to_string(), reason });
        }
        found.bytes().await.map(Some).map_err(failed)
    }
}

fn corrupt(path: &Path, error: &serde_json::Error) -> JobError {
    JobError::Corrupt { object: path.to_string(), reason: error.to_string() }
}
