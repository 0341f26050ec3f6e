//! Who bears a token or has a session, before it is asked what others granted them.

use crate::{JobTypeRole, OrgId, Party};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;

/// Who bears a token or has a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The person or system: 1 to 128 bytes without control characters.
    pub subject: String,
    /// The Party that they work for.
    pub party: Party,
    /// How the User IDs are to be read.
    pub org_id: OrgId,
    /// The User IDs that they may use. A token names up to 64, and not none where they are all.
    pub user_ids: BTreeSet<UserId>,
    /// Their Job Type Roles.
    pub roles: BTreeSet<JobTypeRole>,
    /// The first instant of validity, UTC. Tokens have it to the second.
    pub valid_from: Timestamp,
    /// The first instant after it, UTC. Tokens have it to the second, at most 24 hours after `valid_from`.
    pub expires_at: Timestamp,
}
