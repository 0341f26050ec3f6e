//! Which form of a file a browser can read.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Gzip,
    Plain,
}

impl Encoding {
    /// The smallest form that a browser says it can read, of those that there are.
    pub(crate) fn chosen(headers: &HeaderMap, has_brotli: bool, has_gzip: bool) -> Self {
        let lines = headers.get_all(ACCEPT_ENCODING);
        let reads = |name: &str| {
            let mut codings =
                lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
            codings.any(|coding| is_wanted(coding, name))
        };
        if has_brotli && reads("br") {
            Self::Brotli
        } else if has_gzip && reads("gzip") {
            Self::Gzip
        } else {
            Self::Plain
        }
    }
}

/// Whether one coding of the header is this one, and not refused by a weight of zero.
fn is_wanted(coding: &str, name: &str) -> bool {
    let mut parts = coding.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|found| found.eq_ignore_ascii_case(name));
    let is_refused = parts.filter_map(|part| part.strip_prefix("q=")).any(|weight| weight.parse() == Ok(0.0));
    is_named && !is_refused
}
