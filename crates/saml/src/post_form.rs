//! The page with which a browser carries a request to the Identity Provider.

use crate::identity_provider::IdentityProvider;
use crate::limits::RELAY_STATE_BYTES_MAX;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

/// A page that posts a request to an Identity Provider, and the header to serve it with.
///
/// Its one script submits the form; where scripts are off, a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostForm {
    /// Where it is posted.
    pub action: String,
    /// The value of `SAMLRequest`, base64.
    pub request: String,
    /// The page, HTML in UTF-8.
    pub html: String,
    /// The value of `Content-Security-Policy`: nothing but this one script may run. Where the form may be sent is left open,
    /// since browsers apply it to every redirect of the Identity Provider's, too.
    pub content_security_policy: String,
}

const SCRIPT: &str = "document.forms[0].submit()";

impl PostForm {
    /// For a request made by [`ServiceProvider::authn_request`](crate::ServiceProvider::authn_request); `relay_state` comes
    /// back with the response. `None` if it is longer than the 80 bytes that SAML allows.
    pub fn new(to: &IdentityProvider, request: &str, relay_state: Option<&str>) -> Option<Self> {
        if relay_state.is_some_and(|state| state.len() > RELAY_STATE_BYTES_MAX) {
            return None;
        }
        let (action, request) = (to.sso_url().to_owned(), STANDARD.encode(request));
        let relay_state = relay_state
            .map(|state| format!(r#"<input type="hidden" name="RelayState" value="{}">"#, escape(state)))
            .unwrap_or_default();
        let html = format!(
            concat!(
                "<!DOCTYPE html>\n",
                r#"<html lang="en"><head><meta charset="utf-8"><title>Log in</title></head><body>"#,
                r#"<form method="post" action="{action}"><input type="hidden" name="SAMLRequest" value="{request}">"#,
                r#"{relay_state}<p>You are being taken to your Identity Provider.</p>"#,
                r#"<button type="submit">Continue</button></form><script>{script}</script></body></html>"#,
            ),
            action = escape(&*action),
            request = request,
            relay_state = relay_state,
            script = SCRIPT,
        );
        let script = STANDARD.encode(digest::digest(&digest::SHA256, SCRIPT.as_bytes()));
        let content_security_policy = format!(
            "default-src 'none'; script-src 'sha256-{script}'; base-uri 'none'; frame-ancestors 'none'"
        );
        Some(Self { action, request, html, content_security_policy })
    }
}
