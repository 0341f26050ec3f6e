//! From a token to the session that it stands for.

use crate::key::{CheckingKey, Kind};
use crate::limits::{
    CLOCK_SKEW_S_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX, TOKENS_REMEMBERED, USER_IDS_MAX,
};
use crate::session::Session;
use crate::{AccessError, Bearer, JobTypeRole, Party, RoleMatrix, TokenFault};
use gridtrail_model::{Timestamp, UserId};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How the User IDs of a session are to be read (Smart Energy Code Appendix AH, clause 1.4.4, attribute OrgID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrgId {
    /// They are all that the person may use: own ones of the Party, and ones that others granted to it.
    #[default]
    All,
    /// They are those that others granted, as the clause literally says. All that are the Party's own come with them.
    GrantedOnly,
}

impl OrgId {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::GrantedOnly => "granted-only",
        }
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for OrgId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let named = [Self::All, Self::GrantedOnly].into_iter().find(|org_id| org_id.name() == text);
        named.ok_or("one of all and granted-only")
    }
}

/// Checks tokens against one public key, issuer and audience.
///
/// A signature takes longer to check than a search does. So tokens that were found good are remembered, by their whole text;
/// the times are judged anew at every call, and a token that was refused is checked again each time.
#[derive(Clone)]
pub struct Gatekeeper {
    key: CheckingKey,
    roles: Arc<RoleMatrix>,
    good: Cache<Box<str>, Arc<Session>>,
}

// A hand-written form, so that no token that is remembered ever reaches a log.
impl fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatekeeper").field("checks", &self.key).finish_non_exhaustive()
    }
}

/// The claims of a token, typed so that a wrong type is an error and never an absence: an `exp` written as text
/// once counted as no `exp` at all (CVE-2026-25537). A claim that stands twice is an error too.
#[derive(Deserialize)]
struct Claims {
    #[expect(dead_code, reason = "typed so that a list of issuers is refused; the library judges the value")]
    iss: String,
    sub: String,
    exp: u64,
    nbf: u64,
    party: String,
    org_id: OrgId,
    user_ids: Vec<String>,
    roles: Vec<String>,
}

impl Gatekeeper {
    /// A gatekeeper for tokens signed by the private half of `public_pem`, an Ed25519 key as
    /// `SubjectPublicKeyInfo` in PEM, naming this issuer (`iss`) and audience (`aud`), and roles of this matrix.
    ///
    /// Errors: `Key`.
    pub fn new(
        public_pem: &str,
        issuer: &str,
        audience: &str,
        roles: Arc<RoleMatrix>,
    ) -> Result<Self, AccessError> {
        let key = CheckingKey::new(public_pem, issuer, audience)?;
        Ok(Self { key, roles, good: Cache::new(TOKENS_REMEMBERED) })
    }

    /// The session of a token that is valid at the time `now`.
    ///
    /// Errors: `Token`, `Expired`, `NotYetValid`.
    pub(crate) fn session(&self, token: &str, now: Timestamp) -> Result<Arc<Session>, AccessError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AccessError::Token(TokenFault::TooLong));
        }
        let session = match self.good.get(token) {
            Some(session) => session,
            None => self.check(token)?,
        };
        check_times(&session.bearer, now)?;
        Ok(session)
    }

    /// Checks all of a token but its times against the clock, and remembers it.
    fn check(&self, token: &str) -> Result<Arc<Session>, AccessError> {
        let claims: Claims = self.key.claims(token, Kind::OfAnIssuer)?;
        let (valid_from, expires_at) = span_of(claims.nbf, claims.exp, TOKEN_LIFE_S_MAX)?;
        let bearer = Bearer {
            subject: subject_of(&claims.sub)?,
            party: party_of(&claims)?,
            org_id: claims.org_id,
            user_ids: user_ids_of(&claims)?,
            roles: roles_of(&claims, &self.roles)?,
            valid_from,
            expires_at,
        };
        let session = Arc::new(Session::new(None, Arc::new(bearer), &self.roles));
        self.good.insert(token.into(), Arc::clone(&session));
        Ok(session)
    }
}

/// Judges both times against the clock.
pub(crate) fn check_times(bearer: &Bearer, now: Timestamp) -> Result<(), AccessError> {
    check_span((bearer.valid_from, bearer.expires_at), now)
}

/// The same, of a span that begins and ends.
pub(crate) fn check_span(
    (valid_from, expires_at): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<(), AccessError> {
    const SKEW_MS: i64 = CLOCK_SKEW_S_MAX.cast_signed() * 1000;
    if now >= expires_at {
        return Err(AccessError::Expired { expired_at: expires_at });
    }
    if now.plus_millis(SKEW_MS) < valid_from {
        return Err(AccessError::NotYetValid { valid_from });
    }
    Ok(())
}

/// `nbf` and `exp`, in themselves, of a token that may be valid for so many seconds.
pub(crate) fn span_of(nbf: u64, exp: u64, life_max: u64) -> Result<(Timestamp, Timestamp), AccessError> {
    let time = |seconds: u64, claim| {
        i64::try_from(seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .and_then(Timestamp::from_millis)
            .ok_or(AccessError::Token(TokenFault::Claim(claim)))
    };
    let valid_from = time(nbf, "nbf")?;
    let expires_at = time(exp, "exp")?;
    if exp <= nbf {
        return Err(AccessError::Token(TokenFault::Claim("exp")));
    }
    if exp - nbf > life_max {
        return Err(AccessError::Token(TokenFault::Lifetime));
    }
    Ok((valid_from, expires_at))
}

fn party_of(claims: &Claims) -> Result<Party, AccessError> {
    claims.party.parse().map_err(|_| AccessError::Token(TokenFault::Claim("party")))
}

pub(crate) fn subject_of(sub: &str) -> Result<String, AccessError> {
    if is_subject(sub) { Ok(sub.to_owned()) } else { Err(AccessError::Token(TokenFault::Claim("sub"))) }
}

/// Whether a text may be a subject.
pub(crate) fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn user_ids_of(claims: &Claims) -> Result<BTreeSet<UserId>, AccessError> {
    let wrong = AccessError::Token(TokenFault::Claim("user_ids"));
    if !may_name(claims.org_id, claims.user_ids.len()) {
        return Err(wrong);
    }
    claims.user_ids.iter().map(|id| id.parse()).collect::<Result<_, _>>().map_err(|_| wrong)
}

/// Whether a token may name so many User IDs. With `granted-only` it may name none: the Party's own are there without.
pub(crate) const fn may_name(org_id: OrgId, user_ids: usize) -> bool {
    let least = match org_id {
        OrgId::All => 1,
        OrgId::GrantedOnly => 0,
    };
    least <= user_ids && user_ids <= USER_IDS_MAX
}

fn roles_of(claims: &Claims, matrix: &RoleMatrix) -> Result<BTreeSet<JobTypeRole>, AccessError> {
    let roles = claims.roles.iter().map(|name| matrix.role(name));
    roles.collect::<Option<_>>().ok_or(AccessError::Token(TokenFault::Claim("roles")))
}

#[cfg(test)]
mod tests;
