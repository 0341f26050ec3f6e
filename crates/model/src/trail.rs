//! Trails: the row that a User sees, derived from the merged fragment.

use crate::key::Subject;
use crate::{
    AlertCode, CatalogueEntry, Claims, CommandVariant, CspRegion, DeviceId, Fragment, HistoryEntry, Mode,
    Mpxn, RequestId, ResponseCode, ResponseId, ServiceReferenceVariant, SsiRegion, State, Timestamp, UserId,
};
use std::collections::BTreeSet;
use std::fmt;

/// The simplified transaction status of UC_ServiceAudit_001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Simplified {
    /// The transaction did what was asked, as far as the DCC knows.
    Success,
    /// The transaction failed, was refused, or was cancelled.
    Failure,
    /// Neither is known yet.
    InProgress,
}

impl Simplified {
    /// The specification's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::InProgress => "In Progress",
        }
    }
}

impl fmt::Display for Simplified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A field for which events claimed different values: the smallest is shown, the others are named here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The field, under the specification's name.
    pub field: &'static str,
    /// The claims that are not shown, ascending.
    pub others: Vec<String>,
}

/// Devices or meter points that a row's messages name: how many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned<T> {
    /// The first, ascending: at most [`Trail::CONCERNED_SHOWN`].
    pub first: Vec<T>,
    /// How many there are.
    pub count: usize,
}

impl<T> Concerned<T> {
    /// None, or none that are shown.
    pub(crate) const fn none() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl<T: Ord + Copy> Concerned<T> {
    fn of<'a>(subject: &'a Claims<T>, others: &'a Claims<T>) -> Self {
        // The subject is shown as that.
        let count = others.len() - usize::from(subject.value().is_some_and(|own| others.contains(own)));
        let concerned = others.iter().filter(|other| subject.value() != Some(other)).copied();
        Self { first: concerned.take(Trail::CONCERNED_SHOWN).collect(), count }
    }
}

/// One row of the service audit trail, with every field of UC_ServiceAudit_001 and UC_MeterRead_001.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// "DCC Service User Organisation ID": the User that sent the request or was sent the alert.
    pub user_id: UserId,
    /// "Device ID". Empty for a request that names no Device.
    pub device_id: Option<DeviceId>,
    /// Other Devices that its messages name, such as those of a `DeviceIDList`.
    pub concerned_devices: Concerned<DeviceId>,
    /// "GBCS Transaction Sequence Number, where required by GBCS": else empty.
    pub gbcs_transaction_sequence_number: Option<u64>,
    /// "MPxN".
    pub mpxn: Option<Mpxn>,
    /// Other meter points that its messages name, such as the export MPAN.
    pub concerned_mpxns: Concerned<Mpxn>,
    /// "Service Request Received Date/Time"; for an alert, when the DCC received or generated it. Empty while
    /// the request is not on record.
    pub received_at: Option<Timestamp>,
    /// "Service Response Sent Date/Time".
    pub sent_at: Option<Timestamp>,
    /// "Simplified transaction status".
    pub simplified: Simplified,
    /// "Request ID". Empty for alerts and scheduled runs.
    pub request_id: Option<RequestId>,
    /// "Response ID".
    pub response_id: Option<ResponseId>,
    /// "CSP Region", one of the SSI's four.
    pub csp_region: SsiRegion,
    /// The region as DUIS writes it.
    pub csp_region_raw: Option<CspRegion>,
    /// "Mode of operation".
    pub mode: Mode,
    /// "Preceding Request ID (where applicable)".
    pub preceding_request_id: Option<RequestId>,
    /// "Service Reference Variant". Empty for alerts.
    pub variant: Option<ServiceReferenceVariant>,
    /// "Command Variant".
    pub command_variant: Option<CommandVariant>,
    /// "Response Code" of the latest answer.
    pub response_code: Option<ResponseCode>,
    /// "Current Status".
    pub current_status: State,
    /// "Anomaly Detection Flag": whether the request was ever quarantined.
    pub anomaly_detection_flag: bool,
    /// "Status Change History", ascending, each state as it is to be read for this Command Variant.
    pub history: Vec<HistoryEntry>,
    /// The alert code, for an alert.
    pub alert_code: Option<AlertCode>,
    /// `DSPScheduleID`, for a scheduled run.
    pub schedule_id: Option<u64>,
    /// `ExecutionDateTime`, for a future-dated request.
    pub execution_at: Option<Timestamp>,
    /// Whether the request is not on record yet: the row shows what is known of its answer.
    pub awaiting_request: bool,
    /// Fields with conflicting claims; nearly always empty.
    pub disputes: Vec<Dispute>,
    /// When the youngest event of the row was recorded. Empty where that is not shown.
    pub recorded_at_max: Option<Timestamp>,
}

/// Whether an execution time is the one that cancels an earlier request, of which nothing is left for the Device to report: any in the year
/// 3000. Source: DUIS, `ExecutionDateTime`.
pub fn cancels_request(execution_at: Option<Timestamp>) -> bool {
    execution_at.is_some_and(|at| at.year() == 3000)
}

impl Trail {
    /// The most Devices, and meter points, that a trail names beside its own. A list may have 50,000.
    pub const CONCERNED_SHOWN: usize = 100;

    /// "Service Reference".
    pub fn service_reference(&self) -> Option<ServiceReferenceVariant> {
        self.variant.map(ServiceReferenceVariant::service_reference)
    }
}

impl From<&Fragment> for Trail {
    fn from(fragment: &Fragment) -> Self {
        let reading = Reading::of(fragment);
        let history: Vec<HistoryEntry> =
            fragment.history().iter().map(|entry| reading.shown(entry)).collect();
        let (current_status, simplified) = reading.status(&history);
        let request_id = fragment.key.request_id();
        let mirror = request_id.as_ref().map(ResponseId::mirror_of);
        let response_id = fragment.response_ids.iter().find(|id| mirror.as_ref() == Some(id));
        let awaiting_request = matches!(fragment.key.subject, Subject::Unjoined(_));
        let region = fragment.region.value().copied();
        Self {
            user_id: fragment.key.user,
            device_id: fragment.device.value().copied(),
            concerned_devices: Concerned::of(&fragment.device, fragment.concerned_devices()),
            gbcs_transaction_sequence_number: fragment.originator_counter.value().copied(),
            mpxn: fragment.mpxn.value().copied(),
            concerned_mpxns: Concerned::of(&fragment.mpxn, fragment.concerned_mpxns()),
            received_at: fragment.placement().filter(|_| !awaiting_request),
            sent_at: history.iter().rev().find(|e| is_answer(e)).map(|e| e.at),
            simplified,
            request_id,
            response_id: response_id.or(fragment.response_ids.value()).copied(),
            csp_region: region.map_or(SsiRegion::Unknown, CspRegion::to_ssi),
            csp_region_raw: region,
            mode: reading.mode,
            preceding_request_id: fragment.preceding.value().copied(),
            variant: fragment.variant_shown(),
            command_variant: fragment.key.command_variant(),
            response_code: history.iter().rev().find_map(|e| e.code),
            current_status,
            anomaly_detection_flag: history.iter().any(|e| e.state == State::Quarantined),
            history,
            alert_code: match fragment.key.subject {
                Subject::Alert { code, .. } => Some(code),
                _ => None,
            },
            schedule_id: fragment.schedule_id.value().copied(),
            execution_at: fragment.execution_at.value().copied(),
            awaiting_request,
            disputes: disputes(fragment),
            recorded_at_max: Some(fragment.recorded_at_max),
        }
    }
}

/// Whether an entry is an answer that went to the User. An acknowledgement is none.
fn is_answer(entry: &HistoryEntry) -> bool {
    match entry.state {
        State::ResponseSent
        | State::AlertSent
        | State::PreCommandReturned
        | State::LocalCommandReturned
        | State::CompletedDccOnly
        | State::HeldByDevice
        | State::InstructionDone
        | State::InstructionFailed => true,
        // A refusal or failure that the User was told of carries its code.
        State::RejectedValidation
        | State::RejectedAuthorisation
        | State::FailedDelivery
        | State::NoResponse
        | State::TimedOut => entry.code.is_some(),
        _ => false,
    }
}

/// What must be known of a row to read its states.
struct Reading {
    subject: Subject,
    mode: Mode,
    command_variant: Option<CommandVariant>,
    /// The Device accepts the command first and reports each instruction by an alert later.
    reports_by_alert: bool,
}

impl Reading {
    fn of(fragment: &Fragment) -> Self {
        let command_variant = fragment.key.command_variant();
        let execution_at = fragment.execution_at.value();
        let mode = fragment.mode.value().copied().unwrap_or(match fragment.key.subject {
            Subject::Alert { code, .. } if code.is_from_device() => Mode::DeviceAlert,
            Subject::Alert { .. } => Mode::DccAlert,
            Subject::ScheduledRun(_) => Mode::DspScheduled,
            _ if command_variant == Some(CommandVariant::DCC_ONLY) => Mode::DccOnly,
            _ if execution_at.is_some() => Mode::FutureDate,
            _ => Mode::OnDemand,
        });
        let on_device = fragment
            .variant_shown()
            .and_then(|v| v.entry())
            .is_some_and(|CatalogueEntry { future_dating, .. }| future_dating.reports_by_alert());
        let cancels = cancels_request(execution_at.copied());
        let reports_by_alert = mode == Mode::FutureDate && on_device && !cancels;
        Self { subject: fragment.key.subject, mode, command_variant, reports_by_alert }
    }

    /// The state of an entry as it is to be read: what a code means depends on the Command Variant.
    fn shown(&self, entry: &HistoryEntry) -> HistoryEntry {
        let dcc_only = self.command_variant == Some(CommandVariant::DCC_ONLY);
        let state = match (entry.state, entry.code) {
            (State::Acknowledged | State::ResponseSent, Some(code)) => match code.as_str() {
                "E20" => State::FailedDelivery,
                "E21" => State::NoResponse,
                "E30" => State::TimedOut,
                "E1" | "E2" | "E3" | "E4" if entry.state == State::Acknowledged => {
                    State::RejectedAuthorisation
                }
                _ if code.is_failure() && entry.state == State::Acknowledged => State::RejectedValidation,
                _ if code.is_failure() => State::ResponseSent,
                // I99 from the DCC itself means that a non-device request is done (domain trap 2).
                _ if dcc_only => State::CompletedDccOnly,
                _ if code.is_acknowledgement() => State::Acknowledged,
                _ if self.reports_by_alert => State::HeldByDevice,
                _ => entry.state,
            },
            (state, _) => state,
        };
        HistoryEntry { state, ..entry.clone() }
    }

    /// What a state decides about the row, if anything.
    fn verdict(&self, entry: &HistoryEntry) -> Option<Simplified> {
        let failed = entry.code.is_some_and(|code| code.is_failure());
        match entry.state {
            State::RejectedValidation
            | State::RejectedAuthorisation
            | State::Deleted
            | State::Archived
            | State::Purged
            | State::FailedDelivery
            | State::NoResponse
            | State::TimedOut
            | State::Cancelled => Some(Simplified::Failure),
            State::ResponseSent
            | State::PreCommandReturned
            | State::AwaitingSignedPreCommand
            | State::CompletedDccOnly => Some(if failed { Simplified::Failure } else { Simplified::Success }),
            // An alert about a request is an entry of the request's history and decides nothing of it (decision 0154); its own row is done.
            State::AlertReceived | State::AlertSent => {
                let verdict = if failed { Simplified::Failure } else { Simplified::Success };
                matches!(self.subject, Subject::Alert { .. }).then_some(verdict)
            }
            // With a copy on its way over the SM WAN, the local copy decides nothing.
            State::LocalCommandReturned
                if self.command_variant.is_some_and(|cv| cv.is_local_and_remote()) =>
            {
                failed.then_some(Simplified::Failure)
            }
            State::LocalCommandReturned => {
                Some(if failed { Simplified::Failure } else { Simplified::Success })
            }
            // The Device has the command after all: that overrules an earlier "no answer", and leaves the outcome
            // to its reports.
            State::HeldByDevice | State::InstructionDone => Some(Simplified::InProgress),
            _ => None,
        }
    }

    /// "Current Status" and the simplified status.
    ///
    /// The reports on the instructions of a future-dated command decide first: one failure fails it, and it is
    /// done when every instruction has reported (domain trap 7). Otherwise the latest deciding state counts, so
    /// a response that comes after the DCC gave up turns the row round; without one, the latest state counts.
    fn status(&self, history: &[HistoryEntry]) -> (State, Simplified) {
        let failed = history.iter().any(|e| e.state == State::InstructionFailed);
        let done: BTreeSet<u16> = history
            .iter()
            .filter(|e| e.state == State::InstructionDone)
            .filter_map(|e| e.instruction.map(|i| i.number))
            .collect();
        let total =
            history.iter().filter_map(|e| e.instruction.map(|i| usize::from(i.total))).max().unwrap_or(0);
        if failed {
            return (State::InstructionFailed, Simplified::Failure);
        }
        if total > 0 && done.len() >= total {
            return (State::InstructionDone, Simplified::Success);
        }
        let decided = history.iter().rev().find_map(|e| Some((e.state, self.verdict(e)?)));
        let latest = history.last().map_or(
            if matches!(self.subject, Subject::Alert { .. }) {
                State::AlertReceived
            } else {
                State::Received
            },
            |e| e.state,
        );
        decided.unwrap_or((latest, Simplified::InProgress))
    }
}

fn disputes(fragment: &Fragment) -> Vec<Dispute> {
    fn texts<T: ToString>(others: &[T]) -> Vec<String> {
        others.iter().map(ToString::to_string).collect()
    }
    let variants = if fragment.key.is_alert() { &[][..] } else { fragment.variant.others() };
    let impossible = texts(&fragment.impossible_times().iter().collect::<Vec<_>>());
    let impossible = (!impossible.is_empty()).then_some(Dispute {
        field: "Receipt or recording at a time that no event can have",
        others: impossible,
    });
    let fields = [
        ("Device ID", texts(fragment.device.others())),
        ("Service Request Received Date/Time", texts(fragment.received.others())),
        ("MPxN", texts(fragment.mpxn.others())),
        ("CSP Region", texts(fragment.region.others())),
        ("Service Reference Variant", texts(variants)),
        ("Mode of operation", texts(fragment.mode.others())),
        ("Preceding Request ID", texts(fragment.preceding.others())),
        ("GBCS Transaction Sequence Number", texts(fragment.originator_counter.others())),
        ("Execution date and time", texts(fragment.execution_at.others())),
        ("DSP Schedule ID", texts(fragment.schedule_id.others())),
    ];
    fields
        .into_iter()
        .filter(|(_, others)| !others.is_empty())
        .map(|(field, others)| Dispute { field, others })
        .chain(impossible)
        .collect()
}
