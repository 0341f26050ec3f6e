//! From what a browser posted to an assertion that is believed.

use crate::assertion::Assertion;
use crate::certificate::{SigningCertificate, TrustAnchors};
use crate::identity_provider::IdentityProvider;
use crate::limits::{CLOCK_SKEW_MS_MAX, POSTED_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::message_id::MessageId;
use crate::names;
use crate::refusal::{Excerpt, Refusal};
use crate::service_provider::ServiceProvider;
use crate::signature::{Bergshamra, SignatureVerifier, Verified};
use crate::signed_info::SignedInfo;
use crate::xml::{self, Comments, Element};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_model::Timestamp;
use std::collections::BTreeSet;

/// How far the Identity Provider's clock may be from ours: at most [`CLOCK_SKEW_MS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockSkew(u32);

impl ClockSkew {
    /// No skew at all.
    pub const ZERO: Self = Self(0);

    /// From milliseconds; `None` beyond [`CLOCK_SKEW_MS_MAX`].
    pub fn from_millis(millis: u32) -> Option<Self> {
        (millis <= CLOCK_SKEW_MS_MAX).then_some(Self(millis))
    }

    pub(crate) const fn millis(self) -> i64 {
        self.0 as i64
    }
}

/// What a response must fit.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The time of the login.
    pub now: Timestamp,
    /// How far the Identity Provider's clock may be from ours.
    pub skew: ClockSkew,
    /// This service.
    pub service_provider: &'a ServiceProvider,
    /// The request of this very browser that waits for an answer, if there is one.
    pub outstanding: Option<&'a MessageId>,
    /// Whether the Identity Provider may send assertions that nobody asked for.
    pub allows_unsolicited: bool,
    /// The authentication contexts that are strong enough: UK Government Authentication Framework Level 2, clause 1.4.1.
    pub authn_contexts: &'a [String],
}

/// Verifies a response as a browser posts it: the form value `SAMLResponse`.
///
/// The caller still has to see to it that [`Assertion::id`] is used once, and that [`Assertion::in_response_to`] is outstanding
/// no longer.
///
/// Errors: why it is not believed; for the log alone.
/// Source: SEC Appendix AH, clauses 1.2 to 1.4.
pub fn verify(
    posted: &str,
    identity_provider: &IdentityProvider,
    anchors: &TrustAnchors,
    expected: &Expected<'_>,
) -> Result<Assertion, Refusal> {
    verify_with(&Bergshamra, posted, identity_provider, anchors, expected)
}

/// [`verify`] by another implementation of XML Signature.
///
/// Errors: as [`verify`].
pub fn verify_with(
    verifier: &dyn SignatureVerifier,
    posted: &str,
    identity_provider: &IdentityProvider,
    anchors: &TrustAnchors,
    expected: &Expected<'_>,
) -> Result<Assertion, Refusal> {
    let document = decoded(posted)?;
    let response = xml::read(&document, Comments::Refused)?;
    let (id, signed) = shape_of(&response)?;
    check_envelope(&response, identity_provider, expected)?;
    let certificates = identity_provider.certificates();
    // Those that hold alone: of two of one key, as after a renewal, the other may be out of its dates.
    let holds = |certificate: &&SigningCertificate| anchors.check(certificate, expected.now).is_ok();
    let holding: Vec<SigningCertificate> = certificates.iter().filter(holds).cloned().collect();
    let verify = |certificates: &[SigningCertificate]| verifier.verify(&document, &signed, certificates);
    let verified = match verify(&holding) {
        Ok(verified) => verified,
        Err(_) => {
            // For the log: perhaps a key signed whose certificate does not hold.
            let other = verify(certificates).map_err(|_| Refusal::Signature)?;
            let certificate = certificates.get(other.certificate).ok_or(Refusal::Signature)?;
            anchors.check(certificate, expected.now)?;
            return Err(Refusal::Signature);
        }
    };
    holding.get(verified.certificate).ok_or(Refusal::Signature)?;
    // From here on the document as it was posted is of no interest.
    let assertion = assertion_of(&verified, &signed)?;
    let assertion = Assertion::of(&assertion, id, identity_provider, expected)?;
    match response.attribute("InResponseTo") {
        answered if answered == assertion.in_response_to.as_ref().map(MessageId::as_str) => Ok(assertion),
        _ => Err(Refusal::InResponseTo),
    }
}

/// The entity id of the Identity Provider that a response says it comes from: the issuer of its one assertion.
///
/// Nothing is verified: it only tells which enrolled Identity Provider to try an unsolicited response with.
///
/// Errors: why there is no telling.
pub fn claimed_issuer(posted: &str) -> Result<String, Refusal> {
    let response = xml::read(&decoded(posted)?, Comments::Refused)?;
    let assertion = response.only_child(names::ASSERTION, "Assertion").ok_or(Refusal::AssertionPlace)?;
    let issuer = assertion.only_child(names::ASSERTION, "Issuer").ok_or(Refusal::Malformed("Issuer"))?;
    Ok(issuer.text()?.to_owned())
}

/// The XML of what was posted. Lines of base64 may be broken.
fn decoded(posted: &str) -> Result<String, Refusal> {
    const TOO_LONG: Refusal = Refusal::TooLong { limit: RESPONSE_BYTES_MAX };
    if posted.len() > POSTED_BYTES_MAX {
        return Err(TOO_LONG);
    }
    let letters: String = posted.chars().filter(|character| !xml::is_space(*character)).collect();
    let bytes = STANDARD.decode(letters).map_err(|_| Refusal::NotBase64)?;
    if bytes.len() > RESPONSE_BYTES_MAX {
        return Err(TOO_LONG);
    }
    let text = String::from_utf8(bytes).map_err(|_| Refusal::NotUtf8)?;
    // A byte order mark is none of the document, and stands outside of all that is signed.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The identifier of the assertion and what its signature says of itself, if the response has the one shape that is accepted:
/// one assertion directly within the response, one signature directly within the assertion.
fn shape_of(response: &Element) -> Result<(MessageId, SignedInfo), Refusal> {
    if !response.is(names::PROTOCOL, "Response") {
        return Err(Refusal::NotAResponse(Excerpt::of(&response.name)));
    }
    let found = Census::of(response)?;
    check_status(response)?;
    if response.children_named(names::SIGNATURE, "Signature").next().is_some() {
        return Err(Refusal::ResponseSigned);
    }
    if found.assertions != 1 {
        return Err(Refusal::Assertions(found.assertions));
    }
    let assertion = response.only_child(names::ASSERTION, "Assertion").ok_or(Refusal::AssertionPlace)?;
    let signature = match found.signatures {
        0 => return Err(Refusal::Unsigned),
        1 => assertion.only_child(names::SIGNATURE, "Signature").ok_or(Refusal::SignaturePlace)?,
        more => return Err(Refusal::Signatures(more)),
    };
    identifier_of(response, "the response")?;
    let id = identifier_of(assertion, "the assertion")?;
    let signed = SignedInfo::of_signature(signature, &id)?;
    Ok((id, signed))
}

/// What there is in the whole document, wherever it stands.
#[derive(Default)]
struct Census<'a> {
    assertions: usize,
    signatures: usize,
    identifiers: BTreeSet<&'a str>,
}

impl<'a> Census<'a> {
    /// Errors: `Encrypted`, `DuplicateIdentifier`.
    fn of(response: &'a Element) -> Result<Self, Refusal> {
        let mut census = Self::default();
        response.walk(&mut |element| census.count(element))?;
        Ok(census)
    }

    fn count(&mut self, element: &'a Element) -> Result<(), Refusal> {
        // By local names: an element in a namespace nobody looks for may still be found by a reader that looks for none.
        if element.space == names::ENCRYPTION || element.name.starts_with("Encrypted") {
            return Err(Refusal::Encrypted(Excerpt::of(&element.name)));
        }
        match element.name.as_str() {
            "Assertion" => self.assertions += 1,
            "Signature" => self.signatures += 1,
            _ => {}
        }
        for attribute in &element.attributes {
            let identifies = attribute.name.eq_ignore_ascii_case("id")
                || attribute.name.eq_ignore_ascii_case("AssertionID");
            if identifies && !self.identifiers.insert(&attribute.value) {
                return Err(Refusal::DuplicateIdentifier(Excerpt::of(&attribute.value)));
            }
        }
        Ok(())
    }
}

fn identifier_of(element: &Element, what: &'static str) -> Result<MessageId, Refusal> {
    let id = element.attribute("ID").unwrap_or_default();
    id.parse().map_err(|_| Refusal::Identifier(what))
}

fn check_status(response: &Element) -> Result<(), Refusal> {
    let status = response.only_child(names::PROTOCOL, "Status").ok_or(Refusal::Malformed("Status"))?;
    let code = status.only_child(names::PROTOCOL, "StatusCode").ok_or(Refusal::Malformed("StatusCode"))?;
    match code.attribute("Value") {
        Some(names::SUCCESS) => Ok(()),
        other => Err(Refusal::Status(Excerpt::of(other.unwrap_or_default()))),
    }
}

/// What the response says around the assertion. None of it is signed: it can only refuse.
fn check_envelope(
    response: &Element,
    identity_provider: &IdentityProvider,
    expected: &Expected<'_>,
) -> Result<(), Refusal> {
    const WHAT: &str = "the response";
    for child in &response.without_text()?.children {
        let known = child.is(names::ASSERTION, "Issuer")
            || child.is(names::PROTOCOL, "Status")
            || child.is(names::ASSERTION, "Assertion");
        if !known {
            return Err(Refusal::Unexpected { element: Excerpt::of(&child.name), parent: WHAT });
        }
    }
    if response.attribute("Version") != Some("2.0") {
        return Err(Refusal::Version(WHAT));
    }
    match response.attribute("Destination") {
        Some(address) if address == expected.service_provider.acs_url() => {}
        other => return Err(Refusal::Destination(Excerpt::of(other.unwrap_or_default()))),
    }
    if response.children_named(names::ASSERTION, "Issuer").next().is_some() {
        check_issuer(response, WHAT, identity_provider)?;
    }
    Ok(())
}

pub(crate) fn check_issuer(
    element: &Element,
    what: &'static str,
    identity_provider: &IdentityProvider,
) -> Result<(), Refusal> {
    let issuer = element.only_child(names::ASSERTION, "Issuer").ok_or(Refusal::Malformed("Issuer"))?;
    let found = issuer.text()?;
    if found == identity_provider.entity_id() {
        Ok(())
    } else {
        Err(Refusal::Issuer { what, found: Excerpt::of(found) })
    }
}

/// The assertion, read from nothing but the bytes that the signature covers.
fn assertion_of(verified: &Verified, signed: &SignedInfo) -> Result<Element, Refusal> {
    // What was demanded of the signature was demanded of the text; now it is of the bytes that were signed.
    let info = canonical(&verified.signed_info)?;
    if SignedInfo::of(&info, signed.reference())? != *signed {
        return Err(Refusal::Differs);
    }
    if digest::digest(&digest::SHA256, &verified.assertion).as_ref() != signed.digest() {
        return Err(Refusal::Differs);
    }
    let assertion = canonical(&verified.assertion)?;
    let same = assertion.is(names::ASSERTION, "Assertion")
        && assertion.attribute("ID") == Some(signed.reference().as_str());
    if same { Ok(assertion) } else { Err(Refusal::Differs) }
}

fn canonical(bytes: &[u8]) -> Result<Element, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NotUtf8)?;
    Ok(xml::read(text, Comments::Refused)?)
}
