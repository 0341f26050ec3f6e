//! A store that a test has its say in before each operation.

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use std::fmt;
use std::sync::Arc;

/// What a test does before an operation on an object: whether it is ever carried out.
pub(crate) type Hook = Arc<dyn Fn(&'static str, &str) -> bool + Send + Sync>;

/// A store whose operations are told before they are carried out, and may never end.
pub(crate) struct Hooked {
    inner: Arc<dyn ObjectStore>,
    hook: Hook,
}

impl Hooked {
    pub(crate) fn store(inner: Arc<dyn ObjectStore>, hook: &Hook) -> Arc<dyn ObjectStore> {
        Arc::new(Self { inner, hook: Arc::clone(hook) })
    }

    async fn before(&self, operation: &'static str, path: &str) {
        if !(self.hook)(operation, path) {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").finish_non_exhaustive()
    }
}

impl fmt::Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

#[async_trait]
impl ObjectStore for Hooked {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.before("put", location.as_ref()).await;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.before("put", location.as_ref()).await;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.before("get", location.as_ref()).await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (hook, inner) = (Arc::clone(&self.hook), Arc::clone(&self.inner));
        let told = locations.and_then(move |path| {
            let goes_on = hook("delete", path.as_ref());
            async move {
                if !goes_on {
                    std::future::pending::<()>().await;
                }
                Ok(path)
            }
        });
        inner.delete_stream(told.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if !(self.hook)("list", prefix.map_or("", AsRef::as_ref)) {
            return stream::pending().boxed();
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.before("list", prefix.map_or("", AsRef::as_ref)).await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.before("copy", to.as_ref()).await;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.before("rename", to.as_ref()).await;
        self.inner.rename_opts(from, to, options).await
    }
}
