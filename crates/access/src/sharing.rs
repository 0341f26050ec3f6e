//! Who sees whose rows: the fold of [`AccessEvent`]s.
//!
//! A grant is a set of **pairs** of User IDs, one of each Party. A pair is in force at a time when
//! 1. each User ID has been assigned, from its confirmation until that time, to the Party that shared it;
//! 2. both Parties have notified it, the DCC has confirmed both notifications, and rejected neither;
//! 3. both notifications were sent after the pair was last rescinded: a rescission that is confirmed ends every pair of a
//!    Rescinding and a Rescinded User ID, in both directions, and what was granted before does not come back by itself.
//!
//! Where the lists of two notifications differ, what both name counts. A grant that names a User ID which is not assigned to
//! the Party said to own it is refused as a whole, with the reason; so is a rescission whose sender names one as its own. One
//! that it names as the other Party's is refused alone: the rescission ends the pairs of the others.
//!
//! **The fold is a set of facts**, so order and repetition never matter, and what held at any time of the past can be asked
//! for. Facts that contradict each other count for whichever shows less: a grant of two readings, or confirmed and
//! rejected, is none; a rescission of two readings ends the pairs of both. What is asked of the present goes by every
//! rescission and rejection that is known, also one whose time is yet to come by this clock.
//!
//! Source: Smart Energy Code Appendix AH, clauses 1.5.3 and 1.5.4.

use crate::OrgId;
use crate::organisation_id::OrganisationId;
use crate::party::{AccessEvent, Assignment, Notice, NoticeId, NoticeKind, Party, Reason};
use gridtrail_model::{Timestamp, UserId, UserRole};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

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
}

/// A notification that was confirmed and counts for nothing, or for less than it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The notification.
    pub id: NoticeId,
    /// Why.
    pub why: Refusal,
}

/// Why a notification counts for nothing, or for less than it names.
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
    /// A User ID that a rescission names as the other Party's, and that is not.
    #[error(
        "{user_id} is not assigned to {party}; for the other User IDs that it names the rescission counts"
    )]
    NotOfTheOther {
        /// The User ID.
        user_id: UserId,
        /// The Party that is said to own it.
        party: Party,
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

    /// The User IDs that are assigned to a Party at a time.
    pub fn owned_by(&self, party: &Party, at: Timestamp) -> BTreeSet<UserId> {
        let ever = self.of_party.get(party).into_iter().flatten().copied();
        ever.filter(|user_id| self.owner(*user_id, at) == Some(party)).collect()
    }

    /// Whether the Parties of two User IDs see each other's rows, by grants.
    pub fn is_pair_in_force(&self, one: UserId, other: UserId, of: Moment) -> bool {
        let at = of.time();
        let (Some(first), Some(second)) = (self.owner(one, at), self.owner(other, at)) else { return false };
        if first == second {
            return false;
        }
        let rescinded = self.rescinded_at(one, other, of);
        let granted = |by: &Party, own, with: &Party, other| {
            self.of_pair(own, other).any(|(_, told)| {
                let Some(Ok((since, notice))) = self.grant(told, of) else { return false };
                let names = notice.by == *by
                    && notice.with == *with
                    && notice.own.contains(&own)
                    && notice.other.contains(&other);
                names
                    && since <= at
                    && rescinded.is_none_or(|rescinded| notice.at > rescinded)
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
        let is_own = |user_id: &&UserId| self.owner(**user_id, now) == Some(party);
        let own: BTreeSet<UserId> = match org_id {
            OrgId::All => session.iter().filter(is_own).copied().collect(),
            OrgId::GrantedOnly => self.owned_by(party, now),
        };
        let granted = session.difference(&own).filter(|granted| {
            let partners = self.partners(**granted);
            partners.intersection(&own).any(|own| self.is_pair_in_force(**granted, *own, Moment::Now(now)))
        });
        let granted: Vec<UserId> = granted.copied().collect();
        own.into_iter().chain(granted).collect()
    }

    /// Notifications that were confirmed and count for nothing, or for less than they name.
    pub fn refused(&self) -> Vec<Refused> {
        let mut refused = Vec::new();
        for (id, told) in &self.notices {
            let found = match told.kind() {
                Some(NoticeKind::Grant) => {
                    self.grant(told, KNOWN).and_then(Result::err).into_iter().collect()
                }
                Some(NoticeKind::Rescind) => {
                    self.rescissions(told).flat_map(|told| self.faults(told)).collect()
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
            rescinded_at: self.rescinded_at(viewer, row, of),
            parties,
        }
    }

    /// What became of a notification, for a pair that it names.
    fn fate(&self, told: &NoticeFacts, kind: NoticeKind, pair: [UserId; 2]) -> NoticeFate {
        let done = match kind {
            NoticeKind::Grant => self.grant(told, KNOWN),
            NoticeKind::Rescind => self.rescissions(told).next().map(|told| {
                let (since, notice) = told?;
                let foreign =
                    self.not_of_the_other(since, notice).find(|(user_id, _)| pair.contains(user_id));
                foreign.map_or(Ok((since, notice)), |(_, why)| Err(why))
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

    /// When the last rescission of a pair took hold.
    fn rescinded_at(&self, one: UserId, other: UserId, of: Moment) -> Option<Timestamp> {
        let ends = |since: Timestamp, notice: &Notice| {
            let across = |own, other| {
                notice.own.contains(&own)
                    && notice.other.contains(&other)
                    && self.owner(other, since) == Some(&notice.with)
            };
            across(one, other) || across(other, one)
        };
        let rescissions = self.of_pair(one, other).flat_map(|(_, told)| self.rescissions(told));
        rescissions
            .filter_map(Result::ok)
            .filter(|(since, notice)| *since <= of.ends_until() && ends(*since, notice))
            .map(|(since, _)| since)
            .max()
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

    /// The rescissions that a notification stands for, one a reading, with since when each counts.
    fn rescissions<'a>(
        &self,
        told: &'a NoticeFacts,
    ) -> impl Iterator<Item = Result<(Timestamp, &'a Notice), Refusal>> {
        let since = told.confirmed.first().copied();
        let readings = told.readings.iter().filter(|notice| notice.kind == NoticeKind::Rescind);
        since.into_iter().flat_map(move |since| {
            let check = move |notice: &'a Notice| {
                self.check(notice, &[(&notice.own, &notice.by)], since).map(|()| (since, notice))
            };
            readings.clone().map(check)
        })
    }

    /// What is wrong with a rescission, as a whole or with some of what it names.
    fn faults(&self, told: Result<(Timestamp, &Notice), Refusal>) -> Vec<Refusal> {
        match told {
            Ok((since, notice)) => self.not_of_the_other(since, notice).map(|(_, why)| why).collect(),
            Err(why) => vec![why],
        }
    }

    /// The User IDs that a rescission names as the other Party's, and that are not when it is confirmed.
    fn not_of_the_other(&self, since: Timestamp, notice: &Notice) -> impl Iterator<Item = (UserId, Refusal)> {
        let foreign = notice.other.iter().filter(move |id| self.owner(**id, since) != Some(&notice.with));
        foreign.map(|id| (*id, Refusal::NotOfTheOther { user_id: *id, party: notice.with.clone() }))
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
