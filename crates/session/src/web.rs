//! The service provider's end of SAML over HTTP: the addresses for browsers.
//!
//! | | |
//! |---|---|
//! | `GET /saml/metadata` | what Identity Providers are configured with |
//! | `GET /saml/login?idp=` | takes the browser to an Identity Provider; with a session, straight on |
//! | `POST /saml/acs` | takes the response, and gives the session's cookie |
//! | `POST /saml/logout` | ends the session |
//! | `GET /saml/providers` | for the console alone: who is enrolled, and how long a session may lie unused |
//!
//! Where somebody is sent to is configured, and never taken from a request.

mod cookie;
mod form;
mod page;
mod pages;

pub use pages::{pages, serve, terms};

use crate::handle::Handle;
use crate::limits::REQUEST_WORK_LIFE;
use crate::login::{LoginError, Logins};
use crate::objects::StoreError;
use crate::sessions::{Session, SessionError};
use bytes::Bytes;
use cookie::SameSite;
use form::Form;
use gridtrail_port::{Client, MessageSize, Messages};
use gridtrail_saml::{OUTWARD_SENTENCE, ServiceProvider};
use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use std::net::SocketAddr;
use std::sync::Arc;
use url::{Url, form_urlencoded};

type Answer = Response<Full<Bytes>>;

/// The path that the address of the service provider ends with.
const ACS_PATH: &str = "/saml/acs";

/// What the log-in page of the console is made of.
const PROVIDERS_PATH: &str = "/saml/providers";

/// Where browsers go once somebody is logged in, and where our own pages come from.
#[derive(Debug, Clone)]
pub struct Landing {
    page: HeaderValue,
    origin: String,
}

/// The addresses for browsers, and what answers them.
#[derive(Debug)]
pub struct Endpoint {
    logins: Arc<Logins>,
    landing: Landing,
    messages: Messages,
    /// Whether the pages of the console are on the same origin, and call with the cookie.
    is_of_console: bool,
}

/// An endpoint cannot be set up so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// The address that responses are posted to is not one that is served.
    #[error("the address that responses are posted to is an absolute URL with the path {ACS_PATH}")]
    AcsUrl,
    /// The page after the login.
    #[error(
        "the page after the login begins with https://, with http:// on this machine alone, or with a single /"
    )]
    Landing,
}

impl Landing {
    /// `landing` is a URL, or a path on the server of this service provider.
    ///
    /// Errors: what is wrong.
    pub fn new(service_provider: &ServiceProvider, landing: &str) -> Result<Self, EndpointFault> {
        let acs = Url::parse(service_provider.acs_url()).map_err(|_| EndpointFault::AcsUrl)?;
        if acs.path() != ACS_PATH || acs.query().is_some() {
            return Err(EndpointFault::AcsUrl);
        }
        // A path is judged as browsers read it: `//host` and `/\host` lead elsewhere.
        let target = acs.join(landing).map_err(|_| EndpointFault::Landing)?;
        let secure = match target.scheme() {
            "https" => true,
            "http" => matches!(target.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
            _ => false,
        };
        let path = landing.starts_with('/') && target.origin() == acs.origin();
        if !secure || !(path || Url::parse(landing).is_ok()) {
            return Err(EndpointFault::Landing);
        }
        let page = HeaderValue::from_str(target.as_str()).map_err(|_| EndpointFault::Landing)?;
        Ok(Self { page, origin: acs.origin().ascii_serialization() })
    }
}

impl Endpoint {
    /// Logs people in for this page.
    pub fn new(logins: Arc<Logins>, landing: Landing) -> Self {
        Self { logins, landing, messages: Messages::default(), is_of_console: false }
    }

    /// Logs people in for the console, whose pages have the origin of the address that responses are posted to.
    pub fn of_console(logins: Arc<Logins>, landing: Landing) -> Self {
        Self { is_of_console: true, ..Self::new(logins, landing) }
    }

    /// The session of a request that one of our own pages makes; `None`: it shows none, or another page makes it. The session is thereby
    /// in use.
    ///
    /// Errors: `Ended`, `Store`.
    pub async fn session_of(&self, headers: &HeaderMap) -> Result<Option<Arc<Session>>, SessionError> {
        match session_of(headers).filter(|_| self.comes_from_us(headers)) {
            Some(handle) => self.logins.sessions().resume(&handle).await.map(Some),
            None => Ok(None),
        }
    }

    const fn same_site(&self) -> SameSite {
        if self.is_of_console { SameSite::Strict } else { SameSite::Lax }
    }

    /// Answers one request, in a bounded time. Who sent it ([`Client`]) is among its extensions, where it is known.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answer = tokio::time::timeout(REQUEST_WORK_LIFE, self.route(request)).await;
        let late = || page::page(StatusCode::REQUEST_TIMEOUT, "This took too long. Please try again.");
        answer.unwrap_or_else(|_elapsed| late())
    }

    async fn route<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let client = Client::of(&request);
        let (head, body) = request.into_parts();
        let from = client.address;
        match (head.uri.path(), &head.method) {
            ("/saml/metadata", &Method::GET | &Method::HEAD) => {
                page::xml(self.logins.settings().service_provider.metadata())
            }
            ("/saml/login", &Method::GET) => self.login(&head.headers, head.uri.query(), from).await,
            (ACS_PATH, &Method::POST) => {
                let Some((body, _place)) = self.messages.arriving(MessageSize::Large, client.network(), body)
                else {
                    return busy();
                };
                match Form::read(&head.headers, body).await {
                    Ok(form) => self.take_response(&head.headers, form, from).await,
                    Err(refused) => refused,
                }
            }
            ("/saml/logout", &Method::POST) => self.logout(&head.headers, from).await,
            (PROVIDERS_PATH, &Method::GET) if self.is_of_console => self.providers(from).await,
            ("/saml/metadata", _) => page::not_allowed("GET, HEAD"),
            ("/saml/login", _) => page::not_allowed("GET"),
            (PROVIDERS_PATH, _) if self.is_of_console => page::not_allowed("GET"),
            (ACS_PATH | "/saml/logout", _) => page::not_allowed("POST"),
            _ => page::page(StatusCode::NOT_FOUND, "There is no such page."),
        }
    }

    /// To the Identity Provider; or past it, where a session is there already. Clause 1.3.
    async fn login(&self, headers: &HeaderMap, query: Option<&str>, from: Option<SocketAddr>) -> Answer {
        if let Some(handle) = session_of(headers) {
            match self.logins.sessions().resume(&handle).await {
                Ok(_) => return page::redirect(&self.landing.page),
                Err(SessionError::Ended(_)) => {}
                Err(SessionError::Store(error)) => return failed(&error),
            }
        }
        let mut named =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).filter(|(name, _)| name == "idp");
        let (Some((_, entity_id)), None) = (named.next(), named.next()) else {
            return page::page(
                StatusCode::BAD_REQUEST,
                "The address names no Identity Provider: add ?idp= and its entity id.",
            );
        };
        match self.logins.start(&entity_id, from).await {
            Ok(started) => {
                let name = cookie::login_name(started.request.as_str());
                page::form(&started.form, &cookie::login(&name, &started.browser))
            }
            Err(LoginError::UnknownProvider) => {
                page::page(StatusCode::NOT_FOUND, "There is no such Identity Provider.")
            }
            Err(LoginError::Busy) => busy(),
            Err(LoginError::Store(error)) => failed(&error),
            Err(LoginError::Refused(_) | LoginError::NotWritten | LoginError::RelayState) => refused(),
        }
    }

    /// The response, and a new session for it.
    async fn take_response(&self, headers: &HeaderMap, form: Form, from: Option<SocketAddr>) -> Answer {
        let login_cookie = form.relay_state.as_deref().map(cookie::login_name);
        let browser = login_cookie.as_deref().and_then(|name| handle_of(headers, name));
        let Form { response, relay_state } = form;
        match self.logins.finish(response, relay_state.as_deref(), browser.as_ref(), from).await {
            Ok(logged_in) => {
                let mut answer = page::redirect(&self.landing.page);
                page::set_cookie(
                    &mut answer,
                    &cookie::session(&logged_in.handle, &logged_in.session.bearer, self.same_site()),
                );
                if let (Some(name), Some(_)) = (login_cookie, browser) {
                    page::set_cookie(&mut answer, &cookie::no_login(&name));
                }
                answer
            }
            Err(LoginError::Store(error)) => page::page(status_of(&error), OUTWARD_SENTENCE),
            Err(LoginError::NotWritten) => page::page(StatusCode::SERVICE_UNAVAILABLE, OUTWARD_SENTENCE),
            Err(LoginError::Busy) => busy(),
            Err(LoginError::Refused(_) | LoginError::UnknownProvider | LoginError::RelayState) => refused(),
        }
    }

    /// Among whom a person chooses at the log-in page. Names alone: whose people each of them vouches for is not said.
    async fn providers(&self, from: Option<SocketAddr>) -> Answer {
        match self.logins.identity_providers(from).await {
            Ok(names) => {
                let idle_ms = self.logins.sessions().idle_limit().millis();
                page::json(&serde_json::json!({
                    "identityProviders": names,
                    "sessionIdleSeconds": idle_ms / 1000,
                }))
            }
            Err(LoginError::Store(error)) => failed(&error),
            Err(_) => busy(),
        }
    }

    async fn logout(&self, headers: &HeaderMap, from: Option<SocketAddr>) -> Answer {
        if !self.comes_from_us(headers) {
            return page::page(StatusCode::FORBIDDEN, "Only our own pages log somebody out.");
        }
        let Some(handle) = session_of(headers) else {
            return page::unauthorised("Nobody is logged in.");
        };
        match self.logins.log_out(&handle, from).await {
            Ok(()) => {
                let mut answer = page::page(StatusCode::OK, "You are logged out.");
                page::set_cookie(&mut answer, &cookie::no_session(self.same_site()));
                answer
            }
            Err(error) => failed(&error),
        }
    }

    /// Whether one of our own pages asks: browsers say so in at least one of these headers, and no page can make them lie.
    fn comes_from_us(&self, headers: &HeaderMap) -> bool {
        let all = |name: &str, own: &str| {
            headers.get_all(name).iter().all(|value| value.as_bytes() == own.as_bytes())
        };
        let said = headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site");
        said && all(ORIGIN.as_str(), &self.landing.origin) && all("sec-fetch-site", "same-origin")
    }
}

fn session_of(headers: &HeaderMap) -> Option<Handle> {
    handle_of(headers, cookie::SESSION)
}

/// The handle in a cookie. One that is there twice is none: somebody else set one of them.
fn handle_of(headers: &HeaderMap, name: &str) -> Option<Handle> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    cookie::only_value(lines, name)?.parse().ok()
}

fn busy() -> Answer {
    page::page(StatusCode::SERVICE_UNAVAILABLE, "Many people log in at the moment. Please try again.")
}

fn refused() -> Answer {
    page::unauthorised(OUTWARD_SENTENCE)
}

fn status_of(error: &StoreError) -> StatusCode {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    match error {
        // What somebody must permit first, no second try gets.
        StoreError::Unavailable { source: PermissionDenied { .. } | Unauthenticated { .. }, .. } => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        StoreError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        StoreError::Corrupt { .. } | StoreError::NoRandomness => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn failed(error: &StoreError) -> Answer {
    tracing::error!(error = error as &dyn std::error::Error, "a browser was not answered");
    let status = status_of(error);
    let told = if status == StatusCode::SERVICE_UNAVAILABLE {
        "This does not work at the moment. Please try again."
    } else {
        "This does not work, and trying again will not help. Please tell whoever runs this service."
    };
    page::page(status, told)
}
