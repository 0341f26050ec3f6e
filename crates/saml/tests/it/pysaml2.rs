//! Metadata and responses of an Identity Provider that nobody here wrote: pysaml2 7.5.5.
//!
//! It read the metadata of the service provider of these tests and answered a request of it; what it said is kept under
//! `testdata/pysaml2`, with the key infrastructure that its certificates came from.

use crate::it::{CONTEXT, Look, at};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_model::Timestamp;
use gridtrail_saml::{Assertion, IdentityProvider, Refusal, TrustAnchors, verify};

const RSA: [&str; 2] =
    [include_str!("testdata/pysaml2/rsa-metadata.xml"), include_str!("testdata/pysaml2/rsa-response.xml")];
const ECDSA: [&str; 2] =
    [include_str!("testdata/pysaml2/ec-metadata.xml"), include_str!("testdata/pysaml2/ec-response.xml")];

/// When the responses were made, within a few seconds.
fn then() -> Timestamp {
    at("2026-11-25T00:22:33Z")
}

fn login(metadata: &str, response: &str, now: Timestamp) -> Result<Assertion, Refusal> {
    let anchors = TrustAnchors::new(
        include_bytes!("testdata/pysaml2/root.pem"),
        include_bytes!("testdata/pysaml2/issuing.pem"),
        include_bytes!("testdata/pysaml2/revoked.pem"),
    );
    let anchors = anchors.unwrap();
    let provider = IdentityProvider::enrol(metadata, &anchors, then()).unwrap();
    let posted = STANDARD.encode(response);
    Look::at(now, 0).with(|expected| verify(&posted, &provider, &anchors, expected))
}

#[test]
fn its_responses_are_believed() {
    for [metadata, response] in [RSA, ECDSA] {
        let assertion = login(metadata, response, then()).unwrap();
        assert_eq!(assertion.issuer, "https://idp.pysaml.example/md");
        assert_eq!(assertion.name_id, "person-17");
        assert_eq!(assertion.roles, ["role-03", "role-05"]);
        assert_eq!(assertion.org_ids, ["90-B3-D5-1F-30-01-00-00"]);
        assert_eq!(assertion.authn_context, CONTEXT);
        assert!((assertion.authn_instant.millis() - then().millis()).abs() < 10_000);
    }
}

#[test]
fn its_responses_are_refused_once_they_are_over_changed_or_of_another_key() {
    for [metadata, response] in [RSA, ECDSA] {
        let later = then().plus_millis(16 * 60 * 1000);
        assert!(matches!(login(metadata, response, later), Err(Refusal::Expired { .. })));
        let changed = response.replace("role-05", "role-02");
        assert_eq!(login(metadata, &changed, then()), Err(Refusal::Signature));
    }
    assert_eq!(login(RSA[0], ECDSA[1], then()), Err(Refusal::Signature));
}
