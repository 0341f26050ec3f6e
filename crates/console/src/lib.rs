//! The pages of the browser console: built files, part of the binary, and how browsers get them.
//!
//! [`answer`] is the one door. Files with a hash in their name, under `/assets/`, may be kept for ever; every other address is that of a page,
//! gets `index.html`, and is kept by nobody. All answers carry a policy by which a page runs the scripts of this origin and no others.
//!
//! **Invariant:** nothing here depends on who asks: no file holds anything but the program of the pages.
//!
//! Left out on purpose: building the files, which `scripts/console` does before cargo; logins, sessions and calls.

mod negotiation;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use negotiation::Encoding;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A built file, in the forms that there are of it.
struct File {
    path: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

/// The page of a build that has no console.
const NOT_BUILT: File =
    File { path: "/index.html", plain: include_bytes!("not_built.html"), gzip: None, brotli: None };

/// Where files lie whose name changes with their content.
const HASHED: &str = "/assets/";

/// Where people log in, if anywhere: no page of the console has such an address.
const LOGINS: &str = "/saml/";

/// What a page may do: run, show and ask for what comes from this origin. No script stands in a page, none is made of text, and nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(concat!(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; ",
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; ",
    "require-trusted-types-for 'script'; trusted-types 'none'"
));

/// Headers of every answer. An address holds the key of a search, so none is told to another site.
const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// Whether this build has the console. One without answers with a page that says how to get it.
pub fn is_built() -> bool {
    find("/index.html").is_some()
}

/// Answers the request of a browser for a page, or for a file of one.
pub fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "This page is not asked for in this way.\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match find(path) {
        Some(file) => send(file, headers),
        // A name with an ending is that of a file: a page in its place would hide that it is missing.
        None if path.starts_with(HASHED) || path.starts_with(LOGINS) || is_file(path) => {
            plain(StatusCode::NOT_FOUND, "There is no such file.\n")
        }
        None => send(find("/index.html").unwrap_or(&NOT_BUILT), headers),
    }
}

/// Whether an address has an ending, as names of files have.
fn is_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

fn find(path: &str) -> Option<&'static File> {
    let at = FILES.binary_search_by_key(&path, |file| file.path).ok()?;
    FILES.get(at)
}

fn send(file: &'static File, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let chosen = Encoding::chosen(headers, file.brotli.is_some(), file.gzip.is_some());
    let (bytes, encoding) = match (chosen, file.brotli, file.gzip) {
        (Encoding::Brotli, Some(bytes), _) => (bytes, Some("br")),
        (Encoding::Gzip, _, Some(bytes)) => (bytes, Some("gzip")),
        _ => (file.plain, None),
    };
    let kept = if file.path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-store" };
    let mut answer = with_headers(StatusCode::OK, type_of(file.path), Bytes::from_static(bytes));
    let to = answer.headers_mut();
    to.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    to.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        to.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = with_headers(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn with_headers(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(bytes));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.extend(ALWAYS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn type_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
