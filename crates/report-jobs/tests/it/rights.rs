//! Rights that are lost while a report is made.

use crate::it::stores::{Hook, Hooked};
use crate::it::world::{GRANTED, OTHER_USER, Place, USER, World, published, sharing, until_idle, user};
use gridtrail_access::{AccessEvent, Assignment, Sharing};
use gridtrail_model::{Timestamp, UserRole};
use gridtrail_report_jobs::{OutcomeKind, PastState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first User is another Party's.
fn moved() -> Sharing {
    let mut sharing = sharing(false);
    let to = Some(Assignment { party: "Brent".parse().unwrap(), role: UserRole::IS, descriptor: None });
    sharing.take(AccessEvent::Assigned { user_id: user(USER), to, from: Timestamp::MIN.plus_millis(1) });
    sharing
}

/// A hook that has a state of sharing count from when an object with a mark in its name is first written.
fn from(world: &World, mark: &'static str, then: impl Fn() -> Sharing + Send + Sync + 'static) -> Hook {
    let (admission, done) = (world.admission.clone(), AtomicBool::new(false));
    Arc::new(move |operation, path| {
        if operation == "put" && path.contains(mark) && !done.swap(true, Ordering::Relaxed) {
            admission.replace(Arc::new(then()));
        }
        true
    })
}

/// It was made with rows of a grant that is rescinded before it is written: it is made again without them.
#[tokio::test]
async fn a_report_whose_grant_is_rescinded_before_it_is_written_is_made_again_without_it() {
    let mut world = World::new(Place::Disk, "catch_up = 1\nretry_after = \"60s\"").await;
    // The first User's, whichever comes first.
    let hook = from(&world, ".unfinished/daily/2026-03-30T0500Z/90-B3-D5-1F-30-02-00-01", || sharing(false));
    world.hooked(&hook);
    let mut worker = world.worker();
    let (ended, failed) = until_idle(&mut worker).await;
    assert_eq!((published(&ended), failed.len()), (1, 1), "{failed:?}");
    assert!(failed[0].contains("rights that the report was made with were lost"), "{failed:?}");
    assert!(
        world.whole().await.keys().all(|name| name.starts_with(OTHER_USER)),
        "nothing of the first is there"
    );
    world.clock.advance(61_000);
    assert_eq!(published(&until_idle(&mut worker).await.0), 1);
    let visible = world.visible().await;
    let about =
        visible.iter().find(|(name, _)| name.starts_with(USER) && name.ends_with(".about.json")).unwrap().1;
    let about = String::from_utf8(about.clone()).unwrap();
    assert!(about.contains(USER) && !about.contains(GRANTED), "{about}");
    let history = world.journal().history(None).await.unwrap();
    assert!(
        history.iter().any(|past| past.attempts == 2 && past.state == PastState::Published),
        "{history:?}"
    );
    assert!(world.has_nothing_aside().await);
}

/// While the grant is in force, the report is of both.
#[tokio::test]
async fn a_report_is_of_the_user_and_of_what_is_granted_to_it() {
    let world = World::new(Place::Objects, "catch_up = 1").await;
    until_idle(&mut world.worker()).await;
    let visible = world.visible().await;
    for (name, bytes) in visible.iter().filter(|(name, _)| name.ends_with(".about.json")) {
        let about = String::from_utf8(bytes.clone()).unwrap();
        let is_first = name.starts_with(USER);
        assert_eq!(
            (about.contains(USER), about.contains(GRANTED), about.contains(OTHER_USER)),
            (is_first, is_first, !is_first)
        );
    }
}

/// A User ID that is another Party's gets nothing written where its old Party reads, before it is made, after, and after it was decided.
#[tokio::test]
async fn nothing_is_published_for_a_user_id_that_is_another_partys() {
    for (mark, is_decided) in [("attempt-", false), (".unfinished", false), ("decided", true)] {
        let mut world = World::new(Place::Disk, "catch_up = 1").await;
        let job = Arc::get_mut(&mut world.schedule.jobs[0]).unwrap();
        job.users.truncate(1);
        // The oldest periods are skipped first.
        assert_eq!(until_idle(&mut world.worker()).await.0.len(), 3);
        world.clock.advance(86_400_000);
        let before = world.whole().await;
        let hook = from(&world, mark, moved);
        world.hooked(&hook);
        let mut worker = world.worker_by(Hooked::store(Arc::clone(&world.store), &hook));
        let (ended, failed) = until_idle(&mut worker).await;
        assert_eq!(world.whole().await, before, "{mark}");
        if is_decided {
            assert!(
                matches!(ended[..], [ref one] if matches!(one.what, OutcomeKind::Withdrawn { .. })),
                "{ended:?} {failed:?}"
            );
            assert!(world.has_nothing_aside().await);
        } else {
            assert_eq!(ended, [], "{mark}");
            assert!(failed[0].contains("is not a User ID of Avon"), "{mark}: {failed:?}");
            assert!(world.has_nothing_aside().await, "{mark}: nobody is to read what nothing was decided on");
        }
        // It comes back: what was withdrawn stays so, all else is made.
        world.admission.replace(Arc::new(sharing(true)));
        world.clock.advance(61_000);
        assert_eq!(published(&until_idle(&mut worker).await.0), usize::from(!is_decided), "{mark}");
        assert!(world.has_nothing_aside().await, "{mark}");
    }
}

/// What was granted may not count for a while, since nobody knows whether it still holds: that withdraws nothing.
#[tokio::test]
async fn a_report_that_was_decided_waits_until_what_was_granted_counts_again() {
    let mut world = World::new(Place::Disk, "catch_up = 1").await;
    let job = Arc::get_mut(&mut world.schedule.jobs[0]).unwrap();
    job.users.truncate(1);
    assert_eq!(until_idle(&mut world.worker()).await.0.len(), 3);
    world.clock.advance(86_400_000);
    let (admission, done) = (world.admission.clone(), AtomicBool::new(false));
    let hook: Hook = Arc::new(move |operation, path| {
        if operation == "put" && path.contains("decided") && !done.swap(true, Ordering::Relaxed) {
            admission.lapse(true);
        }
        true
    });
    world.hooked(&hook);
    let mut worker = world.worker_by(Hooked::store(Arc::clone(&world.store), &hook));
    let (ended, failed) = until_idle(&mut worker).await;
    assert!(
        ended.is_empty() && failed[0].contains("rights that the report was made with were lost"),
        "{failed:?}"
    );
    world.admission.lapse(false);
    world.clock.advance(61_000);
    assert_eq!(published(&until_idle(&mut worker).await.0), 1);
    assert!(world.has_nothing_aside().await);
}
