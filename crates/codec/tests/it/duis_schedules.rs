//! What DUIS messages say of DSP schedules: each kind of message, and the DCC's own samples.

use crate::it::duis_inventory::{DCC, USER, alert, duis_of, message, request, response};
use crate::it::support::{duis, samples};
use gridtrail_codec::duis::{is_of_schedules, schedules};
use gridtrail_model::{RequestId, Timestamp};
use gridtrail_schedules::{Frequency, ReadWindow, ScheduleDetails, ScheduleEvent, ScheduleFact, ScheduleId};
use std::str::FromStr;

const METER: &str = "88-73-84-57-00-2F-96-1E";
const WHOLE: &str = "<ScheduleFrequency>Half-Yearly</ScheduleFrequency><ScheduleStartDate>2026-03-29Z</ScheduleStartDate>\
    <ScheduleEndDate>2027-03-29</ScheduleEndDate><ScheduleExecutionStartTime>02:30:00.25Z</ScheduleExecutionStartTime>\
    <DSPScheduledServiceReference>4.6</DSPScheduledServiceReference>\
    <DSPScheduledServiceReferenceVariant>4.6.1</DSPScheduledServiceReferenceVariant><DeviceID>88-73-84-57-00-2F-96-1E</DeviceID>\
    <DSPRetrieveImportDailyReadLog><StartDateOffset>-31</StartDateOffset><StartTime>00:00:00.00Z</StartTime>\
    <EndDateOffset>0</EndDateOffset><EndTime>23:59:59</EndTime></DSPRetrieveImportDailyReadLog>";

/// Whatever says anything of schedules is an event that may.
fn said(xml: &str) -> Vec<ScheduleEvent> {
    let event = duis(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let said = schedules(&event, xml.as_bytes()).unwrap();
    assert!(said.is_empty() || is_of_schedules(&event), "{xml}");
    for one in &said {
        assert_eq!(
            (one.user, one.recorded_at, &one.id),
            (event.correlation.user_id, event.recorded_at, &event.id)
        );
    }
    said
}

fn facts(xml: &str) -> Vec<ScheduleFact> {
    said(xml).into_iter().map(|event| event.fact).collect()
}

fn value<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn request_id() -> RequestId {
    value(&format!("{USER}:{DCC}:7"))
}

fn whole() -> ScheduleDetails {
    ScheduleDetails {
        variant: Some(value("4.6.1")),
        device: Some(value(METER)),
        frequency: Some(Frequency::HalfYearly),
        start: Some(value("2026-03-29")),
        end: Some(value("2027-03-29")),
        execution_start: Some(value("02:30:00.250Z")),
        window: Some(ReadWindow {
            start_offset: value("-31"),
            start_time: value("00:00:00Z"),
            end_offset: value("0"),
            end_time: value("23:59:59"),
        }),
    }
}

#[test]
fn a_request_says_what_it_asks_for() {
    let asked = |details| vec![ScheduleFact::Asked { request_id: request_id(), details }];
    let create =
        |body: &str| facts(&request(DCC, 8, "5.1", &format!("<CreateSchedule>{body}</CreateSchedule>")));
    assert_eq!(create(WHOLE), asked(whole()));
    // What cannot be read is left out, and all else is said.
    let unread =
        WHOLE.replace("Half-Yearly", "Hourly").replace("2027-03-29", "2027-02-29").replace("-31", "1");
    let details = ScheduleDetails { frequency: None, end: None, window: None, ..whole() };
    assert_eq!(create(&unread), asked(details));
    assert_eq!(
        create("<ScheduleFrequency>Daily</ScheduleFrequency>"),
        asked(ScheduleDetails { frequency: Some(Frequency::Daily), ..ScheduleDetails::default() })
    );
    let delete =
        |body: &str| facts(&request(DCC, 8, "5.3", &format!("<DeleteSchedule>{body}</DeleteSchedule>")));
    let schedule = value("34");
    let asked = ScheduleFact::DeletionAsked { request_id: request_id(), schedule };
    assert_eq!(delete("<DSPScheduleID>34</DSPScheduleID>"), [asked]);
    assert_eq!(delete("<DSPScheduleID>1000000000001</DSPScheduleID>"), []);
    assert_eq!(
        facts(&request(DCC, 8, "5.2", "<ReadSchedule><DSPScheduleID>34</DSPScheduleID></ReadSchedule>")),
        []
    );
    // The body goes with its variant.
    assert_eq!(facts(&request(DCC, 8, "8.3", &format!("<CreateSchedule>{WHOLE}</CreateSchedule>"))), []);
}

#[test]
fn only_success_counts() {
    let schedule: ScheduleId = value("34");
    let id = "<DSPScheduleID>34</DSPScheduleID>";
    let created = ScheduleFact::Created { request_id: request_id(), schedule };
    for (code, expected) in [("I0", &[created][..]), ("W050201", &[created]), ("E050101", &[]), ("E1", &[])] {
        assert_eq!(facts(&response(DCC, "5.1", code, id)), expected, "{code}");
    }
    assert_eq!(facts(&response(DCC, "5.1", "I0", "")), [], "it does not say which");
    let deleted = ScheduleFact::Deleted { request_id: request_id() };
    for (code, expected) in
        [("I0", &[deleted][..]), ("I99", &[deleted]), ("W050301", &[deleted]), ("E050301", &[])]
    {
        assert_eq!(facts(&response(DCC, "5.3", code, "")), expected, "{code}");
    }
    let at: Timestamp = value("2026-01-05T06:07:00.000Z");
    assert!(said(&response(DCC, "5.1", "I0", id)).iter().all(|event| event.at == at));
}

#[test]
fn an_answer_to_5_2_lists_each_schedule() {
    let of = |id: u64, body: &str| {
        format!(
            "<DSPSchedules><DSPScheduleID>{id}</DSPScheduleID><DSPScheduleDetails>{body}</DSPScheduleDetails></DSPSchedules>"
        )
    };
    let all: String = (1..=99).map(|id| of(id, WHOLE)).collect();
    let listed = facts(&response(DCC, "5.2", "I0", &format!("<DSPSchedulesRead>{all}</DSPSchedulesRead>")));
    let expected: Vec<ScheduleFact> = (1..=99)
        .map(|id| ScheduleFact::Listed { schedule: value(&format!("{id}")), details: whole() })
        .collect();
    assert_eq!(listed, expected, "the most that there may be");
    assert_eq!(facts(&response(DCC, "5.2", "I0", "<DSPSchedulesRead/>")), []);
    assert_eq!(
        facts(&response(DCC, "5.2", "E050201", &format!("<DSPSchedulesRead>{all}</DSPSchedulesRead>"))),
        []
    );
}

#[test]
fn a_removal_is_told_by_its_element() {
    let body = "<DSPScheduleRemoval><DeviceID>88-73-84-57-00-2F-96-1E</DeviceID><DSPScheduleID>34</DSPScheduleID></DSPScheduleRemoval>";
    for code in ["N4", "N5", "N6", "N17", "N64"] {
        let removed =
            ScheduleFact::Removed { schedule: value("34"), device: Some(value(METER)), code: value(code) };
        assert_eq!(facts(&alert(code, body)), [removed]);
    }
    let failed = format!(
        "<CommandFailure><CommandRequestID>{USER}:{METER}:9</CommandRequestID><DSPScheduleID>34</DSPScheduleID>\
         <DeviceID>{METER}</DeviceID></CommandFailure>"
    );
    assert_eq!(facts(&alert("N11", &failed)), [], "a run that failed removes nothing");
    let named = message(
        "Response",
        &duis_of(&format!(
            "<ResponseID>{DCC}:{USER}:9</ResponseID><ResponseCode>I0</ResponseCode><ResponseDateTime>2026-01-05T06:07:00.000Z</ResponseDateTime>"
        )),
        &duis_of(
            "<DCCAlertMessage><DCCAlertCode>N6</DCCAlertCode><DCCAlert><PowerOutageEvent>DSPScheduleRemoval</PowerOutageEvent></DCCAlert></DCCAlertMessage>",
        ),
    );
    assert_eq!(facts(&named), [], "a name within a text is none");
}

#[test]
fn the_samples_of_the_dcc_say_what_they_say() {
    let Some(root) = samples() else {
        return crate::it::skipped("what the DUIS samples say of schedules; DUIS_SAMPLES names their folder");
    };
    let mut found = Vec::new();
    for folder in ["duis-requests", "duis-responses-derived", "duis-responses", "duis-alerts-derived"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let (name, bytes) =
                (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
            let Ok(event) = duis(&bytes) else { continue };
            found.extend(schedules(&event, &bytes).unwrap().into_iter().map(|one| (name.clone(), one.fact)));
        }
    }
    let of = |part: &str| {
        let all: Vec<&ScheduleFact> =
            found.iter().filter(|(name, _)| name.contains(part)).map(|(_, fact)| fact).collect();
        assert_eq!(all.len(), 1, "{part}: {all:?}");
        *all[0]
    };
    let ScheduleFact::Asked { details, .. } = of("ECS21a_5.1.") else { panic!("{found:?}") };
    assert_eq!((details.variant, details.frequency), (Some(value("4.6.1")), Some(Frequency::Daily)));
    assert!(details.window.is_some_and(|window| window.start_offset.offset() == -1), "{details:?}");
    assert!(
        matches!(of("5.1_CREATE_SCHEDULE_RESPONSE"), ScheduleFact::Created { schedule, .. } if schedule.number() == 34)
    );
    assert!(
        matches!(of("5.2_READ_SCHEDULE_RESPONSE"), ScheduleFact::Listed { details, .. } if details.window.is_none())
    );
    assert!(
        matches!(of("5.3_DELETE_SCHEDULE_REQUEST"), ScheduleFact::DeletionAsked { schedule, .. } if schedule.number() == 123)
    );
    assert!(
        matches!(of("N6_DSPScheduleRemoval"), ScheduleFact::Removed { schedule, .. } if schedule.number() == 34)
    );
}
