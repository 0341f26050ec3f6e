//! What the clauses say, worked out anew: slow, obvious, and sharing nothing with what is tried.
//!
//! Source: Smart Energy Code Appendix AH, clauses 1.4.4, 1.5.3 and 1.5.4; `docs/access.md` for what they leave open.

use super::world::{Fact, Pair, ordered};
use gridtrail_access::{AccessEvent, Bearer, Notice, NoticeId, NoticeKind, OrgId, Party};
use gridtrail_model::{Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// What comes of all that was told by a time. Every notice that names a User ID is gone through anew for every pair.
pub(super) struct Clauses {
    now: Timestamp,
    assigned: BTreeMap<UserId, BTreeMap<Timestamp, Party>>,
    /// Notices that count, with when they were confirmed.
    counted: Vec<(Timestamp, Notice)>,
    /// Where in that list those are that name a User ID.
    naming: BTreeMap<UserId, Vec<usize>>,
    /// How many were confirmed and count for nothing.
    refused: usize,
    /// What rescissions name that name nobody who was ever their sender's: suspended, since no operator settles anything here.
    suspended: BTreeSet<Pair>,
    /// What is in force.
    pairs: BTreeSet<Pair>,
}

/// A notice, and what became of it.
#[derive(Default)]
struct NoticeFacts<'a> {
    notice: Option<&'a Notice>,
    confirmed: Option<Timestamp>,
    is_rejected: bool,
}

impl Clauses {
    pub(super) fn of<'a>(facts: impl IntoIterator<Item = &'a Fact>, now: Timestamp) -> Self {
        let (assigned, told) = sorted(facts);
        let (counted, naming, pairs) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let suspended = BTreeSet::new();
        let mut clauses = Self { now, assigned, counted, naming, refused: 0, suspended, pairs };
        for NoticeFacts { notice, confirmed, is_rejected } in told.into_values() {
            let (Some(notice), Some(confirmed)) = (notice, confirmed) else { continue };
            let is_rescission = notice.kind == NoticeKind::Rescind;
            if !is_rescission && (is_rejected || !clauses.counts(notice, confirmed)) {
                clauses.refused += 1;
                continue;
            }
            if is_rescission && !notice.own.iter().any(|user| clauses.was_ever(*user, &notice.by)) {
                let named =
                    notice.own.iter().flat_map(|own| notice.other.iter().map(|other| ordered(*own, *other)));
                clauses.suspended.extend(named);
            }
            for user in notice.own.iter().chain(&notice.other) {
                clauses.naming.entry(*user).or_default().push(clauses.counted.len());
            }
            clauses.counted.push((confirmed, notice.clone()));
        }
        clauses.pairs = clauses.pairs_in_force();
        clauses
    }

    /// Every pair of User IDs that is in force.
    pub(super) const fn pairs(&self) -> &BTreeSet<Pair> {
        &self.pairs
    }

    /// How many notices were confirmed and count for nothing.
    pub(super) const fn refused(&self) -> usize {
        self.refused
    }

    /// The Party that a User ID is assigned to.
    pub(super) fn owner(&self, user: UserId) -> Option<&Party> {
        self.owner_at(user, self.now)
    }

    fn owner_at(&self, user: UserId, at: Timestamp) -> Option<&Party> {
        self.assigned.get(&user)?.range(..=at).next_back().map(|(_, party)| party)
    }

    /// Whether a User ID has been a Party's without a break since a time.
    fn is_held(&self, user: UserId, by: &Party, since: Timestamp) -> bool {
        let mut changes = self.assigned.get(&user).into_iter().flatten();
        self.owner_at(user, since) == Some(by) && changes.all(|(from, party)| *from < since || party == by)
    }

    /// A grant names nothing that is not its Party's.
    fn counts(&self, notice: &Notice, confirmed: Timestamp) -> bool {
        let are_of = |users: &BTreeSet<UserId>, party: &Party| {
            users.iter().all(|user| self.owner_at(*user, confirmed) == Some(party))
        };
        are_of(&notice.own, &notice.by) && are_of(&notice.other, &notice.with)
    }

    fn was_ever(&self, user: UserId, party: &Party) -> bool {
        self.assigned.get(&user).is_some_and(|changes| changes.values().any(|owner| owner == party))
    }

    fn naming(&self, user: UserId) -> impl Iterator<Item = &(Timestamp, Notice)> {
        self.naming.get(&user).into_iter().flatten().map(move |place| &self.counted[*place])
    }

    /// When the last rescission of a pair was confirmed, in either direction. The rescinding side is its sender's; what it says of the other
    /// Party is of no account.
    fn ended(&self, one: UserId, other: UserId) -> Option<Timestamp> {
        let ends = |confirmed: Timestamp, notice: &Notice, own: UserId, other: UserId| {
            notice.own.contains(&own)
                && notice.other.contains(&other)
                && self.owner_at(own, confirmed) == Some(&notice.by)
        };
        let rescissions = self.naming(one).filter(|(_, notice)| notice.kind == NoticeKind::Rescind);
        let of_pair = rescissions.filter(|(confirmed, notice)| {
            ends(*confirmed, notice, one, other) || ends(*confirmed, notice, other, one)
        });
        of_pair.map(|(confirmed, _)| *confirmed).max()
    }

    fn is_in_force(&self, one: UserId, other: UserId) -> bool {
        let (Some(first), Some(second)) = (self.owner(one), self.owner(other)) else { return false };
        let ended = self.ended(one, other);
        let granted = |own: UserId, by: &Party, other: UserId, with: &Party| {
            self.naming(own).any(|(confirmed, notice)| {
                notice.kind == NoticeKind::Grant
                    && notice.by == *by
                    && notice.with == *with
                    && notice.own.contains(&own)
                    && notice.other.contains(&other)
                    && ended.is_none_or(|ended| notice.at > ended)
                    && self.is_held(own, by, *confirmed)
                    && self.is_held(other, with, *confirmed)
            })
        };
        first != second
            && !self.suspended.contains(&ordered(one, other))
            && granted(one, first, other, second)
            && granted(other, second, one, first)
    }

    fn pairs_in_force(&self) -> BTreeSet<Pair> {
        let named = self.counted.iter().flat_map(|(_, notice)| {
            notice.own.iter().flat_map(move |own| notice.other.iter().map(move |other| ordered(*own, *other)))
        });
        let named: BTreeSet<Pair> = named.collect();
        named.into_iter().filter(|(one, other)| self.is_in_force(*one, *other)).collect()
    }

    /// The User IDs whose rows somebody sees.
    pub(super) fn seen_by(&self, who: &Bearer) -> BTreeSet<UserId> {
        let is_own = |user: &UserId| self.owner(*user) == Some(&who.party);
        let mut seen: BTreeSet<UserId> = match who.org_id {
            OrgId::All => who.user_ids.iter().copied().filter(is_own).collect(),
            OrgId::GrantedOnly => self.assigned.keys().copied().filter(is_own).collect(),
        };
        let is_granted = |user: &UserId| seen.iter().any(|own| self.pairs.contains(&ordered(*own, *user)));
        let granted: Vec<UserId> = who.user_ids.iter().copied().filter(is_granted).collect();
        seen.extend(granted);
        seen
    }
}

/// Whose each User ID is from when on, and what is told of each notice.
type Sorted<'a> = (BTreeMap<UserId, BTreeMap<Timestamp, Party>>, BTreeMap<&'a NoticeId, NoticeFacts<'a>>);

fn sorted<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Sorted<'a> {
    let (mut assigned, mut told): Sorted<'a> = Default::default();
    for (_, event) in facts {
        match event {
            AccessEvent::Assigned { user_id, to, from } => {
                let party = to.as_ref().expect("none is withdrawn in this world").party.clone();
                assigned.entry(*user_id).or_default().insert(*from, party);
            }
            AccessEvent::Notified { id, notice } => told.entry(id).or_default().notice = Some(notice),
            AccessEvent::Confirmed { id, at } => told.entry(id).or_default().confirmed = Some(*at),
            AccessEvent::Rejected { id, .. } => told.entry(id).or_default().is_rejected = true,
            AccessEvent::Unread { .. } | AccessEvent::Settled { .. } => unreachable!("no source tells of it"),
        }
    }
    (assigned, told)
}
