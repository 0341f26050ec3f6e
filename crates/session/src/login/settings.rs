//! How a server deals with logins.

use gridtrail_saml::{ClockSkew, ServiceProvider};
use std::collections::BTreeSet;

/// How a server deals with logins. All servers of a lake are set alike.
#[derive(Debug, Clone)]
pub struct LoginSettings {
    /// This service, as Identity Providers know it.
    pub service_provider: ServiceProvider,
    /// How far the clock of an Identity Provider may be from ours.
    pub skew: ClockSkew,
    /// The Job Type Roles that there are.
    pub roles: BTreeSet<String>,
}
