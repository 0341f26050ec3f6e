//! Identifiers of messages and assertions.

use crate::limits::MESSAGE_ID_BYTES_MAX;
use std::fmt;
use std::str::FromStr;

/// The identifier of a message or an assertion: a letter or `_`, then letters, digits, `_`, `-` and `.`; at most 128.
///
/// Every `xs:ID` of practice fits, and nothing that a pointer language could read a second meaning into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

/// A text is not the identifier of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is a letter or _, then letters, digits, _, - and ., at most 128")]
pub struct NotAMessageId;

impl MessageId {
    /// The identifier as it stands in messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MessageId {
    type Err = NotAMessageId;

    fn from_str(text: &str) -> Result<Self, NotAMessageId> {
        let first = text.bytes().next().ok_or(NotAMessageId)?;
        let fits = (first.is_ascii_alphabetic() || first == b'_')
            && text.len() <= MESSAGE_ID_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if fits { Ok(Self(text.into())) } else { Err(NotAMessageId) }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
