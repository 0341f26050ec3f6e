//! Memory does not grow with the run, counted in what the feed holds.

use crate::it::{disordered, region};

#[test]
fn what_is_in_flight_settles_however_many_days_there_are() {
    // About 1,000 transactions a day.
    let held = |days: u32| {
        let world = region(6, 6_000 * u64::from(days), days);
        let daily = usize::try_from(world.transactions()).unwrap() / days as usize;
        let mut feed = world.events();
        let events = feed.by_ref().count();
        (feed.in_flight_max(), feed.slice_events_max(), daily, events)
    };
    let (short, _, daily, _) = held(40);
    let (long, slice, _, events) = held(160);
    assert!(long < daily / 4, "{long} of {daily} a day in flight");
    assert!(long < short + short / 4, "{short} in flight in 40 days, {long} in 160");
    assert!(slice < 16_000, "{slice} of {events} events in one slice");
}

#[test]
fn a_busy_day_is_held_in_short_slices() {
    let world = disordered(6, 400_000, 1);
    let mut feed = world.events();
    let events = feed.by_ref().count();
    assert!(feed.slice_events_max() < 20_000, "{} of {events} events", feed.slice_events_max());
    assert!(feed.in_flight_max() < events / 6 / 4, "{} in flight", feed.in_flight_max());
}
