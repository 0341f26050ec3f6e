//! Which Devices pertain to a User: for reports (clause 1.5.1: "pertaining to that User").

use super::device::InventoryDevice;
use super::reach::Reach;
use crate::error::SearchError;
use gridtrail_access::Access;
use gridtrail_inventory::{MeterPointState, Timeline};
use gridtrail_model::{DeviceId, DeviceType, Mpxn, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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
    pub device: InventoryDevice,
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

/// A Device for each of the caller's User IDs that answers for a meter point where it is.
pub(super) fn pertaining(reach: &Reach<'_>, who: &Access, device: InventoryDevice) -> Vec<PertainingDevice> {
    let users = answering(reach, who, device.premises.iter().map(|premises| premises.mpxn));
    let of = |(user, capacities)| PertainingDevice { user, capacities, device: device.clone() };
    users.into_iter().map(of).collect()
}

/// A hub without Devices, for each of the caller's User IDs that it pertains to; nothing for any other Device.
pub(super) async fn unattached(
    reach: &mut Reach<'_>,
    who: &Access,
    device: InventoryDevice,
) -> Result<Vec<UnattachedHub>, SearchError> {
    let related = || device.associated.iter().chain(&device.associated_with);
    let is_attached = related().any(|other| other.device_type != Some(DeviceType::Gpf));
    if device.details.device_type != Some(DeviceType::Chf) || is_attached {
        return Ok(Vec::new());
    }
    let gas_proxy = related().map(|other| other.device).min();
    let Some(known) = reach.device(device.device) else { return Ok(Vec::new()) };
    let view = known.fragment.known_at(reach.at());
    let relations: Vec<_> = view.associated().into_iter().chain(view.associated_with()).collect();
    reach.look_at_devices(relations.iter().map(|(device, _)| *device)).await?;
    let is_proxy = |device: &DeviceId| {
        reach.device(*device).is_some_and(|known| known.state.details.device_type == Some(DeviceType::Gpf))
    };
    let devices = relations.into_iter().filter(|(device, _)| !is_proxy(device));
    let Some((since, last_devices)) = last_ended(devices, reach.at()) else { return Ok(Vec::new()) };
    let of_device = |device: &DeviceId| last_places(reach, *device);
    let places: BTreeSet<Mpxn> = last_devices.iter().flat_map(of_device).collect();
    reach.look_at_meter_points(places.iter().copied()).await?;
    let users = answering(reach, who, places);
    let of = |(user, capacities)| UnattachedHub {
        hub: PertainingDevice { user, capacities, device: device.clone() },
        gas_proxy,
        since,
        last_devices: last_devices.clone(),
    };
    Ok(users.into_iter().map(of).collect())
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

/// The caller's User IDs that answer for some meter points, each with its capacities. Who else does is said of nobody.
fn answering(
    reach: &Reach<'_>,
    who: &Access,
    mpxns: impl IntoIterator<Item = Mpxn>,
) -> BTreeMap<UserId, BTreeSet<Capacity>> {
    let mut users: BTreeMap<UserId, BTreeSet<Capacity>> = BTreeMap::new();
    let states = mpxns.into_iter().filter_map(|mpxn| reach.meter_point(mpxn));
    for MeterPointState { registration, .. } in states {
        for (capacity, user) in [
            (Capacity::ResponsibleSupplier, registration.responsible_supplier.value()),
            (Capacity::NetworkParty, registration.network_party.value()),
            (Capacity::RegisteredSupplierAgent, registration.registered_supplier_agent.value()),
        ] {
            if let Some(user) = user.filter(|user| who.user_ids().contains(user)) {
                users.entry(*user).or_default().insert(capacity);
            }
        }
    }
    users
}
