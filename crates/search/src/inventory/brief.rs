//! Devices in brief: what it takes to tell where each is and what a report says of it, in some hundred bytes.

use super::device::{HOPS_TO_PREMISES, commissioned_at, region_now, regions, smi_statuses};
use super::find::TypeTwoShown;
use crate::limits::{GROUPED_DEVICES_MAX, LISTED_BESIDE_MAX};
use gridtrail_inventory::{DeviceDetails, InventoryFact, InventoryFragment, InventoryStatement, StatedFact};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, Mpxn, SmiStatus, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What an entry takes beside what it names: its place in the table, its allocations, and its places in the lists of those that are yet to be looked at.
const ENTRY_BYTES: usize = 128;
/// What details take that no Device had before, about.
const DETAILS_BYTES: usize = 512;

/// Another Device that anything ever said to be Associated with one, either way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Relation {
    other: DeviceId,
    /// Whether it is Associated with the Device.
    associated: bool,
    /// Whether the Device is Associated with it.
    with: bool,
}

/// What was so of a Device at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) in_inventory: bool,
    pub(super) details: Arc<DeviceDetails>,
    pub(super) smi_status: Option<SmiStatus>,
    pub(super) smi_status_since: Option<Timestamp>,
    pub(super) commissioned_at: Option<Timestamp>,
    pub(super) region: Option<CspRegion>,
    pub(super) installed_at: Box<[Mpxn]>,
    /// Ascending.
    around: Box<[Relation]>,
}

impl Brief {
    /// What is known of a Device, in brief; `None`: it is of a meter point.
    pub(super) fn of(known: &InventoryFragment, at: Timestamp) -> Option<(DeviceId, Self)> {
        let view = known.known_at(at);
        let state = view.device_at(at)?;
        let mut around: BTreeMap<DeviceId, Relation> = BTreeMap::new();
        for event in known.events() {
            let InventoryStatement::Fact(StatedFact { fact, .. }) = &event.told else { continue };
            if let InventoryFact::Association { device, with, .. } = fact {
                let other = if *device == state.device { *with } else { *device };
                around.insert(other, Relation { other, associated: false, with: false });
            }
        }
        for device in &state.associated {
            around.entry(*device).and_modify(|relation| relation.associated = true);
        }
        for device in &state.associated_with {
            around.entry(*device).and_modify(|relation| relation.with = true);
        }
        let (statuses, _) = smi_statuses(&view, &state.details, at);
        let brief = Self {
            in_inventory: state.in_inventory,
            smi_status: state.smi_status_shown(),
            smi_status_since: statuses.last().map(|last| last.from),
            commissioned_at: commissioned_at(&statuses),
            region: region_now(&regions(&view, at)),
            installed_at: state.installed_at.into(),
            around: around.into_values().collect(),
            details: Arc::new(state.details),
        };
        Some((state.device, brief))
    }

    /// All that anything ever said to be Associated with it, either way round.
    pub(super) fn ever_around(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.around.iter().map(|relation| relation.other)
    }

    /// The Devices Associated with it.
    fn associated(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.around.iter().filter(|relation| relation.associated).map(|relation| relation.other)
    }

    /// Those with which it is Associated.
    fn associated_with(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.around.iter().filter(|relation| relation.with).map(|relation| relation.other)
    }

    /// Both, in the order in which a search has them.
    pub(super) fn related(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.associated().chain(self.associated_with())
    }

    fn is_shown(&self, type_two: TypeTwoShown) -> bool {
        self.in_inventory && type_two.shows(self.details.device_type)
    }

    /// Whether a Smart Meter, or something of which nobody said what it is, is installed.
    fn is_installed_meter(&self) -> bool {
        let may_be = self.in_inventory && self.details.device_type.is_none_or(DeviceType::is_smart_meter);
        may_be && !self.installed_at.is_empty()
    }
}

/// Devices in brief, each once.
#[derive(Debug, Default)]
pub(super) struct Briefs {
    all: HashMap<DeviceId, Box<Brief>>,
    /// A million Devices have some hundred details among them.
    details: BTreeSet<Arc<DeviceDetails>>,
    bytes: usize,
}

impl Briefs {
    pub(super) fn add(&mut self, (device, mut brief): (DeviceId, Brief)) {
        match self.details.get(&brief.details) {
            Some(known) => brief.details = Arc::clone(known),
            None => {
                self.details.insert(Arc::clone(&brief.details));
                self.bytes += DETAILS_BYTES;
            }
        }
        let lists = size_of_val(&*brief.installed_at) + size_of_val(&*brief.around);
        self.bytes += size_of::<Brief>() + lists + ENTRY_BYTES;
        self.all.insert(device, Box::new(brief));
    }

    /// Bytes that they take, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, device: DeviceId) -> Option<&Brief> {
        self.all.get(&device).map(AsRef::as_ref)
    }

    /// Those of some Devices that are not among these, each once, ascending.
    pub(super) fn unknown(&self, devices: impl IntoIterator<Item = DeviceId>) -> Vec<DeviceId> {
        let new = devices.into_iter().filter(|device| !self.all.contains_key(device));
        let mut new: Vec<DeviceId> = new.collect();
        new.sort_unstable();
        new.dedup();
        new
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DeviceId, &Brief)> {
        self.all.iter().map(|(device, brief)| (*device, brief.as_ref()))
    }

    /// A Device that is shown.
    pub(super) fn shown(&self, device: DeviceId, type_two: TypeTwoShown) -> Option<&Brief> {
        self.get(device).filter(|brief| brief.is_shown(type_two))
    }

    /// The Communications Hub that a Device is Associated with, either way round: of several the first.
    pub(super) fn hub_of(&self, brief: &Brief, type_two: TypeTwoShown) -> Option<DeviceId> {
        // As far as a search lists them.
        let listed = |devices: &mut dyn Iterator<Item = DeviceId>| {
            let shown = devices.filter_map(|device| Some((device, self.shown(device, type_two)?)));
            let hubs = shown.take(LISTED_BESIDE_MAX).filter(|(_, brief)| is_a(brief, DeviceType::Chf));
            hubs.map(|(device, _)| device).min()
        };
        let (one, other) = (listed(&mut brief.associated()), listed(&mut brief.associated_with()));
        one.into_iter().chain(other).min()
    }

    /// Whether a Communications Hub surely has a Device but its Gas Proxy Function, by what is known here.
    pub(super) fn is_attached(&self, hub: &Brief, type_two: TypeTwoShown) -> bool {
        // Of more than are listed nothing is sure.
        hub.related().count() <= LISTED_BESIDE_MAX
            && hub
                .related()
                .any(|device| self.shown(device, type_two).is_some_and(|brief| !is_a(brief, DeviceType::Gpf)))
    }

    /// Where a Device is: itself where it is installed or, of one that is installed nowhere, the Smart Meters to which its associations lead, over as few
    /// Devices as can be. `None`: Devices on the way are not among these, and were added to those that are missing.
    pub(super) fn meters_of(
        &self,
        device: DeviceId,
        missing: &mut Vec<DeviceId>,
    ) -> Option<BTreeSet<DeviceId>> {
        let mut outermost = BTreeSet::from([device]);
        if self.get(device).is_some_and(|brief| !brief.installed_at.is_empty()) {
            return Some(outermost);
        }
        let mut seen = outermost.clone();
        for _ in 0..HOPS_TO_PREMISES {
            let known = outermost.iter().filter_map(|device| self.get(*device));
            let next = known.filter(|brief| brief.in_inventory).flat_map(Brief::related);
            // As a search follows them.
            let next: BTreeSet<DeviceId> =
                next.filter(|device| !seen.contains(device)).take(GROUPED_DEVICES_MAX).collect();
            let before = missing.len();
            missing.extend(next.iter().filter(|device| !self.all.contains_key(device)));
            if missing.len() > before {
                return None;
            }
            let is_meter = |device: &&DeviceId| self.get(**device).is_some_and(Brief::is_installed_meter);
            let found: BTreeSet<DeviceId> = next.iter().filter(is_meter).copied().collect();
            if !found.is_empty() {
                return Some(found);
            }
            seen.extend(&next);
            outermost = next;
        }
        Some(BTreeSet::new())
    }
}

/// Whether a Device is of a type.
pub(super) fn is_a(brief: &Brief, of: DeviceType) -> bool {
    brief.details.device_type == Some(of)
}
