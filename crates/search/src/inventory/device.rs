//! Devices as an answer has them: a row of the table of results, or all that is held of one, with the Devices around it.

use super::ByDevice;
use super::find::{Filter, Matches, Showing};
use super::reach::{KnownDevice, Reach};
use crate::error::SearchError;
use crate::limits::{GROUPED_DEVICES_MAX, LISTED_BESIDE_MAX};
use gridtrail_inventory::limits::{ADDRESS_TEXT_MAX, DEVICE_TEXT_MAX};
use gridtrail_inventory::{DeviceDetails, DeviceState, InventoryView, MeterPointState, Period, ShortText};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, Mpxn, Postcode, SmiStatus, Timestamp, Uprn};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Associations over which premises are looked for: from an In-Home Display over its Communications Hub to the meter.
pub(super) const HOPS_TO_PREMISES: usize = 2;

/// A row of the table of results. Source: UC_Inventory_001, "Outputs".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    /// "Device ID".
    pub device: DeviceId,
    /// "Device Type".
    pub device_type: Option<DeviceType>,
    /// "SMI Status": none of a Type 2 Device.
    pub smi_status: Option<SmiStatus>,
    /// Where it is: the first 100, ascending by meter point.
    pub premises: Vec<Premises>,
    /// The Smart Meter through which the premises that were asked for led to it.
    pub found_through: Option<DeviceId>,
}

/// A meter point, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Premises {
    /// The meter point.
    pub mpxn: Mpxn,
    /// First line of the address. Of the registration data there is what the Code lists, and so nothing of who supplies.
    pub first_line: Option<ShortText<ADDRESS_TEXT_MAX>>,
    /// Name or number of the property.
    pub property: Option<ShortText<ADDRESS_TEXT_MAX>>,
    /// Full postcode.
    pub postcode: Option<Postcode>,
    /// UPRN.
    pub uprn: Option<Uprn>,
    /// The Smart Meter that is installed there, where it is not the Device itself.
    pub through: Option<DeviceId>,
}

/// All that is held of a Device. Source: UC_Inventory_002, "Outputs".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryDevice {
    /// "Device ID".
    pub device: DeviceId,
    /// Manufacturer, model, type, and what else is said once of a Device.
    pub details: DeviceDetails,
    /// The CSP regions in which it is or has been: the newest 100, oldest first.
    pub regions: Vec<RegionPeriod>,
    /// The firmware versions that it had: the newest 100, oldest first. For scans: UC_Inventory_002 shows the present one.
    pub firmware_versions: Vec<FirmwarePeriod>,
    /// Where it is, as in [`ListedDevice`].
    pub premises: Vec<Premises>,
    /// "SMI Status": none of a Type 2 Device.
    pub smi_status: Option<SmiStatus>,
    /// Its history: the newest 100 entries, oldest first; none of a Type 2 Device.
    pub smi_statuses: Vec<StatusPeriod>,
    /// How many entries the history has.
    pub smi_status_count: usize,
    /// The Devices Associated with it: the first 100.
    pub associated: Vec<RelatedDevice>,
    /// How many there are.
    pub associated_count: usize,
    /// The Devices with which it is Associated: the first 100.
    pub associated_with: Vec<RelatedDevice>,
    /// How many there are.
    pub associated_with_count: usize,
}

/// An SMI Status, and when it was that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusPeriod {
    /// The status.
    pub status: SmiStatus,
    /// Since when.
    pub from: Timestamp,
    /// The first instant at which it was no more; `None`: it still is.
    pub until: Option<Timestamp>,
}

/// A CSP region, and when a hub was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionPeriod {
    /// The region.
    pub region: CspRegion,
    /// Since when.
    pub from: Timestamp,
    /// The first instant at which it was no more; `None`: it still is.
    pub until: Option<Timestamp>,
}

/// A firmware version, and when a Device had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwarePeriod {
    /// The version.
    pub version: ShortText<DEVICE_TEXT_MAX>,
    /// Since when.
    pub from: Timestamp,
    /// The first instant at which it had it no more; `None`: it still has.
    pub until: Option<Timestamp>,
}

/// What stands of a Device beside one that it is Associated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelatedDevice {
    /// "Device ID".
    pub device: DeviceId,
    /// "SMI Status": none of a Type 2 Device.
    pub smi_status: Option<SmiStatus>,
    /// What "Description of Device" is made of.
    pub device_type: Option<DeviceType>,
}

/// A group of H8.16(a)(i), but the first, which is the Device itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Associated with the Device.
    II,
    /// Associated with one of group II.
    III,
    /// That with which one of groups I to III is Associated.
    IV,
}

/// A Device of groups II to IV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupedDevice {
    /// In which it is.
    pub groups: BTreeSet<Group>,
    /// The Device.
    pub device: InventoryDevice,
}

/// A Device, and those of groups II to IV around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceWithGroups {
    /// The Device.
    pub device: InventoryDevice,
    /// The others, ascending, each once.
    pub others: Vec<GroupedDevice>,
}

impl ByDevice for ListedDevice {
    fn device(&self) -> DeviceId {
        self.device
    }
}

impl ByDevice for DeviceWithGroups {
    fn device(&self) -> DeviceId {
        self.device.device
    }
}

/// The rows of some Devices that were looked up.
pub(super) async fn listed(
    reach: &mut Reach<'_>,
    matches: &Matches,
    devices: &[DeviceId],
) -> Result<Vec<ListedDevice>, SearchError> {
    let mut premises = premises_of(reach, devices).await?;
    let rows = devices.iter().filter_map(|device| {
        let KnownDevice { state, .. } = reach.device(*device)?;
        Some(ListedDevice {
            device: *device,
            device_type: state.details.device_type,
            smi_status: state.smi_status_shown(),
            premises: premises.remove(device).unwrap_or_default(),
            found_through: matches.devices.get(device).copied().flatten(),
        })
    });
    Ok(rows.collect())
}

/// All that is held of those of some Devices that are shown, without the Devices around them.
pub(super) async fn held(
    reach: &mut Reach<'_>,
    filter: Filter,
    devices: &[DeviceId],
) -> Result<Vec<InventoryDevice>, SearchError> {
    reach.look_at_devices(devices.iter().copied()).await?;
    let is_shown = |device: &DeviceId| {
        reach.device(*device).is_some_and(|known| filter.of(&known.state) == Showing::Shown)
    };
    let shown: Vec<DeviceId> = devices.iter().copied().filter(is_shown).collect();
    let known = shown.iter().filter_map(|device| reach.device(*device));
    let beside: Vec<DeviceId> = known.flat_map(KnownDevice::related).collect();
    reach.look_at_devices(beside).await?;
    let mut premises = premises_of(reach, &shown).await?;
    let devices = shown.iter().filter_map(|device| {
        let premises = premises.remove(device).unwrap_or_default();
        Some(whole(reach, filter, reach.device(*device)?, premises))
    });
    Ok(devices.collect())
}

/// Some Devices with those around each.
pub(super) async fn with_groups(
    reach: &mut Reach<'_>,
    filter: Filter,
    devices: &[DeviceId],
) -> Result<Vec<DeviceWithGroups>, SearchError> {
    let mut around = around(reach, devices).await?;
    for one in &mut around {
        one.found.retain(|device, _| {
            reach.device(*device).is_some_and(|known| filter.of(&known.state) == Showing::Shown)
        });
    }
    let all: BTreeSet<DeviceId> =
        around.iter().flat_map(|one| one.found.keys()).chain(devices).copied().collect();
    // What stands beside each is looked up, too: its status decides whether it does.
    let known = all.iter().filter_map(|device| reach.device(*device));
    let beside: Vec<DeviceId> = known.flat_map(KnownDevice::related).collect();
    reach.look_at_devices(beside).await?;
    let all: Vec<DeviceId> = all.into_iter().collect();
    let premises = premises_of(reach, &all).await?;
    let whole = |device: DeviceId| {
        let premises = premises.get(&device).cloned().unwrap_or_default();
        reach.device(device).map(|known| whole(reach, filter, known, premises))
    };
    let answers = around.into_iter().filter_map(|one| {
        let others = one.found.into_iter();
        let others =
            others.filter_map(|(device, groups)| Some(GroupedDevice { groups, device: whole(device)? }));
        Some(DeviceWithGroups { device: whole(one.device)?, others: others.collect() })
    });
    Ok(answers.collect())
}

/// The Devices around one, as far as they were followed.
struct Around {
    device: DeviceId,
    /// Those of groups I to III.
    inner: BTreeSet<DeviceId>,
    /// Those of the group that was found last.
    outermost: BTreeSet<DeviceId>,
    /// Those of groups II to IV.
    found: BTreeMap<DeviceId, BTreeSet<Group>>,
}

impl Around {
    /// Adds the Devices of a group. Errors: `TooWide`.
    fn add(&mut self, group: Group, devices: &BTreeSet<DeviceId>) -> Result<(), SearchError> {
        for device in devices {
            self.found.entry(*device).or_default().insert(group);
        }
        if self.found.len() <= GROUPED_DEVICES_MAX {
            return Ok(());
        }
        Err(SearchError::TooWide { what: "Devices around one", most: GROUPED_DEVICES_MAX })
    }

    /// The Devices to which some others lead, but for the one that it is around. A Device that is not in the inventory leads nowhere.
    fn next(
        &self,
        reach: &Reach<'_>,
        from: &BTreeSet<DeviceId>,
        to: impl Fn(&DeviceState) -> &[DeviceId],
    ) -> BTreeSet<DeviceId> {
        let known = from.iter().filter_map(|device| reach.device(*device)).map(|known| &known.state);
        let next = known.filter(|state| state.in_inventory).flat_map(|state| to(state).iter().copied());
        next.filter(|device| *device != self.device).collect()
    }
}

/// The Devices of groups II to IV around each of some, whether or not they are shown: a Device that is left out leads to others all the
/// same. One round for each group, however many Devices it is around.
async fn around(reach: &mut Reach<'_>, devices: &[DeviceId]) -> Result<Vec<Around>, SearchError> {
    let of = |device: &DeviceId| {
        let one = BTreeSet::from([*device]);
        Around { device: *device, inner: one.clone(), outermost: one, found: BTreeMap::new() }
    };
    let mut all: Vec<Around> = devices.iter().map(of).collect();
    for group in [Group::II, Group::III] {
        look_at(reach, &all).await?;
        for one in &mut all {
            let next = one.next(reach, &one.outermost, |state| &state.associated);
            one.add(group, &next)?;
            one.inner.extend(&next);
            one.outermost = next;
        }
    }
    look_at(reach, &all).await?;
    for one in &mut all {
        one.outermost = one.next(reach, &one.inner, |state| &state.associated_with);
        let with = one.outermost.clone();
        one.add(Group::IV, &with)?;
    }
    look_at(reach, &all).await?;
    Ok(all)
}

/// Looks up what was found last around each.
async fn look_at(reach: &mut Reach<'_>, all: &[Around]) -> Result<(), SearchError> {
    reach.look_at_devices(all.iter().flat_map(|one| one.outermost.iter().copied())).await
}

/// All that is held of a Device.
fn whole(reach: &Reach<'_>, filter: Filter, known: &KnownDevice, premises: Vec<Premises>) -> InventoryDevice {
    let (state, at) = (&known.state, reach.at());
    let view = known.fragment.known_at(at);
    let (smi_statuses, smi_status_count) = smi_statuses(&view, &state.details, at);
    let regions = regions(&view, at);
    let of = |version, from, until| FirmwarePeriod { version, from, until };
    let (firmware_versions, _) = begun(view.firmware_versions().periods(), at, of);
    let (associated, associated_count) = related(reach, filter, &state.associated);
    let (associated_with, associated_with_count) = related(reach, filter, &state.associated_with);
    InventoryDevice {
        device: state.device,
        details: state.details.clone(),
        regions,
        firmware_versions,
        premises,
        smi_status: state.smi_status_shown(),
        smi_statuses,
        smi_status_count,
        associated,
        associated_count,
        associated_with,
        associated_with_count,
    }
}

/// The history of SMI Statuses that is shown of a Device, and how many entries it has.
pub(super) fn smi_statuses(
    view: &InventoryView<'_>,
    details: &DeviceDetails,
    at: Timestamp,
) -> (Vec<StatusPeriod>, usize) {
    if details.device_type.is_some_and(DeviceType::is_type_2) {
        return (Vec::new(), 0);
    }
    begun(view.smi_statuses().periods(), at, |status, from, until| StatusPeriod { status, from, until })
}

/// The history of CSP regions that is shown of a Device.
pub(super) fn regions(view: &InventoryView<'_>, at: Timestamp) -> Vec<RegionPeriod> {
    begun(view.regions().periods(), at, |region, from, until| RegionPeriod { region, from, until }).0
}

/// When a Device was first Commissioned, as far as its history goes back.
pub(super) fn commissioned_at(history: &[StatusPeriod]) -> Option<Timestamp> {
    history.iter().filter(|period| period.status == SmiStatus::Commissioned).map(|period| period.from).min()
}

/// The CSP region in which a Communications Hub is.
pub(super) fn region_now(history: &[RegionPeriod]) -> Option<CspRegion> {
    history.last().filter(|last| last.until.is_none()).map(|last| last.region)
}

/// The newest values that had begun at an instant, each with its beginning, and its end where that was over by then; and how many had begun.
fn begun<T: Clone, P>(
    periods: &[Period<T>],
    at: Timestamp,
    of: impl Fn(T, Timestamp, Option<Timestamp>) -> P,
) -> (Vec<P>, usize) {
    let begun = &periods[..periods.partition_point(|period| period.from <= at)];
    let newest = &begun[begun.len().saturating_sub(LISTED_BESIDE_MAX)..];
    let over = |period: &Period<T>| period.until.filter(|until| *until <= at);
    (newest.iter().map(|period| of(period.value.clone(), period.from, over(period))).collect(), begun.len())
}

/// Those of some Devices that are shown, as they stand beside another, and how many there are.
fn related(reach: &Reach<'_>, filter: Filter, devices: &[DeviceId]) -> (Vec<RelatedDevice>, usize) {
    let states = devices.iter().filter_map(|device| reach.device(*device)).map(|known| &known.state);
    let shown = states.filter(|state| filter.of(state) == Showing::Shown).map(|state| RelatedDevice {
        device: state.device,
        smi_status: state.smi_status_shown(),
        device_type: state.details.device_type,
    });
    let mut shown: Vec<RelatedDevice> = shown.collect();
    let count = shown.len();
    shown.truncate(LISTED_BESIDE_MAX);
    (shown, count)
}

/// Where some Devices are: where each is installed or, of one that is installed nowhere, where the Smart Meters are to which its
/// associations lead, over as few Devices as can be.
async fn premises_of(
    reach: &mut Reach<'_>,
    devices: &[DeviceId],
) -> Result<HashMap<DeviceId, Vec<Premises>>, SearchError> {
    let mut meters: HashMap<DeviceId, BTreeSet<DeviceId>> = HashMap::new();
    // Of each Device that has no premises yet: how far its associations were followed, and all Devices on the way.
    let mut searching: Vec<(DeviceId, BTreeSet<DeviceId>, BTreeSet<DeviceId>)> = Vec::new();
    reach.look_at_devices(devices.iter().copied()).await?;
    for device in devices {
        let one = BTreeSet::from([*device]);
        match reach.device(*device) {
            Some(known) if known.state.installed_at.is_empty() => searching.push((*device, one.clone(), one)),
            _ => drop(meters.insert(*device, one)),
        }
    }
    for _ in 0..HOPS_TO_PREMISES {
        for (_, outermost, seen) in &mut searching {
            let known = outermost.iter().filter_map(|device| reach.device(*device));
            let next = known.filter(|known| known.state.in_inventory).flat_map(KnownDevice::related);
            // Each once, and no more than a home has many times over: this is where a Device is, and no search of its own.
            let next: BTreeSet<DeviceId> =
                next.filter(|device| !seen.contains(device)).take(GROUPED_DEVICES_MAX).collect();
            seen.extend(&next);
            *outermost = next;
        }
        let next: Vec<DeviceId> =
            searching.iter().flat_map(|(_, outermost, _)| outermost.iter().copied()).collect();
        reach.look_at_devices(next).await?;
        searching.retain(|(device, outermost, _)| {
            let is_installed = |one: &DeviceId| {
                reach
                    .device(*one)
                    .is_some_and(|known| known.may_be_a_meter() && !known.state.installed_at.is_empty())
            };
            let found: BTreeSet<DeviceId> = outermost.iter().copied().filter(is_installed).collect();
            let is_found = !found.is_empty();
            if is_found {
                meters.insert(*device, found);
            }
            !is_found
        });
    }
    let mpxns: Vec<Mpxn> = meters
        .values()
        .flatten()
        .filter_map(|meter| reach.device(*meter))
        .flat_map(|known| known.state.installed_at.iter().copied())
        .collect();
    reach.look_at_meter_points(mpxns).await?;
    Ok(meters.into_iter().map(|(device, meters)| (device, premises_at(reach, device, &meters))).collect())
}

/// The premises of some meters, as those of a Device: the first 100, ascending by meter point.
fn premises_at(reach: &Reach<'_>, device: DeviceId, meters: &BTreeSet<DeviceId>) -> Vec<Premises> {
    let mut found: BTreeMap<Mpxn, Premises> = BTreeMap::new();
    for meter in meters {
        let installed_at = reach.device(*meter).map(|known| known.state.installed_at.as_slice());
        let states = installed_at.unwrap_or_default().iter().filter_map(|mpxn| reach.meter_point(*mpxn));
        for MeterPointState { mpxn, registration, .. } in states {
            found.entry(*mpxn).or_insert_with(|| Premises {
                mpxn: *mpxn,
                first_line: registration.first_line.value().cloned(),
                property: registration.property.value().cloned(),
                postcode: registration.postcode.value().copied(),
                uprn: registration.uprn.value().copied(),
                through: (*meter != device).then_some(*meter),
            });
        }
    }
    found.into_values().take(LISTED_BESIDE_MAX).collect()
}
