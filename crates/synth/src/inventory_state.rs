//! What must be known of the inventory of a region at one instant, once all of its events are.

use crate::inventory::{ExpectedFact, ExpectedState};
use gridtrail_model::Timestamp;
use gridtrail_model::{DeviceId, DeviceType, Mpxn, Postcode, SmiStatus, Uprn};
use std::collections::{BTreeMap, BTreeSet};

/// What is so at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryState {
    /// The type of each Device, also of those that are in service no more.
    pub types: BTreeMap<DeviceId, DeviceType>,
    /// The SMI Status of each.
    pub statuses: BTreeMap<DeviceId, SmiStatus>,
    /// The Devices at each meter point.
    pub installed: BTreeMap<Mpxn, BTreeSet<DeviceId>>,
    /// Each Device with what it is Associated with.
    pub associated: BTreeSet<(DeviceId, DeviceId)>,
    /// The meter points of each UPRN.
    pub uprns: BTreeMap<Uprn, BTreeSet<Mpxn>>,
    /// The meter points of each postcode.
    pub postcodes: BTreeMap<Postcode, BTreeSet<Mpxn>>,
}

impl InventoryState {
    /// What some facts say of an instant.
    pub fn of(facts: impl IntoIterator<Item = ExpectedFact>, at: Timestamp) -> Self {
        let mut state = Self::default();
        for fact in facts.into_iter().filter(|fact| fact.is_so(at)) {
            match fact.what {
                ExpectedState::Type(device, of) => drop(state.types.insert(device, of)),
                ExpectedState::Status(device, status) => drop(state.statuses.insert(device, status)),
                ExpectedState::Installed(device, mpxn) => {
                    state.installed.entry(mpxn).or_default().insert(device);
                }
                ExpectedState::Associated(device, with) => {
                    state.associated.insert((device, with));
                }
                ExpectedState::Uprn(mpxn, uprn) => {
                    state.uprns.entry(uprn).or_default().insert(mpxn);
                }
                ExpectedState::Postcode(mpxn, postcode) => {
                    state.postcodes.entry(postcode).or_default().insert(mpxn);
                }
                ExpectedState::Region(..) | ExpectedState::Supplier(..) | ExpectedState::Network(..) => {}
            }
        }
        state
    }

    /// What a Device is Associated with.
    pub fn associated_with(&self, device: DeviceId) -> BTreeSet<DeviceId> {
        self.associated.iter().filter(|(one, _)| *one == device).map(|(_, with)| *with).collect()
    }

    /// The Devices that are Associated with one.
    pub fn associates_of(&self, device: DeviceId) -> BTreeSet<DeviceId> {
        self.associated.iter().filter(|(_, with)| *with == device).map(|(one, _)| *one).collect()
    }

    /// Whether a search shows a Device: where it is Commissioned, or a Type 2 Device that is shown; or `all`.
    pub fn is_shown(&self, device: DeviceId, all: bool) -> bool {
        let is_display = self.types.get(&device) == Some(&DeviceType::Ihd);
        all || is_display || self.statuses.get(&device) == Some(&SmiStatus::Commissioned)
    }

    /// What a search by premises shows of some meter points: the meters there, and what those are Associated with, either way round
    /// (UC_Inventory_001).
    pub fn listed(&self, mpxns: &BTreeSet<Mpxn>, all: bool) -> Vec<DeviceId> {
        let meters: BTreeSet<DeviceId> =
            mpxns.iter().filter_map(|mpxn| self.installed.get(mpxn)).flatten().copied().collect();
        let around = meters
            .iter()
            .flat_map(|meter| self.associated_with(*meter).into_iter().chain(self.associates_of(*meter)));
        let found: BTreeSet<DeviceId> = around.chain(meters.iter().copied()).collect();
        found.into_iter().filter(|device| self.is_shown(*device, all)).collect()
    }
}
