//! Who writes down that people log in and out.

use crate::login::LoginError;
use crate::sessions::Session;
use async_trait::async_trait;
use std::fmt::Debug;
use std::net::SocketAddr;

/// Writes down who logged in, who was refused, and who logged out.
#[async_trait]
pub trait Witness: Debug + Send + Sync {
    /// Somebody logged in. Returns once that is written down for good.
    ///
    /// Errors: it is not, or perhaps not; then nobody is let in.
    async fn logged_in(&self, session: &Session, from: Option<SocketAddr>) -> Result<(), NotWritten>;

    /// Somebody was not let in.
    fn refused(&self, error: &LoginError, from: Option<SocketAddr>);

    /// A session was ended by whom it belongs to.
    fn logged_out(&self, session: &Session, from: Option<SocketAddr>);
}

/// A login or logout could not be written down; the witness has told the log why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it could not be written down")]
pub struct NotWritten;
