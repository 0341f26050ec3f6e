//! Responses of an Identity Provider, and the means to make them wrong.
//!
//! Everything is written in exclusive canonical form by hand, so the bytes that are signed here owe nothing to the library
//! that verifies them.

use super::key_infrastructure::{Key, Signer};
use super::{ACS_URL, CONTEXT, ENTITY_ID, ISSUER, REQUEST};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The namespace of signatures, declared.
pub const DS: &str = r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#""#;
/// The namespace of assertions, declared.
pub const SAML: &str = r#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#;
/// Exclusive canonicalisation.
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// The two transforms that are accepted.
pub const TRANSFORMS: &str = concat!(
    r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#,
    r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>"#,
);

/// What stands in a response. Every text is put in as it is.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are named after what they are put into")]
pub struct Answer {
    pub id: String,
    pub issuer: String,
    /// Attributes of the `Response`, but its identifier.
    pub envelope: String,
    pub response_issuer: String,
    pub status: String,
    pub name_id: String,
    pub confirmation: String,
    pub conditions: String,
    pub restrictions: String,
    pub issue_instant: String,
    pub authn: String,
    pub context: String,
    pub attributes: String,
    /// Further children of the assertion.
    pub more: String,
    pub canonicalisation: String,
    /// The algorithm of the signature; that of the key if empty.
    pub method: String,
    /// What the reference points to; the assertion if absent.
    pub uri: Option<String>,
    pub transforms: String,
    pub digest_method: String,
    /// What follows the `SignatureValue`.
    pub key_info: String,
}

impl Default for Answer {
    fn default() -> Self {
        let persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
        Self {
            id: "_assertion-1".into(),
            issuer: ISSUER.into(),
            envelope: format!(
                r#" Version="2.0" IssueInstant="2026-03-01T10:00:00Z" Destination="{ACS_URL}" InResponseTo="{REQUEST}""#
            ),
            response_issuer: format!("<saml:Issuer{SAML}>{ISSUER}</saml:Issuer>"),
            status: "urn:oasis:names:tc:SAML:2.0:status:Success".into(),
            name_id: format!(r#"<saml:NameID Format="{persistent}">person-17</saml:NameID>"#),
            confirmation: confirmation(&format!(
                r#"InResponseTo="{REQUEST}" NotOnOrAfter="2026-03-01T10:05:00Z" Recipient="{ACS_URL}""#
            )),
            conditions: r#"NotBefore="2026-03-01T09:55:00Z" NotOnOrAfter="2026-03-01T10:05:00Z""#.into(),
            restrictions: audience(&[ENTITY_ID]),
            issue_instant: "2026-03-01T10:00:00Z".into(),
            authn: r#"AuthnInstant="2026-03-01T09:59:00Z" SessionNotOnOrAfter="2026-03-01T18:00:00Z""#.into(),
            context: CONTEXT.into(),
            attributes: attribute("Role name", &["role-03, role-05"])
                + &attribute("OrgID", &["90-B3-D5-1F-30-01-00-00,90-B3-D5-1F-30-02-00-00"]),
            more: String::new(),
            canonicalisation: EXCLUSIVE.into(),
            method: String::new(),
            uri: None,
            transforms: TRANSFORMS.into(),
            digest_method: "http://www.w3.org/2001/04/xmlenc#sha256".into(),
            key_info: String::new(),
        }
    }
}

/// A confirmation of the subject by bearer, with these attributes of its data.
pub fn confirmation(attributes: &str) -> String {
    format!(
        concat!(
            r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">"#,
            "<saml:SubjectConfirmationData {}></saml:SubjectConfirmationData></saml:SubjectConfirmation>",
        ),
        attributes
    )
}

/// A restriction to these audiences.
pub fn audience(audiences: &[&str]) -> String {
    let audiences: String =
        audiences.iter().map(|audience| format!("<saml:Audience>{audience}</saml:Audience>")).collect();
    format!("<saml:AudienceRestriction>{audiences}</saml:AudienceRestriction>")
}

/// An attribute with these values.
pub fn attribute(name: &str, values: &[&str]) -> String {
    let values: String =
        values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>")).collect();
    format!(r#"<saml:Attribute Name="{name}">{values}</saml:Attribute>"#)
}

impl Answer {
    /// An honest answer changed in one way.
    pub fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut answer = Self::default();
        change(&mut answer);
        answer
    }

    /// An honest answer to that request; `None`: to none at all.
    pub fn to(request: Option<&str>) -> Self {
        let asked = format!(r#"InResponseTo="{REQUEST}""#);
        let answered = request.map(|id| format!(r#"InResponseTo="{id}""#)).unwrap_or_default();
        Self::with(|answer| {
            answer.envelope = answer.envelope.replace(&asked, &answered);
            answer.confirmation = answer
                .confirmation
                .replace(&format!("{asked} "), &format!("{answered} "))
                .replace("Data  ", "Data ");
        })
    }

    /// What an attacker would like to be believed.
    pub fn evil() -> Self {
        Self::with(|answer| {
            answer.id = "_evil".into();
            answer.name_id = answer.name_id.replace("person-17", "admin");
            answer.attributes = answer.attributes.replace("role-05", "role-02");
        })
    }

    fn issuer_element(&self) -> String {
        format!("<saml:Issuer>{}</saml:Issuer>", self.issuer)
    }

    fn head(&self) -> String {
        format!(
            r#"<saml:Assertion{SAML} ID="{}" IssueInstant="{}" Version="2.0">{}"#,
            self.id,
            self.issue_instant,
            self.issuer_element()
        )
    }

    fn tail(&self) -> String {
        format!(
            concat!(
                "<saml:Subject>{}{}</saml:Subject>",
                "<saml:Conditions {}>{}</saml:Conditions>",
                "<saml:AuthnStatement {}><saml:AuthnContext>",
                "<saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>",
                "<saml:AttributeStatement>{}</saml:AttributeStatement>{}</saml:Assertion>",
            ),
            self.name_id,
            self.confirmation,
            self.conditions,
            self.restrictions,
            self.authn,
            self.context,
            self.attributes,
            self.more
        )
    }

    /// The assertion without a signature, in canonical form.
    pub fn unsigned(&self) -> String {
        self.head() + &self.tail()
    }

    /// The signature of this assertion.
    pub fn signature(&self, signer: &Signer) -> String {
        self.signature_over(self.unsigned().as_bytes(), |bytes| signer.sign(bytes), signer.kind)
    }

    /// A signature whose digest is that of `bytes` and whose value `sign` makes.
    pub fn signature_over(&self, bytes: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>, kind: Key) -> String {
        let method = match (self.method.as_str(), kind) {
            ("", Key::Rsa) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            ("", _) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            (other, _) => other,
        };
        let info = format!(
            concat!(
                "<ds:SignedInfo{}>",
                r#"<ds:CanonicalizationMethod Algorithm="{}"></ds:CanonicalizationMethod>"#,
                r#"<ds:SignatureMethod Algorithm="{}"></ds:SignatureMethod>"#,
                r#"<ds:Reference URI="{}"><ds:Transforms>{}</ds:Transforms>"#,
                r#"<ds:DigestMethod Algorithm="{}"></ds:DigestMethod>"#,
                "<ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            ),
            DS,
            self.canonicalisation,
            method,
            self.uri.clone().unwrap_or_else(|| format!("#{}", self.id)),
            self.transforms,
            self.digest_method,
            STANDARD.encode(digest::digest(&digest::SHA256, bytes)),
        );
        format!(
            "<ds:Signature{DS}>{}<ds:SignatureValue>{}</ds:SignatureValue>{}</ds:Signature>",
            info.replacen(DS, "", 1),
            STANDARD.encode(sign(info.as_bytes())),
            self.key_info
        )
    }

    /// The assertion with a signature in its place.
    pub fn carrying(&self, signature: &str) -> String {
        format!("{}{signature}{}", self.head(), self.tail())
    }

    /// The assertion, signed.
    pub fn signed(&self, signer: &Signer) -> String {
        self.carrying(&self.signature(signer))
    }

    /// A response that holds anything.
    pub fn around(&self, content: &str) -> String {
        format!(
            concat!(
                r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_response-1"{}>"#,
                r#"{}<samlp:Status><samlp:StatusCode Value="{}"></samlp:StatusCode></samlp:Status>{}</samlp:Response>"#,
            ),
            self.envelope, self.response_issuer, self.status, content
        )
    }

    /// A response that holds the signed assertion.
    pub fn response(&self, signer: &Signer) -> String {
        self.around(&self.signed(signer))
    }
}
