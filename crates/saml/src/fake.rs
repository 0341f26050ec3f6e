//! An Identity Provider of the tests, and the key infrastructure that its certificates come from.
//!
//! For the tests of this crate and of those above it; never in a shipped binary.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, in its helpers too"
)]

pub mod answer;
pub mod key_infrastructure;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use key_infrastructure::Signer;

/// The unique ID of the service provider of the tests.
pub const ENTITY_ID: &str = "https://ssi.example/saml/metadata";
/// Where it takes responses.
pub const ACS_URL: &str = "https://ssi.example/saml/acs";
/// The Identity Provider of the tests.
pub const ISSUER: &str = "https://idp.supplier.example/saml";
/// Where it takes requests.
pub const SSO_URL: &str = "https://idp.supplier.example/sso";
/// How it authenticates people.
pub const CONTEXT: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI";
/// The request that an [`answer::Answer`] answers, unless it is told another.
pub const REQUEST: &str = "_request-1";

/// The metadata of an Identity Provider with these keys, as an administrator would export them.
pub fn metadata(entity_id: &str, signers: &[&Signer]) -> String {
    let keys: String =
        signers.iter().map(|signer| key(r#" use="signing""#, signer.certificate.der())).collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Exported for the DCC. -->
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{entity_id}">
  <md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    {keys}
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.supplier.example/redirect"/>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{SSO_URL}"/>
  </md:IDPSSODescriptor>
  <md:Organization>
    <md:OrganizationName xml:lang="en">Supplier &amp; Co</md:OrganizationName>
    <md:OrganizationDisplayName xml:lang="en">Supplier</md:OrganizationDisplayName>
    <md:OrganizationURL xml:lang="en">https://supplier.example</md:OrganizationURL>
  </md:Organization>
  <md:ContactPerson contactType="technical">
    <md:GivenName>Ada</md:GivenName><md:SurName>Byron</md:SurName>
    <md:EmailAddress>mailto:idp@supplier.example</md:EmailAddress>
    <md:TelephoneNumber>+44 20 7946 0000</md:TelephoneNumber>
  </md:ContactPerson>
</md:EntityDescriptor>
"#
    )
}

/// A key as metadata name it.
pub fn key(usage: &str, der: &[u8]) -> String {
    let lines: Vec<String> = STANDARD
        .encode(der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "<md:KeyDescriptor{usage}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
        lines.join("\n")
    )
}
