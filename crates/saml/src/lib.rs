//! The service provider's side of SAML 2.0: which assertions are believed, and what they say.
//!
//! Web Browser SSO over HTTP POST, as Smart Energy Code Appendix AH, clauses 1.2 to 1.4, asks for it.
//!
//! - [`ServiceProvider`] writes its metadata, the unsigned `AuthnRequest`, and the form that a browser posts it with.
//! - [`IdentityProvider`] is read from an Identity Provider's metadata, at its enrolment.
//! - [`TrustAnchors`] say whether a signing certificate holds: at enrolment, and again at every login.
//! - [`verify`] turns what a browser posted into an [`Assertion`], or says in a [`Refusal`] why not.
//!
//! **Invariant:** what is verified and what is read are one thing. A response is read twice. The first reading only
//! finds out whether it has the one shape that is accepted. Then a [`SignatureVerifier`] verifies the signature and hands
//! out the canonical bytes that the digest covers; their digest is computed once more, and every fact of the
//! [`Assertion`] comes from those bytes.
//!
//! **Invariant:** no key comes from a response. Only certificates that were enrolled are tried.
//!
//! Left out on purpose: clock, files, network and state. That an assertion is used once, and which requests are
//! outstanding, is for the caller to remember: [`Assertion`] carries what that needs.

mod assertion;
mod certificate;
#[cfg(feature = "fake")]
pub mod fake;
mod identity_provider;
mod limits;
mod message_id;
mod names;
mod post_form;
mod refusal;
mod response;
mod service_provider;
mod signature;
mod signed_info;
mod xml;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_saml;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use assertion::Assertion;
pub use certificate::{CertificateFault, SigningCertificate, TrustAnchors};
pub use identity_provider::{Contact, IdentityProvider, MetadataFault, Organisation};
pub use limits::{
    ASSERTION_LIFE_MS_MAX, CLOCK_SKEW_MS_MAX, METADATA_BYTES_MAX, NAME_ID_BYTES_MAX, ORG_IDS_MAX,
    RESPONSE_BYTES_MAX, ROLES_MAX, SESSION_MS_MAX,
};
pub use message_id::{MessageId, NotAMessageId};
pub use post_form::PostForm;
pub use refusal::{Excerpt, OUTWARD_SENTENCE, Refusal};
pub use response::{ClockSkew, Expected, claimed_issuer, verify, verify_with};
pub use service_provider::{ServiceProvider, ServiceProviderFault};
pub use signature::{Bergshamra, NotVerified, SignatureVerifier, Verified};
pub use signed_info::{SignatureMethod, SignedInfo, SignedInfoFault};
pub use xml::XmlFault;
