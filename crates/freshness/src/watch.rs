//! Watching a lake from a process that answers from it.

use crate::ledger::Ledger;
use crate::level::Levels;
use crate::limits::WAITING_EVERY_MS;
use crate::report::{Inputs, Report};
use gridtrail_lake::{Delay, EvidencePart, Lake, LakeError, SnapshotVersion, Waiting};
use gridtrail_model::Timestamp;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says how fresh what is answered is.
pub trait Freshness: Send + Sync + fmt::Debug + 'static {
    /// How it is now, with so many days of the daily table. `None`: not known yet.
    fn report(&self, days: i64) -> Option<Report>;
}

/// Brings a lake's newest snapshot into sight, and keeps the ledger of what that made visible when.
#[derive(Debug)]
pub struct Watch {
    lake: Lake,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    waiting: Option<Looked>,
    /// When the newest version was last asked for, by the request that answered last. `None` before all evidence was
    /// read.
    confirmed: Option<Timestamp>,
}

#[derive(Debug)]
struct Looked {
    at: Timestamp,
    version: SnapshotVersion,
    waiting: Waiting,
}

impl Watch {
    /// A watch over a lake, by its clock. It knows nothing before [`Watch::refresh`] has succeeded once.
    pub fn new(lake: Lake, levels: Levels) -> Self {
        let state = State { ledger: Ledger::new(levels), waiting: None, confirmed: None };
        Self { lake, state: Mutex::new(state) }
    }

    /// Takes in what was committed since, and gives how long records took until this process could find them, a line a
    /// commit and source. The first time it is what all evidence comes to, which gives none: nobody watched.
    ///
    /// A lake of which an entry of a log is not gridtrail's, or damaged, is watched as far as it is answered from; the report
    /// says so.
    ///
    /// Cost: that of `Lake::refresh` and a log entry a commit; the first time that of [`Lake::evidence_since`] from the start. Errors: the lake's; the next call goes on where this one stopped.
    pub async fn refresh(&self) -> Result<Vec<Delay>, LakeError> {
        let asked = self.lake.clock().now();
        let refreshed = self.lake.refresh().await;
        if self.lake.stopped().is_none() {
            refreshed?;
        }
        let (after, watched) = {
            let state = self.state();
            (state.ledger.version(), state.confirmed.is_some())
        };
        let mut delays = Vec::new();
        let newest = self
            .lake
            .evidence_since(after, |part| match part {
                EvidencePart::Commit(commit) => {
                    // After the snapshot was there, so that no record is said to be found before it was.
                    let seen = watched.then(|| self.lake.clock().now());
                    let of_commit = self.state().ledger.take(&commit, seen);
                    delays.extend(of_commit.into_iter().filter(|_| watched));
                }
                EvidencePart::Summary(summary) => self.state().ledger.absorb(*summary),
            })
            .await?;
        self.look_at_waiting().await?;
        let mut state = self.state();
        state.ledger.reached(newest);
        if self.lake.stopped().is_none() || state.confirmed.is_none() {
            state.confirmed = Some(asked);
        }
        Ok(delays)
    }

    async fn look_at_waiting(&self) -> Result<(), LakeError> {
        let (now, snapshot) = (self.lake.clock().now(), self.lake.snapshot());
        let levels = {
            let state = self.state();
            let fresh = |looked: &Looked| {
                let age = now.millis() - looked.at.millis();
                (0..WAITING_EVERY_MS).contains(&age)
                    || (looked.waiting.rows == 0 && looked.version == *snapshot.version())
            };
            if state.waiting.as_ref().is_some_and(fresh) {
                return Ok(());
            }
            state.ledger.levels
        };
        let waiting = snapshot.waiting(now.plus_millis(-levels.warn_ms())).await?;
        self.state().waiting = Some(Looked { at: now, version: snapshot.version().clone(), waiting });
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Freshness for Watch {
    fn report(&self, days: i64) -> Option<Report> {
        let snapshot = self.lake.snapshot();
        let state = self.state();
        let confirmed = state.confirmed?;
        let stopped = self.lake.stopped().map(|at| at.summary());
        let inputs = Inputs {
            now: self.lake.clock().now(),
            partitions: snapshot.partitions(),
            waiting: state.waiting.as_ref().map(|looked| looked.waiting).unwrap_or_default(),
            version: &snapshot.version().to_string(),
            confirmed,
            days,
            stopped: stopped.as_deref(),
        };
        Some(state.ledger.report(&inputs))
    }
}
