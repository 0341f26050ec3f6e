//! Parties, and what an event of access says of them.

use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;
use std::fmt;

/// A User of the Self-Service Interface: a Party of the Smart Energy Code that has User IDs. 1 to 64 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party(Box<str>);

impl Party {
    /// The Party of this name; `None` where it is no name.
    pub fn named(name: &str) -> Option<Self> {
        is_name(name).then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What tells a notification from all others, as its sender or the DCC names it. 1 to 64 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(Box<str>);

impl NoticeId {
    /// The id of this text; `None` where it is none.
    pub fn new(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The DCCKI Senior Responsible Officer who authorised a notification: personal data, which no log and no search shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sro {
    /// Name.
    pub name: String,
    /// Telephone.
    pub telephone: String,
    /// E-mail.
    pub email: String,
    /// Where the signature is kept.
    pub signature: String,
}

// A hand-written form, so that no person ever reaches a log.
impl fmt::Debug for Sro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sro").finish_non_exhaustive()
    }
}

/// What a notification asks for (Smart Energy Code Appendix AH, clauses 1.5.3 and 1.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// That two Parties see each other's information. In force only with a notification of the other Party, too.
    Grant,
    /// That they do so no longer. One Party's notification suffices.
    Rescind,
}

/// A Party's notification to the DCC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// What it asks for.
    pub kind: NoticeKind,
    /// The Party that sent it.
    pub by: Party,
    /// The other Party.
    pub with: Party,
    /// User IDs of the sender: those to be shared, or the Rescinding User IDs.
    pub own: BTreeSet<UserId>,
    /// User IDs of the other Party: those that share in return, or the Rescinded User IDs.
    pub other: BTreeSet<UserId>,
    /// When it was sent.
    pub at: Timestamp,
    /// Who authorised it.
    pub sro: Option<Sro>,
}

/// One immutable fact about who may see what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessEvent {
    /// A User ID is assigned to a Party from a time on (clause H1.6), or to none.
    Assigned {
        /// The User ID.
        user_id: UserId,
        /// The Party; `None`: it is withdrawn.
        party: Option<Party>,
        /// From when on.
        from: Timestamp,
    },
    /// A Party sent a notification.
    Notified {
        /// Its id.
        id: NoticeId,
        /// What it says.
        notice: Notice,
    },
    /// The DCC confirmed a notification to be authentic.
    Confirmed {
        /// The notification.
        id: NoticeId,
        /// When.
        at: Timestamp,
    },
    /// The DCC rejected a notification.
    Rejected {
        /// The notification.
        id: NoticeId,
        /// When.
        at: Timestamp,
    },
}
