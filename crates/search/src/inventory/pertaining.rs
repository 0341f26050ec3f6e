//! Which Devices pertain to a User: for reports (clause 1.5.1: "pertaining to that User").

use super::device::{InventoryDevice, commissioned_at, region_now};
use super::reach::Reach;
use crate::error::SearchError;
use gridtrail_access::Access;
use gridtrail_inventory::{DeviceDetails, MeterPointState, Timeline};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, Mpxn, SmiStatus, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// As what a User answers for a meter point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capacity {
    /// Responsible Supplier.
    ResponsibleSupplier,
    /// Network Party.
    NetworkParty,
    /// Registered Supplier Agent.
    RegisteredSupplierAgent,
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ResponsibleSupplier => "Responsible Supplier",
            Self::NetworkParty => "Network Party",
            Self::RegisteredSupplierAgent => "Registered Supplier Agent",
        })
    }
}

/// A Device that pertains to one of the caller's User IDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PertainingDevice {
    /// The User ID.
    pub user: UserId,
    /// As what it answers for a meter point where the Device is.
    pub capacities: BTreeSet<Capacity>,
    /// The Device.
    pub device: DeviceId,
    /// Manufacturer, model, type, and what else is said once of a Device.
    pub details: Arc<DeviceDetails>,
    /// "SMI Status": none of a Type 2 Device.
    pub smi_status: Option<SmiStatus>,
    /// Since when it has that.
    pub smi_status_since: Option<Timestamp>,
    /// When it was first Commissioned, as far as its history goes back.
    pub commissioned_at: Option<Timestamp>,
    /// The CSP region in which a Communications Hub is.
    pub region: Option<CspRegion>,
    /// The meter points where it is: the first 100, ascending.
    pub mpxns: Vec<Mpxn>,
    /// The Communications Hub that it is Associated with, either way round; of several the first.
    pub hub: Option<DeviceId>,
}

impl PertainingDevice {
    /// A Device as a search shows it.
    pub(super) fn of((user, capacities): (UserId, BTreeSet<Capacity>), device: &InventoryDevice) -> Self {
        let related = device.associated.iter().chain(&device.associated_with);
        let hubs = related.filter(|other| other.device_type == Some(DeviceType::Chf));
        Self {
            user,
            capacities,
            device: device.device,
            details: Arc::new(device.details.clone()),
            smi_status: device.smi_status,
            smi_status_since: device.smi_statuses.last().map(|last| last.from),
            commissioned_at: commissioned_at(&device.smi_statuses),
            region: region_now(&device.regions),
            mpxns: device.premises.iter().map(|premises| premises.mpxn).collect(),
            hub: hubs.map(|hub| hub.device).min(),
        }
    }
}

/// A Communications Hub with which no Device is Associated any more, but its own Gas Proxy Function, and that pertains to one of the caller's
/// User IDs: as the Devices do that were Associated with it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnattachedHub {
    /// The hub, and to whom it pertains.
    pub hub: PertainingDevice,
    /// Its Gas Proxy Function.
    pub gas_proxy: Option<DeviceId>,
    /// Since when it has no Device.
    pub since: Timestamp,
    /// The Devices that it had last.
    pub last_devices: Vec<DeviceId>,
}

/// A hub without Devices, for each of the caller's User IDs that it pertains to, with the first meter point for which one does; `None` for any other
/// Device.
pub(super) async fn unattached(
    reach: &mut Reach<'_>,
    who: &Access,
    device: &InventoryDevice,
) -> Result<Option<(Mpxn, Vec<UnattachedHub>)>, SearchError> {
    let related = || device.associated.iter().chain(&device.associated_with);
    let is_attached = related().any(|other| other.device_type != Some(DeviceType::Gpf));
    if device.details.device_type != Some(DeviceType::Chf) || is_attached {
        return Ok(None);
    }
    let gas_proxy = related().map(|other| other.device).min();
    let Some(known) = reach.device(device.device) else { return Ok(None) };
    let view = known.fragment.known_at(reach.at());
    let relations: Vec<_> = view.associated().into_iter().chain(view.associated_with()).collect();
    reach.look_at_devices(relations.iter().map(|(device, _)| *device)).await?;
    let is_proxy = |device: &DeviceId| {
        reach.device(*device).is_some_and(|known| known.state.details.device_type == Some(DeviceType::Gpf))
    };
    let devices = relations.into_iter().filter(|(device, _)| !is_proxy(device));
    let Some((since, last_devices)) = last_ended(devices, reach.at()) else { return Ok(None) };
    let of_device = |device: &DeviceId| last_places(reach, *device);
    let places: BTreeSet<Mpxn> = last_devices.iter().flat_map(of_device).collect();
    reach.look_at_meter_points(places.iter().copied()).await?;
    let of = |answering| UnattachedHub {
        hub: PertainingDevice::of(answering, device),
        gas_proxy,
        since,
        last_devices: last_devices.clone(),
    };
    let (first, users) = answering(reach, who, places);
    Ok(first.map(|first| (first, users.into_iter().map(of).collect())))
}

/// When the last of some relations ended by an instant, and with whom.
fn last_ended<K: Ord>(
    relations: impl Iterator<Item = (K, Timeline<()>)>,
    at: Timestamp,
) -> Option<(Timestamp, Vec<K>)> {
    let mut ends: BTreeMap<K, Timestamp> = BTreeMap::new();
    for (with, timeline) in relations {
        let ended =
            timeline.periods().iter().filter_map(|period| period.until.filter(|until| *until <= at)).max();
        if let (Some(ended), None) = (ended, timeline.at(at)) {
            let known = ends.entry(with).or_insert(ended);
            *known = ended.max(*known);
        }
    }
    let last = *ends.values().max()?;
    Some((last, ends.into_iter().filter(|(_, ended)| *ended == last).map(|(with, _)| with).collect()))
}

/// The meter points at which a Device is installed, or was last.
fn last_places(reach: &Reach<'_>, device: DeviceId) -> Vec<Mpxn> {
    let Some(known) = reach.device(device) else { return Vec::new() };
    if !known.state.installed_at.is_empty() {
        return known.state.installed_at.clone();
    }
    let installations = known.fragment.known_at(reach.at()).installations().into_iter();
    last_ended(installations, reach.at()).map(|(_, places)| places).unwrap_or_default()
}

/// The caller's User IDs that answer for some meter points, each with its capacities, and the first of these, which are ascending. Who else does is said
/// of nobody.
pub(super) fn answering(
    reach: &Reach<'_>,
    who: &Access,
    mpxns: impl IntoIterator<Item = Mpxn>,
) -> (Option<Mpxn>, BTreeMap<UserId, BTreeSet<Capacity>>) {
    let (mut first, mut users) = (None, BTreeMap::<UserId, BTreeSet<Capacity>>::new());
    let states = mpxns.into_iter().filter_map(|mpxn| reach.meter_point(mpxn));
    for MeterPointState { mpxn, registration, .. } in states {
        for (capacity, user) in [
            (Capacity::ResponsibleSupplier, registration.responsible_supplier.value()),
            (Capacity::NetworkParty, registration.network_party.value()),
            (Capacity::RegisteredSupplierAgent, registration.registered_supplier_agent.value()),
        ] {
            if let Some(user) = user.filter(|user| who.user_ids().contains(user)) {
                first.get_or_insert(*mpxn);
                users.entry(*user).or_default().insert(capacity);
            }
        }
    }
    (first, users)
}
