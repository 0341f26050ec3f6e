//! The development Identity Providers of the demo: one for each of its two Users, each with one person, who is asked for nothing.
//!
//! They vouch for whoever presses a button, so they are enrolled in the demo's own lake and nowhere else, and listen on this machine alone.
//! What they sign is written in exclusive canonical form by hand.

use crate::args::{LoginArgs, TrustArgs};
use crate::dev_certificate::write_secret;
use crate::exit::Failure;
use crate::identity::{objects_of, trust_anchors};
use crate::running;
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gridtrail_access::{DevKey, OrgId, Party};
use gridtrail_lake::Lake;
use gridtrail_model::UserId;
use gridtrail_port::{Port, Whence};
use gridtrail_runtime::Clock;
use gridtrail_session::{ProviderSettings, Register};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SigningKey as _, date_time_ymd,
};
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use url::form_urlencoded;

/// How people are authenticated, as the responses say: not at all.
const CONTEXT: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified";
const SAML: &str = r#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#;
const DS: &str = r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#""#;
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// Most bytes of a form with a request, which has a few hundred.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// How long a response holds, and a session.
const RESPONSE_LIFE_MS: i64 = 5 * 60_000;
const SESSION_LIFE_MS: i64 = 8 * 3_600_000;

/// Somebody who can log in.
#[derive(Debug, Clone)]
pub(super) struct Colleague {
    pub(super) name: &'static str,
    /// The path of the Identity Provider that vouches for them.
    pub(super) path: &'static str,
    pub(super) party: Party,
    pub(super) user: UserId,
}

/// The Identity Providers at one address of this machine.
pub(super) struct DevelopmentProviders {
    port: Port,
    address: SocketAddr,
    key: Arc<KeyPair>,
    certificate: Vec<u8>,
    people: Arc<[Colleague]>,
    trust: TrustArgs,
}

impl DevelopmentProviders {
    /// Makes keys and an authority for them, whose files go into a folder, and takes an address.
    pub(super) async fn open(folder: &Path, people: Vec<Colleague>) -> Result<Self, Failure> {
        let made = |error: rcgen::Error| {
            tracing::debug!(%error, "keys cannot be made");
            Failure::Process("the keys of an Identity Provider cannot be made")
        };
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(made)?;
        let (certificate, anchors, revoked) = certify(&key).map_err(made)?;
        let trust = TrustArgs {
            saml_anchors: Some(folder.join("anchors.pem")),
            saml_intermediates: None,
            saml_revoked: Some(folder.join("revoked.pem")),
        };
        for (path, text) in [(&trust.saml_anchors, anchors), (&trust.saml_revoked, revoked)] {
            if let Some(path) = path {
                fs::write(path, text).map_err(Failure::file("write", path))?;
            }
        }
        let listener = running::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let told = |_| Failure::Process("the system does not tell the Identity Provider's address");
        let address = listener.local_addr().map_err(told)?;
        let port =
            Port { listener, tls: None, terms: gridtrail_session::terms(64, 64), whence: Whence::Connection };
        Ok(Self { port, address, key: Arc::new(key), certificate, people: people.into(), trust })
    }

    /// How a server at this URL logs people in by them; its session key goes into the same folder.
    pub(super) fn login_args(&self, server: &str, folder: &Path) -> Result<LoginArgs, Failure> {
        let key = folder.join("session.pem");
        write_secret(&key, DevKey::generate()?.to_pem().as_bytes())?;
        let life = |text: &str| {
            text.parse().map_err(|_| Failure::Process("a length of time of the demo cannot be read"))
        };
        Ok(LoginArgs {
            saml_entity_id: Some(format!("{server}/saml")),
            saml_acs_url: Some(format!("{server}/saml/acs")),
            trust: self.trust.clone(),
            session_key: Some(key),
            saml_listen: None,
            saml_landing: "/".to_owned(),
            saml_skew: life("60s")?,
            session_idle: life("15m")?,
        })
    }

    /// Enrols them beside a lake.
    pub(super) async fn enrol(&self, lake: &Lake) -> Result<(), Failure> {
        let register = Register::new(objects_of(lake)?, lake.clock().clone());
        let anchors = trust_anchors(&self.trust)?;
        for Colleague { party, path, .. } in self.people.iter() {
            let settings = ProviderSettings {
                org_id: OrgId::All,
                allow_unsolicited: false,
                authn_contexts: vec![CONTEXT.to_owned()],
            };
            let entity_id = entity_id(self.address, path);
            let metadata = metadata(&entity_id, &self.certificate);
            register.add(&metadata, Some(party), settings, &anchors).await?;
        }
        Ok(())
    }

    /// Whom each of them vouches for: its entity ID, and a name.
    pub(super) fn listed(&self) -> Vec<(String, &'static str)> {
        self.people.iter().map(|who| (entity_id(self.address, who.path), who.name)).collect()
    }

    /// Answers browsers until it is dropped.
    pub(super) async fn serve(self) {
        let Self { port, address, key, people, .. } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let (key, people) = (Arc::clone(&key), Arc::clone(&people));
            Box::pin(async move { Ok::<_, Infallible>(answer(request, address, &key, &people).await) })
        });
        port.serve(service, std::future::pending()).await;
    }
}

fn entity_id(address: SocketAddr, path: &str) -> String {
    format!("http://{address}/{path}")
}

/// The certificate of a key; the authority that issued it, and its empty list of what it revoked, in PEM.
fn certify(key: &KeyPair) -> Result<(Vec<u8>, String, String), rcgen::Error> {
    let named = |name: &str, usage: &[KeyUsagePurpose]| -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = usage.to_vec();
        Ok(params)
    };
    let mut authority =
        named("Authority of the demo", &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let signer = named("Identity Provider of the demo", &[KeyUsagePurpose::DigitalSignature])?;
    let certificate = signer.signed_by(key, &authority)?;
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2049, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let revoked = list.signed_by(&authority)?.pem()?;
    Ok((certificate.der().to_vec(), authority.pem(), revoked))
}

fn metadata(entity_id: &str, certificate: &[u8]) -> String {
    format!(
        concat!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"{ds} entityID="{entity_id}">"#,
            r#"<md:IDPSSODescriptor WantAuthnRequestsSigned="false""#,
            r#" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">"#,
            r#"<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}"#,
            "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
            r#"<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{entity_id}"/>"#,
            r#"</md:IDPSSODescriptor><md:ContactPerson contactType="technical">"#,
            "<md:EmailAddress>mailto:demo@gridtrail.example</md:EmailAddress></md:ContactPerson></md:EntityDescriptor>",
        ),
        ds = DS,
        entity_id = entity_id,
        certificate = STANDARD.encode(certificate)
    )
}

/// The page with which one of them answers a request: a button that posts the response.
async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    key: &KeyPair,
    people: &[Colleague],
) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let who = people.iter().find(|who| who.path == path);
    let (Some(who), &Method::POST) = (who, request.method()) else {
        return page(StatusCode::NOT_FOUND, "<p>Begin at the console: it sends you here.</p>");
    };
    let form = match Limited::new(request.into_body(), FORM_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return page(StatusCode::BAD_REQUEST, "<p>The form did not arrive.</p>"),
    };
    let field = |name: &str| {
        form_urlencoded::parse(&form).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    };
    let asked = field("SAMLRequest").and_then(|request| Asked::read(&request));
    let (Some(asked), Some(relay_state)) = (asked, field("RelayState").filter(|text| is_plain(text))) else {
        return page(StatusCode::BAD_REQUEST, "<p>This is no request to log in.</p>");
    };
    let Ok(response) = asked.response(&entity_id(address, who.path), who, key) else {
        return page(StatusCode::INTERNAL_SERVER_ERROR, "<p>The response cannot be signed.</p>");
    };
    let form = format!(
        concat!(
            r#"<p>For development: no credentials are asked for.</p><form method="post" action="{acs}">"#,
            r#"<input type="hidden" name="SAMLResponse" value="{response}">"#,
            r#"<input type="hidden" name="RelayState" value="{relay_state}">"#,
            r#"<button>Log in as {name} of {party}</button></form>"#,
        ),
        acs = asked.acs_url,
        response = STANDARD.encode(response),
        relay_state = relay_state,
        name = who.name,
        party = who.party.as_str()
    );
    page(StatusCode::OK, &form)
}

fn page(status: StatusCode, content: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en-GB\"><meta charset=\"utf-8\"><title>Development Identity Provider</title>\
         <h1>Development Identity Provider</h1>{content}</html>"
    );
    let mut answer = Response::new(Full::new(Bytes::from(html)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

/// Whether a text can stand in an attribute as it is.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:/?=@[]".contains(c))
}

/// What a request asks.
struct Asked {
    id: String,
    acs_url: String,
    audience: String,
}

impl Asked {
    /// Reads what our own service provider writes, and nothing else.
    fn read(base64: &str) -> Option<Self> {
        let xml = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
        let between = |before: &str, after: &str| {
            let rest = xml.split_once(before)?.1;
            rest.split_once(after).map(|(found, _)| found.to_owned()).filter(|text| is_plain(text))
        };
        Some(Self {
            id: between(" ID=\"", "\"")?,
            acs_url: between("AssertionConsumerServiceURL=\"", "\"")?,
            audience: between("<saml:Issuer>", "</saml:Issuer>")?,
        })
    }

    /// The response for somebody, with its assertion signed.
    fn response(&self, issuer: &str, who: &Colleague, key: &KeyPair) -> Result<String, rcgen::Error> {
        let Self { id: request, acs_url, audience } = self;
        let now = Clock::system().now();
        let (soon, later) = (now.plus_millis(RESPONSE_LIFE_MS), now.plus_millis(SESSION_LIFE_MS));
        let [id, response_id] = [new_id()?, new_id()?];
        let head = format!(
            r#"<saml:Assertion{SAML} ID="{id}" IssueInstant="{now}" Version="2.0"><saml:Issuer>{issuer}</saml:Issuer>"#
        );
        let tail = format!(
            concat!(
                r#"<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{name}</saml:NameID>"#,
                r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">"#,
                r#"<saml:SubjectConfirmationData InResponseTo="{request}" NotOnOrAfter="{soon}" Recipient="{acs_url}">"#,
                "</saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>",
                r#"<saml:Conditions NotBefore="{now}" NotOnOrAfter="{soon}"><saml:AudienceRestriction>"#,
                "<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>",
                r#"<saml:AuthnStatement AuthnInstant="{now}" SessionNotOnOrAfter="{later}"><saml:AuthnContext>"#,
                "<saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>",
                r#"<saml:AttributeStatement><saml:Attribute Name="Role name"><saml:AttributeValue>role-01"#,
                r#"</saml:AttributeValue></saml:Attribute><saml:Attribute Name="OrgID"><saml:AttributeValue>{user}"#,
                "</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>",
            ),
            name = who.name,
            user = who.user,
            context = CONTEXT,
            request = request,
            soon = soon,
            later = later,
            now = now,
            acs_url = acs_url,
            audience = audience,
        );
        let signature = signature(&id, &format!("{head}{tail}"), key)?;
        Ok(format!(
            concat!(
                r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="{id}" Version="2.0""#,
                r#" IssueInstant="{now}" Destination="{acs_url}" InResponseTo="{request}"><samlp:Status>"#,
                r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode>"#,
                "</samlp:Status>{head}{signature}{tail}</samlp:Response>",
            ),
            id = response_id,
            now = now,
            acs_url = acs_url,
            request = request,
            head = head,
            signature = signature,
            tail = tail,
        ))
    }
}

fn new_id() -> Result<String, rcgen::Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| rcgen::Error::RemoteKeyError)?;
    Ok(format!("_{}", hex::encode(bytes)))
}

/// The signature of an assertion of this identifier, which is in canonical form.
fn signature(id: &str, assertion: &str, key: &KeyPair) -> Result<String, rcgen::Error> {
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, assertion.as_bytes()));
    let info = format!(
        concat!(
            r#"<ds:CanonicalizationMethod Algorithm="{exclusive}"></ds:CanonicalizationMethod>"#,
            r#"<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>"#,
            r##"<ds:Reference URI="#{id}"><ds:Transforms>"##,
            r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#,
            r#"<ds:Transform Algorithm="{exclusive}"></ds:Transform></ds:Transforms>"#,
            r#"<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>"#,
            "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
        ),
        exclusive = EXCLUSIVE,
        id = id,
        digest = digest,
    );
    // By itself it declares its namespace; within the signature it need not.
    let value = STANDARD.encode(key.sign(format!("<ds:SignedInfo{DS}>{info}").as_bytes())?);
    Ok(format!(
        "<ds:Signature{DS}><ds:SignedInfo>{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
    ))
}
