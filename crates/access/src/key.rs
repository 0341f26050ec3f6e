//! Ed25519 keys as files hold them, and what they sign and check.

use crate::limits::TOKEN_BYTES_MAX;
use crate::{AccessError, TokenFault};
use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// The DER of a `SubjectPublicKeyInfo` for Ed25519 (RFC 8410), up to the 32 bytes of the key itself.
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// `typ` of the tokens of sessions (RFC 8725, section 3.11): none of another kind is taken for one of these, whoever signed it.
pub(crate) const SESSION_KIND: &str = "gridtrail-session+jwt";

/// `typ` of the tokens of operators.
pub(crate) const OPERATOR_KIND: &str = "gridtrail-operator+jwt";

/// Which kind of token is asked for, by its explicit type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// This one of ours.
    Ours(&'static str),
    /// One of an issuer who need not say what it is: none of ours, whoever signed it.
    OfAnIssuer,
}

impl Kind {
    fn is(self, typ: Option<&str>) -> bool {
        match self {
            Self::Ours(kind) => typ == Some(kind),
            Self::OfAnIssuer => typ.is_none_or(|typ| {
                ![SESSION_KIND, OPERATOR_KIND].iter().any(|kind| typ.eq_ignore_ascii_case(kind))
            }),
        }
    }
}

/// A private key that signs tokens.
pub(crate) struct SigningKey {
    pair: Ed25519KeyPair,
    encoding: EncodingKey,
    pkcs8: Vec<u8>,
}

// A hand-written form, so that the key never reaches a log.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// A new key.
    ///
    /// Errors: `Key`, when the machine has no randomness to give.
    pub(crate) fn generate() -> Result<Self, AccessError> {
        let wrong = |_| AccessError::Key("no key could be generated");
        let pair = Ed25519KeyPair::generate().map_err(wrong)?;
        Self::from_pkcs8(pair.to_pkcs8v1().map_err(wrong)?.as_ref())
    }

    /// Reads PKCS #8 in PEM.
    ///
    /// Errors: `Key`.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, AccessError> {
        let encoding = EncodingKey::from_ed_pem(pem.as_bytes())
            .map_err(|_| AccessError::Key("it is not an Ed25519 private key in PEM"))?;
        Self::from_pkcs8(encoding.as_bytes())
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, AccessError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8)
            .map_err(|_| AccessError::Key("it is not an Ed25519 private key"))?;
        Ok(Self { pair, encoding: EncodingKey::from_ed_der(pkcs8), pkcs8: pkcs8.to_vec() })
    }

    /// The private key as PKCS #8 in PEM.
    pub(crate) fn to_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    /// The public key as `SubjectPublicKeyInfo` in PEM.
    pub(crate) fn to_public_pem(&self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC_KEY_PREFIX[..], self.pair.public_key().as_ref()].concat())
    }

    /// A secret of this key for one purpose. It depends on the key itself, not on how it is written down.
    ///
    /// Errors: `Key`.
    pub(crate) fn derive(&self, purpose: &'static str) -> Result<[u8; 32], AccessError> {
        let wrong = |_| AccessError::Key("no secret could be derived of it");
        let seed: Curve25519SeedBin<'_> =
            self.pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(wrong)?;
        let mut secret = [0; 32];
        let extracted = Salt::none(HKDF_SHA256).extract(seed.as_ref());
        let purpose = [purpose.as_bytes()];
        extracted.expand(&purpose, HKDF_SHA256).and_then(|key| key.fill(&mut secret)).map_err(wrong)?;
        Ok(secret)
    }

    /// What checks the tokens of this key.
    ///
    /// Errors: `Key`.
    pub(crate) fn checking(&self, issuer: &str, audience: &str) -> Result<CheckingKey, AccessError> {
        CheckingKey::new(&self.to_public_pem(), issuer, audience)
    }

    /// A signed token. `kind` is its explicit type (RFC 8725, section 3.11).
    ///
    /// Errors: `Mint`.
    pub(crate) fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String, AccessError> {
        let header = Header { typ: Some(kind.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map_err(|_| AccessError::Mint("the token could not be signed"))
    }
}

/// Checks tokens of one key, for one issuer and one audience.
#[derive(Clone)]
pub(crate) struct CheckingKey {
    key: DecodingKey,
    validation: Validation,
}

// A hand-written form, so that no key ever reaches a log.
impl fmt::Debug for CheckingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checking").field(&self.validation).finish()
    }
}

impl CheckingKey {
    /// `public_pem` is the public key as `SubjectPublicKeyInfo` in PEM.
    ///
    /// Errors: `Key`.
    pub(crate) fn new(public_pem: &str, issuer: &str, audience: &str) -> Result<Self, AccessError> {
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
        // The library reads the machine's clock; both times are judged by the time that a call is given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { key, validation })
    }

    /// The claims of a token of a kind, checked but for its times and what is in them.
    ///
    /// Errors: `Token`.
    pub(crate) fn claims<C: DeserializeOwned>(&self, token: &str, kind: Kind) -> Result<C, AccessError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AccessError::Token(TokenFault::TooLong));
        }
        let refused = |error: jsonwebtoken::errors::Error| AccessError::Token(fault_of(error.kind()));
        // What it says of itself comes first: it says best what is wrong with it.
        if jsonwebtoken::decode_header(token).is_ok_and(|header| !kind.is(header.typ.as_deref())) {
            return Err(AccessError::Token(TokenFault::Kind));
        }
        let TokenData { header, claims, .. } =
            jsonwebtoken::decode(token, &self.key, &self.validation).map_err(refused)?;
        match header.crit {
            Some(_) => Err(AccessError::Token(TokenFault::CriticalHeader)),
            None => Ok(claims),
        }
    }
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
