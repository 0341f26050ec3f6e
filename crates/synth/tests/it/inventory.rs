//! The inventory of a region, folded, is what its truth says: nothing too many, nothing too few.

use crate::it::region;
use gridtrail_inventory::{InventoryEvent, InventoryFragment, InventoryStatement, InventoryView, Period};
use gridtrail_model::{DeviceId, DeviceType, Merge, Named, Timestamp};
use gridtrail_synth::{ExpectedFact, ExpectedState, World};
use std::collections::{BTreeMap, BTreeSet};

const HOUSEHOLDS: u32 = 400;

fn world(seed: u64) -> World {
    // Enough premises for everything to come about.
    region(seed, 1_000_000, 10)
}

/// Fragments of all that the events are about, from batches of this size, in this order.
fn folded(events: &[InventoryEvent], batch: usize) -> BTreeMap<Named, InventoryFragment> {
    let mut all: BTreeMap<Named, InventoryFragment> = BTreeMap::new();
    for batch in events.chunks(batch) {
        let mut parts: BTreeMap<Named, InventoryFragment> = BTreeMap::new();
        for event in batch {
            for named in event.about() {
                parts.entry(named).or_insert_with(|| InventoryFragment::new(named)).add(event.clone());
            }
        }
        for (named, part) in parts {
            match all.get_mut(&named) {
                Some(known) => known.merge(part),
                None => drop(all.insert(named, part)),
            }
        }
    }
    all
}

fn periods<T: Copy>(
    found: &mut BTreeSet<ExpectedFact>,
    periods: &[Period<T>],
    what: impl Fn(T) -> ExpectedState,
) {
    let of = |period: &Period<T>| ExpectedFact {
        what: what(period.value),
        from: period.from,
        until: period.until,
    };
    found.extend(periods.iter().map(of));
}

/// Everything that is known of a Device or meter point, as spans of effective time.
fn known(about: Named, view: &InventoryView<'_>) -> BTreeSet<ExpectedFact> {
    let mut found = BTreeSet::new();
    match about {
        Named::Device(device) => {
            periods(&mut found, view.smi_statuses().periods(), |status| {
                ExpectedState::Status(device, status)
            });
            periods(&mut found, view.regions().periods(), |region| ExpectedState::Region(device, region));
            for (mpxn, when) in view.installations() {
                periods(&mut found, when.periods(), |()| ExpectedState::Installed(device, mpxn));
            }
            for (with, when) in view.associated_with() {
                periods(&mut found, when.periods(), |()| ExpectedState::Associated(device, with));
            }
            for (other, when) in view.associated() {
                periods(&mut found, when.periods(), |()| ExpectedState::Associated(other, device));
            }
        }
        Named::Mpxn(mpxn) => {
            periods(&mut found, view.registered(|data| data.uprn).periods(), |uprn| {
                ExpectedState::Uprn(mpxn, uprn)
            });
            let postcodes = view.registered(|data| data.postcode);
            periods(&mut found, postcodes.periods(), |postcode| ExpectedState::Postcode(mpxn, postcode));
            let suppliers = view.registered(|data| data.responsible_supplier);
            periods(&mut found, suppliers.periods(), |user| ExpectedState::Supplier(mpxn, user));
            let networks = view.registered(|data| data.network_party);
            periods(&mut found, networks.periods(), |user| ExpectedState::Network(mpxn, user));
            for (device, when) in view.devices() {
                periods(&mut found, when.periods(), |()| ExpectedState::Installed(device, mpxn));
            }
        }
    }
    found
}

#[test]
fn every_household_is_known_as_it_must_be() {
    let world = world(3);
    let mut events: Vec<InventoryEvent> = Vec::new();
    let mut truth: BTreeSet<ExpectedFact> = BTreeSet::new();
    for number in 0..HOUSEHOLDS {
        let household = world.inventory_of(number);
        events.extend(household.events);
        let of_types = |fact: &ExpectedFact| matches!(fact.what, ExpectedState::Type(..));
        truth.extend(household.truth.into_iter().filter(|fact| !of_types(fact)));
    }
    // In the order of nobody, some twice.
    let again: Vec<InventoryEvent> = events.iter().step_by(7).cloned().collect();
    events.extend(again);
    events.sort_by_key(|event| event.id.as_str().bytes().rev().collect::<Vec<_>>());
    let fragments = folded(&events, 97);
    let found: BTreeSet<ExpectedFact> =
        fragments.iter().flat_map(|(about, fragment)| known(*about, &fragment.known())).collect();
    let few: Vec<_> = truth.difference(&found).take(3).collect();
    let many: Vec<_> = found.difference(&truth).take(3).collect();
    assert!(few.is_empty() && many.is_empty(), "too few: {few:#?}\ntoo many: {many:#?}");
    assert!(truth.len() > 10_000, "{} facts", truth.len());
}

/// Every kind of change is there, and every Device of a household is in its inventory with its type.
#[test]
fn everything_that_may_become_of_a_household_does() {
    let world = world(4);
    let (mut exchanged, mut moved, mut removed, mut withdrawn, mut corrected, mut without_uprn) =
        (0, 0, 0, 0, 0, 0);
    let mut by_uprn: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for number in 0..HOUSEHOLDS {
        let household = world.household(number);
        let inventory = world.inventory_of(number);
        assert_eq!(inventory, world.inventory_of(number), "a function of its number");
        assert!(inventory.events.is_sorted_by_key(|event| event.recorded_at));
        let truth = &inventory.truth;
        let typed =
            |of| truth.iter().any(|fact| matches!(fact.what, ExpectedState::Type(device, _) if device == of));
        assert!(household.devices().all(typed));
        let end = world.settings().end();
        assert!(truth.iter().all(|fact| fact.from < end && fact.until.is_none_or(|until| until < end)));
        assert!(inventory.events.iter().all(|event| event.recorded_at < end));
        let serving = |of: gridtrail_model::Mpxn| {
            let at = truth
                .iter()
                .filter(|fact| matches!(fact.what, ExpectedState::Installed(_, mpxn) if mpxn == of));
            at.filter(|fact| fact.until.is_none()).count()
        };
        assert_eq!(serving(household.electricity.mpxn), 1);
        let count = |is: fn(&ExpectedState) -> bool| truth.iter().filter(|fact| is(&fact.what)).count();
        exchanged += usize::from(count(|what| matches!(what, ExpectedState::Type(_, DeviceType::Esme))) > 1);
        moved += usize::from(count(|what| matches!(what, ExpectedState::Type(_, DeviceType::Chf))) > 1);
        let uprns = truth.iter().filter_map(|fact| match fact.what {
            ExpectedState::Uprn(_, uprn) => Some(uprn),
            _ => None,
        });
        let uprns: BTreeSet<_> = uprns.collect();
        without_uprn += usize::from(uprns.is_empty());
        for uprn in uprns {
            by_uprn.entry(uprn).or_default().insert(number);
        }
        for event in &inventory.events {
            match &event.told {
                InventoryStatement::Withdrawal(_) => withdrawn += 1,
                InventoryStatement::Fact(stated) => {
                    corrected += usize::from(stated.corrects.is_some());
                    removed += usize::from(matches!(
                        stated.fact,
                        gridtrail_inventory::InventoryFact::DeviceRemoved { .. }
                    ));
                }
            }
        }
    }
    let shared = by_uprn.values().filter(|households| households.len() > 1).count();
    let counts = [exchanged, moved, removed, withdrawn, corrected, without_uprn, shared];
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Some of each change take effect in the run, late and corrected facts come in it, and what is sent goes to the Device that is installed when it is
/// sent, from who supplies then.
#[test]
fn what_changes_in_the_run_changes_what_is_sent() {
    let world = world(6);
    let (start, end) = (world.settings().start, world.settings().end());
    let within = |at: Timestamp| start <= at && at < end;
    // Of each meter, hub and proxy when it served; of each meter point its exchanges.
    let mut served: BTreeMap<DeviceId, (Timestamp, Option<Timestamp>)> = BTreeMap::new();
    let (mut exchanged, mut swapped, mut switched, mut rejoined, mut late, mut corrected) =
        (0, 0, 0, 0, 0, 0);
    for number in 0..world.settings().premises {
        let (at_first, at_last) = (world.household_at(number, start), world.household_at(number, end));
        assert_eq!(at_last, world.household(number));
        exchanged += usize::from(at_first.electricity.device_id != at_last.electricity.device_id);
        swapped += usize::from(at_first.hub != at_last.hub);
        switched += usize::from(at_first.electricity.supplier != at_last.electricity.supplier);
        let inventory = world.inventory_of(number);
        for fact in &inventory.truth {
            match fact.what {
                ExpectedState::Installed(device, _) => drop(served.insert(device, (fact.from, fact.until))),
                ExpectedState::Associated(device, _) if Some(device) == at_first.ppmid => {
                    rejoined += usize::from(fact.until.is_some_and(within));
                }
                _ => {}
            }
        }
        for event in inventory.events.iter().filter(|event| within(event.recorded_at)) {
            let InventoryStatement::Fact(stated) = &event.told else { continue };
            corrected += usize::from(stated.corrects.is_some());
            late += usize::from(event.recorded_at > stated.effective.from().plus_millis(24 * 3_600_000));
        }
    }
    let counts = [exchanged, swapped, switched, rejoined, late, corrected];
    println!("{} premises: {counts:?}", world.settings().premises);
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");

    let (mut of_former, mut of_present, mut after) = (0_u32, 0_u32, 0_u32);
    for trail in world.truth() {
        let Some((from, until)) = trail.device_id.and_then(|device| served.get(&device)) else { continue };
        assert!(*from <= trail.received_at, "{trail:?} is of a Device that had not come yet");
        of_present += u32::from(within(*from));
        if let Some(until) = until {
            of_former += u32::from(trail.received_at < *until);
            // A schedule, a sequence or a future-dated request that was under way.
            after += u32::from(trail.received_at >= *until);
        }
    }
    println!(
        "{of_former} rows of meters that were exchanged since, {of_present} of new ones, {after} under way"
    );
    assert!(of_former > 500 && of_present > 500, "{of_former} {of_present}");
    assert!(after * 20 < of_former, "{after} of {of_former}");
}
