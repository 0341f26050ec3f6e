//! A generated region: every search finds what its truth says, no Device too many and none too few.

use super::*;
use gridtrail_synth::{InventoryState, Settings, World};
use std::collections::{BTreeMap, BTreeSet};

const HOUSEHOLDS: u32 = 48;

/// The groups around a Device, by the words of H8.16(a)(i).
fn groups(truth: &InventoryState, device: DeviceId, all: bool) -> BTreeMap<DeviceId, BTreeSet<Group>> {
    let second = truth.associates_of(device);
    let third: BTreeSet<DeviceId> = second.iter().flat_map(|one| truth.associates_of(*one)).collect();
    let inner = second.iter().chain(&third).chain([&device]);
    let fourth: BTreeSet<DeviceId> = inner.flat_map(|one| truth.associated_with(*one)).collect();
    let mut groups: BTreeMap<DeviceId, BTreeSet<Group>> = BTreeMap::new();
    for (group, members) in [(Group::II, second), (Group::III, third), (Group::IV, fourth)] {
        for member in members.into_iter().filter(|member| *member != device && truth.is_shown(*member, all)) {
            groups.entry(member).or_default().insert(group);
        }
    }
    groups
}

/// A region's inventory, and its truth at an instant when all of it is known.
fn region(at: Timestamp) -> (FakeInventory, InventoryState) {
    let world = World::seeded(5, Settings::for_events(1_000_000, 10)).unwrap();
    let (mut events, mut facts) = (Vec::new(), Vec::new());
    for number in 0..HOUSEHOLDS {
        let household = world.inventory_of(number);
        events.extend(household.events);
        facts.extend(household.truth);
    }
    assert!(events.iter().all(|event| event.recorded_at <= at), "all of it is known");
    let inventory = FakeInventory::default();
    inventory.tell(events, at);
    (inventory, InventoryState::of(facts, at))
}

fn at() -> Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn every_key_finds_what_the_truth_says() {
    let (inventory, truth) = region(at());
    let search = search_over(&inventory, &Clock::manual(at()));
    let who = access_with("ann", &[1], at());
    let mut cases = 0;
    let mut check = async |keys: InventoryKeys, mpxns: &BTreeSet<Mpxn>| {
        for all in [false, true] {
            let query = InventoryQuery {
                keys: keys.clone(),
                include_not_commissioned: all,
                page_size: Some(1000),
                ..InventoryQuery::default()
            };
            let page = search.search(&who, &query).await.unwrap();
            let found: Vec<DeviceId> = page.devices.iter().map(|row| row.device).collect();
            assert_eq!(found, truth.listed(mpxns, all), "{keys:?}");
            for row in &page.devices {
                let of = truth.types[&row.device];
                let status = truth.statuses.get(&row.device).filter(|_| !of.is_type_2());
                assert_eq!((row.device_type, row.smi_status.as_ref()), (Some(of), status), "{row:?}");
                let installed: BTreeSet<Mpxn> =
                    row.premises.iter().filter(|one| one.through.is_none()).map(|one| one.mpxn).collect();
                let expected = truth.installed.iter().filter(|(_, devices)| devices.contains(&row.device));
                assert_eq!(installed, expected.map(|(mpxn, _)| *mpxn).collect(), "{row:?}");
            }
            cases += 1;
        }
    };
    for mpxn in truth.installed.keys() {
        let keys = InventoryKeys { mpxn: Some(*mpxn), ..InventoryKeys::default() };
        check(keys, &BTreeSet::from([*mpxn])).await;
    }
    for (uprn, mpxns) in &truth.uprns {
        check(InventoryKeys { uprn: Some(*uprn), ..InventoryKeys::default() }, mpxns).await;
    }
    for (postcode, mpxns) in &truth.postcodes {
        let key = PostcodeKey { postcode: *postcode, property: None };
        check(InventoryKeys { postcode: Some(key), ..InventoryKeys::default() }, mpxns).await;
    }
    assert!(cases > 200, "{cases}");
}

#[tokio::test]
async fn every_device_has_the_groups_that_the_truth_says() {
    let (inventory, truth) = region(at());
    let search = search_over(&inventory, &Clock::manual(at()));
    let who = access_with("ann", &[1], at());
    let mut others = 0;
    for (device, of) in &truth.types {
        // A display that went was removed, which its truth does not say.
        if of.is_type_2() && truth.associated_with(*device).is_empty() {
            continue;
        }
        for all in [false, true] {
            let keys = InventoryKeys { device: Some(*device), ..InventoryKeys::default() };
            let query = InventoryQuery { keys, include_not_commissioned: all, ..InventoryQuery::default() };
            let page = search.devices(&who, &query).await.unwrap();
            assert_eq!(page.devices.len(), usize::from(truth.is_shown(*device, all)), "{device}");
            let Some(found) = page.devices.first() else { continue };
            let around: BTreeMap<DeviceId, BTreeSet<Group>> =
                found.others.iter().map(|other| (other.device.device, other.groups.clone())).collect();
            assert_eq!(around, groups(&truth, *device, all), "{device}");
            let shown = |devices: BTreeSet<DeviceId>| -> Vec<DeviceId> {
                devices.into_iter().filter(|one| truth.is_shown(*one, all)).collect()
            };
            let listed = |related: &[RelatedDevice]| related.iter().map(|one| one.device).collect::<Vec<_>>();
            assert_eq!(listed(&found.device.associated), shown(truth.associates_of(*device)), "{device}");
            assert_eq!(
                listed(&found.device.associated_with),
                shown(truth.associated_with(*device)),
                "{device}"
            );
            others += around.len();
        }
    }
    assert!(others > 200, "{others}");
}
