//! Events: immutable facts about one Service Request, response or alert.

use crate::history::{Cause, Instruction};
use crate::{
    AlertCode, CommandVariant, CspRegion, DeviceId, Mode, Mpxn, ParseError, RequestId, ResponseCode,
    ResponseId, ServiceReferenceVariant, State, Timestamp, UserId,
};
use std::fmt;
use std::str::FromStr;

/// The identifier that the source gave an event: 1 to 64 printable ASCII characters. It serves tracing only;
/// duplicates are found by content.
///
/// Kept in place: an event is made on one thread and dropped on another, where freeing costs most.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Padded with zeros, which no identifier holds, so the order is that of the text.
    bytes: [u8; Self::BYTES_MAX],
}

impl EventId {
    /// The most bytes that an event id may have.
    const BYTES_MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|b| *b == 0).unwrap_or(Self::BYTES_MAX);
        // Only printable ASCII gets past `from_str`.
        std::str::from_utf8(&self.bytes[..end]).unwrap_or_default()
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for EventId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; Self::BYTES_MAX];
        match bytes.get_mut(..text.len()) {
            Some(start) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
                start.copy_from_slice(text.as_bytes());
                Ok(Self { bytes })
            }
            _ => Err(ParseError::new("event id", "1 to 64 printable ASCII characters without spaces", text)),
        }
    }
}

/// One immutable fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The source's identifier of this event.
    pub id: EventId,
    /// When the DCC received or generated what the event tells: the freshness clock starts here.
    pub recorded_at: Timestamp,
    /// What the event belongs to.
    pub correlation: Correlation,
    /// What happened.
    pub body: Body,
}

/// What an event belongs to. A field that the source does not know is left out, never guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The User that sent the request; for an alert, the User that it was addressed to.
    pub user_id: UserId,
    /// The request, for anything that belongs to one.
    pub request_id: Option<RequestId>,
    /// "Service Request Received Date/Time" of that request.
    pub request_received_at: Option<Timestamp>,
    /// The leg of the request. Mandatory with a request id, except on what answers a request without naming it.
    pub command_variant: Option<CommandVariant>,
    /// The run of a schedule that this belongs to, known by the identifier of its response.
    pub scheduled_run: Option<ResponseId>,
    /// The Device that the request or alert is about.
    pub device_id: Option<DeviceId>,
    /// Other Devices that the message names: of a list, of whitelists, of replies. Any order; a repeat says nothing.
    pub concerned_devices: Vec<DeviceId>,
    /// The meter point.
    pub mpxn: Option<Mpxn>,
    /// Other meter points that the message names, such as the export MPAN beside the import MPAN.
    pub concerned_mpxns: Vec<Mpxn>,
    /// The CSP Region, as the source writes it.
    pub csp_region: Option<CspRegion>,
    /// The Service Reference Variant.
    pub variant: Option<ServiceReferenceVariant>,
    /// The mode of operation.
    pub mode: Option<Mode>,
    /// The request that must be finished before this one starts.
    pub preceding_request_id: Option<RequestId>,
    /// The GBCS originator counter of the command, shown as "GBCS Transaction Sequence Number". It is a field of
    /// its own, not the counter of the RequestID (domain trap 1a).
    pub gbcs_originator_counter: Option<u64>,
}

impl Correlation {
    /// A correlation that knows nothing but its User.
    pub fn of_user(user_id: UserId) -> Self {
        Self {
            user_id,
            request_id: None,
            request_received_at: None,
            command_variant: None,
            scheduled_run: None,
            device_id: None,
            concerned_devices: Vec::new(),
            mpxn: None,
            concerned_mpxns: Vec::new(),
            csp_region: None,
            variant: None,
            mode: None,
            preceding_request_id: None,
            gbcs_originator_counter: None,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The DCC received and stored a Service Request or Signed Pre-Command.
    RequestReceived(RequestReceived),
    /// A request, or a run of a schedule, entered a state.
    StatusChanged(StatusChanged),
    /// The DCC sent an acknowledgement, Pre-Command or Service Response to the User.
    ResponseSent(ResponseSent),
    /// A Device sent an alert.
    DeviceAlert(Alert),
    /// The DCC generated an alert.
    DccAlert(Alert),
}

/// See [`Body::RequestReceived`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestReceived {
    /// `ExecutionDateTime`, for a future-dated request. The year 3000 cancels an earlier one.
    pub execution_at: Option<Timestamp>,
}

/// See [`Body::StatusChanged`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChanged {
    /// The state entered.
    pub state: State,
    /// When.
    pub at: Timestamp,
    /// The response code that goes with it.
    pub code: Option<ResponseCode>,
    /// Why.
    pub cause: Option<Cause>,
}

/// See [`Body::ResponseSent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseSent {
    /// The response's own identifier; an acknowledgement has none.
    pub response_id: Option<ResponseId>,
    /// The response code.
    pub code: ResponseCode,
    /// `ResponseDateTime`.
    pub at: Timestamp,
    /// What the response carries.
    pub content: ResponseContent,
}

/// What a response carries. The Device's own payload is opaque and is never looked into for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseContent {
    /// Nothing: the request was accepted or refused.
    Acknowledgement,
    /// The answer of the Device or of the DCC.
    ServiceResponse,
    /// A Pre-Command for the User to sign: it answers the transform leg.
    PreCommand,
    /// A command for local delivery.
    LocalCommand,
    /// The result of one run of a schedule.
    ScheduledRead {
        /// `DSPScheduleID`.
        schedule_id: u64,
    },
    /// The report of a Device on one instruction of a future-dated command.
    FutureDatedAlert {
        /// `true` for `8F66`, `false` for `8F67`.
        carried_out: bool,
        /// Which instruction.
        instruction: Instruction,
    },
}

/// A Device Alert or DCC Alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The alert's own identifier.
    pub response_id: ResponseId,
    /// The alert code.
    pub code: AlertCode,
    /// When the DCC received it from the Device, or generated it.
    pub at: Timestamp,
    /// When it was sent to the User.
    pub sent_at: Option<Timestamp>,
    /// Its place in a throttled sequence.
    pub throttle_sequence: Option<u32>,
    /// `ThrottledAlertCount`: how many alerts this one stands for.
    pub throttle_count: Option<u32>,
    /// What the alert says has become of a request: the second effect of one event.
    pub affects: Option<Affected>,
}

/// A request that a DCC Alert is about (`CommandFailure`, `QuarantinedRequest`, `FirmwareDistributionFailure`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The request.
    pub request_id: RequestId,
    /// The state that it entered.
    pub state: State,
    /// What else the alert says, such as the quarantine event reference.
    pub cause: Option<Cause>,
}
