//! From the wire types to the model: every field through a type that cannot hold a bad value.
//!
//! Texts are borrowed and parsed in place; what is allocated is a cause.

use crate::error::InField;
use crate::{DecodeError, limits};
use gridtrail_model::{
    Affected, Alert, AlertCode, Body, CommandVariant, Correlation, CspRegion, Event, Instruction, Mode,
    ParseError, RequestReceived, ResponseContent, ResponseSent, State, StatusChanged, Timestamp,
};
use gridtrail_proto::events::v1 as wire;
use std::str::FromStr;
use wire::response_sent::Content;
use wire::service_event::Body as WireBody;

pub(super) fn event(from: &wire::ServiceEvent) -> Result<Event, DecodeError> {
    let recorded_at = mandatory(time(from.recorded_at, "recorded_at")?, "recorded_at")?;
    let from_correlation = mandatory(from.correlation.as_ref(), "correlation")?;
    let body = body(mandatory(from.body.as_ref(), "body")?, recorded_at)?;
    Ok(Event {
        id: required(&from.event_id, "event_id")?,
        recorded_at,
        correlation: correlation(from_correlation)?,
        body,
    })
}

pub(super) fn body(from: &WireBody, recorded_at: Timestamp) -> Result<Body, DecodeError> {
    Ok(match from {
        WireBody::RequestReceived(received) => Body::RequestReceived(RequestReceived {
            execution_at: time(received.execution_at, "request_received.execution_at")?,
        }),
        WireBody::StatusChanged(change) => Body::StatusChanged(status_changed(change, recorded_at)?),
        WireBody::ResponseSent(response) => Body::ResponseSent(response_sent(response, recorded_at)?),
        WireBody::DeviceAlert(alert) => Body::DeviceAlert(device_alert(alert, recorded_at)?),
        WireBody::DccAlert(alert) => Body::DccAlert(dcc_alert(alert, recorded_at)?),
    })
}

pub(super) fn mandatory<T>(value: Option<T>, field: &'static str) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { field, rule: "every event of its kind has one" })
}

/// A text that every such event has. The default of protobuf, an empty one, is none.
pub(super) fn required<T: FromStr<Err = ParseError>>(
    text: &str,
    field: &'static str,
) -> Result<T, DecodeError> {
    mandatory(optional(text, field)?, field)
}

/// An empty text is an absent one.
pub(super) fn optional<T: FromStr<Err = ParseError>>(
    text: &str,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).in_field(field) }
}

/// The values of a list; an empty text in it is an absent one.
pub(super) fn all<T: FromStr<Err = ParseError>>(
    texts: &[String],
    field: &'static str,
) -> Result<Vec<T>, DecodeError> {
    let told = texts.iter().filter(|text| !text.is_empty());
    told.map(|text| text.parse().in_field(field)).collect()
}

/// Whether a time is what a source writes that has none: the default of protobuf, 1970, or that of Go and .NET, the year 1.
fn is_zero(time: &pbjson_types::Timestamp) -> bool {
    const YEAR_1: i64 = -62_135_596_800;
    matches!(time.seconds, 0 | YEAR_1) && time.nanos == 0
}

pub(super) fn time(
    from: Option<pbjson_types::Timestamp>,
    field: &'static str,
) -> Result<Option<Timestamp>, DecodeError> {
    let Some(pbjson_types::Timestamp { seconds, nanos }) = from.filter(|time| !is_zero(time)) else {
        return Ok(None);
    };
    let whole = (0..1_000_000_000).contains(&nanos).then_some(i64::from(nanos) / 1_000_000);
    let millis = whole.and_then(|part| seconds.checked_mul(1000)?.checked_add(part));
    let time = millis.and_then(Timestamp::from_millis).ok_or_else(|| {
        let rule = "a time lies in the years 1900 to 9999, with 0 to 999999999 nanoseconds";
        DecodeError::invalid(field, "time", rule, format_args!("{seconds} s {nanos} ns"))
    })?;
    Ok(Some(time))
}

/// The value of an enum number; 0 is an absent one.
pub(super) fn enumeration<T>(
    number: i32,
    from_number: fn(u8) -> Option<T>,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    if number == 0 {
        return Ok(None);
    }
    let value = u8::try_from(number).ok().and_then(from_number);
    let unknown =
        || DecodeError::invalid(field, "enum value", "one of the values that the contract lists", number);
    value.map(Some).ok_or_else(unknown)
}

fn command_variant(number: u32) -> Result<Option<CommandVariant>, DecodeError> {
    if number == 0 {
        return Ok(None);
    }
    let variant = u8::try_from(number).ok().and_then(CommandVariant::new);
    let wrong = || {
        let field = "correlation.command_variant";
        DecodeError::invalid(field, "Command Variant", "a number from 1 to 9", number)
    };
    variant.map(Some).ok_or_else(wrong)
}

fn correlation(from: &wire::Correlation) -> Result<Correlation, DecodeError> {
    let variant = &from.service_reference_variant;
    Ok(Correlation {
        user_id: required(&from.user_id, "correlation.user_id")?,
        request_id: optional(&from.request_id, "correlation.request_id")?,
        request_received_at: time(from.request_received_at, "correlation.request_received_at")?,
        command_variant: command_variant(from.command_variant)?,
        scheduled_run: optional(&from.scheduled_run_id, "correlation.scheduled_run_id")?,
        device_id: optional(&from.device_id, "correlation.device_id")?,
        concerned_devices: all(&from.concerned_device_ids, "correlation.concerned_device_ids")?,
        mpxn: optional(&from.mpxn, "correlation.mpxn")?,
        concerned_mpxns: all(&from.concerned_mpxns, "correlation.concerned_mpxns")?,
        csp_region: enumeration(from.csp_region, CspRegion::from_number, "correlation.csp_region")?,
        variant: optional(variant, "correlation.service_reference_variant")?,
        mode: enumeration(from.mode_of_operation, Mode::from_number, "correlation.mode_of_operation")?,
        preceding_request_id: optional(&from.preceding_request_id, "correlation.preceding_request_id")?,
        gbcs_originator_counter: from.gbcs_originator_counter,
    })
}

fn state(number: i32, field: &'static str) -> Result<State, DecodeError> {
    let rule = "it says what has become of the request";
    enumeration(number, State::from_number, field)?.ok_or(DecodeError::Missing { field, rule })
}

fn status_changed(from: &wire::StatusChanged, recorded_at: Timestamp) -> Result<StatusChanged, DecodeError> {
    Ok(StatusChanged {
        state: state(from.state, "status_changed.state")?,
        at: time(from.at, "status_changed.at")?.unwrap_or(recorded_at),
        code: optional(&from.response_code, "status_changed.response_code")?,
        cause: optional(&from.cause, "status_changed.cause")?,
    })
}

fn response_sent(from: &wire::ResponseSent, recorded_at: Timestamp) -> Result<ResponseSent, DecodeError> {
    let response_id = optional(&from.response_id, "response_sent.response_id")?;
    let content = match &from.content {
        None if response_id.is_none() => ResponseContent::Acknowledgement,
        None => ResponseContent::ServiceResponse,
        Some(Content::PreCommand(_)) => ResponseContent::PreCommand,
        Some(Content::LocalCommand(_)) => ResponseContent::LocalCommand,
        Some(Content::ScheduledRead(_)) if response_id.is_none() => {
            let rule = "the result of a scheduled run has no other key";
            return Err(DecodeError::Missing { field: "response_sent.response_id", rule });
        }
        Some(Content::ScheduledRead(read)) => {
            ResponseContent::ScheduledRead { schedule_id: schedule_id(read.schedule_id)? }
        }
        Some(Content::FutureDatedAlert(alert)) => ResponseContent::FutureDatedAlert {
            carried_out: alert.carried_out,
            instruction: Instruction {
                number: ordinal(alert.instruction_number, "future_dated_alert.instruction_number")?,
                total: ordinal(alert.instruction_total, "future_dated_alert.instruction_total")?,
            },
        },
    };
    Ok(ResponseSent {
        response_id,
        code: required(&from.response_code, "response_sent.response_code")?,
        at: time(from.at, "response_sent.at")?.unwrap_or(recorded_at),
        content,
    })
}

fn schedule_id(number: u64) -> Result<u64, DecodeError> {
    if number <= limits::SCHEDULE_ID_MAX {
        return Ok(number);
    }
    Err(DecodeError::invalid(
        "scheduled_read.schedule_id",
        "DSPScheduleID",
        "a number from 0 to 10^12",
        number,
    ))
}

fn ordinal(number: u32, field: &'static str) -> Result<u16, DecodeError> {
    let number = mandatory((number != 0).then_some(number), field)?;
    let ordinal = u16::try_from(number).ok().filter(|number| *number > 0);
    ordinal.ok_or_else(|| DecodeError::invalid(field, "instruction", "a number from 1 to 65535", number))
}

fn device_alert(from: &wire::DeviceAlert, recorded_at: Timestamp) -> Result<Alert, DecodeError> {
    let code: AlertCode = required(&from.alert_code, "device_alert.alert_code")?;
    if !is_device_code(&code) {
        let rule = "four hexadecimal digits";
        return Err(DecodeError::invalid("device_alert.alert_code", "Device Alert code", rule, code));
    }
    Ok(Alert {
        response_id: required(&from.response_id, "device_alert.response_id")?,
        code,
        at: time(from.at, "device_alert.at")?.unwrap_or(recorded_at),
        sent_at: time(from.sent_at, "device_alert.sent_at")?,
        throttle_sequence: from.throttle_sequence,
        throttle_count: from.throttle_count,
        affects: None,
    })
}

fn dcc_alert(from: &wire::DccAlert, recorded_at: Timestamp) -> Result<Alert, DecodeError> {
    let code: AlertCode = required(&from.alert_code, "dcc_alert.alert_code")?;
    if !is_dcc_code(&code) {
        let rule = "AD1, or N and a number";
        return Err(DecodeError::invalid("dcc_alert.alert_code", "DCC Alert code", rule, code));
    }
    Ok(Alert {
        response_id: required(&from.response_id, "dcc_alert.response_id")?,
        code,
        at: time(from.at, "dcc_alert.at")?.unwrap_or(recorded_at),
        sent_at: time(from.sent_at, "dcc_alert.sent_at")?,
        throttle_sequence: from.throttle_sequence,
        throttle_count: from.throttle_count,
        affects: from.affected_request.as_ref().map(affected).transpose()?,
    })
}

fn affected(from: &wire::AffectedRequest) -> Result<Affected, DecodeError> {
    Ok(Affected {
        request_id: required(&from.request_id, "dcc_alert.affected_request.request_id")?,
        state: state(from.state, "dcc_alert.affected_request.state")?,
        cause: optional(&from.cause, "dcc_alert.affected_request.cause")?,
    })
}

/// Whether this is a code that a Device sends.
pub(crate) fn is_device_code(code: &AlertCode) -> bool {
    let code = code.as_str();
    code.len() == 4 && code.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether this is a code that the DCC generates.
pub(crate) fn is_dcc_code(code: &AlertCode) -> bool {
    code.as_str().starts_with("AD") || code.as_str().starts_with('N')
}
