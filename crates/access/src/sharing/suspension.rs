//! Pairs that are suspended until an operator settles what may have ended them.
//!
//! An event of access that cannot be read in full may be a rescission, or have one confirmed. As far as it can be read it names User IDs or
//! a Party: every pair of those is suspended. Officers' data have no say in it, and own User IDs stay.

use super::rescission::Rescission;
use super::{Moment, NoticeFacts, Sharing};
use crate::party::{Cause, NoticeId, NoticeKind, Party, Unread, UnreadKind};
use gridtrail_model::{EventId, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// What is told of events that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Doubts {
    letters: BTreeMap<EventId, (Timestamp, Unread)>,
    settled: BTreeMap<Cause, Timestamp>,
}

/// Pairs that are suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// By what.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// Which.
    pub scope: Scope,
    /// The dead letter, as a person names it: where it came from.
    pub place: Option<String>,
    /// The notification that it is about, where that can be read.
    pub notice: Option<NoticeId>,
}

/// Which pairs a suspension is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every pair of these User IDs, and every pair of the User IDs of a Party.
    Of(BTreeSet<UserId>, Option<Party>),
    /// Every pair of a User ID of the one set and one of the other.
    Between(BTreeSet<UserId>, BTreeSet<UserId>),
    /// It names nobody that is known: only an operator can tell.
    Nobody,
}

impl Doubts {
    pub(super) fn take_unread(&mut self, letter: EventId, at: Timestamp, unread: Unread) {
        let known = self.letters.entry(letter).or_insert_with(|| (at, unread.clone()));
        // The same letter is told of again after a commit that failed.
        known.0 = known.0.min(at);
    }

    pub(super) fn take_settled(&mut self, what: Cause, at: Timestamp) {
        let known = self.settled.entry(what).or_insert(at);
        *known = (*known).min(at);
    }

    /// Whether an operator has settled it, by a time that is asked of.
    fn is_settled(&self, what: &Cause, of: Moment) -> bool {
        self.settled.get(what).is_some_and(|at| *at <= of.ends_until())
    }
}

impl Scope {
    /// Whether a pair is one of them, of which this tells whose each side is.
    pub(super) fn holds(&self, pair: [UserId; 2], owners: [Option<&Party>; 2]) -> bool {
        let [one, other] = pair;
        match self {
            Self::Of(user_ids, party) => {
                pair.iter().any(|user_id| user_ids.contains(user_id))
                    || party.as_ref().is_some_and(|party| owners.contains(&Some(party)))
            }
            Self::Between(these, those) => {
                (these.contains(&one) && those.contains(&other))
                    || (these.contains(&other) && those.contains(&one))
            }
            Self::Nobody => false,
        }
    }
}

impl Sharing {
    /// What is suspended at a time, by all that is known.
    pub fn suspensions(&self, of: Moment) -> Vec<Suspension> {
        let letters = self.doubts.letters.iter();
        let letters =
            letters.flat_map(|(letter, (at, unread))| self.by_letter(letter, *at, unread, of).into_iter());
        letters.chain(self.notices.iter().filter_map(|(id, told)| self.by_notice(id, told, of))).collect()
    }

    /// What suspends a pair at a time.
    pub(super) fn suspended_by(&self, pair: [UserId; 2], of: Moment) -> Option<Suspension> {
        let owners = pair.map(|user_id| self.owner(user_id, of.time()));
        let letters = self.doubts.letters.iter();
        let mut letters = letters.flat_map(|(letter, (at, unread))| self.by_letter(letter, *at, unread, of));
        let notices = self.of_pair(pair[0], pair[1]);
        letters.find(|suspension| suspension.scope.holds(pair, owners)).or_else(|| {
            let mut notices = notices.filter_map(|(id, told)| self.by_notice(id, told, of));
            notices.find(|suspension| suspension.scope.holds(pair, owners))
        })
    }

    /// What a letter suspends. A notification does so once it is confirmed; one that does not say which it is, at once.
    fn by_letter(&self, letter: &EventId, at: Timestamp, unread: &Unread, of: Moment) -> Vec<Suspension> {
        let cause = Cause::Letter(letter.clone());
        if self.doubts.is_settled(&cause, of) {
            return Vec::new();
        }
        let told = unread.notice.as_ref().and_then(|id| self.notices.get(id));
        let since = match (unread.kind, &unread.notice) {
            (UnreadKind::Notification, Some(id)) => self.confirmed_or_so(id, told),
            _ => Some(at),
        };
        let Some(since) = since.filter(|since| *since <= of.ends_until()) else { return Vec::new() };
        let scopes = match (unread.kind, told) {
            (UnreadKind::Confirmation, Some(told)) => named(told, NoticeKind::Rescind),
            (UnreadKind::Rejection, Some(told)) => named(told, NoticeKind::Grant),
            _ => vec![self.scope_of(unread)],
        };
        let (place, notice) = (Some(unread.place.clone()), unread.notice.clone());
        let suspension = |scope| Suspension {
            cause: cause.clone(),
            since,
            scope,
            place: place.clone(),
            notice: notice.clone(),
        };
        scopes.into_iter().map(suspension).collect()
    }

    /// Since when a notification is confirmed, be it by an event that cannot be read in full.
    fn confirmed_or_so(&self, id: &NoticeId, told: Option<&NoticeFacts>) -> Option<Timestamp> {
        let unread = self.doubts.letters.values();
        let unread = unread.filter(|(_, unread)| {
            unread.kind == UnreadKind::Confirmation && unread.notice.as_ref() == Some(id)
        });
        let told = told.and_then(|told| told.confirmed.first());
        unread.map(|(at, _)| at).chain(told).min().copied()
    }

    /// Whom a letter is about. What a Party is called may be what cannot be read: one that is not known says as little as none.
    fn scope_of(&self, unread: &Unread) -> Scope {
        let known = |party: &&Party| self.of_party.contains_key(*party);
        let party = unread.by.as_ref().filter(known).or(unread.with.as_ref().filter(known));
        match (unread.user_ids.is_empty(), party) {
            (true, None) => Scope::Nobody,
            (_, party) => Scope::Of(unread.user_ids.clone(), party.cloned()),
        }
    }

    /// What a confirmed rescission suspends of whose User IDs none was ever its sender's, or that was confirmed before it was sent.
    fn by_notice(&self, id: &NoticeId, told: &NoticeFacts, of: Moment) -> Option<Suspension> {
        let cause = Cause::Notice(id.clone());
        let found =
            Rescission::all(told).find(|rescission| rescission.counts(of) && rescission.suspends(self))?;
        if self.doubts.is_settled(&cause, of) {
            return None;
        }
        let scope = Scope::Between(found.notice.own.clone(), found.notice.other.clone());
        Some(Suspension { cause, since: found.since, scope, place: None, notice: Some(id.clone()) })
    }
}

/// The pairs that the readings of a kind name.
fn named(told: &NoticeFacts, kind: NoticeKind) -> Vec<Scope> {
    let readings = told.readings.iter().filter(|notice| notice.kind == kind);
    readings.map(|notice| Scope::Between(notice.own.clone(), notice.other.clone())).collect()
}
