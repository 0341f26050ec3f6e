//! Writes down, once a second, what was noted.

use crate::limits::{BEHIND_AFTER, PAUSE, QUEUE};
use crate::log::{Noted, Shared};
use crate::{Chain, LogStore, Row};
use gridtrail_runtime::{Clock, with_causes};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

/// The one writer of a chain.
pub(crate) struct Committer<S> {
    store: S,
    clock: Clock,
    chain: Chain,
    waiting: mpsc::Receiver<Noted>,
    shared: Arc<Shared>,
}

impl<S: LogStore> Committer<S> {
    pub(crate) fn new(
        (store, clock): (S, Clock),
        chain: Chain,
        waiting: mpsc::Receiver<Noted>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { store, clock, chain, waiting, shared }
    }

    /// Writes until it is stopped, and then what is left, and the end of the chain.
    pub(crate) async fn run(mut self, every: Duration, mut stopped: oneshot::Receiver<()>) {
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = &mut stopped => break,
            }
            let mut noted = Vec::new();
            while noted.len() < QUEUE
                && let Ok(next) = self.waiting.try_recv()
            {
                noted.push(next);
            }
            self.commit(noted).await;
        }
        self.waiting.close();
        let mut noted = Vec::new();
        // Also those for whom there is room and who did not use it yet.
        while self.waiting.recv_many(&mut noted, QUEUE).await > 0 {
            self.commit(std::mem::take(&mut noted)).await;
        }
        self.commit(Vec::new()).await;
        self.end().await;
    }

    /// Has the store keep what was noted, and what was counted, however long that takes.
    async fn commit(&mut self, noted: Vec<Noted>) {
        let counted = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut rows = Vec::with_capacity(noted.len());
        let mut waiting = Vec::new();
        for Noted { entry, written } in noted {
            rows.push(self.chain.add(entry));
            // Thousands are hashed in a row: calls on the same thread are not to wait for all of them.
            tokio::task::consume_budget().await;
            waiting.extend(written);
        }
        rows.extend(counted.map(|entry| self.chain.add(entry)));
        if rows.is_empty() {
            return;
        }
        keep(&mut self.store, &self.shared, &rows).await;
        for written in waiting {
            // The caller that waited for the write may be gone.
            let _ = written.send(());
        }
    }

    async fn end(self) {
        let Self { mut store, clock, chain, shared, .. } = self;
        let last = chain.end(clock.now());
        keep(&mut store, &shared, std::slice::from_ref(&last)).await;
        let hash = last.hash_digits();
        // Told where the lake cannot be changed: whoever rewrites the whole chain is found by it.
        tracing::info!(chain = %last.chain, last.seq, hash, "a chain of the access log ends");
    }
}

/// Has the store keep rows, and asks again until it does: they are what they are, so that an answer that was lost makes none twice.
async fn keep(store: &mut impl LogStore, shared: &Shared, rows: &[Row]) {
    let mut pause = PAUSE.0;
    let began = Instant::now();
    while let Err(error) = store.append(rows).await {
        tracing::warn!(rows = rows.len(), error = with_causes(&error), "the access log could not be written");
        if began.elapsed() >= BEHIND_AFTER && !shared.behind.swap(true, Ordering::Relaxed) {
            tracing::error!("calls are refused until the access log can be written");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    shared.behind.store(false, Ordering::Relaxed);
}
