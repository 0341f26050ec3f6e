//! Who a caller is, what they may call, and whose rows they may see.
//!
//! An [`Access`] is a capability: every read of rows takes one. [`Admission::admit`] makes one, from a signed token
//! and from who shares with whom at that moment; a development key makes others, for benches and tests of a lake. It can be narrowed
//! and never widened.
//!
//! - [`Gatekeeper`] checks a JSON Web Token that stands for itself: one algorithm (EdDSA), one issuer, one audience, every claim
//!   typed.
//! - [`SessionGate`] checks the token of somebody who logged in, and asks [`OpenSessions`] whether the session holds.
//! - [`RoleMatrix`]: which [`JobTypeRole`] may use which [`Component`] (Smart Energy Code Appendix AH, clause 1.9).
//! - [`Sharing`] folds who has granted whom what, and rescinded it (clauses 1.5.3 and 1.5.4), with its history.
//! - [`OrganisationId`] is how a User is shown, by whose its User ID was.
//! - [`Admission`] holds these [`Doors`] and the current [`Sharing`]; [`OrgId`] says how a session's User IDs are read.
//! - [`RightsKey`] seals what a caller may see for other processes that carry out the same statement.
//! - [`OperatorGate`] lets operators in, who have no `Access`; [`OperatorKey`] mints their tokens.
//! - [`DevKey`] is a local development key that mints tokens; files are its caller's business.
//!
//! **Invariant:** a User ID that is neither the Party's own nor granted by a pair in force is in no `Access`. Without events of
//! access there is none, so nobody sees a row of the audit trail.
//!
//! Left out on purpose: logins and SAML. This crate reads no clock, file or lake.

mod admission;
mod bearer;
mod declared;
mod dev_key;
mod error;
mod gatekeeper;
mod handed;
mod key;
mod limits;
mod open_sessions;
mod operator;
mod organisation_id;
mod party;
mod role;
mod session;
mod sharing;
mod user_ids;

pub use admission::{Access, Admission, Disclosure, Doors};
pub use bearer::Bearer;
pub use declared::Declared;
pub use dev_key::DevKey;
pub use error::{AccessError, AccessErrorKind, TokenFault};
pub use gatekeeper::{Gatekeeper, OrgId};
pub use handed::RightsKey;
pub use limits::{
    CLOCK_SKEW_S_MAX, OPERATOR_TOKEN_LIFE_S_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX,
    USER_IDS_MAX,
};
pub use open_sessions::{NoTelling, OpenSessions, SessionGate, SessionKey};
pub use operator::{Operator, OperatorGate, OperatorKey};
pub use organisation_id::OrganisationId;
pub use party::{
    ACCESS_TOPIC_MARK, AccessEvent, AccessRecord, Assignment, Cause, Descriptor, Notice, NoticeId,
    NoticeKind, Party, Reason, Sro, Unread, UnreadKind, holds_access_events,
};
pub use role::{Component, Components, JobTypeRole, MatrixError, RoleMatrix};
pub use sharing::{
    Explanation, Moment, NoticeFate, Refusal, Refused, Scope, Sharing, Suspension, ToldNotice,
};
pub use user_ids::UserIds;
