//! What one answer has looked up so far: each Device and meter point once, as it was at the instant of the answer.

use crate::error::SearchError;
use crate::limits::INVENTORY_LOOKUPS_MAX;
use crate::store::PinnedInventory;
use gridtrail_access::Access;
use gridtrail_inventory::{DeviceState, InventoryFragment, InventoryKey, MeterPointState};
use gridtrail_lake::Cost;
use gridtrail_model::{DeviceId, Mpxn, Named, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// A Device that was looked up.
#[derive(Debug)]
pub(super) struct KnownDevice {
    /// What was so of it.
    pub(super) state: DeviceState,
    /// What is known of it, for its histories.
    pub(super) fragment: InventoryFragment,
}

impl KnownDevice {
    /// Whether it is a Smart Meter, or something of which nobody said what it is.
    pub(super) fn may_be_a_meter(&self) -> bool {
        self.state.in_inventory && self.state.details.device_type.is_none_or(|of| of.is_smart_meter())
    }

    /// The Devices Associated with it, and those with which it is Associated.
    pub(super) fn related(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.state.associated.iter().chain(&self.state.associated_with).copied()
    }
}

/// What one answer looks up.
pub(super) struct Reach<'s> {
    snapshot: &'s dyn PinnedInventory,
    who: &'s Access,
    at: Timestamp,
    devices: HashMap<DeviceId, KnownDevice>,
    meter_points: HashMap<Mpxn, MeterPointState>,
    lookups: usize,
    cost: Cost,
}

impl<'s> Reach<'s> {
    /// Nothing yet, of what was so at an instant as known then.
    pub(super) fn new(snapshot: &'s dyn PinnedInventory, who: &'s Access, at: Timestamp) -> Self {
        let (devices, meter_points) = (HashMap::new(), HashMap::new());
        Self { snapshot, who, at, devices, meter_points, lookups: 0, cost: Cost::default() }
    }

    /// The instant.
    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }

    /// What it cost so far.
    pub(super) const fn cost(&self) -> Cost {
        self.cost
    }

    /// Looks up those of some Devices that were not yet. Errors: `TooWide`.
    pub(super) async fn look_at_devices(
        &mut self,
        devices: impl IntoIterator<Item = DeviceId>,
    ) -> Result<(), SearchError> {
        let new: BTreeSet<DeviceId> =
            devices.into_iter().filter(|device| !self.devices.contains_key(device)).collect();
        let about: Vec<Named> = new.iter().copied().map(Named::Device).collect();
        for (device, fragment) in new.into_iter().zip(self.known(&about).await?) {
            // A view of a Device always has a state.
            if let Some(state) = fragment.known_at(self.at).device_at(self.at) {
                self.devices.insert(device, KnownDevice { state, fragment });
            }
        }
        Ok(())
    }

    /// Looks up those of some meter points that were not yet. Errors: `TooWide`.
    pub(super) async fn look_at_meter_points(
        &mut self,
        mpxns: impl IntoIterator<Item = Mpxn>,
    ) -> Result<(), SearchError> {
        let new: BTreeSet<Mpxn> =
            mpxns.into_iter().filter(|mpxn| !self.meter_points.contains_key(mpxn)).collect();
        let about: Vec<Named> = new.iter().copied().map(Named::Mpxn).collect();
        for (mpxn, fragment) in new.into_iter().zip(self.known(&about).await?) {
            if let Some(state) = fragment.known_at(self.at).meter_point_at(self.at) {
                self.meter_points.insert(mpxn, state);
            }
        }
        Ok(())
    }

    async fn known(&mut self, about: &[Named]) -> Result<Vec<InventoryFragment>, SearchError> {
        if about.is_empty() {
            return Ok(Vec::new());
        }
        self.lookups += about.len();
        if self.lookups > INVENTORY_LOOKUPS_MAX {
            return Err(SearchError::TooWide {
                what: "Devices and meter points",
                most: INVENTORY_LOOKUPS_MAX,
            });
        }
        let (known, cost) = self.snapshot.known(self.who, about).await?;
        self.cost = [self.cost, cost].into_iter().sum();
        Ok(known)
    }

    /// The meter points that a UPRN or postcode ever had.
    pub(super) async fn meter_points_of(&mut self, key: InventoryKey) -> Result<Vec<Mpxn>, SearchError> {
        let (mpxns, cost) = self.snapshot.meter_points(self.who, key).await?;
        self.cost = [self.cost, cost].into_iter().sum();
        Ok(mpxns)
    }

    /// A Device that was looked up.
    pub(super) fn device(&self, device: DeviceId) -> Option<&KnownDevice> {
        self.devices.get(&device)
    }

    /// A meter point that was looked up.
    pub(super) fn meter_point(&self, mpxn: Mpxn) -> Option<&MeterPointState> {
        self.meter_points.get(&mpxn)
    }
}
