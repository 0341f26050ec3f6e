//! Metadata of Identity Providers: what is read, and what is refused.

use crate::it::key_infrastructure::Signer;
use crate::it::{ISSUER, WORLD, at, now};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_saml::fake::{self, SSO_URL, key};
use gridtrail_saml::{IdentityProvider, METADATA_BYTES_MAX, MetadataFault, XmlFault};

/// Metadata as an Identity Provider exports them.
pub(crate) fn metadata(signers: &[&Signer]) -> String {
    fake::metadata(ISSUER, signers)
}

fn good() -> String {
    metadata(&[&WORLD.rsa])
}

fn enrol(metadata: &str) -> Result<IdentityProvider, MetadataFault> {
    IdentityProvider::enrol(metadata, &WORLD.anchors, now())
}

/// The reason for which metadata are refused in which a text was replaced, as it must be found.
#[track_caller]
fn fault(from: &str, to: &str) -> MetadataFault {
    let changed = good().replace(from, to);
    assert_ne!(changed, good(), "{from} is not in the metadata");
    enrol(&changed).expect_err("the metadata are accepted")
}

#[test]
fn metadata_say_who_it_is_where_it_is_and_whom_to_call() {
    let provider = enrol(&metadata(&[&WORLD.rsa, &WORLD.ec])).unwrap();
    assert_eq!(provider.entity_id(), ISSUER);
    assert_eq!(provider.sso_url(), SSO_URL);
    assert_eq!(provider.certificates(), [WORLD.rsa.certificate.clone(), WORLD.ec.certificate.clone()]);
    let [contact] = provider.contacts() else { panic!("one contact") };
    assert_eq!(contact.kind, "technical");
    assert_eq!(contact.name.as_deref(), Some("Ada Byron"));
    assert_eq!(contact.email, ["idp@supplier.example"]);
    assert_eq!(contact.telephone, ["+44 20 7946 0000"]);
    let shown = format!("{provider:?}");
    assert!(!["Ada", "idp@", "7946"].iter().any(|part| shown.contains(part)), "{shown}");
    let organisation = provider.organisation().unwrap();
    assert_eq!(organisation.name, "Supplier & Co");
    assert_eq!(organisation.url.as_deref(), Some("https://supplier.example"));
}

#[test]
fn a_key_without_a_use_signs_and_one_for_encryption_does_not() {
    let unnamed = good().replace(r#" use="signing""#, "");
    assert_eq!(enrol(&unnamed).unwrap().certificates().len(), 1);
    let both = good().replace(
        "<md:NameIDFormat>",
        &(key(r#" use="encryption""#, b"no certificate at all") + "<md:NameIDFormat>"),
    );
    assert_eq!(enrol(&both).unwrap().certificates().len(), 1);
    let twice = metadata(&[&WORLD.rsa, &WORLD.rsa]);
    assert_eq!(enrol(&twice).unwrap().certificates().len(), 1);
}

#[test]
fn metadata_without_an_address() {
    let post = "bindings:HTTP-POST";
    assert_eq!(fault(post, "bindings:SOAP"), MetadataFault::SsoUrls(0));
    assert_eq!(fault("bindings:HTTP-Redirect", post), MetadataFault::SsoUrls(2));
    assert!(matches!(fault(SSO_URL, ""), MetadataFault::SsoUrlNotSecure(_)));
}

#[test]
fn an_address_that_is_not_https() {
    for url in [
        "http://idp.supplier.example/sso",
        "HTTPS://",
        "https://",
        "javascript:alert(1)",
        "/sso",
        "https//x",
        " https://x",
        " http://127.0.0.1/sso",
        "http://localhost.evil.example/sso",
        "http://127.0.0.1@evil.example/sso",
    ] {
        assert!(matches!(fault(SSO_URL, url), MetadataFault::SsoUrlNotSecure(_)), "{url}");
    }
}

#[test]
fn an_address_of_this_machine_may_be_http() {
    for url in ["http://127.0.0.1:8999/sso", "http://localhost/sso", "http://[::1]:1/"] {
        let there = good().replace(SSO_URL, url);
        assert_eq!(enrol(&there).unwrap().sso_url(), url);
    }
}

#[test]
fn metadata_without_contact_details() {
    let person = good();
    let person =
        &person[person.find("<md:ContactPerson").unwrap()..person.find("</md:EntityDescriptor>").unwrap()];
    assert_eq!(fault(person, ""), MetadataFault::NoContact);
    let nameless =
        r#"<md:ContactPerson contactType="technical"><md:GivenName>Ada</md:GivenName></md:ContactPerson>"#;
    assert_eq!(fault(person, nameless), MetadataFault::NoContact);
    let empty = r#"<md:ContactPerson contactType="technical"><md:EmailAddress> </md:EmailAddress></md:ContactPerson>"#;
    assert_eq!(fault(person, empty), MetadataFault::NoContact);
    let telephone = r#"<md:ContactPerson contactType="support"><md:TelephoneNumber>1</md:TelephoneNumber></md:ContactPerson>"#;
    assert!(enrol(&good().replace(person, telephone)).is_ok());
}

#[test]
fn metadata_with_a_document_type_declaration() {
    let doctype = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><md:EntityDescriptor"#;
    assert!(matches!(fault("<md:EntityDescriptor", doctype), MetadataFault::Xml(XmlFault::Forbidden(_))));
    assert!(matches!(fault("Ada", "&e;"), MetadataFault::Xml(XmlFault::Forbidden(_))));
}

#[test]
fn several_entities() {
    let entity = good();
    let entity = &entity[entity.find("<md:EntityDescriptor").unwrap()..];
    let several = format!(
        r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{entity}{entity}</md:EntitiesDescriptor>"#
    );
    assert!(matches!(enrol(&several), Err(MetadataFault::NotOneEntity(_))));
    let one = format!(
        r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{entity}</md:EntitiesDescriptor>"#
    );
    assert!(matches!(enrol(&one), Err(MetadataFault::NotOneEntity(_))));
    let nested = fault("<md:Organization>", &format!("{entity}<md:Organization>"));
    assert!(matches!(nested, MetadataFault::NotOneEntity(_)));
    assert!(matches!(enrol(&(good() + entity)), Err(MetadataFault::Xml(_))));
}

#[test]
fn an_entity_that_is_no_identity_provider() {
    assert_eq!(fault("IDPSSODescriptor", "SPSSODescriptor"), MetadataFault::NotAnIdentityProvider);
    assert_eq!(fault("SAML:2.0:protocol", "SAML:1.1:protocol"), MetadataFault::NotAnIdentityProvider);
    let role = good();
    let role = &role[role.find("<md:IDPSSODescriptor").unwrap()..role.find("<md:Organization>").unwrap()];
    assert_eq!(fault(role, &role.repeat(2)), MetadataFault::NotAnIdentityProvider);
}

#[test]
fn an_identity_provider_that_wants_signed_requests() {
    for wanting in ["true", "1"] {
        let to = format!(r#"WantAuthnRequestsSigned="{wanting}""#);
        assert_eq!(fault(r#"WantAuthnRequestsSigned="false""#, &to), MetadataFault::WantsSignedRequests);
    }
}

#[test]
fn metadata_without_a_signing_certificate() {
    assert_eq!(fault(r#"use="signing""#, r#"use="encryption""#), MetadataFault::NoCertificate);
    assert_eq!(fault("X509Certificate>", "X509SKI>"), MetadataFault::Malformed("X509Certificate"));
    assert!(matches!(enrol(&metadata(&[])), Err(MetadataFault::NoCertificate)));
}

#[test]
fn certificates_that_are_none_or_too_many() {
    let encoded = STANDARD.encode(b"no certificate");
    let broken = key("", b"no certificate");
    assert!(broken.contains(&encoded));
    assert!(matches!(
        fault("<md:NameIDFormat>", &format!("{broken}<md:NameIDFormat>")),
        MetadataFault::Certificate(_)
    ));
    let garbage = broken.replace(&encoded, "%%%");
    assert_eq!(
        fault("<md:NameIDFormat>", &format!("{garbage}<md:NameIDFormat>")),
        MetadataFault::Malformed("X509Certificate")
    );
    let signers: Vec<Signer> =
        (0..7).map(|_| WORLD.keys.issue(crate::it::key_infrastructure::Key::P256, |_| {})).collect();
    let all: Vec<&Signer> = signers.iter().collect();
    assert_eq!(enrol(&metadata(&all)), Err(MetadataFault::TooManyCertificates));
    assert!(enrol(&metadata(&all[1..])).is_ok());
}

#[test]
fn an_entity_id_that_is_none() {
    for id in ["", "a b", "a&#xA;b", &"x".repeat(1025)] {
        assert_eq!(
            fault(&format!(r#"entityID="{ISSUER}""#), &format!(r#"entityID="{id}""#)),
            MetadataFault::Malformed("entityID")
        );
    }
}

#[test]
fn metadata_that_are_out_of_date_or_too_long() {
    let until = |time: &str| {
        good().replace("<md:IDPSSODescriptor ", &format!(r#"<md:IDPSSODescriptor validUntil="{time}" "#))
    };
    assert_eq!(
        enrol(&until("2026-03-01T10:00:00Z")),
        Err(MetadataFault::Expired(at("2026-03-01T10:00:00Z")))
    );
    assert!(enrol(&until("2026-03-01T10:00:00.001Z")).is_ok());
    assert_eq!(enrol(&until("tomorrow")), Err(MetadataFault::Malformed("validUntil")));
    let long = good() + &" ".repeat(METADATA_BYTES_MAX);
    assert_eq!(enrol(&long), Err(MetadataFault::TooLong));
}
