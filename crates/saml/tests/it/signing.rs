//! Signatures that are not made in the one way that is accepted, or with keys that are not enrolled.

use crate::it::answer::{Answer, DS, EXCLUSIVE, TRANSFORMS};
use crate::it::key_infrastructure::Key;
use crate::it::naive::{Reading, person};
use crate::it::{Look, WORLD, honest, refused, verify};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_saml::{
    NotVerified, Refusal, SignatureVerifier, SignedInfo, SignedInfoFault, SigningCertificate, Verified,
    verify_with,
};

const WITHOUT_SIGNATURE: &str =
    r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#;

/// An honest answer, signed in another way.
fn signed_with(change: impl FnOnce(&mut Answer)) -> String {
    Answer::with(change).response(&WORLD.rsa)
}

#[test]
fn an_assertion_that_is_not_signed() {
    refused!(Answer::default().around(&Answer::default().unsigned()), Refusal::Unsigned);
}

#[test]
fn an_assertion_that_was_changed_after_it_was_signed() {
    for (from, to) in
        [("person-17", "admin"), ("role-05", "role-02"), ("10:05:00Z", "23:05:00Z"), (CONTEXT_END, "PKIx")]
    {
        let changed = honest().replace(from, to);
        assert_ne!(changed, honest());
        let refusal = crate::it::refusal(&changed);
        assert_eq!(refusal, Refusal::Signature, "{from}");
    }
}

const CONTEXT_END: &str = "SmartcardPKI";

#[test]
fn a_digest_that_was_made_to_fit_the_change() {
    // The digest fits, but the signature of the SignedInfo does not.
    let forged = Answer::evil();
    let honest_value = Answer::default().signature(&WORLD.rsa);
    let value = &honest_value[honest_value.find("<ds:SignatureValue>").unwrap()..];
    let own = forged.signature(&WORLD.stranger);
    let info = &own[..own.find("<ds:SignatureValue>").unwrap()];
    refused!(forged.around(&forged.carrying(&format!("{info}{value}"))), Refusal::Signature);
}

#[test]
fn a_key_of_somebody_else_swapped_in_through_key_info() {
    let certificate = STANDARD.encode(WORLD.stranger.certificate.der());
    let key_info = format!(
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    );
    let forged = Answer { key_info, ..Answer::evil() }.response(&WORLD.stranger);
    // A service that takes keys from the document believes it.
    let context = bergshamra_dsig::DsigContext::new_permissive(bergshamra_keys::KeysManager::new());
    assert!(bergshamra_dsig::verify::verify(&context, &forged).unwrap().is_valid(), "the attack is none");
    refused!(forged, Refusal::Signature);
}

#[test]
fn a_key_info_beside_an_honest_signature_does_not_matter() {
    let certificate = STANDARD.encode(WORLD.stranger.certificate.der());
    for key_info in [
        "<ds:KeyInfo><ds:KeyName>1</ds:KeyName></ds:KeyInfo>".to_owned(),
        format!(
            "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        ),
    ] {
        assert!(verify(&signed_with(|answer| answer.key_info = key_info)).is_ok());
    }
}

#[test]
fn a_stranger_with_a_good_certificate_that_is_not_enrolled() {
    refused!(Answer::default().response(&WORLD.stranger), Refusal::Signature);
}

#[test]
fn an_hmac_with_the_public_key() {
    let answer =
        Answer { method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".into(), ..Answer::evil() };
    for secret in [WORLD.rsa.public_pem().into_bytes(), WORLD.rsa.certificate.der().to_vec()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signature = answer.signature_over(
            answer.unsigned().as_bytes(),
            |bytes| hmac::sign(&key, bytes).as_ref().to_vec(),
            Key::Rsa,
        );
        refused!(
            answer.around(&answer.carrying(&signature)),
            Refusal::SignedInfo(SignedInfoFault::Method(_))
        );
    }
}

#[test]
fn weak_and_other_algorithms_of_signing() {
    for method in [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        "http://www.w3.org/2007/05/xmldsig-more#rsa-pss",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "",
        "HTTP://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ] {
        let xml = honest().replace("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", method);
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Method(_)));
    }
}

#[test]
fn weak_and_other_digests() {
    for digest in [
        "http://www.w3.org/2000/09/xmldsig#sha1",
        "http://www.w3.org/2001/04/xmldsig-more#md5",
        "http://www.w3.org/2001/04/xmlenc#sha512",
        "",
    ] {
        let xml = signed_with(|answer| answer.digest_method = digest.into());
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Digest(_)));
    }
}

#[test]
fn the_algorithm_of_the_other_key() {
    // The key decides, not the name of an algorithm: an RSA signature that calls itself ECDSA fits no key.
    let xml =
        signed_with(|answer| answer.method = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256".into());
    refused!(xml, Refusal::Signature);
}

#[test]
fn an_xpointer_as_reference() {
    for uri in ["#xpointer(id('_assertion-1'))", "#xpointer(/)", "#xpointer(//*[@ID='_assertion-1'])"] {
        let xml = signed_with(|answer| answer.uri = Some(uri.into()));
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Reference(_)));
    }
    // The first of them does verify.
    let xml = signed_with(|answer| answer.uri = Some("#xpointer(id('_assertion-1'))".into()));
    assert_eq!(person(&xml, Reading::FirstChild).as_deref(), Some("person-17"));
}

#[test]
fn an_element_scheme_as_reference() {
    for uri in ["#element(/1/3)", "#element(_assertion-1)"] {
        let xml = signed_with(|answer| answer.uri = Some(uri.into()));
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Reference(_)));
    }
}

#[test]
fn an_empty_reference_on_a_nested_assertion() {
    // It means the whole document: the response, not the assertion that is read.
    let answer = Answer::with(|answer| answer.uri = Some(String::new()));
    refused!(answer.response(&WORLD.rsa), Refusal::SignedInfo(SignedInfoFault::Reference(_)));
    let absent = honest().replace(r##" URI="#_assertion-1""##, "");
    refused!(absent, Refusal::SignedInfo(SignedInfoFault::Reference(_)));
}

#[test]
fn a_reference_to_anything_else() {
    for uri in [
        "#",
        "#_response-1",
        "##_assertion-1",
        "#_ASSERTION-1",
        " #_assertion-1",
        "_assertion-1",
        "#_assertion-1 ",
        "file:///etc/passwd",
        "http://evil.example/x",
        "Cargo.toml",
        "cid:x",
    ] {
        let xml = signed_with(|answer| answer.uri = Some(uri.into()));
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Reference(_)));
    }
}

#[test]
fn two_references_and_none() {
    let xml = honest();
    let start = xml.find("<ds:Reference").unwrap();
    let end = xml.find("</ds:SignedInfo>").unwrap();
    let reference = &xml[start..end];
    let twice = xml.replace(reference, &format!("{reference}{reference}"));
    refused!(twice, Refusal::SignedInfo(SignedInfoFault::References(2)));
    refused!(xml.replace(reference, ""), Refusal::SignedInfo(SignedInfoFault::References(0)));
}

#[test]
fn an_xpath_transform() {
    let xpath = r#"<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>"#;
    for transforms in [
        format!("{xpath}{TRANSFORMS}"),
        format!("{TRANSFORMS}{xpath}"),
        TRANSFORMS.replacen(WITHOUT_SIGNATURE, xpath, 1),
    ] {
        let xml = signed_with(|answer| answer.transforms = transforms);
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Transforms(_)));
    }
}

#[test]
fn an_xslt_transform() {
    let xslt = r#"<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"><xsl:template match="/"><xsl:copy-of select="document('file:///etc/passwd')"></xsl:copy-of></xsl:template></xsl:stylesheet></ds:Transform>"#;
    let xml = signed_with(|answer| answer.transforms = format!("{TRANSFORMS}{xslt}"));
    refused!(xml, Refusal::SignedInfo(SignedInfoFault::Transforms(_)));
}

#[test]
fn transforms_missing_or_in_another_order() {
    let (_, canonical) = TRANSFORMS.split_at(WITHOUT_SIGNATURE.len());
    for transforms in [
        String::new(),
        WITHOUT_SIGNATURE.to_owned(),
        canonical.to_owned(),
        format!("{canonical}{WITHOUT_SIGNATURE}"),
        format!("{TRANSFORMS}{canonical}"),
        TRANSFORMS.replace(EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        TRANSFORMS
            .replace("ds:Transform ", "ds:Transform x=\"\" ")
            .replace("></ds:Transform>", "><ds:XPath></ds:XPath></ds:Transform>"),
    ] {
        let xml = signed_with(|answer| answer.transforms = transforms);
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Transforms(_)));
    }
}

#[test]
fn canonicalisation_with_comments_and_inclusive_canonicalisation() {
    let others = [
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
    ];
    for other in others {
        let of_assertion = signed_with(|answer| answer.transforms = TRANSFORMS.replace(EXCLUSIVE, other));
        refused!(of_assertion, Refusal::SignedInfo(SignedInfoFault::Transforms(_)));
        let of_info = signed_with(|answer| answer.canonicalisation = other.into());
        refused!(of_info, Refusal::SignedInfo(SignedInfoFault::Canonicalisation(_)));
    }
}

#[test]
fn a_signature_on_the_response() {
    let signature = Answer::with(|answer| answer.uri = Some("#_response-1".into())).signature(&WORLD.rsa);
    for content in
        [signature.clone() + &Answer::default().signed(&WORLD.rsa), Answer::default().unsigned() + &signature]
    {
        refused!(Answer::default().around(&content), Refusal::ResponseSigned);
    }
}

#[test]
fn a_signature_elsewhere_in_the_assertion() {
    let signature = Answer::default().signature(&WORLD.rsa);
    let answer = Answer::with(|answer| answer.more = format!("<saml:Advice>{signature}</saml:Advice>"));
    refused!(answer.around(&answer.unsigned()), Refusal::SignaturePlace);
}

#[test]
fn two_signatures_of_one_assertion() {
    let both = Answer::default().signature(&WORLD.rsa) + &Answer::default().signature(&WORLD.ec);
    refused!(Answer::default().around(&Answer::default().carrying(&both)), Refusal::Signatures(2));
}

#[test]
fn two_signed_infos_and_other_disorder_within_the_signature() {
    let xml = honest();
    let info = &xml[xml.find("<ds:SignedInfo>").unwrap()..xml.find("<ds:SignatureValue>").unwrap()];
    let value = &xml[xml.find("<ds:SignatureValue>").unwrap()..xml.find("</ds:Signature>").unwrap()];
    for disorder in [
        format!("{info}{info}{value}"),
        format!("{value}{info}"),
        info.to_owned(),
        value.to_owned(),
        format!("{info}{value}{value}"),
        format!("{info}<ds:SignatureValue></ds:SignatureValue>"),
        format!("{info}<ds:SignatureValue>%</ds:SignatureValue>"),
        format!("<ds:Object></ds:Object>{info}{value}"),
    ] {
        let xml = xml.replace(&format!("{info}{value}"), &disorder);
        refused!(xml, Refusal::SignedInfo(SignedInfoFault::Malformed(_)));
    }
}

#[test]
fn a_signature_of_nothing() {
    // What a canonicaliser that failed has signed: the digest of the empty text (void canonicalisation).
    let forged = Answer::evil();
    let signature = forged.signature_over(b"", |bytes| WORLD.rsa.sign(bytes), WORLD.rsa.kind);
    refused!(forged.around(&forged.carrying(&signature)), Refusal::Signature);
}

#[test]
fn a_signature_in_another_namespace_is_counted_but_none() {
    let xml = honest().replace(DS, r#" xmlns:ds="urn:example:any""#);
    refused!(xml, Refusal::SignaturePlace);
}

/// A verifier that is wrong about what was digested.
#[derive(Debug)]
struct Lying(fn(&mut Verified));

impl SignatureVerifier for Lying {
    fn verify(
        &self,
        document: &str,
        signed: &SignedInfo,
        certificates: &[SigningCertificate],
    ) -> Result<Verified, NotVerified> {
        let mut verified = gridtrail_saml::Bergshamra.verify(document, signed, certificates)?;
        (self.0)(&mut verified);
        Ok(verified)
    }
}

#[test]
fn bytes_that_the_digest_does_not_cover_are_not_read() {
    let lies: [fn(&mut Verified); 4] = [
        |verified| verified.assertion = Answer::evil().unsigned().into_bytes(),
        |verified| verified.assertion.push(b' '),
        |verified| verified.assertion.clear(),
        |verified| {
            let info = String::from_utf8(verified.signed_info.clone()).unwrap();
            let digest = info.find("<ds:DigestValue>").unwrap() + "<ds:DigestValue>".len();
            verified.signed_info =
                format!("{}{}{}", &info[..digest], STANDARD.encode([7; 32]), &info[digest + 44..])
                    .into_bytes();
        },
    ];
    for lie in lies {
        let result = Look::default().with(|expected| {
            let posted = STANDARD.encode(honest());
            verify_with(&Lying(lie), &posted, &WORLD.provider, &WORLD.anchors, expected)
        });
        assert_eq!(result.unwrap_err(), Refusal::Differs);
    }
}
