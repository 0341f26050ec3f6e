//! Anomaly detection of a region, folded, is what its truth says: nothing too many, nothing too few.

use crate::it::region;
use gridtrail_anomaly::{AnomalyEvent, AnomalyFragment, Settlement};
use gridtrail_model::{Merge, State, Timestamp, UserId};
use gridtrail_synth::{AnomalyStory, ExpectedQuarantine, ExpectedThreshold};
use std::collections::{BTreeMap, BTreeSet};

/// Fragments of all Users, from batches of this size.
fn folded(events: &[AnomalyEvent], batch: usize) -> BTreeMap<UserId, AnomalyFragment> {
    let mut all: BTreeMap<UserId, AnomalyFragment> = BTreeMap::new();
    for batch in events.chunks(batch) {
        let mut parts: BTreeMap<UserId, AnomalyFragment> = BTreeMap::new();
        for event in batch {
            let user = event.about.unwrap();
            parts.entry(user).or_insert_with(|| AnomalyFragment::new(Some(user))).add(event.clone());
        }
        for (user, part) in parts {
            match all.get_mut(&user) {
                Some(known) => known.merge(part),
                None => drop(all.insert(user, part)),
            }
        }
    }
    all
}

#[test]
fn what_is_told_comes_to_the_truth_in_any_batches() {
    let world = region(8, 200_000, 10);
    let stories: Vec<AnomalyStory> = world.anomaly().collect();
    let mut events: Vec<AnomalyEvent> = stories.iter().flat_map(|story| story.events.clone()).collect();
    let thresholds: Vec<ExpectedThreshold> =
        stories.iter().flat_map(|story| story.thresholds.clone()).collect();
    let truth: Vec<ExpectedQuarantine> = stories.iter().filter_map(|story| story.quarantined).collect();
    let ids: BTreeSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), events.len(), "each event has an id of its own");
    // In the order of nobody.
    events.sort_by_key(|event| event.id.as_str().bytes().rev().collect::<Vec<_>>());
    let all = folded(&events, 37);
    assert_eq!(all, folded(&events, 1_000));
    let start = world.settings().start;
    let days = |days: i64| start.plus_millis(days * 86_400_000);
    for now in [-300, -5, 0, 1, 5, 9, 12, 20, 40, 60].map(days) {
        let mut expected: Vec<_> = thresholds
            .iter()
            .filter(|of| of.from <= now && of.until.is_none_or(|until| now < until))
            .map(|of| (of.user, of.threshold))
            .collect();
        expected.sort();
        let in_force = |(user, fragment): (&UserId, &AnomalyFragment)| {
            let user = *user;
            let in_force = fragment.known().thresholds_at(now);
            in_force.into_iter().map(move |of| (user, of.threshold)).collect::<Vec<_>>()
        };
        assert_eq!(all.iter().flat_map(in_force).collect::<Vec<_>>(), expected, "{now}");
        compare(&all, &truth, now);
    }
    let done = |what: Settlement| truth.iter().filter(|of| of.done.is_some_and(|(of, _)| of == what)).count();
    let (released, deleted) = (done(Settlement::Released), done(Settlement::Deleted));
    let left = truth.len() - released - deleted;
    let opened = truth.iter().filter(|of| of.opened_at.is_some()).count();
    assert!(released > 20 && deleted > 10 && left > 10 && opened > 2, "{released} {deleted} {left} {opened}");
}

fn compare(all: &BTreeMap<UserId, AnomalyFragment>, truth: &[ExpectedQuarantine], now: Timestamp) {
    let (mut found, mut reported) = (BTreeMap::new(), BTreeSet::new());
    for fragment in all.values() {
        let view = fragment.known();
        for of in view.communications(now) {
            assert_eq!(of.dcc_alerts.len(), 1, "one DCC Alert a communication");
            let told = (of.quarantined_at, of.quarantined.variant, of.dcc_alerts[0], of.state);
            assert!(found.insert(of.request_id(), told).is_none());
        }
        reported.extend(view.reported(now).iter().map(|of| of.request_id()));
    }
    let expected: BTreeMap<_, _> = truth
        .iter()
        .filter_map(|of| {
            Some((of.request_id, (of.quarantined_at, of.variant, of.dcc_alert, of.state_at(now)?)))
        })
        .collect();
    assert_eq!(found, expected, "{now}");
    let expected: BTreeSet<_> =
        truth.iter().filter(|of| of.is_reported(now)).map(|of| of.request_id).collect();
    assert_eq!(reported, expected, "{now}");
}

/// The audit trail of each communication says that it was quarantined, and is there whatever became of it.
#[test]
fn every_communication_has_its_audit_trail() {
    let world = region(8, 100_000, 2);
    let flagged: BTreeSet<_> = world
        .truth()
        .filter(|trail| trail.anomaly_detection_flag)
        .filter_map(|trail| trail.request_id)
        .collect();
    let truth: Vec<ExpectedQuarantine> = world.anomaly().filter_map(|story| story.quarantined).collect();
    assert!(truth.len() > 20, "{}", truth.len());
    let end = world.settings().end();
    for of in truth.iter().filter(|of| of.quarantined_at.plus_millis(10_000) < end) {
        assert!(flagged.contains(&of.request_id), "{of:?}");
    }
    let ids: BTreeSet<_> = truth.iter().map(|of| of.request_id).collect();
    assert!(flagged.iter().all(|id| ids.contains(id)), "nothing else is flagged");
    // Where it was released or deleted, the trail says so, too.
    let states: BTreeMap<_, _> =
        world.truth().filter_map(|trail| Some((trail.request_id?, trail.current_status))).collect();
    let deleted =
        truth.iter().filter(|of| of.done.is_some_and(|(what, at)| what == Settlement::Deleted && at < end));
    assert!(deleted.map(|of| states[&of.request_id]).all(|state| state == State::Deleted));
}
