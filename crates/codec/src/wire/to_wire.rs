//! From the model to the wire types.

use gridtrail_model::{
    Affected, Alert, Body, Correlation, Event, ResponseContent, ResponseSent, StatusChanged, Timestamp,
};
use gridtrail_proto::events::v1 as wire;
use wire::response_sent::Content;
use wire::service_event::Body as WireBody;

pub(super) fn event(event: &Event) -> wire::ServiceEvent {
    wire::ServiceEvent {
        event_id: event.id.as_str().to_owned(),
        recorded_at: Some(time(event.recorded_at)),
        correlation: Some(correlation(&event.correlation)),
        body: Some(match &event.body {
            Body::RequestReceived(received) => WireBody::RequestReceived(wire::RequestReceived {
                execution_at: received.execution_at.map(time),
            }),
            Body::StatusChanged(change) => WireBody::StatusChanged(status_changed(change)),
            Body::ResponseSent(response) => WireBody::ResponseSent(response_sent(response)),
            Body::DeviceAlert(alert) => WireBody::DeviceAlert(device_alert(alert)),
            Body::DccAlert(alert) => WireBody::DccAlert(dcc_alert(alert)),
        }),
    }
}

pub(super) fn time(at: Timestamp) -> pbjson_types::Timestamp {
    let millis = at.millis();
    // A remainder of 1,000 times a million stays below 10^9.
    let nanos = i32::try_from(millis.rem_euclid(1000)).unwrap_or_default() * 1_000_000;
    pbjson_types::Timestamp { seconds: millis.div_euclid(1000), nanos }
}

/// Absent texts are empty on the wire.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn correlation(from: &Correlation) -> wire::Correlation {
    wire::Correlation {
        user_id: from.user_id.to_string(),
        request_id: text(from.request_id),
        request_received_at: from.request_received_at.map(time),
        command_variant: from.command_variant.map_or(0, |variant| variant.number().into()),
        scheduled_run_id: text(from.scheduled_run),
        device_id: text(from.device_id),
        mpxn: text(from.mpxn),
        csp_region: from.csp_region.map_or(0, |region| region.number().into()),
        service_reference_variant: text(from.variant),
        mode_of_operation: from.mode.map_or(0, |mode| mode.number().into()),
        preceding_request_id: text(from.preceding_request_id),
        gbcs_originator_counter: from.gbcs_originator_counter,
        concerned_device_ids: from.concerned_devices.iter().map(ToString::to_string).collect(),
        concerned_mpxns: from.concerned_mpxns.iter().map(ToString::to_string).collect(),
    }
}

fn status_changed(from: &StatusChanged) -> wire::StatusChanged {
    wire::StatusChanged {
        state: from.state.number().into(),
        at: Some(time(from.at)),
        response_code: text(from.code),
        cause: text(from.cause.as_ref()),
    }
}

fn response_sent(from: &ResponseSent) -> wire::ResponseSent {
    wire::ResponseSent {
        response_id: text(from.response_id),
        response_code: from.code.to_string(),
        at: Some(time(from.at)),
        content: match from.content {
            ResponseContent::Acknowledgement | ResponseContent::ServiceResponse => None,
            ResponseContent::PreCommand => Some(Content::PreCommand(wire::PreCommand {})),
            ResponseContent::LocalCommand => Some(Content::LocalCommand(wire::LocalCommand {})),
            ResponseContent::ScheduledRead { schedule_id } => {
                Some(Content::ScheduledRead(wire::ScheduledRead { schedule_id }))
            }
            ResponseContent::FutureDatedAlert { carried_out, instruction } => {
                Some(Content::FutureDatedAlert(wire::FutureDatedAlert {
                    carried_out,
                    instruction_number: instruction.number.into(),
                    instruction_total: instruction.total.into(),
                }))
            }
        },
    }
}

fn device_alert(from: &Alert) -> wire::DeviceAlert {
    wire::DeviceAlert {
        response_id: from.response_id.to_string(),
        alert_code: from.code.to_string(),
        at: Some(time(from.at)),
        sent_at: from.sent_at.map(time),
        throttle_sequence: from.throttle_sequence,
        throttle_count: from.throttle_count,
    }
}

fn dcc_alert(from: &Alert) -> wire::DccAlert {
    wire::DccAlert {
        response_id: from.response_id.to_string(),
        alert_code: from.code.to_string(),
        at: Some(time(from.at)),
        sent_at: from.sent_at.map(time),
        throttle_sequence: from.throttle_sequence,
        throttle_count: from.throttle_count,
        affected_request: from.affects.as_ref().map(affected),
    }
}

fn affected(from: &Affected) -> wire::AffectedRequest {
    wire::AffectedRequest {
        request_id: from.request_id.to_string(),
        state: from.state.number().into(),
        cause: text(from.cause.as_ref()),
    }
}
