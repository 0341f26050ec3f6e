//! Honest signatures over answers that are not for us, not from whom they should be, or not what clause 1.4.4 asks for.

use crate::it::answer::{Answer, attribute, audience, confirmation};
use crate::it::{ACS_URL, ENTITY_ID, ISSUER, Look, REQUEST, WORLD, refused};
use gridtrail_saml::{NAME_ID_BYTES_MAX, Refusal, XmlFault};

/// An answer that says something else, and is signed like that.
fn saying(change: impl FnOnce(&mut Answer)) -> String {
    Answer::with(change).response(&WORLD.rsa)
}

const OTHERS: [&str; 5] = [
    "https://evil.example/saml/acs",
    "https://ssi.example/saml/acs/",
    "https://ssi.example/saml/acs?x",
    "https://SSI.example/saml/acs",
    "",
];

#[test]
fn another_destination() {
    for other in OTHERS {
        refused!(
            saying(|answer| answer.envelope = answer.envelope.replace(ACS_URL, other)),
            Refusal::Destination(_)
        );
    }
    let none = saying(|answer| {
        answer.envelope = answer.envelope.replace(&format!(r#" Destination="{ACS_URL}""#), "")
    });
    refused!(none, Refusal::Destination(_));
}

#[test]
fn another_recipient() {
    for other in OTHERS {
        refused!(
            saying(|answer| answer.confirmation = answer.confirmation.replace(ACS_URL, other)),
            Refusal::Recipient(_)
        );
    }
    let none = saying(|answer| {
        answer.confirmation = answer.confirmation.replace(&format!(r#" Recipient="{ACS_URL}""#), "")
    });
    refused!(none, Refusal::Recipient(_));
}

#[test]
fn another_audience() {
    for restrictions in [
        audience(&["https://other.example/sp"]),
        audience(&[]),
        audience(&[&format!("{ENTITY_ID}/")]),
        audience(&[&format!(" {ENTITY_ID}")]),
        // Each restriction holds for itself.
        audience(&[ENTITY_ID]) + &audience(&["https://other.example/sp"]),
    ] {
        refused!(saying(|answer| answer.restrictions = restrictions), Refusal::Audience);
    }
    refused!(saying(|answer| answer.restrictions = String::new()), Refusal::Malformed("AudienceRestriction"));
    let several = saying(|answer| answer.restrictions = audience(&["https://other.example/sp", ENTITY_ID]));
    assert!(crate::it::verify(&several).is_ok());
}

#[test]
fn another_issuer() {
    for other in ["https://idp.other.example", "", &format!("{ISSUER}/"), &format!(" {ISSUER}")] {
        refused!(
            saying(|answer| answer.issuer = other.into()),
            Refusal::Issuer { what: "the assertion", .. }
        );
        refused!(
            saying(|answer| answer.response_issuer = answer.response_issuer.replace(ISSUER, other)),
            Refusal::Issuer { what: "the response", .. }
        );
    }
    // The response need not name its issuer; the assertion must.
    assert!(crate::it::verify(&saying(|answer| answer.response_issuer.clear())).is_ok());
    let twice = saying(|answer| answer.response_issuer = answer.response_issuer.repeat(2));
    refused!(twice, Refusal::Malformed("Issuer"));
}

#[test]
fn an_answer_to_another_request() {
    let other = saying(|answer| {
        answer.envelope = answer.envelope.replace(REQUEST, "_request-2");
        answer.confirmation = answer.confirmation.replace(REQUEST, "_request-2");
    });
    refused!(other, Refusal::InResponseTo);
}

#[test]
fn an_answer_whose_envelope_names_another_request() {
    let envelope = saying(|answer| answer.envelope = answer.envelope.replace(REQUEST, "_request-2"));
    refused!(envelope, Refusal::InResponseTo);
    let none = saying(|answer| {
        answer.envelope = answer.envelope.replace(&format!(r#" InResponseTo="{REQUEST}""#), "")
    });
    refused!(none, Refusal::InResponseTo);
    let signed = saying(|answer| answer.confirmation = answer.confirmation.replace(REQUEST, "_request-2"));
    refused!(signed, Refusal::InResponseTo);
}

#[test]
fn an_answer_when_no_request_is_outstanding() {
    for allows_unsolicited in [false, true] {
        let look = Look { outstanding: None, allows_unsolicited, ..Look::default() };
        assert_eq!(look.verify(&crate::it::honest()), Err(Refusal::InResponseTo));
    }
}

#[test]
fn an_unsolicited_answer_where_that_is_not_allowed() {
    let unsolicited = saying(|answer| {
        answer.envelope = answer.envelope.replace(&format!(r#" InResponseTo="{REQUEST}""#), "");
        answer.confirmation = answer.confirmation.replace(&format!(r#"InResponseTo="{REQUEST}" "#), "");
    });
    refused!(unsolicited, Refusal::Unsolicited);
    // Whatever the envelope says, which nobody signed.
    let enveloped = saying(|answer| {
        answer.confirmation = answer.confirmation.replace(&format!(r#"InResponseTo="{REQUEST}" "#), "");
    });
    refused!(enveloped, Refusal::Unsolicited);
    let allowing = Look { allows_unsolicited: true, ..Look::default() };
    assert_eq!(allowing.verify(&enveloped), Err(Refusal::InResponseTo));
}

#[test]
fn a_status_that_is_no_success() {
    for status in
        ["urn:oasis:names:tc:SAML:2.0:status:Responder", "urn:oasis:names:tc:SAML:2.0:status:success", ""]
    {
        refused!(saying(|answer| answer.status = status.into()), Refusal::Status(_));
    }
    let empty =
        Answer::with(|answer| answer.status = "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed".into())
            .around("");
    refused!(empty, Refusal::Status(_));
}

#[test]
fn another_version() {
    refused!(
        saying(|answer| answer.envelope = answer.envelope.replace("2.0", "1.1")),
        Refusal::Version("the response")
    );
    let answer = Answer::default();
    let old = answer.unsigned().replace(r#"Version="2.0""#, r#"Version="1.1""#);
    let signature = answer.signature_over(old.as_bytes(), |bytes| WORLD.rsa.sign(bytes), WORLD.rsa.kind);
    let old = old.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);
    refused!(answer.around(&old), Refusal::Version("the assertion"));
}

#[test]
fn identifiers_that_are_none() {
    for id in ["", "1", "a b", "a'b", "xpointer(id(1))", &"a".repeat(129)] {
        refused!(saying(|answer| answer.id = id.into()), Refusal::Identifier("the assertion"));
    }
    refused!(crate::it::honest().replace(r#" ID="_response-1""#, ""), Refusal::Identifier("the response"));
}

#[test]
fn other_conditions() {
    for condition in ["OneTimeUse", "ProxyRestriction", "Condition", "AudienceRestrictions"] {
        let xml = saying(|answer| answer.restrictions += &format!("<saml:{condition}></saml:{condition}>"));
        refused!(xml, Refusal::Condition(_));
    }
    refused!(saying(|answer| answer.conditions += r#" Other="x""#), Refusal::Condition(_));
}

#[test]
fn other_confirmations() {
    let holder =
        saying(|answer| answer.confirmation = answer.confirmation.replace("cm:bearer", "cm:holder-of-key"));
    refused!(holder, Refusal::ConfirmationMethod(_));
    refused!(saying(|answer| answer.confirmation.clear()), Refusal::Malformed("SubjectConfirmation"));
    let two = saying(|answer| answer.confirmation = answer.confirmation.repeat(2));
    refused!(two, Refusal::Malformed("SubjectConfirmation"));
    let before = saying(|answer| {
        answer.confirmation =
            answer.confirmation.replace(" NotOnOrAfter", r#" NotBefore="2026-03-01T09:00:00Z" NotOnOrAfter"#);
    });
    refused!(before, Refusal::Condition(_));
    let without_data = saying(|answer| {
        answer.confirmation =
            r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"></saml:SubjectConfirmation>"#.into();
    });
    refused!(without_data, Refusal::Malformed("SubjectConfirmationData"));
    let no_end = saying(|answer| {
        answer.confirmation = confirmation(&format!(r#"InResponseTo="{REQUEST}" Recipient="{ACS_URL}""#));
    });
    refused!(no_end, Refusal::Malformed("NotOnOrAfter"));
}

#[test]
fn names_that_are_not_persistent_or_not_names() {
    for format in
        ["1.1:nameid-format:emailAddress", "2.0:nameid-format:transient", "1.1:nameid-format:unspecified"]
    {
        let xml =
            saying(|answer| answer.name_id = answer.name_id.replace("2.0:nameid-format:persistent", format));
        refused!(xml, Refusal::NameIdFormat(_));
    }
    refused!(
        saying(|answer| answer.name_id = "<saml:NameID>x</saml:NameID>".into()),
        Refusal::NameIdFormat(_)
    );
    let longest = "é".repeat(NAME_ID_BYTES_MAX / 2);
    for name in ["", " ", " x", "x ", "a&#xD;b", "a\tb", &format!("{longest}x")] {
        refused!(
            saying(|answer| answer.name_id = answer.name_id.replace("person-17", name)),
            Refusal::Malformed("NameID")
        );
    }
    assert!(
        crate::it::verify(&saying(|answer| answer.name_id = answer.name_id.replace("person-17", &longest)))
            .is_ok()
    );
    refused!(saying(|answer| answer.name_id = answer.name_id.repeat(2)), Refusal::Malformed("NameID"));
    refused!(saying(|answer| answer.name_id.clear()), Refusal::Malformed("NameID"));
    let nested =
        saying(|answer| answer.name_id = answer.name_id.replace("person-17", "admin<saml:x></saml:x>"));
    refused!(nested, Refusal::Xml(XmlFault::Mixed));
}

#[test]
fn names_that_somebody_else_qualifies() {
    for (attribute, own) in [("NameQualifier", ISSUER), ("SPNameQualifier", ENTITY_ID)] {
        let qualified = |by: &str| {
            let qualifier = format!(r#"persistent" {attribute}="{by}">"#);
            saying(|answer| answer.name_id = answer.name_id.replace(r#"persistent">"#, &qualifier))
        };
        assert!(crate::it::verify(&qualified(own)).is_ok());
        refused!(qualified("https://other.example"), Refusal::NameIdQualifier(_));
    }
}

#[test]
fn weaker_authentication() {
    for context in [
        "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
        "",
        "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI ",
    ] {
        refused!(saying(|answer| answer.context = context.into()), Refusal::AuthnContext(_));
    }
}

#[test]
fn parts_missing() {
    for (part, name) in [
        (r#"AuthnInstant="2026-03-01T09:59:00Z" "#, "AuthnInstant"),
        (r#" SessionNotOnOrAfter="2026-03-01T18:00:00Z""#, "SessionNotOnOrAfter"),
    ] {
        let xml = saying(|answer| answer.authn = answer.authn.replace(part, ""));
        assert_eq!(crate::it::refusal(&xml), Refusal::Malformed(name));
    }
    for (part, name) in [
        (r#"NotBefore="2026-03-01T09:55:00Z" "#, "NotBefore"),
        (r#" NotOnOrAfter="2026-03-01T10:05:00Z""#, "NotOnOrAfter"),
    ] {
        let xml = saying(|answer| answer.conditions = answer.conditions.replace(part, ""));
        assert_eq!(crate::it::refusal(&xml), Refusal::Malformed(name));
    }
    refused!(saying(|answer| answer.issue_instant.clear()), Refusal::Malformed("IssueInstant"));
    for more in ["Subject", "Conditions", "AuthnStatement", "AttributeStatement", "Issuer"] {
        let xml = saying(|answer| answer.more = format!("<saml:{more}></saml:{more}>"));
        assert_eq!(crate::it::refusal(&xml), Refusal::Malformed(more));
    }
}

#[test]
fn parts_that_have_no_business_there() {
    for more in ["Advice", "AuthzDecisionStatement", "Statement", "Other"] {
        let xml = saying(|answer| answer.more = format!("<saml:{more}></saml:{more}>"));
        refused!(xml, Refusal::Unexpected { parent: "the assertion", .. });
    }
    let xml =
        crate::it::honest().replace("<samlp:Status>", "<samlp:Extensions></samlp:Extensions><samlp:Status>");
    refused!(xml, Refusal::Unexpected { parent: "the response", .. });
    refused!(saying(|answer| answer.more = "text".into()), Refusal::Xml(XmlFault::Mixed));
    let other = "<saml:Other></saml:Other>";
    let in_subject = saying(|answer| answer.name_id += &other.replace("Other", "BaseID"));
    refused!(in_subject, Refusal::Unexpected { parent: "the subject", .. });
    let in_attributes = saying(|answer| answer.attributes += other);
    refused!(in_attributes, Refusal::Unexpected { parent: "the attributes", .. });
    let in_attribute = saying(|answer| {
        answer.attributes =
            answer.attributes.replacen("</saml:Attribute>", &format!("{other}</saml:Attribute>"), 1);
    });
    refused!(in_attribute, Refusal::Unexpected { parent: "an attribute", .. });
    let in_restriction = saying(|answer| {
        answer.restrictions =
            answer.restrictions.replace("<saml:Audience>", &format!("{other}<saml:Audience>"))
    });
    refused!(in_restriction, Refusal::Unexpected { parent: "an audience restriction", .. });
}

#[test]
fn no_role_and_roles_twice() {
    for attributes in [
        attribute("OrgID", &["a"]),
        attribute("Role name", &[]),
        attribute("Role name", &[" , "]),
        attribute("role name", &["role-01"]),
        attribute("Role", &["role-01"]),
    ] {
        refused!(
            saying(|answer| answer.attributes = attributes),
            Refusal::Malformed("the attribute Role name")
        );
    }
    let twice = saying(|answer| answer.attributes = attribute("Role name", &["role-01"]).repeat(2));
    refused!(twice, Refusal::Malformed("Role name"));
}

#[test]
fn values_without_bounds() {
    let role = attribute("Role name", &["role-01"]);
    let long = saying(|answer| answer.attributes = role.clone() + &attribute("OrgID", &[&"x".repeat(129)]));
    refused!(long, Refusal::Malformed("OrgID"));
    let many =
        saying(|answer| answer.attributes = role.clone() + &attribute("OrgID", &[&"x,".repeat(10_001)]));
    refused!(many, Refusal::TooManyValues("OrgID"));
    let many = saying(|answer| answer.attributes = attribute("Role name", &[&"x,".repeat(65)]));
    refused!(many, Refusal::TooManyValues("Role name"));
    let control = saying(|answer| answer.attributes = role + &attribute("OrgID", &["a&#xD;b"]));
    refused!(control, Refusal::Malformed("OrgID"));
    let nested =
        saying(|answer| answer.attributes = attribute("Role name", &["role-01<saml:x></saml:x>,role-02"]));
    refused!(nested, Refusal::Xml(XmlFault::Mixed));
}

#[test]
fn what_a_stranger_wrote_is_cut_and_made_harmless_before_it_is_logged() {
    let xml = saying(|answer| {
        answer.envelope = answer.envelope.replace(ACS_URL, &format!("&#xA;{}", "x".repeat(5_000)))
    });
    let shown = crate::it::refusal(&xml).to_string();
    assert!(shown.len() < 300 && !shown.contains('\n'), "{shown}");
}
