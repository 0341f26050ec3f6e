//! A key for local development, which mints tokens. Production tokens come from the Identity Provider.

use crate::gatekeeper::{is_subject, may_name};
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX};
use crate::{Access, AccessError, Admission, Gatekeeper, JobTypeRole, OrgId, Party, RoleMatrix, Sharing};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gridtrail_model::{Timestamp, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The DER of a `SubjectPublicKeyInfo` for Ed25519 (RFC 8410), up to the 32 bytes of the key itself.
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 key that signs tokens for local development.
pub struct DevKey {
    pair: Ed25519KeyPair,
    encoding: EncodingKey,
    pkcs8: Vec<u8>,
    roles: Arc<RoleMatrix>,
}

// A hand-written form, so that the key never reaches a log.
impl fmt::Debug for DevKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevKey").finish_non_exhaustive()
    }
}

/// What a token is to say of its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// The person or system: 1 to 128 bytes without control characters.
    pub subject: String,
    /// The Party that they work for.
    pub party: Party,
    /// How the User IDs are to be read.
    pub org_id: OrgId,
    /// The User IDs that the bearer may use: up to 64, and not none where they are all.
    pub user_ids: BTreeSet<UserId>,
    /// The bearer's Job Type Roles.
    pub roles: BTreeSet<JobTypeRole>,
    /// The first instant of validity, UTC; cut to the second.
    pub valid_from: Timestamp,
    /// The first instant after it, UTC; cut to the second. At most 24 hours after `valid_from`.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Minted<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    nbf: i64,
    exp: i64,
    party: &'a str,
    org_id: OrgId,
    user_ids: Vec<String>,
    roles: Vec<&'a str>,
}

impl DevKey {
    /// `iss` of every token that a development key signs.
    pub const ISSUER: &'static str = "gridtrail-dev";
    /// `aud` of every token that a development key signs.
    pub const AUDIENCE: &'static str = "gridtrail";

    /// A new key.
    ///
    /// Errors: `Key`, when the machine has no randomness to give; `Roles`.
    pub fn generate() -> Result<Self, AccessError> {
        let wrong = |_| AccessError::Key("no key could be generated");
        let pair = Ed25519KeyPair::generate().map_err(wrong)?;
        Self::from_pkcs8(pair.to_pkcs8v1().map_err(wrong)?.as_ref())
    }

    /// Reads what [`DevKey::to_pem`] wrote.
    ///
    /// Errors: `Key`, `Roles`.
    pub fn from_pem(pem: &str) -> Result<Self, AccessError> {
        let encoding = EncodingKey::from_ed_pem(pem.as_bytes())
            .map_err(|_| AccessError::Key("the development key is not an Ed25519 private key in PEM"))?;
        Self::from_pkcs8(encoding.as_bytes())
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, AccessError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8)
            .map_err(|_| AccessError::Key("the development key is not an Ed25519 private key"))?;
        let roles = Arc::new(RoleMatrix::built_in()?);
        Ok(Self { pair, encoding: EncodingKey::from_ed_der(pkcs8), pkcs8: pkcs8.to_vec(), roles })
    }

    /// The same key, whose tokens call roles as this matrix does.
    #[must_use]
    pub fn with_roles(self, roles: Arc<RoleMatrix>) -> Self {
        Self { roles, ..self }
    }

    /// The private key as PKCS #8 in PEM: keep it where only its owner can read it.
    pub fn to_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    /// The public key as `SubjectPublicKeyInfo` in PEM, for a server that shall trust this key.
    pub fn to_public_pem(&self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC_KEY_PREFIX[..], self.pair.public_key().as_ref()].concat())
    }

    /// A gatekeeper that admits the tokens of this key and no others.
    ///
    /// Errors: `Key`.
    pub fn gatekeeper(&self) -> Result<Gatekeeper, AccessError> {
        Gatekeeper::new(&self.to_public_pem(), Self::ISSUER, Self::AUDIENCE, Arc::clone(&self.roles))
    }

    /// What the bearer of such a token may do at its beginning, were all the User IDs its Party's own: for benches and tests
    /// of a lake, whose rows nobody sees otherwise.
    ///
    /// Errors: `Key`, `Mint`.
    pub fn access(&self, claims: &TokenClaims) -> Result<Access, AccessError> {
        let sharing = Sharing::of_one(&claims.party, &claims.user_ids);
        let admission = Admission::new(self.gatekeeper()?, Arc::new(sharing));
        admission.admit(&self.mint(claims)?, claims.valid_from)
    }

    /// A signed token with these claims.
    ///
    /// Errors: `Mint`, for claims that no gatekeeper would accept.
    pub fn mint(&self, claims: &TokenClaims) -> Result<String, AccessError> {
        if !is_subject(&claims.subject) {
            return Err(AccessError::Mint("a subject has 1 to 128 bytes and no control characters"));
        }
        if !may_name(claims.org_id, claims.user_ids.len()) {
            return Err(AccessError::Mint(
                "a token names up to 64 User IDs, and at least one where those are all",
            ));
        }
        let nbf = claims.valid_from.millis().div_euclid(1000);
        let exp = claims.expires_at.millis().div_euclid(1000);
        if nbf < 0 || exp <= nbf || (exp - nbf).unsigned_abs() > TOKEN_LIFE_S_MAX {
            return Err(AccessError::Mint("a token is valid for 1 second to 24 hours, after 1970"));
        }
        let minted = Minted {
            iss: Self::ISSUER,
            aud: Self::AUDIENCE,
            sub: &claims.subject,
            nbf,
            exp,
            party: claims.party.as_str(),
            org_id: claims.org_id,
            user_ids: claims.user_ids.iter().map(ToString::to_string).collect(),
            roles: claims.roles.iter().map(|role| self.roles.name(*role)).collect(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &minted, &self.encoding)
            .map_err(|_| AccessError::Mint("the token could not be signed"))?;
        debug_assert!(token.len() <= TOKEN_BYTES_MAX, "64 User IDs and 11 roles fit");
        Ok(token)
    }
}

/// RFC 7468: base64 in lines of 64 between two markers.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
