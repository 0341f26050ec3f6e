//! Who was let in, and whose rows that comes to.

use crate::sharing::Sharing;
use crate::{Bearer, Components, RoleMatrix, UserIds};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Whom a token or a session lets in, judged but for its times.
#[derive(Debug)]
pub(crate) struct Session {
    /// What tells the session from all others; a token that stands for itself has none.
    pub(crate) id: Option<Box<str>>,
    pub(crate) bearer: Arc<Bearer>,
    /// What the roles are called here.
    pub(crate) role_names: Vec<String>,
    pub(crate) components: Components,
    /// Whether it is of somebody who works on a lake's files, and was let in by no token.
    pub(crate) of_files: bool,
    /// What was worked out last.
    effective: RwLock<Option<Effective>>,
    /// Whether it was told that some of its User IDs are ignored.
    told: AtomicBool,
}

/// The User IDs of a session, by one state of who shares with whom.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Those whose rows it sees: own ones, and granted ones.
    pub(crate) user_ids: UserIds,
    /// Of these, those of its Party.
    pub(crate) own: UserIds,
    /// The first time at which they may be others by the same state.
    pub(crate) until: Option<Timestamp>,
}

/// What a session sees, by one state of who shares with whom, from a time on.
#[derive(Debug)]
struct Effective {
    state: u64,
    from: Timestamp,
    seen: Seen,
}

impl Session {
    pub(crate) fn new(id: Option<Box<str>>, bearer: Arc<Bearer>, matrix: &RoleMatrix) -> Self {
        let role_names = bearer.roles.iter().map(|role| matrix.name(*role).to_owned()).collect();
        let open = bearer.roles.iter().map(|role| matrix.open_to(*role));
        let components = open.fold(Components::default(), Components::union);
        let (effective, told) = (RwLock::new(None), AtomicBool::new(false));
        Self { id, bearer, role_names, components, of_files: false, effective, told }
    }

    /// The same, of somebody who works on a lake's files.
    pub(crate) fn of_files(self) -> Self {
        Self { of_files: true, ..self }
    }

    /// A session that another process judged.
    pub(crate) fn handed(
        id: Option<Box<str>>,
        bearer: Bearer,
        role_names: Vec<String>,
        components: Components,
    ) -> Self {
        let (effective, told) = (RwLock::new(None), AtomicBool::new(false));
        Self { id, bearer: Arc::new(bearer), role_names, components, of_files: false, effective, told }
    }

    /// The User IDs of the session at a time. `state` tells one state of sharing from all others, so that what was worked out holds
    /// until there is another, or until a time at which a fact takes hold.
    pub(crate) fn effective(&self, state: u64, (sharing, lapsed): (&Sharing, bool), now: Timestamp) -> Seen {
        let known = self.effective.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.holds(state, now)) {
            return known.seen.clone();
        }
        drop(known);
        let Bearer { party, user_ids, org_id, .. } = &*self.bearer;
        let own = sharing.own(party, user_ids, *org_id, now);
        let found = if lapsed { own.clone() } else { sharing.effective(party, user_ids, *org_id, now) };
        // What has lapsed is no mistake of whoever issued the token.
        if !lapsed {
            self.tell_ignored(&found);
        }
        let (user_ids, own) = (UserIds::of(&found), UserIds::of(&own));
        let seen = Seen { user_ids, own, until: sharing.next_change(now) };
        let made = Effective { state, from: now, seen: seen.clone() };
        *self.effective.write().unwrap_or_else(PoisonError::into_inner) = Some(made);
        seen
    }

    /// Once a session: who set up its Identity Provider should know.
    fn tell_ignored(&self, seen: &BTreeSet<UserId>) {
        let ignored: Vec<String> = self.bearer.user_ids.difference(seen).map(ToString::to_string).collect();
        if !ignored.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
            let (subject, party) = (&self.bearer.subject, self.bearer.party.as_str());
            let user_ids = ignored.join(",");
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
        self.state == state && self.from <= now && self.seen.until.is_none_or(|until| now < until)
    }
}
