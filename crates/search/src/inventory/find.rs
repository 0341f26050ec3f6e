//! Which Devices match, and which of them are shown.

use super::query::{InventoryKeys, PostcodeKey};
use super::reach::Reach;
use crate::error::SearchError;
use crate::limits::METER_POINTS_MAX;
use gridtrail_inventory::{DeviceState, InventoryKey, PropertyFilter, Registration};
use gridtrail_model::{DeviceId, DeviceType, Mpxn, Postcode, SmiStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Which Type 2 Devices are shown. The Code asks for In-Home Displays alone (H8.16(a)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeTwoShown {
    InHomeDisplays,
    All,
}

impl TypeTwoShown {
    pub(super) const fn filter(self, include_not_commissioned: bool) -> Filter {
        Filter { type_two: self, include_not_commissioned }
    }

    /// Whether a Device in the inventory is shown, whatever its SMI Status.
    pub(super) fn shows(self, of: Option<DeviceType>) -> bool {
        match of {
            Some(DeviceType::Ihd) => true,
            Some(of) if of.is_type_2() => self == Self::All,
            _ => true,
        }
    }
}

/// Which Devices an answer shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    type_two: TypeTwoShown,
    include_not_commissioned: bool,
}

/// What becomes of a Device in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Showing {
    Shown,
    /// It is left out, since its SMI Status is not Commissioned.
    NotCommissioned,
    /// There is no such Device for any search.
    Never,
}

impl Filter {
    pub(super) fn of(self, state: &DeviceState) -> Showing {
        match state.details.device_type {
            of if !state.in_inventory || !self.type_two.shows(of) => Showing::Never,
            // It has no SMI Status, so the box of the statuses says nothing of it.
            Some(of) if of.is_type_2() => Showing::Shown,
            _ if self.include_not_commissioned || state.smi_status == Some(SmiStatus::Commissioned) => {
                Showing::Shown
            }
            _ => Showing::NotCommissioned,
        }
    }
}

/// The Devices that fit the keys, whether or not they are shown.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// Each with the Smart Meter through which the premises led to it; `None`: it is installed there, or was asked for.
    pub(super) devices: BTreeMap<DeviceId, Option<DeviceId>>,
    /// How many premises fit.
    pub(super) premises: usize,
}

/// What comes of one page.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) devices: Vec<DeviceId>,
    /// Devices that were left out on the way, since they are not Commissioned, ascending.
    pub(super) left_out: Vec<DeviceId>,
    pub(super) is_last: bool,
}

impl Matches {
    /// Those of UC_Inventory_001: what is installed at the premises, and what the Smart Meters there are Associated with, either way round
    /// (H8.16(a)(ii) to (iv)).
    pub(super) async fn listed(reach: &mut Reach<'_>, keys: &InventoryKeys) -> Result<Self, SearchError> {
        let mut matches = Self::installed_at(reach, keys).await?;
        let meters: Vec<DeviceId> = matches.devices.keys().copied().collect();
        reach.look_at_devices(meters.iter().copied()).await?;
        // Ascending, so that of several meters the smallest is named.
        for meter in meters.into_iter().filter(|_| keys.has_premises()) {
            let Some(known) = reach.device(meter).filter(|known| known.may_be_a_meter()) else { continue };
            for related in known.related() {
                matches.devices.entry(related).or_insert(Some(meter));
            }
        }
        Ok(matches.of_device(keys))
    }

    /// Those of UC_Inventory_002: what is installed at the premises.
    pub(super) async fn installed(reach: &mut Reach<'_>, keys: &InventoryKeys) -> Result<Self, SearchError> {
        Ok(Self::installed_at(reach, keys).await?.of_device(keys))
    }

    /// What is installed at the premises; where none are asked for, the Device that is.
    async fn installed_at(reach: &mut Reach<'_>, keys: &InventoryKeys) -> Result<Self, SearchError> {
        if !keys.has_premises() {
            return Ok(Self {
                devices: keys.device.map(|device| (device, None)).into_iter().collect(),
                premises: 0,
            });
        }
        let mpxns = mpxns_of(reach, keys).await?;
        if mpxns.len() > METER_POINTS_MAX {
            return Err(SearchError::TooWide { what: "meter points", most: METER_POINTS_MAX });
        }
        reach.look_at_meter_points(mpxns.iter().copied()).await?;
        let known = mpxns.into_iter().filter_map(|mpxn| reach.meter_point(mpxn));
        // A UPRN or postcode leads to every meter point that ever had it.
        let fitting: Vec<_> = known.filter(|state| keys.fit(state.mpxn, &state.registration)).collect();
        let premises: BTreeSet<Place> =
            fitting.iter().map(|state| Place::of(state.mpxn, &state.registration)).collect();
        let devices = fitting.iter().flat_map(|state| &state.devices).map(|device| (*device, None));
        Ok(Self { devices: devices.collect(), premises: premises.len() })
    }

    /// Those that are the Device that is asked for, if one is.
    fn of_device(mut self, keys: &InventoryKeys) -> Self {
        if let Some(device) = keys.device {
            self.devices.retain(|one, _| *one == device);
        }
        self
    }

    /// The next Devices behind one that are shown, as many as a page has room for.
    pub(super) async fn turn(
        &self,
        reach: &mut Reach<'_>,
        filter: Filter,
        after: Option<DeviceId>,
        page_size: usize,
    ) -> Result<Turn, SearchError> {
        let mut turn = Turn { devices: Vec::new(), left_out: Vec::new(), is_last: true };
        let rest = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let rest: Vec<DeviceId> = self.devices.range(rest).map(|(device, _)| *device).collect();
        // One more than a page has room for tells whether another follows.
        for some in rest.chunks(page_size + 1) {
            reach.look_at_devices(some.iter().copied()).await?;
            for device in some {
                match reach.device(*device).map_or(Showing::Never, |known| filter.of(&known.state)) {
                    Showing::Shown if turn.devices.len() == page_size => {
                        turn.is_last = false;
                        return Ok(turn);
                    }
                    Showing::Shown => turn.devices.push(*device),
                    Showing::NotCommissioned => turn.left_out.push(*device),
                    Showing::Never => {}
                }
            }
        }
        Ok(turn)
    }
}

/// The meter points among which those that fit are.
async fn mpxns_of(reach: &mut Reach<'_>, keys: &InventoryKeys) -> Result<Vec<Mpxn>, SearchError> {
    match keys {
        InventoryKeys { mpxn: Some(mpxn), .. } => Ok(vec![*mpxn]),
        InventoryKeys { uprn: Some(uprn), .. } => reach.meter_points_of(InventoryKey::Uprn(*uprn)).await,
        InventoryKeys { postcode: Some(key), .. } => {
            reach.meter_points_of(InventoryKey::Postcode(key.postcode)).await
        }
        _ => Ok(Vec::new()),
    }
}

impl InventoryKeys {
    /// Whether it is asked for premises.
    const fn has_premises(&self) -> bool {
        self.mpxn.is_some() || self.uprn.is_some() || self.postcode.is_some()
    }

    /// Whether a meter point fits all keys of premises.
    fn fit(&self, mpxn: Mpxn, registered: &Registration) -> bool {
        self.mpxn.is_none_or(|wanted| wanted == mpxn)
            && self.uprn.is_none_or(|wanted| registered.uprn.value() == Some(&wanted))
            && self.postcode.as_ref().is_none_or(|wanted| wanted.fits(registered))
    }
}

impl PostcodeKey {
    fn fits(&self, registered: &Registration) -> bool {
        registered.postcode.value() == Some(&self.postcode)
            && self.property.as_ref().is_none_or(|property| property.fit(registered).is_some())
    }
}

/// What tells premises apart: the postcode, and the words of the property and of the first line of the address. Meter points without any of
/// these stand for premises of their own.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    At(Option<Postcode>, Option<PropertyFilter>, Option<PropertyFilter>),
    Unknown(Mpxn),
}

impl Place {
    fn of(mpxn: Mpxn, registered: &Registration) -> Self {
        let words = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        let property = words(registered.property.value().map(|text| text.as_str()));
        let first_line = words(registered.first_line.value().map(|text| text.as_str()));
        if property.is_none() && first_line.is_none() {
            return Self::Unknown(mpxn);
        }
        Self::At(registered.postcode.value().copied(), property, first_line)
    }
}
