//! A seed gives one world.

use crate::it::{disordered, region};
use gridtrail_model::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

fn digest(events: impl Iterator<Item = Event>) -> u64 {
    let mut hasher = DefaultHasher::new();
    events.for_each(|event| format!("{event:?}").hash(&mut hasher));
    hasher.finish()
}

#[test]
fn one_seed_gives_one_stream_and_another_seed_another() {
    for make in [region, disordered] {
        let first = digest(make(7, 20_000, 2).events());
        assert_eq!(first, digest(make(7, 20_000, 2).events()));
        assert_ne!(first, digest(make(8, 20_000, 2).events()));
    }
    assert!(region(7, 5_000, 1).truth().eq(region(7, 5_000, 1).truth()));
}

#[test]
fn delivery_changes_neither_the_truth_nor_what_happened() {
    let (clean, messy) = (region(3, 20_000, 2), disordered(3, 20_000, 2));
    assert!(clean.truth().eq(messy.truth()));
    let facts = |events: &mut dyn Iterator<Item = Event>| -> BTreeSet<String> {
        events.map(|event| format!("{} {} {:?}", event.id.as_str(), event.recorded_at, event.body)).collect()
    };
    assert_eq!(facts(&mut clean.events()), facts(&mut messy.events()));
}

#[test]
fn clean_delivery_is_in_order_and_without_repeats() {
    let events: Vec<Event> = region(5, 30_000, 3).events().collect();
    assert!(events.is_sorted_by_key(|event| event.recorded_at));
    let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn disorder_is_as_set_and_bounded() {
    let world = disordered(5, 60_000, 2);
    let settings = world.settings().clone();
    let mut copies: BTreeMap<String, u64> = BTreeMap::new();
    let (mut latest, mut behind_max, mut backwards) = (i64::MIN, 0, 0_u64);
    for event in world.events() {
        let recorded = event.recorded_at.millis();
        behind_max = behind_max.max(latest.saturating_sub(recorded));
        backwards += u64::from(recorded < latest);
        latest = latest.max(recorded);
        *copies.entry(event.id.as_str().to_owned()).or_default() += 1;
    }
    let doubled = copies.values().filter(|copies| **copies == 2).count() as f64;
    assert!(copies.values().all(|copies| *copies <= 2));
    let share = doubled / copies.len() as f64;
    assert!((0.008..0.012).contains(&share), "{share} delivered twice");
    assert!(backwards > 10_000, "only {backwards} out of order");
    // Jitter, lateness and the longest wait before a repeat.
    let bound = i64::from(settings.jitter_ms_max) + i64::from(settings.late_ms_max) + 300_000;
    assert!(behind_max > 3_600_000 && behind_max < bound, "{behind_max} ms behind");
}

#[test]
fn days_made_apart_are_the_days_made_together() {
    let world = disordered(11, 20_000, 4);
    let texts = |events: gridtrail_synth::Feed<'_>| -> Vec<String> {
        let mut all: Vec<_> = events.map(|event| format!("{event:?}")).collect();
        all.sort();
        all
    };
    let mut apart: Vec<String> = (0..4).flat_map(|day| texts(world.events_of_days(day..day + 1))).collect();
    apart.sort();
    assert_eq!(apart, texts(world.events()));
    let truth: Vec<_> = (0..4).flat_map(|day| world.truth_of_days(day..day + 1)).collect();
    assert!(truth.into_iter().eq(world.truth()));
}
