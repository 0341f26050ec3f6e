//! A store that records what is read of it: how many requests, how many bytes, and how many of them one after the other.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Counted {
    requests: u64,
    bytes: u64,
    /// Rounds that are over: the most of those that any answered request was in.
    rounds: u64,
}

/// What was read of a [`RecordingStore`].
#[derive(Debug, Clone, Default)]
pub struct Recording(Arc<Mutex<Counted>>);

impl Recording {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to count anew.
    pub fn reset(&self) {
        *self.counted() = Counted::default();
    }

    /// Requests to read.
    pub fn requests(&self) -> u64 {
        self.counted().requests
    }

    /// Bytes that they returned.
    pub fn bytes(&self) -> u64 {
        self.counted().bytes
    }

    /// The longest chain of requests of which each was made after the one before it was answered. Holds for one reader that
    /// makes its concurrent requests in one task.
    pub fn rounds(&self) -> u64 {
        self.counted().rounds
    }
}

/// A store that records what is read of it.
#[derive(Debug)]
pub struct RecordingStore {
    inner: Arc<dyn ObjectStore>,
    recording: Recording,
}

impl RecordingStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>) -> (Self, Recording) {
        let recording = Recording::default();
        (Self { inner, recording: recording.clone() }, recording)
    }
}

impl fmt::Display for RecordingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for RecordingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let round = self.recording.counted().rounds + 1;
        // Lets all other requests of the same round be made before any of them is answered.
        tokio::task::yield_now().await;
        let found = self.inner.get_opts(location, options).await?;
        let mut counted = self.recording.counted();
        counted.requests += 1;
        counted.bytes += found.range.end - found.range.start;
        counted.rounds = counted.rounds.max(round);
        drop(counted);
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;
    use futures::future::join_all;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn requests_at_one_time_are_one_round() {
        let (store, recording) = RecordingStore::new(Arc::new(InMemory::new()));
        let path = Path::from("a");
        store.put(&path, "0123456789".into()).await.unwrap();
        join_all((0..5).map(|at| store.get_range(&path, at..at + 2))).await;
        assert_eq!((recording.requests(), recording.bytes(), recording.rounds()), (5, 10, 1));
        store.get_range(&path, 0..1).await.unwrap();
        store.get_range(&path, 0..1).await.unwrap();
        assert_eq!(recording.rounds(), 3);
        recording.reset();
        assert_eq!(recording.rounds(), 0);
    }
}
