//! The model of the smart-metering audit trail: identifiers that cannot hold a bad value, the events that
//! happen to a Service Request, and the fold that turns events into audit-trail rows.
//!
//! An [`Event`] is one immutable fact. [`Fold`] groups events by [`TrailKey`] into [`Fragment`]s: partial
//! trails, whose [`Fragment::merge`] is commutative, associative and idempotent (invariant **I1**), so that
//! order, duplicates and batch borders never matter. A [`Trail`] is the row that a User sees, derived from
//! the merged fragment.
//!
//! This crate knows no input or output, no clock, no async and no storage format.
//!
//! Sources: Smart Energy Code Appendix AH (SSI Baseline Requirements), UC_ServiceAudit_001 and
//! UC_MeterRead_001; DUIS schema 5.4.

mod anchor;
mod catalogue;
mod claims;
mod code;
mod eui;
mod event;
mod fold;
mod fragment;
mod history;
mod ids;
mod key;
mod meter_read;
mod mpxn;
mod postcode;
mod sender;
mod smi;
mod time;
mod trail;
mod vocabulary;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_model;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use anchor::{Anchor, Named};
pub use catalogue::{CatalogueEntry, FutureDating, ServiceReferenceVariant, UserRole, catalogue};
pub use claims::Claims;
pub use code::{AlertCode, ResponseCode};
pub use eui::{DeviceId, UserId};
pub use event::{
    Affected, Alert, Body, Correlation, Event, EventId, RequestReceived, ResponseContent, ResponseSent,
    StatusChanged,
};
pub use fold::{Fold, Folded, Rejection};
pub use fragment::{Besides, Fragment, Merge, Resolved};
pub use history::{Cause, HistoryEntry, Instruction};
pub use ids::{RequestId, ResponseId};
pub use key::{Leg, Subject, TrailKey};
pub use mpxn::{CheckDigit, Mpan, Mprn, Mpxn, Uprn};
pub use postcode::Postcode;
pub use smi::{DeviceType, EsmeVariant, SmiStatus};
pub use time::Timestamp;
pub use trail::{Concerned, Dispute, Simplified, Trail, cancels_request};
pub use vocabulary::{CommandVariant, CspRegion, Mode, SsiRegion, State};

/// Why a text is not a value of the type it was read as.
///
/// The message names the rule and never repeats more than 64 characters of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {rule}; found \"{found}\"")]
pub struct ParseError {
    /// The type that was expected, in the words of the specification.
    pub what: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
    /// The text, cut at 64 characters.
    pub found: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, rule: &'static str, found: &str) -> Self {
        Self { what, rule, found: found.chars().take(64).collect() }
    }
}
