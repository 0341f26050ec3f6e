//! The reports of Devices hold what a region's inventory comes to: which Devices pertain to whom, and what each is.

use crate::it::world::*;
use gridtrail_lake::{Batch, Lake, LakeSettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_synth::{ExpectedFact, ExpectedState, InventoryState, Settings, World};
use std::collections::{BTreeMap, BTreeSet};

const PREMISES: u32 = 40;

struct Known {
    facts: Vec<ExpectedFact>,
    state: InventoryState,
    /// Who answers for each meter point, as what.
    answers: BTreeMap<Mpxn, Vec<(UserId, &'static str)>>,
}

fn known(world: &World, premises: u32) -> Known {
    let facts: Vec<ExpectedFact> =
        (0..premises).flat_map(|number| world.inventory_of(number).truth).collect();
    let mut answers: BTreeMap<Mpxn, Vec<(UserId, &'static str)>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.is_so(now())) {
        match fact.what {
            ExpectedState::Supplier(mpxn, user) => {
                answers.entry(mpxn).or_default().push((user, "Responsible Supplier"));
            }
            ExpectedState::Network(mpxn, user) => {
                answers.entry(mpxn).or_default().push((user, "Network Party"))
            }
            _ => {}
        }
    }
    Known { state: InventoryState::of(facts.iter().copied(), now()), facts, answers }
}

impl Known {
    fn mpxns_of(&self, device: DeviceId) -> BTreeSet<Mpxn> {
        let installed = self.state.installed.iter();
        installed.filter(|(_, devices)| devices.contains(&device)).map(|(mpxn, _)| *mpxn).collect()
    }

    fn around(&self, devices: &BTreeSet<DeviceId>) -> BTreeSet<DeviceId> {
        let of = |device: &DeviceId| {
            let with = self.state.associated_with(*device);
            with.into_iter().chain(self.state.associates_of(*device))
        };
        devices.iter().flat_map(of).collect()
    }

    /// The meter points where a Device is: its own, or those of the Smart Meters that are nearest by its associations, over two at most.
    fn places(&self, device: DeviceId) -> BTreeSet<Mpxn> {
        let mut outermost = BTreeSet::from([device]);
        for _ in 0..3 {
            let places: BTreeSet<Mpxn> = outermost.iter().flat_map(|one| self.mpxns_of(*one)).collect();
            if !places.is_empty() {
                return places;
            }
            outermost = self.around(&outermost);
        }
        BTreeSet::new()
    }

    /// As what a Device pertains to a User ID; empty where it does not.
    fn capacities(&self, device: DeviceId, user: UserId) -> BTreeSet<&'static str> {
        let answers = self.places(device).into_iter().filter_map(|mpxn| self.answers.get(&mpxn)).flatten();
        answers.filter(|(who, _)| *who == user).map(|(_, as_what)| *as_what).collect()
    }

    /// The meter points at which a Device is installed, or was last.
    fn last_places(&self, device: DeviceId) -> BTreeSet<Mpxn> {
        let now = self.mpxns_of(device);
        if !now.is_empty() {
            return now;
        }
        let left: Vec<(Timestamp, Mpxn)> = self
            .facts
            .iter()
            .filter_map(|fact| match fact.what {
                ExpectedState::Installed(of, mpxn) if of == device => Some((fact.until?, mpxn)),
                _ => None,
            })
            .collect();
        let last = left.iter().map(|(until, _)| *until).max();
        left.into_iter().filter(|(until, _)| Some(*until) == last).map(|(_, mpxn)| mpxn).collect()
    }

    fn status(&self, device: DeviceId) -> Option<(SmiStatus, Timestamp)> {
        self.facts.iter().filter(|fact| fact.is_so(now())).find_map(|fact| match fact.what {
            ExpectedState::Status(of, status) if of == device => Some((status, fact.from)),
            _ => None,
        })
    }
}

async fn lake(world: &World, name: &str) -> Lake {
    let settings = LakeSettings::at(format!("memory:///reports-{name}"));
    let lake = Lake::open(settings, Clock::manual(now())).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let events: Vec<_> = world.inventory_events().collect();
    for some in events.chunks(events.len() / 3 + 1) {
        writer.commit(Batch { inventory: some.to_vec(), ..Batch::default() }).await.unwrap();
    }
    lake
}

/// In the order of the capacities' names in the reports.
fn joined(capacities: &BTreeSet<&'static str>) -> String {
    let order = ["Responsible Supplier", "Network Party"];
    order.into_iter().filter(|one| capacities.contains(one)).collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_devices_hold_what_the_inventory_comes_to() {
    let settings = Settings {
        premises: PREMISES,
        users: 6,
        days: 3,
        start: at("2026-03-28T00:00:00Z"),
        ..Settings::default()
    };
    let world = World::seeded(31, settings).unwrap();
    let known = known(&world, PREMISES);
    let lake = lake(&world, "devices").await;
    let mut counts: BTreeMap<UserId, usize> = BTreeMap::new();
    known.answers.values().flatten().for_each(|(user, _)| *counts.entry(*user).or_default() += 1);
    assert!(counts.len() > 2, "{counts:?}");
    for user in counts.into_keys() {
        let who = access_of([user], 11);
        let mut expected: Vec<Vec<String>> = Vec::new();
        for (device, of) in &known.state.types {
            let capacities = known.capacities(*device, user);
            if capacities.is_empty() || *of == DeviceType::Cad {
                continue;
            }
            let status = known.status(*device).filter(|_| !of.is_type_2());
            let mpxns: Vec<String> = known.places(*device).iter().map(ToString::to_string).collect();
            expected.push(vec![
                user.to_string(),
                joined(&capacities),
                device.to_string(),
                of.to_string(),
                status.map_or_else(String::new, |(status, _)| status.to_string()),
                mpxns.join(" "),
            ]);
        }
        expected.sort_by(|one, other| (&one[3], &one[2]).cmp(&(&other[3], &other[2])));
        assert!(!expected.is_empty(), "{user}");
        let report = report("device-firmware");
        let place = |name: &str| report.columns.iter().position(|column| column.name == name).unwrap();
        let shown = ["user_id", "pertains_as", "device_id", "device_type", "smi_status", "mpxns"].map(place);
        let found = texts(&report, (&lake, &who), &[]).await;
        let found: Vec<Vec<String>> =
            found.iter().map(|row| shown.iter().map(|column| row[*column].clone()).collect()).collect();
        let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert_eq!(differs, None);
        assert_eq!(found.len(), expected.len());
        models(&lake, &who, &expected).await;
        meters(&lake, &who, &known, &expected).await;
    }
    let stranger = access_of([UserId::from_bytes([0x90, 0xB3, 9, 9, 9, 9, 9, 9])], 11);
    for name in ["installation-status", "device-firmware", "device-models", "hubs-without-devices"] {
        assert!(texts(&report(name), (&lake, &stranger), &[]).await.is_empty(), "{name}");
    }
}

/// Sums by model are those of the Devices.
async fn models(lake: &Lake, who: &gridtrail_access::Access, devices: &[Vec<String>]) {
    let report = report("device-models");
    let mut expected: BTreeMap<(String, String), u64> = BTreeMap::new();
    devices.iter().for_each(|row| *expected.entry((row[3].clone(), row[4].clone())).or_default() += 1);
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in texts(&report, (lake, who), &[]).await {
        *found.entry((row[3].clone(), row[4].clone())).or_default() += row[5].parse::<u64>().unwrap();
    }
    assert_eq!(found, expected);
}

/// Of each Smart Meter: its status and since when, its hub, and where that is.
async fn meters(lake: &Lake, who: &gridtrail_access::Access, known: &Known, devices: &[Vec<String>]) {
    let report = report("installation-status");
    let found = texts(&report, (lake, who), &[]).await;
    let is_meter = |row: &&Vec<String>| matches!(row[3].as_str(), "ESME" | "GSME");
    let mut expected: Vec<&Vec<String>> = devices.iter().filter(is_meter).collect();
    expected.sort_by_key(|row| (row[4].is_empty(), row[4].clone(), row[2].clone()));
    assert_eq!(found.len(), expected.len());
    let place = |name: &str| report.columns.iter().position(|column| column.name == name).unwrap();
    for (found, expected) in found.iter().zip(expected) {
        let device: DeviceId = expected[2].parse().unwrap();
        assert_eq!((&found[place("device_id")], &found[place("smi_status")]), (&expected[2], &expected[4]));
        let since = known.status(device).map(|(_, since)| since.millis());
        let told = &found[place("smi_status_since")];
        let told = (!told.is_empty()).then(|| told.parse::<Timestamp>().unwrap().millis());
        assert_eq!(told, since, "{device}");
        let hubs = known.around(&BTreeSet::from([device]));
        let hub = hubs.into_iter().find(|one| known.state.types.get(one) == Some(&DeviceType::Chf));
        assert_eq!(found[place("hub_device_id")], hub.map_or_else(String::new, |hub| hub.to_string()));
        let region = known.facts.iter().filter(|fact| fact.is_so(now())).find_map(|fact| match fact.what {
            ExpectedState::Region(of, region) if Some(of) == hub => Some(region.to_string()),
            _ => None,
        });
        assert_eq!(found[place("csp_region")], region.unwrap_or_default(), "{device}");
    }
    // What is chosen is a part of it.
    let electric = texts(&report, (lake, who), &[("device_type", "esme")]).await;
    let expected: Vec<_> = found.iter().filter(|row| row[place("device_type")] == "ESME").cloned().collect();
    assert_eq!(electric, expected);
}

/// A hub that was exchanged has no Device any more; it pertains to whoever answers for the meter points of those that it had last.
#[tokio::test(flavor = "multi_thread")]
async fn hubs_without_devices_are_those_that_were_exchanged() {
    let settings = Settings {
        premises: 400,
        users: 6,
        days: 3,
        start: at("2026-03-28T00:00:00Z"),
        ..Settings::default()
    };
    let world = World::seeded(33, settings).unwrap();
    let known = known(&world, 400);
    let lake = lake(&world, "hubs").await;
    let is_now = |fact: &&ExpectedFact| fact.is_so(now());
    let attached: BTreeSet<DeviceId> = known
        .facts
        .iter()
        .filter(is_now)
        .filter_map(|fact| match fact.what {
            ExpectedState::Associated(device, with) => Some([device, with]),
            _ => None,
        })
        .flatten()
        .collect();
    let of = |device: &DeviceId| known.state.types.get(device).copied();
    let hubs: Vec<DeviceId> =
        known.state.types.keys().copied().filter(|one| of(one) == Some(DeviceType::Chf)).collect();
    let mut expected: BTreeMap<UserId, Vec<(String, String, String)>> = BTreeMap::new();
    for hub in hubs.into_iter().filter(|hub| !attached.contains(hub)) {
        let parted: Vec<(Timestamp, DeviceId)> = known
            .facts
            .iter()
            .filter_map(|fact| match fact.what {
                ExpectedState::Associated(device, with) if device == hub => Some((fact.until?, with)),
                ExpectedState::Associated(device, with) if with == hub => Some((fact.until?, device)),
                _ => None,
            })
            .filter(|(_, device)| of(device) != Some(DeviceType::Gpf))
            .collect();
        let Some(since) = parted.iter().map(|(until, _)| *until).max() else { continue };
        let last: BTreeSet<DeviceId> =
            parted.iter().filter(|(until, _)| *until == since).map(|(_, device)| *device).collect();
        let places = last.iter().flat_map(|device| known.last_places(*device));
        let answers = places.filter_map(|mpxn| known.answers.get(&mpxn)).flatten();
        let mut users: BTreeMap<UserId, BTreeSet<&'static str>> = BTreeMap::new();
        answers.for_each(|(user, as_what)| {
            users.entry(*user).or_default().insert(*as_what);
        });
        for (user, capacities) in users {
            let row = (hub.to_string(), joined(&capacities), since.millis().to_string());
            expected.entry(user).or_default().push(row);
        }
    }
    assert!(expected.len() > 1, "{expected:?}");
    let report = report("hubs-without-devices");
    let place = |name: &str| report.columns.iter().position(|column| column.name == name).unwrap();
    let shown = ["device_id", "pertains_as", "unattached_since"].map(place);
    for user in known.answers.values().flatten().map(|(user, _)| *user).collect::<BTreeSet<_>>() {
        let who = access_of([user], 11);
        let mut found: Vec<(String, String, String)> = texts(&report, (&lake, &who), &[])
            .await
            .iter()
            .map(|row| {
                let since: Timestamp = row[shown[2]].parse().unwrap();
                (row[shown[0]].clone(), row[shown[1]].clone(), since.millis().to_string())
            })
            .collect();
        found.sort();
        let mut expected = expected.remove(&user).unwrap_or_default();
        expected.sort();
        assert_eq!(found, expected, "{user}");
        let old = texts(&report, (&lake, &who), &[("days_min", "36500")]).await;
        assert!(old.is_empty());
    }
}
