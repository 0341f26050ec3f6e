//! The doors of the log.

use crate::committer::Committer;
use crate::limits::{CLOSE_LIFE, EVERY, QUEUE, WRITE_LIFE};
use crate::refusals::Refusals;
use crate::{Chain, Entry, LogError, LogStore, Started};
use gridtrail_runtime::Clock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// An entry on its way to the store.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) entry: Entry,
    /// Whoever waits until it is on record.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

/// What the doors and the committer share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) refusals: Mutex<Refusals>,
    /// Whether the store has refused for too long.
    pub(crate) behind: AtomicBool,
}

/// Takes the records of calls. Clones share one chain.
#[derive(Debug, Clone)]
pub struct AccessLog {
    queue: mpsc::Sender<Noted>,
    shared: Arc<Shared>,
}

/// Room for one record: a call that has it can be noted, whatever comes in between.
#[derive(Debug)]
pub struct Slot(mpsc::OwnedPermit<Noted>);

impl Slot {
    /// Notes an entry, which is on record within a second or so.
    pub fn note(self, entry: Entry) {
        self.0.send(Noted { entry, written: None });
    }
}

impl AccessLog {
    /// Begins a chain, whose first row is on record when this returns. `by` says whose it is.
    ///
    /// Errors: `Store`. Needs a tokio runtime. When [`Committing`] is dropped, nothing is taken any more.
    pub async fn open(
        mut store: impl LogStore,
        clock: Clock,
        by: &str,
    ) -> Result<(Self, Committing), LogError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let started = Started { by: by.to_owned(), version, heads: store.heads().await? };
        let (chain, first) = Chain::start(clock.now(), &started);
        store.append(&[first]).await?;
        tracing::info!(chain = %chain.head().chain, "a chain of the access log begins");
        let (queue, waiting) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let committer = Committer::new((store, clock), chain, waiting, Arc::clone(&shared));
        let working = AbortOnDropHandle::new(tokio::spawn(committer.run(EVERY, stopped)));
        Ok((Self { queue, shared }, Committing { stop, working }))
    }

    /// Room for the record of a call that begins.
    ///
    /// Errors: `Full`, `Behind`, `Closed`; then the call is not to be answered.
    pub fn slot(&self) -> Result<Slot, LogError> {
        if self.shared.behind.load(Ordering::Relaxed) {
            return Err(LogError::Behind);
        }
        self.queue.clone().try_reserve_owned().map(Slot).map_err(|error| match error {
            TrySendError::Full(_) => LogError::Full,
            TrySendError::Closed(_) => LogError::Closed,
        })
    }

    /// Notes an entry and waits for nothing: it is on record within a second or so. Errors: those of [`AccessLog::slot`].
    pub fn note(&self, entry: Entry) -> Result<(), LogError> {
        self.slot().map(|slot| slot.note(entry))
    }

    /// Notes an entry and waits until it is on record: for logins and exports, which are not to be had without.
    ///
    /// Errors: those of [`AccessLog::slot`]; `TooSlow`, and then it may yet be recorded. Cancel-safe: what was noted stays so.
    pub async fn write(&self, entry: Entry) -> Result<(), LogError> {
        let (written, on_record) = oneshot::channel();
        let Slot(permit) = self.slot()?;
        permit.send(Noted { entry, written: Some(written) });
        match tokio::time::timeout(WRITE_LIFE, on_record).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(LogError::Closed),
            Err(_elapsed) => Err(LogError::TooSlow),
        }
    }

    /// Notes a call that nobody was admitted for. It fails in any case, so this never does: what there is no room for is counted with
    /// others that were refused alike.
    pub fn refuse(&self, entry: Entry) {
        let mut refusals = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if !refusals.has_room() {
            return refusals.count(entry);
        }
        match self.queue.try_send(Noted { entry, written: None }) {
            Ok(()) => refusals.noted(),
            Err(TrySendError::Full(noted) | TrySendError::Closed(noted)) => refusals.count(noted.entry),
        }
    }
}

/// The task that writes down what was noted. Dropped, it leaves the chain open.
#[derive(Debug)]
pub struct Committing {
    stop: oneshot::Sender<()>,
    working: AbortOnDropHandle<()>,
}

impl Committing {
    /// Writes down what is left and ends the chain. For the end of a process, once no call is under way.
    ///
    /// Errors: `TooSlow` after [`CLOSE_LIFE`]: the chain is left open; what was noted since the last commit is lost.
    pub async fn close(self) -> Result<(), LogError> {
        // A task that is gone has nothing to stop.
        let _ = self.stop.send(());
        match tokio::time::timeout(CLOSE_LIFE, self.working).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(LogError::Closed),
            Err(_elapsed) => Err(LogError::TooSlow),
        }
    }
}

#[cfg(test)]
mod tests;
