//! From a token to an `Access`.

use crate::limits::{
    CLOCK_SKEW_S_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX, TOKENS_REMEMBERED, USER_IDS_MAX,
};
use crate::{AccessError, Component, JobTypeRole, TokenFault};
use gridtrail_model::{Timestamp, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use moka::sync::Cache;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What one admitted caller may do: a capability that every read of rows asks for.
///
/// Only [`Gatekeeper::admit`] makes one. It may be narrowed ([`Access::narrowed_to`]), never widened.
#[derive(Debug, Clone)]
pub struct Access {
    subject: String,
    user_ids: BTreeSet<UserId>,
    roles: BTreeSet<JobTypeRole>,
    expires_at: Timestamp,
}

impl Access {
    /// The person or system that called, as the issuer names them: 1 to 128 printable characters.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The User IDs whose rows the caller may see. Empty only after narrowing.
    pub const fn user_ids(&self) -> &BTreeSet<UserId> {
        &self.user_ids
    }

    /// The first instant, UTC, at which this access is over.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether one of the caller's roles may use the component.
    pub fn permits(&self, component: Component) -> bool {
        self.roles.iter().any(|role| component.is_open_to(*role))
    }

    /// Demands that the access still holds at `now` and covers the component.
    ///
    /// Errors: `Expired`, `Denied`.
    pub fn require(&self, component: Component, now: Timestamp) -> Result<(), AccessError> {
        if now >= self.expires_at {
            return Err(AccessError::Expired { expired_at: self.expires_at });
        }
        if self.permits(component) { Ok(()) } else { Err(AccessError::Denied { component }) }
    }

    /// The same access for those of its User IDs that are in `user_ids` too.
    #[must_use]
    pub fn narrowed_to(&self, user_ids: &BTreeSet<UserId>) -> Self {
        Self { user_ids: self.user_ids.intersection(user_ids).copied().collect(), ..self.clone() }
    }
}

/// Checks tokens against one public key, issuer and audience.
///
/// A signature takes longer to check than a search does. So tokens that were found good are remembered, by their whole text;
/// the times are judged anew at every call, and a token that was refused is checked again each time.
#[derive(Clone)]
pub struct Gatekeeper {
    key: DecodingKey,
    validation: Validation,
    good: Cache<Box<str>, Arc<Claims>>,
}

// A hand-written form, so that no key ever reaches a log.
impl fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatekeeper").field("validation", &self.validation).finish_non_exhaustive()
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
    user_ids: Vec<String>,
    roles: Vec<String>,
}

impl Gatekeeper {
    /// A gatekeeper for tokens signed by the private half of `public_pem`, an Ed25519 key as
    /// `SubjectPublicKeyInfo` in PEM, naming this issuer (`iss`) and audience (`aud`).
    ///
    /// Errors: `Key`.
    pub fn new(public_pem: &str, issuer: &str, audience: &str) -> Result<Self, AccessError> {
        if !public_pem.contains("BEGIN PUBLIC KEY") {
            return Err(AccessError::Key("the gatekeeper needs a public key in PEM"));
        }
        let key = DecodingKey::from_ed_pem(public_pem.as_bytes())
            .map_err(|_| AccessError::Key("the public key is not an Ed25519 key in PEM"))?;
        // EdDSA and nothing else: the header of a token never chooses how it is checked.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library reads the machine's clock; `admit` judges both times itself, by the time it is given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { key, validation, good: Cache::new(TOKENS_REMEMBERED) })
    }

    /// Admits the bearer of a token at the time `now`.
    ///
    /// Errors: `Token`, `Expired`, `NotYetValid`.
    pub fn admit(&self, token: &str, now: Timestamp) -> Result<Access, AccessError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AccessError::Token(TokenFault::TooLong));
        }
        let claims = match self.good.get(token) {
            Some(claims) => claims,
            None => self.check(token)?,
        };
        let expires_at = live_span(&claims, now)?;
        Ok(Access {
            subject: subject_of(&claims)?,
            user_ids: user_ids_of(&claims)?,
            roles: claims.roles.iter().map(|role| role.parse()).collect::<Result<_, _>>()?,
            expires_at,
        })
    }
}

impl Gatekeeper {
    /// Checks all of a token but its times, and remembers it.
    fn check(&self, token: &str) -> Result<Arc<Claims>, AccessError> {
        let TokenData { header, claims, .. } =
            jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
                .map_err(|error| AccessError::Token(fault_of(error.kind())))?;
        if header.crit.is_some() {
            return Err(AccessError::Token(TokenFault::CriticalHeader));
        }
        let claims = Arc::new(claims);
        self.good.insert(token.into(), Arc::clone(&claims));
        Ok(claims)
    }
}

/// Judges `nbf` and `exp`; gives the time that the token ends.
fn live_span(claims: &Claims, now: Timestamp) -> Result<Timestamp, AccessError> {
    let time = |seconds: u64, claim| {
        i64::try_from(seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .and_then(Timestamp::from_millis)
            .ok_or(AccessError::Token(TokenFault::Claim(claim)))
    };
    let valid_from = time(claims.nbf, "nbf")?;
    let expires_at = time(claims.exp, "exp")?;
    if claims.exp <= claims.nbf {
        return Err(AccessError::Token(TokenFault::Claim("exp")));
    }
    if claims.exp - claims.nbf > TOKEN_LIFE_S_MAX {
        return Err(AccessError::Token(TokenFault::Lifetime));
    }
    if now >= expires_at {
        return Err(AccessError::Expired { expired_at: expires_at });
    }
    const SKEW_MS: i64 = CLOCK_SKEW_S_MAX.cast_signed() * 1000;
    if now.plus_millis(SKEW_MS) < valid_from {
        return Err(AccessError::NotYetValid { valid_from });
    }
    Ok(expires_at)
}

fn subject_of(claims: &Claims) -> Result<String, AccessError> {
    if is_subject(&claims.sub) {
        Ok(claims.sub.clone())
    } else {
        Err(AccessError::Token(TokenFault::Claim("sub")))
    }
}

/// Whether a text may be a subject.
pub(crate) fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn user_ids_of(claims: &Claims) -> Result<BTreeSet<UserId>, AccessError> {
    let wrong = AccessError::Token(TokenFault::Claim("user_ids"));
    if !(1..=USER_IDS_MAX).contains(&claims.user_ids.len()) {
        return Err(wrong);
    }
    claims.user_ids.iter().map(|id| id.parse()).collect::<Result<_, _>>().map_err(|_| wrong)
}

/// What the library found wrong, in our words: its own may quote the token.
fn fault_of(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::MissingAlgorithm
        | ErrorKind::UnsupportedAlgorithm => TokenFault::Algorithm,
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidSubject => TokenFault::Claim("sub"),
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            TokenFault::Claim(spec_claim(claim))
        }
        // A header that cannot be read fails in the same way as claims that cannot, so both share one name.
        ErrorKind::Json(_) => TokenFault::Claims,
        _ => TokenFault::Malformed,
    }
}

fn spec_claim(claim: &str) -> &'static str {
    ["exp", "nbf", "iss", "aud", "sub"].into_iter().find(|known| *known == claim).unwrap_or("unknown")
}

#[cfg(test)]
mod tests;
