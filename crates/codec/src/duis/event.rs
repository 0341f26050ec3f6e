//! From the fields of a DUIS message to an event.

use super::message::{Message, Tag};
use crate::wire::from_wire::{is_dcc_code, is_device_code};
use crate::{DecodeError, limits};
use gridtrail_model::{
    Affected, Alert, AlertCode, Body, Cause, CommandVariant, Correlation, DeviceId, Event, EventId,
    Instruction, Mode, RequestId, RequestReceived, ResponseContent, ResponseId, ResponseSent, State,
    Timestamp, UserId,
};

pub(super) fn event(message: &Message, id: EventId, recorded_at: Timestamp) -> Result<Event, DecodeError> {
    let (correlation, body) = match (message.root, message.body) {
        (Some(Tag::Request), _) => request(message, recorded_at)?,
        (_, Some(Tag::DeviceAlertMessage)) => device_alert(message)?,
        (_, Some(Tag::DCCAlertMessage)) => dcc_alert(message)?,
        (_, Some(Tag::SMETS1ResponseMessage)) if message.smets1_alert => device_alert(message)?,
        (_, Some(Tag::ResponseMessage | Tag::SMETS1ResponseMessage)) => response(message)?,
        _ => {
            let rule =
                "it holds a ResponseMessage, DeviceAlertMessage, DCCAlertMessage or SMETS1ResponseMessage";
            return Err(DecodeError::Missing { field: "Body", rule });
        }
    };
    Ok(Event { id, recorded_at, correlation, body })
}

fn need<T: Copy>(value: Option<T>, field: &'static str, rule: &'static str) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { field, rule })
}

const SCHEMA: &str = "schema 5.4 demands it";

fn user_of(id: &ResponseId) -> UserId {
    UserId::from_bytes(id.second.to_bytes())
}

fn request(message: &Message, recorded_at: Timestamp) -> Result<(Correlation, Body), DecodeError> {
    let request_id = need(message.request_id, "Header/RequestID", SCHEMA)?;
    let command_variant = need(message.command_variant, "Header/CommandVariant", SCHEMA)?;
    need(message.body.map(|_| ()), "Body", SCHEMA)?;
    let mut correlation = Correlation::of_user(request_id.originator);
    correlation.request_id = Some(request_id);
    correlation.command_variant = Some(command_variant);
    correlation.request_received_at = Some(recorded_at);
    correlation.variant = Some(need(message.variant, "Header/ServiceReferenceVariant", SCHEMA)?);
    correlation.preceding_request_id = message.preceding;
    correlation.gbcs_originator_counter = message.counter;
    let target = (!is_non_device(message)).then_some(request_id.target);
    about(&mut correlation, message, target, request_id.target);
    correlation.mode = Some(match (command_variant, message.execution_at) {
        (CommandVariant::DCC_ONLY, _) => Mode::DccOnly,
        (_, Some(_)) => Mode::FutureDate,
        (_, None) => Mode::OnDemand,
    });
    Ok((correlation, Body::RequestReceived(RequestReceived { execution_at: message.execution_at })))
}

/// What a request or alert is about: its own Device, or else the first that its body names, and all else that this names. The
/// DCC itself is no Device.
fn about(correlation: &mut Correlation, message: &Message, own: Option<DeviceId>, dcc: DeviceId) {
    let mut devices = message.named.devices(dcc).into_iter();
    correlation.device_id = own.or_else(|| devices.next());
    correlation.concerned_devices = devices.filter(|device| Some(*device) != own).collect();
    let mut mpxns = message.named.mpxns().into_iter();
    correlation.mpxn = mpxns.next();
    correlation.concerned_mpxns = mpxns.collect();
}

/// Whether the request names no Device by its target, which is then the DCC itself.
fn is_non_device(message: &Message) -> bool {
    message.command_variant == Some(CommandVariant::DCC_ONLY)
        || message.variant.and_then(|v| v.entry()).is_some_and(|entry| entry.non_device)
}

/// A response knows neither the leg that it answers nor when its request was received: both stay empty.
fn response(message: &Message) -> Result<(Correlation, Body), DecodeError> {
    let code = need(message.code, "Header/ResponseCode", SCHEMA)?;
    let at = need(message.at, "Header/ResponseDateTime", SCHEMA)?;
    let is_run = message.content == Some(Tag::DSPScheduledMessage)
        || (message.body == Some(Tag::SMETS1ResponseMessage) && message.schedule_id.is_some());
    let (mut correlation, content) = match (message.request_id, message.response_id) {
        (None, None) => {
            let rule = "a message with neither RequestID nor ResponseID belongs to nothing";
            return Err(DecodeError::Missing { field: "Header/RequestID", rule });
        }
        (None, Some(run)) if is_run => scheduled_read(message, run)?,
        (None, Some(_)) if message.content == Some(Tag::FutureDatedDeviceAlertMessage) => {
            // Without its request it is no report on one, but the alert itself is still a fact.
            return device_alert(message);
        }
        (None, Some(_)) => {
            let rule = "only scheduled reads and alerts may leave it out";
            return Err(DecodeError::Missing { field: "Header/RequestID", rule });
        }
        (Some(request_id), _) => (answer(message, request_id), content(message)?),
    };
    correlation.variant = message.variant;
    correlation.gbcs_originator_counter = message.counter;
    Ok((
        correlation,
        Body::ResponseSent(ResponseSent { response_id: message.response_id, code, at, content }),
    ))
}

fn answer(message: &Message, request_id: RequestId) -> Correlation {
    let mut correlation = Correlation::of_user(request_id.originator);
    correlation.request_id = Some(request_id);
    let non_device = message.variant.and_then(|v| v.entry()).is_some_and(|entry| entry.non_device);
    correlation.device_id = (!non_device).then_some(request_id.target);
    // What the answer names besides is none of what the request was about.
    let own = request_id.target;
    correlation.concerned_devices = message.named.devices(own).into_iter().filter(|id| *id != own).collect();
    correlation.concerned_mpxns = message.named.mpxns();
    correlation
}

fn scheduled_read(message: &Message, run: ResponseId) -> Result<(Correlation, ResponseContent), DecodeError> {
    let mut correlation = Correlation::of_user(user_of(&run));
    correlation.scheduled_run = Some(run);
    correlation.device_id = Some(run.first);
    correlation.mode = Some(Mode::DspScheduled);
    let schedule_id = need(message.schedule_id, "DSPScheduleID", SCHEMA)?;
    if schedule_id > limits::SCHEDULE_ID_MAX {
        let rule = "a number from 0 to 10^12";
        return Err(DecodeError::invalid("DSPScheduleID", "number", rule, schedule_id));
    }
    Ok((correlation, ResponseContent::ScheduledRead { schedule_id }))
}

/// What a response that names its request carries.
///
/// A response without a ResponseID is an acknowledgement whatever stands in it: that is how the DCC's own answers to
/// non-device requests come, such as an inventory, and the event contract tells the two apart the same way. The
/// fold reads it as the answer when the leg turns out to be one that the DCC answers itself.
fn content(message: &Message) -> Result<ResponseContent, DecodeError> {
    Ok(match message.content {
        Some(Tag::PreCommand) => ResponseContent::PreCommand,
        Some(Tag::LocalCommand) => ResponseContent::LocalCommand,
        Some(Tag::FutureDatedDeviceAlertMessage) => {
            let code = need(message.alert_code, "FutureDatedAlertCode", SCHEMA)?;
            if !code.is_future_dated_success() && !code.is_future_dated_failure() {
                let rule = "8F66 or 8F67";
                return Err(DecodeError::invalid("FutureDatedAlertCode", "alert code", rule, code));
            }
            ResponseContent::FutureDatedAlert {
                carried_out: code.is_future_dated_success(),
                instruction: Instruction {
                    number: ordinal(message.instruction_number, "InstructionNumber")?,
                    total: ordinal(message.instruction_total, "TotalCommandInstructions")?,
                },
            }
        }
        _ if message.response_id.is_none() => ResponseContent::Acknowledgement,
        _ => ResponseContent::ServiceResponse,
    })
}

fn ordinal(number: Option<u16>, field: &'static str) -> Result<u16, DecodeError> {
    match need(number, field, SCHEMA)? {
        0 => Err(DecodeError::invalid(field, "number", "a number from 1 to 65535", 0)),
        number => Ok(number),
    }
}

/// A Device Alert is addressed to the second half of its ResponseID and comes from the first.
///
/// A push of the billing log (8F0A, GBCS use cases ECS68 and GCS53) could be told apart as `Meter Scheduled`; its
/// mode stays empty here, so that it counts as the Device Alert that it arrives as.
fn device_alert(message: &Message) -> Result<(Correlation, Body), DecodeError> {
    let response_id = alert_id(message)?;
    let code = need(message.alert_code, "AlertCode", SCHEMA)?;
    if !is_device_code(&code) {
        return Err(DecodeError::invalid("AlertCode", "Device Alert code", "four hexadecimal digits", code));
    }
    let mut correlation = Correlation::of_user(user_of(&response_id));
    correlation.device_id = Some(response_id.first);
    correlation.variant = message.variant;
    Ok((correlation, Body::DeviceAlert(alert(message, response_id, code, None)?)))
}

/// A DCC Alert comes from the DCC, so only its body can name a Device.
fn dcc_alert(message: &Message) -> Result<(Correlation, Body), DecodeError> {
    let response_id = alert_id(message)?;
    let code = need(message.alert_code, "DCCAlertCode", SCHEMA)?;
    if !is_dcc_code(&code) {
        return Err(DecodeError::invalid("DCCAlertCode", "DCC Alert code", "AD1, or N and a number", code));
    }
    let mut correlation = Correlation::of_user(user_of(&response_id));
    about(&mut correlation, message, None, response_id.first);
    let affects = affects(message, code)?;
    Ok((correlation, Body::DccAlert(alert(message, response_id, code, affects)?)))
}

fn alert_id(message: &Message) -> Result<ResponseId, DecodeError> {
    need(message.response_id, "Header/ResponseID", "it is what an alert is known by")
}

/// The message's own time serves as the time of the alert: it is the same on every repeat, which the time of
/// receipt is not.
fn alert(
    message: &Message,
    response_id: ResponseId,
    code: AlertCode,
    affects: Option<Affected>,
) -> Result<Alert, DecodeError> {
    let at = need(message.at, "Header/ResponseDateTime", SCHEMA)?;
    Ok(Alert {
        response_id,
        code,
        at,
        sent_at: Some(at),
        throttle_sequence: message.throttle_sequence,
        throttle_count: message.throttle_count,
        affects,
    })
}

fn affects(message: &Message, code: AlertCode) -> Result<Option<Affected>, DecodeError> {
    let state = match message.content {
        // One run failed, not the request that made the schedule: its row tells of it and stays as it is.
        Some(Tag::CommandFailure) if message.schedule_id.is_some() => State::ScheduledInstance,
        // The element says that the command failed; only how is left to the code.
        Some(Tag::CommandFailure) if code.as_str() == "N13" => State::NoResponse,
        Some(Tag::CommandFailure) => State::FailedDelivery,
        Some(Tag::QuarantinedRequest) => State::Quarantined,
        Some(Tag::FirmwareDistributionFailure) => return undistributed(message, code),
        _ => return Ok(None),
    };
    let request_id = need(message.affected, "DCCAlert/RequestID", SCHEMA)?;
    Ok(Some(Affected { request_id, state, cause: cause(message, code)? }))
}

/// Some Devices of an 11.1 did not get its firmware. What became of the others the alert does not say, so the request has an entry of it and
/// keeps its status (decision 0154).
fn undistributed(message: &Message, code: AlertCode) -> Result<Option<Affected>, DecodeError> {
    let Some(request_id) = message.affected else { return Ok(None) };
    let devices = message.named.devices(request_id.target).len();
    let text = format!("firmware was not distributed to {devices} of its Devices: {code}");
    let cause = text.parse().map_err(|source| DecodeError::Invalid { field: "DCCAlertCode", source })?;
    Ok(Some(Affected { request_id, state: State::AlertReceived, cause: Some(cause) }))
}

fn cause(message: &Message, code: AlertCode) -> Result<Option<Cause>, DecodeError> {
    let text = match (&message.quarantine_ref, message.schedule_id) {
        (Some(reference), _) => format!("quarantine event {reference}"),
        (None, Some(schedule)) => format!("a run of schedule {schedule} failed: {code}"),
        (None, None) => return Ok(None),
    };
    let cause = text.parse().map_err(|source| DecodeError::Invalid { field: "QuarantineEventRef", source });
    cause.map(Some)
}
