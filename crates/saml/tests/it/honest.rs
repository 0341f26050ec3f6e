//! What is believed, and what is made of it.

use crate::it::answer::{Answer, attribute, confirmation};
use crate::it::{ACS_URL, CONTEXT, ISSUER, Look, REQUEST, WORLD, at, honest, verify};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_saml::{OUTWARD_SENTENCE, Refusal, XmlFault, claimed_issuer};

#[test]
fn an_assertion_signed_with_rsa_says_who_may_do_what_until_when() {
    let assertion = verify(&honest()).unwrap();
    assert_eq!(assertion.id.as_str(), "_assertion-1");
    assert_eq!(assertion.issuer, ISSUER);
    assert_eq!(assertion.name_id, "person-17");
    assert_eq!(assertion.authn_instant, at("2026-03-01T09:59:00Z"));
    assert_eq!(assertion.session_not_on_or_after, at("2026-03-01T18:00:00Z"));
    assert_eq!(assertion.not_on_or_after, at("2026-03-01T10:05:00Z"));
    assert_eq!(assertion.in_response_to.as_ref().unwrap().as_str(), REQUEST);
    assert_eq!(assertion.roles, ["role-03", "role-05"]);
    assert_eq!(assertion.org_ids, ["90-B3-D5-1F-30-01-00-00", "90-B3-D5-1F-30-02-00-00"]);
    assert_eq!(assertion.authn_context, CONTEXT);
}

#[test]
fn an_assertion_signed_with_ecdsa_says_the_same() {
    let by_rsa = verify(&honest()).unwrap();
    assert_eq!(verify(&Answer::default().response(&WORLD.ec)).unwrap(), by_rsa);
}

#[test]
fn lines_of_base64_may_be_broken() {
    let posted = STANDARD.encode(honest());
    let broken: String =
        posted.as_bytes().chunks(76).map(|line| format!("{}\r\n", str::from_utf8(line).unwrap())).collect();
    assert!(Look::default().verify_posted(&broken).is_ok());
}

#[test]
fn an_xml_declaration_and_white_space_between_elements_do_no_harm() {
    let answer = Answer::with(|answer| answer.attributes = format!("\n  {}\n", answer.attributes));
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", answer.response(&WORLD.rsa));
    assert!(verify(&xml.replace("<samlp:Status>", "\n\t<samlp:Status>")).is_ok());
}

#[test]
fn roles_and_user_ids_come_in_lists_or_in_elements_or_in_both() {
    let answer = Answer::with(|answer| {
        answer.attributes =
            attribute("Role name", &["role-01", " role-02 ,role-03,"]) + &attribute("OrgID", &["a", "b,c"]);
    });
    let assertion = verify(&answer.response(&WORLD.rsa)).unwrap();
    assert_eq!(assertion.roles, ["role-01", "role-02", "role-03"]);
    assert_eq!(assertion.org_ids, ["a", "b", "c"]);
}

#[test]
fn org_id_may_be_empty_or_absent_and_other_attributes_do_not_matter() {
    let role = attribute("Role name", &["role-01"]);
    for more in
        [String::new(), attribute("OrgID", &[""]), attribute("OrgID", &[]), attribute("mail", &["x", "y"])]
    {
        let answer = Answer::with(|answer| answer.attributes = role.clone() + &more);
        assert!(verify(&answer.response(&WORLD.rsa)).unwrap().org_ids.is_empty(), "{more}");
    }
}

#[test]
fn five_thousand_user_ids_are_read() {
    let ids: Vec<String> =
        (0..5_000).map(|id| format!("90-B3-D5-1F-{:02X}-{:02X}-00-00", id / 256, id % 256)).collect();
    let answer = Answer::with(|answer| {
        answer.attributes = attribute("Role name", &["role-01"]) + &attribute("OrgID", &[&ids.join(",")]);
    });
    assert_eq!(verify(&answer.response(&WORLD.rsa)).unwrap().org_ids, ids);
}

#[test]
fn characters_written_as_references_are_read_as_what_they_are() {
    // Canonical form writes & and the carriage return so, and everything else plainly.
    let answer =
        Answer::with(|answer| answer.name_id = answer.name_id.replace("person-17", "Zoë &amp; &lt;Ö&gt;"));
    let xml = answer.response(&WORLD.rsa);
    assert_eq!(verify(&xml).unwrap().name_id, "Zoë & <Ö>");
    // Another spelling of the same text has the same canonical form.
    assert_eq!(verify(&xml.replace("Zoë", "&#90;o&#xEB;")).unwrap().name_id, "Zoë & <Ö>");
}

#[test]
fn an_unsolicited_response_is_believed_where_that_is_allowed() {
    let answer = Answer::with(|answer| {
        answer.envelope = answer.envelope.replace(&format!(r#" InResponseTo="{REQUEST}""#), "");
        answer.confirmation =
            confirmation(&format!(r#"NotOnOrAfter="2026-03-01T10:05:00Z" Recipient="{ACS_URL}""#));
    });
    let allowing = Look { outstanding: None, allows_unsolicited: true, ..Look::default() };
    assert_eq!(allowing.verify(&answer.response(&WORLD.rsa)).unwrap().in_response_to, None);
}

#[test]
fn nothing_that_names_a_person_is_in_the_debug_form() {
    let shown = format!("{:?}", verify(&honest()).unwrap());
    assert!(!shown.contains("person-17"), "{shown}");
}

#[test]
fn the_sentence_for_the_person_asks_for_credentials_and_names_no_check() {
    assert!(OUTWARD_SENTENCE.contains("submit your credentials again"));
    for word in ["signature", "assertion", "certificate", "audience", "expired", "SAML"] {
        assert!(!OUTWARD_SENTENCE.to_lowercase().contains(&word.to_lowercase()));
    }
}

#[test]
fn the_claimed_issuer_tells_which_identity_provider_to_try() {
    let claimed = |xml: &str| claimed_issuer(&STANDARD.encode(xml));
    assert_eq!(claimed(&honest()).unwrap(), ISSUER);
    assert_eq!(
        claimed(&honest().replace(ISSUER, "https://anybody.example")).unwrap(),
        "https://anybody.example"
    );
    assert_eq!(claimed(&Answer::default().around("")), Err(Refusal::AssertionPlace));
    assert_eq!(
        claimed("<!DOCTYPE x><x/>").unwrap_err(),
        Refusal::Xml(XmlFault::Forbidden("a document type declaration"))
    );
}
