//! An object store that fails on purpose.
//!
//! [`FaultStore`] wraps any store, counts its operations, and lets the chosen ones fail in the ways in which real stores do.
//! [`RecordingStore`] wraps any store and tells how often a reader had to wait for it.
//! [`LateStore`] wraps any store, and answers late.
//! [`DatedStore`] wraps any store, and dates its files by a clock that a test sets.
//! For tests only: nothing but tests may depend on this crate.

mod dated;
mod late;
mod recording;

pub use dated::DatedStore;
pub use late::LateStore;
pub use recording::{Recording, RecordingStore};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request never arrived: an error, and nothing happened.
    Before,
    /// It was carried out, and the answer was lost: an error, though it happened.
    AnswerLost,
    /// A conditional write was carried out and its answer lost; the client sent it again by itself, and passes on that the
    /// object is there already.
    Repeated,
    /// A conditional write answers that the object is there already, though this write did nothing. S3 does so when two
    /// writes meet and both are told to try again.
    Conflict,
    /// No answer came in time, and nothing happened.
    TimeOut,
    /// The connection broke in the middle of what was read.
    ShortRead,
    /// It took long, and went well.
    Slow,
    /// There is no room for what is written.
    DiskFull,
}

impl Fault {
    /// Every way to fail.
    pub const ALL: [Self; 8] = [
        Self::Before,
        Self::AnswerLost,
        Self::Repeated,
        Self::Conflict,
        Self::TimeOut,
        Self::ShortRead,
        Self::Slow,
        Self::DiskFull,
    ];
}

/// What an operation does, as far as faults go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Write,
    Create,
    Read,
    List,
    Other,
}

/// Which operations fail.
#[derive(Debug)]
enum Plan {
    None,
    /// The operation of this number, counted from 0, and no other.
    At(u64, Fault),
    /// Each with a probability, in one of these ways.
    Random(Box<ChaCha8Rng>, f64, Vec<Fault>),
}

#[derive(Debug)]
struct State {
    plan: Plan,
    operations: u64,
    failed: u64,
    last: Option<String>,
}

/// Says which operations of a [`FaultStore`] fail, while it is in use.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<State>>);

impl Faults {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, plan: Plan) {
        *self.state() = State { plan, operations: 0, failed: 0, last: None };
    }

    /// None fails. Counting starts anew, here and below.
    pub fn none(&self) {
        self.plan(Plan::None);
    }

    /// The operation of this number fails, counted from 0.
    pub fn at(&self, operation: u64, fault: Fault) {
        self.plan(Plan::At(operation, fault));
    }

    /// Each operation fails with a probability, in one of these ways; the same seed gives the same faults for the same
    /// operations.
    pub fn random(&self, seed: u64, probability: f64, faults: &[Fault]) {
        self.plan(Plan::Random(Box::new(ChaCha8Rng::seed_from_u64(seed)), probability, faults.to_vec()));
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many of them failed.
    pub fn failed(&self) -> u64 {
        self.state().failed
    }

    /// What failed last, for messages.
    pub fn last(&self) -> Option<String> {
        self.state().last.clone()
    }

    /// Counts an operation. The fault that it is to have, if any that it can have.
    fn next(&self, kind: Operation, path: &str) -> Option<Fault> {
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        let fault = match &mut state.plan {
            Plan::None => None,
            Plan::At(at, fault) => (*at == number).then_some(*fault),
            Plan::Random(chance, probability, faults) => {
                let hit = chance.random_bool(*probability);
                let which = chance.next_u32() as usize % faults.len().max(1);
                if hit { faults.get(which).copied() } else { None }
            }
        };
        let fault = fault.filter(|fault| can(kind, *fault))?;
        state.failed += 1;
        state.last = Some(format!("operation {number}, {kind:?} of {path}: {fault:?}"));
        Some(fault)
    }
}

/// Whether an operation of a kind can fail in a way.
fn can(kind: Operation, fault: Fault) -> bool {
    match fault {
        Fault::Before | Fault::TimeOut | Fault::Slow => true,
        Fault::AnswerLost => matches!(kind, Operation::Write | Operation::Create | Operation::Other),
        Fault::Conflict | Fault::Repeated => kind == Operation::Create,
        Fault::ShortRead => kind == Operation::Read,
        Fault::DiskFull => matches!(kind, Operation::Write | Operation::Create),
    }
}

/// How long a slow operation takes, and one that is not answered in time.
const SLOW: Duration = Duration::from_millis(2);

/// A store whose operations fail as its [`Faults`] say.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    faults: Faults,
}

impl FaultStore {
    /// Wraps a store. Nothing fails until the faults say so.
    pub fn new(inner: Arc<dyn ObjectStore>) -> (Self, Faults) {
        let state = State { plan: Plan::None, operations: 0, failed: 0, last: None };
        let faults = Faults(Arc::new(Mutex::new(state)));
        (Self { inner, faults: faults.clone() }, faults)
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

fn error(fault: Fault, path: &str) -> Error {
    let source = format!("injected: {fault:?}").into();
    match fault {
        Fault::Conflict | Fault::Repeated => Error::AlreadyExists { path: path.to_owned(), source },
        _ => Error::Generic { store: "FaultStore", source },
    }
}

/// What happens before an operation is carried out: an error that keeps it from being.
async fn before(fault: Option<Fault>, path: &str) -> Result<()> {
    match fault {
        Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
        Some(Fault::TimeOut) => {
            tokio::time::sleep(SLOW).await;
            return Err(error(Fault::TimeOut, path));
        }
        Some(fault @ (Fault::Before | Fault::Conflict | Fault::DiskFull)) => return Err(error(fault, path)),
        Some(Fault::AnswerLost | Fault::Repeated | Fault::ShortRead) | None => {}
    }
    Ok(())
}

/// What the caller hears of an operation that was carried out.
fn after<T>(fault: Option<Fault>, path: &str, done: Result<T>) -> Result<T> {
    match fault {
        Some(fault @ (Fault::AnswerLost | Fault::Repeated)) => Err(error(fault, path)),
        _ => done,
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let kind = if opts.mode == PutMode::Create { Operation::Create } else { Operation::Write };
        let fault = self.faults.next(kind, location.as_ref());
        before(fault, location.as_ref()).await?;
        after(fault, location.as_ref(), self.inner.put_opts(location, payload, opts).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.faults.next(Operation::Write, location.as_ref());
        before(fault, location.as_ref()).await?;
        after(fault, location.as_ref(), self.inner.put_multipart_opts(location, opts).await)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.faults.next(Operation::Read, location.as_ref());
        before(fault, location.as_ref()).await?;
        let found = self.inner.get_opts(location, options).await?;
        if fault != Some(Fault::ShortRead) {
            return Ok(found);
        }
        let GetResult { meta, range, attributes, .. } = &found;
        let (meta, range, attributes) = (meta.clone(), range.clone(), attributes.clone());
        let whole = found.bytes().await?;
        let half: Result<Bytes> = Ok(whole.slice(..whole.len() / 2));
        let parts = stream::iter([half, Err(error(Fault::ShortRead, location.as_ref()))]);
        Ok(GetResult { payload: GetResultPayload::Stream(parts.boxed()), meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.faults.next(Operation::Other, "a deletion") {
            Some(fault @ (Fault::Before | Fault::TimeOut)) => {
                stream::once(async move { Err(error(fault, "a deletion")) }).boxed()
            }
            _ => self.inner.delete_stream(locations),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.next(Operation::List, prefix.map_or("", |p| p.as_ref())) {
            Some(fault @ (Fault::Before | Fault::TimeOut)) => {
                stream::once(async move { Err(error(fault, "a list")) }).boxed()
            }
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.map_or("", |p| p.as_ref());
        before(self.faults.next(Operation::List, path), path).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fault = self.faults.next(Operation::Other, to.as_ref());
        before(fault, to.as_ref()).await?;
        after(fault, to.as_ref(), self.inner.copy_opts(from, to, options).await)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        let inner = Arc::new(InMemory::new());
        let (store, faults) = FaultStore::new(inner.clone());
        let (a, b) = (Path::from("a"), Path::from("b"));
        for fault in [Fault::Before, Fault::TimeOut, Fault::DiskFull] {
            faults.at(0, fault);
            store.put(&a, "x".into()).await.unwrap_err();
            assert!(inner.get(&a).await.is_err(), "{fault:?}");
        }
        faults.at(0, Fault::AnswerLost);
        store.put(&a, "four".into()).await.unwrap_err();
        assert_eq!(inner.get(&a).await.unwrap().bytes().await.unwrap(), "four");
        faults.at(0, Fault::Conflict);
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let refused = store.put_opts(&b, "x".into(), create.clone()).await.unwrap_err();
        assert!(matches!(refused, Error::AlreadyExists { .. }) && inner.get(&b).await.is_err());
        faults.at(0, Fault::Repeated);
        let refused = store.put_opts(&b, "x".into(), create.clone()).await.unwrap_err();
        assert!(matches!(refused, Error::AlreadyExists { .. }) && inner.get(&b).await.is_ok());
        faults.at(1, Fault::ShortRead);
        assert_eq!(store.get(&a).await.unwrap().bytes().await.unwrap(), "four");
        assert!(store.get(&a).await.unwrap().bytes().await.is_err());
        faults.at(0, Fault::Slow);
        assert_eq!(store.get(&a).await.unwrap().bytes().await.unwrap(), "four");
        assert_eq!((faults.operations(), faults.failed()), (1, 1));
    }

    #[tokio::test]
    async fn a_seed_gives_the_same_faults_again() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let (store, faults) = FaultStore::new(Arc::new(InMemory::new()));
            faults.random(7, 0.3, &[Fault::Before]);
            let mut run = Vec::new();
            for n in 0..50 {
                run.push(store.put(&Path::from(format!("{n}")), "x".into()).await.is_ok());
            }
            assert!(run.contains(&true) && run.contains(&false));
            runs.push(run);
        }
        assert_eq!(runs[0], runs[1]);
    }
}
