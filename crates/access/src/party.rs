//! Parties, and what an event of access says of them.

use gridtrail_model::{EventId, ParseError, Timestamp, UserId, UserRole};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The part, between dots, of the name of a topic that says that it holds events of access.
pub const ACCESS_TOPIC_MARK: &str = "access-events";

/// Whether a topic holds events of access, by its name.
pub fn holds_access_events(topic: &str) -> bool {
    topic.split('.').any(|part| part == ACCESS_TOPIC_MARK)
}

/// A text of 1 to so many characters, none of which is a control character.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $most:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                if (1..=$most).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
                    return Ok(Self(text.into()));
                }
                Err(ParseError { what: $what, rule: $rule, found: text.chars().take(64).collect() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text! {
    /// A User of the Self-Service Interface: a Party of the Smart Energy Code that has User IDs.
    Party, "Party", 64, "1 to 64 characters, none of which is a control character"
}

text! {
    /// What tells a notification from all others, as its sender or the DCC names it.
    NoticeId, "notification", 64, "1 to 64 characters, none of which is a control character"
}

text! {
    /// What a Party calls one of its User IDs: its Service User Descriptor.
    Descriptor, "Service User Descriptor", 30, "1 to 30 characters, none of which is a control character"
}

text! {
    /// Why the DCC rejected a notification, in its own words.
    Reason, "reason", 200, "1 to 200 characters, none of which is a control character"
}

/// The DCCKI Senior Responsible Officer who authorised a notification: personal data, which no log and no search shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Sro {
    /// Most bytes that are kept of each of its texts.
    pub const TEXT_BYTES_MAX: usize = 256;

    /// The officer with as much of each text as is kept. What is told of a person decides nothing: whether it is in order is for the
    /// DCC to verify, before it confirms a notification.
    #[must_use]
    pub fn cut(mut self) -> Self {
        for text in [&mut self.name, &mut self.telephone, &mut self.email, &mut self.signature] {
            text.truncate(text.floor_char_boundary(Self::TEXT_BYTES_MAX));
        }
        self
    }
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
    /// A grant: two Parties see each other's information. In force only with a notification of the other Party, too.
    Grant,
    /// A rescission: they do so no longer. One Party's notification suffices.
    Rescind,
}

/// A Party's notification to the DCC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Whose a User ID is, and in which role it acts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment {
    /// The Party.
    pub party: Party,
    /// The role.
    pub role: UserRole,
    /// What the Party calls it.
    pub descriptor: Option<Descriptor>,
}

/// One immutable fact about who may see what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessEvent {
    /// A User ID is assigned to a Party from a time on (clause H1.6), or to none.
    Assigned {
        /// The User ID.
        user_id: UserId,
        /// Whose it is; `None`: it is withdrawn.
        to: Option<Assignment>,
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
        /// Why.
        reason: Reason,
    },
    /// An event of access lies among the dead letters, and may end what was granted.
    Unread {
        /// The letter: what [`AccessRecord::id`] says.
        letter: EventId,
        /// What can be read of it.
        unread: Unread,
        /// When it was put aside.
        at: Timestamp,
    },
    /// An operator settled what had suspended pairs.
    Settled {
        /// What. A dead letter is what [`AccessRecord::id`] says.
        what: Cause,
        /// When.
        at: Timestamp,
        /// Why, where that stands nowhere else: of dead letters it is in the evidence.
        because: Option<Reason>,
    },
}

/// What can be read of an event of access that cannot be read in full.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unread {
    /// What it is.
    pub kind: UnreadKind,
    /// Where it came from, as a person names the dead letter.
    pub place: String,
    /// The notification that it is, or that it tells of.
    pub notice: Option<NoticeId>,
    /// The Party that sent it, or that a User ID is assigned to; only where its User IDs do not say whom it is about.
    pub by: Option<Party>,
    /// The other Party, likewise.
    pub with: Option<Party>,
    /// User IDs of either.
    pub user_ids: BTreeSet<UserId>,
}

/// What an event of access is that cannot be read in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnreadKind {
    /// A notification that is no grant for certain.
    Notification,
    /// A confirmation.
    Confirmation,
    /// A rejection.
    Rejection,
    /// An assignment.
    Assignment,
    /// Any of these.
    Unknown,
}

impl UnreadKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Notification, Self::Confirmation, Self::Rejection, Self::Assignment, Self::Unknown];

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Confirmation => "confirmation",
            Self::Rejection => "rejection",
            Self::Assignment => "assignment",
            Self::Unknown => "event",
        }
    }
}

impl Unread {
    /// Whether nothing in it says whose pairs it may end: then nobody but an operator can tell.
    pub fn names_nobody(&self) -> bool {
        let told_of = matches!(self.kind, UnreadKind::Confirmation | UnreadKind::Rejection);
        let by_notice = told_of && self.notice.is_some();
        !by_notice && self.user_ids.is_empty() && self.by.is_none() && self.with.is_none()
    }
}

/// What suspends pairs until an operator settles it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A dead letter.
    Letter(EventId),
    /// A confirmed rescission of which no User ID was ever its sender's.
    Notice(NoticeId),
}

/// A fact as a source tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessRecord {
    /// The source's identifier of it, for tracing only.
    pub id: EventId,
    /// When the DCC received or generated it.
    pub recorded_at: Timestamp,
    /// The fact.
    pub event: AccessEvent,
}
