//! What a browser shows, and what stands for it everywhere else.

use crate::digest;
use crate::objects::StoreError;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// 256 random bits that a browser keeps in a cookie. Whoever has them is that browser, so they are never stored or logged: the
/// debug form leaves them out, and objects are named by their digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Handle([u8; 32]);

/// A text is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a handle is 43 characters of base64 for URLs")]
pub struct NotAHandle;

impl Handle {
    /// A new one.
    ///
    /// Errors: `NoRandomness`.
    pub(crate) fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// What the browser keeps.
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn digest(&self, purpose: &str) -> String {
        digest::of(purpose, &[&self.0])
    }
}

impl FromStr for Handle {
    type Err = NotAHandle;

    fn from_str(text: &str) -> Result<Self, NotAHandle> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAHandle)?;
        bytes.try_into().map(Self).map_err(|_| NotAHandle)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// What tells a session from all others: the SHA-256 digest of its handle, in hexadecimal. It may be shown and logged: it leads to
/// the session and never back to the handle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    pub(crate) fn of(handle: &Handle) -> Self {
        Self(handle.digest("session"))
    }

    /// The digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = NotAHandle;

    fn from_str(text: &str) -> Result<Self, NotAHandle> {
        let fits = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.into())) } else { Err(NotAHandle) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
