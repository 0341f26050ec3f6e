//! What a checked token says of its bearer, and whose rows that comes to.

use crate::sharing::Sharing;
use crate::{Components, OrgId, Party, UserIds};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// The claims of a token, each judged but for its times.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) subject: String,
    pub(crate) party: Party,
    pub(crate) org_id: OrgId,
    pub(crate) user_ids: BTreeSet<UserId>,
    /// By the names that the token gives them.
    pub(crate) roles: Vec<String>,
    pub(crate) components: Components,
    pub(crate) valid_from: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// What was worked out last.
    effective: RwLock<Option<Effective>>,
    /// Whether it was told that some of its User IDs are ignored.
    told: AtomicBool,
}

/// The User IDs that a session sees, by one state of who shares with whom, within a span of time.
#[derive(Debug)]
struct Effective {
    state: u64,
    from: Timestamp,
    until: Option<Timestamp>,
    user_ids: UserIds,
}

impl Session {
    pub(crate) fn new(
        (subject, party): (String, Party),
        (org_id, user_ids): (OrgId, BTreeSet<UserId>),
        (roles, components): (Vec<String>, Components),
        (valid_from, expires_at): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            subject,
            party,
            org_id,
            user_ids,
            roles,
            components,
            valid_from,
            expires_at,
            effective: RwLock::new(None),
            told: AtomicBool::new(false),
        }
    }

    /// The User IDs whose rows the session sees at a time. `state` tells one state of sharing from all others, so that what
    /// was worked out holds until there is another, or until a time at which a fact takes hold.
    pub(crate) fn effective(&self, state: u64, sharing: &Sharing, now: Timestamp) -> UserIds {
        let known = self.effective.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.holds(state, now)) {
            return known.user_ids.clone();
        }
        drop(known);
        let found = sharing.effective(&self.party, &self.user_ids, self.org_id, now);
        self.tell_ignored(&found);
        let user_ids = UserIds::of(&found);
        let until = sharing.next_change(now);
        let made = Effective { state, from: now, until, user_ids: user_ids.clone() };
        *self.effective.write().unwrap_or_else(PoisonError::into_inner) = Some(made);
        user_ids
    }

    /// Once a session: who set up its Identity Provider should know.
    fn tell_ignored(&self, seen: &BTreeSet<UserId>) {
        let ignored: Vec<String> = self.user_ids.difference(seen).map(ToString::to_string).collect();
        if !ignored.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
            let (subject, party, user_ids) = (&self.subject, self.party.as_str(), ignored.join(","));
            tracing::info!(
                subject,
                party,
                user_ids,
                "User IDs of a session that are neither its Party's nor granted are ignored"
            );
        }
    }
}

impl Effective {
    fn holds(&self, state: u64, now: Timestamp) -> bool {
        self.state == state && self.from <= now && self.until.is_none_or(|until| now < until)
    }
}
