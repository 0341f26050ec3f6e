//! Why a login did not succeed.

use crate::objects::StoreError;
use gridtrail_saml::Refusal;

/// Why somebody is not logged in. For the log, never for the person, who is told [`gridtrail_saml::OUTWARD_SENTENCE`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The response is not believed.
    #[error(transparent)]
    Response(#[from] Refusal),
    /// No Identity Provider that is enrolled.
    #[error("its Identity Provider is not enrolled, or was enrolled anew since the request")]
    UnknownProvider,
    /// Nobody asked, and the Identity Provider may not send what nobody asked for.
    #[error("no request of ours is answered, and the Identity Provider may not send what nobody asked for")]
    NoRequest,
    /// The request is that of another browser.
    #[error("the request is that of another browser")]
    OtherBrowser,
    /// The request is too old.
    #[error("the request has expired")]
    RequestExpired,
    /// The request was answered before.
    #[error("the request was answered before")]
    RequestAnswered,
    /// The assertion was used before.
    #[error("the assertion was used before")]
    AssertionUsed,
    /// The assertion expired while it was looked at.
    #[error("the assertion expired while it was looked at")]
    TooLate,
    /// The DCC's own Identity Provider vouches for somebody whose Party nobody said.
    #[error("the person has no account")]
    NoAccount,
    /// No role that is known.
    #[error("the assertion names no Job Type Role that is known")]
    NoKnownRole,
    /// The server stops.
    #[error("the server stopped before the response was verified")]
    Interrupted,
}

/// Why a login did not begin or succeed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The person may submit their credentials again.
    #[error("a login was refused: {0}")]
    Refused(#[from] Reason),
    /// There is no such Identity Provider to log in at.
    #[error("no Identity Provider of this entity id is enrolled")]
    UnknownProvider,
    /// More people log in than this server takes at once.
    #[error("too many logins at once")]
    Busy,
    /// It could not be written down that somebody logged in.
    #[error("the login could not be written down")]
    NotWritten,
    /// Cannot be: our identifiers are shorter than a `RelayState` may be.
    #[error("the request does not fit the RelayState")]
    RelayState,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for LoginError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Reason::Response(refusal))
    }
}
