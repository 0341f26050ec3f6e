//! Logins and sessions: which Identity Providers are enrolled, which requests are outstanding, and who is logged in.
//!
//! - [`Register`] holds the Identity Providers, and for the DCC's own the accounts that say whose Party a person is of.
//! - [`Logins`] sends a browser to an Identity Provider and takes what it brings back.
//! - [`Sessions`] says whether a session still holds, and ends it.
//! - [`People`] keeps what each person enters about themselves, for that person alone.
//! - [`Sweep`] deletes what has expired.
//! - [`serve`] answers browsers: the service provider's end of SAML over HTTP.
//!
//! All state is small [`Objects`] beside the lake's tables, so any number of servers answer alike. **Invariant:** an object is
//! created once and never changed; whoever creates it first has won, so no two servers can both believe that they did. The [`Details`] of a
//! person are replaced: nothing is decided by them.
//!
//! **Invariant:** nothing is let in that was not written down first. A write that fails, or whose answer is lost, ends the
//! login; it never lets an assertion through twice.
//!
//! **Invariant:** what a browser shows is stored nowhere, and who somebody is stands in no log: only digests of both do. What people enter
//! about themselves is in no log and no error.
//!
//! **Invariant:** who somebody is, and which browser asked, is read of objects alone that carry the servers' seal.
//!
//! Left out on purpose: tokens, row rights and gRPC. A [`Session`] says what the Identity Provider's enrolment and assertion say;
//! `gridtrail_access` asks [`Sessions`] for it, by `OpenSessions`, and says what it allows.

mod details;
mod digest;
mod handle;
mod limits;
mod login;
mod objects;
mod people;
mod register;
mod sessions;
mod sweep;
mod web;
mod wire;
mod witness;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_session;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use details::{Details, DetailsFault};
pub use gridtrail_saml::OUTWARD_SENTENCE;
pub use handle::{Handle, NotAHandle, SessionId};
pub use limits::{FORM_BYTES_MAX, REQUEST_LIFE_MS, SEEN_AFTER_MS_MAX};
pub use login::{LoggedIn, LoginError, LoginSettings, Logins, Reason, Started};
pub use objects::{Objects, Seal, SealedObjects, StoreError};
pub use people::{DETAILS_KEPT_MONTHS, People, PersonId, forget};
pub use register::{Account, Anchors, Provider, ProviderSettings, Register, RegisterError};
pub use sessions::{Ended, IdleLimit, Session, SessionError, Sessions, revoke};
pub use sweep::{Sweep, Swept};
pub use web::{Endpoint, EndpointFault, Landing, pages, serve, terms};
pub use witness::{NotWritten, Witness};
