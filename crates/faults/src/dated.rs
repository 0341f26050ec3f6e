//! A store that dates its files by another clock than the machine's.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A store whose files are as old as a clock says that a test sets: what is written later is dated so much later. An upload in
/// parts is dated by its start, as S3 does it.
pub struct DatedStore {
    inner: Arc<dyn ObjectStore>,
    /// How far the clock is ahead of the machine's.
    ahead: Box<dyn Fn() -> Duration + Send + Sync>,
    dates: Arc<Mutex<HashMap<Path, Duration>>>,
}

impl DatedStore {
    /// Wraps a store. `ahead` says how far the clock is ahead of the machine's.
    pub fn new(inner: Arc<dyn ObjectStore>, ahead: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { inner, ahead: Box::new(ahead), dates: Arc::default() }
    }

    fn date(&self, location: &Path) {
        let mut dates = self.dates.lock().unwrap_or_else(PoisonError::into_inner);
        dates.insert(location.clone(), (self.ahead)());
    }
}

impl fmt::Debug for DatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatedStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Display for DatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatedStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DatedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        // Before it is there: a listing must never find it without its date.
        self.date(location);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.date(location);
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let dates = Arc::clone(&self.dates);
        let dated = move |found: Result<ObjectMeta>| {
            found.map(|mut meta| {
                let dates = dates.lock().unwrap_or_else(PoisonError::into_inner);
                meta.last_modified += dates.get(&meta.location).copied().unwrap_or_default();
                meta
            })
        };
        self.inner.list(prefix).map(dated).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.date(to);
        self.inner.copy_opts(from, to, options).await
    }
}
