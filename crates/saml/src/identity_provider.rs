//! Identity Providers, as their metadata describes them.

use crate::certificate::{CertificateFault, SigningCertificate, TrustAnchors};
use crate::limits::{CERTIFICATES_MAX, METADATA_BYTES_MAX};
use crate::names;
use crate::refusal::Excerpt;
use crate::xml::{self, Comments, Element, XmlFault, is_space};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_model::Timestamp;
use std::fmt;
use url::Url;

/// An Identity Provider that was read from its metadata. Clause 1.4.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    entity_id: String,
    sso_url: String,
    certificates: Vec<SigningCertificate>,
    contacts: Vec<Contact>,
    organisation: Option<Organisation>,
}

/// Somebody to talk to about an Identity Provider. Personal data: its debug form leaves everything but the kind out.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// `technical`, `support`, `administrative`, `billing` or `other`.
    pub kind: String,
    /// Given name and surname, as far as they are given.
    pub name: Option<String>,
    /// E-mail addresses.
    pub email: Vec<String>,
    /// Telephone numbers.
    pub telephone: Vec<String>,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Who runs an Identity Provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// `OrganizationName`.
    pub name: String,
    /// `OrganizationURL`, if given.
    pub url: Option<String>,
}

/// Why metadata do not enrol an Identity Provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// Longer than any honest metadata.
    #[error("the metadata are longer than {METADATA_BYTES_MAX} bytes")]
    TooLong,
    /// Not XML of the kind that is read.
    #[error("read the metadata: {0}")]
    Xml(#[from] XmlFault),
    /// The root is not one `EntityDescriptor`, or there are more of them.
    #[error("the metadata describe {0}, not exactly one entity")]
    NotOneEntity(Excerpt),
    /// An element or attribute is missing, stands more than once or holds what it cannot.
    #[error("{0} is missing, stands more than once or is malformed")]
    Malformed(&'static str),
    /// The entity is no Identity Provider for SAML 2.0.
    #[error("the entity is not exactly one SAML 2.0 Identity Provider")]
    NotAnIdentityProvider,
    /// The metadata are out of date.
    #[error("the metadata were valid until {0}")]
    Expired(Timestamp),
    /// It wants requests to be signed. Clause 1.4.4 forbids that.
    #[error("the Identity Provider wants signed requests, which clause 1.4.4 rules out")]
    WantsSignedRequests,
    /// No address, or several, for HTTP POST.
    #[error("the metadata name {0} addresses for single sign-on by HTTP POST, not one")]
    SsoUrls(usize),
    /// The address is not `https`.
    #[error(
        "the address for single sign-on, {0}, does not begin with https://, or with http:// on this machine alone"
    )]
    SsoUrlNotSecure(Excerpt),
    /// Nobody to talk to.
    #[error("the metadata have no contact with an e-mail address or a telephone number")]
    NoContact,
    /// No certificate to verify anything with.
    #[error("the metadata have no signing certificate")]
    NoCertificate,
    /// More certificates than a rotation needs.
    #[error("the metadata have more than {CERTIFICATES_MAX} signing certificates")]
    TooManyCertificates,
    /// A signing certificate is not accepted.
    #[error("a signing certificate is not accepted: {0}")]
    Certificate(#[from] CertificateFault),
}

impl IdentityProvider {
    /// Enrols an Identity Provider: reads its metadata, and checks each of its signing certificates.
    ///
    /// A signature on the metadata is not looked at: they come by secured electronic means (clause 1.4.2).
    ///
    /// Errors: what is wrong.
    pub fn enrol(metadata: &str, anchors: &TrustAnchors, now: Timestamp) -> Result<Self, MetadataFault> {
        let provider = Self::read(metadata, now)?;
        for certificate in &provider.certificates {
            anchors.check(certificate, now)?;
        }
        Ok(provider)
    }

    /// Reads metadata that were enrolled before: certificates may have run out since, which
    /// [`verify`](crate::verify) judges at every login.
    ///
    /// Errors: what is wrong.
    pub fn from_metadata(metadata: &str) -> Result<Self, MetadataFault> {
        Self::read(metadata, Timestamp::MIN)
    }

    fn read(metadata: &str, now: Timestamp) -> Result<Self, MetadataFault> {
        if metadata.len() > METADATA_BYTES_MAX {
            return Err(MetadataFault::TooLong);
        }
        let entity = xml::read(metadata.trim_start_matches('\u{feff}'), Comments::Skipped)?;
        if !entity.is(names::METADATA, "EntityDescriptor") {
            return Err(MetadataFault::NotOneEntity(Excerpt::of(&entity.name)));
        }
        let mut entities = 0;
        entity.walk(&mut |element: &Element| {
            entities += usize::from(element.name == "EntityDescriptor");
            Ok::<(), MetadataFault>(())
        })?;
        if entities != 1 {
            return Err(MetadataFault::NotOneEntity(Excerpt::of("several entities")));
        }
        let role = entity
            .only_child(names::METADATA, "IDPSSODescriptor")
            .filter(|role| {
                let protocols = role.attribute("protocolSupportEnumeration").unwrap_or_default();
                protocols.split(is_space).any(|protocol| protocol == names::PROTOCOL)
            })
            .ok_or(MetadataFault::NotAnIdentityProvider)?;
        check_valid_until(&entity, now)?;
        check_valid_until(role, now)?;
        if matches!(role.attribute("WantAuthnRequestsSigned"), Some("true" | "1")) {
            return Err(MetadataFault::WantsSignedRequests);
        }
        Ok(Self {
            entity_id: entity_id_of(&entity)?,
            sso_url: sso_url_of(role)?,
            contacts: contacts_of(&entity)?,
            organisation: organisation_of(&entity)?,
            certificates: certificates_of(role)?,
        })
    }

    /// Its entity id, which is the issuer of its assertions: `[IDP ISSUER URL]` of clause 1.4.4.
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    /// Where requests are posted to.
    pub fn sso_url(&self) -> &str {
        &self.sso_url
    }

    /// Its signing certificates: more than one while keys rotate.
    pub fn certificates(&self) -> &[SigningCertificate] {
        &self.certificates
    }

    /// Whom to talk to; at least one.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// Who runs it.
    pub const fn organisation(&self) -> Option<&Organisation> {
        self.organisation.as_ref()
    }
}

fn entity_id_of(entity: &Element) -> Result<String, MetadataFault> {
    let id = entity.attribute("entityID").unwrap_or_default();
    let fits = (1..=1024).contains(&id.len()) && !id.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits { Ok(id.to_owned()) } else { Err(MetadataFault::Malformed("entityID")) }
}

fn check_valid_until(element: &Element, now: Timestamp) -> Result<(), MetadataFault> {
    let Some(text) = element.attribute("validUntil") else { return Ok(()) };
    let until: Timestamp = text.parse().map_err(|_| MetadataFault::Malformed("validUntil"))?;
    if now < until { Ok(()) } else { Err(MetadataFault::Expired(until)) }
}

fn sso_url_of(role: &Element) -> Result<String, MetadataFault> {
    let urls: Vec<&str> = role
        .children_named(names::METADATA, "SingleSignOnService")
        .filter(|service| service.attribute("Binding") == Some(names::HTTP_POST))
        .map(|service| service.attribute("Location").unwrap_or_default())
        .collect();
    let [url] = urls.as_slice() else { return Err(MetadataFault::SsoUrls(urls.len())) };
    // A browser goes there: `http` leads no further than its own machine, as for the address of the service provider.
    let secure = Url::parse(url).is_ok_and(|parsed| match parsed.scheme() {
        "https" => url.starts_with("https://") && parsed.has_host(),
        "http" => url.starts_with("http://") && is_this_machine(parsed.host_str()),
        _ => false,
    });
    if secure { Ok((*url).to_owned()) } else { Err(MetadataFault::SsoUrlNotSecure(Excerpt::of(url))) }
}

pub(crate) fn is_this_machine(host: Option<&str>) -> bool {
    matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// The contacts that can be reached.
fn contacts_of(entity: &Element) -> Result<Vec<Contact>, MetadataFault> {
    let mut contacts = Vec::new();
    for person in entity.children_named(names::METADATA, "ContactPerson") {
        let names = [texts_of(person, "GivenName")?, texts_of(person, "SurName")?].concat();
        let email = texts_of(person, "EmailAddress")?;
        let telephone = texts_of(person, "TelephoneNumber")?;
        if email.is_empty() && telephone.is_empty() {
            continue;
        }
        contacts.push(Contact {
            kind: person.attribute("contactType").unwrap_or("other").to_owned(),
            name: (!names.is_empty()).then(|| names.join(" ")),
            email: email.iter().map(|address| address.trim_start_matches("mailto:").to_owned()).collect(),
            telephone,
        });
    }
    if contacts.is_empty() { Err(MetadataFault::NoContact) } else { Ok(contacts) }
}

fn organisation_of(entity: &Element) -> Result<Option<Organisation>, MetadataFault> {
    let Some(organisation) = entity.only_child(names::METADATA, "Organization") else { return Ok(None) };
    // Each may stand in several languages; the first is as good as any.
    let name = texts_of(organisation, "OrganizationName")?.into_iter().next();
    let url = texts_of(organisation, "OrganizationURL")?.into_iter().next();
    Ok(Some(Organisation { name: name.ok_or(MetadataFault::Malformed("OrganizationName"))?, url }))
}

/// The texts of all children of that name, without white space around them and without empty ones.
fn texts_of(parent: &Element, name: &str) -> Result<Vec<String>, MetadataFault> {
    let mut texts = Vec::new();
    for child in parent.children_named(names::METADATA, name) {
        let text = child.text()?.trim();
        if !text.is_empty() {
            texts.push(text.to_owned());
        }
    }
    Ok(texts)
}

/// The certificates of all keys that may sign, each once.
fn certificates_of(role: &Element) -> Result<Vec<SigningCertificate>, MetadataFault> {
    let mut certificates = Vec::new();
    for key in role.children_named(names::METADATA, "KeyDescriptor") {
        if key.attribute("use") == Some("encryption") {
            continue;
        }
        // One key, one certificate: authorities between it and an anchor belong to the trust anchors.
        let text = key
            .only_child(names::SIGNATURE, "KeyInfo")
            .and_then(|info| info.only_child(names::SIGNATURE, "X509Data"))
            .and_then(|data| data.only_child(names::SIGNATURE, "X509Certificate"))
            .ok_or(MetadataFault::Malformed("X509Certificate"))?
            .text()?;
        let letters: String = text.chars().filter(|character| !is_space(*character)).collect();
        let der = STANDARD.decode(letters).map_err(|_| MetadataFault::Malformed("X509Certificate"))?;
        let certificate = SigningCertificate::from_der(&der)?;
        if !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
    match certificates.len() {
        0 => Err(MetadataFault::NoCertificate),
        1..=CERTIFICATES_MAX => Ok(certificates),
        _ => Err(MetadataFault::TooManyCertificates),
    }
}
