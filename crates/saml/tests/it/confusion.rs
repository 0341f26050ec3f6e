//! XML that two readers understand in two ways, that reaches outside, or that blows up.

use crate::it::answer::{Answer, SAML, attribute};
use crate::it::naive::{Reading, person};
use crate::it::{Look, WORLD, honest, refusal, refused, verify};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_saml::{RESPONSE_BYTES_MAX, Refusal, SignedInfoFault, XmlFault};

#[test]
fn a_comment_within_the_name_id() {
    // The person controls an account named "admin.evil" and cuts it after "admin".
    let answer = Answer::with(|answer| answer.name_id = answer.name_id.replace("person-17", "admin.evil"));
    let cut = answer.response(&WORLD.rsa).replace("admin.evil", "admin<!---->.evil");
    assert_eq!(person(&cut, Reading::FirstChild).as_deref(), Some("admin"), "the attack is none");
    refused!(cut, Refusal::Xml(XmlFault::Forbidden("a comment")));
}

#[test]
fn a_comment_anywhere_else() {
    for (from, to) in [
        ("role-05", "role-02<!-- -->"),
        ("<samlp:Status>", "<!-- --><samlp:Status>"),
        ("<ds:SignedInfo>", "<ds:SignedInfo><!-- -->"),
        ("</samlp:Response>", "</samlp:Response><!-- -->"),
    ] {
        refused!(honest().replace(from, to), Refusal::Xml(XmlFault::Forbidden("a comment")));
    }
}

#[test]
fn a_comment_within_the_digest_value() {
    // Two readers of one digest: the text up to the comment, and the text without it (SAMLStorm, CVE-2025-29775).
    let (forged, honest) = (Answer::evil(), Answer::default().signature(&WORLD.rsa));
    let wanted = forged.signature(&WORLD.stranger);
    let digest = |signature: &str| {
        let start = signature.find("<ds:DigestValue>").unwrap() + "<ds:DigestValue>".len();
        signature[start..start + 44].to_owned()
    };
    let signature = honest
        .replace(&digest(&honest), &format!("<!--{}-->{}", digest(&wanted), digest(&honest)))
        .replace("#_assertion-1", "#_evil");
    refused!(forged.around(&forged.carrying(&signature)), Refusal::Xml(XmlFault::Forbidden("a comment")));
}

#[test]
fn a_processing_instruction_within_the_name_id() {
    let cut = honest().replace("person-17", "person<?x y?>-17");
    refused!(cut, Refusal::Xml(XmlFault::Forbidden("a processing instruction")));
    refused!(format!("<?x y?>{}", honest()), Refusal::Xml(XmlFault::Forbidden("a processing instruction")));
}

#[test]
fn a_cdata_section_within_the_name_id() {
    // Its canonical form is the same text, so the signature holds; two readers may still see two texts.
    let cut = honest().replace("person-17", "person<![CDATA[-17]]>");
    assert_eq!(person(&cut, Reading::FirstChild).as_deref(), Some("person"), "the attack is none");
    refused!(cut, Refusal::Xml(XmlFault::Forbidden("a CDATA section")));
}

#[test]
fn a_document_type_declaration() {
    for doctype in [
        "<!DOCTYPE x>",
        r#"<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">"#,
        r#"<!DOCTYPE samlp:Response [<!ATTLIST samlp:Response ID ID #IMPLIED>]>"#,
        r#"<!doctype x>"#,
    ] {
        refused!(
            format!("{doctype}{}", honest()),
            Refusal::Xml(XmlFault::Forbidden("a document type declaration"))
        );
    }
}

#[test]
fn an_external_entity() {
    let doctype = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>"#;
    let xml = format!("{doctype}{}", honest().replace("person-17", "&e;"));
    refused!(xml, Refusal::Xml(XmlFault::Forbidden("a document type declaration")));
    // Nor is one understood that something else could have declared.
    refused!(honest().replace("person-17", "&e;"), Refusal::Xml(XmlFault::Forbidden(_)));
    refused!(honest().replace(r#"Name="OrgID""#, r#"Name="&e;""#), Refusal::Xml(XmlFault::Forbidden(_)));
}

#[test]
fn an_entity_bomb() {
    let mut doctype = r#"<!DOCTYPE x [<!ENTITY e0 "lol">"#.to_owned();
    for level in 1..10 {
        let tenfold = format!("&e{};", level - 1).repeat(10);
        doctype.push_str(&format!(r#"<!ENTITY e{level} "{tenfold}">"#));
    }
    let xml = format!("{doctype}]>{}", honest().replace("person-17", "&e9;"));
    refused!(xml, Refusal::Xml(XmlFault::Forbidden("a document type declaration")));
}

/// Ten million spaces, deflated (RFC 1951): one space, and then over and over "258 more of the same".
fn deflated_spaces() -> Vec<u8> {
    // Fixed Huffman codes: the header of the last block, the literal 0x20, and lengths 258 at distance 1.
    let bits = ["110", "01010000"]
        .into_iter()
        .chain(std::iter::repeat_n("1100010100000", 10_000_000 / 258))
        .chain(["0000000"]);
    let bits: Vec<u8> = bits.flat_map(str::bytes).map(|bit| bit - b'0').collect();
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |whole, bit| whole << 1 | bit)).collect()
}

#[test]
fn a_deflate_bomb() {
    // Under HTTP POST nothing is inflated, so it is what it looks like.
    assert_eq!(Look::default().verify_posted(&STANDARD.encode(deflated_spaces())), Err(Refusal::NotUtf8));
    let inflated = STANDARD.encode(" ".repeat(10_000_000));
    assert_eq!(Look::default().verify_posted(&inflated), Err(Refusal::TooLong { limit: RESPONSE_BYTES_MAX }));
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let padded = |bytes: usize| {
        let xml = honest();
        let spaces = " ".repeat(bytes - xml.len());
        xml + &spaces
    };
    assert!(verify(&padded(RESPONSE_BYTES_MAX)).is_ok());
    refused!(padded(RESPONSE_BYTES_MAX + 1), Refusal::TooLong { .. });
    // White space between the letters counts as well.
    let posted = STANDARD.encode(honest()) + &"\n".repeat(2 * RESPONSE_BYTES_MAX);
    assert!(matches!(Look::default().verify_posted(&posted), Err(Refusal::TooLong { .. })));
}

#[test]
fn too_many_levels_elements_and_attributes() {
    let deep = "<x>".repeat(200_000 / 8) + &"</x>".repeat(200_000 / 8);
    assert_eq!(refusal(&deep), Refusal::Xml(XmlFault::TooMany("levels")));
    let wide = format!("<x>{}</x>", "<y/>".repeat(100_000));
    assert_eq!(refusal(&wide), Refusal::Xml(XmlFault::TooMany("elements")));
    let attributes: String = (0..20_000).map(|number| format!(" a{number}=''")).collect();
    assert_eq!(refusal(&format!("<x{attributes}/>")), Refusal::Xml(XmlFault::TooMany("attributes")));
    let declarations: String = (0..20_000).map(|number| format!(" xmlns:a{number}='u:u'")).collect();
    refused!(format!("<x{declarations}/>"), Refusal::Xml(_));
}

#[test]
fn what_is_no_base64_no_utf8_or_no_xml() {
    let posted = |posted: &str| Look::default().verify_posted(posted).unwrap_err();
    assert_eq!(posted("%%%%"), Refusal::NotBase64);
    assert_eq!(posted(&honest()), Refusal::NotBase64);
    assert_eq!(posted(&STANDARD.encode([0xFF, 0xFE, b'<', 0])), Refusal::NotUtf8);
    assert_eq!(posted(""), Refusal::Xml(XmlFault::NotWellFormed));
    for text in [
        "x",
        " <x/>",
        "<x>",
        "<x></y>",
        "<x/><y/>",
        "<x/>y",
        "<x>&#0;</x>",
        "<x a='<'/>",
        "<x>\u{1}</x>",
        "</x>",
        "<x a=b/>",
        "<x",
    ] {
        assert_eq!(refusal(text), Refusal::Xml(XmlFault::NotWellFormed), "{text}");
    }
    // A byte order mark is passed over: what follows it is XML, and no response.
    assert!(matches!(refusal("\u{feff}<x/>"), Refusal::NotAResponse(_)));
    assert_eq!(refusal("\u{feff}\u{feff}<x/>"), Refusal::Xml(XmlFault::NotWellFormed));
}

#[test]
fn another_encoding_and_another_version() {
    for declaration in [
        r#"<?xml version="1.0" encoding="utf-16"?>"#,
        r#"<?xml version="1.0" encoding="utf-7"?>"#,
        r#"<?xml version="1.0" encoding="iso-8859-1"?>"#,
        r#"<?xml version="1.1"?>"#,
    ] {
        refused!(format!("{declaration}{}", honest()), Refusal::Xml(XmlFault::Encoding));
    }
}

#[test]
fn a_prefix_that_is_declared_anew() {
    // A NameID of the attacker's namespace, and one that binds the prefix anew around the honest one.
    let other = r#"xmlns:saml="urn:example:any""#;
    let renamed = honest().replace("<saml:NameID ", &format!("<saml:NameID {other} "));
    refused!(renamed, Refusal::Signature);
    let around = honest()
        .replace("<saml:Subject>", &format!("<saml:Subject><x {other}><saml:NameID>admin</saml:NameID></x>"));
    refused!(around, Refusal::Signature);
    // Signed like that, it is no NameID.
    let answer = Answer::with(|answer| {
        answer.name_id = answer.name_id.replace("<saml:NameID ", &format!("<saml:NameID {other} "));
    });
    refused!(answer.response(&WORLD.rsa), Refusal::Unexpected { parent: "the subject", .. });
}

#[test]
fn a_default_namespace_that_makes_another_assertion() {
    let forged = Answer::evil().unsigned().replace("saml:", "").replace(" xmlns:saml=", " xmlns=");
    let xml = Answer::default().around(&(forged + &Answer::default().signed(&WORLD.rsa)));
    assert_eq!(person(&xml, Reading::FirstChild).as_deref(), Some("admin"), "the attack is none");
    refused!(xml, Refusal::Assertions(2));
}

#[test]
fn a_prefix_declared_on_the_response_for_what_is_signed() {
    // Exclusive canonical form puts the declaration where it is used: an honest spelling, not an attack.
    let moved = honest().replacen(&format!("<saml:Assertion{SAML}"), "<saml:Assertion", 1);
    let moved = moved.replacen("<samlp:Response ", &format!("<samlp:Response{SAML} "), 1);
    assert_eq!(verify(&moved).unwrap(), verify(&honest()).unwrap());
}

#[test]
fn an_identifier_in_another_namespace() {
    // A library that looks for local names finds the signed element by the second identifier, and reads the first.
    let xml = Answer::evil()
        .carrying(&Answer::default().signature(&WORLD.rsa))
        .replace(r#" ID="_evil""#, r#" xmlns:x="urn:example:any" ID="_evil" x:ID="_assertion-1""#);
    refused!(Answer::default().around(&xml), Refusal::SignedInfo(SignedInfoFault::Reference(_)));
}

#[test]
fn one_attribute_under_two_prefixes() {
    let twice = honest().replace(
        "<saml:AttributeStatement>",
        r#"<saml:AttributeStatement xmlns:a="urn:example:any" xmlns:b="urn:example:any" a:x="1" b:x="2">"#,
    );
    refused!(twice, Refusal::Xml(XmlFault::DuplicateAttribute));
    refused!(
        honest().replace(r#" Name="OrgID""#, r#" Name="OrgID" Name="x""#),
        Refusal::Xml(XmlFault::DuplicateAttribute)
    );
    let twice = honest().replace("<samlp:Response ", r#"<samlp:Response xmlns:samlp="urn:example:any" "#);
    refused!(twice, Refusal::Xml(_));
}

#[test]
fn void_canonicalisation_by_a_relative_namespace() {
    for name in ["1", "x", "../x", "#x", "x/y"] {
        let xml = honest().replace("<samlp:Response ", &format!(r#"<samlp:Response xmlns:ns="{name}" "#));
        refused!(xml, Refusal::Xml(XmlFault::Namespace("a namespace name is relative")));
        let xml = honest()
            .replace("<saml:AttributeStatement>", &format!(r#"<saml:AttributeStatement xmlns="{name}">"#));
        refused!(xml, Refusal::Xml(XmlFault::Namespace("a namespace name is relative")));
    }
}

#[test]
fn namespaces_that_readers_understand_differently() {
    for declaration in [
        r#"xmlns:a="urn&#58;example:any""#,
        r#"xmlns:a="urn:example:any&amp;""#,
        r#"xmlns:a=" urn:example:any""#,
        r#"xmlns:a="""#,
        r#"xmlns:xml="urn:example:any""#,
        r#"xmlns:xmlns="urn:example:any""#,
        r#"xmlns:a="http://www.w3.org/XML/1998/namespace""#,
        r#"xmlns:a="http://www.w3.org/2000/xmlns/""#,
        r#"xmlns="http://www.w3.org/2000/xmlns/""#,
        r#"a:b="c""#,
    ] {
        let xml = honest()
            .replace("<saml:AttributeStatement>", &format!("<saml:AttributeStatement {declaration}>"));
        refused!(xml, Refusal::Xml(XmlFault::Namespace(_) | XmlFault::NotWellFormed));
    }
    refused!(
        honest().replace("saml:AttributeStatement>", "a:AttributeStatement>"),
        Refusal::Xml(XmlFault::Namespace(_))
    );
}

#[test]
fn encrypted_pieces_that_wrap_unsigned_ones() {
    let data = r#"<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"></xenc:EncryptedData>"#;
    let encrypted = format!("<saml:EncryptedAssertion{SAML}>{data}</saml:EncryptedAssertion>");
    // Alone, beside a signed assertion, and around one.
    refused!(Answer::default().around(&encrypted), Refusal::Encrypted(_));
    refused!(
        Answer::default().around(&(encrypted + &Answer::default().signed(&WORLD.rsa))),
        Refusal::Encrypted(_)
    );
    let around =
        format!("<saml:EncryptedAssertion{SAML}>{}</saml:EncryptedAssertion>", Answer::evil().unsigned());
    refused!(Answer::default().around(&around), Refusal::Encrypted(_));
}

#[test]
fn encrypted_identifiers_and_attributes() {
    let data = r#"<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"></xenc:EncryptedData>"#;
    let id = Answer::with(|answer| answer.name_id = format!("<saml:EncryptedID>{data}</saml:EncryptedID>"));
    refused!(id.response(&WORLD.rsa), Refusal::Encrypted(_));
    let both =
        Answer::with(|answer| answer.name_id += &format!("<saml:EncryptedID>{data}</saml:EncryptedID>"));
    refused!(both.response(&WORLD.rsa), Refusal::Encrypted(_));
    let attributes = Answer::with(|answer| {
        answer.attributes += &format!("<saml:EncryptedAttribute>{data}</saml:EncryptedAttribute>");
    });
    refused!(attributes.response(&WORLD.rsa), Refusal::Encrypted(_));
    let value = Answer::with(|answer| {
        answer.attributes = attribute("Role name", &["role-01"]) + &attribute("OrgID", &[data])
    });
    refused!(value.response(&WORLD.rsa), Refusal::Encrypted(_));
}
