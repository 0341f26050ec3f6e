//! Where the files of a job go, and how they get there: whole or not at all.
//!
//! Files are written aside, in `.unfinished` at the destination, and get their names once it is decided that it is they. On a file system that is
//! a rename; in an object store a copy, of which readers see all or nothing.

use crate::error::JobError;
use crate::key::{DeliveryKey, minute_of, read_minute};
use crate::limits::PART_BYTES;
use bytes::Bytes;
use futures::TryStreamExt as _;
use gridtrail_model::UserId;
use gridtrail_runs::Location;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

const UNFINISHED: &str = ".unfinished";

/// A folder or a place in an object store.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    store: Arc<dyn ObjectStore>,
    root: Path,
    is_files: bool,
}

/// Whether a file got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// It is there.
    There,
    /// It neither lies aside nor has its name: it was taken away.
    Gone,
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(object_store::Error) -> JobError + use<> {
    let object = path.to_string();
    move |source| JobError::Store { doing, object, source }
}

impl Destination {
    pub(crate) fn at(location: &Location) -> Result<Self, object_store::path::Error> {
        let root = Path::from_url_path(location.url.path())?;
        Ok(Self { store: Arc::clone(&location.store) as _, root, is_files: location.is_files })
    }

    /// The same place, by way of another store.
    #[cfg(test)]
    pub(crate) fn by(&self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { store: wrap(Arc::clone(&self.store)), ..self.clone() }
    }

    fn of_job(&self, job: &str) -> Path {
        self.root.clone().join(UNFINISHED).join(job)
    }

    fn aside(&self, key: &DeliveryKey) -> Path {
        self.of_job(&key.job).join(minute_of(key.due)).join(key.user_id.to_string())
    }

    fn of_attempt(&self, key: &DeliveryKey, attempt: u32) -> Path {
        self.aside(key).join(format!("{attempt:04}"))
    }

    fn aside_of(&self, key: &DeliveryKey, attempt: u32, name: &str) -> Path {
        let name = name.rsplit('/').next().unwrap_or(name);
        self.of_attempt(key, attempt).join(name)
    }

    fn named(&self, name: &str) -> Path {
        name.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// Whether there is a file of a name.
    ///
    /// Errors: `Store`.
    pub(crate) async fn has(&self, name: &str) -> Result<bool, JobError> {
        let path = self.named(name);
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look for", &path)(error)),
        }
    }

    /// Writes a file aside.
    ///
    /// Errors: `Store`, `Io`.
    pub(crate) async fn put_aside(
        &self,
        (key, attempt): (&DeliveryKey, u32),
        name: &str,
        mut file: File,
    ) -> Result<(), JobError> {
        let path = self.aside_of(key, attempt, name);
        file.rewind()?;
        let first = part_of(&mut file)?;
        if first.len() < PART_BYTES {
            self.store.put(&path, first.into()).await.map_err(failed("write", &path))?;
        } else {
            let mut upload = self.store.put_multipart(&path).await.map_err(failed("write", &path))?;
            let mut part = first;
            while !part.is_empty() {
                upload.put_part(part.into()).await.map_err(failed("write", &path))?;
                part = part_of(&mut file)?;
            }
            upload.complete().await.map_err(failed("write", &path))?;
        }
        self.sync(&path).await
    }

    /// Gives a file that lies aside its name. Again and again does no harm: it is the same file.
    ///
    /// Errors: `Store`, `Io`.
    pub(crate) async fn name(
        &self,
        (key, attempt): (&DeliveryKey, u32),
        name: &str,
    ) -> Result<Named, JobError> {
        let (aside, named) = (self.aside_of(key, attempt, name), self.named(name));
        match self.store.rename(&aside, &named).await {
            Ok(()) => Ok(Named::There),
            Err(object_store::Error::NotFound { .. }) => {
                Ok(if self.has(name).await? { Named::There } else { Named::Gone })
            }
            Err(error) => Err(failed("name", &named)(error)),
        }
    }

    /// Makes the names of a delivery's files last.
    ///
    /// Errors: `Io`.
    pub(crate) async fn keep(&self, name: &str) -> Result<(), JobError> {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.sync(&self.named(folder)).await
    }

    /// Makes a file, or the names in a folder, last on a file system. What another worker or a reader has taken meanwhile is theirs.
    async fn sync(&self, path: &Path) -> Result<(), JobError> {
        if !self.is_files {
            return Ok(());
        }
        let path = PathBuf::from(format!("/{path}"));
        let synced = tokio::task::spawn_blocking(move || File::open(path)?.sync_all());
        match synced.await.map_err(io::Error::other)? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Takes a file of a name away, if it is there.
    ///
    /// Errors: `Store`.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), JobError> {
        self.delete(&self.named(name)).await
    }

    async fn delete(&self, path: &Path) -> Result<(), JobError> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", path)(error)),
        }
    }

    /// Takes away all that lies aside of a delivery.
    ///
    /// Errors: `Store`.
    pub(crate) async fn clear(&self, key: &DeliveryKey) -> Result<(), JobError> {
        self.clear_folder(self.aside(key)).await
    }

    /// Takes away what one attempt put aside.
    pub(crate) async fn clear_attempt(&self, (key, attempt): (&DeliveryKey, u32)) -> Result<(), JobError> {
        self.clear_folder(self.of_attempt(key, attempt)).await
    }

    async fn clear_folder(&self, folder: Path) -> Result<(), JobError> {
        let listed =
            self.store.list(Some(&folder)).map_ok(|object| object.location).try_collect::<Vec<Path>>();
        for path in listed.await.map_err(failed("list", &folder))? {
            self.delete(&path).await?;
        }
        if self.is_files {
            // Folders, and what a killed worker left there under a name that no store lists. What is written there at this moment stays.
            let folder = PathBuf::from(format!("/{folder}"));
            let _ = tokio::task::spawn_blocking(move || {
                let _ = std::fs::remove_dir_all(&folder);
                for above in folder.ancestors().skip(1).take(4) {
                    let _ = std::fs::remove_dir(above);
                }
            })
            .await;
        }
        Ok(())
    }

    /// The deliveries of a job of which something lies aside.
    ///
    /// Errors: `Store`.
    pub(crate) async fn unfinished(&self, job: &str) -> Result<Vec<DeliveryKey>, JobError> {
        let mut found = Vec::new();
        for due in self.folders(&self.of_job(job)).await? {
            let Some(at) = due.filename().and_then(read_minute) else { continue };
            for user in self.folders(&due).await? {
                if let Some(user_id) = user.filename().and_then(|text| text.parse::<UserId>().ok()) {
                    found.push(DeliveryKey { job: job.to_owned(), due: at, user_id });
                }
            }
        }
        Ok(found)
    }

    async fn folders(&self, of: &Path) -> Result<Vec<Path>, JobError> {
        Ok(self.store.list_with_delimiter(Some(of)).await.map_err(failed("list", of))?.common_prefixes)
    }
}

fn part_of(file: &mut File) -> io::Result<Bytes> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part.into())
}

/// The name of a file of a delivery, from its destination on.
pub(crate) fn name_of(key: &DeliveryKey, stem: &str, ending: &str) -> String {
    format!("{}/{}/{stem}.{ending}", key.user_id, key.job)
}
