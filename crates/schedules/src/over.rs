//! What is needed no more.

use crate::details::ScheduleId;
use crate::event::ScheduleFact;
use crate::fold::{Schedule, Schedules};
use gridtrail_model::{RequestId, Timestamp, UserId};
use std::collections::{BTreeMap, HashSet};

/// Which rows of schedules are needed no more: those of schedules that came to their end long ago, and of requests that no schedule came of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Over {
    schedules: HashSet<(UserId, ScheduleId)>,
    /// Requests for a schedule.
    asked: HashSet<RequestId>,
    /// Requests to delete one.
    deletions: HashSet<RequestId>,
}

impl Over {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty() && self.asked.is_empty() && self.deletions.is_empty()
    }

    /// Adds what is over of a User. `is_over` says whether a schedule is needed no more, `is_old` whether a request that no schedule came of was
    /// recorded long enough ago.
    ///
    /// The request that a schedule came of stays as long as the schedule, and so do those that deleted it: whoever deletes rows one by one
    /// brings a schedule back.
    pub fn add(
        &mut self,
        of: &Schedules,
        is_over: impl Fn(&Schedule) -> bool,
        is_old: impl Fn(Timestamp) -> bool,
    ) {
        let all: BTreeMap<ScheduleId, (Schedule, bool)> =
            of.all().map(|schedule| (schedule.id, (schedule, is_over(&schedule)))).collect();
        let over = |id: &ScheduleId| all.get(id).map(|(_, over)| *over);
        self.schedules.extend(all.iter().filter(|(_, (_, over))| *over).map(|(id, _)| (of.user(), *id)));
        // Whether each request that a schedule came of goes with it.
        let creations: BTreeMap<RequestId, bool> = all
            .values()
            .filter_map(|(schedule, over)| Some((schedule.created?.request_id, *over)))
            .fold(BTreeMap::new(), |mut all, (request_id, over)| {
                *all.entry(request_id).or_insert(true) &= over;
                all
            });
        for (request_id, asked) in of.asked() {
            if creations.get(request_id).copied().unwrap_or_else(|| is_old(asked.recorded_at)) {
                self.asked.insert(*request_id);
            }
        }
        for (request_id, deletion) in of.deletions() {
            if over(&deletion.about).unwrap_or_else(|| is_old(deletion.recorded_at)) {
                self.deletions.insert(*request_id);
            }
        }
        for (request_id, deleted) in of.deleted() {
            // That of a deletion which is on record goes with it.
            if !of.deletions().contains_key(request_id) && is_old(deleted.recorded_at) {
                self.deletions.insert(*request_id);
            }
        }
    }

    /// Whether what a fact of a User says is needed no more.
    pub fn has(&self, user: UserId, fact: &ScheduleFact) -> bool {
        match fact {
            ScheduleFact::Created { schedule, .. }
            | ScheduleFact::Listed { schedule, .. }
            | ScheduleFact::Removed { schedule, .. } => self.schedules.contains(&(user, *schedule)),
            ScheduleFact::Asked { request_id, .. } => self.asked.contains(request_id),
            ScheduleFact::DeletionAsked { request_id, .. } | ScheduleFact::Deleted { request_id } => {
                self.deletions.contains(request_id)
            }
        }
    }
}
