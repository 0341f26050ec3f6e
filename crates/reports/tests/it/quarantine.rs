//! The Quarantined Requests Report: what each communication's quarantine came to, by the clock of whoever asks.

use crate::it::world::*;
use gridtrail_anomaly::{
    Action, ActionsAccepted, Advice, AnomalyEvent, AnomalyFact, AnomalyStatement, ArchiveOpened, Breach,
    Origin, Quarantined, Settlement,
};
use gridtrail_lake::Lake;
use gridtrail_model::*;
use gridtrail_reports::{Output, OutputError, OutputFormat, Report};

fn user() -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, 1])
}

fn request(counter: u64, received: Timestamp) -> Event {
    let target = DeviceId::from_bytes([0, 0xDB, 0, 0, 0, 0, 0, 7]);
    let id = RequestId { originator: user(), target, counter };
    Event {
        id: "test".parse().unwrap(),
        recorded_at: received,
        correlation: Correlation {
            request_id: Some(id),
            request_received_at: Some(received),
            command_variant: CommandVariant::new(1),
            device_id: Some(target),
            variant: Some("2.2".parse().unwrap()),
            ..Correlation::of_user(user())
        },
        body: Body::RequestReceived(RequestReceived::default()),
    }
}

fn enters(request: &Event, state: State, at: Timestamp, cause: Option<&str>) -> Event {
    let cause = cause.map(|cause| cause.parse().unwrap());
    let body = Body::StatusChanged(StatusChanged { state, at, code: None, cause });
    Event { recorded_at: at, body, ..request.clone() }
}

const HOUR: i64 = 3_600_000;

fn ago(hours: i64) -> Timestamp {
    now().plus_millis(-hours * HOUR)
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_is_judged_by_the_clock() {
    let mut events = Vec::new();
    let mut add = |counter: u64, quarantined: Timestamp, then: &[(State, Timestamp)]| {
        let request = request(counter, quarantined.plus_millis(-1_000));
        events.push(request.clone());
        events.push(enters(&request, State::Quarantined, quarantined, Some("=user threshold")));
        events.extend(then.iter().map(|(state, at)| enters(&request, *state, *at, None)));
    };
    // Held for an hour, and for just under 120 hours; for just 120; archived; archived and purged.
    add(1, ago(1), &[]);
    add(2, ago(120).plus_millis(1), &[]);
    add(3, ago(120), &[]);
    add(4, ago(300), &[(State::Archived, ago(180))]);
    add(5, ago(640), &[(State::Archived, ago(520)), (State::Purged, ago(1))]);
    // Decided, within the 120 hours and in time: shown until those are over, and no longer.
    add(6, ago(119), &[(State::Released, ago(110)), (State::SentToDevice, ago(109))]);
    add(7, ago(30), &[(State::Deleted, ago(20))]);
    add(9, ago(120), &[(State::Released, ago(119))]);
    add(10, ago(200), &[(State::Released, ago(190)), (State::SentToDevice, ago(189))]);
    add(11, ago(640), &[(State::Deleted, ago(600))]);
    // Archived before its time, which events may say.
    add(12, ago(50), &[(State::Archived, ago(40))]);
    add(13, ago(60), &[(State::Released, ago(55)), (State::Archived, ago(40))]);
    let never = request(8, ago(10));
    events.push(never);
    let lake = lake_of(&events, 3).await;
    let (report, who) = (report("quarantined-requests"), access_of([user()], 1));
    let rows = texts(&report, (&lake, &who), &[]).await;
    let place = |name: &str| report.columns.iter().position(|column| column.name == name).unwrap();
    let told = |rows: &[Vec<String>]| -> Vec<String> {
        let cell = |row: &Vec<String>, name: &str| row[place(name)].clone();
        rows.iter()
            .map(|row| {
                let counter = cell(row, "request_id").rsplit(':').next().unwrap_or_default().to_owned();
                format!(
                    "{counter} {} {} {}",
                    cell(row, "state"),
                    cell(row, "available_until"),
                    cell(row, "action")
                )
            })
            .collect()
    };
    assert_eq!(
        told(&rows),
        [
            "2 Quarantined 2026-04-02T12:00:00.001Z ",
            "6 Released  Release",
            "7 Deleted  Delete",
            "1 Quarantined 2026-04-07T11:00:00.000Z ",
        ]
    );
    assert!(rows.iter().all(|row| row[place("cause")] == "=user threshold"));
    assert_eq!(rows[1][place("action_at")], ago(110).to_string());
    let deleted = texts(&report, (&lake, &who), &[("state", "deleted")]).await;
    assert_eq!(told(&deleted), ["7 Deleted  Delete"]);
}

/// A fact that anomaly detection tells of the User.
fn told(at: Timestamp, fact: AnomalyFact) -> AnomalyEvent {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    AnomalyEvent {
        recorded_at: at,
        id: format!("told-{number}").parse().unwrap(),
        origin: Origin::Anomaly,
        about: Some(user()),
        told: AnomalyStatement::Fact { at, corrects: None, fact },
    }
}

fn id_of(counter: u64) -> RequestId {
    request(counter, now()).correlation.request_id.unwrap()
}

fn quarantined(counter: u64, at: Timestamp, incident: &str, breach: Breach) -> AnomalyEvent {
    let request_id = id_of(counter);
    let of = Quarantined {
        request_id,
        command_variant: CommandVariant::new(1),
        variant: "2.2".parse().ok(),
        device: Some(request_id.target),
        mpxn: None,
        received_at: Some(at.plus_millis(-1_000)),
        breach,
        event_ref: format!("{counter}").parse().unwrap(),
        incident: incident.parse().ok(),
        dcc_alert: Some(ResponseId::mirror_of(&request_id)),
    };
    told(at, AnomalyFact::Quarantined(of))
}

/// Communications in all states, some of which both tell of, some only one.
async fn told_by_both() -> Lake {
    let mut events = Vec::new();
    let mut trail = |counter: u64, at: Timestamp| {
        let request = request(counter, at.plus_millis(-1_000));
        events.push(request.clone());
        events.push(enters(&request, State::Quarantined, at, Some("the source's words")));
    };
    // 1 is told by both; 2 by the audit trail alone; 3 was archived early, and 4 by the clock, of which the audit trail knows nothing.
    trail(1, ago(10));
    trail(2, ago(11));
    trail(3, ago(12));
    let opened = ArchiveOpened::new("MAJOR1".parse().unwrap(), None, None, vec![id_of(5)]).unwrap();
    let answer =
        ActionsAccepted::new("INC1".parse().unwrap(), ago(3), None, vec![(id_of(1), Action::Delete)]);
    let anomaly = vec![
        quarantined(1, ago(9), "INC1", Breach::DccThreshold),
        told(ago(8), AnomalyFact::Advised("INC1".parse().unwrap(), Advice::UserDecides)),
        told(ago(4), AnomalyFact::ActionsAccepted(answer.unwrap())),
        quarantined(3, ago(12), "INC1", Breach::UserThreshold),
        told(ago(1), AnomalyFact::Settled(id_of(3), Settlement::Archived)),
        quarantined(4, ago(121), "INC1", Breach::UserThreshold),
        // 5 is in the archive, which is open for it; 6 was released; 7 is of another Incident, told by no trail.
        quarantined(5, ago(130), "INC1", Breach::UserThreshold),
        told(ago(2), AnomalyFact::ArchiveOpened(opened)),
        quarantined(6, ago(100), "INC2", Breach::UserThreshold),
        told(ago(90), AnomalyFact::Settled(id_of(6), Settlement::Released)),
        quarantined(7, ago(119), "INC2", Breach::AttributeLimits),
    ];
    lake_with(&events, 3, anomaly).await
}

fn cells(report: &Report, rows: &[Vec<String>], names: &[&str]) -> Vec<String> {
    let place = |name: &str| report.columns.iter().position(|column| column.name == name).unwrap();
    let cells = |row: &Vec<String>| {
        let cell = |name: &&str| row[place(name)].rsplit(':').next().unwrap_or_default().to_owned();
        names.iter().map(cell).collect::<Vec<_>>().join("|")
    };
    rows.iter().map(cells).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anomaly_detection_tells_counts_before_audit_trails() {
    let (report, lake) = (report("quarantined-requests"), told_by_both().await);
    let who = access_of([user()], 1);
    let rows = texts(&report, (&lake, &who), &[]).await;
    let names = [
        "request_id",
        "state",
        "breach",
        "cause",
        "incident_reference",
        "advice",
        "action",
        "current_status",
    ];
    assert_eq!(
        cells(&report, &rows, &names),
        [
            "5|Archived|user threshold||INC1|user decides||",
            "7|Quarantined|attribute limits||INC2|||",
            "6|Released|user threshold||INC2||Release|",
            "2|Quarantined||the source's words||||QUARANTINED",
            "1|Quarantined|DCC threshold|the source's words|INC1|user decides|Delete|QUARANTINED",
        ]
    );
    let times = ["quarantined_at", "answered_at", "action_at", "available_until"].map(|name| {
        let place = report.columns.iter().position(|column| column.name == name).unwrap();
        rows[4][place].clone()
    });
    let of = |hours: i64| ago(hours).to_string();
    assert_eq!(times, [of(9), of(4), String::new(), of(9 - 120)]);
    let incident = texts(&report, (&lake, &who), &[("incident", "INC2"), ("state", "quarantined")]).await;
    assert_eq!(cells(&report, &incident, &["request_id"]), ["7"]);
    let other = UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, 2]);
    assert!(texts(&report, (&lake, &access_of([other], 1)), &[]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_appendix_aa_has_what_can_be_answered_and_an_empty_action() {
    let (report, lake) = (report("quarantined-requests"), told_by_both().await);
    let file = report.appendix_aa.as_ref().unwrap();
    let given: Vec<(&str, &str)> =
        file.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut rows = rows_of(&report, (&lake, &access_of([user()], 1)), &given).await.unwrap();
    let mut output = Output::new(OutputFormat::AppendixAa, &report, rows.about(), Vec::new()).unwrap();
    while let Some(batch) = rows.next().await.unwrap() {
        output.write(&batch).unwrap();
    }
    let (bytes, count) = output.finish().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!((count, lines.len(), lines[4]), (3, 5, ""), "{text}");
    assert_eq!(lines[0], format!("{},action", file.columns.join(",")));
    let of = |hours: i64| ago(hours).to_string();
    assert_eq!(
        lines[3],
        format!(
            "{},1,2.2,{},,{},{},{},DCC threshold,1,INC1,{},user decides,",
            id_of(1),
            id_of(1).target,
            ago(9).plus_millis(-1_000),
            of(9),
            of(9 - 120),
            ResponseId::mirror_of(&id_of(1))
        )
    );
    // Of two User IDs nobody can answer, and other reports are not answered.
    let other = UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, 2]);
    let rows = rows_of(&report, (&lake, &access_of([user(), other], 1)), &given).await.unwrap();
    let refused = Output::new(OutputFormat::AppendixAa, &report, rows.about(), Vec::new()).unwrap_err();
    assert!(matches!(refused, OutputError::OfOneUser { found: 2 }), "{refused}");
    let refused = Output::new(
        OutputFormat::AppendixAa,
        &crate::it::world::report("load-balance"),
        rows.about(),
        Vec::new(),
    );
    assert!(matches!(refused.unwrap_err(), OutputError::NotAnswered { .. }));
}
