//! A worker: makes what is due, one delivery after the other, beside any number of others.

use crate::board::{Board, Position, Waiting};
use crate::delivery::Delivery;
use crate::destination::Named;
use crate::error::JobError;
use crate::journal::{
    DECIDED, Decision, ENDED, End, Failure, FileSum, Journal, Lease, Publication, attempt, failed,
};
use crate::key::DeliveryKey;
use crate::lease::{Standing, after, lease, retry_at, standing};
use crate::limits::LOOK_AGAIN;
use crate::making::{Made, MakingLimits, make};
use crate::schedule::Schedule;
use gridtrail_access::{Access, Admission, Component};
use gridtrail_lake::Lake;
use gridtrail_model::{Timestamp, UserId};
use gridtrail_runtime::{Clock, with_causes};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Makes the reports of a schedule.
#[derive(Debug)]
pub struct Worker {
    /// Random: tells this worker from all others.
    name: String,
    lake: Lake,
    admission: Admission,
    journal: Journal,
    limits: MakingLimits,
    board: Board,
    turn: usize,
    /// The lease that it holds.
    holding: Option<(Delivery, u32)>,
}

/// What a worker came to by one step.
#[derive(Debug)]
pub enum Step {
    /// A delivery ended, by this worker's doing.
    Ended(Outcome),
    /// An attempt failed, or something could not be looked at; it is tried again.
    Failed {
        /// Of which delivery; `None`: before any could be told.
        key: Option<DeliveryKey>,
        /// Why.
        error: JobError,
    },
    /// There is nothing to do until a time.
    Idle {
        /// When there is; `None`: never.
        until: Option<Timestamp>,
        /// What is due and has not ended, the oldest first.
        open: Vec<(DeliveryKey, Waiting)>,
    },
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which one.
    pub key: DeliveryKey,
    /// How.
    pub what: OutcomeKind,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Its files are there.
    Published {
        /// How many rows there are.
        rows: u64,
        /// The files.
        files: Vec<FileSum>,
        /// Whether the lake was not complete up to the end of the period when they were made.
        may_miss_rows: bool,
    },
    /// It is not made: too many came after it.
    Skipped {
        /// What was the matter.
        why: String,
    },
    /// Rights were lost when it was made and not yet published: no file of it is there.
    Withdrawn {
        /// What was the matter.
        why: String,
    },
}

/// How far a worker came with a delivery.
enum Tried {
    /// Others ended it.
    Gone,
    Ended(OutcomeKind),
    Later(Timestamp, Waiting),
}

impl Worker {
    /// A worker over a lake, whose journal lies in that lake or another.
    pub fn new(
        schedule: &Schedule,
        (lake, admission): (Lake, Admission),
        journal: Journal,
        limits: MakingLimits,
    ) -> Self {
        let name = Uuid::new_v4();
        // Any number will do: it only says where this worker begins.
        let turn = usize::try_from(name.as_u128() & 0xFFFF).unwrap_or_default();
        let board = Board::new(schedule);
        Self { name: name.to_string(), lake, admission, journal, limits, board, turn, holding: None }
    }

    fn clock(&self) -> &Clock {
        self.lake.clock()
    }

    /// Does what is to be done next, for one delivery at most. Dropped in the middle, it leaves a lease that [`Worker::release`] ends.
    pub async fn step(&mut self) -> Step {
        if let Err(error) = self.read_unread().await {
            return Step::Failed { key: None, error };
        }
        loop {
            let now = self.clock().now();
            self.board.add(now);
            let Some((position, delivery)) = self.board.next(now, self.turn) else {
                let until = self.board.next_look(now);
                return Step::Idle { until, open: self.board.open() };
            };
            let key = delivery.key();
            match self.attempt(position, &delivery).await {
                Ok(Tried::Gone) => self.board.end(position),
                Ok(Tried::Ended(what)) => {
                    self.board.end(position);
                    return Step::Ended(Outcome { key, what });
                }
                Ok(Tried::Later(at, waiting)) => self.board.wait(position, (at, waiting)),
                Err((at, error)) => {
                    let why = with_causes(&error);
                    self.board.wait(position, (at, Waiting::Retry { at, why }));
                    return Step::Failed { key: Some(key), error };
                }
            }
        }
    }

    /// What is due and has not ended, as far as this worker knows, the oldest first.
    pub fn open(&self) -> Vec<(DeliveryKey, Waiting)> {
        self.board.open()
    }

    /// Gives up a lease that a step was dropped with, so that another worker need not wait for it to lapse.
    pub async fn release(&mut self) {
        if let Some((delivery, number)) = self.holding.take() {
            // A step may have been dropped before it knew whether this attempt was its own or another worker's.
            let lease: Option<Lease> =
                self.journal.read(&delivery.key(), &attempt(number)).await.unwrap_or_default();
            if lease.is_none_or(|lease| lease.worker != self.name) {
                return;
            }
            let now = self.clock().now();
            let failure = Failure { at: now, retry_at: now, why: "the worker was asked to stop".to_owned() };
            let _lapses = self.journal.create(&delivery.key(), &failed(number), &failure).await;
        }
    }

    /// Reads what became of each job before, and takes away what killed workers left aside of what has ended.
    async fn read_unread(&mut self) -> Result<(), JobError> {
        while let Some((number, job)) = self.board.unread() {
            let seen = self.journal.look_at_all(Some(&job.name)).await?;
            let ended = seen.into_iter().filter(|(_, seen)| seen.is_ended).map(|(key, _)| key);
            let ended: BTreeSet<DeliveryKey> = ended.collect();
            let unfinished = job.destination.unfinished(&job.name).await?;
            for key in unfinished.iter().filter(|key| ended.contains(*key)) {
                job.destination.clear(key).await?;
            }
            self.board.read(number, &ended, self.clock().now());
        }
        Ok(())
    }

    /// Makes a delivery, if it is there to be made. An error comes with when it is tried again.
    async fn attempt(
        &mut self,
        position: Position,
        delivery: &Delivery,
    ) -> Result<Tried, (Timestamp, JobError)> {
        let (key, now) = (delivery.key(), self.clock().now());
        let later = after(now, LOOK_AGAIN);
        let is_missed = self.board.is_missed(position);
        let number =
            match self.may_begin(delivery, &key, (now, is_missed)).await.map_err(|error| (later, error))? {
                Ok(number) => number,
                Err(tried) => return Ok(tried),
            };
        let lease = lease(&delivery.job, &self.name, now);
        let until = lease.until;
        self.holding = Some((delivery.clone(), number));
        let taken = self.journal.create(&key, &attempt(number), &lease).await;
        if !taken.map_err(|error| (later, error))? {
            self.holding = None;
            return Ok(Tried::Later(later.min(until), Waiting::Worker { until }));
        }
        let limit = delivery.job.time_max;
        let done = tokio::time::timeout(limit, Box::pin(self.carry_out(delivery, number, is_missed))).await;
        let done = done.unwrap_or(Err(JobError::TooLong(limit)));
        self.holding = None;
        match done {
            Ok(what) => Ok(Tried::Ended(what)),
            Err(error) => {
                let at = self.clock().now();
                let retry_at = retry_at(&delivery.job, number, at);
                let failure = Failure { at, retry_at, why: with_causes(&error) };
                if let Err(untold) = self.journal.create(&key, &failed(number), &failure).await {
                    // Then the lease lapses in its time.
                    tracing::warn!(%key, error = with_causes(&untold), "that a report failed could not be written down");
                }
                Err((retry_at, error))
            }
        }
    }

    /// The number of the attempt by which a delivery may be made now, or why none may.
    async fn may_begin(
        &self,
        delivery: &Delivery,
        key: &DeliveryKey,
        (now, is_missed): (Timestamp, bool),
    ) -> Result<Result<u32, Tried>, JobError> {
        let seen = self.journal.look(key).await?;
        if seen.is_ended {
            return Ok(Err(Tried::Gone));
        }
        let soon = after(now, LOOK_AGAIN);
        let number = match standing(&self.journal, key, seen, now).await? {
            Standing::Free(number) => number,
            Standing::Held(until) => {
                return Ok(Err(Tried::Later(soon.min(until), Waiting::Worker { until })));
            }
            Standing::Failed { retry_at, why } => {
                return Ok(Err(Tried::Later(soon.min(retry_at), Waiting::Retry { at: retry_at, why })));
            }
        };
        if seen.is_decided || is_missed {
            return Ok(Ok(number));
        }
        self.lake.refresh().await?;
        let (needed, complete) =
            (delivery.job.needs_complete_up_to(delivery.due), self.lake.snapshot().complete_up_to());
        let waits_until = after(delivery.due, delivery.job.wait_max);
        if complete.is_none_or(|complete| complete < needed) && now < waits_until {
            return Ok(Err(Tried::Later(soon.min(waits_until), Waiting::Data { needed, complete })));
        }
        Ok(Ok(number))
    }

    /// Brings a delivery to its end, under a lease.
    async fn carry_out(
        &self,
        delivery: &Delivery,
        number: u32,
        is_missed: bool,
    ) -> Result<OutcomeKind, JobError> {
        let key = delivery.key();
        let decision = match self.journal.read(&key, DECIDED).await? {
            Some(decision) => decision,
            None if is_missed => {
                let why = format!("{} newer periods came meanwhile", delivery.job.catch_up);
                self.decide(&key, Decision::Skip { at: self.clock().now(), why }).await?
            }
            None => self.make(delivery, number).await?,
        };
        let end = match &decision {
            Decision::Skip { .. } => self.end(&key, End::Skipped { at: self.clock().now() }).await?,
            Decision::Publish(publication) => self.publish(delivery, publication).await?,
        };
        delivery.job.destination.clear(&key).await?;
        Ok(outcome_of(decision, end))
    }

    /// Makes the report, writes it aside, and decides that it is this one, unless another was decided on before.
    async fn make(&self, delivery: &Delivery, number: u32) -> Result<Decision, JobError> {
        let (key, destination) = (delivery.key(), &delivery.job.destination);
        let who = self.access(delivery).await?;
        let sharing = self.admission.sharing()?;
        let snapshot = self.lake.snapshot();
        let made = make(delivery, &who, (&snapshot, &sharing), self.clock(), &self.limits).await?;
        let publication = self.publication(delivery, number, &who, &made);
        let put_aside = async {
            for (sum, file) in made.files {
                if destination.has(&sum.name).await? {
                    // Another worker's, which has gone on meanwhile, or nobody's.
                    let decided = self.journal.read(&key, DECIDED).await?;
                    return decided.map(Some).ok_or(JobError::Foreign(sum.name));
                }
                destination.put_aside((&key, number), &sum.name, file).await?;
            }
            self.check_rights(delivery, who.user_ids().to_set().iter()).await?;
            Ok(None)
        };
        match put_aside.await {
            Ok(Some(decided)) => Ok(decided),
            Ok(None) => self.decide(&key, Decision::Publish(publication)).await,
            Err(error) => {
                // Nothing was decided on it, and nobody is to read it. Where this fails, too, the end of the delivery clears it.
                let _left = destination.clear_attempt((&key, number)).await;
                Err(error)
            }
        }
    }

    fn publication(&self, delivery: &Delivery, number: u32, who: &Access, made: &Made) -> Publication {
        Publication {
            worker: self.name.clone(),
            attempt: number,
            to: delivery.job.to().to_owned(),
            report: made.about.report.clone(),
            version: made.about.version,
            rows: made.rows,
            made_at: made.about.made_at,
            complete_up_to: made.about.complete_up_to.map(|at| at.to_string()),
            needed_up_to: delivery.job.needs_complete_up_to(delivery.due),
            lake_version: made.about.lake_version.clone(),
            user_ids: who.user_ids().to_set().iter().map(ToString::to_string).collect(),
            files: made.files.iter().map(|(sum, _)| sum.clone()).collect(),
        }
    }

    /// What the declared User may see now.
    async fn access(&self, delivery: &Delivery) -> Result<Access, JobError> {
        let (declared, now) = (delivery.declared(), self.clock().now());
        let who = self.admission.access_of_user(declared, now).await?;
        who.require(Component::Reporting, now)?;
        if who.own_user_ids().contains(&declared.user_id()) {
            return Ok(who);
        }
        let (user_id, party) = (declared.user_id(), declared.party().clone());
        Err(JobError::NotOfParty { user_id, party, at: now })
    }

    /// Demands that the declared User may see now all that the report was made of.
    async fn check_rights<'a>(
        &self,
        delivery: &Delivery,
        mut made_of: impl Iterator<Item = &'a UserId>,
    ) -> Result<(), JobError> {
        let who = self.access(delivery).await?;
        if made_of.all(|user_id| who.user_ids().contains(user_id)) {
            Ok(())
        } else {
            Err(JobError::RightsLost)
        }
    }

    /// Decides what a delivery comes to, or tells what was decided before.
    async fn decide(&self, key: &DeliveryKey, decision: Decision) -> Result<Decision, JobError> {
        if self.journal.create(key, DECIDED, &decision).await? {
            return Ok(decision);
        }
        self.journal.read(key, DECIDED).await?.ok_or(JobError::TakenOver)
    }

    async fn end(&self, key: &DeliveryKey, end: End) -> Result<End, JobError> {
        if self.journal.create(key, ENDED, &end).await? {
            return Ok(end);
        }
        self.journal.read(key, ENDED).await?.ok_or(JobError::TakenOver)
    }

    /// Gives the files that were decided on their names. Who does so after another finds them there, or taken by whom they were for.
    async fn publish(&self, delivery: &Delivery, publication: &Publication) -> Result<End, JobError> {
        let (key, destination) = (delivery.key(), &delivery.job.destination);
        if publication.to != delivery.job.to() {
            return Err(JobError::Moved { to: publication.to.clone() });
        }
        let ids = publication.user_ids.iter().map(|text| text.parse::<UserId>());
        let user_ids: Vec<UserId> = ids
            .collect::<Result<_, _>>()
            .map_err(|error| JobError::Corrupt { object: key.to_string(), reason: error.to_string() })?;
        // What does not count for a while is not lost: it is tried again.
        let is_lapsed = self.admission.is_lapsed();
        let end = match self.check_rights(delivery, user_ids.iter()).await {
            Err(error @ JobError::RightsLost) if is_lapsed => return Err(error),
            Err(error @ (JobError::RightsLost | JobError::NotOfParty { .. })) => {
                self.end(&key, End::Withdrawn { at: self.clock().now(), why: with_causes(&error) }).await?
            }
            Err(error) => return Err(error),
            Ok(()) => {
                for file in &publication.files {
                    let from = (&key, publication.attempt);
                    if destination.name(from, &file.name).await? == Named::Gone {
                        tracing::info!(
                            file = file.name,
                            "a file of a report was taken away before its end was written down"
                        );
                    }
                }
                if let Some(file) = publication.files.first() {
                    destination.keep(&file.name).await?;
                }
                self.end(&key, End::Published { at: self.clock().now() }).await?
            }
        };
        if matches!(end, End::Withdrawn { .. }) {
            for file in &publication.files {
                destination.remove(&file.name).await?;
            }
        }
        Ok(end)
    }
}

fn outcome_of(decision: Decision, end: End) -> OutcomeKind {
    match (decision, end) {
        (_, End::Withdrawn { why, .. }) => OutcomeKind::Withdrawn { why },
        (Decision::Skip { why, .. }, _) => OutcomeKind::Skipped { why },
        (Decision::Publish(publication), _) => OutcomeKind::Published {
            may_miss_rows: publication.may_miss_rows(),
            rows: publication.rows,
            files: publication.files,
        },
    }
}
