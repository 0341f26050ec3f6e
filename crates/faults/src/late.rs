//! A store that answers late, and lists in order, as S3 does.

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Entries that a listing gives with one request, as S3 does.
const LISTED_AT_ONCE: usize = 1_000;

/// A store whose every request takes so long, however many are under way.
#[derive(Debug)]
pub struct LateStore {
    inner: Arc<dyn ObjectStore>,
    by: Duration,
}

impl LateStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>, by: Duration) -> Self {
        Self { inner, by }
    }

    async fn wait(&self) {
        tokio::time::sleep(self.by).await;
    }

    /// A listing in order, some entries a request.
    fn listed(
        &self,
        listed: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let by = self.by;
        let sorted = async move {
            let mut all: Vec<Result<ObjectMeta>> = listed.collect().await;
            all.sort_by(|a, b| match (a, b) {
                (Ok(a), Ok(b)) => a.location.cmp(&b.location),
                (a, b) => a.is_ok().cmp(&b.is_ok()),
            });
            stream::iter(all)
        };
        let page = move |page: Vec<Result<ObjectMeta>>| async move {
            tokio::time::sleep(by).await;
            stream::iter(page)
        };
        sorted.flatten_stream().chunks(LISTED_AT_ONCE).then(page).flatten().boxed()
    }
}

impl fmt::Display for LateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LateStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for LateStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.wait().await;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.wait().await;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.wait().await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.wait().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.wait().await;
        self.inner.copy_opts(from, to, options).await
    }
}
