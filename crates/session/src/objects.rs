//! Small objects, created once and never changed.
//!
//! Every write is a conditional put that creates. S3 and a local directory both have that, while a local directory has no
//! conditional replacement; and a put whose answer is lost can be judged by what is there afterwards. Only what decides nothing is
//! replaced, without a condition.

mod sealed;

pub use sealed::{Seal, SealedObjects};

use crate::limits::OBJECT_BYTES_MAX;
use aws_lc_rs::rand;
use futures::TryStreamExt;
use gridtrail_model::Timestamp;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The small objects of one lake: a store, and the folder in it that they lie in.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// Why an object could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not do what it was asked. Whether something was written is not known.
    #[error("{doing} {object}")]
    Unavailable {
        /// What was being done, such as "create".
        doing: &'static str,
        /// The object.
        object: String,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// An object is not what was written: somebody has to look at it.
    #[error("the object {object} cannot be read: {reason}")]
    Corrupt {
        /// The object.
        object: String,
        /// What is wrong. It holds nothing of the object's content.
        reason: String,
    },
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// The version of the form of all objects that carry no seal.
const VERSION: u32 = 1;

/// What an object is written as.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    version: u32,
    /// Random: tells one write from another, so that a writer knows its own again.
    nonce: String,
    /// From when on it may be deleted; never, if absent.
    #[serde(with = "expiry")]
    expires_at: Option<Timestamp>,
    content: T,
}

mod expiry {
    use gridtrail_model::Timestamp;
    use serde::de::{Deserializer, Error};
    use serde::{Deserialize, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.collect_str(at),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// An object that was read.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) content: T,
}

/// Who created an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// This very write.
    Ours,
    /// Another, before it.
    Others,
}

/// What stands in an object whose existence says everything.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {}

impl Objects {
    /// The objects in a folder of a store, such as `_sessions` beside the tables of a lake.
    pub fn new(store: Arc<dyn ObjectStore>, folder: Path) -> Self {
        Self { store, folder }
    }

    fn path(&self, name: &str) -> Path {
        Path::from_iter(self.folder.parts().chain(Path::from(name).parts()))
    }

    fn unavailable(&self, doing: &'static str, name: &str, source: object_store::Error) -> StoreError {
        StoreError::Unavailable { doing, object: self.path(name).to_string(), source }
    }

    fn corrupt(&self, name: &str, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { object: self.path(name).to_string(), reason: reason.into() }
    }

    /// Creates an object. `Ours` only if it is certain that this write is the one that is there.
    ///
    /// Errors: `Unavailable`: it may be there, now or later; `NoRandomness`.
    pub(crate) async fn create<T: Serialize>(
        &self,
        name: &str,
        expires_at: Option<Timestamp>,
        content: &T,
    ) -> Result<Created, StoreError> {
        let document = self.document(name, expires_at, content)?;
        self.put(name, document.into_bytes()).await
    }

    /// What an object is written as. No two are the same.
    fn document<T: Serialize>(
        &self,
        name: &str,
        expires_at: Option<Timestamp>,
        content: &T,
    ) -> Result<String, StoreError> {
        let mut nonce = [0; 16];
        rand::fill(&mut nonce).map_err(|_| StoreError::NoRandomness)?;
        let nonce = hex::encode(nonce);
        let document = Document { version: VERSION, nonce, expires_at, content };
        serde_json::to_string(&document).map_err(|error| self.corrupt(name, reason_of(&error)))
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Created, StoreError> {
        let payload = PutPayload::from(bytes.clone());
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let Err(failed) = self.store.put_opts(&self.path(name), payload, options).await else {
            return Ok(Created::Ours);
        };
        // Also "already exists" may be said of our own write, which the client had sent twice, or of none at all.
        match self.bytes(name).await {
            Ok(Some(found)) if found == bytes => Ok(Created::Ours),
            Ok(Some(_)) => Ok(Created::Others),
            Ok(None) | Err(_) => Err(self.unavailable("create", name, failed)),
        }
    }

    /// Writes an object, whatever is there. What is there is the one or the other, never a part of each.
    async fn overwrite(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let written = self.store.put(&self.path(name), PutPayload::from(bytes)).await;
        written.map(|_| ()).map_err(|error| self.unavailable("replace", name, error))
    }

    async fn bytes(&self, name: &str) -> Result<Option<bytes::Bytes>, StoreError> {
        let unavailable = |error| self.unavailable("read", name, error);
        let found = match self.store.get(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(unavailable)?,
        };
        if found.meta.size > OBJECT_BYTES_MAX {
            return Err(self.corrupt(name, format!("it is longer than {OBJECT_BYTES_MAX} bytes")));
        }
        found.bytes().await.map(Some).map_err(unavailable)
    }

    /// Reads an object, if it is there, whoever wrote it: a seal that it carries is not looked at.
    ///
    /// Errors: `Unavailable`, `Corrupt`.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<Stored<T>>, StoreError> {
        let Some(bytes) = self.bytes(name).await? else { return Ok(None) };
        match self.version_of(name, &bytes)? {
            VERSION => self.open(name, &bytes).map(Some),
            sealed::VERSION => self.open(name, self.envelope(name, &bytes)?.document.as_bytes()).map(Some),
            version => Err(self.corrupt(name, format!("it has version {version}, which is not read"))),
        }
    }

    fn version_of(&self, name: &str, bytes: &[u8]) -> Result<u32, StoreError> {
        let read = serde_json::from_slice::<Versioned>(bytes);
        read.map(|read| read.version).map_err(|error| self.corrupt(name, reason_of(&error)))
    }

    fn open<T: DeserializeOwned>(&self, name: &str, document: &[u8]) -> Result<Stored<T>, StoreError> {
        let corrupt = |error: serde_json::Error| self.corrupt(name, reason_of(&error));
        let Document { version, expires_at, content, .. } =
            serde_json::from_slice(document).map_err(corrupt)?;
        match version {
            VERSION => Ok(Stored { expires_at, content }),
            version => Err(self.corrupt(name, format!("it has version {version}, which is not read"))),
        }
    }

    /// Whether there is an object.
    ///
    /// Errors: `Unavailable`.
    pub(crate) async fn exists(&self, name: &str) -> Result<bool, StoreError> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.unavailable("look for", name, error)),
        }
    }

    /// The names of all objects in a folder and below, those after `after` if given, in order.
    ///
    /// Errors: `Unavailable`.
    pub(crate) async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        let path = self.path(folder);
        let listed = match after {
            Some(after) => self.store.list_with_offset(Some(&path), &self.path(after)),
            None => self.store.list(Some(&path)),
        };
        let listed = listed.map_ok(|object| object.location).try_collect::<Vec<Path>>().await;
        let locations = listed.map_err(|error| self.unavailable("list", folder, error))?;
        let name_of = |location: Path| {
            let parts: Vec<_> =
                location.prefix_match(&self.folder)?.map(|part| part.as_ref().to_owned()).collect();
            Some(parts.join("/"))
        };
        let mut names: Vec<String> = locations.into_iter().filter_map(name_of).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes an object. One that is not there is deleted already.
    ///
    /// Errors: `Unavailable`.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unavailable("delete", name, error)),
        }
    }
}

/// What is wrong with a document, without anything that stands in it.
fn reason_of(error: &serde_json::Error) -> String {
    format!("{:?} at line {}, column {}", error.classify(), error.line(), error.column())
}
