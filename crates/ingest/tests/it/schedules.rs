//! What DUIS messages say of DSP schedules is taken in with their events.

use crate::it::{ingest, lake};
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_codec::{Receipt, capture};
use gridtrail_ingest::{FileSettings, Maker, Mended, ingest_made_schedules, replay_letters};
use gridtrail_lake::Lake;
use gridtrail_model::{Timestamp, UserId};
use gridtrail_schedules::{RemovalReason, Schedule, ScheduleEvent, ScheduleFact, ScheduleId};
use std::fs;

const USER: &str = "90-B3-D5-1F-30-02-00-00";
const DCC: &str = "90-B3-D5-1F-30-00-00-02";
const METER: &str = "00-DB-12-34-56-78-90-A0";

fn user() -> UserId {
    USER.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    crate::it::at(seconds * 1_000)
}

fn document(root: &str, header: &str, body: &str) -> String {
    let xml = format!("<{root}><Header>{header}</Header><Body>{body}</Body></{root}>");
    let xml = xml.replace("</", "\u{1}").replace('<', "<sr:").replace('\u{1}', "</sr:");
    let declared = "xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'";
    xml.replacen('>', &format!(" {declared}>"), 1)
}

fn request(counter: u64, variant: &str, body: &str) -> String {
    let header = format!(
        "<RequestID>{USER}:{DCC}:{counter}</RequestID><CommandVariant>8</CommandVariant>\
         <ServiceReference>{variant}</ServiceReference><ServiceReferenceVariant>{variant}</ServiceReferenceVariant>"
    );
    document("Request", &header, body)
}

fn response(counter: u64, variant: &str, code: &str, seconds: i64, content: &str) -> String {
    let header = format!(
        "<RequestID>{USER}:{DCC}:{counter}</RequestID><ResponseCode>{code}</ResponseCode>\
         <ResponseDateTime>{}</ResponseDateTime>",
        at(seconds)
    );
    let body = format!(
        "<ResponseMessage><ServiceReference>{variant}</ServiceReference>\
         <ServiceReferenceVariant>{variant}</ServiceReferenceVariant>{content}</ResponseMessage>"
    );
    document("Response", &header, &body)
}

/// A daily 4.8.1, as a request has it and as a list does.
fn details() -> String {
    format!(
        "<ScheduleFrequency>Daily</ScheduleFrequency><ScheduleStartDate>2026-03-02</ScheduleStartDate>\
         <DSPScheduledServiceReference>4.8</DSPScheduledServiceReference>\
         <DSPScheduledServiceReferenceVariant>4.8.1</DSPScheduledServiceReferenceVariant><DeviceID>{METER}</DeviceID>\
         <DSPReadActiveImportProfileData><StartDateOffset>-1</StartDateOffset><StartTime>00:00:00Z</StartTime>\
         <EndDateOffset>0</EndDateOffset><EndTime>00:00:00Z</EndTime></DSPReadActiveImportProfileData>"
    )
}

/// Two schedules: one is created, removed by the DCC; the other is listed, and its deletion refused and then done. A third is refused.
fn messages() -> Vec<String> {
    let schedule = |id: u64| format!("<DSPScheduleID>{id}</DSPScheduleID>");
    let create = format!("<CreateSchedule>{}</CreateSchedule>", details());
    let listed = format!(
        "<DSPSchedulesRead><DSPSchedules>{}<DSPScheduleDetails>{}</DSPScheduleDetails></DSPSchedules></DSPSchedulesRead>",
        schedule(35),
        details()
    );
    let delete = format!("<DeleteSchedule>{}</DeleteSchedule>", schedule(35));
    let removal = document(
        "Response",
        &format!(
            "<ResponseID>{DCC}:{USER}:77</ResponseID><ResponseCode>I0</ResponseCode><ResponseDateTime>{}</ResponseDateTime>",
            at(9)
        ),
        &format!(
            "<DCCAlertMessage><DCCAlertCode>N17</DCCAlertCode><DCCAlert><DSPScheduleRemoval><DeviceID>{METER}</DeviceID>{}\
             </DSPScheduleRemoval></DCCAlert></DCCAlertMessage>",
            schedule(34)
        ),
    );
    vec![
        request(1, "5.1", &create),
        response(1, "5.1", "I0", 1, &schedule(34)),
        request(2, "5.1", &create),
        response(2, "5.1", "E050101", 2, ""),
        request(3, "5.2", "<ReadSchedule><DSPScheduleID>35</DSPScheduleID></ReadSchedule>"),
        response(3, "5.2", "I0", 3, &listed),
        request(4, "5.3", &delete),
        response(4, "5.3", "E050301", 4, ""),
        request(5, "5.3", &delete),
        response(5, "5.3", "I0", 5, ""),
        removal,
    ]
}

pub(crate) async fn known(lake: &Lake) -> Vec<Schedule> {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user()].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(1_000),
    };
    let who: Access = DevKey::generate().unwrap().access(&claims).unwrap();
    let (found, _) = lake.snapshot().schedules(&who, user()).await.unwrap();
    found.all().collect()
}

fn check(known: &[Schedule]) {
    let [created, listed] = known else { panic!("{known:?}") };
    assert_eq!((created.id.number(), listed.id.number()), (34, 35));
    assert_eq!(created.details, listed.details);
    assert_eq!(created.details.device, METER.parse().ok());
    assert_eq!(created.created.map(|of| (of.request_id.counter, of.at)), Some((1, at(1))));
    assert_eq!(listed.created, None);
    let removed = |of: &Schedule| of.removed.map(|removed| (removed.at, removed.reason));
    assert_eq!(removed(created), Some((at(9), RemovalReason::DccAlert("N17".parse().unwrap()))));
    assert_eq!(removed(listed), Some((at(5), RemovalReason::Deleted)));
}

/// All of them in a capture.
pub(crate) fn write_sources(folder: &std::path::Path) {
    let mut written = capture::Writer::new(Vec::new()).unwrap();
    for (number, message) in messages().iter().enumerate() {
        let receipt = Receipt { recorded_at: at(100), event_id: format!("m{number}").parse().ok() };
        written.message(&receipt, message).unwrap();
    }
    fs::write(folder.join("a.xml"), written.finish().unwrap()).unwrap();
}

/// Late, in any order, in captures of their own and more than once: it comes to the same, and each message counts once, for its own event.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_of_messages_are_told_in_any_order() {
    let all = messages();
    for step in [1, 3, 4, 7] {
        let (folder, lake) = (tempfile::tempdir().unwrap(), lake().await);
        for n in 0..all.len() {
            // A step that shares no factor with their number leads to all.
            let number = n * step % all.len();
            let mut written = capture::Writer::new(Vec::new()).unwrap();
            let receipt = Receipt { recorded_at: at(100), event_id: format!("m{number}").parse().ok() };
            written.message(&receipt, &all[number]).unwrap();
            fs::write(folder.path().join("a.xml"), written.finish().unwrap()).unwrap();
            ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
        }
        check(&known(&lake).await);
        // All of them again, with other names.
        let mut written = capture::Writer::new(Vec::new()).unwrap();
        for (number, message) in all.iter().enumerate() {
            let receipt = Receipt { recorded_at: at(200), event_id: format!("again{number}").parse().ok() };
            written.message(&receipt, message).unwrap();
        }
        fs::write(folder.path().join("a.xml"), written.finish().unwrap()).unwrap();
        let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
        assert_eq!(
            (summary.outcome.stored + summary.outcome.parked, summary.outcome.dead_lettered),
            (all.len() as u64, 0)
        );
        check(&known(&lake).await);
    }
}

/// From a file of its own, and from a letter that was replayed.
#[tokio::test(flavor = "multi_thread")]
async fn messages_alone_and_replayed_tell_of_schedules() {
    let (folder, lake, all) = (tempfile::tempdir().unwrap(), lake().await, messages());
    fs::write(folder.path().join("a.xml"), &all[0]).unwrap();
    fs::write(folder.path().join("b.xml"), &all[1]).unwrap();
    let receipt = Receipt { recorded_at: at(0), event_id: None };
    fs::write(folder.path().join("b.xml.receipt.json"), receipt.to_sidecar()).unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!(summary.outcome.dead_lettered, 1, "a has no receipt");
    let before = known(&lake).await;
    assert_eq!((before.len(), before[0].details.device), (1, None));
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    let mended = Mended { recorded_at: Some(at(0)), ..Mended::default() };
    let replayed = replay_letters(&lake, &letters, &mended, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    assert_eq!(known(&lake).await[0].details.device, METER.parse().ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn made_events_of_schedules_are_taken_in_once() {
    let lake = lake().await;
    let maker = Maker { id: "m".to_owned(), name: "made".to_owned() };
    let event = |number: u64| ScheduleEvent {
        user: user(),
        recorded_at: at(0),
        at: at(0),
        id: format!("s{number}").parse().unwrap(),
        fact: ScheduleFact::Listed {
            schedule: ScheduleId::new(number).unwrap(),
            details: Default::default(),
        },
    };
    for (many, stored) in [(2, 2), (5, 3), (5, 0)] {
        let summary = ingest_made_schedules(&lake, &maker, (0..many).map(event)).await.unwrap();
        assert_eq!(summary.outcome.stored, stored);
    }
    let numbers: Vec<u64> = known(&lake).await.iter().map(|schedule| schedule.id.number()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}
