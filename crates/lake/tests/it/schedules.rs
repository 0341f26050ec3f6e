//! DSP schedules in a lake: whose they are, how long they are kept, and what batches and housekeeping change of them: nothing.

use crate::it::compaction::{HOUR, over, settle};
use crate::it::world::*;
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_lake::{Batch, CompactionSettings, HoldScope, Lake, LakeError, VerifySettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_schedules::{
    Frequency, RemovalReason, Schedule, ScheduleDetails, ScheduleEvent, ScheduleFact, ScheduleId, Schedules,
};
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::sync::Arc;

const DAY: i64 = 24 * HOUR;

fn id(number: u64) -> ScheduleId {
    ScheduleId::new(number).unwrap()
}

/// An event of the User who sent the request, or of the first.
fn told(name: &str, at: Timestamp, fact: ScheduleFact) -> ScheduleEvent {
    let user = match fact {
        ScheduleFact::Asked { request_id, .. }
        | ScheduleFact::Created { request_id, .. }
        | ScheduleFact::DeletionAsked { request_id, .. }
        | ScheduleFact::Deleted { request_id } => request_id.originator,
        ScheduleFact::Listed { .. } | ScheduleFact::Removed { .. } => user(1),
    };
    ScheduleEvent { user, recorded_at: at, at, id: name.parse().unwrap(), fact }
}

/// A request for a schedule and its answer, both told at a time.
fn schedule(u: u8, number: u64, at: Timestamp, end: &str) -> [ScheduleEvent; 2] {
    let request_id = request_id(u, 1, number);
    let details = ScheduleDetails {
        device: Some(device(u8::try_from(number).unwrap())),
        frequency: Some(Frequency::Daily),
        start: "2026-02-01".parse().ok(),
        end: end.parse().ok(),
        ..ScheduleDetails::default()
    };
    [
        told(&format!("a{u}-{number}"), at, ScheduleFact::Asked { request_id, details }),
        told(&format!("c{u}-{number}"), at, ScheduleFact::Created { request_id, schedule: id(number) }),
    ]
}

async fn tell(lake: &Lake, n: i64, schedules: impl Into<Vec<ScheduleEvent>>) {
    let mut source = source("told", n, n + 1);
    source.finished = false;
    let batch = Batch { schedules: schedules.into(), sources: vec![source], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

fn with_roles(users: &[u8], roles: &[u8]) -> Access {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.iter().map(|n| user(*n)).collect(),
        roles: roles.iter().filter_map(|role| JobTypeRole::new(*role)).collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

/// Nobody sees schedules but those whose they are, and those to whom they were granted, which an access counts among its User IDs.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_seen_by_their_users_alone() {
    let (lake, _) = memory().await;
    // The same identifier for all three: each has its own.
    let all: Vec<ScheduleEvent> = (1..=3).flat_map(|n| schedule(n, 34, at(n.into()), "")).collect();
    tell(&lake, 0, all.clone()).await;
    for (n, event) in (1..).zip(all) {
        tell(&lake, n, [event]).await;
    }
    let snapshot = lake.snapshot();
    for users in [&[1][..], &[2], &[1, 3], &[4]] {
        for narrowed in [false, true] {
            let who = if narrowed {
                access(&[1, 2, 3, 4]).narrowed_to(&users.iter().map(|n| user(*n)).collect())
            } else {
                access(users)
            };
            for n in 1..=4 {
                let found = schedules_of(&snapshot, &who, user(n)).await;
                let expected = u64::from(n < 4 && users.contains(&n));
                assert_eq!(found.len() as u64, expected, "{n} for {users:?}");
                assert!(found.iter().all(|one| one.created.unwrap().request_id == request_id(n, 1, 34)));
            }
        }
    }
    // The eleventh role has reports and no audit trails, the third audit trails and no reports; without any there is neither.
    for role in [1, 3, 11] {
        assert_eq!(schedules_of(&snapshot, &with_roles(&[1], &[role]), user(1)).await.len(), 1, "{role}");
    }
    let refused = snapshot.schedules(&with_roles(&[1], &[]), user(1)).await.unwrap_err();
    assert!(matches!(refused, LakeError::NotPermitted { .. }), "{refused}");
}

async fn retain(lake: &Lake, dry: bool) -> u64 {
    let mut maintenance = lake.maintenance().await.unwrap();
    let done = maintenance.retain(&CompactionSettings::default(), dry).await.unwrap();
    assert_eq!((done.overtaken, done.refused), (0, 0));
    maintenance.vacuum(false).await.unwrap();
    lake.refresh().await.unwrap();
    done.rows_of("schedules")
}

/// A schedule is kept as long as it runs, however old its request is, and then as long as audit trails.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_kept_as_long_as_it_runs_and_then_as_audit_trails() {
    let clock = Clock::manual(at(0));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    lake.set_retention_months(3).await.unwrap();
    let began = clock.now();
    // 1 runs for ever; 2 ends after two months; 3 is removed after one; 4 is deleted a day later; 5 was refused; 6 is deleted, and nobody knows it.
    let mut all = Vec::new();
    all.extend(schedule(1, 1, began, ""));
    all.extend(schedule(1, 2, began, "2026-04-03"));
    all.extend(schedule(1, 3, began, ""));
    all.extend(schedule(1, 4, began, ""));
    all.extend(schedule(1, 5, began, "").into_iter().take(1));
    all.extend(schedule(2, 7, began, "2026-04-03"));
    tell(&lake, 0, all).await;
    let deletion = |counter, number, days| {
        let (when, request_id) = (began.plus_millis(days * DAY), request_id(1, 1, counter));
        [
            told(
                &format!("d{counter}"),
                when,
                ScheduleFact::DeletionAsked { request_id, schedule: id(number) },
            ),
            told(&format!("e{counter}"), when, ScheduleFact::Deleted { request_id }),
        ]
    };
    tell(&lake, 1, deletion(90, 4, 1)).await;
    tell(&lake, 2, deletion(91, 6, 1)).await;
    let removed = ScheduleFact::Removed { schedule: id(3), device: None, code: "N6".parse().unwrap() };
    tell(&lake, 3, [told("r3", began.plus_millis(30 * DAY), removed)]).await;
    assert_eq!(scheduled(&lake.snapshot()).await, [1, 2, 3, 4, 6]);
    let months = |months: i64| began.plus_millis(months * 31 * DAY);
    let held = HoldScope { device: Some(device(2)), ..HoldScope::default() };
    let hold = lake.place_hold(held, "tester", "a case").await.unwrap().hold.id;
    let until = |time: Timestamp| clock.advance(time.millis() - clock.now().millis());
    until(months(3));
    assert_eq!(retain(&lake, false).await, 0, "all of it is as young as audit trails that are kept");
    until(months(4));
    assert_eq!(retain(&lake, true).await, 5, "what would go");
    assert_eq!(scheduled(&lake.snapshot()).await, [1, 2, 3, 4, 6]);
    assert_eq!(retain(&lake, false).await, 5, "that of 4 with its deletion, and of 5, which was refused");
    assert_eq!(scheduled(&lake.snapshot()).await, [1, 2, 3, 6], "6 may be of the Device that is held");
    until(months(5));
    assert_eq!(retain(&lake, false).await, 3, "that of 3 with its removal");
    until(months(8));
    assert_eq!(retain(&lake, false).await, 2, "that of the other User; the first User's is held");
    assert_eq!(scheduled(&lake.snapshot()).await, [1, 2, 6]);
    lake.release_hold(&hold, "tester", "the case is closed").await.unwrap();
    assert_eq!(retain(&lake, false).await, 4, "that of 2, and the deletion of 6");
    until(months(40));
    assert_eq!(retain(&lake, false).await, 0);
    assert_eq!(scheduled(&lake.snapshot()).await, [1], "it runs still");
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
}

/// Files become few, with the same answers; and a version knows what it knew.
#[tokio::test(flavor = "multi_thread")]
async fn gathering_changes_no_answer_and_a_version_knows_what_it_knew() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let mut versions = Vec::new();
    for n in 0..20_u64 {
        // The one before is told again.
        let events =
            [n, n / 2].map(|number| created(&format!("s{number}"), number, at(number.cast_signed())));
        tell(&lake, n.cast_signed(), events).await;
        versions.push(lake.snapshot().version().to_string());
    }
    let files = async || {
        let status = lake.maintenance().await.unwrap().status().await.unwrap();
        status.tables.iter().find(|table| table.name == "schedules").unwrap().files
    };
    let before = files().await;
    settle(&lake, &clock).await;
    let after = files().await;
    assert!(before == 20 && after < 8, "{before} files, {after} after");
    assert_eq!(scheduled(&lake.snapshot()).await, (0..20).collect::<Vec<u64>>());
    for (n, version) in (0..).zip(versions) {
        let snapshot = lake.snapshot_at(&version.parse().unwrap()).await.unwrap();
        assert_eq!(scheduled(&snapshot).await, (0..=n).collect::<Vec<u64>>(), "{version}");
    }
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// Whatever the batches, their order and repeats: a lake knows of each User what its messages say.
    #[test]
    fn a_lake_knows_what_all_messages_say(
        picks in prop::collection::vec((1_u8..4, 0_u64..5, 0_i64..200, 0_u8..4), 1..30),
        cuts in prop::collection::vec(1_usize..6, 1..8),
    ) {
        let event_of = |(number, (n, counter, hours, kind)): (usize, &(u8, u64, i64, u8))| {
            let (request_id, schedule) = (request_id(*n, 1, *counter), id(counter % 3));
            let fact = match kind {
                0 => ScheduleFact::Asked { request_id, details: ScheduleDetails::default() },
                1 => ScheduleFact::Created { request_id, schedule },
                2 => ScheduleFact::DeletionAsked { request_id, schedule },
                _ => ScheduleFact::Deleted { request_id },
            };
            told(&format!("e{number}"), at(hours * HOUR), fact)
        };
        let events: Vec<ScheduleEvent> = picks.iter().enumerate().map(event_of).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (lake, _) = memory().await;
            let mut rest: &[ScheduleEvent] = &events;
            for (n, cut) in (0..).zip(cuts.iter().cycle()) {
                let (batch, later) = rest.split_at(rest.len().min(*cut));
                tell(&lake, n, batch).await;
                rest = later;
                if rest.is_empty() {
                    tell(&lake, n + 1, batch).await;
                    break;
                }
            }
            for n in 1..4 {
                let mut expected = Schedules::new(user(n));
                events.iter().for_each(|event| expected.add(event));
                let found = schedules_of(&lake.snapshot(), &access(&[n]), user(n)).await;
                assert_eq!(found, expected.all().collect::<Vec<Schedule>>());
                assert!(found.iter().all(|one| one.removed.is_none_or(|removed| removed.reason == RemovalReason::Deleted)));
            }
        });
    }
}
