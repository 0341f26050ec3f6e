//! Answers, and the headers that all of them have.

use super::Answer;
use bytes::Bytes;
use gridtrail_saml::PostForm;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

const HTML: &str = "text/html; charset=utf-8";

fn answer(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let fixed = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A page with one sentence of ours. It holds nothing that a request said.
pub(super) fn page(status: StatusCode, sentence: &str) -> Answer {
    let html = format!(
        concat!(
            "<!DOCTYPE html>\n",
            r#"<html lang="en"><head><meta charset="utf-8"><title>Self-Service Interface</title></head>"#,
            "<body><p>{}</p></body></html>",
        ),
        sentence
    );
    answer(status, HTML, html)
}

/// 401, which has to name a way to log in; there is no registered name for this one.
pub(super) fn unauthorised(sentence: &str) -> Answer {
    let mut answer = page(StatusCode::UNAUTHORIZED, sentence);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("SAML"));
    answer
}

pub(super) fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, "This page is not asked for in this way.");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

pub(super) fn xml(body: String) -> Answer {
    answer(StatusCode::OK, "application/samlmetadata+xml", body)
}

pub(super) fn json(value: &serde_json::Value) -> Answer {
    answer(StatusCode::OK, "application/json", value.to_string())
}

/// On to a place that was configured.
pub(super) fn redirect(to: &HeaderValue) -> Answer {
    let mut answer = page(StatusCode::SEE_OTHER, "You are logged in.");
    answer.headers_mut().insert(LOCATION, to.clone());
    answer
}

/// The page that takes a browser to the Identity Provider.
pub(super) fn form(form: &PostForm, cookie: &str) -> Answer {
    let mut answer = answer(StatusCode::OK, HTML, form.html.clone());
    match HeaderValue::from_str(&form.content_security_policy) {
        Ok(policy) => _ = answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy),
        // The stricter one stays: no script runs, and the button is there.
        Err(_) => tracing::warn!("the policy of the login page is no header"),
    }
    set_cookie(&mut answer, cookie);
    answer
}

pub(super) fn set_cookie(answer: &mut Answer, cookie: &str) {
    // Our cookies are made of ASCII letters, digits and a few signs. One that were not would be left out: nobody is logged in.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}
