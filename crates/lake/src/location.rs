//! Where a lake lies: an address and the object store behind it.

use crate::error::LakeError;
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
pub(crate) struct Location {
    pub(crate) url: Url,
    pub(crate) store: Arc<DynObjectStore>,
    /// Whether the store is the machine's file system.
    pub(crate) is_files: bool,
    /// Work that goes on for a while when whoever wanted it is gone: commits to their end, compactions to their next batch.
    pub(crate) begun: TaskTracker,
}

impl Location {
    /// Reads an address: a folder, `file:///…`, `memory:///name` (gone with the process) or `s3://bucket/prefix`.
    /// `options` are the store's own settings, such as `aws_region` (see the `object_store` crate).
    pub(crate) fn parse(address: &str, options: &HashMap<String, String>) -> Result<Self, LakeError> {
        let refuse = |why: String| LakeError::Location { address: address.to_owned(), why };
        let url = match Url::parse(address) {
            Ok(url) if url.scheme().len() > 1 => url,
            _ => folder_url(address).map_err(refuse)?,
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
        Ok(Self { url, store, is_files, begun: TaskTracker::new() })
    }

    /// The URL of one table.
    pub(crate) fn table(&self, name: &str) -> Result<Url, LakeError> {
        let mut url = self.url.clone();
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }
}

fn folder_url(address: &str) -> Result<Url, String> {
    if address.is_empty() {
        return Err("it is empty".to_owned());
    }
    let path = std::path::absolute(address).map_err(|e| e.to_string())?;
    Url::from_file_path(path).map_err(|()| "it is not a folder's path".to_owned())
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
