//! What a worker knows to be open: which deliveries are due and have not ended, and when each is to be looked at again.

use crate::delivery::Delivery;
use crate::key::DeliveryKey;
use crate::limits::OPEN_MAX;
use crate::schedule::{Job, Schedule};
use gridtrail_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Why a delivery that is due has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// This worker has not looked at it yet.
    Turn,
    /// The lake is not complete up to the end of the period.
    Data {
        /// Up to when it is to be.
        needed: Timestamp,
        /// Up to when it is.
        complete: Option<Timestamp>,
    },
    /// Another worker makes it.
    Worker {
        /// When its lease lapses.
        until: Timestamp,
    },
    /// The last attempt failed.
    Retry {
        /// When the next is due.
        at: Timestamp,
        /// Why it failed.
        why: String,
    },
}

#[derive(Debug)]
struct OfJob {
    job: Arc<Job>,
    /// What became of it before is known.
    is_read: bool,
    /// From when on it is not known yet what is due.
    next: Timestamp,
    /// The newest periods, as many as may be caught up with.
    newest: VecDeque<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    delivery: Delivery,
    look_at: Timestamp,
    waiting: Waiting,
}

/// What is open, by when it is due.
#[derive(Debug)]
pub(crate) struct Board {
    jobs: Vec<OfJob>,
    open: BTreeMap<(Timestamp, usize, usize), Entry>,
    /// How many periods of a User are told to be missed, beside those that are caught up with.
    missed_max: usize,
}

/// Which of what is open.
pub(crate) type Position = (Timestamp, usize, usize);

impl Board {
    pub(crate) fn new(schedule: &Schedule) -> Self {
        let of_job = |job: &Arc<Job>| OfJob {
            job: Arc::clone(job),
            is_read: false,
            next: Timestamp::MIN,
            newest: VecDeque::new(),
        };
        let files: usize = schedule.jobs.iter().map(|job| job.users.len()).sum();
        let missed_max = OPEN_MAX.checked_div(files).unwrap_or_default();
        Self { jobs: schedule.jobs.iter().map(of_job).collect(), open: BTreeMap::new(), missed_max }
    }

    /// A job of which it is not known what became of it before.
    pub(crate) fn unread(&self) -> Option<(usize, Arc<Job>)> {
        let unread = self.jobs.iter().position(|of| !of.is_read)?;
        Some((unread, Arc::clone(&self.jobs[unread].job)))
    }

    /// What became of a job before: those of its deliveries that have ended.
    pub(crate) fn read(&mut self, job: usize, ended: &BTreeSet<DeliveryKey>, now: Timestamp) {
        self.jobs[job].is_read = true;
        self.add_due(job, ended, now);
    }

    /// Adds what has become due.
    pub(crate) fn add(&mut self, now: Timestamp) {
        for job in 0..self.jobs.len() {
            if self.jobs[job].is_read {
                self.add_due(job, &BTreeSet::new(), now);
            }
        }
    }

    fn add_due(&mut self, number: usize, ended: &BTreeSet<DeliveryKey>, now: Timestamp) {
        let of = &mut self.jobs[number];
        if now < of.next {
            return;
        }
        let catch_up = usize::try_from(of.job.catch_up).unwrap_or(usize::MAX);
        let mut due_now = VecDeque::new();
        for due in of.job.due_from(of.next).take_while(|due| *due <= now) {
            if due_now.len() >= catch_up.saturating_add(self.missed_max) {
                due_now.pop_front();
            }
            due_now.push_back(due);
        }
        of.newest.extend(&due_now);
        of.newest.drain(..of.newest.len().saturating_sub(catch_up));
        for due in due_now {
            for user in 0..of.job.users.len() {
                let delivery = Delivery { job: Arc::clone(&of.job), due, user };
                if !ended.contains(&delivery.key()) {
                    let entry = Entry { delivery, look_at: now, waiting: Waiting::Turn };
                    self.open.insert((due, number, user), entry);
                }
            }
        }
        of.next = now.plus_millis(1);
    }

    /// Whether so many periods came after it that it is not caught up with any more.
    pub(crate) fn is_missed(&self, position: Position) -> bool {
        let (due, job, _) = position;
        self.jobs[job].newest.front().is_some_and(|oldest| due < *oldest)
    }

    /// What is to be looked at now: from one of these on in their order, and then from the first. Where each worker begins elsewhere, they are
    /// seldom in each other's way.
    pub(crate) fn next(&self, now: Timestamp, turn: usize) -> Option<(Position, Delivery)> {
        let ready = || self.open.iter().filter(|(_, entry)| entry.look_at <= now);
        let (position, entry) = ready().nth(turn.checked_rem(ready().count())?)?;
        Some((*position, entry.delivery.clone()))
    }

    pub(crate) fn end(&mut self, position: Position) {
        self.open.remove(&position);
    }

    pub(crate) fn wait(&mut self, position: Position, (look_at, waiting): (Timestamp, Waiting)) {
        if let Some(entry) = self.open.get_mut(&position) {
            (entry.look_at, entry.waiting) = (look_at, waiting);
        }
    }

    /// What is open, and why, the oldest first.
    pub(crate) fn open(&self) -> Vec<(DeliveryKey, Waiting)> {
        self.open.values().map(|entry| (entry.delivery.key(), entry.waiting.clone())).collect()
    }

    /// When there is next something to be looked at; `None`: never.
    pub(crate) fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.open.values().map(|entry| entry.look_at);
        let due = self.jobs.iter().filter_map(|of| of.job.due_from(of.next.max(now)).next());
        open.chain(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Known;
    use gridtrail_access::RoleMatrix;
    use gridtrail_reports::Catalogue;
    use std::collections::HashMap;

    /// A job of every minute that nobody made for years has no more open than memory has room for, and the newest of it.
    #[test]
    fn what_was_missed_for_years_is_bounded() {
        let (reports, roles) = (Catalogue::built_in().unwrap(), RoleMatrix::built_in().unwrap());
        let schedule = r#"
            [[jobs]]
            name = "often"
            report = "device-models"
            party = "Avon"
            user_ids = ["90-B3-D5-1F-30-02-00-00", "90-B3-D5-1F-30-02-00-01"]
            roles = ["role-01"]
            cron = "* * * * *"
            from = "2024-01-01"
            catch_up = 3
            formats = ["csv"]
            to = "memory:///reports"
        "#;
        let known = Known { reports: &reports, roles: &roles, store_options: &HashMap::new() };
        let mut board = Board::new(&Schedule::parse(schedule, known).unwrap());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        board.read(0, &BTreeSet::new(), now);
        assert_eq!(board.open.len(), OPEN_MAX + 2 * 3);
        let missed = board.open.keys().filter(|position| board.is_missed(**position)).count();
        assert_eq!(missed, OPEN_MAX);
        assert_eq!(board.open.keys().next_back().unwrap().0, now);
        // What comes later is added to it, and one more is missed.
        board.add(now.plus_millis(60_000));
        assert_eq!(board.open.len(), OPEN_MAX + 2 * 4);
        assert_eq!(board.jobs[0].newest.len(), 3);
    }
}
