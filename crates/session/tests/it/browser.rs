//! A browser that keeps cookies as browsers do, as far as the tests need it.

use crate::it::world::{LANDING, Server, answer_to, posted};
use bytes::Bytes;
use gridtrail_saml::fake::ISSUER;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::collections::BTreeMap;
use url::form_urlencoded::{self, byte_serialize};

pub(crate) const ORIGIN_OURS: &str = "https://ssi.example";

/// Whose page makes a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Us,
    Elsewhere,
}

#[derive(Default, Clone)]
pub(crate) struct Browser {
    /// Value and whether it comes with what other sites post.
    pub(crate) cookies: BTreeMap<String, (String, bool)>,
}

pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) head: http::HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) async fn of(answer: Response<Full<Bytes>>) -> Self {
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, head: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.head.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The hidden field of a form.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!(r#"name="{name}" value=""#);
        let rest = &self.body[self.body.find(&start).unwrap() + start.len()..];
        rest[..rest.find('"').unwrap()].to_owned()
    }
}

impl Browser {
    pub(crate) async fn ask(&mut self, server: &Server, request: Request<Full<Bytes>>, from: From) -> Seen {
        let (mut head, body) = request.into_parts();
        let cross_post = from == From::Elsewhere && head.method == Method::POST;
        let sent: Vec<String> = self
            .cookies
            .iter()
            .filter(|(_, (_, everywhere))| *everywhere || !cross_post)
            .map(|(name, (value, _))| format!("{name}={value}"))
            .collect();
        if !sent.is_empty() {
            head.headers.insert(COOKIE, sent.join("; ").parse().unwrap());
        }
        let seen = Seen::of(server.endpoint.answer(Request::from_parts(head, body)).await).await;
        for cookie in seen.cookies() {
            self.keep(cookie);
        }
        seen
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let attributes: Vec<&str> = attributes.split("; ").collect();
        assert!(
            attributes.contains(&"Secure") && attributes.contains(&"Path=/"),
            "no __Host- cookie: {cookie}"
        );
        assert!(!attributes.iter().any(|attribute| attribute.starts_with("Domain")), "{cookie}");
        if attributes.contains(&"Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.into(), (value.into(), attributes.contains(&"SameSite=None")));
        }
    }

    pub(crate) async fn get(&mut self, server: &Server, path: &str) -> Seen {
        let request = Request::get(path).body(Full::default()).unwrap();
        self.ask(server, request, From::Us).await
    }

    pub(crate) async fn post(
        &mut self,
        server: &Server,
        path: &str,
        fields: &[(&str, &str)],
        from: From,
    ) -> Seen {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let origin = if from == From::Us { ORIGIN_OURS } else { "https://elsewhere.example" };
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ORIGIN, origin)
            .body(Full::from(body))
            .unwrap();
        self.ask(server, request, from).await
    }

    /// The page that leads to the Identity Provider.
    pub(crate) async fn open_login(&mut self, server: &Server) -> Seen {
        let idp: String = byte_serialize(ISSUER.as_bytes()).collect();
        self.get(server, &format!("/saml/login?idp={idp}")).await
    }

    /// The Identity Provider has the browser post its answer.
    pub(crate) async fn bring(&mut self, server: &Server, response: &str, relay_state: &str) -> Seen {
        let fields = [("SAMLResponse", response), ("RelayState", relay_state)];
        self.post(server, "/saml/acs", &fields, From::Elsewhere).await
    }

    pub(crate) async fn log_in(&mut self, server: &Server) {
        let page = self.open_login(server).await;
        let request = page.field("RelayState");
        let seen = self.bring(server, &posted(&answer_to(&request)), &request).await;
        assert_eq!((seen.status, seen.header(LOCATION)), (StatusCode::SEE_OTHER, LANDING));
    }

    pub(crate) fn session(&self) -> Option<String> {
        self.cookies.get("__Host-gridtrail").map(|(value, _)| value.clone())
    }

    /// Whether the server passes by SAML.
    pub(crate) async fn is_logged_in(&mut self, server: &Server) -> bool {
        self.open_login(server).await.status == StatusCode::SEE_OTHER
    }
}
