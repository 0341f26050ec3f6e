//! Logins and logouts in the access log.

use async_trait::async_trait;
use gridtrail_access::RoleMatrix;
use gridtrail_access_log::{AccessLog, Entry};
use gridtrail_runtime::Clock;
use gridtrail_session::{LoginError, NotWritten, Session, Witness};
use std::net::SocketAddr;
use std::sync::Arc;

/// Writes logins down in the access log: those that succeed before anybody is let in, those that are refused with others alike.
#[derive(Debug)]
pub struct LoginRecords {
    log: AccessLog,
    clock: Clock,
    roles: Arc<RoleMatrix>,
}

impl LoginRecords {
    /// In this log; `roles` says what Job Type Roles are called.
    pub fn new(log: AccessLog, clock: Clock, roles: Arc<RoleMatrix>) -> Self {
        Self { log, clock, roles }
    }

    fn entry(&self, call: &'static str, from: Option<SocketAddr>) -> Entry {
        let mut entry = Entry::of(call, self.clock.now());
        entry.peer = from.map(|from| from.to_string());
        entry
    }

    fn entry_of(&self, call: &'static str, session: &Session, from: Option<SocketAddr>) -> Entry {
        let names: Vec<&str> = session.bearer.roles.iter().map(|role| self.roles.name(*role)).collect();
        Entry {
            outcome: "OK".into(),
            subject: Some(session.bearer.subject.clone()),
            party: Some(session.bearer.party.to_string()),
            session: Some(session.id.to_string()),
            roles: Some(names.join(",")),
            ..self.entry(call, from)
        }
    }
}

#[async_trait]
impl Witness for LoginRecords {
    async fn logged_in(&self, session: &Session, from: Option<SocketAddr>) -> Result<(), NotWritten> {
        let mut entry = self.entry_of("Login", session, from);
        entry.detail = Some(session.identity_provider.clone());
        self.log.write(entry).await.map_err(|error| {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::error!(error, "a login cannot be noted in the access log");
            NotWritten
        })
    }

    fn refused(&self, error: &LoginError, from: Option<SocketAddr>) {
        let (outcome, reason) = match error {
            LoginError::Refused(_) | LoginError::RelayState => ("UNAUTHENTICATED", "LOGIN_REFUSED"),
            LoginError::UnknownProvider => ("NOT_FOUND", "IDENTITY_PROVIDER_NOT_FOUND"),
            LoginError::NotWritten => ("UNAVAILABLE", "ACCESS_LOG_UNAVAILABLE"),
            LoginError::Busy => ("UNAVAILABLE", "BUSY"),
            LoginError::Store(_) => ("UNAVAILABLE", "STORE_UNAVAILABLE"),
        };
        // What a response says of itself is anybody's text: the log of the process has it, beside the time.
        self.log.refuse(Entry {
            outcome: outcome.into(),
            reason: Some(reason.into()),
            ..self.entry("Login", from)
        });
    }

    fn logged_out(&self, session: &Session, from: Option<SocketAddr>) {
        if let Err(error) = self.log.note(self.entry_of("Logout", session, from)) {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::error!(error, session = %session.id, "a logout cannot be noted in the access log");
        }
    }
}
