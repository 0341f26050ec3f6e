//! What a session says, to callers and in its object.

use crate::handle::SessionId;
use crate::register::OrgIds;
use crate::wire;
use gridtrail_model::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Somebody who is logged in. Nothing in it names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What tells it from all others.
    pub id: SessionId,
    /// The person: a digest of Identity Provider and `NameID`, the same at every login.
    pub subject: String,
    /// The entity id of the Identity Provider.
    pub identity_provider: String,
    /// The Party, from the enrolment or the account; never from the assertion.
    pub party: String,
    /// What `user_ids` are.
    pub org_id: OrgIds,
    /// The User IDs of `OrgID`.
    pub user_ids: BTreeSet<UserId>,
    /// The Job Type Roles, of those that are known.
    pub roles: BTreeSet<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ends, used or not. It is never prolonged. Clause 1.2.
    pub ends_at: Timestamp,
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
    pub(crate) party: String,
    pub(crate) org_id: OrgIds,
    #[serde(with = "wire::user_ids")]
    pub(crate) user_ids: BTreeSet<UserId>,
    pub(crate) roles: BTreeSet<String>,
    #[serde(with = "wire::timestamp")]
    pub(crate) started_at: Timestamp,
    #[serde(with = "wire::timestamp")]
    pub(crate) ends_at: Timestamp,
}

impl SessionRecord {
    pub(crate) fn session(&self, id: SessionId) -> Session {
        Session {
            id,
            subject: self.subject.clone(),
            identity_provider: self.identity_provider.clone(),
            party: self.party.clone(),
            org_id: self.org_id,
            user_ids: self.user_ids.clone(),
            roles: self.roles.clone(),
            started_at: self.started_at,
            ends_at: self.ends_at,
        }
    }
}
