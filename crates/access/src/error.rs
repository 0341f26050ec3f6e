//! Why a caller is not let in.

use crate::{Component, MatrixError};
use gridtrail_model::Timestamp;

/// Why a caller is not let in. No message repeats any part of a token.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token is not one that this service accepts.
    #[error("check token: {0}")]
    Token(TokenFault),
    /// The token's time is over.
    #[error("the token expired at {expired_at}")]
    Expired {
        /// When it expired.
        expired_at: Timestamp,
    },
    /// The token's time has not come.
    #[error("the token is not valid before {valid_from}")]
    NotYetValid {
        /// When it starts.
        valid_from: Timestamp,
    },
    /// None of the caller's roles may use the component.
    #[error("no Job Type Role of the caller may use {component}")]
    Denied {
        /// The component.
        component: Component,
    },
    /// The caller has no role at all.
    #[error("the caller has no Job Type Role")]
    NoRole,
    /// The session that a token stands for has ended, or there was none.
    #[error("the session of the token does not hold")]
    SessionOver,
    /// Whether a session holds is not known.
    #[error("it cannot be told whether the session holds")]
    SessionUnknown,
    /// It is not known who shares with whom.
    #[error("it cannot be told who shares with whom")]
    Suspended,
    /// A key is not an Ed25519 key in PEM.
    #[error("read key: {0}")]
    Key(&'static str),
    /// The matrix of Job Type Roles is not one.
    #[error("read the matrix of Job Type Roles")]
    Roles(#[from] MatrixError),
    /// Rights that another process handed over do not open.
    #[error(
        "rights that were handed over were altered, are for other work, or were sealed by another key: processes that carry out statements together need the same key"
    )]
    Handed,
    /// A token cannot be minted from these claims.
    #[error("mint token: {0}")]
    Mint(&'static str),
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than any token of ours.
    #[error("it is too long")]
    TooLong,
    /// Not a JSON Web Token with one readable header.
    #[error("it is not a JSON Web Token")]
    Malformed,
    /// Signed with another algorithm than EdDSA, or with none.
    #[error("it is not signed with EdDSA")]
    Algorithm,
    /// The header names extensions that must be understood; none are.
    #[error("its header has critical extensions")]
    CriticalHeader,
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// A token of another kind: that of a session, an operator's, or neither.
    #[error("it is a token of another kind")]
    Kind,
    /// The token stands for itself, where only tokens of sessions are accepted.
    #[error("it is not that of a session")]
    NotOfASession,
    /// From another issuer.
    #[error("its issuer is not the one expected")]
    Issuer,
    /// For another audience.
    #[error("it is meant for another audience")]
    Audience,
    /// The token would be valid for too long.
    #[error("it is valid for more than 24 hours")]
    Lifetime,
    /// A claim is missing, or has the wrong type or value.
    #[error("its claim \"{0}\" is missing or wrong")]
    Claim(&'static str),
    /// Header or claims are not what a token of ours holds.
    #[error("its header or its claims are incomplete or of the wrong type")]
    Claims,
}

/// What the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessErrorKind {
    /// Log in, or log in again.
    NoIdentity,
    /// Ask for a role that may use the component.
    Denied,
    /// Try again: the service does not know enough just now.
    Unavailable,
    /// A fault in the set-up of this process: a key or claims of its own.
    SetUp,
}

impl AccessError {
    /// What the caller can do about it.
    pub const fn kind(&self) -> AccessErrorKind {
        match self {
            Self::Token(_) | Self::Expired { .. } | Self::NotYetValid { .. } | Self::SessionOver => {
                AccessErrorKind::NoIdentity
            }
            Self::Denied { .. } | Self::NoRole => AccessErrorKind::Denied,
            Self::Suspended | Self::SessionUnknown => AccessErrorKind::Unavailable,
            Self::Key(_) | Self::Roles(_) | Self::Handed | Self::Mint(_) => AccessErrorKind::SetUp,
        }
    }
}
