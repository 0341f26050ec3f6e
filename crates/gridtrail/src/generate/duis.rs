//! A made-up event as the DUIS message that would have told it.
//!
//! DUIS carries what goes between the DCC and a User, so an inner change of status has no message. Of requests, the
//! codec writes some kinds only; responses to the others are left out with them, for they would wait for ever.

use gridtrail_codec::duis::{
    BreachKind, DccAlertBody, Request, RequestBody, Response, ResponseBody, write_request, write_response,
};
use gridtrail_codec::synthetic::{PayloadKind, payload};
use gridtrail_model::{
    Affected, Alert, Body, Correlation, Event, RequestId, RequestReceived, ResponseContent, ResponseId,
    ResponseSent, State,
};

const DAY_MS: i64 = 86_400_000;

/// The DUIS message of an event; `None` where there is none.
pub(super) fn message(event: &Event) -> Option<String> {
    let about = &event.correlation;
    let mut xml = String::new();
    match &event.body {
        Body::RequestReceived(body) => write_request(&request(event, body)?, &mut xml),
        Body::StatusChanged(_) => return None,
        Body::ResponseSent(body) => write_response(&response(about, body)?, &mut xml),
        Body::DeviceAlert(alert) => {
            let id = alert.response_id;
            let bytes = payload(PayloadKind::Alert, id.counter, id.first.to_bytes(), id.second.to_bytes());
            // A sequence goes with a count, or both stay away.
            let throttle = alert.throttle_sequence.zip(alert.throttle_count);
            write_response(
                &of_alert(alert, ResponseBody::DeviceAlert(alert.code, throttle, bytes))?,
                &mut xml,
            );
        }
        Body::DccAlert(alert) => {
            let body = ResponseBody::DccAlert(alert.code, dcc_alert(about, alert)?);
            write_response(&of_alert(alert, body)?, &mut xml);
        }
    }
    Some(xml)
}

fn request(event: &Event, body: &RequestReceived) -> Option<Request> {
    let about = &event.correlation;
    let (request_id, variant, leg) = (about.request_id?, about.variant?, about.command_variant?);
    let (from, to) = (event.recorded_at.plus_millis(-DAY_MS), event.recorded_at);
    let body = match (variant.to_string().as_str(), leg.number()) {
        (_, 5..=7) => RequestBody::SignedPreCommand(body.execution_at, command(request_id)),
        ("2.1", 4) => RequestBody::UpdatePrepayConfiguration(body.execution_at),
        // The reads are written without a time of execution.
        (_, 1..=3) if body.execution_at.is_some() => return None,
        ("4.8.1", 1..=3) => RequestBody::ReadActiveImportProfileData(from, to),
        ("4.6.1", 1..=3) => RequestBody::RetrieveImportDailyReadLog(from, to),
        ("4.17", 1..=3) => RequestBody::RetrieveDailyConsumptionLog(from, to),
        ("8.3", 8) => RequestBody::DecommissionDevice(about.device_id?),
        ("5.1", 8) => RequestBody::CreateSchedule(about.device_id?, event.recorded_at),
        _ => return None,
    };
    Some(Request { request_id, command_variant: leg, variant, preceding: about.preceding_request_id, body })
}

/// Whether the request that an answer belongs to is one that [`request`] writes, as far as the answer tells.
fn has_written_request(about: &Correlation) -> bool {
    let leg = about.command_variant.map(|leg| leg.number());
    let variant = about.variant.map(|variant| variant.to_string()).unwrap_or_default();
    let kind_is_written = ["4.8.1", "4.6.1", "4.17"].contains(&variant.as_str()) && leg != Some(4)
        || variant == "2.1"
        || (variant == "8.3" || variant == "5.1");
    kind_is_written || leg.is_some_and(|leg| (5..=7).contains(&leg))
}

fn response(about: &Correlation, sent: &ResponseSent) -> Option<Response> {
    let variant = about.variant?;
    if about.request_id.is_some() && !has_written_request(about) {
        return None;
    }
    let answer = || Some(answer_payload(sent.response_id?));
    let body = match sent.content {
        ResponseContent::Acknowledgement => ResponseBody::Acknowledgement(variant),
        ResponseContent::PreCommand => ResponseBody::PreCommand(variant, command(about.request_id?)),
        ResponseContent::LocalCommand => ResponseBody::LocalCommand(variant, command(about.request_id?)),
        ResponseContent::ServiceResponse => match variant.to_string().as_str() {
            "5.1" => ResponseBody::ScheduleCreated(about.request_id?.counter % 1_000_000_000_000),
            "8.3" => ResponseBody::Acknowledgement(variant),
            _ => ResponseBody::ServiceResponse(variant, answer()?),
        },
        ResponseContent::ScheduledRead { schedule_id } => {
            ResponseBody::ScheduledRead(variant, schedule_id, answer()?)
        }
        ResponseContent::FutureDatedAlert { carried_out, instruction } => {
            ResponseBody::FutureDatedAlert(variant, carried_out, instruction, answer()?)
        }
    };
    let Correlation { request_id, .. } = *about;
    Some(Response { request_id, response_id: sent.response_id, code: sent.code, at: sent.at, body })
}

fn of_alert(alert: &Alert, body: ResponseBody) -> Option<Response> {
    // An alert is no answer, and I0 is what the DCC puts there.
    let code = "I0".parse().ok()?;
    let at = alert.sent_at.unwrap_or(alert.at);
    Some(Response { request_id: None, response_id: Some(alert.response_id), code, at, body })
}

fn dcc_alert(about: &Correlation, alert: &Alert) -> Option<DccAlertBody> {
    let device = about.device_id;
    match &alert.affects {
        Some(_) if !has_written_request(about) => None,
        Some(Affected { request_id, state: State::Quarantined, .. }) => {
            let kind = match alert.code.to_string().as_str() {
                "N36" => BreachKind::User,
                "N37" => BreachKind::Dcc,
                _ => BreachKind::Attribute,
            };
            Some(DccAlertBody::Quarantined(kind, *request_id, alert.response_id.counter))
        }
        Some(Affected { request_id, .. }) => Some(DccAlertBody::CommandFailure(*request_id, None, device?)),
        None if alert.code.to_string() == "AD1" => {
            Some(DccAlertBody::PowerOutage(device?, alert.at, about.mpxn?))
        }
        None => None,
    }
}

fn command(id: RequestId) -> String {
    payload(PayloadKind::Command, id.counter, id.originator.to_bytes(), id.target.to_bytes())
}

fn answer_payload(id: ResponseId) -> String {
    payload(PayloadKind::Response, id.counter, id.first.to_bytes(), id.second.to_bytes())
}
