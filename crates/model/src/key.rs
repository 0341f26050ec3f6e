//! What makes two events belong to one row.

use crate::{AlertCode, CommandVariant, RequestId, ResponseId, UserId};

/// One leg of a request. The legs of a critical command share one RequestID (domain trap 1), so the Command
/// Variant is part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// The request.
    pub request_id: RequestId,
    /// The leg's Command Variant.
    pub command_variant: CommandVariant,
}

/// The key of one audit-trail row, less the User it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A leg of a Service Request.
    Leg(Leg),
    /// One run of a schedule kept by the DCC: its result names no RequestID.
    ScheduledRun(ResponseId),
    /// A Device Alert or DCC Alert. Delivery is at least once: a repeat has the same ResponseID, code and
    /// throttle sequence (domain trap 4).
    Alert {
        /// The alert's own identifier.
        response_id: ResponseId,
        /// The alert code.
        code: AlertCode,
        /// Its place in a throttled sequence (`ThrottledAlertSequenceId`), where there is one.
        throttle_sequence: Option<u32>,
    },
    /// What is known of a request whose own record has not arrived: shown as a row of its own, and joined to
    /// its leg when that is found.
    Unjoined(RequestId),
}

/// The key of one audit-trail row: "one row" always means one trail key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailKey {
    /// The User that the row belongs to. One alert to two Users is two rows.
    pub user: UserId,
    /// What the row is about.
    pub subject: Subject,
}

impl TrailKey {
    /// The RequestID, for a leg or an unjoined row.
    pub fn request_id(&self) -> Option<RequestId> {
        match self.subject {
            Subject::Leg(leg) => Some(leg.request_id),
            Subject::Unjoined(request_id) => Some(request_id),
            Subject::ScheduledRun(_) | Subject::Alert { .. } => None,
        }
    }

    /// The Command Variant, for a leg.
    pub fn command_variant(&self) -> Option<CommandVariant> {
        match self.subject {
            Subject::Leg(leg) => Some(leg.command_variant),
            _ => None,
        }
    }

    /// Whether the row is that of an alert: of nothing that a User asked for.
    pub fn is_alert(&self) -> bool {
        matches!(self.subject, Subject::Alert { .. })
    }
}
