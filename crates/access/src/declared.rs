//! What an operator declares for a User whose work is done while nobody is there: a report that is made by a schedule.

use crate::gatekeeper::is_subject;
use crate::session::Session;
use crate::{AccessError, Bearer, JobTypeRole, OrgId, Party, RoleMatrix};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A User ID, the Party whose it is to be, and the Job Type Roles that its work is done in. It shows nothing by itself:
/// [`crate::Admission::access_of_user`] says what it comes to at a time.
#[derive(Debug, Clone)]
pub struct Declared {
    pub(crate) session: Arc<Session>,
    pub(crate) user_id: UserId,
}

impl Declared {
    /// A declaration, by the name under which calls are recorded.
    ///
    /// Errors: `Mint` for a name that no subject can have.
    pub fn new(
        name: &str,
        (party, user_id): (Party, UserId),
        (roles, matrix): (BTreeSet<JobTypeRole>, &RoleMatrix),
    ) -> Result<Self, AccessError> {
        if !is_subject(name) {
            return Err(AccessError::Mint("a subject has 1 to 128 bytes and no control characters"));
        }
        let bearer = Bearer {
            subject: name.to_owned(),
            party,
            org_id: OrgId::All,
            user_ids: BTreeSet::from([user_id]),
            roles,
            valid_from: Timestamp::MIN,
            expires_at: Timestamp::MAX,
        };
        Ok(Self { session: Arc::new(Session::new(None, Arc::new(bearer), matrix)), user_id })
    }

    /// The User ID.
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The Party that it is declared to be of.
    pub fn party(&self) -> &Party {
        &self.session.bearer.party
    }
}
