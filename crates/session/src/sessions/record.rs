//! What a session says, to callers and in its object.

use crate::handle::SessionId;
use crate::wire;
use gridtrail_access::{Bearer, JobTypeRole, OrgId, Party};
use gridtrail_model::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Somebody who is logged in. Nothing in it names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What tells it from all others.
    pub id: SessionId,
    /// The entity id of the Identity Provider.
    pub identity_provider: String,
    /// Who it is: as subject a digest of Identity Provider and `NameID`, the same at every login; the Party from the enrolment or the
    /// account, never from the assertion; when it began, and when it ends, used or not: it is never prolonged. Clause 1.2.
    pub bearer: Arc<Bearer>,
}

/// What a session is written as.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRecord {
    pub(crate) subject: String,
    pub(crate) identity_provider: String,
    /// The enrolment that vouches for it: once that is no more, neither is the session.
    pub(crate) enrolment: String,
    /// The version of the account that says the Party, where one does.
    pub(crate) account: Option<u64>,
    pub(crate) party: Party,
    pub(crate) org_id: OrgId,
    #[serde(with = "wire::user_ids")]
    pub(crate) user_ids: BTreeSet<UserId>,
    /// By their columns: what they are called may change.
    pub(crate) roles: BTreeSet<JobTypeRole>,
    #[serde(with = "wire::timestamp")]
    pub(crate) started_at: Timestamp,
    #[serde(with = "wire::timestamp")]
    pub(crate) ends_at: Timestamp,
}

impl SessionRecord {
    pub(crate) fn session(&self, id: SessionId) -> Session {
        let bearer = Bearer {
            subject: self.subject.clone(),
            party: self.party.clone(),
            org_id: self.org_id,
            user_ids: self.user_ids.clone(),
            roles: self.roles.clone(),
            valid_from: self.started_at,
            expires_at: self.ends_at,
        };
        Session { id, identity_provider: self.identity_provider.clone(), bearer: Arc::new(bearer) }
    }
}
