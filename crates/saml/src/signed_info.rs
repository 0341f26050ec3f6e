//! The one way of signing that is accepted.
//!
//! XML Signature is a language in which a signature says for itself what it covers and how. Here it may say one thing: the
//! element around me, without me, in exclusive canonical form, by SHA-256. That is demanded before the library that
//! verifies sees the document: it never follows a transform, a pointer or an address of the sender's choice.

use crate::message_id::MessageId;
use crate::names;
use crate::refusal::Excerpt;
use crate::xml::{Element, XmlFault, is_space};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How a signature was made. SHA-256 is demanded by clause 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureMethod {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// ECDSA with SHA-256.
    EcdsaSha256,
}

/// Why a signature is not made as is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedInfoFault {
    /// Parts of it are missing, stand twice or stand where they should not.
    #[error("{0} is missing, stands more than once or is malformed")]
    Malformed(&'static str),
    /// Canonicalised in another way.
    #[error("the canonicalisation is {0}, not exclusive without comments")]
    Canonicalisation(Excerpt),
    /// Another algorithm of signing.
    #[error("the algorithm is {0}, neither RSA nor ECDSA with SHA-256")]
    Method(Excerpt),
    /// Another digest.
    #[error("the digest is {0}, not SHA-256")]
    Digest(Excerpt),
    /// Not exactly one reference.
    #[error("it has {0} references, not one")]
    References(usize),
    /// A reference to anything but the assertion around the signature, by its plain identifier.
    #[error("it refers to {0}, not to the assertion around it")]
    Reference(Excerpt),
    /// Other transforms than the two that are accepted, or in another order.
    #[error("its transforms are not: enveloped signature, then exclusive canonicalisation; found {0}")]
    Transforms(Excerpt),
}

impl From<XmlFault> for SignedInfoFault {
    fn from(_: XmlFault) -> Self {
        Self::Malformed("SignedInfo")
    }
}

/// What a signature says of itself, once it is known to say nothing that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInfo {
    reference: MessageId,
    method: SignatureMethod,
    digest: [u8; 32],
    inclusive_prefixes: Vec<String>,
    own_inclusive_prefixes: Vec<String>,
}

impl SignedInfo {
    /// The identifier of the element that is signed.
    pub const fn reference(&self) -> &MessageId {
        &self.reference
    }

    /// How it is signed.
    pub const fn method(&self) -> SignatureMethod {
        self.method
    }

    /// The SHA-256 digest of its canonical bytes.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The prefixes that its canonical form treats inclusively (`InclusiveNamespaces`).
    pub fn inclusive_prefixes(&self) -> &[String] {
        &self.inclusive_prefixes
    }

    /// The prefixes that the canonical form of the `SignedInfo` itself treats inclusively.
    pub fn own_inclusive_prefixes(&self) -> &[String] {
        &self.own_inclusive_prefixes
    }

    /// From a `Signature` element.
    pub(crate) fn of_signature(signature: &Element, assertion: &MessageId) -> Result<Self, SignedInfoFault> {
        // An Object is where wrapped assertions are hidden, and a second SignedInfo is where second opinions are.
        let [info, value, rest @ ..] = signature.without_text()?.children.as_slice() else {
            return Err(SignedInfoFault::Malformed("Signature"));
        };
        let key_info_at_most = match rest {
            [] => true,
            [key_info] => key_info.is(names::SIGNATURE, "KeyInfo"),
            _ => false,
        };
        if !value.is(names::SIGNATURE, "SignatureValue") || !key_info_at_most {
            return Err(SignedInfoFault::Malformed("Signature"));
        }
        decoded(value).ok_or(SignedInfoFault::Malformed("SignatureValue"))?;
        Self::of(info, assertion)
    }

    /// From a `SignedInfo` element, which must refer to this assertion.
    pub(crate) fn of(info: &Element, assertion: &MessageId) -> Result<Self, SignedInfoFault> {
        if !info.is(names::SIGNATURE, "SignedInfo") {
            return Err(SignedInfoFault::Malformed("SignedInfo"));
        }
        let [canonicalisation, method, references @ ..] = info.without_text()?.children.as_slice() else {
            return Err(SignedInfoFault::Malformed("SignedInfo"));
        };
        if !canonicalisation.is(names::SIGNATURE, "CanonicalizationMethod") {
            return Err(SignedInfoFault::Malformed("CanonicalizationMethod"));
        }
        if algorithm(canonicalisation) != names::EXCLUSIVE_C14N {
            return Err(SignedInfoFault::Canonicalisation(Excerpt::of(algorithm(canonicalisation))));
        }
        let own_inclusive_prefixes = inclusive_prefixes(canonicalisation)
            .ok_or(SignedInfoFault::Malformed("CanonicalizationMethod"))?;
        let method = method_of(method)?;
        let [reference] = references else {
            return Err(SignedInfoFault::References(references.len()));
        };
        let (digest, inclusive_prefixes) = reference_of(reference, assertion)?;
        let reference = assertion.clone();
        Ok(Self { reference, method, digest, inclusive_prefixes, own_inclusive_prefixes })
    }
}

fn algorithm(element: &Element) -> &str {
    element.attribute("Algorithm").unwrap_or_default()
}

fn method_of(method: &Element) -> Result<SignatureMethod, SignedInfoFault> {
    if !method.is(names::SIGNATURE, "SignatureMethod") || !method.children.is_empty() {
        return Err(SignedInfoFault::Malformed("SignatureMethod"));
    }
    match algorithm(method) {
        names::RSA_SHA256 => Ok(SignatureMethod::RsaSha256),
        names::ECDSA_SHA256 => Ok(SignatureMethod::EcdsaSha256),
        other => Err(SignedInfoFault::Method(Excerpt::of(other))),
    }
}

/// The digest and the inclusive prefixes of the reference.
fn reference_of(
    reference: &Element,
    assertion: &MessageId,
) -> Result<([u8; 32], Vec<String>), SignedInfoFault> {
    let malformed = || SignedInfoFault::Malformed("Reference");
    let [transforms, digest_method, digest_value] = reference.without_text()?.children.as_slice() else {
        return Err(malformed());
    };
    let named_right = reference.is(names::SIGNATURE, "Reference")
        && transforms.is(names::SIGNATURE, "Transforms")
        && digest_method.is(names::SIGNATURE, "DigestMethod")
        && digest_value.is(names::SIGNATURE, "DigestValue");
    if !named_right {
        return Err(malformed());
    }
    let uri = reference.attribute("URI").unwrap_or_default();
    if uri.strip_prefix('#') != Some(assertion.as_str()) {
        return Err(SignedInfoFault::Reference(Excerpt::of(uri)));
    }
    let prefixes = prefixes_of(transforms)?;
    if algorithm(digest_method) != names::SHA256 || !digest_method.children.is_empty() {
        return Err(SignedInfoFault::Digest(Excerpt::of(algorithm(digest_method))));
    }
    let digest = decoded(digest_value).and_then(|digest| digest.try_into().ok());
    Ok((digest.ok_or(SignedInfoFault::Malformed("DigestValue"))?, prefixes))
}

/// The inclusive prefixes, if the transforms are the two that are accepted.
fn prefixes_of(transforms: &Element) -> Result<Vec<String>, SignedInfoFault> {
    let found: Vec<&str> = transforms.children.iter().map(algorithm).collect();
    let fault = || SignedInfoFault::Transforms(Excerpt::of(&found.join(", ")));
    let [enveloped, canonical] = transforms.without_text()?.children.as_slice() else {
        return Err(fault());
    };
    let accepted = found == [names::ENVELOPED, names::EXCLUSIVE_C14N]
        && enveloped.is(names::SIGNATURE, "Transform")
        && canonical.is(names::SIGNATURE, "Transform")
        && enveloped.children.is_empty();
    if !accepted {
        return Err(fault());
    }
    inclusive_prefixes(canonical).ok_or_else(fault)
}

/// The `PrefixList` of an exclusive canonicalisation, if there is nothing else within it.
fn inclusive_prefixes(canonicalisation: &Element) -> Option<Vec<String>> {
    match canonicalisation.without_text().ok()?.children.as_slice() {
        [] => Some(Vec::new()),
        [list] if list.is(names::EXCLUSIVE_C14N, "InclusiveNamespaces") && list.children.is_empty() => {
            let prefixes = list.attribute("PrefixList")?;
            Some(prefixes.split(is_space).filter(|prefix| !prefix.is_empty()).map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// The bytes of an element that holds base64, in lines or not.
fn decoded(element: &Element) -> Option<Vec<u8>> {
    let letters: String = element.text().ok()?.chars().filter(|character| !is_space(*character)).collect();
    STANDARD.decode(letters).ok().filter(|bytes| !bytes.is_empty())
}
