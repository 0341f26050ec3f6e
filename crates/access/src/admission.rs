//! From a token, and who shares with whom, to an `Access`.

use crate::gatekeeper::is_subject;
use crate::session::{Seen, Session};
use crate::{
    AccessError, Bearer, Component, Components, Declared, Gatekeeper, OrgId, Party, RoleMatrix, SessionGate,
    Sharing, TokenFault, UserIds,
};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// How much of a row an access shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// All of it: it is of the caller's own User IDs, or of one that is granted.
    Whole,
    /// Of a meter read of another User, what UC_MeterRead_001 lists; of any other row, nothing.
    MeterRead,
}

/// What one admitted caller may do: a capability that every read of rows asks for.
///
/// [`Admission::admit`] makes one; so does a development key ([`crate::DevKey::access`]), for benches and tests of a lake. It may be
/// narrowed ([`Access::narrowed_to`]), never widened. Cheap to clone.
///
/// ```
/// use gridtrail_access::{Access, AccessError, Admission};
/// use gridtrail_model::Timestamp;
///
/// async fn admitted(admission: &Admission, token: &str, now: Timestamp) -> Result<Access, AccessError> {
///     admission.admit(token, now).await
/// }
/// ```
///
/// Its parts are nobody else's to put together:
///
/// ```compile_fail,E0451
/// use gridtrail_access::{Access, UserIds};
///
/// fn widened(who: Access, user_ids: UserIds) -> Access {
///     Access { user_ids, ..who }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Access {
    session: Arc<Session>,
    user_ids: UserIds,
    own_user_ids: UserIds,
    /// The state of sharing that the User IDs go by.
    state: u64,
    /// The first time at which they may be others by the same state.
    until: Option<Timestamp>,
}

impl Access {
    /// What a session may do at a time. `state` tells this state of sharing from all others; in one that has lapsed nothing that was
    /// granted counts.
    pub(crate) fn by(
        session: Arc<Session>,
        state: u64,
        (sharing, lapsed): (&Sharing, bool),
        now: Timestamp,
    ) -> Self {
        let Seen { user_ids, own, until } = session.effective(state, (sharing, lapsed), now);
        Self { session, user_ids, own_user_ids: own, state, until }
    }

    /// What an operator may do who keeps a copy of a whole lake: see every row of it, whosever it is, and use no component.
    ///
    /// For commands over a lake whose files the operator may read as they lie, and for nothing that a User can call.
    ///
    /// Errors: `Roles`; `Mint` for a name that no subject can have.
    pub fn of_operator(name: &str, from: Timestamp) -> Result<Self, AccessError> {
        let party = "operators".parse().map_err(|_| AccessError::Mint("no Party can be called so"))?;
        let session = local_session(name, party, from)?;
        let all = UserIds::all();
        // Of no state of sharing: whatever that is, an operator sees the same.
        Ok(Self { session, user_ids: all.clone(), own_user_ids: all, state: u64::MAX, until: None })
    }

    /// What another process handed over, which goes by no state of sharing here.
    pub(crate) fn handed(session: Session, user_ids: UserIds, own_user_ids: UserIds) -> Self {
        Self { session: Arc::new(session), user_ids, own_user_ids, state: u64::MAX, until: None }
    }

    /// The person or system that called, as the issuer names them: 1 to 128 printable characters.
    pub fn subject(&self) -> &str {
        &self.session.bearer.subject
    }

    /// The Party that the caller works for.
    pub fn party(&self) -> &Party {
        &self.session.bearer.party
    }

    /// The User IDs whose rows the caller may see.
    pub const fn user_ids(&self) -> &UserIds {
        &self.user_ids
    }

    /// Of those, the ones of the caller's own Party: what others granted is not among them.
    pub const fn own_user_ids(&self) -> &UserIds {
        &self.own_user_ids
    }

    /// How much the caller is shown of a row of a User.
    pub fn disclosure(&self, of: UserId) -> Disclosure {
        if self.user_ids.contains(&of) { Disclosure::Whole } else { Disclosure::MeterRead }
    }

    /// The first instant, UTC, at which this access is over.
    pub fn expires_at(&self) -> Timestamp {
        self.session.bearer.expires_at
    }

    /// What tells the session of somebody who logged in from all others; `None` for a token that stands for itself.
    pub fn session_id(&self) -> Option<&str> {
        self.session.id.as_deref()
    }

    /// The caller's Job Type Roles, as they are called here.
    pub fn roles(&self) -> &[String] {
        &self.session.role_names
    }

    /// What the caller's roles together may use.
    pub fn components(&self) -> Components {
        self.session.components
    }

    /// Whether one of the caller's roles may use the component.
    pub fn permits(&self, component: Component) -> bool {
        self.components().contains(component)
    }

    /// Whether it is of an operator who keeps a copy of a lake whose files they may read as they lie: of all rows, or of what a Party may see. It
    /// uses no component, and is let in to no service; what is open to all Users is open to the copy.
    pub fn is_of_files(&self) -> bool {
        self.session.of_files
    }

    /// Demands that the access still holds at `now` and that the caller has a Job Type Role, whichever it is.
    ///
    /// Errors: `Expired`, `NoRole`.
    pub fn require_any_role(&self, now: Timestamp) -> Result<(), AccessError> {
        self.require_in_time(now)?;
        if self.roles().is_empty() { Err(AccessError::NoRole) } else { Ok(()) }
    }

    fn require_in_time(&self, now: Timestamp) -> Result<(), AccessError> {
        let expired_at = self.expires_at();
        if now >= expired_at { Err(AccessError::Expired { expired_at }) } else { Ok(()) }
    }

    /// Demands that the access still holds at `now` and covers the component.
    ///
    /// Errors: `Expired`, `Denied`.
    pub fn require(&self, component: Component, now: Timestamp) -> Result<(), AccessError> {
        self.require_in_time(now)?;
        if self.permits(component) { Ok(()) } else { Err(AccessError::Denied { component }) }
    }

    /// The same access for those of its User IDs that are in `user_ids` too.
    #[must_use]
    pub fn narrowed_to(&self, user_ids: &BTreeSet<UserId>) -> Self {
        let (user_ids, own_user_ids) = (self.user_ids.and(user_ids), self.own_user_ids.and(user_ids));
        Self { user_ids, own_user_ids, ..self.clone() }
    }
}

/// The session of somebody who works on a lake's files and brings no token: without a role, and so without a component.
fn local_session(name: &str, party: Party, from: Timestamp) -> Result<Arc<Session>, AccessError> {
    if !is_subject(name) {
        return Err(AccessError::Mint("a subject has 1 to 128 bytes and no control characters"));
    }
    let bearer = Bearer {
        subject: name.to_owned(),
        party,
        org_id: OrgId::GrantedOnly,
        user_ids: BTreeSet::new(),
        roles: BTreeSet::new(),
        valid_from: from,
        expires_at: Timestamp::MAX,
    };
    let session = Session::new(None, Arc::new(bearer), &RoleMatrix::built_in()?);
    Ok(Arc::new(session.of_files()))
}

/// Whose tokens are accepted: those of an issuer that is trusted, of sessions, or both.
#[derive(Debug, Clone)]
pub struct Doors {
    /// For tokens that stand for themselves.
    pub gatekeeper: Option<Gatekeeper>,
    /// For tokens of people who logged in.
    pub sessions: Option<SessionGate>,
}

impl From<Gatekeeper> for Doors {
    fn from(gatekeeper: Gatekeeper) -> Self {
        Self { gatekeeper: Some(gatekeeper), sessions: None }
    }
}

/// Admits callers by their tokens and by who shares with whom now. Clones share both: what one is told holds for all.
///
/// The User IDs that a session sees are worked out once a session and state of sharing, so a call costs the same whether it
/// sees one or thousands.
#[derive(Debug, Clone)]
pub struct Admission {
    doors: Doors,
    rights: Arc<watch::Sender<Rights>>,
}

#[derive(Debug, Clone)]
struct Rights {
    /// Tells this state from all others of the process.
    state: u64,
    /// `None`: it is not known who shares with whom.
    sharing: Option<Arc<Sharing>>,
    /// Whether it is in doubt: callers wait until it is confirmed, replaced or given up.
    in_doubt: bool,
    /// Whether what was granted counts no longer: for too long it is not known whether it was rescinded.
    lapsed: bool,
}

impl Rights {
    fn new(sharing: Option<Arc<Sharing>>, lapsed: bool) -> Self {
        static STATES: AtomicU64 = AtomicU64::new(0);
        Self { state: STATES.fetch_add(1, Ordering::Relaxed), sharing, in_doubt: false, lapsed }
    }
}

impl Admission {
    /// Admits whom these doors let in, by this state of sharing.
    pub fn new(doors: impl Into<Doors>, sharing: Arc<Sharing>) -> Self {
        Self { doors: doors.into(), rights: Arc::new(watch::Sender::new(Rights::new(Some(sharing), false))) }
    }

    /// From now on another state of sharing counts, also for callers that were admitted before, at their next call.
    pub fn replace(&self, sharing: Arc<Sharing>) {
        self.rights.send_modify(|rights| *rights = Rights::new(Some(sharing), rights.lapsed));
    }

    /// From now on what was granted counts, or does not; own User IDs always do. Whether that is another state than before.
    pub fn lapse(&self, lapsed: bool) -> bool {
        self.rights.send_if_modified(|rights| {
            let changed = rights.lapsed != lapsed;
            if changed {
                let in_doubt = rights.in_doubt;
                *rights = Rights { in_doubt, ..Rights::new(rights.sharing.clone(), lapsed) };
            }
            changed
        })
    }

    /// Whether what was granted does not count for now.
    pub fn is_lapsed(&self) -> bool {
        self.rights.borrow().lapsed
    }

    /// From now on callers wait, until what is known is confirmed, replaced or given up: something may have been rescinded
    /// meanwhile.
    pub fn doubt(&self) {
        self.rights.send_modify(|rights| rights.in_doubt = true);
    }

    /// What is known is what there is: nobody waits any longer.
    pub fn confirm(&self) {
        self.rights.send_if_modified(|rights| std::mem::replace(&mut rights.in_doubt, false));
    }

    /// From now on nobody is admitted, until there is a state of sharing again: what was known has become too old to go by.
    pub fn suspend(&self) {
        self.rights.send_modify(|rights| *rights = Rights::new(None, rights.lapsed));
    }

    /// What callers are admitted by, as soon as there is no doubt about it.
    async fn rights(&self) -> Rights {
        let rights = self.rights.borrow().clone();
        if !rights.in_doubt {
            return rights;
        }
        match self.rights.subscribe().wait_for(|rights| !rights.in_doubt).await {
            Ok(rights) => rights.clone(),
            // The sender is ours: it cannot have gone.
            Err(_closed) => Rights::new(None, true),
        }
    }

    /// Who shares with whom, and whose each User ID is, as callers are admitted by it now.
    ///
    /// Errors: `Suspended`.
    pub fn sharing(&self) -> Result<Arc<Sharing>, AccessError> {
        self.rights.borrow().sharing.clone().ok_or(AccessError::Suspended)
    }

    /// Whether an access shows what it showed when it was admitted.
    pub fn is_current(&self, who: &Access, now: Timestamp) -> bool {
        let rights = self.rights.borrow();
        rights.state == who.state && !rights.in_doubt && who.until.is_none_or(|until| now < until)
    }

    /// What all people of a Party together may see at the time `now`: the rows of its own User IDs, and of those that are granted to it. It uses no
    /// component. For what an operator keeps on behalf of the Party. Waits while it is in doubt who shares with whom.
    ///
    /// Errors: `Suspended`; `Mint` for a name that no subject can have; `Roles`.
    pub async fn access_of_party(
        &self,
        name: &str,
        party: &Party,
        now: Timestamp,
    ) -> Result<Access, AccessError> {
        let Rights { state, sharing, lapsed, .. } = self.rights().await;
        let sharing = sharing.ok_or(AccessError::Suspended)?;
        let own = sharing.owned_by(party, now);
        let seen = match lapsed {
            true => own.clone(),
            false => sharing.effective(party, &sharing.assigned_ever(), OrgId::GrantedOnly, now),
        };
        Ok(Access {
            session: local_session(name, party.clone(), now)?,
            user_ids: UserIds::of(&seen),
            own_user_ids: UserIds::of(&own),
            state,
            until: sharing.next_change(now),
        })
    }

    /// What is declared for a User ID, as far as it holds at the time `now`: the rows of that User ID while it is its Party's, and of those that are
    /// granted to it. Where it is the Party's no longer, the access shows nothing. Waits while it is in doubt who shares with whom.
    ///
    /// Errors: `Suspended`.
    pub async fn access_of_user(&self, declared: &Declared, now: Timestamp) -> Result<Access, AccessError> {
        let Rights { state, sharing, lapsed, .. } = self.rights().await;
        let sharing = sharing.ok_or(AccessError::Suspended)?;
        let (own, granted) = sharing.seen_by(declared.user_id, declared.party(), now);
        let seen = if lapsed { own.clone() } else { own.union(&granted).copied().collect() };
        Ok(Access {
            session: Arc::clone(&declared.session),
            user_ids: UserIds::of(&seen),
            own_user_ids: UserIds::of(&own),
            state,
            until: sharing.next_change(now),
        })
    }

    /// Admits the bearer of a token at the time `now`. Waits while it is in doubt who shares with whom. Cancel-safe.
    ///
    /// Errors: `Token`, `Expired`, `NotYetValid`; `SessionOver`, `SessionUnknown`; `Suspended`.
    pub async fn admit(&self, token: &str, now: Timestamp) -> Result<Access, AccessError> {
        let session = match &self.doors {
            Doors { sessions: Some(gate), .. } if gate.is_for(token) => gate.session(token, now).await?,
            Doors { gatekeeper: Some(gatekeeper), .. } => gatekeeper.session(token, now)?,
            Doors { gatekeeper: None, .. } => return Err(AccessError::Token(TokenFault::NotOfASession)),
        };
        let Rights { state, sharing, lapsed, .. } = self.rights().await;
        let sharing = sharing.ok_or(AccessError::Suspended)?;
        Ok(Access::by(session, state, (&sharing, lapsed), now))
    }
}

#[cfg(test)]
mod tests;
