//! What is noted of a call.

use gridtrail_model::Timestamp;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// A chain begins: its first row.
    Start,
    /// A call, or several that were refused alike.
    Call,
    /// Old rows were let go.
    Trimmed,
    /// A chain ends in good order: its last row.
    End,
}

impl RowKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Start, Self::Call, Self::Trimmed, Self::End];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Call => "call",
            Self::Trimmed => "trimmed",
            Self::End => "end",
        }
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is no kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of the access log is one of start, call, trimmed and end")]
pub struct BadRowKind;

impl FromStr for RowKind {
    type Err = BadRowKind;
    fn from_str(text: &str) -> Result<Self, BadRowKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(BadRowKind)
    }
}

/// What is noted of a call. What does not apply, or is not known, is left out.
///
/// Never in it: tokens, secrets, page tokens, the text of a request that could not be read, anything of an officer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was answered, UTC.
    pub at: Timestamp,
    /// Which call, as `AuditTrailService.Search`.
    pub call: Cow<'static, str>,
    /// The name of its gRPC status, as `PERMISSION_DENIED`; `CANCELLED` where the caller went away first.
    pub outcome: Cow<'static, str>,
    /// The reason that the status gave.
    pub reason: Option<Cow<'static, str>>,
    /// How many calls this stands for: more than one only where nobody was admitted.
    pub times: u64,
    /// The person or system, as their issuer names them.
    pub subject: Option<String>,
    /// The Party that they work for.
    pub party: Option<String>,
    /// Their session, by the digest that names it.
    pub session: Option<String>,
    /// Their Job Type Roles, separated by commas.
    pub roles: Option<String>,
    /// What kind of key was looked up: `mpxn`, `device_id`, `uprn`, `postcode`, `user_id`, or `reference` of one row; several, separated by commas.
    pub key_kind: Option<Cow<'static, str>>,
    /// The key.
    pub key: Option<String>,
    /// The variants that it was narrowed to, separated by commas.
    pub variants: Option<String>,
    /// The earliest receipt that was asked for.
    pub from: Option<Timestamp>,
    /// The latest.
    pub to: Option<Timestamp>,
    /// Rows that were shown.
    pub rows: Option<u64>,
    /// Those of them that another User sent, who is none of those whose rows the caller sees: meter reads. Of a statement in SQL, those that
    /// were read for it, which may be more than it showed.
    pub rows_of_others: Option<u64>,
    /// The version that was read.
    pub version: Option<String>,
    /// Most rows of the page.
    pub page_size: Option<u64>,
    /// Whether it was a page after the first.
    pub later_page: Option<bool>,
    /// The address that it came from.
    pub peer: Option<String>,
    /// How long it took, in microseconds.
    pub took_us: Option<u64>,
    /// What else there is to say, such as the text of a statement in SQL without its literals; in rows that are no calls, a JSON object.
    pub detail: Option<String>,
}

impl Entry {
    /// A call of this name at this time, of which no more is known yet.
    pub fn of(call: impl Into<Cow<'static, str>>, at: Timestamp) -> Self {
        Self {
            at,
            call: call.into(),
            outcome: Cow::Borrowed(""),
            reason: None,
            times: 1,
            subject: None,
            party: None,
            session: None,
            roles: None,
            key_kind: None,
            key: None,
            variants: None,
            from: None,
            to: None,
            rows: None,
            rows_of_others: None,
            version: None,
            page_size: None,
            later_page: None,
            peer: None,
            took_us: None,
            detail: None,
        }
    }
}
