//! What this service says of itself and asks for.

use crate::it::{ACS_URL, ENTITY_ID, WORLD, now};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bergshamra_xml::uppsala;
use gridtrail_saml::{
    IdentityProvider, MessageId, NotAMessageId, PostForm, ServiceProvider, ServiceProviderFault,
};

#[test]
fn the_metadata_say_id_address_and_that_assertions_are_signed_and_requests_are_not() {
    let xml = WORLD.service_provider.metadata();
    let tree = uppsala::parse(&xml).unwrap();
    let root = tree.document_element().unwrap();
    let attribute = |name: &str, attribute: &str| {
        let found = tree.get_elements_by_tag_name(name);
        let [element] = found.as_slice() else { panic!("one {name}") };
        tree.get_attribute(*element, attribute).map(str::to_owned)
    };
    assert_eq!(tree.get_attribute(root, "entityID"), Some(ENTITY_ID));
    assert_eq!(attribute("SPSSODescriptor", "AuthnRequestsSigned").as_deref(), Some("false"));
    assert_eq!(attribute("SPSSODescriptor", "WantAssertionsSigned").as_deref(), Some("true"));
    assert_eq!(attribute("AssertionConsumerService", "Location").as_deref(), Some(ACS_URL));
    assert!(attribute("AssertionConsumerService", "Binding").unwrap().ends_with(":HTTP-POST"));
    assert!(
        xml.contains(
            "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"
        )
    );
}

#[test]
fn a_request_names_itself_the_service_and_the_identity_provider_and_is_not_signed() {
    let id: MessageId = "_abc".parse().unwrap();
    let xml = WORLD.service_provider.authn_request(&id, now(), &WORLD.provider);
    let tree = uppsala::parse(&xml).unwrap();
    let root = tree.document_element().unwrap();
    for (attribute, value) in [
        ("ID", "_abc"),
        ("Version", "2.0"),
        ("IssueInstant", "2026-03-01T10:00:00.000Z"),
        ("Destination", WORLD.provider.sso_url()),
        ("AssertionConsumerServiceURL", ACS_URL),
        ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
    ] {
        assert_eq!(tree.get_attribute(root, attribute), Some(value));
    }
    assert!(xml.contains(&format!("<saml:Issuer>{ENTITY_ID}</saml:Issuer>")));
    assert!(xml.contains("nameid-format:persistent"));
    assert!(!xml.contains("Signature"));
}

#[test]
fn what_needs_escaping_is_escaped() {
    let sp = ServiceProvider::new("urn:x:a&b<c>\"d'", "https://ssi.example/acs?a=1&b=2").unwrap();
    assert!(uppsala::parse(&sp.metadata()).is_ok());
    let provider = provider_at("https://idp.example/sso?a=1&amp;b=%22%3E");
    let xml = sp.authn_request(&"_abc".parse().unwrap(), now(), &provider);
    let tree = uppsala::parse(&xml).unwrap();
    assert_eq!(tree.get_attribute(tree.document_element().unwrap(), "Destination"), Some(provider.sso_url()));
}

/// The Identity Provider of the world at another address, as its metadata would spell it.
fn provider_at(url: &str) -> IdentityProvider {
    let metadata =
        crate::it::enrolment::metadata(&[&WORLD.rsa]).replace("https://idp.supplier.example/sso", url);
    IdentityProvider::from_metadata(&metadata).unwrap()
}

#[test]
fn the_form_posts_request_and_relay_state_and_runs_nothing_but_its_script() {
    let form = PostForm::new(&WORLD.provider, "<request/>", Some("\"><script>alert(1)</script>")).unwrap();
    assert!(form.html.contains(r#"<form method="post" action="https://idp.supplier.example/sso">"#));
    assert!(form.html.contains(&format!(r#"name="SAMLRequest" value="{}""#, STANDARD.encode("<request/>"))));
    assert!(
        form.html.contains(r#"name="RelayState" value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;""#)
    );
    assert!(form.html.contains(r#"<button type="submit">"#));
    let script = &form.html[form.html.find("<script>").unwrap() + 8..form.html.find("</script>").unwrap()];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, script.as_bytes());
    assert!(
        form.content_security_policy.contains(&format!("script-src 'sha256-{}'", STANDARD.encode(digest)))
    );
    assert!(form.content_security_policy.starts_with("default-src 'none';"));
}

#[test]
fn an_address_cannot_break_out_of_the_form() {
    let provider = provider_at("https://idp.example/&quot;&gt;&lt;script&gt;");
    let form = PostForm::new(&provider, "<request/>", None).unwrap();
    assert_eq!(form.html.matches("<script>").count(), 1);
    assert!(!form.html.contains("RelayState"));
}

#[test]
fn a_relay_state_has_80_bytes_at_most() {
    assert!(PostForm::new(&WORLD.provider, "", Some(&"x".repeat(80))).is_some());
    assert!(PostForm::new(&WORLD.provider, "", Some(&"x".repeat(81))).is_none());
}

#[test]
fn service_providers_that_cannot_be() {
    let made = ServiceProvider::new;
    for id in ["", "ssi", " https://ssi.example", &format!("urn:x:{}", "x".repeat(1024))] {
        assert_eq!(made(id, ACS_URL), Err(ServiceProviderFault::EntityId), "{id}");
    }
    for url in ["", "http://ssi.example/acs", "ftp://ssi.example", "https://", " https://ssi.example"] {
        assert_eq!(made(ENTITY_ID, url), Err(ServiceProviderFault::AcsUrl), "{url}");
    }
    assert!(made(ENTITY_ID, "http://localhost:8080/acs").is_ok());
    assert!(made(ENTITY_ID, "http://127.0.0.1/acs").is_ok());
}

#[test]
fn message_identifiers() {
    for good in ["_", "a", "_0a-b.c", &"x".repeat(128)] {
        assert_eq!(good.parse::<MessageId>().unwrap().to_string(), good);
    }
    for bad in ["", "1a", "-a", "a b", "a#b", "é", "a:b", "a\n", &"x".repeat(129)] {
        assert_eq!(bad.parse::<MessageId>(), Err(NotAMessageId), "{bad}");
    }
}
