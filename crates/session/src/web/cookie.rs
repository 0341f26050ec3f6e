//! Cookies. All have the prefix `__Host-`, so no other host, not even one of the same site, can set or overwrite them.

use crate::handle::Handle;
use crate::limits::REQUEST_LIFE_MS;
use gridtrail_access::Bearer;

/// The session.
pub(crate) const SESSION: &str = "__Host-gridtrail";

/// With which requests a session's cookie comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameSite {
    /// Also with links from elsewhere, since a page may be made by who is logged in; with nothing that another site posts.
    Lax,
    /// With nothing that another site begins: the pages of the console are the same for all, and ask for the rest themselves.
    Strict,
}

impl SameSite {
    const fn name(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}

/// How much of a request's identifier names its cookie: enough to tell the tabs of one browser apart.
const NAMED_BY: usize = 17;

/// The cookie of a request; each has its own, so that two tabs can log in at once.
pub(crate) fn login_name(request: &str) -> String {
    let part: String = request.chars().take(NAMED_BY).filter(char::is_ascii_alphanumeric).collect();
    format!("__Host-gridtrail-login-{part}")
}

/// The handle of a session. The browser forgets it when the session ends at the latest: 8.5 hours after the person was
/// authenticated, or earlier (Appendix AH, clause 1.2).
pub(crate) fn session(handle: &Handle, bearer: &Bearer, same_site: SameSite) -> String {
    let seconds = (bearer.expires_at.millis() - bearer.valid_from.millis()) / 1000;
    let (secret, same_site) = (handle.secret(), same_site.name());
    format!("{SESSION}={secret}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite={same_site}")
}

pub(crate) fn no_session(same_site: SameSite) -> String {
    format!("{SESSION}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite={}", same_site.name())
}

/// Binds a request to the browser. `None`: the Identity Provider's page posts the response, and that is another site.
pub(crate) fn login(name: &str, browser: &Handle) -> String {
    let seconds = REQUEST_LIFE_MS / 1000;
    format!("{name}={}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=None", browser.secret())
}

pub(crate) fn no_login(name: &str) -> String {
    format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=None")
}

/// The value of a cookie, if it is there once. `lines` are the `Cookie` headers.
pub(crate) fn only_value<'a>(lines: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
