//! Proofs of what became of every position, made beside the calls: one takes as long as a lake is large.

use super::unread;
use crate::status::CallError;
use gridtrail_lake::Lake;
use gridtrail_model::Timestamp;
use gridtrail_reconcile::{Proof, ReconcileError, reconcile};
use gridtrail_runtime::Clock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

/// A proof that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) at: Timestamp,
    pub(crate) took: Duration,
    pub(crate) proof: Proof,
}

/// What there is of proofs.
#[derive(Debug)]
pub(crate) struct Found {
    /// Whether one is being made.
    pub(crate) is_running: bool,
    /// The one that was made last.
    pub(crate) last: Option<Arc<Made>>,
}

/// The proofs of one server: the last one, and one at a time that is being made. It ends with the server.
#[derive(Debug)]
pub(crate) struct Proofs {
    lake: Lake,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    making: Option<AbortOnDropHandle<Result<Made, ReconcileError>>>,
    last: Option<Arc<Made>>,
}

impl Proofs {
    pub(crate) fn new(lake: Lake, clock: Clock) -> Self {
        Self { lake, clock, state: Mutex::default() }
    }

    /// What there is. One is made where there is none, and where another is wanted; whoever asks while one is being made gets that one.
    ///
    /// Errors: why the one that was being made was not: told once.
    pub(crate) async fn look(&self, wants_another: bool) -> Result<Found, CallError> {
        let mut state = self.state.lock().await;
        if let Some(made) = state.making.take_if(|making| making.is_finished()) {
            match made.await {
                Ok(Ok(made)) => state.last = Some(Arc::new(made)),
                Ok(Err(ReconcileError::Lake(error))) => return Err(unread(error)),
                Ok(Err(error)) => return Err(CallError::Proof(error)),
                // What a panic says may quote data, so it is left to the panic hook.
                Err(_panic) => return Err(CallError::Panicked),
            }
        }
        if state.making.is_none() && (wants_another || state.last.is_none()) {
            let making = tokio::spawn(make(self.lake.clone(), self.clock.clone()));
            state.making = Some(AbortOnDropHandle::new(making));
        }
        Ok(Found { is_running: state.making.is_some(), last: state.last.clone() })
    }
}

async fn make(lake: Lake, clock: Clock) -> Result<Made, ReconcileError> {
    let began = Instant::now();
    let proof = reconcile(&lake).await?;
    Ok(Made { at: clock.now(), took: began.elapsed(), proof })
}
