//! The inventory of a household: what became of its Devices and meter points in the years before the run, and in the run.
//!
//! It was fitted with a hub and meters on one day. Since then some had their electricity meter or hub exchanged, or changed supplier
//! ([`Changes`]); a PPMID was joined anew, a display removed; some facts were told late, wrongly and then corrected, or of a Device that
//! never was there. All is recorded before the run ends. The truth is written beside the events, span by span, and not by folding them.

use crate::chance::{Chance, Lane};
use crate::changes::{Changes, DAY_MS, Share, Switch};
use crate::household::{Household, Meter, Others};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, Registration, StatedFact, Withdrawal,
};
use gridtrail_model::{
    CspRegion, DeviceId, DeviceType, EventId, Mpxn, Postcode, SmiStatus, Timestamp, Uprn, UserId,
};

const HOUR_MS: i64 = 3_600_000;

/// The firmware that every Device comes with.
pub(crate) const FIRST_VERSION: &str = "0002012F";

/// A PPMID is joined anew.
const REJOINED: Share = Share { before: 60, within: 30 };
/// An In-Home Display is removed.
const REMOVED: Share = Share { before: 200, within: 50 };

/// Premises of one postcode.
const PREMISES_A_POSTCODE: u32 = 20;
/// Flats of one UPRN, in a house of flats.
const FLATS: u32 = 8;

/// The inventory of one household.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HouseholdInventory {
    /// Its events, by the time when they were recorded.
    pub events: Vec<InventoryEvent>,
    /// What must be known once all of them are.
    pub truth: Vec<ExpectedFact>,
}

/// Something that must be known, and since when and until when it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedFact {
    /// What.
    pub what: ExpectedState,
    /// The first instant at which it is so.
    pub from: Timestamp,
    /// The first instant at which it is so no more.
    pub until: Option<Timestamp>,
}

impl ExpectedFact {
    /// Whether it is so at an instant.
    pub fn is_so(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// What is known of a Device or meter point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpectedState {
    /// A Device has a type.
    Type(DeviceId, DeviceType),
    /// A Device has an SMI Status.
    Status(DeviceId, SmiStatus),
    /// A Device is installed at a meter point.
    Installed(DeviceId, Mpxn),
    /// A Device is Associated with another.
    Associated(DeviceId, DeviceId),
    /// A hub is in a CSP region.
    Region(DeviceId, CspRegion),
    /// A meter point has a UPRN.
    Uprn(Mpxn, Uprn),
    /// A meter point has a postcode.
    Postcode(Mpxn, Postcode),
    /// A meter point has a Responsible Supplier.
    Supplier(Mpxn, UserId),
    /// A meter point has a Network Party.
    Network(Mpxn, UserId),
}

/// When a Device served.
#[derive(Clone, Copy)]
struct Service {
    device: DeviceId,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Service {
    /// When both served, if they ever did.
    fn meets(self, other: Self) -> Option<(Timestamp, Option<Timestamp>)> {
        let from = self.from.max(other.from);
        let until = self.until.into_iter().chain(other.until).min();
        until.is_none_or(|until| from < until).then_some((from, until))
    }
}

pub(crate) fn of(seed: u64, changes: Changes, household: &Household) -> HouseholdInventory {
    let story = Story {
        household,
        others: household.others(seed),
        fitted: changes.span.fitted,
        changes,
        chance: Chance::of(seed, Lane::Inventory, household.number.into()),
        told: HouseholdInventory { events: Vec::new(), truth: Vec::new() },
    };
    story.tell_all()
}

struct Story<'h> {
    household: &'h Household,
    others: Others,
    changes: Changes,
    /// When the first hub and meters came.
    fitted: Timestamp,
    chance: Chance,
    told: HouseholdInventory,
}

impl Story<'_> {
    fn tell_all(mut self) -> HouseholdInventory {
        let (electricity, hubs, proxies) = self.services();
        for hub in hubs.iter().copied() {
            self.serve(hub, DeviceType::Chf);
            self.hub(hub);
        }
        for proxy in proxies.iter().copied() {
            self.serve(proxy, DeviceType::Gpf);
            self.associate_while_both_serve(proxy, &hubs);
        }
        let meter = self.household.electricity;
        for service in electricity.iter().copied() {
            self.serve(service, DeviceType::Esme);
            self.associate_while_both_serve(service, &hubs);
            self.install(service, meter.mpxn);
        }
        self.register(&meter, self.household.distributor.id, self.changes.electricity);
        if let Some(gas) = self.household.gas {
            let service = Service { device: gas.device_id, from: self.fitted, until: None };
            self.serve(service, DeviceType::Gsme);
            self.associate_while_both_serve(service, &proxies);
            self.install(service, gas.mpxn);
            self.register(&gas, self.household.transporter.id, self.changes.gas);
        }
        self.interface(&hubs);
        self.display(&hubs);
        self.stranger();
        self.told.events.sort();
        self.told
    }

    /// The electricity meters, hubs and Gas Proxy Functions, one after the other.
    fn services(&mut self) -> (Vec<Service>, Vec<Service>, Vec<Service>) {
        let Changes { exchanged, swapped, .. } = self.changes;
        let fitted = self.fitted;
        let of = |now: DeviceId, former: DeviceId, changed: Option<Timestamp>| match changed {
            Some(changed) => vec![
                Service { device: former, from: fitted, until: Some(changed) },
                Service { device: now, from: changed, until: None },
            ],
            None => vec![Service { device: now, from: fitted, until: None }],
        };
        let electricity = of(self.household.electricity.device_id, self.others.former_electricity, exchanged);
        let hubs = of(self.household.hub, self.others.former_hub, swapped);
        (electricity, hubs, of(self.household.gas_proxy, self.others.former_gas_proxy, swapped))
    }

    /// Tells a fact soon after it takes effect, or now and then days later.
    fn tell(&mut self, from: Timestamp, fact: InventoryFact) -> EventId {
        let late = if self.chance.per_mille(50) { self.chance.between(1, 20) * DAY_MS } else { 0 };
        let soon = self.chance.between(1_000, 2 * HOUR_MS);
        let recorded_at = self.changes.span.by_the_end(from.plus_millis(late + soon));
        self.tell_at(recorded_at, StatedFact { effective: Effective::since(from), corrects: None, fact })
    }

    fn tell_at(&mut self, recorded_at: Timestamp, stated: StatedFact) -> EventId {
        let id = self.next_id();
        let told = InventoryStatement::Fact(stated);
        self.told.events.push(InventoryEvent {
            recorded_at,
            id: id.clone(),
            origin: FactOrigin::Inventory,
            told,
        });
        id
    }

    fn next_id(&self) -> EventId {
        let id = format!("inventory-{}-{}", self.household.number, self.told.events.len());
        // Two numbers and a word: far below the 64 characters that an event id has room for.
        id.parse().expect("an event id")
    }

    fn expect(&mut self, what: ExpectedState, from: Timestamp, until: Option<Timestamp>) {
        self.told.truth.push(ExpectedFact { what, from, until });
    }

    /// A Device that comes, is commissioned, and may go.
    fn serve(&mut self, service: Service, device_type: DeviceType) {
        let Service { device, from, until } = service;
        let notified = from.plus_millis(-20 * DAY_MS);
        let text = |text: &str| text.parse().ok();
        let details = DeviceDetails {
            device_type: Some(device_type),
            manufacturer: text("106C"),
            model: text(if device_type == DeviceType::Esme { "433100AC" } else { "9001" }),
            esme_variant: (device_type == DeviceType::Esme).then(|| "A".parse().ok()).flatten(),
            smets_chts_version: text(if device_type == DeviceType::Chf { "CHTS V1.4" } else { "SMETS V5.0" }),
            wan_technology_type: (device_type == DeviceType::Chf).then(|| text("Cellular")).flatten(),
            firmware_version: text(FIRST_VERSION),
            han_variant: (device_type == DeviceType::Chf).then(|| text("Single Band")).flatten(),
        };
        self.tell(notified, InventoryFact::Device { device, details });
        self.expect(ExpectedState::Type(device, device_type), notified, None);
        if device_type.is_type_2() {
            return;
        }
        let gone = until.map(|until| (SmiStatus::Decommissioned, until));
        let steps: Vec<(SmiStatus, Timestamp)> = [
            (SmiStatus::Pending, notified),
            (SmiStatus::Whitelisted, from.plus_millis(-HOUR_MS)),
            (SmiStatus::InstalledNotCommissioned, from),
            (SmiStatus::Commissioned, from.plus_millis(HOUR_MS / 2)),
        ]
        .into_iter()
        .chain(gone)
        .collect();
        for (at, (status, since)) in steps.iter().copied().enumerate() {
            self.tell(since, InventoryFact::SmiStatus { device, status: Some(status) });
            let next = steps.get(at + 1).map(|(_, next)| *next);
            self.expect(ExpectedState::Status(device, status), since, next);
        }
    }

    fn hub(&mut self, service: Service) {
        let Service { device: hub, from, .. } = service;
        let region = self.household.region;
        self.tell(from, InventoryFact::Region { hub, region });
        self.expect(ExpectedState::Region(hub, region), from, None);
        let fields = HubFields {
            aerial_installed: Some(self.chance.per_mille(100)),
            birth_event: Some(from.plus_millis(HOUR_MS / 4)),
            network_status: "Active".parse().ok(),
            smwan_connectivity_status: "Connected".parse().ok(),
            last_connection: Some(from.plus_millis(HOUR_MS / 2)),
            ..HubFields::default()
        };
        self.tell(from.plus_millis(HOUR_MS), InventoryFact::Hub { hub, fields });
        if let Some(until) = service.until {
            let network_status = "Deactivated".parse().ok();
            let fields = HubFields { network_status, deactivated_at: Some(until), ..HubFields::default() };
            self.tell(until, InventoryFact::Hub { hub, fields });
        }
    }

    fn install(&mut self, service: Service, mpxn: Mpxn) {
        let Service { device, from, until } = service;
        self.tell(from, InventoryFact::Installation { device, mpxn, installed: true });
        if let Some(until) = until {
            self.tell(until, InventoryFact::Installation { device, mpxn, installed: false });
        }
        self.expect(ExpectedState::Installed(device, mpxn), from, until);
    }

    fn associate(&mut self, device: DeviceId, with: DeviceId, from: Timestamp, until: Option<Timestamp>) {
        self.tell(from, InventoryFact::Association { device, with, associated: true });
        if let Some(until) = until {
            self.tell(until, InventoryFact::Association { device, with, associated: false });
        }
        self.expect(ExpectedState::Associated(device, with), from, until);
    }

    fn associate_while_both_serve(&mut self, service: Service, with: &[Service]) {
        for other in with {
            if let Some((from, until)) = service.meets(*other) {
                self.associate(service.device, other.device, from, until);
            }
        }
    }

    /// The prepayment interface, which some joined anew.
    fn interface(&mut self, hubs: &[Service]) {
        let Some(device) = self.household.ppmid else { return };
        let service = Service { device, from: self.fitted, until: None };
        self.serve(service, DeviceType::Ppmid);
        match self.changes.span.change(&mut self.chance, REJOINED) {
            Some(parted) => {
                self.associate_while_both_serve(Service { until: Some(parted), ..service }, hubs);
                let again = Service { from: parted.plus_millis(HOUR_MS), ..service };
                self.associate_while_both_serve(again, hubs);
            }
            None => self.associate_while_both_serve(service, hubs),
        }
    }

    /// An In-Home Display, some of which were removed from the inventory.
    fn display(&mut self, hubs: &[Service]) {
        if !self.chance.per_mille(250) {
            return;
        }
        let removed = self.changes.span.change(&mut self.chance, REMOVED);
        let service = Service { device: self.others.display, from: self.fitted, until: removed };
        self.serve(service, DeviceType::Ihd);
        self.associate_while_both_serve(service, hubs);
        if let Some(removed) = removed {
            self.tell(removed, InventoryFact::DeviceRemoved { device: service.device });
        }
    }

    /// An installation that never was one, told and withdrawn.
    fn stranger(&mut self) {
        if !self.chance.per_mille(10) {
            return;
        }
        let (device, mpxn) = (self.others.stranger, self.household.electricity.mpxn);
        let fact = InventoryFact::Installation { device, mpxn, installed: true };
        let (first, second) = fact.about();
        let of = self.tell(self.fitted, fact);
        let recorded_at = self.changes.span.by_the_end(self.fitted.plus_millis(30 * DAY_MS));
        if let Ok(withdrawal) = Withdrawal::new(of, std::iter::once(first).chain(second).collect()) {
            let (id, told) = (self.next_id(), InventoryStatement::Withdrawal(withdrawal));
            self.told.events.push(InventoryEvent { recorded_at, id, origin: FactOrigin::Inventory, told });
        }
    }

    /// What the registration of a meter point says of the premises.
    fn premises(&mut self) -> Registration {
        let number = self.household.number;
        let house = number % PREMISES_A_POSTCODE + 1;
        let flats = number / FLATS % 10 == 3;
        let (uprn, property) = if flats {
            (number - number % FLATS, format!("Flat {}", number % FLATS + 1))
        } else {
            (number, house.to_string())
        };
        let uprn = Uprn::from_number(100_000_000_000 + u64::from(uprn));
        let known = !self.chance.per_mille(30);
        Registration {
            uprn: FieldChange::of(uprn.filter(|_| known)),
            first_line: FieldChange::of(format!("{house} Example Street").parse().ok()),
            postcode: FieldChange::of(postcode(number / PREMISES_A_POSTCODE)),
            property: FieldChange::of(property.parse().ok()),
            ..Registration::default()
        }
    }

    /// The registration of a meter point, which may be told late, or wrongly and corrected; and a change of supplier.
    fn register(&mut self, meter: &Meter, network: UserId, switch: Option<Switch>) {
        let mpxn = meter.mpxn;
        let from = self.fitted.plus_millis(-400 * DAY_MS);
        let first = switch.map_or(meter.supplier, |switch| switch.from);
        let data = Registration {
            responsible_supplier: FieldChange::Value(first.id),
            network_party: FieldChange::Value(network),
            ..self.premises()
        };
        let effective = Effective::since(from);
        if self.chance.per_mille(40) {
            let next = postcode(self.household.number / PREMISES_A_POSTCODE + 1);
            let wrong =
                Registration { postcode: FieldChange::of(next), uprn: FieldChange::Unsaid, ..data.clone() };
            let corrects = Some(self.tell(from, InventoryFact::Registration { mpxn, data: wrong }));
            let fact = InventoryFact::Registration { mpxn, data: data.clone() };
            // Every other one is put right in the run only.
            let late = self.chance.per_mille(500).then(|| self.changes.span.end.plus_millis(-2 * HOUR_MS));
            let recorded_at = late.unwrap_or(from.plus_millis(30 * DAY_MS));
            self.tell_at(recorded_at, StatedFact { effective, corrects, fact });
        } else {
            self.tell(from, InventoryFact::Registration { mpxn, data: data.clone() });
        }
        let changed = switch.map(|switch| switch.at);
        if let Some(changed) = changed {
            self.switch(mpxn, meter.supplier.id, changed);
        }
        self.expect_registration(mpxn, (&data, from), (first.id, meter.supplier.id, changed));
    }

    /// A change of supplier; a fifth of them is told with an earlier time first, and corrected.
    fn switch(&mut self, mpxn: Mpxn, supplier: UserId, changed: Timestamp) {
        let responsible_supplier = FieldChange::Value(supplier);
        let data = Registration { responsible_supplier, ..Registration::default() };
        let fact = InventoryFact::Registration { mpxn, data };
        if !self.chance.per_mille(200) {
            self.tell(changed, fact);
            return;
        }
        let corrects = Some(self.tell(changed.plus_millis(-6 * HOUR_MS), fact.clone()));
        let after = self.chance.between(HOUR_MS, 3 * DAY_MS);
        let recorded_at = self.changes.span.by_the_end(changed.plus_millis(after));
        self.tell_at(recorded_at, StatedFact { effective: Effective::since(changed), corrects, fact });
    }

    fn expect_registration(
        &mut self,
        mpxn: Mpxn,
        (data, from): (&Registration, Timestamp),
        (first, now, changed): (UserId, UserId, Option<Timestamp>),
    ) {
        let fields = [
            data.uprn.value().map(|uprn| ExpectedState::Uprn(mpxn, *uprn)),
            data.postcode.value().map(|postcode| ExpectedState::Postcode(mpxn, *postcode)),
            data.network_party.value().map(|network| ExpectedState::Network(mpxn, *network)),
        ];
        for what in fields.into_iter().flatten() {
            self.expect(what, from, None);
        }
        let changed = changed.filter(|_| first != now);
        self.expect(ExpectedState::Supplier(mpxn, first), from, changed);
        if let Some(changed) = changed {
            self.expect(ExpectedState::Supplier(mpxn, now), changed, None);
        }
    }
}

/// A postcode of its own for each number.
fn postcode(number: u32) -> Option<Postcode> {
    const FIRST: &[u8] = b"ABCDEFGHJKLMNPRS";
    const LAST: &[u8] = b"ABDEFGHJLN";
    let letter = |letters: &[u8], place: u32| char::from(letters[place as usize % letters.len()]);
    let (district, digit) = (number / 1_000 % 99 + 1, number / 100 % 10);
    let area = letter(FIRST, number / 99_000);
    let text = format!("{area}{district} {digit}{}{}", letter(LAST, number / 10), letter(LAST, number));
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_has_a_postcode_of_its_own() {
        let all: BTreeSet<Postcode> = (0..100_000).filter_map(postcode).collect();
        assert_eq!(all.len(), 100_000);
    }
}
