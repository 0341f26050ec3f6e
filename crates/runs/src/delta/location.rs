//! Where a lake lies: an address and the object store behind it.

use crate::error::RunsError;
use deltalake_core::logstore::object_store::DynObjectStore;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::task::TaskTracker;
use url::Url;

/// The root of a lake: its URL, and a store whose paths start at the root of the file system or bucket.
#[derive(Debug, Clone)]
pub struct Location {
    /// Its URL.
    pub url: Url,
    /// The store.
    pub store: Arc<DynObjectStore>,
    /// Whether the store is the machine's file system.
    pub is_files: bool,
    /// Work that goes on for a while when whoever wanted it is gone: commits to their end, compactions to their next batch.
    pub detached: TaskTracker,
}

impl Location {
    /// Reads an address: a folder, `file:///…`, `memory:///name` (gone with the process) or `s3://bucket/prefix`.
    /// `options` are the store's own settings, such as `aws_region` (see the `object_store` crate).
    pub fn parse(address: &str, options: &HashMap<String, String>) -> Result<Self, RunsError> {
        let refuse = |why: String| RunsError::Location { address: address.to_owned(), why };
        let url = match Url::parse(address) {
            Ok(url) if url.scheme() == "file" => {
                let folder = url.to_file_path().map_err(|()| {
                    refuse("a URL of a folder of this machine has three slashes: file:///folder".to_owned())
                })?;
                folder_url(&folder).map_err(refuse)?
            }
            Ok(url) if url.scheme().len() > 1 => url,
            _ if address.is_empty() => return Err(refuse("it is empty".to_owned())),
            _ => folder_url(std::path::Path::new(address)).map_err(refuse)?,
        };
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => Arc::new(LocalFileSystem::new()),
            "memory" => Arc::new(InMemory::new()),
            "s3" => {
                register_s3();
                let (store, _) =
                    object_store::parse_url_opts(&url, options).map_err(|e| refuse(e.to_string()))?;
                Arc::from(store)
            }
            other => {
                return Err(refuse(format!(
                    "\"{other}\" is not one of a folder, file://, memory:// or s3://"
                )));
            }
        };
        let is_files = url.scheme() == "file";
        Ok(Self { url, store, is_files, detached: TaskTracker::new() })
    }

    /// The URL of one table.
    pub(crate) fn table(&self, name: &str) -> Result<Url, RunsError> {
        let mut url = self.url.clone();
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }
}

/// The URL of a folder, which need not be there. As the system reads its path: `..` is the parent of what a link names, not of the link.
fn folder_url(path: &std::path::Path) -> Result<Url, String> {
    use std::path::Component;
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    let mut found = std::path::PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            part => found.push(part),
        }
        // What is not there has no links in it. What may not be looked into is taken by its name.
        if let Ok(real) = found.canonicalize() {
            found = real;
        }
    }
    if found.is_file() {
        return Err("it is a file, and a lake is a folder".to_owned());
    }
    Url::from_file_path(found).map_err(|()| "it is not a folder's path".to_owned())
}

/// Teaches the Delta library that `s3://` tables use the plain log store: the object store's conditional put is
/// the lock.
fn register_s3() {
    use deltalake_core::logstore::{
        LogStore, LogStoreFactory, StorageConfig, default_logstore, logstore_factories,
    };
    #[derive(Debug)]
    struct Plain;
    impl LogStoreFactory for Plain {
        fn with_options(
            &self,
            prefixed: Arc<dyn ObjectStore>,
            root: Arc<dyn ObjectStore>,
            location: &Url,
            options: &StorageConfig,
        ) -> deltalake_core::DeltaResult<Arc<dyn LogStore>> {
            Ok(default_logstore(prefixed, root, location, options))
        }
    }
    if let Ok(url) = Url::parse("s3://") {
        logstore_factories().insert(url, Arc::new(Plain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(address: &str) -> String {
        let location = Location::parse(address, &HashMap::new()).unwrap();
        location.url.to_file_path().unwrap().display().to_string()
    }

    /// However a folder is written, it is the same folder: by a link, with dots, slashes or spaces, by a URL.
    #[test]
    fn every_spelling_of_a_folder_is_one_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        let lake = root.join("a place/lake 1");
        std::fs::create_dir_all(root.join("a place/within")).unwrap();
        std::fs::create_dir_all(&lake).unwrap();
        std::os::unix::fs::symlink(&lake, root.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("a place/within"), root.join("deep")).unwrap();
        let (root, lake) = (root.display().to_string(), lake.display().to_string());
        for spelling in [
            "a place/lake 1",
            "a place/lake 1/",
            "a place/./within/..//lake 1",
            "link",
            "link/",
            "link/../lake 1",
            "deep/../lake 1",
            "nowhere/../a place/lake 1",
        ] {
            assert_eq!(path_of(&format!("{root}/{spelling}")), lake, "{spelling}");
        }
        let encoded = lake.replace(' ', "%20");
        assert_eq!(path_of(&format!("file://{encoded}")), lake);
        assert_eq!(path_of(&format!("file://localhost{encoded}/")), lake);
        // One that is not there yet, beside a link.
        assert_eq!(path_of(&format!("{root}/deep/../new#1")), format!("{root}/a place/new#1"));
        for wrong in ["", "file://data/lake"] {
            assert!(Location::parse(wrong, &HashMap::new()).is_err(), "{wrong}");
        }
        let file = format!("{root}/file");
        std::fs::write(&file, "").unwrap();
        let refused = Location::parse(&file, &HashMap::new()).unwrap_err();
        assert!(refused.to_string().contains("it is a file"), "{refused}");
    }
}
