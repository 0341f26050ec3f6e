//! A generated region: every search finds what its truth says, no Device too many and none too few.

use super::*;
use gridtrail_model::{Postcode, Uprn};
use gridtrail_synth::{ExpectedState, Settings, World};
use std::collections::{BTreeMap, BTreeSet};

const HOUSEHOLDS: u32 = 48;

/// What the truth of a region says of an instant, once all is known.
#[derive(Default)]
struct Truth {
    types: BTreeMap<DeviceId, DeviceType>,
    statuses: BTreeMap<DeviceId, SmiStatus>,
    installed: BTreeMap<Mpxn, BTreeSet<DeviceId>>,
    /// Each Device with what it is Associated with.
    associated: BTreeSet<(DeviceId, DeviceId)>,
    uprns: BTreeMap<Uprn, BTreeSet<Mpxn>>,
    postcodes: BTreeMap<Postcode, BTreeSet<Mpxn>>,
}

impl Truth {
    fn with(&self, device: DeviceId) -> BTreeSet<DeviceId> {
        self.associated.iter().filter(|(one, _)| *one == device).map(|(_, with)| *with).collect()
    }

    fn of(&self, device: DeviceId) -> BTreeSet<DeviceId> {
        self.associated.iter().filter(|(_, with)| *with == device).map(|(one, _)| *one).collect()
    }

    fn is_shown(&self, device: DeviceId, all: bool) -> bool {
        let is_display = self.types.get(&device) == Some(&DeviceType::Ihd);
        all || is_display || self.statuses.get(&device) == Some(&SmiStatus::Commissioned)
    }

    /// What a search by premises shows of some meter points.
    fn listed(&self, mpxns: &BTreeSet<Mpxn>, all: bool) -> Vec<DeviceId> {
        let meters: BTreeSet<DeviceId> =
            mpxns.iter().filter_map(|mpxn| self.installed.get(mpxn)).flatten().copied().collect();
        let around = meters.iter().flat_map(|meter| self.with(*meter).into_iter().chain(self.of(*meter)));
        let found: BTreeSet<DeviceId> = around.chain(meters.iter().copied()).collect();
        found.into_iter().filter(|device| self.is_shown(*device, all)).collect()
    }

    /// The groups around a Device, by the words of H8.16(a)(i).
    fn groups(&self, device: DeviceId, all: bool) -> BTreeMap<DeviceId, BTreeSet<Group>> {
        let second = self.of(device);
        let third: BTreeSet<DeviceId> = second.iter().flat_map(|one| self.of(*one)).collect();
        let inner = second.iter().chain(&third).chain([&device]);
        let fourth: BTreeSet<DeviceId> = inner.flat_map(|one| self.with(*one)).collect();
        let mut groups: BTreeMap<DeviceId, BTreeSet<Group>> = BTreeMap::new();
        for (group, members) in [(Group::II, second), (Group::III, third), (Group::IV, fourth)] {
            for member in
                members.into_iter().filter(|member| *member != device && self.is_shown(*member, all))
            {
                groups.entry(member).or_default().insert(group);
            }
        }
        groups
    }
}

/// A region's inventory, and its truth at an instant when all of it is known.
fn region(at: Timestamp) -> (FakeInventory, Truth) {
    let world = World::seeded(5, Settings::for_events(1_000_000, 10)).unwrap();
    let (inventory, mut truth, mut events) = (FakeInventory::default(), Truth::default(), Vec::new());
    for number in 0..HOUSEHOLDS {
        let household = world.inventory_of(number);
        events.extend(household.events);
        let is_so = |from, until: Option<Timestamp>| from <= at && until.is_none_or(|until| at < until);
        for fact in household.truth.into_iter().filter(|fact| is_so(fact.from, fact.until)) {
            match fact.what {
                ExpectedState::Type(device, of) => drop(truth.types.insert(device, of)),
                ExpectedState::Status(device, status) => drop(truth.statuses.insert(device, status)),
                ExpectedState::Installed(device, mpxn) => {
                    truth.installed.entry(mpxn).or_default().insert(device);
                }
                ExpectedState::Associated(device, with) => {
                    truth.associated.insert((device, with));
                }
                ExpectedState::Uprn(mpxn, uprn) => {
                    truth.uprns.entry(uprn).or_default().insert(mpxn);
                }
                ExpectedState::Postcode(mpxn, postcode) => {
                    truth.postcodes.entry(postcode).or_default().insert(mpxn);
                }
                ExpectedState::Region(..) | ExpectedState::Supplier(..) | ExpectedState::Network(..) => {}
            }
        }
    }
    assert!(events.iter().all(|event| event.recorded_at <= at), "all of it is known");
    inventory.tell(events, at);
    (inventory, truth)
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
        if of.is_type_2() && truth.with(*device).is_empty() {
            continue;
        }
        for all in [false, true] {
            let keys = InventoryKeys { device: Some(*device), ..InventoryKeys::default() };
            let query = InventoryQuery { keys, include_not_commissioned: all, ..InventoryQuery::default() };
            let page = search.devices(&who, &query).await.unwrap();
            assert_eq!(page.devices.len(), usize::from(truth.is_shown(*device, all)), "{device}");
            let Some(found) = page.devices.first() else { continue };
            let groups: BTreeMap<DeviceId, BTreeSet<Group>> =
                found.others.iter().map(|other| (other.device.device, other.groups.clone())).collect();
            assert_eq!(groups, truth.groups(*device, all), "{device}");
            let shown = |devices: BTreeSet<DeviceId>| -> Vec<DeviceId> {
                devices.into_iter().filter(|one| truth.is_shown(*one, all)).collect()
            };
            let listed = |related: &[RelatedDevice]| related.iter().map(|one| one.device).collect::<Vec<_>>();
            assert_eq!(listed(&found.device.associated), shown(truth.of(*device)), "{device}");
            assert_eq!(listed(&found.device.associated_with), shown(truth.with(*device)), "{device}");
            others += groups.len();
        }
    }
    assert!(others > 200, "{others}");
}
