//! Verifying a signature, and getting at the very bytes that it covers.

use crate::certificate::SigningCertificate;
use crate::signed_info::SignedInfo;
use bergshamra_c14n::C14nMode;
use bergshamra_dsig::{DsigContext, VerifyResult};
use bergshamra_keys::{KeysManager, loader};
use bergshamra_xml::{Document, NodeId, NodeSet, uppsala};
use std::fmt;

/// A signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct NotVerified;

/// What a verified signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which of the certificates verified it, counted from 0.
    pub certificate: usize,
    /// The canonical `SignedInfo`: the bytes that were signed.
    pub signed_info: Vec<u8>,
    /// The canonical assertion without its signature: the bytes that were digested.
    pub assertion: Vec<u8>,
}

/// An implementation of XML Signature.
///
/// It is given documents with one signature that says of itself what `signed` holds. It must try no key but those of the
/// certificates, and hand out the bytes that it digested, not others made like them: they are what is read.
pub trait SignatureVerifier: fmt::Debug {
    /// Verifies the signature in the document.
    ///
    /// Errors: [`NotVerified`] for whatever reason.
    fn verify(
        &self,
        document: &str,
        signed: &SignedInfo,
        certificates: &[SigningCertificate],
    ) -> Result<Verified, NotVerified>;
}

/// XML Signature by the `bergshamra` crates, with aws-lc below them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bergshamra;

impl SignatureVerifier for Bergshamra {
    fn verify(
        &self,
        document: &str,
        signed: &SignedInfo,
        certificates: &[SigningCertificate],
    ) -> Result<Verified, NotVerified> {
        let tree = uppsala::parse(document).map_err(|_| NotVerified)?;
        // Its defaults: keys of the manager only, and a reference to nothing but what surrounds the signature.
        let context = DsigContext::new(keys_of(certificates)?);
        let result = bergshamra_dsig::verify::verify_document_with_source(&context, &tree, Some(document));
        let Ok(VerifyResult::Valid { signature_node, references, key_info, .. }) = result else {
            return Err(NotVerified);
        };
        let [reference] = references.as_slice() else { return Err(NotVerified) };
        let assertion = reference.resolved_node.ok_or(NotVerified)?;
        // What our own reader found out about places is asked of the library's tree once more.
        let in_place = reference.digest_verified
            && tree.parent(signature_node) == Some(assertion)
            && tree.parent(assertion) == tree.document_element();
        if !in_place {
            return Err(NotVerified);
        }
        Ok(Verified {
            certificate: key_info.key_name.and_then(|name| name.parse().ok()).ok_or(NotVerified)?,
            signed_info: signed_info_bytes(&tree, signature_node, signed.own_inclusive_prefixes())?,
            assertion: assertion_bytes(&tree, assertion, signature_node, signed.inclusive_prefixes())?,
        })
    }
}

/// The keys of the certificates, each named by its place. What names and certificates a `KeyInfo` holds can only change
/// the order in which they are tried.
fn keys_of(certificates: &[SigningCertificate]) -> Result<KeysManager, NotVerified> {
    let mut keys = KeysManager::new();
    for (place, certificate) in certificates.iter().enumerate() {
        let key = loader::load_x509_cert_der(certificate.der()).map_err(|_| NotVerified)?;
        keys.add_key(key.with_name(place.to_string()));
    }
    Ok(keys)
}

fn assertion_bytes(
    tree: &Document<'_>,
    assertion: NodeId,
    signature: NodeId,
    inclusive_prefixes: &[String],
) -> Result<Vec<u8>, NotVerified> {
    let mut covered = NodeSet::tree_without_comments(assertion, tree);
    covered.remove_id(signature);
    for node in tree.descendants(signature) {
        covered.remove_id(node);
    }
    bergshamra_c14n::canonicalize_doc(tree, C14nMode::Exclusive, Some(&covered), inclusive_prefixes)
        .map_err(|_| NotVerified)
}

fn signed_info_bytes(
    tree: &Document<'_>,
    signature: NodeId,
    inclusive_prefixes: &[String],
) -> Result<Vec<u8>, NotVerified> {
    let mut infos = tree.children_iter(signature).filter(|child| {
        tree.element(*child).is_some_and(|element| &*element.name.local_name == "SignedInfo")
    });
    let (Some(info), None) = (infos.next(), infos.next()) else { return Err(NotVerified) };
    let covered = NodeSet::tree_without_comments(info, tree);
    bergshamra_c14n::canonicalize_doc(tree, C14nMode::Exclusive, Some(&covered), inclusive_prefixes)
        .map_err(|_| NotVerified)
}
