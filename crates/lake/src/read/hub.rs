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
use gridtrail_inventory::{FactOrigin, HubFields, InventoryFragment, InventoryView, Timeline};
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
    behind: BTreeMap<DeviceId, Vec<Span>>,
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

/// Some time: from an instant until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Span {
    const ALWAYS: Self = Self { from: Timestamp::MIN, until: None };

    /// What two have in common.
    fn and(self, other: Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let until = self.until.into_iter().chain(other.until).min();
        until.is_none_or(|until| from < until).then_some(Self { from, until })
    }

    /// Both as one, where nothing lies between them.
    fn joined(self, later: Self) -> Option<Self> {
        let meets = self.until.is_none_or(|until| later.from <= until);
        let until = self.until.zip(later.until).map(|(one, other)| one.max(other));
        meets.then_some(Self { from: self.from, until })
    }
}

/// The spans of a relation.
fn spans_of(timeline: &Timeline<()>) -> impl Iterator<Item = Span> {
    timeline.periods().iter().map(|period| Span { from: period.from, until: period.until })
}

/// Whether an inventory event says that a relation holds at an instant.
fn is_told(timeline: &Timeline<()>, at: Timestamp) -> bool {
    timeline.at(at).is_some_and(|period| period.origin == FactOrigin::Inventory)
}

/// The Devices behind a hub: when each was, and whether the inventory says that it is now.
#[derive(Default)]
struct Behind {
    spans: BTreeMap<DeviceId, Vec<Span>>,
    told_now: BTreeSet<DeviceId>,
}

impl Behind {
    fn add(&mut self, device: DeviceId, spans: impl Iterator<Item = Span>, is_told_now: bool) {
        self.spans.entry(device).or_default().extend(spans);
        if is_told_now {
            self.told_now.insert(device);
        }
    }

    /// When each was, in order and without overlap: a Device may be Associated with several of one hub.
    fn into_spans(self) -> BTreeMap<DeviceId, Vec<Span>> {
        let mut all = self.spans;
        for spans in all.values_mut() {
            spans.sort_unstable();
            spans.dedup_by(|later, earlier| {
                let joined = earlier.joined(*later);
                joined.into_iter().for_each(|joined| *earlier = joined);
                joined.is_some()
            });
        }
        all
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
        behind.add(hub, std::iter::once(Span::ALWAYS), true);
        for (device, timeline) in view.associated() {
            behind.add(device, spans_of(&timeline), is_told(&timeline, at));
        }
        if behind.spans.len() > DEVICES_BEHIND_MAX {
            return Ok(HubFound::TooMany(behind.spans.len()));
        }
        let first = behind.spans.keys().copied().filter(|device| *device != hub);
        let (first, of_first) = self.known_of_devices(first).await?;
        for (device, view) in &views_of(&first, at) {
            add_second(&mut behind, (hub, *device), view, at);
        }
        if behind.spans.len() > DEVICES_BEHIND_MAX {
            return Ok(HubFound::TooMany(behind.spans.len()));
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
        Ok(HubFound::Hub(Box::new(Hub { fields: state.hub, is_related, behind: behind.into_spans(), cost })))
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
            let reading = hub.behind.iter().flat_map(|(device, spans)| {
                let within = spans.iter().filter_map(move |span| span.and(window));
                within.map(|span| Box::pin(self.commands_within(&cache, *device, span)))
            });
            let reading: Vec<_> = reading.collect();
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

    /// Spans of time from the newest month that has rows back, of so many months more each time. Together they are all of time.
    fn windows(&self) -> Vec<Span> {
        let months = self.trails.month_names().filter_map(|name| name.parse::<Month>().ok());
        let mut starts: Vec<Timestamp> = months.map(Month::first_instant).collect();
        let (mut windows, mut at_once, mut until) = (Vec::new(), MONTHS_AT_FIRST, None);
        while starts.len() > at_once {
            let rest = starts.len() - at_once;
            let from = starts[rest];
            windows.push(Span { from, until });
            starts.truncate(rest);
            (at_once, until) = (at_once * 2, Some(from));
        }
        windows.push(Span { from: Timestamp::MIN, until });
        windows
    }

    /// The newest Commands to a Device within a span: of [`LAST_COMMANDS`] requests at least, where there are so many, and all that lie at
    /// the time of one of them.
    async fn commands_within(
        &self,
        cache: &RunCache,
        device: DeviceId,
        span: Span,
    ) -> Result<(Vec<Found>, Cost), RunsError> {
        let query = KeyQuery {
            from: (span.from > Timestamp::MIN).then_some(span.from),
            to: span.until.map(|until| until.plus_millis(-1)),
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
    let within = behind.spans.get(&by).cloned().unwrap_or_default();
    let by_told = behind.told_now.contains(&by);
    for (device, timeline) in view.associated() {
        let meets = spans_of(&timeline).flat_map(|span| within.iter().filter_map(move |by| span.and(*by)));
        let meets: Vec<Span> = meets.collect();
        if device != hub && !meets.is_empty() {
            behind.add(device, meets.into_iter(), by_told && is_told(&timeline, at));
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

    fn span(from: i64, until: Option<i64>) -> Span {
        let at = |second: i64| Timestamp::from_millis(1_770_000_000_000 + second * 1_000).unwrap();
        Span { from: at(from), until: until.map(at) }
    }

    #[test]
    fn spans_have_in_common_what_lies_in_both() {
        assert_eq!(span(0, Some(5)).and(span(3, None)), Some(span(3, Some(5))));
        assert_eq!(
            span(0, Some(5)).and(span(5, None)),
            None,
            "the end is the first instant at which it is so no more"
        );
        assert_eq!(Span::ALWAYS.and(span(3, Some(4))), Some(span(3, Some(4))));
    }

    /// A Device that is Associated with the hub and with its Gas Proxy Function is looked up once for each instant.
    #[test]
    fn spans_of_a_device_do_not_overlap() {
        let mut behind = Behind::default();
        let device = DeviceId::from_bytes([1; 8]);
        let all = [span(7, None), span(0, Some(3)), span(2, Some(4)), span(4, Some(5)), span(9, Some(11))];
        behind.add(device, all.into_iter(), false);
        assert_eq!(behind.into_spans()[&device], [span(0, Some(5)), span(7, None)]);
    }
}
