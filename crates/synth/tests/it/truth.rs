//! The truth and the model's fold, worked out apart, agree on every field of every trail.

use crate::it::{disordered, region};
use gridtrail_model::{Event, Fold, Fragment, Merge, RequestId, Resolved, Subject, Trail, TrailKey, UserId};
use gridtrail_synth::{ExpectedTrail, Settings, World};
use proptest::prelude::*;
use std::collections::HashMap;

/// A lake of the simplest kind: fragments by key, and the ones that wait for a place.
#[derive(Default)]
struct Ledger {
    rows: HashMap<TrailKey, Fragment>,
    waiting: Vec<Fragment>,
}

impl Ledger {
    fn take(&mut self, batch: impl IntoIterator<Item = Event>) {
        let mut fold = Fold::default();
        for event in batch {
            fold.add(event).unwrap();
        }
        self.waiting.extend(fold.take_unplaced());
        fold.into_fragments().into_iter().for_each(|fragment| self.put(fragment));
    }

    fn put(&mut self, fragment: Fragment) {
        match self.rows.get_mut(&fragment.key) {
            Some(known) => known.merge(fragment),
            None => drop(self.rows.insert(fragment.key, fragment)),
        }
    }

    /// Joins what waits to its rows; panics on anything that has none.
    fn settle(mut self) -> HashMap<TrailKey, Trail> {
        let mut on_record: HashMap<(UserId, RequestId), Vec<Resolved>> = HashMap::new();
        for fragment in self.rows.values() {
            if let Some(request_id) = fragment.key.request_id() {
                let row = Resolved::of(fragment).unwrap();
                on_record.entry((fragment.key.user, request_id)).or_default().push(row);
            }
        }
        // A result of a scheduled run says nothing of when its run was generated: its own time has to do, unless
        // something else was heard of the run.
        let (runs, answers): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|f| f.key.request_id().is_none());
        for mut fragment in runs {
            let placement = self.rows.get(&fragment.key).and_then(Fragment::placement);
            fragment.received.add(placement.unwrap_or(fragment.history()[0].at));
            self.put(fragment);
        }
        for fragment in answers {
            let key = (fragment.key.user, fragment.key.request_id().unwrap());
            let joined = fragment.join(&on_record[&key]).expect("every event belongs to a row on record");
            joined.into_iter().for_each(|part| self.put(part));
        }
        self.rows.iter().map(|(key, fragment)| (*key, Trail::from(fragment))).collect()
    }
}

/// Panics on the first trail that is missing, too many, or wrong in any field. Says how many there are.
fn hold_against_truth(world: &World, found: HashMap<TrailKey, Trail>) -> usize {
    hold_against(world.truth(), found)
}

fn hold_against(
    truth: impl IntoIterator<Item = ExpectedTrail>,
    mut found: HashMap<TrailKey, Trail>,
) -> usize {
    let mut count = 0;
    for expected in truth {
        let trail = found.remove(&expected.key).unwrap_or_else(|| panic!("missing: {expected:#?}"));
        let differences = expected.differences(&trail);
        assert!(differences.is_empty(), "{differences:#?}\n{trail:#?}");
        count += 1;
    }
    assert!(found.is_empty(), "not in the truth: {:#?}", found.into_values().next());
    count
}

fn batches_of(events: impl Iterator<Item = Event>, size: usize) -> Ledger {
    let mut ledger = Ledger::default();
    let mut events = events.peekable();
    while events.peek().is_some() {
        ledger.take(events.by_ref().take(size));
    }
    ledger
}

#[test]
fn every_trail_of_a_clean_day_is_as_it_must_be() {
    let world = region(1, 60_000, 1);
    let count = hold_against_truth(&world, batches_of(world.events(), usize::MAX).settle());
    assert!(count > 8_000, "{count} trails");
}

#[test]
fn every_trail_of_a_disordered_quarter_is_as_it_must_be() {
    let world = disordered(2, 120_000, 90);
    hold_against_truth(&world, batches_of(world.events(), 1_000).settle());
}

/// New firmware is told beside the transactions, and comes to trails of its own.
#[test]
fn every_trail_of_new_firmware_is_as_it_must_be() {
    let world = region(9, 60_000, 20);
    let stories: Vec<_> = world.firmware().collect();
    let events = stories.iter().flat_map(|story| story.events.iter().cloned());
    let truth = world.truth().chain(stories.iter().flat_map(|story| story.trails.iter().copied()));
    hold_against(truth, batches_of(world.events().chain(events), 1_000).settle());
}

/// Systems that stamp one receipt in two places: the row shows the first, whatever the batches, and the others as a dispute.
#[test]
fn every_event_may_claim_another_receipt() {
    let settings = Settings { other_receipts_ppm: 1_000_000, ..Settings::for_events(30_000, 10) };
    let world = World::seeded(5, settings).unwrap();
    let found = batches_of(world.events(), 300).settle();
    let disputed = found.values().filter(|trail| !trail.disputes.is_empty()).count();
    let legs = found.keys().filter(|key| matches!(key.subject, Subject::Leg(_))).count();
    assert!(disputed * 10 > legs * 9, "{disputed} of {legs} legs are disputed");
    hold_against_truth(&world, found);
}

#[test]
fn every_response_may_be_bare() {
    let settings = Settings { bare_responses_ppm: 1_000_000, ..Settings::for_events(30_000, 10) };
    let world = World::seeded(4, settings).unwrap();
    hold_against_truth(&world, batches_of(world.events(), 300).settle());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_order_nor_repeats_nor_batches_change_a_trail(
        seed: u64,
        days in 1_u32..40,
        shuffle: u64,
        batch in 1_usize..3_000,
        repeats in 0_usize..500,
        bare in prop_oneof![Just(0_u32), Just(500_000)],
    ) {
        let settings = Settings { bare_responses_ppm: bare, ..Settings::for_events(4_000, days) };
        let world = World::seeded(seed, settings).unwrap();
        let mut events: Vec<Event> = world.events().collect();
        let again: Vec<Event> = events.iter().take(repeats).cloned().collect();
        events.extend(again);
        // Fisher and Yates, from the drawn number alone.
        let mut state = shuffle;
        for last in (1..events.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(state >> 33).unwrap() % (last + 1);
            events.swap(last, place);
        }
        hold_against_truth(&world, batches_of(events.into_iter(), batch).settle());
    }
}
