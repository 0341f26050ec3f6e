//! What was known at a time, and what of it was so at another.

use crate::event::{
    DeviceDetails, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact, InventoryStatement,
    Registration, StatedFact,
};
use crate::intervals::Intervals;
use crate::limits::DEVICE_TEXT_MAX;
use crate::text::ShortText;
use crate::timeline::{Statement, Timeline};
use gridtrail_model::{CspRegion, DeviceId, EventId, Mpxn, Named, SmiStatus, Timestamp, Uprn};
use std::collections::{BTreeMap, BTreeSet};

/// What was known of a Device or meter point at a time: the facts recorded by then that nothing recorded by then corrects or
/// withdraws.
///
/// What is corrected or withdrawn stays so, even where the correction is itself corrected or withdrawn: who wants a fact back states
/// it again.
#[derive(Debug)]
pub struct InventoryView<'e> {
    about: Named,
    facts: Vec<(&'e InventoryEvent, &'e StatedFact)>,
}

/// What is so of a Device at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// The Device.
    pub device: DeviceId,
    /// Whether it is in the inventory.
    pub in_inventory: bool,
    /// Its details, as far as they are known.
    pub details: DeviceDetails,
    /// Its SMI Status as it is told. [`DeviceState::smi_status_shown`] is what may be shown.
    pub smi_status: Option<SmiStatus>,
    /// The meter points at which it is installed.
    pub installed_at: Vec<Mpxn>,
    /// The Devices Associated with it.
    pub associated: Vec<DeviceId>,
    /// The Devices with which it is Associated.
    pub associated_with: Vec<DeviceId>,
    /// The CSP region, of a Communications Hub.
    pub region: Option<CspRegion>,
    /// What the CSP knows, of a Communications Hub.
    pub hub: HubFields,
}

impl DeviceState {
    /// The SMI Status that is shown: none of a Type 2 Device (UC_Inventory_001).
    pub fn smi_status_shown(&self) -> Option<SmiStatus> {
        self.smi_status.filter(|_| !self.details.device_type.is_some_and(|of| of.is_type_2()))
    }
}

/// What is so of a meter point at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterPointState {
    /// The meter point.
    pub mpxn: Mpxn,
    /// Its registration data, as far as they are known.
    pub registration: Registration,
    /// The Devices that are installed at it.
    pub devices: Vec<DeviceId>,
}

/// What a fact says of a relation: whether it holds.
const fn holds(it_does: bool) -> FieldChange<()> {
    if it_does { FieldChange::Value(()) } else { FieldChange::Cleared }
}

impl<'e> InventoryView<'e> {
    pub(crate) fn new(about: Named, known: impl Iterator<Item = &'e InventoryEvent> + Clone) -> Self {
        let gone: BTreeSet<EventId> = known.clone().filter_map(InventoryEvent::target).collect();
        let facts = known.filter_map(|event| match &event.told {
            InventoryStatement::Fact(_)
                if event.origin == FactOrigin::Inventory && gone.contains(&event.id) =>
            {
                None
            }
            InventoryStatement::Fact(stated) => Some((event, stated)),
            InventoryStatement::Withdrawal(_) => None,
        });
        Self { about, facts: facts.collect() }
    }

    /// The values over effective time of what `says` picks from facts, by what it is about.
    fn timelines<K: Ord, T: Clone + PartialEq>(
        &self,
        says: impl Fn(&'e InventoryFact) -> Option<(K, FieldChange<T>)>,
    ) -> BTreeMap<K, Timeline<T>> {
        let mut statements: BTreeMap<K, Vec<Statement<'e, T>>> = BTreeMap::new();
        for (event, stated) in &self.facts {
            if let Some((key, said)) = says(&stated.fact) {
                let statement = Statement { event, effective: stated.effective, said };
                statements.entry(key).or_default().push(statement);
            }
        }
        statements.into_iter().map(|(key, statements)| (key, Timeline::of(statements))).collect()
    }

    fn timeline<T: Clone + PartialEq>(
        &self,
        says: impl Fn(&'e InventoryFact) -> FieldChange<T>,
    ) -> Timeline<T> {
        // Of most fields nothing is said: then nothing is allocated.
        let said = self.facts.iter().filter_map(|(event, stated)| match says(&stated.fact) {
            FieldChange::Unsaid => None,
            said => Some(Statement { event, effective: stated.effective, said }),
        });
        Timeline::of(said.collect())
    }

    /// The SMI Status of the Device over effective time: its history (UC_Inventory_002).
    pub fn smi_statuses(&self) -> Timeline<SmiStatus> {
        self.timeline(|fact| match fact {
            InventoryFact::SmiStatus { status, .. } => {
                status.map_or(FieldChange::Cleared, FieldChange::Value)
            }
            _ => FieldChange::Unsaid,
        })
    }

    /// The CSP regions in which the hub is or has been.
    pub fn regions(&self) -> Timeline<CspRegion> {
        self.timeline(|fact| match fact {
            InventoryFact::Region { region, .. } => FieldChange::Value(*region),
            _ => FieldChange::Unsaid,
        })
    }

    /// The meter points at which the Device is or has been installed, and when.
    pub fn installations(&self) -> BTreeMap<Mpxn, Timeline<()>> {
        self.timelines(|fact| match fact {
            InventoryFact::Installation { mpxn, installed, .. } => Some((*mpxn, holds(*installed))),
            _ => None,
        })
    }

    /// The Devices that are or have been installed at the meter point, and when.
    pub fn devices(&self) -> BTreeMap<DeviceId, Timeline<()>> {
        self.timelines(|fact| match fact {
            InventoryFact::Installation { device, installed, .. } => Some((*device, holds(*installed))),
            _ => None,
        })
    }

    /// The Devices that are or have been Associated with this one, and when.
    pub fn associated(&self) -> BTreeMap<DeviceId, Timeline<()>> {
        self.timelines(|fact| match fact {
            InventoryFact::Association { device, with, associated } if Named::Device(*with) == self.about => {
                Some((*device, holds(*associated)))
            }
            _ => None,
        })
    }

    /// The Devices with which this one is or has been Associated, and when.
    pub fn associated_with(&self) -> BTreeMap<DeviceId, Timeline<()>> {
        self.timelines(|fact| match fact {
            InventoryFact::Association { device, with, associated }
                if Named::Device(*device) == self.about =>
            {
                Some((*with, holds(*associated)))
            }
            _ => None,
        })
    }

    /// The Devices that were installed at the meter point within some intervals, and when.
    pub fn devices_within(&self, within: &Intervals) -> BTreeMap<DeviceId, Intervals> {
        those_within(self.devices(), within)
    }

    /// The Devices that were Associated with this one, or with which it was Associated, within some intervals, and when.
    pub fn associates_within(&self, within: &Intervals) -> BTreeMap<DeviceId, Intervals> {
        let mut all = those_within(self.associated(), within);
        for (device, when) in those_within(self.associated_with(), within) {
            let known = all.entry(device).or_default();
            *known = known.or(&when);
        }
        all
    }

    /// When within some intervals the meter point had a UPRN.
    pub fn uprn_within(&self, uprn: Uprn, within: &Intervals) -> Intervals {
        self.registered(|data| data.uprn).when(|its| *its == uprn).and(within)
    }

    /// Whether it is known of the Device where it is or has been: at a meter point, or by another Device.
    pub fn has_place(&self) -> bool {
        self.facts.iter().any(|(_, stated)| {
            matches!(stated.fact, InventoryFact::Installation { .. } | InventoryFact::Association { .. })
        })
    }

    /// The firmware versions of the Device over effective time.
    pub fn firmware_versions(&self) -> Timeline<ShortText<DEVICE_TEXT_MAX>> {
        self.detail(|details| details.firmware_version.clone())
    }

    /// A detail of the Device over effective time.
    fn detail<T: Clone + PartialEq>(&self, of: impl Fn(&DeviceDetails) -> Option<T>) -> Timeline<T> {
        self.timeline(|fact| match fact {
            InventoryFact::Device { details, .. } => FieldChange::of(of(details)),
            _ => FieldChange::Unsaid,
        })
    }

    /// A field of the hub over effective time.
    fn hub_field<T: Clone + PartialEq>(&self, of: impl Fn(&HubFields) -> Option<T>) -> Timeline<T> {
        self.timeline(|fact| match fact {
            InventoryFact::Hub { fields, .. } => FieldChange::of(of(fields)),
            _ => FieldChange::Unsaid,
        })
    }

    /// A field of the registration data over effective time.
    pub fn registered<T: Clone + PartialEq>(
        &self,
        of: impl Fn(&Registration) -> FieldChange<T>,
    ) -> Timeline<T> {
        self.timeline(|fact| match fact {
            InventoryFact::Registration { data, .. } => of(data),
            _ => FieldChange::Unsaid,
        })
    }

    fn registered_at<T: Clone + PartialEq>(
        &self,
        effective: Timestamp,
        of: impl Fn(&Registration) -> FieldChange<T>,
    ) -> FieldChange<T> {
        FieldChange::of(self.registered(of).value_at(effective))
    }

    /// Whether the Device is in the inventory at an instant. Where no fact says so, it is if anything is said of it.
    fn in_inventory(&self, effective: Timestamp) -> bool {
        let presence = self.timeline(|fact| match fact {
            InventoryFact::Device { .. } => FieldChange::Value(true),
            InventoryFact::DeviceRemoved { .. } => FieldChange::Value(false),
            _ => FieldChange::Unsaid,
        });
        match presence.value_at(effective) {
            Some(is_there) => is_there,
            None => {
                let begun = self.facts.iter().any(|(_, stated)| stated.effective.from() <= effective);
                begun && !presence.has_begun(effective)
            }
        }
    }

    fn details_at(&self, effective: Timestamp) -> DeviceDetails {
        DeviceDetails {
            device_type: self.detail(|details| details.device_type).value_at(effective),
            manufacturer: self.detail(|details| details.manufacturer.clone()).value_at(effective),
            model: self.detail(|details| details.model.clone()).value_at(effective),
            esme_variant: self.detail(|details| details.esme_variant).value_at(effective),
            smets_chts_version: self.detail(|details| details.smets_chts_version.clone()).value_at(effective),
            wan_technology_type: self
                .detail(|details| details.wan_technology_type.clone())
                .value_at(effective),
            firmware_version: self.firmware_versions().value_at(effective),
            han_variant: self.detail(|details| details.han_variant.clone()).value_at(effective),
        }
    }

    fn hub_at(&self, effective: Timestamp) -> HubFields {
        HubFields {
            aerial_installed: self.hub_field(|hub| hub.aerial_installed).value_at(effective),
            aerial_type: self.hub_field(|hub| hub.aerial_type.clone()).value_at(effective),
            birth_event: self.hub_field(|hub| hub.birth_event).value_at(effective),
            network_status: self.hub_field(|hub| hub.network_status.clone()).value_at(effective),
            deactivated_at: self.hub_field(|hub| hub.deactivated_at).value_at(effective),
            smwan_connectivity_status: self
                .hub_field(|hub| hub.smwan_connectivity_status.clone())
                .value_at(effective),
            han_status: self.hub_field(|hub| hub.han_status.clone()).value_at(effective),
            last_connection: self.hub_field(|hub| hub.last_connection).value_at(effective),
            last_tamper: self.hub_field(|hub| hub.last_tamper).value_at(effective),
            last_outage: self.hub_field(|hub| hub.last_outage).value_at(effective),
            last_restore: self.hub_field(|hub| hub.last_restore).value_at(effective),
        }
    }

    /// What was so of the Device at an instant; `None`: this is of a meter point.
    pub fn device_at(&self, effective: Timestamp) -> Option<DeviceState> {
        let Named::Device(device) = self.about else { return None };
        Some(DeviceState {
            device,
            in_inventory: self.in_inventory(effective),
            details: self.details_at(effective),
            smi_status: self.smi_statuses().value_at(effective),
            installed_at: those_at(self.installations(), effective),
            associated: those_at(self.associated(), effective),
            associated_with: those_at(self.associated_with(), effective),
            region: self.regions().value_at(effective),
            hub: self.hub_at(effective),
        })
    }

    /// What was so of the meter point at an instant; `None`: this is of a Device.
    pub fn meter_point_at(&self, effective: Timestamp) -> Option<MeterPointState> {
        let Named::Mpxn(mpxn) = self.about else { return None };
        Some(MeterPointState {
            mpxn,
            registration: Registration {
                uprn: self.registered_at(effective, |data| data.uprn),
                first_line: self.registered_at(effective, |data| data.first_line.clone()),
                postcode: self.registered_at(effective, |data| data.postcode),
                property: self.registered_at(effective, |data| data.property.clone()),
                responsible_supplier: self.registered_at(effective, |data| data.responsible_supplier),
                network_party: self.registered_at(effective, |data| data.network_party),
                registered_supplier_agent: self
                    .registered_at(effective, |data| data.registered_supplier_agent),
            },
            devices: those_at(self.devices(), effective),
        })
    }
}

/// Those of which a relation holds at an instant.
fn those_at<K>(relation: BTreeMap<K, Timeline<()>>, effective: Timestamp) -> Vec<K> {
    let held = relation.into_iter().filter(|(_, timeline)| timeline.at(effective).is_some());
    held.map(|(key, _)| key).collect()
}

/// Those of which a relation holds at some time within some intervals, and when.
fn those_within<K: Ord>(relation: BTreeMap<K, Timeline<()>>, within: &Intervals) -> BTreeMap<K, Intervals> {
    let held = relation.into_iter().map(|(key, timeline)| (key, timeline.when(|()| true).and(within)));
    held.filter(|(_, when)| !when.is_never()).collect()
}
