//! Anomaly events: `gridtrail.events.v1.AnomalyEvent` as protobuf, frames and proto3 JSON.

use super::from_wire::{enumeration, mandatory, optional, required, time};
use super::to_wire::time as wire_time;
use super::{json_text, put_frame, put_protobuf, within_limit};
use crate::error::InField;
use crate::{DecodeError, Encoding};
use gridtrail_anomaly::{
    Action, ActionsAccepted, ActionsRefused, Advice, AnomalyEvent, AnomalyFact, AnomalyStatement,
    ArchiveOpened, Breach, Exceeded, FileName, Origin, Period, Quarantined, Scope, Settlement, Threshold,
    ThresholdKind, ThresholdsFile,
};
use gridtrail_model::{CommandVariant, EventId, RequestId, Timestamp, UserId};
use gridtrail_proto::events::v1 as wire;
use prost::Message;
use wire::anomaly_event::Body;

/// Reads one anomaly event. Errors name the field and its rule, and a short piece of what was found.
pub fn decode_anomaly(encoding: Encoding, bytes: &[u8]) -> Result<AnomalyEvent, DecodeError> {
    const WHAT: &str = "an AnomalyEvent";
    within_limit("a record of anomaly detection", bytes)?;
    let wire = match encoding {
        Encoding::Protobuf => wire::AnomalyEvent::decode(bytes).map_err(DecodeError::ProtobufAnomaly)?,
        Encoding::Json => serde_json::from_slice(json_text(WHAT, bytes)?)
            .map_err(|error| DecodeError::json(WHAT, &error))?,
        Encoding::DuisXml => return Err(DecodeError::NoAnomalyEventInDuis),
    };
    event(&wire)
}

fn event(from: &wire::AnomalyEvent) -> Result<AnomalyEvent, DecodeError> {
    const CORRECTS: &str = "corrects_event_id";
    let id: EventId = required(&from.event_id, "event_id")?;
    let recorded_at = mandatory(time(from.recorded_at, "recorded_at")?, "recorded_at")?;
    let corrects: Option<EventId> = optional(&from.corrects_event_id, CORRECTS)?;
    if corrects.as_ref() == Some(&id) {
        return Err(DecodeError::invalid(CORRECTS, "event id", "no event corrects itself", id.as_str()));
    }
    let body = mandatory(from.body.as_ref(), "body")?;
    let (about, told) = if let Body::Withdrawn(withdrawn) = body {
        const OF: &str = "withdrawn.withdrawn_event_id";
        if let Some(corrected) = corrects {
            let rule = "a withdrawal corrects nothing; withdrawn.withdrawn_event_id names the event";
            return Err(DecodeError::invalid(CORRECTS, "event id", rule, corrected.as_str()));
        }
        let of: EventId = required(&withdrawn.withdrawn_event_id, OF)?;
        if of == id {
            return Err(DecodeError::invalid(OF, "event id", "no event withdraws itself", id.as_str()));
        }
        (optional(&withdrawn.user_id, "withdrawn.user_id")?, AnomalyStatement::Withdrawal { of })
    } else {
        let Told { about, at, fact } = told(body)?;
        (about, AnomalyStatement::Fact { at, corrects, fact })
    };
    Ok(AnomalyEvent { recorded_at, id, origin: Origin::Anomaly, about, told })
}

/// What a body tells.
struct Told {
    about: Option<UserId>,
    at: Timestamp,
    fact: AnomalyFact,
}

/// A user and a time, both mandatory.
macro_rules! told {
    ($from:ident, $message:literal, $at:ident, $fact:expr) => {
        Told {
            about: Some(required(&$from.user_id, concat!($message, ".user_id"))?),
            at: moment($from.$at, concat!($message, ".", stringify!($at)))?,
            fact: $fact,
        }
    };
}

fn moment(from: Option<pbjson_types::Timestamp>, field: &'static str) -> Result<Timestamp, DecodeError> {
    mandatory(time(from, field)?, field)
}

fn told(body: &Body) -> Result<Told, DecodeError> {
    let told = told_of_thresholds(body).transpose().or_else(|| told_of_quarantine(body).transpose());
    // The one body that is no fact; `event` takes it.
    told.unwrap_or(Err(DecodeError::Missing { field: "body", rule: "a withdrawal tells no fact" }))
}

/// `None`: it is none of thresholds.
fn told_of_thresholds(body: &Body) -> Result<Option<Told>, DecodeError> {
    Ok(Some(match body {
        Body::ThresholdsFileReceived(of) => {
            told!(of, "thresholds_file_received", received_at, AnomalyFact::FileReceived(file(of)?))
        }
        Body::ThresholdsFileApplied(of) => {
            let name = name(
                (&of.smsr_reference, "thresholds_file_applied.smsr_reference"),
                (&of.user_role, "thresholds_file_applied.user_role"),
            )?;
            told!(of, "thresholds_file_applied", applied_at, AnomalyFact::FileApplied(name))
        }
        Body::ThresholdsFileRejected(of) => {
            let name = name(
                (&of.smsr_reference, "thresholds_file_rejected.smsr_reference"),
                (&of.user_role, "thresholds_file_rejected.user_role"),
            )?;
            let reason = required(&of.reason, "thresholds_file_rejected.reason")?;
            told!(of, "thresholds_file_rejected", rejected_at, AnomalyFact::FileRejected(name, reason))
        }
        Body::DccThresholdSet(of) => {
            let limit = mandatory(of.limit.as_ref(), "dcc_threshold_set.limit")?;
            let fact = AnomalyFact::DccThreshold {
                scope: scope_of(limit, LimitOf::DccThresholdSet)?,
                communications: Some(limit.communications),
            };
            let at = moment(of.effective_from, "dcc_threshold_set.effective_from")?;
            Told { about: optional(&of.user_id, "dcc_threshold_set.user_id")?, at, fact }
        }
        Body::DccThresholdRemoved(of) => {
            let variant = "dcc_threshold_removed.service_reference_variant";
            let period = "dcc_threshold_removed.period_seconds";
            let scope = scope((&of.service_reference_variant, variant), (of.period_seconds, period))?;
            let at = moment(of.effective_from, "dcc_threshold_removed.effective_from")?;
            let about = optional(&of.user_id, "dcc_threshold_removed.user_id")?;
            Told { about, at, fact: AnomalyFact::DccThreshold { scope, communications: None } }
        }
        Body::ThresholdExceeded(of) => {
            told!(of, "threshold_exceeded", exceeded_at, AnomalyFact::Exceeded(exceeded(of)?))
        }
        _ => return Ok(None),
    }))
}

/// `None`: it is none of quarantine.
fn told_of_quarantine(body: &Body) -> Result<Option<Told>, DecodeError> {
    Ok(Some(match body {
        Body::DccAdvised(of) => {
            let incident = required(&of.incident_reference, "dcc_advised.incident_reference")?;
            let advice = enumeration(of.advice, Advice::from_number, "dcc_advised.advice")?;
            let advice = mandatory(advice, "dcc_advised.advice")?;
            told!(of, "dcc_advised", advised_at, AnomalyFact::Advised(incident, advice))
        }
        Body::Quarantined(of) => {
            told!(of, "quarantined", quarantined_at, AnomalyFact::Quarantined(quarantined(of)?))
        }
        Body::Released(of) => {
            let id = of_user(&of.request_id, &of.user_id, "released.request_id")?;
            told!(of, "released", released_at, AnomalyFact::Settled(id, Settlement::Released))
        }
        Body::Deleted(of) => {
            let id = of_user(&of.request_id, &of.user_id, "deleted.request_id")?;
            told!(of, "deleted", deleted_at, AnomalyFact::Settled(id, Settlement::Deleted))
        }
        Body::Archived(of) => {
            let id = of_user(&of.request_id, &of.user_id, "archived.request_id")?;
            told!(of, "archived", archived_at, AnomalyFact::Settled(id, Settlement::Archived))
        }
        Body::ArchiveOpened(of) => {
            told!(of, "archive_opened", opened_at, AnomalyFact::ArchiveOpened(archive_opened(of)?))
        }
        Body::ActionFileAccepted(of) => {
            told!(of, "action_file_accepted", received_at, AnomalyFact::ActionsAccepted(accepted(of)?))
        }
        Body::ActionFileRefused(of) => {
            told!(of, "action_file_refused", received_at, AnomalyFact::ActionsRefused(refused(of)?))
        }
        _ => return Ok(None),
    }))
}

/// A RequestID of the User that the event is about: what another sent is not told as theirs (decision 0094).
fn of_user(text: &str, user_id: &str, field: &'static str) -> Result<RequestId, DecodeError> {
    let id: RequestId = required(text, field)?;
    // A User ID that cannot be read is told of by itself.
    if user_id.parse::<UserId>().is_ok_and(|user| user != id.originator) {
        let rule = "the originator of a RequestID is the User that the event is about";
        return Err(DecodeError::invalid(field, "RequestID", rule, id));
    }
    Ok(id)
}

fn name(smsr: (&str, &'static str), role: (&str, &'static str)) -> Result<FileName, DecodeError> {
    Ok(FileName { smsr: required(smsr.0, smsr.1)?, role: required(role.0, role.1)? })
}

/// Where a limit stands, for the names of its fields.
#[derive(Clone, Copy)]
enum LimitOf {
    File,
    DccThresholdSet,
    Exceeded,
}

fn scope_of(limit: &wire::ThresholdLimit, of: LimitOf) -> Result<Scope, DecodeError> {
    let (variant, period) = match of {
        LimitOf::File => (
            "thresholds_file_received.thresholds.limit.service_reference_variant",
            "thresholds_file_received.thresholds.limit.period_seconds",
        ),
        LimitOf::DccThresholdSet => {
            ("dcc_threshold_set.limit.service_reference_variant", "dcc_threshold_set.limit.period_seconds")
        }
        LimitOf::Exceeded => {
            ("threshold_exceeded.limit.service_reference_variant", "threshold_exceeded.limit.period_seconds")
        }
    };
    scope((&limit.service_reference_variant, variant), (limit.period_seconds, period))
}

fn scope(variant: (&str, &'static str), (seconds, field): (u32, &'static str)) -> Result<Scope, DecodeError> {
    let seconds = mandatory(Some(seconds).filter(|seconds| *seconds > 0), field)?;
    Ok(Scope {
        variant: optional(variant.0, variant.1)?,
        period: Period::of_seconds(seconds).in_field(field)?,
    })
}

fn file(from: &wire::ThresholdsFileReceived) -> Result<ThresholdsFile, DecodeError> {
    let name = name(
        (&from.smsr_reference, "thresholds_file_received.smsr_reference"),
        (&from.user_role, "thresholds_file_received.user_role"),
    )?;
    let mut thresholds = Vec::with_capacity(from.thresholds.len());
    for threshold in &from.thresholds {
        const KIND: &str = "thresholds_file_received.thresholds.kind";
        let kind = mandatory(enumeration(threshold.kind, ThresholdKind::from_number, KIND)?, KIND)?;
        let limit = mandatory(threshold.limit.as_ref(), "thresholds_file_received.thresholds.limit")?;
        let (scope, communications) = (scope_of(limit, LimitOf::File)?, limit.communications);
        thresholds.push(Threshold { kind, scope, communications });
    }
    ThresholdsFile::new(name, from.fast_track, thresholds).in_field("thresholds_file_received.thresholds")
}

fn exceeded(from: &wire::ThresholdExceeded) -> Result<Exceeded, DecodeError> {
    const KIND: &str = "threshold_exceeded.kind";
    let kind = mandatory(enumeration(from.kind, ThresholdKind::from_number, KIND)?, KIND)?;
    let limit = mandatory(from.limit.as_ref(), "threshold_exceeded.limit")?;
    let (scope, communications) = (scope_of(limit, LimitOf::Exceeded)?, limit.communications);
    Ok(Exceeded {
        threshold: Threshold { kind, scope, communications },
        observed: from.observed,
        incident: required(&from.incident_reference, "threshold_exceeded.incident_reference")?,
        smsr: optional(&from.smsr_reference, "threshold_exceeded.smsr_reference")?,
        emailed_at: time(from.emailed_at, "threshold_exceeded.emailed_at")?,
    })
}

fn quarantined(from: &wire::CommunicationQuarantined) -> Result<Quarantined, DecodeError> {
    const COMMAND: &str = "quarantined.command_variant";
    let number = u8::try_from(from.command_variant).unwrap_or(u8::MAX);
    let command_variant = CommandVariant::new(number);
    if command_variant.is_none() && number != 0 {
        let rule = "a number from 1 to 9";
        return Err(DecodeError::invalid(COMMAND, "Command Variant", rule, from.command_variant));
    }
    let breach = enumeration(from.breach, Breach::from_number, "quarantined.breach")?;
    Ok(Quarantined {
        request_id: of_user(&from.request_id, &from.user_id, "quarantined.request_id")?,
        command_variant,
        variant: optional(&from.service_reference_variant, "quarantined.service_reference_variant")?,
        device: optional(&from.device_id, "quarantined.device_id")?,
        mpxn: optional(&from.mpxn, "quarantined.mpxn")?,
        received_at: time(from.request_received_at, "quarantined.request_received_at")?,
        breach: mandatory(breach, "quarantined.breach")?,
        event_ref: required(&from.quarantine_event_ref, "quarantined.quarantine_event_ref")?,
        incident: optional(&from.incident_reference, "quarantined.incident_reference")?,
        dcc_alert: optional(&from.dcc_alert_id, "quarantined.dcc_alert_id")?,
    })
}

fn archive_opened(from: &wire::ArchiveOpened) -> Result<ArchiveOpened, DecodeError> {
    const MAJOR: &str = "archive_opened.major_security_incident_reference";
    const CLOSES: &str = "archive_opened.closes_at";
    let closes_at = time(from.closes_at, CLOSES)?;
    let opened_at = time(from.opened_at, "archive_opened.opened_at")?;
    if let (Some(opened), Some(closes)) = (opened_at, closes_at)
        && closes <= opened
    {
        return Err(DecodeError::invalid(CLOSES, "time", "the archive closes after it was opened", closes));
    }
    let incident = optional(&from.incident_reference, "archive_opened.incident_reference")?;
    let ids = from.request_ids.iter().filter(|text| !text.is_empty());
    let ids = ids.map(|text| of_user(text, &from.user_id, "archive_opened.request_ids"));
    let ids: Vec<RequestId> = ids.collect::<Result<_, _>>()?;
    let major = required(&from.major_security_incident_reference, MAJOR)?;
    ArchiveOpened::new(major, closes_at, incident, ids).in_field("archive_opened")
}

fn accepted(from: &wire::ActionFileAccepted) -> Result<ActionsAccepted, DecodeError> {
    const ACTION: &str = "action_file_accepted.actions.action";
    let mut actions = Vec::with_capacity(from.actions.len());
    for of in &from.actions {
        let id = of_user(&of.request_id, &from.user_id, "action_file_accepted.actions.request_id")?;
        let action = mandatory(enumeration(of.action, Action::from_number, ACTION)?, ACTION)?;
        actions.push((id, action));
    }
    let incident = required(&from.incident_reference, "action_file_accepted.incident_reference")?;
    let validated_at = moment(from.validated_at, "action_file_accepted.validated_at")?;
    let hash = optional(&from.file_sha256, "action_file_accepted.file_sha256")?;
    ActionsAccepted::new(incident, validated_at, hash, actions).in_field("action_file_accepted.actions")
}

fn refused(from: &wire::ActionFileRefused) -> Result<ActionsRefused, DecodeError> {
    let mut faults = Vec::with_capacity(from.faults.len());
    for fault in &from.faults {
        faults.push((fault.line, required(&fault.reason, "action_file_refused.faults.reason")?));
    }
    let incident = optional(&from.incident_reference, "action_file_refused.incident_reference")?;
    let refused_at = moment(from.refused_at, "action_file_refused.refused_at")?;
    let hash = optional(&from.file_sha256, "action_file_refused.file_sha256")?;
    ActionsRefused::new(incident, refused_at, hash, faults).in_field("action_file_refused.faults")
}

/// Appends the event as a protobuf `AnomalyEvent`. It reads back equal, but for who told it: the contract has anomaly events alone.
pub fn encode_anomaly_protobuf(event: &AnomalyEvent, out: &mut Vec<u8>) {
    put_protobuf(&to_wire(event), out);
}

/// Appends the event as one record of an `.anomaly.binpb` file: its length as a varint, then as [`encode_anomaly_protobuf`].
pub fn encode_anomaly_frame(event: &AnomalyEvent, out: &mut Vec<u8>) {
    put_frame(&to_wire(event), out);
}

/// The event as one line of proto3 JSON, without the line break.
pub fn encode_anomaly_json(event: &AnomalyEvent) -> String {
    // As with service events: the contract has no map, and no time is out of range.
    serde_json::to_string(&to_wire(event)).unwrap_or_default()
}

/// Absent values are empty on the wire.
fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn to_wire(event: &AnomalyEvent) -> wire::AnomalyEvent {
    let user_id = text(event.about.as_ref());
    let (corrects, body) = match &event.told {
        AnomalyStatement::Fact { at, corrects, fact } => {
            (corrects.as_ref().map(EventId::as_str), fact_to_wire(user_id, *at, fact))
        }
        AnomalyStatement::Withdrawal { of } => {
            let withdrawn_event_id = of.as_str().to_owned();
            (None, Body::Withdrawn(wire::AnomalyEventWithdrawn { withdrawn_event_id, user_id }))
        }
    };
    wire::AnomalyEvent {
        event_id: event.id.as_str().to_owned(),
        recorded_at: Some(wire_time(event.recorded_at)),
        corrects_event_id: corrects.unwrap_or_default().to_owned(),
        body: Some(body),
    }
}

fn limit(scope: Scope, communications: u64) -> wire::ThresholdLimit {
    wire::ThresholdLimit {
        service_reference_variant: text(scope.variant.as_ref()),
        period_seconds: scope.period.seconds(),
        communications,
    }
}

fn fact_to_wire(user_id: String, at: Timestamp, fact: &AnomalyFact) -> Body {
    let when = Some(wire_time(at));
    match fact {
        AnomalyFact::FileReceived(file) => Body::ThresholdsFileReceived(file_to_wire(user_id, when, file)),
        AnomalyFact::FileApplied(name) => Body::ThresholdsFileApplied(wire::ThresholdsFileApplied {
            smsr_reference: name.smsr.to_string(),
            user_id,
            user_role: name.role.to_string(),
            applied_at: when,
        }),
        AnomalyFact::FileRejected(name, reason) => {
            Body::ThresholdsFileRejected(wire::ThresholdsFileRejected {
                smsr_reference: name.smsr.to_string(),
                user_id,
                user_role: name.role.to_string(),
                rejected_at: when,
                reason: reason.to_string(),
            })
        }
        AnomalyFact::DccThreshold { scope, communications: Some(number) } => {
            let limit = Some(limit(*scope, *number));
            Body::DccThresholdSet(wire::DccThresholdSet { user_id, limit, effective_from: when })
        }
        AnomalyFact::DccThreshold { scope, communications: None } => {
            Body::DccThresholdRemoved(wire::DccThresholdRemoved {
                user_id,
                service_reference_variant: text(scope.variant.as_ref()),
                period_seconds: scope.period.seconds(),
                effective_from: when,
            })
        }
        AnomalyFact::Exceeded(of) => Body::ThresholdExceeded(exceeded_to_wire(user_id, when, of)),
        AnomalyFact::Advised(incident, advice) => Body::DccAdvised(wire::DccAdvised {
            user_id,
            incident_reference: incident.to_string(),
            advice: advice.number().into(),
            advised_at: when,
        }),
        AnomalyFact::Quarantined(of) => Body::Quarantined(quarantined_to_wire(user_id, when, of)),
        AnomalyFact::Settled(id, what) => settled_to_wire((user_id, id.to_string()), when, *what),
        AnomalyFact::ArchiveOpened(of) => Body::ArchiveOpened(wire::ArchiveOpened {
            user_id,
            major_security_incident_reference: of.major_incident.to_string(),
            opened_at: when,
            closes_at: of.closes_at.map(wire_time),
            incident_reference: text(of.incident.as_ref()),
            request_ids: of.request_ids().iter().map(ToString::to_string).collect(),
        }),
        AnomalyFact::ActionsAccepted(of) => Body::ActionFileAccepted(accepted_to_wire(user_id, when, of)),
        AnomalyFact::ActionsRefused(of) => Body::ActionFileRefused(refused_to_wire(user_id, when, of)),
    }
}

type When = Option<pbjson_types::Timestamp>;

fn file_to_wire(user_id: String, when: When, file: &ThresholdsFile) -> wire::ThresholdsFileReceived {
    let threshold = |of: &Threshold| wire::UserThreshold {
        kind: of.kind.number().into(),
        limit: Some(limit(of.scope, of.communications)),
    };
    wire::ThresholdsFileReceived {
        smsr_reference: file.name.smsr.to_string(),
        user_id,
        user_role: file.name.role.to_string(),
        received_at: when,
        fast_track: file.fast_track,
        thresholds: file.thresholds().iter().map(threshold).collect(),
    }
}

fn exceeded_to_wire(user_id: String, when: When, of: &Exceeded) -> wire::ThresholdExceeded {
    wire::ThresholdExceeded {
        user_id,
        kind: of.threshold.kind.number().into(),
        limit: Some(limit(of.threshold.scope, of.threshold.communications)),
        observed: of.observed,
        exceeded_at: when,
        incident_reference: of.incident.to_string(),
        smsr_reference: text(of.smsr.as_ref()),
        emailed_at: of.emailed_at.map(wire_time),
    }
}

fn settled_to_wire((user_id, request_id): (String, String), when: When, what: Settlement) -> Body {
    match what {
        Settlement::Released => {
            Body::Released(wire::CommunicationReleased { user_id, request_id, released_at: when })
        }
        Settlement::Deleted => {
            Body::Deleted(wire::CommunicationDeleted { user_id, request_id, deleted_at: when })
        }
        Settlement::Archived => {
            Body::Archived(wire::CommunicationArchived { user_id, request_id, archived_at: when })
        }
    }
}

fn quarantined_to_wire(user_id: String, when: When, of: &Quarantined) -> wire::CommunicationQuarantined {
    wire::CommunicationQuarantined {
        user_id,
        request_id: of.request_id.to_string(),
        command_variant: of.command_variant.map_or(0, |variant| variant.number().into()),
        service_reference_variant: text(of.variant.as_ref()),
        device_id: text(of.device.as_ref()),
        mpxn: text(of.mpxn.as_ref()),
        request_received_at: of.received_at.map(wire_time),
        quarantined_at: when,
        breach: of.breach.number().into(),
        quarantine_event_ref: of.event_ref.to_string(),
        incident_reference: text(of.incident.as_ref()),
        dcc_alert_id: text(of.dcc_alert.as_ref()),
    }
}

fn accepted_to_wire(user_id: String, when: When, of: &ActionsAccepted) -> wire::ActionFileAccepted {
    let action = |(id, action): &(RequestId, Action)| wire::QuarantineAction {
        request_id: id.to_string(),
        action: action.number().into(),
    };
    wire::ActionFileAccepted {
        user_id,
        incident_reference: of.incident.to_string(),
        received_at: when,
        validated_at: Some(wire_time(of.validated_at)),
        file_sha256: text(of.file.as_ref()),
        actions: of.actions().iter().map(action).collect(),
    }
}

fn refused_to_wire(user_id: String, when: When, of: &ActionsRefused) -> wire::ActionFileRefused {
    let faults = of.faults().iter();
    let faults =
        faults.map(|(line, reason)| wire::ActionFileFault { line: *line, reason: reason.to_string() });
    wire::ActionFileRefused {
        user_id,
        incident_reference: text(of.incident.as_ref()),
        received_at: when,
        refused_at: Some(wire_time(of.refused_at)),
        file_sha256: text(of.file.as_ref()),
        faults: faults.collect(),
    }
}
