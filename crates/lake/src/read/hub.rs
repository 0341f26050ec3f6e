//! What is known of a Communications Hub, and the last Commands through it: the one door by which something of rows leaves that are
//! neither the caller's nor open to all.
//!
//! **What leaves of a row is a [`HubCommand`]: a time and a status.** Which rows there are, in which order they come and what finding them costs
//! does not depend on who sent them: no filter of viewers is asked, and of Commands at one time those count that are told so, never by their
//! key. So two lakes that differ only in who sent a Command give the same answer (decision 0114).
//!
//! 1. The inventory of the hub says which Devices are or were behind it, and when; theirs, which Devices are Associated with them in their turn,
//!    such as a gas meter with the Gas Proxy Function; the registrations of the meter points where any of them is installed, who answers for
//!    them. Four rounds of look-ups by key.
//! 2. Each Device's Commands while it was behind the hub, from the newest month back, of so many months more each time, until five are found.

use crate::error::LakeError;
use crate::limits::{APART_MS, DEVICES_BEHIND_AT_ONCE, MONTHS_AT_FIRST};
use crate::month::Month;
use crate::read::command::{HubCommand, request_of};
use crate::read::inventory::permit;
use crate::read::look_up::next_rows;
use crate::read::query::{Cost, Found, KeyQuery, Reach, View};
use crate::read::scan::{Scan, Sight};
use crate::read::snapshot::Snapshot;
use crate::rows::lookup::Seek;
use crate::rows::run::TRAILS;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_inventory::{FactOrigin, HubFields, Intervals, InventoryFragment, InventoryView, Timeline};
use gridtrail_model::{DeviceId, DeviceType, Merge as _, Mpxn, Named, Timestamp, TrailKey, UserId};
use gridtrail_runs::{RunCache, RunsError, Touching};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

/// How many Commands are told (UC_HubStatus_001: "up to the last 5").
pub const LAST_COMMANDS: usize = 5;

/// Most Devices that a hub has or had behind it, and most meter points of those. A Home Area Network has sixteen at most; this is room for many
/// exchanges.
pub const DEVICES_BEHIND_MAX: usize = 64;

/// What a lake knows by a Device ID.
#[derive(Debug)]
pub enum HubFound {
    /// Nothing that says that it is a Communications Hub Function.
    Unknown,
    /// More Devices behind it than are looked at: so many.
    TooMany(usize),
    /// A Communications Hub.
    Hub(Box<Hub>),
}

/// A Communications Hub, at one time.
pub struct Hub {
    fields: HubFields,
    is_related: bool,
    behind: BTreeMap<DeviceId, Intervals>,
    cost: Cost,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// What its Communications Service Provider said of it.
    pub const fn fields(&self) -> &HubFields {
        &self.fields
    }

    /// Whether one of the caller's own User IDs is now the Responsible Supplier, the Network Party or the Registered Supplier Agent of a Smart
    /// Metering System of which the hub forms a part, by what inventory events say: no message decides rights (decision 0107).
    pub const fn is_related(&self) -> bool {
        self.is_related
    }

    /// What finding it cost.
    pub const fn cost(&self) -> Cost {
        self.cost
    }
}

/// When a relation holds.
fn when(timeline: &Timeline<()>) -> Intervals {
    timeline.when(|()| true)
}

/// Whether an inventory event says that a relation holds at an instant.
fn is_told(timeline: &Timeline<()>, at: Timestamp) -> bool {
    timeline.at(at).is_some_and(|period| period.origin == FactOrigin::Inventory)
}

/// The Devices behind a hub: when each was, and whether the inventory says that it is now.
#[derive(Default)]
struct Behind {
    when: BTreeMap<DeviceId, Intervals>,
    told_now: BTreeSet<DeviceId>,
}

impl Behind {
    /// A Device may be Associated with several of one hub: it is behind that while it is with any.
    fn add(&mut self, device: DeviceId, when: &Intervals, is_told_now: bool) {
        let known = self.when.entry(device).or_default();
        *known = known.or(when);
        if is_told_now {
            self.told_now.insert(device);
        }
    }
}

impl Snapshot {
    /// The Communications Hub of a Communications Hub Function's Device ID, as it is at an instant by what was known then.
    ///
    /// Cost: four rounds of look-ups by key, each of [`DEVICES_BEHIND_MAX`] keys at most.
    /// Errors: `NotPermitted` where none of the caller's roles may use the availability and diagnostics of Communications Hubs;
    /// `Unavailable`, `Corrupt`. Cancel-safe.
    pub async fn hub(&self, who: &Access, hub: DeviceId, at: Timestamp) -> Result<HubFound, LakeError> {
        permit(who, Component::HubStatus)?;
        let (own, mut cost) = self.known_of_devices([hub].into_iter()).await?;
        let views = views_of(&own, at);
        let Some((view, state)) = views.get(&hub).and_then(|view| Some((view, view.device_at(at)?))) else {
            return Ok(HubFound::Unknown);
        };
        let is_hub = match state.details.device_type {
            Some(known) => known == DeviceType::Chf,
            // Messages may tell of a hub and never its type.
            None => state.region.is_some() || state.hub != HubFields::default(),
        };
        if !is_hub {
            return Ok(HubFound::Unknown);
        }
        let mut behind = Behind::default();
        behind.add(hub, &Intervals::always(), true);
        for (device, timeline) in view.associated() {
            behind.add(device, &when(&timeline), is_told(&timeline, at));
        }
        if behind.when.len() > DEVICES_BEHIND_MAX {
            return Ok(HubFound::TooMany(behind.when.len()));
        }
        let first = behind.when.keys().copied().filter(|device| *device != hub);
        let (first, of_first) = self.known_of_devices(first).await?;
        for (device, view) in &views_of(&first, at) {
            add_second(&mut behind, (hub, *device), view, at);
        }
        if behind.when.len() > DEVICES_BEHIND_MAX {
            return Ok(HubFound::TooMany(behind.when.len()));
        }
        let is_known = |device: &DeviceId| own.contains_key(device) || first.contains_key(device);
        let second = behind.told_now.iter().copied().filter(|device| !is_known(device));
        let (second, of_second) = self.known_of_devices(second).await?;
        let known = own.iter().chain(&first).chain(&second);
        let told = known.filter(|(device, _)| behind.told_now.contains(device));
        let mpxns: BTreeSet<Mpxn> =
            told.flat_map(|(_, known)| installed_at(&known.known_at(at), at)).collect();
        if mpxns.len() > DEVICES_BEHIND_MAX {
            return Ok(HubFound::TooMany(mpxns.len()));
        }
        let (parties, of_parties) = self.parties_of(&mpxns, at).await?;
        cost = [cost, of_first, of_second, of_parties].into_iter().sum();
        let is_related = parties.iter().any(|user| who.own_user_ids().contains(user));
        Ok(HubFound::Hub(Box::new(Hub { fields: state.hub, is_related, behind: behind.when, cost })))
    }

    async fn known_of_devices(
        &self,
        devices: impl Iterator<Item = DeviceId>,
    ) -> Result<(BTreeMap<DeviceId, InventoryFragment>, Cost), RunsError> {
        let devices: Vec<DeviceId> = devices.collect();
        if devices.is_empty() {
            return Ok(<_>::default());
        }
        let about: Vec<Named> = devices.iter().copied().map(Named::Device).collect();
        let (known, cost) = self.known_of(&about).await?;
        Ok((devices.into_iter().zip(known).collect(), cost))
    }

    /// The Responsible Supplier, Network Party and Registered Supplier Agent of each of some meter points.
    async fn parties_of(
        &self,
        mpxns: &BTreeSet<Mpxn>,
        at: Timestamp,
    ) -> Result<(BTreeSet<UserId>, Cost), RunsError> {
        if mpxns.is_empty() {
            return Ok(<_>::default());
        }
        let about: Vec<Named> = mpxns.iter().copied().map(Named::Mpxn).collect();
        let (known, cost) = self.known_of(&about).await?;
        let states = known.iter().filter_map(|known| known.known_at(at).meter_point_at(at));
        let parties = states.flat_map(|state| {
            let data = state.registration;
            [data.responsible_supplier, data.network_party, data.registered_supplier_agent]
        });
        Ok((parties.filter_map(|party| party.value().copied()).collect(), cost))
    }

    /// The last Commands that were transacted through a hub, to every Device that was behind it then, from every User: at most
    /// [`LAST_COMMANDS`], the latest first.
    ///
    /// Cost: a look-up in each Device's newest month; only where those have too few, in the two months before, the four before those, and
    /// so on. Errors: as [`Snapshot::hub`]. Cancel-safe.
    pub async fn last_commands(&self, who: &Access, hub: &Hub) -> Result<(Vec<HubCommand>, Cost), LakeError> {
        permit(who, Component::HubStatus)?;
        let (cache, requests) = self.cache.counting();
        let (mut last, mut cost) = (LastCommands::default(), Cost::default());
        for window in self.windows() {
            let mut reading = Vec::new();
            for (device, when) in &hub.behind {
                let within = when.and(&window);
                reading
                    .extend(within.iter().map(|span| Box::pin(self.commands_within(&cache, *device, span))));
            }
            let mut reading = stream::iter(reading).buffered(DEVICES_BEHIND_AT_ONCE);
            while let Some((found, of_device)) = reading.try_next().await? {
                last.add(found);
                cost = [cost, of_device].into_iter().sum();
            }
            if last.requests() >= LAST_COMMANDS {
                break;
            }
        }
        let cost: Cost = [cost, Cost::of_requests(&requests)].into_iter().sum();
        cache.count_lookup(cost.runs, cost.pages);
        Ok((last.into_told(), cost))
    }

    /// Intervals from the newest month that has rows back, of so many months more each time. Together they are all of time.
    fn windows(&self) -> Vec<Intervals> {
        let months = self.trails.month_names().filter_map(|name| name.parse::<Month>().ok());
        let mut starts: Vec<Timestamp> = months.map(Month::first_instant).collect();
        let (mut windows, mut at_once, mut until) = (Vec::new(), MONTHS_AT_FIRST, None);
        while starts.len() > at_once {
            let rest = starts.len() - at_once;
            let from = starts[rest];
            windows.push(std::iter::once((from, until)).collect());
            starts.truncate(rest);
            (at_once, until) = (at_once * 2, Some(from));
        }
        windows.push(std::iter::once((Timestamp::MIN, until)).collect());
        windows
    }

    /// The newest Commands to a Device from an instant until before another: of [`LAST_COMMANDS`] requests at least, where there are so many, and all that lie at
    /// the time of one of them.
    async fn commands_within(
        &self,
        cache: &RunCache,
        device: DeviceId,
        (from, until): (Timestamp, Option<Timestamp>),
    ) -> Result<(Vec<Found>, Cost), RunsError> {
        let query = KeyQuery {
            from: (from > Timestamp::MIN).then_some(from),
            to: until.map(|until| until.plus_millis(-1)),
            ..KeyQuery::all(device, View::Audit, LAST_COMMANDS)
        };
        let mut above_ms = APART_MS;
        loop {
            if let Some(found) = self.commands_reaching(cache, (&query, device), above_ms).await? {
                return Ok(found);
            }
            // The next fragment of a row may lie further up still.
            above_ms = above_ms.saturating_mul(2);
        }
    }

    /// The same, with fragments up to so far above the rows that are asked for. `None`: another fragment of one may lie behind that edge.
    async fn commands_reaching(
        &self,
        cache: &RunCache,
        (query, device): (&KeyQuery, DeviceId),
        above_ms: i64,
    ) -> Result<Option<(Vec<Found>, Cost)>, RunsError> {
        let reach = Reach::of(query, above_ms);
        let seek = Seek::all(device);
        let parked = self.parked_of(cache, Sight::Commands, (query, device), &seek).await?;
        let files = self.trails.of_device(device, reach.from, reach.to).collect();
        let mut touching = Touching::new((cache, &TRAILS), &seek, files);
        let mut scan = Scan::new(Sight::Commands, (query, device), (reach, None), parked)?;
        let (mut found, mut requests) = (Vec::new(), HashSet::new());
        while requests.len() < LAST_COMMANDS {
            let wanted = LAST_COMMANDS - requests.len();
            let Some((rows, is_last)) = next_rows(&mut touching, &mut scan, wanted).await? else {
                return Ok(None);
            };
            requests.extend(rows.iter().map(|row: &Found| request_of(&row.fragment.key)));
            found.extend(rows);
            if is_last {
                break;
            }
        }
        Ok(Some((found, scan.cost())))
    }
}

/// What was known of each of some Devices at an instant.
fn views_of(
    known: &BTreeMap<DeviceId, InventoryFragment>,
    at: Timestamp,
) -> BTreeMap<DeviceId, InventoryView<'_>> {
    known.iter().map(|(device, known)| (*device, known.known_at(at))).collect()
}

/// Adds the Devices that are or were Associated with one behind a hub, while that was.
fn add_second(behind: &mut Behind, (hub, by): (DeviceId, DeviceId), view: &InventoryView<'_>, at: Timestamp) {
    let within = behind.when.get(&by).cloned().unwrap_or_default();
    let by_told = behind.told_now.contains(&by);
    for (device, timeline) in view.associated() {
        let meets = when(&timeline).and(&within);
        if device != hub && !meets.is_never() {
            behind.add(device, &meets, by_told && is_told(&timeline, at));
        }
    }
}

/// Where inventory events say that a Device is installed.
fn installed_at(view: &InventoryView<'_>, at: Timestamp) -> Vec<Mpxn> {
    let installations = view.installations().into_iter();
    installations.filter(|(_, timeline)| is_told(timeline, at)).map(|(mpxn, _)| mpxn).collect()
}

/// Commands that were found, each row once.
#[derive(Default)]
struct LastCommands(HashMap<TrailKey, Found>);

impl LastCommands {
    /// Where a row was found twice, under two Devices or at times more than a day apart, it is one, at the later time.
    fn add(&mut self, found: Vec<Found>) {
        for row in found {
            match self.0.get_mut(&row.fragment.key) {
                Some(known) => {
                    known.placement = known.placement.max(row.placement);
                    known.fragment.merge(row.fragment);
                }
                None => drop(self.0.insert(row.fragment.key, row)),
            }
        }
    }

    fn requests(&self) -> usize {
        self.0.keys().map(request_of).collect::<HashSet<_>>().len()
    }

    /// What is told of the last of them. Of those at one time it is decided by what is told, and never by whose they are.
    fn into_told(self) -> Vec<HubCommand> {
        let mut by_request = HashMap::<TrailKey, (Timestamp, HubCommand)>::new();
        for (key, row) in self.0 {
            let Some(told) = HubCommand::of(&row.fragment) else { continue };
            let one = (row.placement, told);
            let known = by_request.entry(request_of(&key)).or_insert(one);
            *known = (*known).max(one);
        }
        let mut last: Vec<(Timestamp, HubCommand)> = by_request.into_values().collect();
        last.sort_unstable_by_key(|one| Reverse(*one));
        let mut told: Vec<HubCommand> = last.into_iter().take(LAST_COMMANDS).map(|(_, told)| told).collect();
        told.sort_unstable_by_key(|told| Reverse(*told));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Device that is Associated with the hub and with its Gas Proxy Function is looked up once for each instant.
    #[test]
    fn intervals_of_a_device_do_not_overlap() {
        let at = |second: i64| Timestamp::from_millis(1_770_000_000_000 + second * 1_000).unwrap();
        let (mut behind, device) = (Behind::default(), DeviceId::from_bytes([1; 8]));
        for (from, until) in [(7, None), (0, Some(3)), (2, Some(4)), (4, Some(5)), (9, Some(11))] {
            behind.add(device, &std::iter::once((at(from), until.map(at))).collect(), false);
        }
        let whole: Vec<_> = behind.when[&device].iter().collect();
        assert_eq!(whole, [(at(0), Some(at(5))), (at(7), None)]);
    }
}
