//! Operators: people who run a lake. They are no User's: they work for no Party, have no Job Type Role, and no row is theirs to see.
//!
//! So an operator's token leads to an [`Operator`] and never to an [`crate::Access`], and nobody else's leads to one: each kind of token says
//! what it is, is checked for that, and has an issuer and an audience of its own.

use crate::AccessError;
use crate::gatekeeper::{check_span, is_subject, span_of, subject_of};
use crate::key::{CheckingKey, Kind, OPERATOR_KIND, SigningKey};
use crate::limits::OPERATOR_TOKEN_LIFE_S_MAX;
use gridtrail_model::Timestamp;
use serde::{Deserialize, Serialize};

/// An operator who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    name: String,
    expires_at: Timestamp,
}

impl Operator {
    /// What the operator is called, as whoever minted the token has it: 1 to 128 bytes without control characters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When the token ends.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// An Ed25519 key that signs operators' tokens. It stays with whoever runs the lake; servers have its public half.
#[derive(Debug)]
pub struct OperatorKey(SigningKey);

#[derive(Serialize)]
struct Minted<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    nbf: i64,
    exp: i64,
}

impl OperatorKey {
    /// `iss` of the tokens.
    pub const ISSUER: &'static str = "gridtrail-operator";
    /// `aud` of the tokens.
    pub const AUDIENCE: &'static str = "gridtrail-operators";

    /// A new key.
    ///
    /// Errors: `Key`, when the machine has no randomness to give.
    pub fn generate() -> Result<Self, AccessError> {
        SigningKey::generate().map(Self)
    }

    /// Reads an Ed25519 private key, PKCS #8 in PEM.
    ///
    /// Errors: `Key`.
    pub fn from_pem(pem: &str) -> Result<Self, AccessError> {
        SigningKey::from_pem(pem).map(Self)
    }

    /// The private key as PKCS #8 in PEM: keep it where only its owner can read it.
    pub fn to_pem(&self) -> String {
        self.0.to_pem()
    }

    /// The public key as `SubjectPublicKeyInfo` in PEM, for a server that shall let these operators in.
    pub fn to_public_pem(&self) -> String {
        self.0.to_public_pem()
    }

    /// The token of an operator of this name, from one time to another.
    ///
    /// Errors: `Mint`, for what no gate would let in.
    pub fn mint(&self, name: &str, (from, until): (Timestamp, Timestamp)) -> Result<String, AccessError> {
        if !is_subject(name) {
            return Err(AccessError::Mint("a name has 1 to 128 bytes and no control characters"));
        }
        let (nbf, exp) = (from.millis().div_euclid(1000), until.millis().div_euclid(1000));
        if nbf < 0 || exp <= nbf || (exp - nbf).unsigned_abs() > OPERATOR_TOKEN_LIFE_S_MAX {
            return Err(AccessError::Mint("an operator's token is valid for 1 second to 1 hour, after 1970"));
        }
        let (iss, aud) = (Self::ISSUER, Self::AUDIENCE);
        self.0.sign(OPERATOR_KIND, &Minted { iss, aud, sub: name, nbf, exp })
    }
}

/// The claims of an operator's token, typed as those of other tokens are.
#[derive(Deserialize)]
struct Claims {
    #[expect(dead_code, reason = "typed so that a list of issuers is refused; the library judges the value")]
    iss: String,
    sub: String,
    exp: u64,
    nbf: u64,
}

/// Lets operators in.
#[derive(Debug, Clone)]
pub struct OperatorGate(CheckingKey);

impl OperatorGate {
    /// A gate for tokens signed by the private half of `public_pem`, an Ed25519 key as `SubjectPublicKeyInfo` in PEM.
    ///
    /// Errors: `Key`.
    pub fn new(public_pem: &str) -> Result<Self, AccessError> {
        CheckingKey::new(public_pem, OperatorKey::ISSUER, OperatorKey::AUDIENCE).map(Self)
    }

    /// The operator whose token it is, at the time `now`.
    ///
    /// Errors: `Token`, `Expired`, `NotYetValid`.
    pub fn admit(&self, token: &str, now: Timestamp) -> Result<Operator, AccessError> {
        let claims: Claims = self.0.claims(token, Kind::Ours(OPERATOR_KIND))?;
        let span = span_of(claims.nbf, claims.exp, OPERATOR_TOKEN_LIFE_S_MAX)?;
        check_span(span, now)?;
        Ok(Operator { name: subject_of(&claims.sub)?, expires_at: span.1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Admission, Bearer, DevKey, Doors, Gatekeeper, JobTypeRole, OrgId, RoleMatrix, SessionKey};
    use crate::{Sharing, TokenFault};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_770_000_000_000 + second * 1_000).unwrap()
    }

    fn ann() -> Bearer {
        Bearer {
            subject: "ann".into(),
            party: "Avon".parse().unwrap(),
            org_id: OrgId::All,
            user_ids: BTreeSet::from(["90-B3-D5-1F-30-01-00-00".parse().unwrap()]),
            roles: BTreeSet::from([JobTypeRole::new(2).unwrap()]),
            valid_from: at(0),
            expires_at: at(3_600),
        }
    }

    fn gate(key: &OperatorKey) -> OperatorGate {
        OperatorGate::new(&key.to_public_pem()).unwrap()
    }

    #[track_caller]
    fn fault<T>(admitted: Result<T, AccessError>) -> TokenFault {
        match admitted {
            Err(AccessError::Token(fault)) => fault,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("somebody was let in"),
        }
    }

    #[test]
    fn an_operator_is_let_in_by_name_for_an_hour_at_most() {
        let key = OperatorKey::generate().unwrap();
        let token = key.mint("j.smith", (at(0), at(3_600))).unwrap();
        let operator = gate(&key).admit(&token, at(10)).unwrap();
        assert_eq!((operator.name(), operator.expires_at()), ("j.smith", at(3_600)));
        assert!(matches!(gate(&key).admit(&token, at(3_600)), Err(AccessError::Expired { .. })));
        assert!(matches!(gate(&key).admit(&token, at(-60)), Err(AccessError::NotYetValid { .. })));
        let other = OperatorKey::generate().unwrap();
        assert_eq!(fault(gate(&other).admit(&token, at(10))), TokenFault::Signature);
        for (name, until) in [("", 60), ("a\nb", 60), ("j.smith", 0), ("j.smith", 3_601)] {
            assert!(
                matches!(key.mint(name, (at(0), at(until))), Err(AccessError::Mint(_))),
                "{name:?} {until}"
            );
        }
        // The key as a file has it is the same key.
        let read = OperatorKey::from_pem(&key.to_pem()).unwrap();
        assert!(gate(&key).admit(&read.mint("j.smith", (at(0), at(60))).unwrap(), at(10)).is_ok());
    }

    /// Though one key signed them all: whoever mixes keys up mixes no rights up.
    #[tokio::test]
    async fn no_kind_of_token_passes_for_another_whatever_key_signed_it() {
        let dev = DevKey::generate().unwrap();
        let (key, session) =
            (OperatorKey::from_pem(&dev.to_pem()).unwrap(), SessionKey::from_pem(&dev.to_pem()).unwrap());
        let operators = gate(&key);
        let of_user = dev.mint(&ann()).unwrap();
        let of_session = session.sign("s1", &ann()).unwrap();
        for token in [&of_user, &of_session] {
            assert_eq!(fault(operators.admit(token, at(10))), TokenFault::Kind);
        }
        let token = key.mint("ann", (at(0), at(3_600))).unwrap();
        let roles = Arc::new(RoleMatrix::built_in().unwrap());
        // Also where somebody set a server up to trust that issuer and audience.
        for (issuer, audience) in
            [(DevKey::ISSUER, DevKey::AUDIENCE), (OperatorKey::ISSUER, OperatorKey::AUDIENCE)]
        {
            let gatekeeper =
                Gatekeeper::new(&key.to_public_pem(), issuer, audience, Arc::clone(&roles)).unwrap();
            let doors = Doors { gatekeeper: Some(gatekeeper), sessions: None };
            let admission = Admission::new(doors, Arc::new(Sharing::default()));
            assert_eq!(fault(admission.admit(&token, at(10)).await), TokenFault::Kind);
        }
    }

    /// The type is not all: a key that signs other things for others makes no operator of them.
    #[test]
    fn a_token_with_another_issuer_audience_or_life_is_refused() {
        let key = SigningKey::generate().unwrap();
        let operators = OperatorGate::new(&key.to_public_pem()).unwrap();
        let (iss, aud) = (OperatorKey::ISSUER, OperatorKey::AUDIENCE);
        let nbf = at(0).millis() / 1000;
        let minted = |iss, aud, sub, life| {
            key.sign(OPERATOR_KIND, &Minted { iss, aud, sub, nbf, exp: nbf + life }).unwrap()
        };
        assert!(operators.admit(&minted(iss, aud, "j.smith", 60), at(10)).is_ok());
        for (token, expected) in [
            (minted("gridtrail-dev", aud, "j.smith", 60), TokenFault::Issuer),
            (minted(iss, "gridtrail", "j.smith", 60), TokenFault::Audience),
            (minted(iss, aud, "", 60), TokenFault::Claim("sub")),
            (minted(iss, aud, "j.smith", 3_601), TokenFault::Lifetime),
        ] {
            assert_eq!(fault(operators.admit(&token, at(10))), expected);
        }
        assert_eq!(fault(operators.admit("no token", at(10))), TokenFault::Malformed);
    }
}
