//! What a request is for: a call, a page of the console, or a page of a login.
//!
//! Pages of the console call as every browser can, over gRPC-Web, and show no token: they have none. What stands for it is the session's
//! cookie, which no script can read, and which counts for a call alone that one of our own pages makes. Then the call goes on with the token
//! of that session, as if it had come with one: all that is asked of a caller is asked of this one, too. Looking for the session is bounded as
//! logins are: who shows cookies that nobody was given keeps others from nothing.

use crate::held::{Parts, held_by_its_parts};
use crate::limits::{LOGINS_MAX, REQUEST_LIFE};
use crate::log_in::token_of;
use crate::status::{CallError, status_of};
use gridtrail_access::SessionKey;
use gridtrail_port::{Client, Hold, Places, Sizes};
use gridtrail_session::{Endpoint, SessionError};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Service};

/// The pages at the address of the services.
#[derive(Debug, Clone)]
pub struct Console {
    /// Logs people in at the same origin; `None`: nobody logs in here, and pages show a token that a person gave them.
    pub logins: Option<Arc<Endpoint>>,
}

/// What answers all requests.
#[derive(Clone)]
pub(crate) struct Front<S> {
    calls: S,
    console: Option<Console>,
    /// What cookies are looked up by; `None`: they count for nothing here.
    cookies: Option<Cookies>,
}

/// What makes a cookie the token of its session.
#[derive(Clone)]
struct Cookies {
    endpoint: Arc<Endpoint>,
    key: Arc<SessionKey>,
    /// Apart from the places of other calls, as those of logins are: a cookie may be anything.
    places: Places<IpAddr>,
}

impl<S> Front<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    pub(crate) fn new(calls: S, console: Option<Console>, key: Option<Arc<SessionKey>>) -> Self {
        let logins = console.as_ref().and_then(|console| console.logins.clone());
        let (all, each) = LOGINS_MAX;
        let cookies = logins.zip(key).map(|(endpoint, key)| {
            let places = Places::new(Sizes { all, each, patience: Duration::ZERO });
            Cookies { endpoint, key, places }
        });
        Self { calls, console, cookies }
    }

    pub(crate) fn answer(&self, request: Request<Incoming>) -> BoxFuture<Response<Parts>, Infallible> {
        match &self.console {
            Some(console) if !is_call(request.headers()) => return page(console, request),
            _ => {}
        }
        let mut calls = self.calls.clone();
        match self.cookies.clone().filter(|_| shows_cookie(request.headers())) {
            Some(cookies) => Box::pin(async move {
                match cookies.make_token(request).await {
                    Ok(request) => calls.call(request).await.map(held_by_its_parts),
                    Err(status) => Ok(held_by_its_parts(refused(&status))),
                }
            }),
            None => {
                let answer = calls.call(request);
                Box::pin(async move { answer.await.map(held_by_its_parts) })
            }
        }
    }
}

/// Whether it is a call of a service, by whichever of the two protocols.
fn is_call(headers: &HeaderMap) -> bool {
    content_type_of(headers).starts_with("application/grpc")
}

fn content_type_of(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether it is a call of a browser that shows a cookie and no token: in no other does a cookie count.
fn shows_cookie(headers: &HeaderMap) -> bool {
    let is_of_browser = content_type_of(headers).starts_with("application/grpc-web");
    is_of_browser && headers.contains_key(COOKIE) && !headers.contains_key(AUTHORIZATION)
}

impl Cookies {
    /// A call with the token of the session whose cookie it brings. Without a session that holds it stays as it is, and is told to log in.
    ///
    /// Errors: whether there is a session cannot be told now.
    async fn make_token(&self, mut request: Request<Incoming>) -> Result<Request<Incoming>, Status> {
        let failed = |error: CallError| status_of("the session of a page", &error);
        let (network, gives_up) = (Client::of(&request).network(), CancellationToken::new());
        let place = self.places.enter(network, (1, Hold::Firm), gives_up);
        let _place = place.map_err(|_| failed(CallError::Busy))?;
        let looking = tokio::time::timeout(REQUEST_LIFE, self.endpoint.session_of(request.headers()));
        let session = match looking.await.map_err(|_elapsed| failed(CallError::TooSlow))? {
            Ok(Some(session)) => session,
            Ok(None) | Err(SessionError::Ended(_)) => return Ok(request),
            Err(error) => return Err(failed(error.into())),
        };
        let token = token_of(&self.key, &session).map_err(failed)?;
        // Base64 and dots: it is a header.
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// An error as gRPC-Web has it where there is no message: in the headers.
fn refused(status: &Status) -> Response<Body> {
    let mut answer = status.clone().into_http();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc-web+proto"));
    answer
}

fn page(console: &Console, request: Request<Incoming>) -> BoxFuture<Response<Parts>, Infallible> {
    let logins = console.logins.clone().filter(|_| request.uri().path().starts_with("/saml/"));
    Box::pin(async move {
        let answer = match logins {
            Some(endpoint) => endpoint.answer(request).await,
            None => gridtrail_console::answer(request.method(), request.uri().path(), request.headers()),
        };
        Ok(held_by_its_parts(answer.map(Body::new)))
    })
}
