//! What is known of a User's schedules.
//!
//! Of each thing that is told, one value counts, the largest or the smallest, whoever told it how often: so the merge is commutative,
//! associative and idempotent (**I1**), and a User with millions of schedules takes some hundred bytes of each.
//!
//! - A schedule is there because a 5.1 created it, or an answer to 5.2 listed it. What it is, its request says, and without that the answer.
//! - It is removed by the first message that says so since it was created: no message of DUIS brings a schedule back, whatever a list says that
//!   was made meanwhile. Only where it is created again does it live again.
//! - What was asked for and not answered with success is no schedule.

use crate::details::{ScheduleDetails, ScheduleId};
use crate::event::{ScheduleEvent, ScheduleFact};
use gridtrail_model::{AlertCode, DeviceId, Merge, RequestId, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

/// That a schedule was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Creation {
    /// When, by the answer to the request.
    pub at: Timestamp,
    /// The 5.1.
    pub request_id: RequestId,
}

/// That a schedule was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removal {
    /// When, by the message that says so.
    pub at: Timestamp,
    /// Why.
    pub reason: RemovalReason,
}

/// Why a schedule was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemovalReason {
    /// Its User deleted it.
    Deleted,
    /// The DCC removed it, and its alert has this code.
    DccAlert(AlertCode),
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted => f.write_str("Delete Schedule (5.3)"),
            Self::DccAlert(code) => write!(f, "DSPScheduleRemoval ({code})"),
        }
    }
}

/// A schedule, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// What the DCC calls it.
    pub id: ScheduleId,
    /// What it is.
    pub details: ScheduleDetails,
    /// When and by which request it was created; `None`: before what is on record.
    pub created: Option<Creation>,
    /// When and why it was removed; `None`: it was not.
    pub removed: Option<Removal>,
    /// When the DCC had the last message that tells of it.
    pub recorded_at: Timestamp,
}

impl Schedule {
    pub(crate) fn of(id: ScheduleId) -> Self {
        let details = ScheduleDetails::default();
        Self { id, details, created: None, removed: None, recorded_at: Timestamp::MIN }
    }
}

/// A request, and what it is about. Of several that claim one identifier the smallest counts, with the last time that one was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request<T> {
    pub(crate) about: T,
    pub(crate) recorded_at: Timestamp,
}

/// What is told of one identifier of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    /// The last.
    created: Option<Creation>,
    /// The last list that has it, and what it says. Boxed because it is nearly always absent.
    listed: Option<Box<(Timestamp, ScheduleDetails)>>,
    /// By the DCC: each, for one from before its creation says nothing. Nearly always one.
    removed: BTreeSet<(Timestamp, AlertCode, Option<DeviceId>)>,
    recorded_at: Timestamp,
}

/// A part of a User's schedules, by their identifiers: one of so many, which have none in common and together have all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulePart {
    number: u32,
    of: NonZeroU32,
}

impl SchedulePart {
    /// So many parts.
    pub fn all(of: NonZeroU32) -> impl Iterator<Item = Self> {
        (0..of.get()).map(move |number| Self { number, of })
    }

    /// Whether it has all.
    pub const fn is_whole(self) -> bool {
        self.of.get() == 1
    }

    fn has(self, id: ScheduleId) -> bool {
        id.number() % u64::from(self.of.get()) == u64::from(self.number)
    }
}

/// What an entry of a map or set takes beside itself, about: nodes are two thirds full, and an allocation has a header.
const ENTRY_BYTES: usize = 48;
/// What a set takes that has one entry: room for eleven.
const SET_ENTRIES: usize = 11;

/// What is known of the schedules of one User.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    user: UserId,
    asked: BTreeMap<RequestId, Request<ScheduleDetails>>,
    told: BTreeMap<ScheduleId, Told>,
    deletions: BTreeMap<RequestId, Request<ScheduleId>>,
    deleted: BTreeMap<RequestId, Request<Timestamp>>,
}

impl Schedules {
    /// Of a User of whom nothing is known.
    pub const fn new(user: UserId) -> Self {
        Self {
            user,
            asked: BTreeMap::new(),
            told: BTreeMap::new(),
            deletions: BTreeMap::new(),
            deleted: BTreeMap::new(),
        }
    }

    /// The User.
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// Takes in an event. One of another User is left out.
    pub fn add(&mut self, event: &ScheduleEvent) {
        if event.user != self.user {
            return;
        }
        let (at, recorded_at) = (event.at, event.recorded_at);
        match event.fact {
            ScheduleFact::Asked { request_id, details } => {
                ask(&mut self.asked, request_id, Request { about: details, recorded_at });
            }
            ScheduleFact::DeletionAsked { request_id, schedule } => {
                ask(&mut self.deletions, request_id, Request { about: schedule, recorded_at });
            }
            ScheduleFact::Deleted { request_id } => {
                ask(&mut self.deleted, request_id, Request { about: at, recorded_at });
            }
            ScheduleFact::Created { request_id, schedule } => {
                let created = Some(Creation { at, request_id });
                self.tell(schedule, Told { created, ..Told::at(recorded_at) });
            }
            ScheduleFact::Listed { schedule, details } => {
                self.tell(schedule, Told { listed: Some(Box::new((at, details))), ..Told::at(recorded_at) });
            }
            ScheduleFact::Removed { schedule, device, code } => {
                self.tell(schedule, Told { removed: [(at, code, device)].into(), ..Told::at(recorded_at) });
            }
        }
    }

    /// Takes in an event as far as it names a schedule of a part.
    ///
    /// What requests ask for and what became of deletions names no schedule: [`Schedules::add_of_requests`] takes that in, once this has taken in all
    /// events, and [`Schedules::keep_part`] comes last.
    pub fn add_of_part(&mut self, event: &ScheduleEvent, part: SchedulePart) {
        let named = match event.fact {
            ScheduleFact::Created { schedule, .. }
            | ScheduleFact::Listed { schedule, .. }
            | ScheduleFact::DeletionAsked { schedule, .. }
            | ScheduleFact::Removed { schedule, .. } => Some(schedule),
            ScheduleFact::Asked { .. } | ScheduleFact::Deleted { .. } => None,
        };
        if named.is_some_and(|schedule| part.has(schedule)) {
            self.add(event);
        }
    }

    /// The requests that created schedules which are known.
    pub fn creations(&self) -> BTreeSet<RequestId> {
        self.told.values().filter_map(|told| told.created).map(|created| created.request_id).collect()
    }

    /// Takes in an event as far as it is of a request that created, or asks to delete, a schedule that is known. `creations`: as
    /// [`Schedules::creations`] gave them.
    pub fn add_of_requests(&mut self, event: &ScheduleEvent, creations: &BTreeSet<RequestId>) {
        let is_known = match event.fact {
            ScheduleFact::Asked { request_id, .. } => creations.contains(&request_id),
            // Of several that claim one identifier the smallest counts, of whichever part.
            ScheduleFact::DeletionAsked { request_id, .. } | ScheduleFact::Deleted { request_id } => {
                self.deletions.contains_key(&request_id)
            }
            _ => false,
        };
        if is_known {
            self.add(event);
        }
    }

    /// Lets go what turned out to be of another part, once all events were taken in.
    pub fn keep_part(&mut self, part: SchedulePart) {
        self.deletions.retain(|_, deletion| part.has(deletion.about));
    }

    /// Bytes that it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let of_told = |told: &Told| {
            let listed = told.listed.as_ref().map_or(0, |_| size_of::<(Timestamp, ScheduleDetails)>());
            let removed = told.removed.len().next_multiple_of(SET_ENTRIES);
            listed + removed * size_of::<(Timestamp, AlertCode, Option<DeviceId>)>()
        };
        let told: usize = self.told.values().map(of_told).sum();
        told + self.told.len() * (size_of::<(ScheduleId, Told)>() + ENTRY_BYTES)
            + self.asked.len() * (size_of::<(RequestId, Request<ScheduleDetails>)>() + ENTRY_BYTES)
            + self.deletions.len() * (size_of::<(RequestId, Request<ScheduleId>)>() + ENTRY_BYTES)
            + self.deleted.len() * (size_of::<(RequestId, Request<Timestamp>)>() + ENTRY_BYTES)
    }

    fn tell(&mut self, schedule: ScheduleId, told: Told) {
        match self.told.get_mut(&schedule) {
            Some(known) => known.merge(told),
            None => drop(self.told.insert(schedule, told)),
        }
    }

    /// Every schedule that is known, ascending by its identifier: those that are at their end among them.
    pub fn all(&self) -> impl Iterator<Item = Schedule> + '_ {
        let deletions = self.deletions_done();
        let ids = self.ids(&deletions);
        ids.into_iter().map(move |id| self.schedule(id, deletions.get(&id).map_or(&[], Vec::as_slice)))
    }

    /// The same, for whoever needs nothing else of it.
    pub fn into_all(self) -> impl Iterator<Item = Schedule> {
        let deletions = self.deletions_done();
        let ids = self.ids(&deletions);
        ids.into_iter().map(move |id| self.schedule(id, deletions.get(&id).map_or(&[], Vec::as_slice)))
    }

    /// All identifiers, those of schedules among them of which nothing is known but that they were deleted.
    fn ids(&self, deletions: &BTreeMap<ScheduleId, Vec<Request<Timestamp>>>) -> Vec<ScheduleId> {
        let unknown = deletions.keys().filter(|id| !self.told.contains_key(id));
        let mut ids: Vec<ScheduleId> = self.told.keys().chain(unknown).copied().collect();
        ids.sort_unstable();
        ids
    }

    /// When schedules were deleted by their User, and when that was last recorded.
    fn deletions_done(&self) -> BTreeMap<ScheduleId, Vec<Request<Timestamp>>> {
        let mut done: BTreeMap<ScheduleId, Vec<Request<Timestamp>>> = BTreeMap::new();
        for (request_id, deletion) in &self.deletions {
            if let Some(deleted) = self.deleted.get(request_id) {
                let recorded_at = deleted.recorded_at.max(deletion.recorded_at);
                done.entry(deletion.about).or_default().push(Request { recorded_at, ..*deleted });
            }
        }
        done
    }

    fn schedule(&self, id: ScheduleId, deletions: &[Request<Timestamp>]) -> Schedule {
        let mut schedule = Schedule::of(id);
        let mut removals: Vec<Removal> = Vec::new();
        if let Some(told) = self.told.get(&id) {
            schedule.created = told.created;
            schedule.recorded_at = told.recorded_at;
            let asked = told.created.and_then(|created| self.asked.get(&created.request_id));
            schedule.recorded_at =
                asked.map_or(told.recorded_at, |asked| asked.recorded_at.max(told.recorded_at));
            let since = told.created.map_or(Timestamp::MIN, |created| created.at);
            let listed = told.listed.as_deref().filter(|(at, _)| *at >= since).map(|(_, details)| *details);
            schedule.details = asked.map(|asked| asked.about).or(listed).unwrap_or_default();
            let of = |(at, code, _): &(Timestamp, AlertCode, _)| Removal {
                at: *at,
                reason: RemovalReason::DccAlert(*code),
            };
            removals.extend(told.removed.iter().map(of));
            let device = told.removed.iter().find_map(|(.., device)| *device);
            schedule.details.device = schedule.details.device.or(device);
        }
        for deletion in deletions {
            schedule.recorded_at = schedule.recorded_at.max(deletion.recorded_at);
            removals.push(Removal { at: deletion.about, reason: RemovalReason::Deleted });
        }
        let since = schedule.created.map_or(Timestamp::MIN, |created| created.at);
        schedule.removed = removals.into_iter().filter(|removal| removal.at >= since).min();
        schedule
    }

    pub(crate) const fn asked(&self) -> &BTreeMap<RequestId, Request<ScheduleDetails>> {
        &self.asked
    }

    pub(crate) const fn deletions(&self) -> &BTreeMap<RequestId, Request<ScheduleId>> {
        &self.deletions
    }

    pub(crate) const fn deleted(&self) -> &BTreeMap<RequestId, Request<Timestamp>> {
        &self.deleted
    }
}

fn ask<T: Ord>(all: &mut BTreeMap<RequestId, Request<T>>, request_id: RequestId, one: Request<T>) {
    match all.get_mut(&request_id) {
        None => drop(all.insert(request_id, one)),
        Some(known) => {
            known.recorded_at = known.recorded_at.max(one.recorded_at);
            if one.about < known.about {
                known.about = one.about;
            }
        }
    }
}

impl Told {
    const fn at(recorded_at: Timestamp) -> Self {
        Self { created: None, listed: None, removed: BTreeSet::new(), recorded_at }
    }
}

impl Merge for Told {
    fn merge(&mut self, other: Self) {
        self.created = self.created.max(other.created);
        self.listed = self.listed.take().max(other.listed);
        self.removed.extend(other.removed);
        self.recorded_at = self.recorded_at.max(other.recorded_at);
    }
}

impl Merge for Schedules {
    fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.user, other.user, "only what is known of one User merges");
        other.asked.into_iter().for_each(|(id, one)| ask(&mut self.asked, id, one));
        other.deletions.into_iter().for_each(|(id, one)| ask(&mut self.deletions, id, one));
        other.deleted.into_iter().for_each(|(id, one)| ask(&mut self.deleted, id, one));
        other.told.into_iter().for_each(|(id, told)| self.tell(id, told));
    }
}
