//! Inventory events: one fact each, since when it is so, and when the DCC had it.

use crate::limits::{ADDRESS_TEXT_MAX, DEVICE_TEXT_MAX, HUB_TEXT_MAX};
use crate::text::ShortText;
use gridtrail_model::{
    CspRegion, DeviceId, DeviceType, EsmeVariant, EventId, Mpxn, Named, ParseError, Postcode, SmiStatus,
    Timestamp, Uprn, UserId,
};
use std::fmt;
use std::str::FromStr;

/// Whether a topic holds inventory events, by its name: a part of it, between dots, says so.
pub fn holds_inventory_events(topic: &str) -> bool {
    topic.split('.').any(|part| part == "inventory-events")
}

/// Who tells a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactOrigin {
    /// A DUIS message. It fills what no inventory event says, and never overrides one.
    Duis = 1,
    /// An inventory event.
    Inventory = 2,
}

impl FactOrigin {
    /// The number that stands for this origin in storage.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The origin of a storage number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Duis),
            2 => Some(Self::Inventory),
            _ => None,
        }
    }
}

/// One immutable fact of the inventory, or the withdrawal of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InventoryEvent {
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// What the source calls it, and what a correction or withdrawal names. Facts of one DUIS message share its identifier.
    pub id: EventId,
    /// Who tells it.
    pub origin: FactOrigin,
    /// What is told.
    pub told: InventoryStatement,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InventoryStatement {
    /// A fact.
    Fact(StatedFact),
    /// That another event's fact never was one.
    Withdrawal(Withdrawal),
}

/// A fact, and since when it is so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatedFact {
    /// Since when, and until when if that is known.
    pub effective: Effective,
    /// The event in whose place this one stands. It is about the same Devices and meter points.
    pub corrects: Option<EventId>,
    /// The fact.
    pub fact: InventoryFact,
}

/// The withdrawal of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Withdrawal {
    /// The event that is withdrawn.
    pub of: EventId,
    /// The Devices and meter points that the event was about, under which its withdrawal is found: sorted, each once.
    about: Vec<Named>,
}

impl Withdrawal {
    /// Of an event about these Devices and meter points. Errors: there are none, or more than two.
    pub fn new(of: EventId, mut about: Vec<Named>) -> Result<Self, ParseError> {
        about.sort_unstable();
        about.dedup();
        if (1..=2).contains(&about.len()) {
            return Ok(Self { of, about });
        }
        let rule =
            "it names the Devices and meter points of the event that it withdraws, which are one or two";
        Err(ParseError { what: "withdrawal", rule, found: format!("{} names", about.len()) })
    }

    /// The Devices and meter points that the event was about.
    pub fn about(&self) -> &[Named] {
        &self.about
    }
}

/// Since when a fact is so, and until when: the end is the first instant at which it is so no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effective {
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Effective {
    /// Since a time, with no end known.
    pub const fn since(from: Timestamp) -> Self {
        Self { from, until: None }
    }

    /// Since a time, and until another. Errors: it would end before it begins.
    pub fn new(from: Timestamp, until: Option<Timestamp>) -> Result<Self, ParseError> {
        match until {
            Some(until) if until <= from => {
                let rule = "a fact ends after it begins";
                Err(ParseError { what: "effective time", rule, found: format!("{from} until {until}") })
            }
            _ => Ok(Self { from, until }),
        }
    }

    /// The first instant at which it is so.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The first instant at which it is so no more, if one is known.
    pub const fn until(self) -> Option<Timestamp> {
        self.until
    }
}

/// What is so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InventoryFact {
    /// A Device is in the inventory, with these details.
    Device {
        /// The Device.
        device: DeviceId,
        /// Those of its details that the event tells.
        details: DeviceDetails,
    },
    /// A Device is no longer in the inventory.
    DeviceRemoved {
        /// The Device.
        device: DeviceId,
    },
    /// The SMI Status of a Device.
    SmiStatus {
        /// The Device.
        device: DeviceId,
        /// The status; `None`: the one before is over, and nothing says which follows. No inventory event says that.
        status: Option<SmiStatus>,
    },
    /// A Device is installed at a meter point, or no longer.
    Installation {
        /// The Device.
        device: DeviceId,
        /// The meter point.
        mpxn: Mpxn,
        /// Whether it is there.
        installed: bool,
    },
    /// A Device is Associated with another, or no longer. The other way round is another fact.
    Association {
        /// The Device that is Associated.
        device: DeviceId,
        /// The Device with which it is Associated.
        with: DeviceId,
        /// Whether it is.
        associated: bool,
    },
    /// The CSP region in which a Communications Hub is installed.
    Region {
        /// The Communications Hub Function.
        hub: DeviceId,
        /// The region.
        region: CspRegion,
    },
    /// Registration data of a meter point.
    Registration {
        /// The meter point.
        mpxn: Mpxn,
        /// Those of its data that the event tells.
        data: Registration,
    },
    /// What the CSP knows of a Communications Hub.
    Hub {
        /// The Communications Hub Function.
        hub: DeviceId,
        /// Those of its fields that the event tells.
        fields: HubFields,
    },
}

impl InventoryFact {
    /// The Devices and meter points that the fact is about: one or two.
    pub fn about(&self) -> (Named, Option<Named>) {
        match self {
            Self::Device { device, .. } | Self::DeviceRemoved { device } | Self::SmiStatus { device, .. } => {
                (Named::Device(*device), None)
            }
            Self::Installation { device, mpxn, .. } => (Named::Device(*device), Some(Named::Mpxn(*mpxn))),
            Self::Association { device, with, .. } => {
                (Named::Device(*device), Some(Named::Device(*with)).filter(|_| device != with))
            }
            Self::Region { hub, .. } | Self::Hub { hub, .. } => (Named::Device(*hub), None),
            Self::Registration { mpxn, .. } => (Named::Mpxn(*mpxn), None),
        }
    }
}

impl InventoryEvent {
    /// The Devices and meter points that the event is about, under each of which it is kept: one or two.
    pub fn about(&self) -> Vec<Named> {
        match &self.told {
            InventoryStatement::Fact(stated) => {
                let (first, second) = stated.fact.about();
                std::iter::once(first).chain(second).collect()
            }
            InventoryStatement::Withdrawal(withdrawal) => withdrawal.about.clone(),
        }
    }

    /// The event that this one corrects or withdraws.
    pub fn target(&self) -> Option<EventId> {
        match &self.told {
            InventoryStatement::Fact(stated) => stated.corrects.clone(),
            InventoryStatement::Withdrawal(withdrawal) => Some(withdrawal.of.clone()),
        }
    }
}

/// Details of a Device (UC_Inventory_002). A detail that is absent is one of which the event says nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DeviceDetails {
    /// Device Type.
    pub device_type: Option<DeviceType>,
    /// Manufacturer.
    pub manufacturer: Option<ShortText<DEVICE_TEXT_MAX>>,
    /// Device Model.
    pub model: Option<ShortText<DEVICE_TEXT_MAX>>,
    /// ESME Variant, of an Electricity Smart Meter.
    pub esme_variant: Option<EsmeVariant>,
    /// SMETS or CHTS version.
    pub smets_chts_version: Option<ShortText<DEVICE_TEXT_MAX>>,
    /// WAN Technology Type, of a Communications Hub.
    pub wan_technology_type: Option<ShortText<DEVICE_TEXT_MAX>>,
    /// Firmware Version.
    pub firmware_version: Option<ShortText<DEVICE_TEXT_MAX>>,
    /// HAN variant, of a Communications Hub.
    pub han_variant: Option<ShortText<DEVICE_TEXT_MAX>>,
}

/// The Network Status of a Communications Hub, in the CSP's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkStatus(ShortText<HUB_TEXT_MAX>);

impl NetworkStatus {
    /// The CSP's words.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is deactivated, without which no Deactivation Date/Time is shown (UC_HubStatus_001).
    pub fn is_deactivated(&self) -> bool {
        self.as_str().eq_ignore_ascii_case("deactivated")
    }
}

impl FromStr for NetworkStatus {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for NetworkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the CSP provides of a Communications Hub (UC_HubStatus_001). A field that is absent is one of which the event says
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HubFields {
    /// Aerial Installed.
    pub aerial_installed: Option<bool>,
    /// Aerial Type.
    pub aerial_type: Option<ShortText<HUB_TEXT_MAX>>,
    /// Birth Event: when the hub first came onto the SM WAN.
    pub birth_event: Option<Timestamp>,
    /// Network Status.
    pub network_status: Option<NetworkStatus>,
    /// Deactivation Date/Time.
    pub deactivated_at: Option<Timestamp>,
    /// SMWAN Connectivity Status.
    pub smwan_connectivity_status: Option<ShortText<HUB_TEXT_MAX>>,
    /// HAN Status.
    pub han_status: Option<ShortText<HUB_TEXT_MAX>>,
    /// Last Connection.
    pub last_connection: Option<Timestamp>,
    /// Last Tamper.
    pub last_tamper: Option<Timestamp>,
    /// Last Outage.
    pub last_outage: Option<Timestamp>,
    /// Last Restore.
    pub last_restore: Option<Timestamp>,
}

/// What an event says of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum FieldChange<T> {
    /// Nothing.
    #[default]
    Unsaid,
    /// That it has no value from then on.
    Cleared,
    /// Its value.
    Value(T),
}

impl<T> FieldChange<T> {
    /// The value, where one is said.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unsaid | Self::Cleared => None,
        }
    }

    /// Of a field that is absent where nothing is said of it.
    pub fn of(value: Option<T>) -> Self {
        value.map_or(Self::Unsaid, Self::Value)
    }
}

/// Registration data of a meter point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Registration {
    /// UPRN.
    pub uprn: FieldChange<Uprn>,
    /// First line of the address.
    pub first_line: FieldChange<ShortText<ADDRESS_TEXT_MAX>>,
    /// Full postcode.
    pub postcode: FieldChange<Postcode>,
    /// Name or number of the property.
    pub property: FieldChange<ShortText<ADDRESS_TEXT_MAX>>,
    /// Responsible Supplier, by its User ID.
    pub responsible_supplier: FieldChange<UserId>,
    /// Network Party, by its User ID.
    pub network_party: FieldChange<UserId>,
    /// Registered Supplier Agent, by its User ID.
    pub registered_supplier_agent: FieldChange<UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_by_a_part_of_its_name_what_it_holds() {
        assert!(
            holds_inventory_events("gridtrail.inventory-events.v1")
                && holds_inventory_events("inventory-events")
        );
        assert!(
            !holds_inventory_events("gridtrail.events.v1") && !holds_inventory_events("no-inventory-events")
        );
    }

    #[test]
    fn a_fact_ends_after_it_begins() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (one, two) = (at("2026-03-01"), at("2026-03-02"));
        assert!(Effective::new(one, Some(two)).is_ok() && Effective::new(one, None).is_ok());
        for until in [one, at("2026-02-28")] {
            assert!(Effective::new(one, Some(until)).is_err());
        }
    }

    #[test]
    fn a_withdrawal_names_one_or_two() {
        let named = |byte| Named::Device(DeviceId::from_bytes([byte; 8]));
        let id: EventId = "e".parse().unwrap();
        let of = |about| Withdrawal::new(id.clone(), about);
        assert_eq!(of(vec![named(2), named(1), named(2)]).unwrap().about(), [named(1), named(2)]);
        assert!(of(vec![]).is_err() && of(vec![named(1), named(2), named(3)]).is_err());
    }

    #[test]
    fn a_network_status_is_deactivated_in_any_case() {
        let of = |text: &str| text.parse::<NetworkStatus>().unwrap().is_deactivated();
        assert!(of("Deactivated") && of("DEACTIVATED") && !of("Active") && !of("Not deactivated"));
    }
}
