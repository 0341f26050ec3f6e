//! Sessions of people who logged in, and the tokens that stand for them.
//!
//! Such a token says little: which session it stands for, and until when. Who that is, and whether the session still holds, is asked of
//! [`OpenSessions`] at every call, so a logout or a revocation counts at once and no second copy of anybody's rights is about.

use crate::gatekeeper::{check_times, span_of, subject_of};
use crate::key::{CheckingKey, Kind, SESSION_KIND, SigningKey};
use crate::limits::{SESSION_ID_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX, TOKENS_REMEMBERED};
use crate::session::Session;
use crate::{AccessError, Bearer, RoleMatrix, TokenFault};
use async_trait::async_trait;
use gridtrail_model::Timestamp;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

/// Knows the sessions of people who logged in.
#[async_trait]
pub trait OpenSessions: Debug + Send + Sync {
    /// Whose session this is, if it holds; it is thereby in use. What an id stands for never changes.
    ///
    /// Errors: there is no telling now; the implementation has told the log why.
    async fn bearer(&self, session_id: &str) -> Result<Option<Arc<Bearer>>, NoTelling>;
}

/// Whether a session holds cannot be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be told whether the session holds")]
pub struct NoTelling;

/// The key that signs tokens of sessions. All servers of a lake share it.
#[derive(Debug)]
pub struct SessionKey(SigningKey);

#[derive(Serialize)]
struct Signed<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    nbf: i64,
    exp: i64,
    sid: &'a str,
}

impl SessionKey {
    /// `iss` of the tokens.
    pub const ISSUER: &'static str = "gridtrail-session";
    /// `aud` of the tokens.
    pub const AUDIENCE: &'static str = "gridtrail";

    /// Reads an Ed25519 private key, PKCS #8 in PEM.
    ///
    /// Errors: `Key`.
    pub fn from_pem(pem: &str) -> Result<Self, AccessError> {
        SigningKey::from_pem(pem).map(Self)
    }

    /// A secret for another purpose, which all servers with this key have and nobody without it: HKDF (RFC 5869) with SHA-256.
    ///
    /// Errors: `Key`.
    pub fn secret_for(&self, purpose: &'static str) -> Result<[u8; 32], AccessError> {
        self.0.derive(purpose)
    }

    /// The token of a session. It ends with the session, and is the same whenever it is made.
    ///
    /// Errors: `Mint`, for a session that is over within its first second.
    pub fn sign(&self, session_id: &str, bearer: &Bearer) -> Result<String, AccessError> {
        let nbf = bearer.valid_from.millis().div_euclid(1000);
        let exp = bearer.expires_at.millis().div_euclid(1000);
        if nbf < 0 || exp <= nbf {
            return Err(AccessError::Mint("a session lasts for a second at least"));
        }
        let (iss, aud, sub) = (Self::ISSUER, Self::AUDIENCE, &*bearer.subject);
        self.0.sign(SESSION_KIND, &Signed { iss, aud, sub, nbf, exp, sid: session_id })
    }
}

/// The claims of a session's token, typed as those of other tokens are.
#[derive(Deserialize)]
struct Claims {
    #[expect(dead_code, reason = "typed so that a list of issuers is refused; the library judges the value")]
    iss: String,
    sub: String,
    exp: u64,
    nbf: u64,
    sid: String,
}

/// A token whose signature was found good.
struct VerifiedToken {
    session_id: Box<str>,
    subject: String,
    /// Whom it lets in, once that was told.
    session: OnceLock<Arc<Session>>,
}

/// Lets in who has a session.
#[derive(Clone)]
pub struct SessionGate {
    key: CheckingKey,
    sessions: Arc<dyn OpenSessions>,
    roles: Arc<RoleMatrix>,
    good: Cache<Box<str>, Arc<VerifiedToken>>,
}

// A hand-written form, so that no token that is remembered ever reaches a log.
impl Debug for SessionGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGate").field("checks", &self.key).finish_non_exhaustive()
    }
}

impl SessionGate {
    /// A gate for tokens that this key signed.
    ///
    /// Errors: `Key`.
    pub fn new(
        key: &SessionKey,
        sessions: Arc<dyn OpenSessions>,
        roles: Arc<RoleMatrix>,
    ) -> Result<Self, AccessError> {
        let key = key.0.checking(SessionKey::ISSUER, SessionKey::AUDIENCE)?;
        Ok(Self { key, sessions, roles, good: Cache::new(TOKENS_REMEMBERED) })
    }

    /// Whether a token says that it stands for a session.
    pub(crate) fn is_for(&self, token: &str) -> bool {
        // What was found good needs no second reading.
        self.good.contains_key(token)
            || token.len() <= TOKEN_BYTES_MAX
                && jsonwebtoken::decode_header(token)
                    .is_ok_and(|header| header.typ.as_deref() == Some(SESSION_KIND))
    }

    /// The session of a token, if it holds at the time `now`.
    ///
    /// Errors: `Token`, `Expired`, `NotYetValid`, `SessionOver`, `SessionUnknown`.
    pub(crate) async fn session(&self, token: &str, now: Timestamp) -> Result<Arc<Session>, AccessError> {
        let known = match self.good.get(token) {
            Some(known) => known,
            None => self.check(token)?,
        };
        let told = self.sessions.bearer(&known.session_id).await;
        let bearer =
            told.map_err(|NoTelling| AccessError::SessionUnknown)?.ok_or(AccessError::SessionOver)?;
        if bearer.subject != known.subject {
            return Err(AccessError::Token(TokenFault::Claim("sub")));
        }
        let id = || Some(known.session_id.clone());
        let session =
            known.session.get_or_init(|| Arc::new(Session::new(id(), Arc::clone(&bearer), &self.roles)));
        check_times(&session.bearer, now)?;
        Ok(Arc::clone(session))
    }

    fn check(&self, token: &str) -> Result<Arc<VerifiedToken>, AccessError> {
        let claims: Claims = self.key.claims(token, Kind::Ours(SESSION_KIND))?;
        span_of(claims.nbf, claims.exp, TOKEN_LIFE_S_MAX)?;
        if !(1..=SESSION_ID_BYTES_MAX).contains(&claims.sid.len()) {
            return Err(AccessError::Token(TokenFault::Claim("sid")));
        }
        let (session_id, subject) = (claims.sid.into_boxed_str(), subject_of(&claims.sub)?);
        let known = Arc::new(VerifiedToken { session_id, subject, session: OnceLock::new() });
        self.good.insert(token.into(), Arc::clone(&known));
        Ok(known)
    }
}

#[cfg(test)]
mod tests;
