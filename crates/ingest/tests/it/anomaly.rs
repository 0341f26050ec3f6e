//! Anomaly events from files, and what DCC Alerts say of quarantine: exactly once, bad ones put aside, and found in the lake.

use crate::it::{at, ingest, lake, user};
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_anomaly::{
    AnomalyEvent, AnomalyFact, AnomalyStatement, Breach, Origin, Quarantined, QuarantinedCommunication,
};
use gridtrail_codec::{Receipt, capture, encode_anomaly_frame, encode_anomaly_json};
use gridtrail_ingest::{FileSettings, Maker, Mended, ingest_made_anomaly, replay_letters};
use gridtrail_lake::{Evidence, Lake};
use gridtrail_model::{DeviceId, RequestId};
use std::fs;

fn request(counter: u64) -> RequestId {
    RequestId { originator: user(), target: DeviceId::from_bytes([7; 8]), counter }
}

fn event(counter: u64) -> AnomalyEvent {
    let of = Quarantined {
        request_id: request(counter),
        command_variant: None,
        variant: "4.8.1".parse().ok(),
        device: None,
        mpxn: None,
        received_at: None,
        breach: Breach::DccThreshold,
        event_ref: "7".parse().unwrap(),
        incident: "INC1".parse().ok(),
        dcc_alert: None,
    };
    AnomalyEvent {
        recorded_at: at(0),
        id: format!("q{counter}").parse().unwrap(),
        origin: Origin::Anomaly,
        about: Some(user()),
        told: AnomalyStatement::Fact { at: at(0), corrects: None, fact: AnomalyFact::Quarantined(of) },
    }
}

fn lines(counters: impl IntoIterator<Item = u64>) -> String {
    counters.into_iter().map(|counter| encode_anomaly_json(&event(counter)) + "\n").collect()
}

pub(crate) async fn held(lake: &Lake) -> Vec<QuarantinedCommunication> {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user()].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let who: Access = DevKey::generate().unwrap().access(&claims).unwrap();
    let (found, _) = lake.snapshot().quarantined(&who, at(1_000)).await.unwrap();
    found.into_iter().flat_map(|(_, all)| all).collect()
}

fn counters(of: &[QuarantinedCommunication]) -> Vec<u64> {
    of.iter().map(|of| of.request_id().counter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_anomaly_events_are_taken_in_once_with_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let mut frames = Vec::new();
    (1..=2).for_each(|counter| encode_anomaly_frame(&event(counter), &mut frames));
    fs::write(folder.path().join("a.anomaly.jsonl"), lines(0..=1)).unwrap();
    fs::write(folder.path().join("b.anomaly.binpb"), frames).unwrap();
    let first = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((first.files, first.outcome.stored, first.outcome.dead_lettered), (2, 4, 0));
    assert_eq!(counters(&held(&lake).await), [0, 1, 2], "what was told twice is known once");
    let again = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((again.files, again.known_files, again.commits), (0, 2, 0));
    let mut told = Vec::new();
    lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
    let stored = told.iter().map(|evidence| match evidence {
        Evidence::Whole(evidence) => (evidence.records, evidence.stored),
        other => panic!("{other:?}"),
    });
    let (records, stored) = stored.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!((records, stored), (4, 4), "every record is in the evidence of the main table");
    assert_eq!(lake.counts().fragments, 0, "and none of them is a trail");
}

/// A communication of another User is no communication of this one: the reason says which field is wrong; mended, it is read after all.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_anomaly_event_is_put_aside_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let another = request(1).to_string().replace(&user().to_string(), "90-B3-D5-1F-30-02-00-77");
    let bad = lines([1]).replace(&request(1).to_string(), &another);
    fs::write(folder.path().join("a.anomaly.jsonl"), lines([0]) + &bad + &lines([2])).unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (2, 1));
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    assert!(letters[0].reason.contains("quarantined.request_id"), "{}", letters[0].reason);
    assert_eq!(letters[0].raw, bad.trim_end().as_bytes());
    assert_eq!(counters(&held(&lake).await), [0, 2]);
    let mended = Mended { value: Some(lines([1]).trim().to_owned().into()), ..Mended::default() };
    let replayed = replay_letters(&lake, &letters, &mended, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    assert_eq!(counters(&held(&lake).await), [0, 1, 2]);
}

/// A DCC Alert that a request of the User broke the limits of an attribute.
fn alert(counter: u64) -> String {
    format!(
        "<sr:Response xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'><sr:Header>\
         <sr:ResponseID>90-B3-D5-1F-30-00-00-02:{}:{counter}</sr:ResponseID>\
         <sr:ResponseCode>I0</sr:ResponseCode><sr:ResponseDateTime>{}</sr:ResponseDateTime>\
         </sr:Header><sr:Body><sr:DCCAlertMessage><sr:DCCAlertCode>N36</sr:DCCAlertCode><sr:DCCAlert>\
         <sr:QuarantinedRequest><sr:ADAttributeLimitsBreach><sr:RequestID>{}</sr:RequestID>\
         <sr:QuarantineEventRef>99</sr:QuarantineEventRef></sr:ADAttributeLimitsBreach></sr:QuarantinedRequest>\
         </sr:DCCAlert></sr:DCCAlertMessage></sr:Body></sr:Response>",
        user(),
        at(0),
        request(counter)
    )
}

/// A file of three anomaly events, and an alert about a fourth communication.
pub(crate) fn write_sources(folder: &std::path::Path) {
    fs::write(folder.join("a.anomaly.jsonl"), lines(0..3)).unwrap();
    let mut written = capture::Writer::new(Vec::new()).unwrap();
    let receipt = Receipt { recorded_at: at(1), event_id: "m1".parse().ok() };
    written.message(&receipt, &alert(9)).unwrap();
    fs::write(folder.join("b.xml"), written.finish().unwrap()).unwrap();
}

/// What a DCC Alert says of quarantine comes with its own event, and no record is counted for it: from a capture, from a file of its own, and from a
/// letter that was replayed. An anomaly event about the same communication says more, and its alert is one.
#[tokio::test(flavor = "multi_thread")]
async fn dcc_alerts_tell_of_quarantine_with_their_events() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let mut written = capture::Writer::new(Vec::new()).unwrap();
    let receipt = |n: i64| Receipt { recorded_at: at(n), event_id: format!("m{n}").parse().ok() };
    written.message(&receipt(1), &alert(1)).unwrap();
    fs::write(folder.path().join("a.xml"), written.finish().unwrap()).unwrap();
    fs::write(folder.path().join("b.xml"), alert(2)).unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (1, 1), "b has no receipt");
    assert_eq!(counters(&held(&lake).await), [1]);
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    let mended = Mended { recorded_at: Some(at(2)), ..Mended::default() };
    let replayed = replay_letters(&lake, &letters, &mended, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    fs::write(folder.path().join("c.xml"), alert(3)).unwrap();
    fs::write(folder.path().join("c.xml.receipt.json"), receipt(3).to_sidecar()).unwrap();
    fs::write(folder.path().join("d.anomaly.jsonl"), lines([3])).unwrap();
    let more = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((more.outcome.stored, more.outcome.dead_lettered), (2, 0));
    let held = held(&lake).await;
    assert_eq!(counters(&held), [1, 2, 3]);
    let breaches: Vec<Breach> = held.iter().map(|of| of.quarantined.breach).collect();
    assert_eq!(breaches, [Breach::AttributeLimits, Breach::AttributeLimits, Breach::DccThreshold]);
    assert!(held.iter().all(|of| of.dcc_alerts.len() == 1));
}

/// Events that are made within the process: taken in once, and gone on with where a batch ended.
#[tokio::test(flavor = "multi_thread")]
async fn made_events_are_taken_in_once() {
    let lake = lake().await;
    let maker = Maker { id: "m".to_owned(), name: "made".to_owned() };
    for (many, stored) in [(2, 2), (5, 3), (5, 0)] {
        let summary = ingest_made_anomaly(&lake, &maker, (0..many).map(event)).await.unwrap();
        assert_eq!(summary.outcome.stored, stored);
    }
    assert_eq!(counters(&held(&lake).await), [0, 1, 2, 3, 4]);
}
