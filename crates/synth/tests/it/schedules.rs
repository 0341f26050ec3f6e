//! What is told of the schedules of a region, folded, is what its truth says: nothing too many, nothing too few.

use crate::it::region;
use gridtrail_model::{Mode, Subject, UserId};
use gridtrail_schedules::{RemovalReason, Schedule, ScheduleEvent, ScheduleId, Schedules};
use gridtrail_synth::{ExpectedSchedule, ScheduleStory};
use std::collections::{BTreeMap, BTreeSet};

fn folded(events: &[ScheduleEvent]) -> BTreeMap<(UserId, ScheduleId), Schedule> {
    let mut users: BTreeMap<UserId, Schedules> = BTreeMap::new();
    for event in events {
        users.entry(event.user).or_insert_with(|| Schedules::new(event.user)).add(event);
    }
    users
        .into_iter()
        .flat_map(|(user, all)| all.all().map(|one| ((user, one.id), one)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn what_is_told_comes_to_the_truth_and_runs_know_their_schedules() {
    let world = region(8, 100_000, 10);
    let stories: Vec<ScheduleStory> = world.schedules().collect();
    let mut events: Vec<ScheduleEvent> = stories.iter().flat_map(|story| story.events.clone()).collect();
    let ids: BTreeSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), events.len(), "each event has an id of its own");
    // In the order of nobody.
    events.sort_by_key(|event| event.id.as_str().bytes().rev().collect::<Vec<_>>());
    let found = folded(&events);
    let truth: Vec<ExpectedSchedule> = stories.iter().filter_map(|story| story.expected).collect();
    assert_eq!(found.len(), truth.len());
    for expected in &truth {
        let schedule = &found[&(expected.user, expected.id)];
        assert_eq!(schedule.details, expected.details, "{expected:?}");
        assert_eq!(schedule.created.map(|of| (of.request_id, of.at)), expected.created, "{expected:?}");
        let removed = schedule.removed.map(|of| match of.reason {
            RemovalReason::Deleted => (of.at, None),
            RemovalReason::DccAlert(code) => (of.at, Some(code)),
        });
        assert_eq!(removed, expected.removed, "{expected:?}");
    }
    // There are some of each kind.
    let count = |of: &dyn Fn(&ExpectedSchedule) -> bool| truth.iter().filter(|one| of(one)).count();
    let kinds = [
        count(&|of| of.created.is_none()),
        count(&|of| of.removed.is_some_and(|(_, code)| code.is_none())),
        count(&|of| of.removed.is_some_and(|(_, code)| code.is_some())),
        count(&|of| of.details.end.is_some()),
        stories.iter().filter(|story| story.expected.is_none()).count(),
    ];
    assert!(kinds.iter().all(|count| *count > 3), "{kinds:?}");
    // Requests of transactions are on the audit trail, and of the runs some know their schedule and some do not.
    let trails: BTreeSet<_> = world.truth().filter_map(|trail| trail.key.request_id()).collect();
    assert!(truth.iter().filter(|of| of.created.is_some_and(|(id, _)| trails.contains(&id))).count() > 100);
    let mut runs = [0; 2];
    for trail in world.truth().filter(|trail| trail.mode == Mode::DspScheduled) {
        assert!(matches!(trail.key.subject, Subject::ScheduledRun(_)));
        let Some(id) = trail.schedule_id.and_then(ScheduleId::new) else { continue };
        let known = found.get(&(trail.key.user, id));
        runs[usize::from(known.is_some())] += 1;
        if let Some(known) = known {
            assert_eq!((known.details.variant, known.details.device), (trail.variant, trail.device_id));
        }
    }
    assert!(runs.iter().all(|runs| *runs > 100), "{runs:?}");
}
