//! Why a search is not answered.

use crate::room::NoRoom;
use crate::store::StoreError;
use gridtrail_access::{AccessError, AccessErrorKind};
use gridtrail_lake::{DEVICES_BEHIND_MAX, LakeErrorKind};
use std::fmt;

/// One field of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, under its name in the query services.
    pub field: &'static str,
    /// The rule, with an example where it helps.
    pub rule: String,
}

/// Why a search is not answered.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The request breaks rules. Never empty.
    #[error("check the request: {}", describe(.0))]
    Invalid(Vec<Violation>),
    /// The caller's access has ended or does not cover the search.
    #[error("check access")]
    Access(#[source] AccessError),
    /// No such row, or not one that the caller may see: the same for both.
    #[error("find the row")]
    NotFound,
    /// The inventory has no Communications Hub Function of this Device ID.
    #[error("find the Communications Hub")]
    NoHub,
    /// A Communications Hub has more behind it than is looked at.
    #[error("look at {found} Devices or meter points behind one Communications Hub")]
    HubTooWide {
        /// How many.
        found: usize,
    },
    /// The search would have to look at too much.
    #[error("look at more than {most} {what}")]
    TooWide {
        /// Of what there is too much.
        what: &'static str,
        /// How many are looked at.
        most: usize,
    },
    /// What pertains to the caller takes more memory than there is room for.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The lake cannot answer.
    #[error("read the lake")]
    Lake(#[source] StoreError),
    /// A page token could not be sealed.
    #[error("seal a page token")]
    Seal,
}

/// What the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchErrorKind {
    /// Correct the fields named.
    Invalid,
    /// Log in again.
    NoIdentity,
    /// Ask for the role.
    Denied,
    /// Search again: there is no such row for this caller.
    NotFound,
    /// Name another Device: this one is no Communications Hub.
    NoHub,
    /// Narrow the search.
    Exhausted,
    /// Try again later.
    Unavailable,
    /// Report it: stored data is damaged.
    Corrupt,
    /// Report it: a fault in the program.
    Internal,
}

/// What the caller is told: built from the request alone, never from what lies beneath the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserText(String);

impl fmt::Display for UserText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<UserText> for String {
    fn from(text: UserText) -> Self {
        text.0
    }
}

impl SearchError {
    /// One field that breaks one rule.
    pub fn invalid(field: &'static str, rule: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field, rule: rule.into() }])
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> SearchErrorKind {
        match self {
            Self::Invalid(_) => SearchErrorKind::Invalid,
            Self::Access(error) => match error.kind() {
                AccessErrorKind::NoIdentity => SearchErrorKind::NoIdentity,
                AccessErrorKind::Denied => SearchErrorKind::Denied,
                AccessErrorKind::Unavailable => SearchErrorKind::Unavailable,
                AccessErrorKind::SetUp => SearchErrorKind::Internal,
            },
            Self::NotFound => SearchErrorKind::NotFound,
            Self::NoHub => SearchErrorKind::NoHub,
            Self::HubTooWide { .. } | Self::TooWide { .. } | Self::NoRoom(_) => SearchErrorKind::Exhausted,
            Self::Lake(error) => match error.kind() {
                // Only a page token names a version, and there it is told as a token that holds no longer.
                LakeErrorKind::Unavailable | LakeErrorKind::VersionGone => SearchErrorKind::Unavailable,
                LakeErrorKind::Corrupt => SearchErrorKind::Corrupt,
                // A reader neither moves positions nor chooses settings, and what it may not read somebody must permit.
                LakeErrorKind::Internal
                | LakeErrorKind::PositionMoved
                | LakeErrorKind::Settings
                | LakeErrorKind::Denied => SearchErrorKind::Internal,
            },
            Self::Seal => SearchErrorKind::Internal,
        }
    }

    /// What the caller is told.
    pub fn user_text(&self) -> UserText {
        UserText(match self {
            Self::Invalid(violations) => describe(violations),
            // The component and nothing else: what lies behind it is not told apart.
            Self::Access(AccessError::Denied { component }) => {
                format!("none of your Job Type Roles may use {component}")
            }
            Self::Access(AccessError::NoRole) => "you have no Job Type Role".into(),
            Self::Access(error) => match error.kind() {
                // These name times and claims of the caller's own token, never its text.
                AccessErrorKind::NoIdentity => format!("log in again: {error}"),
                AccessErrorKind::Unavailable => {
                    "it cannot be told just now who may see what; try again".into()
                }
                AccessErrorKind::Denied | AccessErrorKind::SetUp => "the service failed".into(),
            },
            Self::NotFound => "there is no row of this reference among those that you may see".into(),
            Self::NoHub => "the inventory has no Communications Hub Function of this Device ID".into(),
            Self::HubTooWide { .. } => {
                format!(
                    "this Communications Hub has more than {DEVICES_BEHIND_MAX} Devices or meter points behind it"
                )
            }
            Self::TooWide { what, most } => format!(
                "this would look at more than {most} {what}; search by a narrower key, such as a Device ID or MPxN, or \
                 by closer dates"
            ),
            Self::NoRoom(_) => {
                "this would hold more in memory than there is room for; ask for fewer User IDs".into()
            }
            Self::Lake(error) => match error.kind() {
                LakeErrorKind::Unavailable | LakeErrorKind::VersionGone => {
                    "what is stored cannot be read just now; try again".into()
                }
                LakeErrorKind::Corrupt => "stored data is damaged".into(),
                LakeErrorKind::Internal
                | LakeErrorKind::PositionMoved
                | LakeErrorKind::Settings
                | LakeErrorKind::Denied => "the service failed".into(),
            },
            Self::Seal => "the service failed".into(),
        })
    }
}

impl From<AccessError> for SearchError {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

impl From<StoreError> for SearchError {
    fn from(error: StoreError) -> Self {
        Self::Lake(error)
    }
}

fn describe(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations.iter().map(|v| format!("{}: {}", v.field, v.rule)).collect();
    texts.join("; ")
}
