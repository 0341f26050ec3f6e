//! **I1**: merging is commutative, associative and idempotent, of fragments, rows and what is pending alike; and every row reads
//! back.

use crate::it::at;
use crate::it::pending::part;
use crate::it::world::{Chance, all_named, world};
use gridtrail_inventory::{
    Intervals, InventoryEvent, InventoryFragment, InventoryKey, InventoryRow, InventoryRowContent,
    InventoryRowKind, InventoryStatement, merge_rows, rows_of, rows_of_pending,
};
use gridtrail_model::{DeviceId, Merge, Mpxn, Named, Postcode, Timestamp, Uprn};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Hours in which something happens in a world.
const HOURS: i64 = 12;

fn events() -> impl Strategy<Value = Vec<InventoryEvent>> {
    any::<u64>().prop_map(|seed| world(&mut Chance(seed), 20))
}

fn fragment(events: &[InventoryEvent], about: Named) -> InventoryFragment {
    let mut fragment = InventoryFragment::new(about);
    for event in events {
        fragment.add(event.clone());
    }
    fragment
}

fn merged(mut one: InventoryFragment, other: InventoryFragment) -> InventoryFragment {
    one.merge(other);
    one
}

fn rows(events: &[InventoryEvent]) -> Vec<InventoryRow> {
    merge_rows(events.iter().flat_map(rows_of).collect(), Vec::new())
}

proptest! {
    #[test]
    fn merging_is_a_union(one in events(), two in events(), three in events()) {
        for about in all_named() {
            let [one, two, three] = [&one, &two, &three].map(|events| fragment(events, about));
            let both = merged(one.clone(), two.clone());
            prop_assert_eq!(&both, &merged(two.clone(), one.clone()));
            prop_assert_eq!(&both, &merged(both.clone(), two.clone()));
            prop_assert_eq!(&one, &merged(one.clone(), one.clone()));
            prop_assert_eq!(merged(both, three.clone()), merged(one, merged(two, three)));
        }
    }

    /// What is asked for a time at once is what is asked for each instant of it, as known at any time.
    #[test]
    fn what_was_so_between_two_times_is_what_was_so_at_each(
        events in events(),
        about in any::<prop::sample::Index>(),
        recorded in 0..HOURS,
        from in prop::option::of(0..HOURS),
        to in prop::option::of(0..HOURS),
    ) {
        let (from, to) = (from.map(at), to.map(at));
        let dates = Intervals::between(from, to);
        let within = |at: Timestamp| from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to);
        let all = all_named();
        let about = all[about.index(all.len())];
        let fragment = fragment(&events, about);
        let view = fragment.known_at(at(recorded));
        let (devices, associates) = (view.devices_within(&dates), view.associates_within(&dates));
        prop_assert!(devices.values().chain(associates.values()).all(|when| !when.is_never()));
        let mut uprns = BTreeSet::new();
        // At each time when something may change, just before, and just after.
        for instant in (-1..=HOURS).flat_map(|hour| [-1, 0, 1].map(|ms| at(hour).plus_millis(ms))) {
            let those = |all: &BTreeMap<DeviceId, Intervals>| -> BTreeSet<DeviceId> {
                all.iter().filter(|(_, when)| when.contains(instant)).map(|(device, _)| *device).collect()
            };
            let (mut installed, mut related) = (BTreeSet::new(), BTreeSet::new());
            if let Some(state) = view.meter_point_at(instant).filter(|_| within(instant)) {
                installed.extend(state.devices);
                uprns.extend(state.registration.uprn.value().copied());
                for uprn in &uprns {
                    let has_it = state.registration.uprn.value() == Some(uprn);
                    prop_assert_eq!(view.uprn_within(*uprn, &dates).contains(instant), has_it);
                }
            }
            if let Some(state) = view.device_at(instant).filter(|_| within(instant)) {
                related.extend(state.associated.into_iter().chain(state.associated_with));
            }
            if matches!(about, Named::Mpxn(_)) {
                prop_assert_eq!(those(&devices), installed, "{} as known at {}", instant, recorded);
            }
            prop_assert_eq!(those(&associates), related, "{} as known at {}", instant, recorded);
        }
    }

    #[test]
    fn an_event_is_new_once(events in events()) {
        for about in all_named() {
            let mut fragment = InventoryFragment::new(about);
            for event in &events {
                let known = fragment.events().contains(event) || !event.about().contains(&about);
                prop_assert_eq!(fragment.add(event.clone()), !known);
            }
            prop_assert!(fragment.events().is_sorted_by(|one, next| one < next));
            prop_assert!(events.iter().all(|event| !fragment.add(event.clone())));
        }
    }

    #[test]
    fn merging_rows_is_a_union(one in events(), two in events()) {
        let (one, two) = (rows(&one), rows(&two));
        let both = merge_rows(one.clone(), two.clone());
        prop_assert_eq!(&both, &merge_rows(two.clone(), one));
        prop_assert_eq!(&both, &merge_rows(both.clone(), two));
        prop_assert!(both.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn every_row_reads_back(events in events()) {
        for event in &events {
            let rows = rows_of(event);
            let keys: Vec<InventoryKey> = event.about().into_iter().map(InventoryKey::from).collect();
            for row in &rows {
                prop_assert_eq!(InventoryKey::from_bytes(row.key.to_bytes()), Some(row.key));
                prop_assert_eq!(InventoryRowKind::from_number(row.kind.number()), Some(row.kind));
                match row.content().unwrap() {
                    InventoryRowContent::Event(read) => {
                        prop_assert_eq!(read.as_ref(), event);
                        prop_assert!(keys.contains(&row.key));
                    }
                    InventoryRowContent::LeadsTo(mpxn) => prop_assert_eq!(keys.as_slice(), [InventoryKey::Mpxn(mpxn)]),
                    other => prop_assert!(false, "{other:?} of an event"),
                }
            }
            prop_assert!(keys.iter().all(|key| rows.iter().filter(|row| row.key == *key).count() == 1));
        }
    }

    /// Whatever stands in a row, reading it gives an answer and no panic; and what is read writes the same row.
    #[test]
    fn no_row_panics(
        events in events(),
        pending in prop::collection::vec(part(), 0..3),
        key in prop::option::of(any::<[u8; 9]>()),
        kind in prop::option::of(0_u8..14),
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..24)),
        change in any::<(prop::sample::Index, u8)>(),
    ) {
        for event in &events {
            for mut row in rows_of(event).into_iter().chain(pending.iter().flat_map(rows_of_pending)) {
                row.key = key.and_then(InventoryKey::from_bytes).unwrap_or(row.key);
                row.kind = kind.and_then(InventoryRowKind::from_number).unwrap_or(row.kind);
                if let Some(body) = &body {
                    row.body = body.clone().into_boxed_slice();
                } else if !row.body.is_empty() {
                    let at = change.0.index(row.body.len());
                    row.body[at] = change.1;
                }
                if let Ok(InventoryRowContent::Event(read)) = row.content()
                    && matches!(read.told, InventoryStatement::Fact(_))
                {
                    let key = row.key;
                    prop_assert!(rows_of(&read).iter().any(|again| again.key == key));
                }
            }
        }
    }

    /// The order of keys is that of their bytes, which is what a table sorts by.
    #[test]
    fn keys_are_sorted_as_their_bytes(one in key(), other in key()) {
        prop_assert_eq!(one.cmp(&other), one.to_bytes().cmp(&other.to_bytes()));
        prop_assert_eq!(InventoryKey::from_bytes(one.to_bytes()), Some(one));
    }
}

fn key() -> impl Strategy<Value = InventoryKey> {
    prop_oneof![
        any::<[u8; 8]>().prop_map(|bytes| InventoryKey::Device(gridtrail_model::DeviceId::from_bytes(bytes))),
        "[0-9]{6,10}|[0-9]{13}".prop_map(|text| InventoryKey::Mpxn(text.parse::<Mpxn>().unwrap())),
        (1_u64..1_000_000_000_000).prop_map(|number| InventoryKey::Uprn(Uprn::from_number(number).unwrap())),
        "[A-PR-UWYZ][1-9][0-9]? [0-9][ABD-HJLNP-UW-Z]{2}"
            .prop_map(|text| InventoryKey::Postcode(text.parse::<Postcode>().unwrap())),
        any::<u64>().prop_map(InventoryKey::Request),
    ]
}
