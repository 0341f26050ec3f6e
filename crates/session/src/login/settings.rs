//! How a server deals with logins.

use gridtrail_access::RoleMatrix;
use gridtrail_saml::{ClockSkew, ServiceProvider};
use std::sync::Arc;

/// How a server deals with logins. All servers of a lake are set alike.
#[derive(Debug, Clone)]
pub struct LoginSettings {
    /// This service, as Identity Providers know it.
    pub service_provider: ServiceProvider,
    /// How far the clock of an Identity Provider may be from ours.
    pub skew: ClockSkew,
    /// The Job Type Roles that there are, as Identity Providers call them.
    pub roles: Arc<RoleMatrix>,
}
