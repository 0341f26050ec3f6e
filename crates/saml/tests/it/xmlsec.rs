//! Agreement with `xmlsec1`, an implementation that shares no line with ours.

use crate::it::answer::{Answer, DS, EXCLUSIVE, SAML};
use crate::it::key_infrastructure::{Key, Signer};
use crate::it::{ACS_URL, CONTEXT, ENTITY_ID, ISSUER, Look, REQUEST, WORLD};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_saml::{Assertion, IdentityProvider, Refusal, verify};
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Whether it is installed. If not, the test says so to whoever runs it, past the harness that hides what passes.
fn installed() -> bool {
    let found = Command::new("xmlsec1").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        std::io::stderr()
            .write_all(b"skipped: xmlsec1 is not installed, so nothing is compared with it\n")
            .unwrap();
    }
    found
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn certificate_pem(signer: &Signer) -> String {
    let lines: Vec<String> = STANDARD
        .encode(signer.certificate.der())
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

const ID_ATTRIBUTE: [&str; 2] = ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"];

/// Whether `xmlsec1` finds the signature valid.
fn xmlsec_verifies(xml: &str, signer: &Signer) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let document = write(directory.path(), "response.xml", xml);
    let certificate = write(directory.path(), "certificate.pem", &certificate_pem(signer));
    let output = Command::new("xmlsec1")
        .arg("--verify")
        .args(ID_ATTRIBUTE)
        .args(["--pubkey-cert-pem", &certificate, &document])
        .output()
        .unwrap();
    output.status.success()
}

/// The document, its template of a signature filled in by `xmlsec1`.
fn xmlsec_signs(template: &str, signer: &Signer) -> String {
    let directory = tempfile::tempdir().unwrap();
    let document = write(directory.path(), "template.xml", template);
    let key = write(directory.path(), "key.pem", &signer.private_pem());
    let output = Command::new("xmlsec1")
        .arg("--sign")
        .args(ID_ATTRIBUTE)
        .args(["--privkey-pem", &key, &document])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A login with an Identity Provider of this one signer.
fn login(xml: &str, signer: &Signer) -> Result<Assertion, Refusal> {
    let provider = IdentityProvider::from_metadata(&crate::it::enrolment::metadata(&[signer])).unwrap();
    let posted = STANDARD.encode(xml);
    Look::default().with(|expected| verify(&posted, &provider, &WORLD.anchors, expected))
}

#[test]
fn what_our_identity_provider_signs_verifies_with_xmlsec1() {
    if !installed() {
        return;
    }
    for signer in [&WORLD.rsa, &WORLD.ec] {
        let xml = Answer::default().response(signer);
        assert!(xmlsec_verifies(&xml, signer));
        assert!(login(&xml, signer).is_ok());
        assert!(!xmlsec_verifies(&xml.replace("person-17", "admin"), signer));
    }
}

/// A template of a signature that says everything but digest and value.
fn signature(method: &str, inclusive: &str) -> String {
    let c14n = if inclusive.is_empty() {
        format!(r#"Algorithm="{EXCLUSIVE}"/>"#)
    } else {
        format!(
            r#"Algorithm="{EXCLUSIVE}"><ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{inclusive}"/></ds:Transform>"#
        )
    };
    format!(
        r##"<ds:Signature{DS}>
  <ds:SignedInfo>
    <ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>
    <ds:SignatureMethod Algorithm="{method}"/>
    <ds:Reference URI="#_a-1">
      <ds:Transforms>
        <ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
        <ds:Transform {c14n}
      </ds:Transforms>
      <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>
      <ds:DigestValue/>
    </ds:Reference>
  </ds:SignedInfo>
  <ds:SignatureValue/>
</ds:Signature>"##
    )
}

/// Responses as untidy as Identity Providers write them, with a place for the signature.
fn untidy(signature: &str) -> [String; 3] {
    let persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
    let envelope = format!(
        r#"Version="2.0" Destination="{ACS_URL}" InResponseTo="{REQUEST}" IssueInstant="2026-03-01T10:00:00Z" ID="_r-1""#
    );
    let data =
        format!(r#"Recipient="{ACS_URL}" NotOnOrAfter="2026-03-01T10:05:00Z" InResponseTo="{REQUEST}""#);
    // Prefixes declared far out, attributes in any order, empty elements, references, typed values, lines of Windows.
    let prefixed = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:xs="http://www.w3.org/2001/XMLSchema"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"{SAML} xmlns:unused="urn:example:unused" {envelope}>
  <saml:Issuer>{ISSUER}</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
  <saml:Assertion Version="2.0" IssueInstant='2026-03-01T10:00:00Z' ID = "_a-1"  >
    <saml:Issuer  Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity">{ISSUER}</saml:Issuer>
    {signature}
    <saml:Subject><saml:NameID SPNameQualifier="{ENTITY_ID}" Format="{persistent}">Zo&#xEB; &amp; &lt;Ada&gt; "x" 'y' &#x1F600;</saml:NameID>
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData {data}/></saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotOnOrAfter="2026-03-01T10:05:00Z" NotBefore="2026-03-01T09:55:00Z"><saml:AudienceRestriction><saml:Audience>{ENTITY_ID}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
    <saml:AuthnStatement SessionNotOnOrAfter="2026-03-01T18:00:00Z" SessionIndex="a&#10;b&#9;c&quot;d" AuthnInstant="2026-03-01T09:59:00Z"><saml:AuthnContext><saml:AuthnContextClassRef>{CONTEXT}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>
    <saml:AttributeStatement>
      <saml:Attribute Name="Role name" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><saml:AttributeValue xsi:type="xs:string">role-03</saml:AttributeValue></saml:Attribute>
      <saml:Attribute Name="OrgID"><saml:AttributeValue xsi:type="xs:string" xmlns:other="urn:example:other"/></saml:Attribute>
    </saml:AttributeStatement>
  </saml:Assertion>
</samlp:Response>
"#
    );
    // Default namespaces, declared anew at each step.
    let unprefixed = prefixed
        .replace("<saml:Assertion", r#"<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion""#)
        .replace("</saml:Assertion", "</Assertion")
        .replace("<saml:Subject>", r#"<Subject>"#)
        .replace("</saml:Subject>", "</Subject>")
        .replace("saml:Conditions", "Conditions")
        .replace("saml:Attribute", "Attribute");
    let windows = prefixed.replace('\n', "\r\n");
    [prefixed, unprefixed, windows]
}

#[test]
fn what_xmlsec1_signs_verifies_with_ours_and_means_the_same() {
    if !installed() {
        return;
    }
    let p384 = WORLD.keys.issue(Key::P384, |_| {});
    let (rsa, ecdsa) = (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    );
    for (signer, method) in [(&WORLD.rsa, rsa), (&WORLD.ec, ecdsa), (&p384, ecdsa)] {
        for inclusive in ["", "xs", "xs unused #default", "undeclared"] {
            for template in untidy(&signature(method, inclusive)) {
                let xml = xmlsec_signs(&template, signer);
                let assertion = login(&xml, signer).unwrap_or_else(|refusal| panic!("{refusal:?}\n{xml}"));
                assert_eq!(assertion.name_id, "Zoë & <Ada> \"x\" 'y' 😀");
                assert_eq!(assertion.roles, ["role-03"]);
                assert!(assertion.org_ids.is_empty());
                // Both refuse what was changed.
                let changed = xml.replace("role-03", "role-02");
                assert!(!xmlsec_verifies(&changed, signer));
                assert_eq!(login(&changed, signer), Err(Refusal::Signature));
            }
        }
    }
}

#[test]
fn the_signed_info_may_be_canonicalised_with_inclusive_prefixes() {
    if !installed() {
        return;
    }
    let list = format!(r#"<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="xs unused"/>"#);
    let bare = format!(r#"<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>"#);
    let listing =
        format!(r#"<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}">{list}</ds:CanonicalizationMethod>"#);
    let signature =
        signature("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "").replace(&bare, &listing);
    for template in untidy(&signature) {
        let xml = xmlsec_signs(&template, &WORLD.rsa);
        assert!(login(&xml, &WORLD.rsa).is_ok());
        let changed = xml.replace("urn:example:unused", "urn:example:changed");
        assert!(!xmlsec_verifies(&changed, &WORLD.rsa));
        assert_eq!(login(&changed, &WORLD.rsa), Err(Refusal::Signature));
    }
}

#[test]
fn a_namespace_that_is_used_inclusively_is_signed() {
    if !installed() {
        return;
    }
    let method = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    let [template, ..] = untidy(&signature(method, "unused"));
    let xml = xmlsec_signs(&template, &WORLD.rsa);
    assert!(login(&xml, &WORLD.rsa).is_ok());
    let changed = xml.replace("urn:example:unused", "urn:example:changed");
    assert!(!xmlsec_verifies(&changed, &WORLD.rsa));
    assert_eq!(login(&changed, &WORLD.rsa), Err(Refusal::Signature));
    // Without being named, it is not.
    let [template, ..] = untidy(&signature(method, ""));
    let changed = xmlsec_signs(&template, &WORLD.rsa).replace("urn:example:unused", "urn:example:changed");
    assert!(xmlsec_verifies(&changed, &WORLD.rsa));
    assert!(login(&changed, &WORLD.rsa).is_ok());
}
