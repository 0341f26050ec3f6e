//! Signature wrapping: what is signed stays in the document, and something else is read.
//!
//! The eight classic forms have their numbers from "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others,
//! 2012). Each attack is shown to succeed against a careless service; to be refused for its shape; and, had the shape not been
//! looked at, to yield nothing but the honest assertion.

use crate::it::answer::{Answer, DS, SAML};
use crate::it::naive::{Reading, person};
use crate::it::{Look, WORLD, honest, refused, verify};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_saml::{
    Bergshamra, NotVerified, Refusal, SignatureVerifier, SignedInfo, SigningCertificate, Verified,
    verify_with,
};

/// An honest response of an Identity Provider that signs the response, too, against clause 1.4.4.
fn signed_response(id: &str) -> String {
    let unsigned = Answer::default().around(&Answer::default().unsigned()).replace("_response-1", id);
    // Exclusive canonical form: attributes in order, and namespaces first.
    let canonical = canonical_response(&unsigned);
    let answer = Answer::with(|answer| answer.id = id.into());
    let signature =
        answer.signature_over(canonical.as_bytes(), |bytes| WORLD.rsa.sign(bytes), WORLD.rsa.kind);
    canonical.replacen("<saml:Issuer", &format!("{signature}<saml:Issuer"), 1)
}

fn canonical_response(xml: &str) -> String {
    let tree = bergshamra_xml::uppsala::parse(xml).unwrap();
    let mode = bergshamra_c14n::C14nMode::Exclusive;
    String::from_utf8(bergshamra_c14n::canonicalize_doc::<&str>(&tree, mode, None, &[]).unwrap()).unwrap()
}

/// Verifies another document than the one whose shape was found to be right.
#[derive(Debug)]
struct Switched(String);

impl SignatureVerifier for Switched {
    fn verify(
        &self,
        _: &str,
        signed: &SignedInfo,
        certificates: &[SigningCertificate],
    ) -> Result<Verified, NotVerified> {
        Bergshamra.verify(&self.0, signed, certificates)
    }
}

/// Demands that even a verifier that is handed the wrapped document comes up with the honest assertion or with nothing.
#[track_caller]
fn yields_nothing_else(wrapped: String) {
    let look = Look::default();
    let result = look.with(|expected| {
        let posted = STANDARD.encode(honest());
        verify_with(&Switched(wrapped), &posted, &WORLD.provider, &WORLD.anchors, expected)
    });
    match result {
        Ok(assertion) => assert_eq!(assertion, verify(&honest()).unwrap()),
        Err(Refusal::Signature) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[track_caller]
fn fools_the_careless(wrapped: &str, reading: Reading) {
    assert_eq!(person(wrapped, reading).as_deref(), Some("admin"), "the attack is none");
}

fn evil() -> String {
    Answer::evil().unsigned()
}

fn original() -> String {
    Answer::default().signed(&WORLD.rsa)
}

/// Puts something before the end tag of an assertion.
fn within(assertion: &str, content: &str) -> String {
    let open = assertion.strip_suffix("</saml:Assertion>").unwrap();
    format!("{open}{content}</saml:Assertion>")
}

#[test]
fn xsw1_a_forged_response_around_the_signed_one() {
    let signed = signed_response("_response-1");
    let start = signed.find("<ds:Signature").unwrap();
    let end = signed.find("</ds:Signature>").unwrap();
    let signature = &signed[start..end];
    let bare = signed.replacen(&format!("{signature}</ds:Signature>"), "", 1);
    let wrapped = Answer::default()
        .around(&format!("{signature}<ds:Object>{bare}</ds:Object></ds:Signature>{}", evil()))
        .replacen("_response-1", "_forged", 1);
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::ResponseSigned);
    yields_nothing_else(wrapped);
}

#[test]
fn xsw2_a_forged_response_beside_the_signed_one() {
    let signed = signed_response("_response-1");
    let start = signed.find("<ds:Signature").unwrap();
    let end = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let signature = signed[start..end].to_owned();
    let bare = signed.replacen(&signature, "", 1);
    let wrapped = Answer::default().around(&format!("{bare}{signature}{}", evil())).replacen(
        "_response-1",
        "_forged",
        1,
    );
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::ResponseSigned);
    yields_nothing_else(wrapped);
}

#[test]
fn xsw3_a_forged_assertion_before_the_signed_one() {
    let wrapped = Answer::default().around(&(evil() + &original()));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn xsw4_a_forged_assertion_around_the_signed_one() {
    let wrapped = Answer::default().around(&within(&evil(), &original()));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn xsw5_the_signature_moved_into_a_forged_assertion() {
    let forged = Answer::evil().carrying(&Answer::default().signature(&WORLD.rsa));
    let wrapped = Answer::default().around(&(forged + &Answer::default().unsigned()));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn xsw6_the_signed_assertion_within_the_signature_of_a_forged_one() {
    let hidden = Answer::default()
        .signature(&WORLD.rsa)
        .replace("</ds:Signature>", &format!("{}</ds:Signature>", Answer::default().unsigned()));
    let wrapped = Answer::default().around(&Answer::evil().carrying(&hidden));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn xsw7_a_forged_assertion_within_extensions() {
    let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", evil());
    let wrapped = Answer::default().around(&(extensions + &original()));
    fools_the_careless(&wrapped, Reading::FirstAnywhere);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn xsw8_the_signed_assertion_within_an_object_of_the_signature() {
    let object = format!("<ds:Object>{}</ds:Object></ds:Signature>", Answer::default().unsigned());
    let hidden = Answer::default().signature(&WORLD.rsa).replace("</ds:Signature>", &object);
    let wrapped = Answer::default().around(&Answer::evil().carrying(&hidden));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn a_signed_assertion_hidden_in_extensions() {
    let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", original());
    let wrapped = Answer::default().around(&(extensions.clone() + &evil()));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
    // Alone, it is not where an assertion belongs.
    refused!(Answer::default().around(&extensions), Refusal::AssertionPlace);
}

#[test]
fn a_signed_assertion_hidden_in_an_object() {
    // The object stands in a signature of the forged assertion, and holds the signed one with its own signature.
    let hidden = format!("<ds:Signature{DS}><ds:Object>{}</ds:Object></ds:Signature>", original());
    refused!(Answer::default().around(&Answer::evil().carrying(&hidden)), Refusal::Assertions(2));
    // An object of the honest signature may hold nothing at all: the signature does not cover it.
    let with_object = honest().replace("</ds:Signature>", "<ds:Object></ds:Object></ds:Signature>");
    assert_eq!(person(&with_object, Reading::FirstChild).as_deref(), Some("person-17"));
    refused!(with_object, Refusal::SignedInfo(_));
}

#[test]
fn a_signed_assertion_hidden_in_advice() {
    let advice = format!("<saml:Advice>{}</saml:Advice>", original());
    let wrapped = Answer::default().around(&within(&evil(), &advice));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
    // Even signed, advice is nothing that an assertion may have here.
    let answer = Answer::with(|answer| answer.more = "<saml:Advice></saml:Advice>".into());
    refused!(answer.response(&WORLD.rsa), Refusal::Unexpected { .. });
}

#[test]
fn two_assertions_the_signed_one_last() {
    let wrapped = Answer::default().around(&(evil() + &original()));
    fools_the_careless(&wrapped, Reading::FirstChild);
    refused!(wrapped, Refusal::Assertions(2));
}

#[test]
fn two_assertions_the_signed_one_first() {
    let wrapped = Answer::default().around(&(original() + &evil()));
    fools_the_careless(&wrapped, Reading::LastChild);
    refused!(wrapped, Refusal::Assertions(2));
    yields_nothing_else(wrapped);
}

#[test]
fn two_signed_assertions() {
    let other = Answer::with(|answer| answer.id = "_assertion-2".into());
    refused!(Answer::default().around(&(original() + &other.signed(&WORLD.ec))), Refusal::Assertions(2));
}

#[test]
fn no_assertion() {
    refused!(Answer::default().around(""), Refusal::Assertions(0));
}

#[test]
fn two_elements_of_one_identifier() {
    for reading in [evil() + &original(), original() + &evil()] {
        let wrapped = Answer::default().around(&reading.replace("_evil", "_assertion-1"));
        refused!(wrapped, Refusal::DuplicateIdentifier(_));
        yields_nothing_else(wrapped);
    }
}

#[test]
fn an_identifier_under_another_name_counts_too() {
    for attribute in ["Id", "id", "xml:id", "AssertionID"] {
        let wrapped = honest().replace(
            "<saml:AttributeStatement>",
            &format!(r#"<saml:AttributeStatement {attribute}="_assertion-1">"#),
        );
        refused!(wrapped, Refusal::DuplicateIdentifier(_));
    }
}

#[test]
fn an_assertion_in_another_namespace_counts_too() {
    for assertion in [
        evil().replace(SAML, r#" xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion""#),
        evil().replace(SAML, r#" xmlns:saml="urn:example:any""#),
    ] {
        let wrapped = Answer::default().around(&(assertion + &original()));
        fools_the_careless(&wrapped, Reading::FirstChild);
        refused!(wrapped, Refusal::Assertions(2));
    }
    // And alone, it is none.
    let alone = honest().replace(SAML, r#" xmlns:saml="urn:example:any""#);
    refused!(alone, Refusal::AssertionPlace);
}

#[test]
fn the_assertion_alone_is_no_response() {
    refused!(original(), Refusal::NotAResponse(_));
}

#[test]
fn a_response_within_a_response() {
    refused!(Answer::default().around(&honest().replace("_response-1", "_inner")), Refusal::AssertionPlace);
}
