//! The Quarantined Requests Report: what each communication's quarantine came to, by the clock of whoever asks.

use crate::it::world::*;
use gridtrail_model::*;

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

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_is_judged_by_the_clock() {
    let ago = |hours: i64| now().plus_millis(-hours * HOUR);
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
    // Decided, both in time and long ago.
    add(6, ago(200), &[(State::Released, ago(190)), (State::SentToDevice, ago(189))]);
    add(7, ago(30), &[(State::Deleted, ago(20))]);
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
            "6 Released  Release",
            "2 Quarantined 2026-04-02T12:00:00.001Z ",
            "7 Deleted  Delete",
            "1 Quarantined 2026-04-07T11:00:00.000Z ",
        ]
    );
    assert!(rows.iter().all(|row| row[place("cause")] == "=user threshold"));
    assert_eq!(rows[0][place("action_at")], "2026-03-25T14:00:00.000Z");
    let deleted = texts(&report, (&lake, &who), &[("state", "deleted")]).await;
    assert_eq!(told(&deleted), ["7 Deleted  Delete"]);
}
