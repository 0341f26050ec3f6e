//! What a confirmed rescission ends.
//!
//! It ends every pair of its two lists whose rescinding side is the User ID of the Party that sent it, in both directions. Nothing else in it
//! decides: how the other Party is spelled, which of the User IDs are stale, who authorised it. One of whose own User IDs none was ever its
//! sender's cannot be what the DCC confirmed, which had verified just that, and one that was confirmed before it was sent does not say up to when
//! grants are ended by it: what either names is suspended until an operator settles it.

use super::{KNOWN, Moment, NoticeFacts, Refusal, Sharing};
use crate::party::{Notice, NoticeKind, Party};
use gridtrail_model::{Timestamp, UserId};

/// A reading of a confirmed rescission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescission<'a> {
    pub(super) notice: &'a Notice,
    /// Since when it holds.
    pub(super) since: Timestamp,
    /// Up to when a grant that was sent is ended by it: of all that is told of its time the latest, for nothing that was sent before it
    /// counts again.
    pub(super) until: Timestamp,
    /// Whether all that is told of its confirmation lies before it was sent: when it was confirmed is not known then.
    is_untimely: bool,
}

impl<'a> Rescission<'a> {
    /// Those that a notification stands for, one a reading. Also of one that was rejected, too: that shows less.
    pub(super) fn all(told: &'a NoticeFacts) -> impl Iterator<Item = Self> + 'a {
        let confirmed = told.confirmed.first().copied().zip(told.confirmed.last().copied());
        confirmed.into_iter().flat_map(|(since, last)| {
            let readings = told.readings.iter().filter(|notice| notice.kind == NoticeKind::Rescind);
            readings.map(move |notice| Self {
                notice,
                since,
                until: last.max(notice.at),
                is_untimely: last < notice.at,
            })
        })
    }

    /// Whether it counts for a question.
    pub(super) fn counts(&self, of: Moment) -> bool {
        self.since <= of.ends_until()
    }

    /// Whether one of the User IDs that it rescinds was ever its sender's, by what is known now.
    fn is_of_its_sender(&self, sharing: &Sharing) -> bool {
        let ever = sharing.of_party.get(&self.notice.by);
        ever.is_some_and(|ever| !ever.is_disjoint(&self.notice.own))
    }

    /// Whether it is to be looked at by an operator, and what it names shows nothing until then.
    pub(super) fn suspends(&self, sharing: &Sharing) -> bool {
        self.is_untimely || !self.is_of_its_sender(sharing)
    }

    /// Whether it ends a pair: it names it, and the rescinding side is its sender's, when it was confirmed or at the time that is asked of.
    fn ends(&self, sharing: &Sharing, [one, other]: [UserId; 2], of: Moment) -> bool {
        let Notice { by, own, other: others, .. } = self.notice;
        let is_senders =
            |user_id| [self.since, of.time()].into_iter().any(|at| sharing.owner(user_id, at) == Some(by));
        let ends = |mine, theirs| own.contains(&mine) && others.contains(&theirs) && is_senders(mine);
        ends(one, other) || ends(other, one)
    }

    /// What in it does not fit what is known, though nothing of that keeps it from ending what it ends.
    pub(super) fn faults(&self, sharing: &Sharing) -> Vec<Refusal> {
        let Notice { by, with, own, other, .. } = self.notice;
        if !self.is_of_its_sender(sharing) {
            return vec![Refusal::Suspends { party: by.clone() }];
        }
        if self.is_untimely {
            return vec![Refusal::Untimely { at: self.since }];
        }
        let foreign = |user_id: &&UserId, party: &Party| sharing.owner(**user_id, self.since) != Some(party);
        let not_of_the_sender = own.iter().filter(|id| foreign(id, by));
        let not_of_the_sender =
            not_of_the_sender.map(|user_id| Refusal::NotOfTheSender { user_id: *user_id, party: by.clone() });
        let not_of_the_other = other.iter().filter(|id| foreign(id, with));
        let not_of_the_other =
            not_of_the_other.map(|user_id| Refusal::NotOfTheOther { user_id: *user_id, party: with.clone() });
        not_of_the_sender.chain(not_of_the_other).collect()
    }
}

impl Sharing {
    /// Whether a rescission ends a pair, by all that is known.
    pub(super) fn is_ended_by(&self, rescission: &Rescission<'_>, pair: [UserId; 2]) -> bool {
        rescission.ends(self, pair, KNOWN)
    }

    /// The rescissions that end a pair.
    pub(super) fn rescissions_of(
        &self,
        one: UserId,
        other: UserId,
        of: Moment,
    ) -> impl Iterator<Item = Rescission<'_>> {
        let named = self.of_pair(one, other).flat_map(|(_, told)| Rescission::all(told));
        named.filter(move |rescission| rescission.counts(of) && rescission.ends(self, [one, other], of))
    }
}
