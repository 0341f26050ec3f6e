//! A key for local development, which mints tokens. Production tokens come from the Identity Provider.

use crate::gatekeeper::{is_subject, may_name};
use crate::key::SigningKey;
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX};
use crate::{Access, AccessError, Bearer, Gatekeeper, OrgId, RoleMatrix, Sharing};
use serde::Serialize;
use std::sync::Arc;

/// An Ed25519 key that signs tokens for local development.
#[derive(Debug)]
pub struct DevKey {
    key: SigningKey,
    roles: Arc<RoleMatrix>,
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
        Ok(Self { key: SigningKey::generate()?, roles: Arc::new(RoleMatrix::built_in()?) })
    }

    /// Reads what [`DevKey::to_pem`] wrote.
    ///
    /// Errors: `Key`, `Roles`.
    pub fn from_pem(pem: &str) -> Result<Self, AccessError> {
        Ok(Self { key: SigningKey::from_pem(pem)?, roles: Arc::new(RoleMatrix::built_in()?) })
    }

    /// The same key, whose tokens call roles as this matrix does.
    #[must_use]
    pub fn with_roles(self, roles: Arc<RoleMatrix>) -> Self {
        Self { roles, ..self }
    }

    /// The private key as PKCS #8 in PEM: keep it where only its owner can read it.
    pub fn to_pem(&self) -> String {
        self.key.to_pem()
    }

    /// The public key as `SubjectPublicKeyInfo` in PEM, for a server that shall trust this key.
    pub fn to_public_pem(&self) -> String {
        self.key.to_public_pem()
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
    pub fn access(&self, claims: &Bearer) -> Result<Access, AccessError> {
        let session = self.gatekeeper()?.session(&self.mint(claims)?, claims.valid_from)?;
        let sharing = Sharing::of_one(&claims.party, &claims.user_ids);
        Ok(Access::by(session, 0, (&sharing, false), claims.valid_from))
    }

    /// A signed token with these claims.
    ///
    /// Errors: `Mint`, for claims that no gatekeeper would accept.
    pub fn mint(&self, claims: &Bearer) -> Result<String, AccessError> {
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
        let token = self.key.sign("JWT", &minted)?;
        debug_assert!(token.len() <= TOKEN_BYTES_MAX, "64 User IDs and 11 roles fit");
        Ok(token)
    }
}
