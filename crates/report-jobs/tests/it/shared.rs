//! What workers make, alone and together.

use crate::it::world::{Place, USER, World, at, published, until_idle};
use gridtrail_report_jobs::{OutcomeKind, PastState, Step, Waiting};
use std::collections::BTreeSet;

/// Three days with a change of clocks, two Users, two formats. No row is there: each gets a report that says so.
#[tokio::test]
async fn an_empty_user_gets_an_empty_report_of_each_period_on_disk_and_among_objects() {
    for place in [Place::Disk, Place::Objects] {
        let world = World::new(place, "").await;
        let (ended, failed) = until_idle(&mut world.worker()).await;
        assert_eq!((published(&ended), failed), (6, vec![]), "{place:?}");
        let files = world.whole().await;
        let of_user: Vec<&str> =
            files.keys().filter_map(|name| name.strip_prefix(&format!("{USER}/daily/"))).collect();
        let stems = ["2026-03-28T0600Z_2026-02", "2026-03-29T0500Z_2026-02", "2026-03-30T0500Z_2026-02"];
        let expected: Vec<String> =
            stems.iter().flat_map(|stem| ["csv", "json"].map(|end| format!("{stem}.{end}"))).collect();
        assert_eq!(of_user, expected, "{place:?}");
        for (name, bytes) in &files {
            let text = std::str::from_utf8(bytes).unwrap();
            if name.ends_with(".csv") {
                assert_eq!(text.lines().count(), 1, "a header: {text}");
            } else {
                assert_eq!(serde_json::from_str::<serde_json::Value>(text).unwrap()["row_count"], 0);
            }
        }
        assert!(world.has_nothing_aside().await);
        // Whoever comes later makes none again, wherever the files have gone.
        std::fs::remove_dir_all(world.folder.path().join("out")).ok();
        let (again, failed) = until_idle(&mut world.worker()).await;
        assert_eq!((again.len(), failed), (0, vec![]));
    }
}

/// Workers at once, each begun anew now and then, and days that go by: every report once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_share_a_schedule_make_each_report_once() {
    for place in [Place::Disk, Place::Objects] {
        let world = World::new(place, "").await;
        let mut keys = BTreeSet::new();
        for day in 0..2 {
            let mut workers = tokio::task::JoinSet::new();
            for _ in 0..3 {
                let mut worker = world.worker();
                workers.spawn(async move { until_idle(&mut worker).await });
            }
            for (ended, failed) in workers.join_all().await {
                assert!(failed.is_empty(), "{failed:?}");
                for outcome in ended {
                    assert!(keys.insert(outcome.key.clone()), "{} twice", outcome.key);
                }
            }
            assert_eq!(keys.len(), 6 + 2 * day);
            world.clock.advance(86_400_000);
        }
        assert_eq!(world.whole().await.len(), 2 * keys.len());
        let history = world.journal().history(Some("daily")).await.unwrap();
        assert!(
            history.iter().all(|past| past.state == PastState::Published && past.attempts == 1),
            "{history:?}"
        );
    }
}

/// The newest periods are caught up with, and of the others it is written down that they are not.
#[tokio::test]
async fn missed_periods_are_caught_up_with_as_far_as_the_schedule_says() {
    let world = World::new(Place::Disk, "catch_up = 2").await;
    world.clock.advance(2 * 86_400_000);
    let (ended, failed) = until_idle(&mut world.worker()).await;
    assert!(failed.is_empty(), "{failed:?}");
    let skipped: BTreeSet<_> = ended
        .iter()
        .filter(|outcome| matches!(outcome.what, OutcomeKind::Skipped { .. }))
        .map(|outcome| outcome.key.due)
        .collect();
    assert_eq!((ended.len(), published(&ended), skipped.len()), (10, 4, 3));
    assert_eq!(skipped.last(), Some(&at("2026-03-30T05:00:00Z")));
    assert_eq!(world.whole().await.len(), 8);
    let history = world.journal().history(None).await.unwrap();
    let said = history.iter().filter(|past| past.state == PastState::Skipped && past.why.is_some()).count();
    assert_eq!(said, 6, "{history:?}");
    assert!(until_idle(&mut world.worker()).await.0.is_empty());
}

/// What a lake has not to the end of the period is waited for, as long as the schedule says, and then said.
#[tokio::test]
async fn a_report_waits_for_the_lake_and_then_says_what_may_be_missing() {
    let world = World::new(Place::Disk, "catch_up = 1\nwait_max = \"8h\"").await;
    let mut worker = world.worker();
    // Today's was due at five, and may be waited for until one.
    let Step::Idle { until, open } = ({
        let (skipped, _) = until_idle(&mut worker).await;
        assert_eq!((skipped.len(), published(&skipped)), (4, 0));
        worker.step().await
    }) else {
        panic!("there is nothing to do");
    };
    assert!(
        open.len() == 2 && open.iter().all(|(_, why)| matches!(why, Waiting::Data { complete: None, .. })),
        "{open:?}"
    );
    assert!(until.unwrap() <= at("2026-03-30T12:00:30Z"));
    assert!(world.visible().await.is_empty());
    world.clock.advance(3_600_000);
    let (ended, _) = until_idle(&mut worker).await;
    assert_eq!(published(&ended), 2);
    for outcome in &ended {
        assert!(matches!(outcome.what, OutcomeKind::Published { may_miss_rows: true, .. }), "{outcome:?}");
    }
    let visible = world.visible().await;
    let about = visible.iter().find(|(name, _)| name.ends_with(".csv.about.json")).unwrap().1;
    let about: serde_json::Value = serde_json::from_slice(about).unwrap();
    assert_eq!(about["needed_up_to"], "2026-03-01T00:00:00.000Z");
    assert_eq!(about["complete_up_to"], serde_json::Value::Null);
    assert_eq!(about["asked_by"], "report job daily");
    assert!(
        world.journal().history(None).await.unwrap().iter().filter(|past| past.may_miss_rows).count() == 2
    );
}

/// A file of somebody else's is not overwritten; once it is moved away, the report is made.
#[tokio::test]
async fn a_name_that_somebody_else_has_is_left_to_them() {
    use object_store::ObjectStoreExt as _;
    let world = World::new(Place::Disk, "catch_up = 1\nretry_after = \"60s\"").await;
    let name = format!("{USER}/daily/2026-03-30T0500Z_2026-02.csv");
    let path = name.split('/').fold(world.files.clone(), |path, part| path.join(part));
    world.store.put(&path, "mine".into()).await.unwrap();
    let mut worker = world.worker();
    let (ended, failed) = until_idle(&mut worker).await;
    assert_eq!((published(&ended), failed.len()), (1, 1), "{failed:?}");
    assert!(failed[0].contains("move it away"), "{failed:?}");
    assert_eq!(world.visible().await[&name], b"mine");
    world.store.delete(&path).await.unwrap();
    world.clock.advance(61_000);
    assert_eq!(published(&until_idle(&mut worker).await.0), 1);
    assert_eq!(world.whole().await.len(), 4);
    assert!(world.has_nothing_aside().await);
}
