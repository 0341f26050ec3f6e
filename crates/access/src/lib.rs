//! Who a caller is, what they may call, and whose rows they may see.
//!
//! An [`Access`] is a capability: every read of rows takes one, and only [`Gatekeeper::admit`] makes one, from a
//! signed token. It can be narrowed and never widened.
//!
//! - [`Gatekeeper`] checks a JSON Web Token: one algorithm (EdDSA), one issuer, one audience, every claim typed.
//! - [`JobTypeRole`] × [`Component`] is the role matrix of Smart Energy Code Appendix AH, clause 1.9.
//! - [`Sharing`] folds who has granted whom what, and rescinded it (clauses 1.5.3 and 1.5.4), with its history.
//! - [`DevKey`] is a local development key that mints tokens; files are its caller's business.
//!
//! Left out on purpose: sessions and SAML; and nothing feeds [`Sharing`] yet. This crate reads no clock, file or lake.

mod dev_key;
mod error;
mod gatekeeper;
mod limits;
mod party;
mod role;
mod sharing;

pub use dev_key::{DevKey, TokenClaims};
pub use error::{AccessError, AccessErrorKind, TokenFault};
pub use gatekeeper::{Access, Gatekeeper};
pub use limits::{CLOCK_SKEW_S_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_LIFE_S_MAX, USER_IDS_MAX};
pub use party::{AccessEvent, Notice, NoticeId, NoticeKind, Party, Sro};
pub use role::{Component, JobTypeRole};
pub use sharing::{Explanation, Refusal, Refused, Sharing};
