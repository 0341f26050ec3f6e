//! This service, as Identity Providers know it.

use crate::identity_provider::{IdentityProvider, is_this_machine};
use crate::message_id::MessageId;
use crate::names;
use gridtrail_model::Timestamp;
use quick_xml::escape::escape;
use url::Url;

/// This service: its unique ID and the address to which responses are posted. Clause 1.4.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceProvider {
    entity_id: String,
    acs_url: String,
}

/// A service provider cannot be described so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServiceProviderFault {
    /// The unique ID.
    #[error("the unique ID of the service is an absolute URI of at most 1024 characters")]
    EntityId,
    /// The address.
    #[error(
        "the address that responses are posted to begins with https://, or with http:// on this machine alone"
    )]
    AcsUrl,
}

impl ServiceProvider {
    const ENTITY_ID_BYTES_MAX: usize = 1024;

    /// From its unique ID and the address of its assertion consumer service. Responses name both, letter by letter.
    ///
    /// Errors: what is wrong with them.
    pub fn new(entity_id: &str, acs_url: &str) -> Result<Self, ServiceProviderFault> {
        let absolute = entity_id.len() <= Self::ENTITY_ID_BYTES_MAX && Url::parse(entity_id).is_ok();
        if !absolute || entity_id.trim() != entity_id {
            return Err(ServiceProviderFault::EntityId);
        }
        let secure = Url::parse(acs_url).is_ok_and(|url| match url.scheme() {
            "https" => true,
            "http" => is_this_machine(url.host_str()),
            _ => false,
        });
        if !secure || acs_url.trim() != acs_url {
            return Err(ServiceProviderFault::AcsUrl);
        }
        Ok(Self { entity_id: entity_id.into(), acs_url: acs_url.into() })
    }

    /// The unique ID: `[UNIQUE IDENTIFIER SP]` of clause 1.4.4.
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    /// The address that responses are posted to: `[DCC SP URL]` of clause 1.4.4.
    pub fn acs_url(&self) -> &str {
        &self.acs_url
    }

    /// The metadata that Identity Providers are configured with.
    pub fn metadata(&self) -> String {
        format!(
            concat!(
                r#"<md:EntityDescriptor xmlns:md="{metadata}" entityID="{entity_id}">"#,
                r#"<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true""#,
                r#" protocolSupportEnumeration="{protocol}">"#,
                "<md:NameIDFormat>{persistent}</md:NameIDFormat>",
                r#"<md:AssertionConsumerService Binding="{post}" Location="{acs_url}" index="0" isDefault="true"/>"#,
                "</md:SPSSODescriptor></md:EntityDescriptor>",
            ),
            metadata = names::METADATA,
            entity_id = escape(&self.entity_id),
            protocol = names::PROTOCOL,
            persistent = names::PERSISTENT,
            post = names::HTTP_POST,
            acs_url = escape(&self.acs_url),
        )
    }

    /// A request to authenticate whoever's browser carries it. It is not signed: clause 1.4.4.
    ///
    /// `id` is new and cannot be guessed; the caller remembers it for this browser until it is answered.
    pub fn authn_request(&self, id: &MessageId, now: Timestamp, to: &IdentityProvider) -> String {
        format!(
            concat!(
                r#"<samlp:AuthnRequest xmlns:samlp="{protocol}" xmlns:saml="{assertion}" ID="{id}" Version="2.0""#,
                r#" IssueInstant="{now}" Destination="{destination}" ProtocolBinding="{post}""#,
                r#" AssertionConsumerServiceURL="{acs_url}"><saml:Issuer>{entity_id}</saml:Issuer>"#,
                r#"<samlp:NameIDPolicy Format="{persistent}" AllowCreate="true"/></samlp:AuthnRequest>"#,
            ),
            protocol = names::PROTOCOL,
            assertion = names::ASSERTION,
            id = id,
            now = now,
            destination = escape(to.sso_url()),
            post = names::HTTP_POST,
            acs_url = escape(&self.acs_url),
            entity_id = escape(&self.entity_id),
            persistent = names::PERSISTENT,
        )
    }
}
