//! Who sees whose rows: the fold of [`AccessEvent`]s.
//!
//! A grant is a set of **pairs** of User IDs, one of each Party. A pair is in force at a time when
//! 1. each User ID has been assigned, from its confirmation until that time, to the Party that shared it;
//! 2. both Parties have notified it, the DCC has confirmed both notifications, and rejected neither;
//! 3. both notifications were sent after the pair was last rescinded: what was granted before does not come back by itself;
//! 4. nothing [suspends](suspension) it: no event that may have ended it lies unread.
//!
//! Where the lists of two notifications differ, what both name counts. A grant that names a User ID which is not assigned to
//! the Party said to own it is refused as a whole, with the reason. A rescission that is confirmed is never refused ([`rescission`]).
//!
//! **The fold is a set of facts**, so order and repetition never matter, and what held at any time of the past can be asked
//! for. Facts that contradict each other count for whichever shows less: a grant of two readings, or confirmed and
//! rejected, is none, and was sent no later than it was confirmed; a rescission of two readings ends the pairs of both. What is asked of
//! the present goes by every rescission and rejection that is known, also one whose time is yet to come by this clock.
//!
//! Source: Smart Energy Code Appendix AH, clauses 1.5.3 and 1.5.4.

mod rescission;
mod suspension;

pub use suspension::{Scope, Suspension};

use crate::OrgId;
use crate::organisation_id::OrganisationId;
use crate::party::{AccessEvent, Assignment, Notice, NoticeId, NoticeKind, Party, Reason};
use gridtrail_model::{Timestamp, UserId, UserRole};
use rescission::Rescission;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use suspension::Doubts;

/// What was told of one notification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct NoticeFacts {
    readings: BTreeSet<Notice>,
    confirmed: BTreeSet<Timestamp>,
    rejected: BTreeSet<(Timestamp, Reason)>,
}

/// All that is known of who shares with whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sharing {
    /// Of each User ID: from when on it is whose. Of two that say so of one time, neither counts.
    assigned: BTreeMap<UserId, BTreeMap<Timestamp, BTreeSet<Option<Assignment>>>>,
    /// The User IDs that were ever a Party's.
    of_party: BTreeMap<Party, BTreeSet<UserId>>,
    /// Every time at which a fact takes hold.
    times: BTreeSet<Timestamp>,
    notices: BTreeMap<NoticeId, NoticeFacts>,
    /// The notifications that name a User ID.
    naming: BTreeMap<UserId, BTreeSet<NoticeId>>,
    /// What could not be read, and what of that was settled.
    doubts: Doubts,
}

/// A notification that was confirmed and does not fit what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The notification.
    pub id: NoticeId,
    /// Why.
    pub why: Refusal,
}

/// What does not fit: of a grant, why it counts for nothing; of a rescission, what is wrong in it though it counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A User ID that is not the Party's.
    #[error("{user_id} is not assigned to {party}")]
    NotAssigned {
        /// The User ID.
        user_id: UserId,
        /// The Party that is said to own it.
        party: Party,
    },
    /// A Party and itself.
    #[error("{party} cannot share with itself")]
    OneParty {
        /// The Party.
        party: Party,
    },
    /// A grant that was told in two readings.
    #[error("it was told in {readings} readings, of which nobody knows the right one")]
    Readings {
        /// How many.
        readings: usize,
    },
    /// A grant that was confirmed, and rejected too.
    #[error("it was confirmed, and rejected too at {at}")]
    Rejected {
        /// When it was rejected first.
        at: Timestamp,
    },
    /// A User ID that a rescission names as its sender's, and that is not.
    #[error("{user_id} is not assigned to {party}, which rescinds it; the pairs of its own User IDs end")]
    NotOfTheSender {
        /// The User ID.
        user_id: UserId,
        /// The Party that sent the rescission.
        party: Party,
    },
    /// A User ID that a rescission names as the other Party's, and that is not.
    #[error("{user_id} is not assigned to {party}; its pairs end all the same")]
    NotOfTheOther {
        /// The User ID.
        user_id: UserId,
        /// The Party that is said to own it.
        party: Party,
    },
    /// A rescission that names no User ID that was ever its sender's.
    #[error(
        "none of the User IDs that it rescinds was ever assigned to {party}: the pairs that it names are suspended until an operator settles it"
    )]
    Suspends {
        /// The Party that sent the rescission.
        party: Party,
    },
    /// A rescission that was confirmed before it was sent.
    #[error(
        "it was confirmed at {at}, before it was sent, so that nobody knows which grants it ends: the pairs that it names are suspended until an operator settles it"
    )]
    Untimely {
        /// When it is said to have been confirmed.
        at: Timestamp,
    },
}

/// Of which time a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Of the present, which it is by this clock: a rescission or rejection that is known counts, whatever its time.
    Now(Timestamp),
    /// Of a time of which it is asked what held then.
    At(Timestamp),
}

impl Moment {
    /// The time.
    pub const fn time(self) -> Timestamp {
        match self {
            Self::Now(time) | Self::At(time) => time,
        }
    }

    /// Up to which time what ends a grant counts.
    const fn ends_until(self) -> Timestamp {
        match self {
            Self::Now(_) => Timestamp::MAX,
            Self::At(time) => time,
        }
    }
}

/// What decides whether the owner of one User ID sees the rows of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The Parties of both, where they are assigned.
    pub parties: [Option<Party>; 2],
    /// Whether the pair is in force, or both belong to one Party.
    pub seen: bool,
    /// The notifications that name both.
    pub notices: Vec<ToldNotice>,
    /// When the pair was last rescinded.
    pub rescinded_at: Option<Timestamp>,
    /// What suspends it.
    pub suspended: Option<Suspension>,
}

/// A notification, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldNotice {
    /// Its id.
    pub id: NoticeId,
    /// What it asks for.
    pub kind: NoticeKind,
    /// The Party that sent it.
    pub by: Party,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What became of it.
    pub fate: NoticeFate,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeFate {
    /// It was neither confirmed nor rejected.
    Waits,
    /// It counts since a time.
    Counts(Timestamp),
    /// It was confirmed and counts for nothing.
    Refused(Refusal),
    /// The DCC rejected it.
    Rejected(Timestamp, Reason),
}

impl Sharing {
    /// Takes in a fact. A repeat changes nothing.
    pub fn take(&mut self, event: AccessEvent) {
        match event {
            AccessEvent::Assigned { user_id, to, from } => {
                self.times.insert(from);
                if let Some(to) = &to {
                    self.of_party.entry(to.party.clone()).or_default().insert(user_id);
                }
                self.assigned.entry(user_id).or_default().entry(from).or_default().insert(to);
            }
            AccessEvent::Notified { id, notice } => {
                // Who authorised it decides nothing here, and so is not kept in memory.
                let notice = Notice { sro: None, ..notice };
                for user_id in notice.own.iter().chain(&notice.other) {
                    self.naming.entry(*user_id).or_default().insert(id.clone());
                }
                self.notices.entry(id).or_default().readings.insert(notice);
            }
            AccessEvent::Confirmed { id, at } => {
                self.times.insert(at);
                self.notices.entry(id).or_default().confirmed.insert(at);
            }
            AccessEvent::Rejected { id, at, reason } => {
                self.times.insert(at);
                self.notices.entry(id).or_default().rejected.insert((at, reason));
            }
            AccessEvent::Unread { letter, unread, at } => {
                self.times.insert(at);
                self.doubts.take_unread(letter, at, unread);
            }
            AccessEvent::Settled { what, at, .. } => {
                self.times.insert(at);
                self.doubts.take_settled(what, at);
            }
        }
    }

    /// A state in which these User IDs have been one Party's at all times, and nothing is shared.
    pub fn of_one(party: &Party, user_ids: &BTreeSet<UserId>) -> Self {
        let mut sharing = Self::default();
        for user_id in user_ids {
            let to = Some(Assignment { party: party.clone(), role: UserRole::OU, descriptor: None });
            sharing.take(AccessEvent::Assigned { user_id: *user_id, to, from: Timestamp::MIN });
        }
        sharing
    }

    /// The first time after another at which a fact takes hold: until then, every answer is the same.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        self.times.range((Bound::Excluded(after), Bound::Unbounded)).next().copied()
    }

    /// The Party that a User ID is assigned to at a time.
    pub fn owner(&self, user_id: UserId, at: Timestamp) -> Option<&Party> {
        let (_, told) = self.assigned.get(&user_id)?.range(..=at).next_back()?;
        party_of(told)
    }

    /// How a User is shown in a row of this time: by the assignment that was in force then, as it is known now.
    ///
    /// Of every User ID, whoever asks: meter reads of all Users name them.
    pub fn organisation_id(&self, user_id: UserId, at: Timestamp) -> OrganisationId<'_> {
        let told = self.assigned.get(&user_id).and_then(|told| told.range(..=at).next_back());
        OrganisationId::of(user_id, told.map(|(_, told)| told))
    }

    /// Whether a User ID is assigned to a Party at a time and has been ever since another.
    fn is_held(&self, user_id: UserId, party: &Party, since: Timestamp, at: Timestamp) -> bool {
        let changes = self.assigned.get(&user_id).into_iter().flatten();
        let mut changes = changes.filter(|(from, _)| since < **from && **from <= at);
        self.owner(user_id, since) == Some(party) && changes.all(|(_, told)| party_of(told) == Some(party))
    }

    /// Every User ID that was ever assigned.
    pub(crate) fn assigned_ever(&self) -> BTreeSet<UserId> {
        self.assigned.keys().copied().collect()
    }

    /// The User IDs that are assigned to a Party at a time.
    pub fn owned_by(&self, party: &Party, at: Timestamp) -> BTreeSet<UserId> {
        let ever = self.of_party.get(party).into_iter().flatten().copied();
        ever.filter(|user_id| self.owner(*user_id, at) == Some(party)).collect()
    }

    /// Whether the Parties of two User IDs see each other's rows, by grants.
    pub fn is_pair_in_force(&self, one: UserId, other: UserId, of: Moment) -> bool {
        self.is_granted(one, other, of) && self.suspended_by([one, other], of).is_none()
    }

    /// Whether both Parties of two User IDs granted it, and neither rescinded it since.
    fn is_granted(&self, one: UserId, other: UserId, of: Moment) -> bool {
        let at = of.time();
        let (Some(first), Some(second)) = (self.owner(one, at), self.owner(other, at)) else { return false };
        if first == second {
            return false;
        }
        let ended = self.rescissions_of(one, other, of).map(|rescission| rescission.until).max();
        let granted = |by: &Party, own, with: &Party, other| {
            self.of_pair(own, other).any(|(_, told)| {
                let Some(Ok((since, notice))) = self.grant(told, of) else { return false };
                // It was confirmed when it had been sent, whatever it says.
                let sent = told.confirmed.first().map_or(notice.at, |first| notice.at.min(*first));
                let names = notice.by == *by
                    && notice.with == *with
                    && notice.own.contains(&own)
                    && notice.other.contains(&other);
                names
                    && since <= at
                    && ended.is_none_or(|ended| sent > ended)
                    && self.is_held(own, by, since, at)
                    && self.is_held(other, with, since, at)
            })
        };
        granted(first, one, second, other) && granted(second, other, first, one)
    }

    /// The User IDs whose rows a session of a Party sees now: own ones of the Party that the session may use, and each of the
    /// session's that has a pair in force with one of those.
    pub fn effective(
        &self,
        party: &Party,
        session: &BTreeSet<UserId>,
        org_id: OrgId,
        now: Timestamp,
    ) -> BTreeSet<UserId> {
        let own = self.own(party, session, org_id, now);
        let of = Moment::Now(now);
        let suspended: Vec<Scope> = self.suspensions(of).into_iter().map(|told| told.scope).collect();
        let is_in_force = |one: UserId, other: UserId| {
            let owners = [one, other].map(|user_id| self.owner(user_id, now));
            self.is_granted(one, other, of)
                && !suspended.iter().any(|scope| scope.holds([one, other], owners))
        };
        let granted = session.difference(&own).filter(|granted| {
            let partners = self.partners(**granted);
            partners.intersection(&own).any(|own| is_in_force(**granted, *own))
        });
        let granted: Vec<UserId> = granted.copied().collect();
        own.into_iter().chain(granted).collect()
    }

    /// The User IDs whose rows one User ID of a Party sees now: itself, and those that are granted to it. Both are empty where it is not the Party's.
    pub(crate) fn seen_by(
        &self,
        user_id: UserId,
        party: &Party,
        now: Timestamp,
    ) -> (BTreeSet<UserId>, BTreeSet<UserId>) {
        let asked = BTreeSet::from([user_id]);
        let own = self.own(party, &asked, OrgId::All, now);
        // A User ID that has come to the same Party since is no other's any more: nobody grants it.
        let is_of_others = |partner: &UserId| self.owner(*partner, now) != Some(party);
        let partners = self.partners(user_id).into_iter().filter(is_of_others);
        let asked: BTreeSet<UserId> = own.iter().copied().chain(partners).collect();
        let granted = self.effective(party, &asked, OrgId::All, now).difference(&own).copied().collect();
        (own, granted)
    }

    /// The User IDs of the Party that a session may use.
    pub fn own(
        &self,
        party: &Party,
        session: &BTreeSet<UserId>,
        org_id: OrgId,
        now: Timestamp,
    ) -> BTreeSet<UserId> {
        let is_own = |user_id: &&UserId| self.owner(**user_id, now) == Some(party);
        match org_id {
            OrgId::All => session.iter().filter(is_own).copied().collect(),
            OrgId::GrantedOnly => self.owned_by(party, now),
        }
    }

    /// Notifications that were confirmed and do not fit what is known.
    pub fn refused(&self) -> Vec<Refused> {
        let mut refused = Vec::new();
        for (id, told) in &self.notices {
            let found = match told.kind() {
                Some(NoticeKind::Grant) => {
                    self.grant(told, KNOWN).and_then(Result::err).into_iter().collect()
                }
                Some(NoticeKind::Rescind) => {
                    Rescission::all(told).flat_map(|rescission| rescission.faults(self)).collect()
                }
                None => Vec::new(),
            };
            refused.extend(found.into_iter().map(|why| Refused { id: id.clone(), why }));
        }
        refused
    }

    /// What decides whether the Party of `viewer` sees the rows of `row`.
    pub fn explain(&self, viewer: UserId, row: UserId, of: Moment) -> Explanation {
        let parties = [viewer, row].map(|user_id| self.owner(user_id, of.time()).cloned());
        let notices = self.of_pair(viewer, row).filter_map(|(id, told)| {
            let (kind, notice) = (told.kind()?, told.readings.first()?);
            let (by, sent_at) = (notice.by.clone(), notice.at);
            Some(ToldNotice { id: id.clone(), kind, by, sent_at, fate: self.fate(told, kind, [viewer, row]) })
        });
        Explanation {
            seen: (parties[0].is_some() && parties[0] == parties[1])
                || self.is_pair_in_force(viewer, row, of),
            notices: notices.collect(),
            rescinded_at: self.rescissions_of(viewer, row, of).map(|rescission| rescission.since).max(),
            suspended: self.suspended_by([viewer, row], of),
            parties,
        }
    }

    /// What became of a notification, for a pair that it names.
    fn fate(&self, told: &NoticeFacts, kind: NoticeKind, pair: [UserId; 2]) -> NoticeFate {
        let done = match kind {
            NoticeKind::Grant => self.grant(told, KNOWN),
            NoticeKind::Rescind => Rescission::all(told).next().map(|rescission| {
                let mut faults = rescission.faults(self).into_iter();
                let keeps = faults.find(|why| match why {
                    Refusal::NotOfTheSender { user_id, .. } => pair.contains(user_id),
                    Refusal::Suspends { .. } | Refusal::Untimely { .. } => true,
                    _ => false,
                });
                match keeps.filter(|_| !self.is_ended_by(&rescission, pair)) {
                    Some(why) => Err(why),
                    None => Ok((rescission.since, rescission.notice)),
                }
            }),
        };
        match (done, told.rejected.first()) {
            (Some(Ok((since, _))), _) => NoticeFate::Counts(since),
            (Some(Err(why)), _) => NoticeFate::Refused(why),
            (None, Some((at, reason))) => NoticeFate::Rejected(*at, reason.clone()),
            (None, None) => NoticeFate::Waits,
        }
    }

    /// The User IDs that stand in a notification with another, on the other side of it.
    fn partners(&self, user_id: UserId) -> BTreeSet<UserId> {
        let notices = self.naming.get(&user_id).into_iter().flatten().filter_map(|id| self.notices.get(id));
        let sides = notices.flat_map(|told| &told.readings).flat_map(|notice| {
            let of = |side: &BTreeSet<UserId>, across: &BTreeSet<UserId>| {
                if side.contains(&user_id) { across.clone() } else { BTreeSet::new() }
            };
            of(&notice.own, &notice.other).into_iter().chain(of(&notice.other, &notice.own))
        });
        sides.collect()
    }

    /// The notifications that name both User IDs.
    fn of_pair(&self, one: UserId, other: UserId) -> impl Iterator<Item = (&NoticeId, &NoticeFacts)> {
        let both = self.naming.get(&one).zip(self.naming.get(&other));
        both.into_iter()
            .flat_map(|(one, other)| one.intersection(other))
            .filter_map(|id| Some((id, self.notices.get(id)?)))
    }

    /// A grant that was confirmed: since when it counts, or why it does not. `None`: it is none, or not confirmed.
    fn grant<'a>(
        &self,
        told: &'a NoticeFacts,
        of: Moment,
    ) -> Option<Result<(Timestamp, &'a Notice), Refusal>> {
        let (since, notice) = (*told.confirmed.last()?, told.readings.first()?);
        if told.kind()? != NoticeKind::Grant {
            return None;
        }
        if let Some((at, _)) = told.rejected.first().filter(|(at, _)| *at <= of.ends_until()) {
            return Some(Err(Refusal::Rejected { at: *at }));
        }
        if told.readings.len() > 1 {
            return Some(Err(Refusal::Readings { readings: told.readings.len() }));
        }
        let sides = [(&notice.own, &notice.by), (&notice.other, &notice.with)];
        Some(self.check(notice, &sides, since).map(|()| (since, notice)))
    }

    /// Whether a notification is between two Parties, and every User ID on these sides of it its Party's at a time.
    fn check(
        &self,
        notice: &Notice,
        sides: &[(&BTreeSet<UserId>, &Party)],
        at: Timestamp,
    ) -> Result<(), Refusal> {
        if notice.by == notice.with {
            return Err(Refusal::OneParty { party: notice.by.clone() });
        }
        for (side, party) in sides {
            if let Some(user_id) = side.iter().find(|user_id| self.owner(**user_id, at) != Some(*party)) {
                return Err(Refusal::NotAssigned { user_id: *user_id, party: (*party).clone() });
            }
        }
        Ok(())
    }
}

/// Of all that is known, whenever it takes hold.
const KNOWN: Moment = Moment::At(Timestamp::MAX);

/// The Party that is told of one time, where all that is told agrees.
fn party_of(told: &BTreeSet<Option<Assignment>>) -> Option<&Party> {
    let mut parties = told.iter().map(|to| to.as_ref().map(|to| &to.party));
    let party = parties.next()??;
    parties.all(|other| other == Some(party)).then_some(party)
}

impl NoticeFacts {
    /// What it asks for. Readings that differ in that are a rescission: what shows less.
    fn kind(&self) -> Option<NoticeKind> {
        self.readings.iter().map(|notice| notice.kind).max()
    }
}

#[cfg(test)]
mod tests;
