//! The reports of Devices hold what a region's inventory comes to: which Devices pertain to whom, and what each is.

use crate::it::world::*;
use gridtrail_lake::{Batch, Lake, LakeSettings};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_synth::{ExpectedFact, ExpectedState, InventoryState, Settings, World};
use std::collections::{BTreeMap, BTreeSet};

const PREMISES: u32 = 40;

pub(crate) struct Known {
    at: Timestamp,
    facts: Vec<ExpectedFact>,
    state: InventoryState,
    /// Who answers for each meter point, as what.
    answers: BTreeMap<Mpxn, Vec<(UserId, &'static str)>>,
}

/// What must be known of a region's inventory at a time.
pub(crate) fn known(world: &World, premises: u32, at: Timestamp) -> Known {
    let facts: Vec<ExpectedFact> =
        (0..premises).flat_map(|number| world.inventory_of(number).truth).collect();
    let mut answers: BTreeMap<Mpxn, Vec<(UserId, &'static str)>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.is_so(at)) {
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
    Known { at, state: InventoryState::of(facts.iter().copied(), at), facts, answers }
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

    /// What the firmware report says of each Device that pertains to a User ID, in its order: of the columns that `DEVICE_COLUMNS` names.
    pub(crate) fn devices_of(&self, user: UserId) -> Vec<Vec<String>> {
        let mut devices: Vec<Vec<String>> = Vec::new();
        for (device, of) in &self.state.types {
            let capacities = self.capacities(*device, user);
            if capacities.is_empty() || *of == DeviceType::Cad {
                continue;
            }
            let status = self.status(*device).filter(|_| !of.is_type_2());
            let mpxns: Vec<String> = self.places(*device).iter().map(ToString::to_string).collect();
            devices.push(vec![
                user.to_string(),
                joined(&capacities),
                device.to_string(),
                of.to_string(),
                status.map_or_else(String::new, |(status, _)| status.to_string()),
                mpxns.join(" "),
            ]);
        }
        devices.sort_by(|one, other| (&one[3], &one[2]).cmp(&(&other[3], &other[2])));
        devices
    }

    fn status(&self, device: DeviceId) -> Option<(SmiStatus, Timestamp)> {
        self.facts.iter().filter(|fact| fact.is_so(self.at)).find_map(|fact| match fact.what {
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
    let known = known(&world, PREMISES, now());
    let lake = lake(&world, "devices").await;
    let mut counts: BTreeMap<UserId, usize> = BTreeMap::new();
    known.answers.values().flatten().for_each(|(user, _)| *counts.entry(*user).or_default() += 1);
    assert!(counts.len() > 2, "{counts:?}");
    for user in counts.into_keys() {
        assert!(!known.devices_of(user).is_empty(), "{user}");
        devices((&lake, &access_of([user], 11), now()), &known, &BTreeSet::from([user])).await;
    }
    let stranger = access_of([UserId::from_bytes([0x90, 0xB3, 9, 9, 9, 9, 9, 9])], 11);
    for name in ["installation-status", "device-firmware", "device-models", "hubs-without-devices"] {
        assert!(texts(&report(name), (&lake, &stranger), &[]).await.is_empty(), "{name}");
    }
}

/// The three reports of Devices, as a caller who sees these User IDs gets them.
pub(crate) async fn devices(
    of: (&Lake, &gridtrail_access::Access, Timestamp),
    known: &Known,
    users: &BTreeSet<UserId>,
) {
    let expected: Vec<Vec<String>> = users.iter().flat_map(|user| known.devices_of(*user)).collect();
    let found = shown(&report("device-firmware"), of, &DEVICE_COLUMNS).await;
    let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(differs, None);
    assert_eq!(found.len(), expected.len());
    models(of, &expected).await;
    meters(of, known, &expected).await;
}

const DEVICE_COLUMNS: [&str; 6] =
    ["user_id", "pertains_as", "device_id", "device_type", "smi_status", "mpxns"];

/// Some columns of a report.
async fn shown(
    report: &gridtrail_reports::Report,
    of: (&Lake, &gridtrail_access::Access, Timestamp),
    columns: &[&str],
) -> Vec<Vec<String>> {
    let place = |name: &&str| report.columns.iter().position(|column| column.name == *name).unwrap();
    let places: Vec<usize> = columns.iter().map(place).collect();
    let rows = texts_at(report, of, &[]).await;
    rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect()
}

/// Sums by model are those of the Devices.
async fn models(of: (&Lake, &gridtrail_access::Access, Timestamp), devices: &[Vec<String>]) {
    let mut expected: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for row in devices {
        *expected.entry([0, 3, 4].map(|column| row[column].clone()).to_vec()).or_default() += 1;
    }
    let mut found: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    let columns = ["user_id", "device_type", "smi_status", "devices"];
    for row in shown(&report("device-models"), of, &columns).await {
        *found.entry(row[..3].to_vec()).or_default() += row[3].parse::<u64>().unwrap();
    }
    assert_eq!(found, expected);
}

/// Of each Smart Meter: its status and since when, its hub, and where that is.
async fn meters(of: (&Lake, &gridtrail_access::Access, Timestamp), known: &Known, devices: &[Vec<String>]) {
    let report = report("installation-status");
    let found = texts_at(&report, of, &[]).await;
    let is_meter = |row: &&Vec<String>| matches!(row[3].as_str(), "ESME" | "GSME");
    let mut expected: Vec<&Vec<String>> = devices.iter().filter(is_meter).collect();
    expected.sort_by_key(|row| (row[0].clone(), row[4].is_empty(), row[4].clone(), row[2].clone()));
    assert_eq!(found.len(), expected.len());
    let place = |name: &str| report.columns.iter().position(|column| column.name == name).unwrap();
    for (found, expected) in found.iter().zip(expected) {
        let device: DeviceId = expected[2].parse().unwrap();
        let told = ["user_id", "device_id", "smi_status"].map(|name| &found[place(name)]);
        assert_eq!(told, [&expected[0], &expected[2], &expected[4]]);
        let since = known.status(device).map(|(_, since)| since.millis());
        let told = &found[place("smi_status_since")];
        let told = (!told.is_empty()).then(|| told.parse::<Timestamp>().unwrap().millis());
        assert_eq!(told, since, "{device}");
        let hubs = known.around(&BTreeSet::from([device]));
        let hub = hubs.into_iter().find(|one| known.state.types.get(one) == Some(&DeviceType::Chf));
        assert_eq!(found[place("hub_device_id")], hub.map_or_else(String::new, |hub| hub.to_string()));
        let region =
            known.facts.iter().filter(|fact| fact.is_so(known.at)).find_map(|fact| match fact.what {
                ExpectedState::Region(of, region) if Some(of) == hub => Some(region.to_string()),
                _ => None,
            });
        assert_eq!(found[place("csp_region")], region.unwrap_or_default(), "{device}");
    }
    // What is chosen is a part of it.
    let electric = texts_at(&report, of, &[("device_type", "esme")]).await;
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
    let known = known(&world, 400, now());
    let lake = lake(&world, "hubs").await;
    let expected = known.unattached_hubs();
    assert!(expected.len() > 1, "{expected:?}");
    for user in known.answers.values().flatten().map(|(user, _)| *user).collect::<BTreeSet<_>>() {
        let who = access_of([user], 11);
        hubs((&lake, &who, now()), &expected, &BTreeSet::from([user])).await;
        let old = texts(&report("hubs-without-devices"), (&lake, &who), &[("days_min", "36500")]).await;
        assert!(old.is_empty());
    }
}

/// A hub, as what it pertains, and since when it has no Device.
type Hub = (String, String, String);

/// The report of hubs without Devices, as a caller who sees these User IDs gets it.
pub(crate) async fn hubs(
    of: (&Lake, &gridtrail_access::Access, Timestamp),
    expected: &BTreeMap<UserId, Vec<Hub>>,
    users: &BTreeSet<UserId>,
) {
    let columns = ["user_id", "device_id", "pertains_as", "unattached_since"];
    let mut found: Vec<(String, Hub)> = Vec::new();
    for row in shown(&report("hubs-without-devices"), of, &columns).await {
        let since: Timestamp = row[3].parse().unwrap();
        found.push((row[0].clone(), (row[1].clone(), row[2].clone(), since.millis().to_string())));
    }
    found.sort();
    let of_user = |user: &UserId| {
        let hubs = expected.get(user).cloned().unwrap_or_default();
        hubs.into_iter().map(|hub| (user.to_string(), hub)).collect::<Vec<_>>()
    };
    let mut expected: Vec<(String, Hub)> = users.iter().flat_map(of_user).collect();
    expected.sort();
    assert_eq!(found, expected);
}

impl Known {
    /// The hubs without Devices, by the User IDs to which they pertain.
    pub(crate) fn unattached_hubs(&self) -> BTreeMap<UserId, Vec<Hub>> {
        let is_now = |fact: &&ExpectedFact| fact.is_so(self.at);
        let attached: BTreeSet<DeviceId> = self
            .facts
            .iter()
            .filter(is_now)
            .filter_map(|fact| match fact.what {
                ExpectedState::Associated(device, with) => Some([device, with]),
                _ => None,
            })
            .flatten()
            .collect();
        let of = |device: &DeviceId| self.state.types.get(device).copied();
        let hubs: Vec<DeviceId> =
            self.state.types.keys().copied().filter(|one| of(one) == Some(DeviceType::Chf)).collect();
        let mut expected: BTreeMap<UserId, Vec<Hub>> = BTreeMap::new();
        for hub in hubs.into_iter().filter(|hub| !attached.contains(hub)) {
            let parted: Vec<(Timestamp, DeviceId)> = self
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
            let places = last.iter().flat_map(|device| self.last_places(*device));
            let answers = places.filter_map(|mpxn| self.answers.get(&mpxn)).flatten();
            let mut users: BTreeMap<UserId, BTreeSet<&'static str>> = BTreeMap::new();
            answers.for_each(|(user, as_what)| {
                users.entry(*user).or_default().insert(*as_what);
            });
            for (user, capacities) in users {
                let row = (hub.to_string(), joined(&capacities), since.millis().to_string());
                expected.entry(user).or_default().push(row);
            }
        }
        expected
    }
}
