//! Random worlds: events about few Devices and meter points, at few times, so that much of what they say meets. Some come
//! twice, some late; some correct or withdraw others, as the contract has it or not.

use crate::it::at;
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, Registration, StatedFact, Withdrawal,
};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, EventId, Mpxn, Named, SmiStatus, Timestamp, UserId};
use std::str::FromStr;

/// Chance from a seed (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn sometimes<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(3).then(|| make(self))
    }

    fn text<T: FromStr<Err: std::fmt::Debug>>(&mut self) -> Option<T> {
        self.sometimes(|chance| chance.of(&["A", "B", "C"]).parse().unwrap())
    }

    fn said<T: FromStr<Err: std::fmt::Debug>>(&mut self, texts: &[&str]) -> FieldChange<T> {
        match self.below(6) {
            0 => FieldChange::Cleared,
            1 | 2 => FieldChange::Value(self.of(texts).parse().unwrap()),
            _ => FieldChange::Unsaid,
        }
    }

    pub(crate) fn hour(&mut self) -> Timestamp {
        at(i64::try_from(self.below(HOURS)).unwrap())
    }
}

const HOURS: usize = 12;

pub(crate) const DEVICES: [DeviceId; 3] =
    [DeviceId::from_bytes([1; 8]), DeviceId::from_bytes([2; 8]), DeviceId::from_bytes([3; 8])];

pub(crate) fn mpxns() -> [Mpxn; 2] {
    ["1312345678111", "000123"].map(|text| text.parse().unwrap())
}

/// Everything that a world has facts about.
pub(crate) fn all_named() -> Vec<Named> {
    DEVICES.into_iter().map(Named::Device).chain(mpxns().into_iter().map(Named::Mpxn)).collect()
}

fn details(chance: &mut Chance) -> DeviceDetails {
    DeviceDetails {
        device_type: chance.sometimes(|chance| chance.of(DeviceType::ALL)),
        manufacturer: chance.text(),
        model: chance.text(),
        esme_variant: chance.text(),
        smets_chts_version: chance.text(),
        wan_technology_type: chance.text(),
        firmware_version: chance.text(),
        han_variant: chance.text(),
    }
}

fn hub_fields(chance: &mut Chance) -> HubFields {
    HubFields {
        aerial_installed: chance.sometimes(|chance| chance.one_in(2)),
        aerial_type: chance.text(),
        birth_event: chance.sometimes(Chance::hour),
        network_status: chance.text(),
        deactivated_at: chance.sometimes(Chance::hour),
        smwan_connectivity_status: chance.text(),
        han_status: chance.text(),
        last_connection: chance.sometimes(Chance::hour),
        last_tamper: chance.sometimes(Chance::hour),
        last_outage: chance.sometimes(Chance::hour),
        last_restore: chance.sometimes(Chance::hour),
    }
}

fn registration(chance: &mut Chance) -> Registration {
    let users = ["90-B3-D5-1F-30-01-00-00", "90-B3-D5-1F-30-02-00-00"];
    let mut user = || -> FieldChange<UserId> { chance.said(&users) };
    let (responsible_supplier, network_party, registered_supplier_agent) = (user(), user(), user());
    Registration {
        uprn: chance.said(&["100012345", "100012346"]),
        first_line: chance.said(&["1 High Street", "2 High Street"]),
        postcode: chance.said(&["SW1A 1AA", "BS1 4DJ"]),
        property: chance.said(&["1", "Rose Cottage"]),
        responsible_supplier,
        network_party,
        registered_supplier_agent,
    }
}

/// A fact about these, or about any.
fn fact(chance: &mut Chance, about: Option<(Named, Option<Named>)>) -> InventoryFact {
    let device = match about {
        Some((Named::Device(device), _)) => device,
        _ => chance.of(&DEVICES),
    };
    let mpxn = match about {
        Some((Named::Mpxn(mpxn), _) | (_, Some(Named::Mpxn(mpxn)))) => mpxn,
        _ => chance.of(&mpxns()),
    };
    let with = match about {
        Some((_, Some(Named::Device(with)))) => with,
        _ => chance.of(&DEVICES),
    };
    let kind = match about {
        Some((_, Some(Named::Mpxn(_)))) => 6,
        Some((_, Some(Named::Device(_)))) => 7,
        Some((Named::Mpxn(_), None)) => 8,
        Some((Named::Device(_), None)) => chance.below(6),
        None => chance.below(10),
    };
    match kind {
        0 => InventoryFact::Device { device, details: details(chance) },
        1 => InventoryFact::DeviceRemoved { device },
        2 | 3 => {
            let status = Some(chance.of(SmiStatus::ALL)).filter(|_| !chance.one_in(8));
            InventoryFact::SmiStatus { device, status }
        }
        4 => InventoryFact::Region { hub: device, region: chance.of(CspRegion::ALL) },
        5 => InventoryFact::Hub { hub: device, fields: hub_fields(chance) },
        6 => InventoryFact::Installation { device, mpxn, installed: !chance.one_in(3) },
        7 => InventoryFact::Association { device, with, associated: !chance.one_in(3) },
        _ => InventoryFact::Registration { mpxn, data: registration(chance) },
    }
}

fn effective(chance: &mut Chance) -> Effective {
    let from = chance.hour();
    let until =
        chance.one_in(4).then(|| from.plus_millis(i64::try_from(1 + chance.below(6)).unwrap() * 3_600_000));
    Effective::new(from, until).unwrap()
}

fn event_id(number: usize) -> EventId {
    format!("e-{number}").parse().unwrap()
}

/// The world of a seed: so many events at most.
pub(crate) fn world(chance: &mut Chance, events_max: usize) -> Vec<InventoryEvent> {
    let mut events: Vec<InventoryEvent> = Vec::new();
    for number in 0..1 + chance.below(events_max) {
        // Now and then two events have one identifier.
        let id = event_id(if chance.one_in(12) { chance.below(events_max) } else { number });
        let target = (!events.is_empty() && chance.one_in(3)).then(|| chance.of(&events));
        let stray = chance.one_in(16).then(|| event_id(chance.below(events_max)));
        let origin = if chance.one_in(3) { FactOrigin::Duis } else { FactOrigin::Inventory };
        let told = match target {
            Some(target) if chance.one_in(2) => {
                InventoryStatement::Withdrawal(Withdrawal::new(target.id.clone(), target.about()).unwrap())
            }
            Some(target) => {
                let about = target.about();
                let fact = fact(chance, Some((about[0], about.get(1).copied())));
                InventoryStatement::Fact(StatedFact {
                    effective: effective(chance),
                    corrects: Some(target.id),
                    fact,
                })
            }
            None => InventoryStatement::Fact(StatedFact {
                effective: effective(chance),
                corrects: stray,
                fact: fact(chance, None),
            }),
        };
        // A message neither corrects nor withdraws.
        let origin = if matches!(&told, InventoryStatement::Fact(StatedFact { corrects: None, .. })) {
            origin
        } else {
            FactOrigin::Inventory
        };
        events.push(InventoryEvent { recorded_at: chance.hour(), id, origin, told });
    }
    events
}
