//! What holds for all messages, in whatever order and however often they come.

use crate::it::fold::{at, details, event, id, request, user};
use gridtrail_model::{DeviceId, Merge, Timestamp};
use gridtrail_schedules::{
    Frequency, Over, Schedule, ScheduleEvent, ScheduleFact, SchedulePart, ScheduleRow, Schedules, merge_rows,
    row_of,
};
use proptest::prelude::*;
use std::num::NonZeroU32;

/// Few requests and schedules, so that much is told of each.
fn facts() -> impl Strategy<Value = ScheduleFact> {
    let request = || (0..6_u64).prop_map(request);
    let named = || (0..4_u64).prop_map(id);
    let details = || {
        let frequency = prop_oneof![Just(Frequency::Daily), Just(Frequency::Yearly)];
        let ends = prop_oneof![Just(""), Just("2012-01-01"), Just("2013-05-05")];
        (frequency, ends, any::<bool>()).prop_map(|(frequency, end, timed)| {
            let mut all = details(frequency);
            all.end = end.parse().ok();
            all.execution_start = Some("03:00:00Z").filter(|_| timed).and_then(|time| time.parse().ok());
            all
        })
    };
    prop_oneof![
        (request(), details()).prop_map(|(request_id, details)| ScheduleFact::Asked { request_id, details }),
        (request(), named())
            .prop_map(|(request_id, schedule)| ScheduleFact::Created { request_id, schedule }),
        (named(), details()).prop_map(|(schedule, details)| ScheduleFact::Listed { schedule, details }),
        (request(), named())
            .prop_map(|(request_id, schedule)| ScheduleFact::DeletionAsked { request_id, schedule }),
        request().prop_map(|request_id| ScheduleFact::Deleted { request_id }),
        (named(), any::<bool>(), any::<bool>()).prop_map(|(schedule, named, first)| ScheduleFact::Removed {
            schedule,
            device: named.then(|| DeviceId::from_bytes([9; 8])),
            code: if first { "N4" } else { "N17" }.parse().unwrap(),
        }),
    ]
}

fn events() -> impl Strategy<Value = Vec<ScheduleEvent>> {
    let one = (0..40_i64, 0..3_i64, facts()).prop_map(|(seconds, late, fact)| {
        let one = event(seconds, fact);
        ScheduleEvent { recorded_at: one.recorded_at.plus_millis(late * 1_000), ..one }
    });
    proptest::collection::vec(one, 0..24)
}

fn folded<'e>(events: impl IntoIterator<Item = &'e ScheduleEvent>) -> Schedules {
    let mut all = Schedules::new(user(1));
    events.into_iter().for_each(|event| all.add(event));
    all
}

fn of_rows<'r>(rows: impl IntoIterator<Item = &'r ScheduleRow>) -> Schedules {
    let mut all = Schedules::new(user(1));
    rows.into_iter().for_each(|row| all.take(row).unwrap());
    all
}

proptest! {
    /// What is read part by part is what is read at once.
    #[test]
    fn parts_of_schedules_have_all_of_them(events in events(), of in 1_u32..6) {
        let mut found: Vec<Schedule> = Vec::new();
        for part in SchedulePart::all(NonZeroU32::new(of).unwrap()) {
            let mut some = Schedules::new(user(1));
            events.iter().for_each(|event| some.add_of_part(event, part));
            let creations = some.creations();
            events.iter().for_each(|event| some.add_of_requests(event, &creations));
            some.keep_part(part);
            let bytes = some.bytes();
            prop_assert!(bytes <= 640 * events.len(), "{bytes} bytes for {} rows", events.len());
            found.extend(some.into_all());
        }
        found.sort_by_key(|schedule| schedule.id);
        prop_assert_eq!(found, folded(&events).into_all().collect::<Vec<_>>());
    }

    /// **I1**: order, repeats and where batches are cut never matter, in memory or as rows.
    #[test]
    fn order_repeats_and_batches_never_matter(
        events in events(),
        order in proptest::collection::vec((any::<prop::sample::Index>(), 0..3_usize), 0..60),
    ) {
        let expected = folded(&events);
        let mut parts = [(); 3].map(|()| Schedules::new(user(1)));
        let mut rows: Vec<Vec<ScheduleRow>> = vec![Vec::new(); 3];
        // Each once in some part, and some of them again, in any order.
        let again = order.iter().filter(|_| !events.is_empty()).map(|(event, part)| (event.get(&events), *part));
        for (event, part) in again.chain(events.iter().rev().map(|event| (event, 1))) {
            parts[part].add(event);
            rows[part].push(row_of(event));
        }
        for [a, b, c] in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut left = parts[a].clone();
            left.merge(parts[b].clone());
            left.merge(parts[c].clone());
            let mut right = parts[b].clone();
            right.merge(parts[c].clone());
            let mut all = parts[a].clone();
            all.merge(right);
            all.merge(parts[b].clone());
            prop_assert_eq!(&left, &expected);
            prop_assert_eq!(&all, &expected);
        }
        let merged = rows.into_iter().fold(Vec::new(), merge_rows);
        prop_assert!(merged.is_sorted_by(|one, other| one < other));
        prop_assert!(expected.all().eq(expected.clone().into_all()));
        prop_assert_eq!(of_rows(&merged), expected);
    }

    #[test]
    fn rows_read_back_and_nothing_else_does(events in events()) {
        for event in &events {
            let row = row_of(event);
            prop_assert_eq!(&row.event().unwrap(), event);
            let mut bad = row.clone();
            bad.body = bad.body.iter().copied().chain([200, 0]).collect();
            prop_assert!(bad.event().is_err());
            for end in 0..row.body.len() {
                // A body cut between two values may be that of another event; within one it is none, and nothing panics.
                let _ = ScheduleRow { body: row.body[..end].into(), ..row.clone() }.event();
            }
        }
    }

    /// What goes takes nothing else with it, and does not come back: what is over is what is gone, and all others are as they were.
    #[test]
    fn what_is_over_goes_and_all_else_stays(events in events(), cut in 0..45_i64) {
        let cut: Timestamp = at(cut);
        let is_over = |schedule: &Schedule| schedule.ended_at().is_some_and(|ended| ended < cut) && schedule.recorded_at < cut;
        let all = folded(&events);
        let mut over = Over::default();
        over.add(&all, is_over, |recorded_at| recorded_at < cut);
        let left = folded(events.iter().filter(|event| !over.has(event.user, &event.fact)));
        let expected: Vec<Schedule> = all.all().filter(|schedule| !is_over(schedule)).collect();
        let found: Vec<Schedule> = left.all().collect();
        prop_assert_eq!(found, expected);
        let mut again = Over::default();
        again.add(&left, is_over, |recorded_at| recorded_at < cut);
        let gone: Vec<_> = events.iter().filter(|event| again.has(event.user, &event.fact) && !over.has(event.user, &event.fact)).collect();
        prop_assert!(gone.is_empty(), "what is over is found at once: {:?}", gone);
    }
}
