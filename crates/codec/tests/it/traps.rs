//! The domain's traps, as far as they lie on the way from bytes to events.

use crate::it::support::duis;
use gridtrail_model::{Body, Event, Fold, Mode, ResponseContent, State, Subject};

const DCC_RESPONSE: &str = "xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'";
const METER: &str = "00-5A-10-00-00-00-0E-01";
const USER: &str = "00-5A-00-00-00-01-00-01";
const DCC: &str = "00-5A-FF-00-00-00-00-02";

fn request(id: &str, command_variant: u8, variant: &str, body: &str) -> Event {
    let xml = format!(
        "<sr:Request {DCC_RESPONSE}><sr:Header><sr:RequestID>{id}</sr:RequestID>\
         <sr:CommandVariant>{command_variant}</sr:CommandVariant><sr:ServiceReference>x</sr:ServiceReference>\
         <sr:ServiceReferenceVariant>{variant}</sr:ServiceReferenceVariant></sr:Header>\
         <sr:Body>{body}</sr:Body></sr:Request>"
    );
    duis(xml.as_bytes()).unwrap()
}

fn response_xml(ids: &str, code: &str, body: &str) -> String {
    format!(
        "<sr:Response {DCC_RESPONSE}><sr:Header>{ids}<sr:ResponseCode>{code}</sr:ResponseCode>\
         <sr:ResponseDateTime>2026-01-05T06:07:09Z</sr:ResponseDateTime></sr:Header>\
         <sr:Body>{body}</sr:Body></sr:Response>"
    )
}

fn message(variant: &str, content: &str) -> String {
    format!(
        "<sr:ResponseMessage><sr:ServiceReference>x</sr:ServiceReference>\
         <sr:ServiceReferenceVariant>{variant}</sr:ServiceReferenceVariant>{content}</sr:ResponseMessage>"
    )
}

fn response(ids: &str, code: &str, body: &str) -> Event {
    duis(response_xml(ids, code, body).as_bytes()).unwrap()
}

fn ids(request: Option<&str>, response: Option<&str>) -> String {
    let request = request.map(|id| format!("<sr:RequestID>{id}</sr:RequestID>")).unwrap_or_default();
    let response = response.map(|id| format!("<sr:ResponseID>{id}</sr:ResponseID>")).unwrap_or_default();
    request + &response
}

fn keys(events: Vec<Event>) -> usize {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    fold.len()
}

/// The legs of one critical transaction share a RequestID and stay apart.
#[test]
fn trap_01_the_legs_of_one_request_are_two_rows() {
    let id = format!("{USER}:{METER}:10");
    let transform = request(&id, 4, "2.1", "<sr:UpdatePrepayConfiguration/>");
    let signed = request(
        &id,
        5,
        "2.1",
        "<sr:SignedPreCommand><sr:GBCSPayload>AA==</sr:GBCSPayload></sr:SignedPreCommand>",
    );
    assert_eq!(transform.correlation.request_id, signed.correlation.request_id);
    assert_eq!(keys(vec![transform.clone(), signed]), 2);
    // The Pre-Command names the transform leg by what it is.
    let content = "<sr:PreCommand><sr:GBCSVersion>4.3</sr:GBCSVersion><sr:GBCSPayload>AA==</sr:GBCSPayload></sr:PreCommand>";
    let answer =
        response(&ids(Some(&id), Some(&format!("{METER}:{USER}:10"))), "I0", &message("2.1", content));
    assert_eq!(keys(vec![transform, answer]), 1);
}

/// The counter in the payload is kept as a field of its own and never touches the RequestID.
#[test]
fn trap_01a_the_gbcs_counter_is_not_the_counter_of_the_request() {
    use gridtrail_codec::synthetic::{PayloadKind, payload};
    let (meter, broker) = ([0, 0x5a, 0x10, 0, 0, 0, 0x0e, 1], [0, 0x5a, 0xff, 0, 0, 0, 0, 2]);
    let id = format!("{USER}:{METER}:1002");
    let both = ids(Some(&id), Some(&format!("{METER}:{USER}:1002")));
    let body = |kind| format!("<sr:GBCSPayload>{}</sr:GBCSPayload>", payload(kind, 1302, meter, broker));
    let answer = response(&both, "I0", &message("4.17", &body(PayloadKind::Response)));
    assert_eq!(answer.correlation.request_id.unwrap().counter, 1002);
    assert_eq!(answer.correlation.gbcs_originator_counter, Some(1302));
    // An alert carries the Device's own counter, which is nobody's Transaction Sequence Number.
    let report = format!(
        "<sr:FutureDatedDeviceAlertMessage><sr:FutureDatedAlertCode>8F66</sr:FutureDatedAlertCode>{}\
         <sr:InstructionNumber>1</sr:InstructionNumber><sr:TotalCommandInstructions>1</sr:TotalCommandInstructions>\
         </sr:FutureDatedDeviceAlertMessage>",
        body(PayloadKind::Alert)
    );
    assert_eq!(response(&both, "I0", &message("2.1", &report)).correlation.gbcs_originator_counter, None);
    // A payload that is no GBCS message costs nothing but the counter.
    let opaque = response(&both, "I0", &message("4.17", "<sr:GBCSPayload>bm90IGdiY3M=</sr:GBCSPayload>"));
    assert_eq!(opaque.correlation.gbcs_originator_counter, None);
}

/// I99 is an acknowledgement on the wire whatever it means; only the leg can say.
#[test]
fn trap_02_i99_stays_an_acknowledgement_until_the_leg_is_known() {
    for (target, variant) in [(METER, "4.8.1"), (DCC, "8.3")] {
        let event = response(&ids(Some(&format!("{USER}:{target}:3")), None), "I99", &message(variant, ""));
        assert!(matches!(event.body, Body::ResponseSent(r) if r.content == ResponseContent::Acknowledgement));
        assert_eq!(event.correlation.command_variant, None);
    }
}

/// Alerts carry a ResponseID only; they are rows of their own, for the User they are addressed to.
#[test]
fn trap_03_alerts_have_no_request_id() {
    let id = format!("{METER}:{USER}:9");
    let body = "<sr:DeviceAlertMessage><sr:AlertCode>8f36</sr:AlertCode><sr:GBCSPayload>AA==</sr:GBCSPayload></sr:DeviceAlertMessage>";
    let event = response(&ids(None, Some(&id)), "I0", body);
    assert_eq!(
        (event.correlation.user_id.to_string(), event.correlation.request_id),
        (USER.to_owned(), None)
    );
    assert_eq!(event.correlation.device_id.unwrap().to_string(), METER);
    let mut fold = Fold::default();
    fold.add(event).unwrap();
    let fragment = fold.into_fragments().remove(0);
    assert!(matches!(fragment.key.subject, Subject::Alert { code, .. } if code.as_str() == "8F36"));
    assert_eq!(fragment.mode.value(), Some(&Mode::DeviceAlert));
    let error = duis(response_xml("", "I0", body).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("ResponseID is missing"), "{error}");
}

/// Delivery is at least once: a repeat received later is the same alert.
#[test]
fn trap_04_a_repeated_alert_is_one_row_with_one_history() {
    let id = format!("{METER}:{USER}:9");
    let body = "<sr:DeviceAlertMessage><sr:AlertCode>8F36</sr:AlertCode>\
        <sr:ThrottledAlertSequenceId>4</sr:ThrottledAlertSequenceId><sr:ThrottledAlertCount>7</sr:ThrottledAlertCount>\
        <sr:GBCSPayload>AA==</sr:GBCSPayload></sr:DeviceAlertMessage>";
    let first = response(&ids(None, Some(&id)), "I0", body);
    let mut second = first.clone();
    second.recorded_at = first.recorded_at.plus_millis(3_600_000);
    let history = |events: Vec<Event>| {
        let mut fold = Fold::default();
        for event in events {
            fold.add(event).unwrap();
        }
        fold.into_fragments().iter().map(|f| f.history().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(history(vec![first.clone(), second]), history(vec![first.clone()]));
    let Body::DeviceAlert(alert) = first.body else { panic!("another body") };
    assert_eq!((alert.at.to_string().as_str(), alert.sent_at), ("2026-01-05T06:07:09.000Z", Some(alert.at)));
    assert_eq!((alert.throttle_sequence, alert.throttle_count), (Some(4), Some(7)));
}

/// I0 around a device's own error stays I0: nothing looks into the payload for an outcome.
#[test]
fn trap_05_the_payload_decides_nothing() {
    let id = format!("{USER}:{METER}:5");
    let both = ids(Some(&id), Some(&format!("{METER}:{USER}:5")));
    let event = response(&both, "I0", &message("4.8.1", "<sr:GBCSPayload>3wkC/////w==</sr:GBCSPayload>"));
    assert!(matches!(event.body, Body::ResponseSent(r)
        if r.code.as_str() == "I0" && r.content == ResponseContent::ServiceResponse));
}

/// Every report names its instruction and the total; an impossible one is refused.
#[test]
fn trap_07_each_report_names_its_instruction() {
    let id = format!("{USER}:{METER}:7");
    let both = ids(Some(&id), Some(&format!("{METER}:{USER}:70")));
    let report = |code: &str, number: &str| {
        message(
            "2.1",
            &format!(
                "<sr:FutureDatedDeviceAlertMessage><sr:FutureDatedAlertCode>{code}</sr:FutureDatedAlertCode>\
                 <sr:InstructionNumber>{number}</sr:InstructionNumber>\
                 <sr:TotalCommandInstructions>3</sr:TotalCommandInstructions></sr:FutureDatedDeviceAlertMessage>"
            ),
        )
    };
    for (code, done) in [("8F66", true), ("8F67", false)] {
        let event = response(&both, "I0", &report(code, "2"));
        assert!(matches!(event.body, Body::ResponseSent(r) if matches!(r.content,
            ResponseContent::FutureDatedAlert { carried_out, instruction }
                if carried_out == done && (instruction.number, instruction.total) == (2, 3))));
    }
    for (code, number) in [("8F66", "0"), ("8F66", "65536"), ("8F66", "x"), ("8F36", "1")] {
        assert!(
            duis(response_xml(&both, "I0", &report(code, number)).as_bytes()).is_err(),
            "{code} {number}"
        );
    }
}

/// A wrong check digit is kept; what has no form of a meter point is passed over, not refused.
#[test]
fn trap_11_meter_points_are_judged_by_form_only() {
    let id = format!("{USER}:{METER}:11");
    let read = |mpxn: &str| {
        let body = format!("<sr:ReadInventory><sr:MPxN>{mpxn}</sr:MPxN></sr:ReadInventory>");
        request(&id, 8, "8.2", &body).correlation.mpxn.map(|mpxn| mpxn.to_string())
    };
    assert_eq!(read("1312345678111").as_deref(), Some("1312345678111"));
    assert_eq!(read("12"), None);
}

/// Identifiers come in either case, and with white space that `xs:token` allows.
#[test]
fn trap_12_identifiers_come_in_either_case() {
    let lower = format!(" \n{USER}:{METER}:12 ").to_lowercase();
    let event = request(&lower, 1, "4.8.1", "<sr:ReadActiveImportProfileData/>");
    let upper = request(&format!("{USER}:{METER}:12"), 1, "4.8.1", "<sr:ReadActiveImportProfileData/>");
    assert_eq!(event, upper);
    assert_eq!(event.correlation.device_id.unwrap().to_string(), METER);
}

/// An error in an acknowledgement is a refusal: E65, no ResponseID.
#[test]
fn trap_02_an_acknowledgement_may_carry_an_error() {
    let id = format!("{USER}:{METER}:65");
    let event = response(&ids(Some(&id), None), "E65", &message("11.2", ""));
    assert!(matches!(event.body, Body::ResponseSent(r)
        if r.code.as_str() == "E65" && r.content == ResponseContent::Acknowledgement && r.response_id.is_none()));
}

/// The body says what a DCC Alert is about; the code beside it may be any.
#[test]
fn dcc_alerts_are_routed_by_their_body() {
    let id = format!("{USER}:{METER}:20");
    let alert = |code: &str, body: &str| {
        let body = format!(
            "<sr:DCCAlertMessage><sr:DCCAlertCode>{code}</sr:DCCAlertCode><sr:DCCAlert>{body}</sr:DCCAlert></sr:DCCAlertMessage>"
        );
        let event = response(&ids(None, Some(&format!("{DCC}:{USER}:1"))), "I0", &body);
        let Body::DccAlert(alert) = event.body else { panic!("another body") };
        (alert.affects.map(|a| a.state), event.correlation.device_id.map(|d| d.to_string()))
    };
    let failure = format!(
        "<sr:CommandFailure><sr:CommandRequestID>{id}</sr:CommandRequestID><sr:DeviceID>{METER}</sr:DeviceID></sr:CommandFailure>"
    );
    let breach = format!(
        "<sr:QuarantinedRequest><sr:ADDCCThresholdBreach><sr:RequestID>{id}</sr:RequestID><sr:QuarantineEventRef>99</sr:QuarantineEventRef></sr:ADDCCThresholdBreach></sr:QuarantinedRequest>"
    );
    let suspended = format!(
        "<sr:DeviceStatusChangeEvent><sr:DeviceID>{METER}</sr:DeviceID><sr:DeviceStatusChange><sr:DeviceSuspended/></sr:DeviceStatusChange></sr:DeviceStatusChangeEvent>"
    );
    assert_eq!(alert("N1", &failure), (Some(State::FailedDelivery), Some(METER.into())));
    assert_eq!(alert("N13", &failure), (Some(State::NoResponse), Some(METER.into())));
    // One run of a schedule failed; the request that made the schedule did not.
    let run = failure.replace("<sr:DeviceID>", "<sr:DSPScheduleID>34</sr:DSPScheduleID><sr:DeviceID>");
    assert_eq!(alert("N11", &run), (Some(State::ScheduledInstance), Some(METER.into())));
    // It names nothing but the request: so its Device is the target of that.
    assert_eq!(alert("N13", &breach), (Some(State::Quarantined), Some(METER.into())));
    assert_eq!(alert("N36", &suspended), (None, Some(METER.into())));
}

/// The request for firmware that some Devices did not get has an entry of it; what it comes to is not for the alert to say.
#[test]
fn a_distribution_that_failed_names_its_request() {
    let named = |content: &str| {
        let body = format!(
            "<sr:DCCAlertMessage><sr:DCCAlertCode>N18</sr:DCCAlertCode><sr:DCCAlert><sr:FirmwareDistributionFailure>{content}\
             </sr:FirmwareDistributionFailure></sr:DCCAlert></sr:DCCAlertMessage>"
        );
        let event = response(&ids(None, Some(&format!("{DCC}:{USER}:1"))), "I0", &body);
        assert_eq!(event.correlation.device_id.map(|device| device.to_string()), Some(METER.to_owned()));
        let Body::DccAlert(alert) = event.body else { panic!("another body") };
        alert.affects
    };
    let meters = format!("<sr:MeterIDs>{METER},00-DB-12-34-56-78-90-A7</sr:MeterIDs>");
    let id = format!("{USER}:{DCC}:20");
    let request = format!("<sr:UpdateFirmwareRequestID>{id}</sr:UpdateFirmwareRequestID>");
    let affected = named(&format!("{request}{meters}")).unwrap();
    assert_eq!((affected.request_id.to_string(), affected.state), (id, State::AlertReceived));
    let cause = affected.cause.unwrap();
    assert_eq!(cause.as_str(), "firmware was not distributed to 2 of its Devices: N18");
    // Without it the alert is a fact all the same.
    assert_eq!(named(&meters), None);
}

#[test]
fn an_execution_time_makes_a_request_future_dated_but_not_a_dcc_only_one() {
    let id = format!("{USER}:{METER}:21");
    let body = "<sr:UpdatePrepayConfiguration><sr:ExecutionDateTime>3000-12-31T00:00:00.00Z</sr:ExecutionDateTime></sr:UpdatePrepayConfiguration>";
    let event = request(&id, 4, "2.1", body);
    assert_eq!(event.correlation.mode, Some(Mode::FutureDate));
    assert!(matches!(event.body, Body::RequestReceived(r) if r.execution_at.unwrap().year() == 3000));
    assert_eq!(request(&id, 8, "8.2", body).correlation.mode, Some(Mode::DccOnly));
    assert_eq!(
        request(&id, 1, "4.8.1", "<sr:ReadActiveImportProfileData/>").correlation.mode,
        Some(Mode::OnDemand)
    );
}

#[test]
fn a_smets1_response_is_read_as_far_as_the_schema_goes() {
    let inner = |body: &str| {
        format!(
            "<sr:SMETS1SignedResponse schemaVersion='5.4'><sr:SMETS1Response><sr:Header/><sr:Body>{body}</sr:Body>\
             </sr:SMETS1Response></sr:SMETS1SignedResponse>"
        )
    };
    let reference = "<sr:ServiceReference>4.8</sr:ServiceReference><sr:ServiceReferenceVariant>4.8.1</sr:ServiceReferenceVariant>";
    let wrap = |head: &str, body: &str| {
        format!("<sr:SMETS1ResponseMessage>{head}{}</sr:SMETS1ResponseMessage>", inner(body))
    };
    let run = format!("{METER}:{USER}:30");
    let answer = response(
        &ids(Some(&format!("{USER}:{METER}:30")), Some(&run)),
        "I0",
        &wrap(reference, "<sr:ResponseMessage/>"),
    );
    assert!(matches!(answer.body, Body::ResponseSent(r) if r.content == ResponseContent::ServiceResponse));
    assert_eq!(answer.correlation.variant.unwrap().to_string(), "4.8.1");
    let scheduled = format!("{reference}<sr:DSPScheduleID>34</sr:DSPScheduleID>");
    let read = response(&ids(None, Some(&run)), "I0", &wrap(&scheduled, "<sr:ResponseMessage/>"));
    assert!(matches!(read.body, Body::ResponseSent(r)
        if r.content == ResponseContent::ScheduledRead { schedule_id: 34 }));
    let alert = "<sr:DeviceAlertMessage><ra:DeviceAlertContent xmlns:ra='http://www.dccinterface.co.uk/ResponseAndAlert'>\
        <ra:GBCSHexAlertCode>8F35</ra:GBCSHexAlertCode></ra:DeviceAlertContent></sr:DeviceAlertMessage>";
    let alert = response(&ids(None, Some(&run)), "I0", &wrap("", alert));
    assert!(matches!(alert.body, Body::DeviceAlert(alert) if alert.code.as_str() == "8F35"));
}

#[test]
fn messages_that_belong_to_nothing_say_so() {
    let error = duis(response_xml("", "I0", &message("4.8.1", "")).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("neither RequestID nor ResponseID"), "{error}");
    let lone = ids(None, Some(&format!("{METER}:{USER}:40")));
    let error = duis(response_xml(&lone, "I0", &message("4.8.1", "")).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("RequestID is missing"), "{error}");
    let twice = ids(Some(&format!("{USER}:{METER}:1")), None).repeat(2);
    let error = duis(response_xml(&twice, "I0", &message("4.8.1", "")).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("once only"), "{error}");
    let error =
        gridtrail_codec::decode(gridtrail_codec::Encoding::DuisXml, b"<x/>", None).unwrap_err().to_string();
    assert!(error.contains("receipt"), "{error}");
}

#[test]
fn a_request_names_the_one_before_it() {
    let (id, before) = (format!("{USER}:{METER}:51"), format!("{USER}:{METER}:50"));
    let xml = format!(
        "<Request {}><Header><RequestID>{id}</RequestID><PrecedingServiceRequestID>{before}</PrecedingServiceRequestID>\
         <CommandVariant>1</CommandVariant><ServiceReferenceVariant>4.8.1</ServiceReferenceVariant></Header>\
         <Body><ReadActiveImportProfileData/></Body></Request>",
        DCC_RESPONSE.replace("xmlns:sr", "xmlns")
    );
    let event = duis(xml.as_bytes()).unwrap();
    assert_eq!(event.correlation.preceding_request_id.unwrap().to_string(), before);
    // The same names in another namespace mean nothing.
    let foreign = xml.replace("ServiceUserGateway", "SomethingElse");
    assert!(duis(foreign.as_bytes()).unwrap_err().to_string().contains("neither Request nor Response"));
}

/// A field with something else within it is no field, so neither half of its text is taken for it.
#[test]
fn an_element_with_children_is_no_field() {
    let id = format!("{USER}:{DCC}:52");
    let body =
        format!("<sr:DecommissionDevice><sr:DeviceID>x<sr:y/>{METER}</sr:DeviceID></sr:DecommissionDevice>");
    assert_eq!(request(&id, 8, "8.3", &body).correlation.device_id, None);
}

#[test]
fn a_schedule_id_has_a_limit() {
    let run = ids(None, Some(&format!("{METER}:{USER}:53")));
    for (schedule_id, fits) in [("1000000000000", true), ("1000000000001", false), ("-1", false)] {
        let content = format!(
            "<sr:DSPScheduledMessage><sr:GBCSPayload/><sr:DSPScheduleID>{schedule_id}</sr:DSPScheduleID></sr:DSPScheduledMessage>"
        );
        let xml = response_xml(&run, "I0", &message("4.8.1", &content));
        assert_eq!(duis(xml.as_bytes()).is_ok(), fits, "{schedule_id}");
    }
}
