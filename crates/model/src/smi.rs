//! Words of the Smart Metering Inventory (SMI): what a Device is, and how far it has come.

use crate::ParseError;
use crate::vocabulary::vocabulary;
use std::fmt;
use std::str::FromStr;

vocabulary! {
    /// The SMI Status of a Device, as DUIS 5.4 writes it (`sr:DeviceStatus`; UC_Inventory_001).
    SmiStatus, "SMI Status", "one of the nine of DUIS, such as Commissioned or InstalledNotCommissioned", {
        /// Notified to the DCC, and not installed.
        Pending = 1 "Pending",
        /// On the whitelist of its Communications Hub.
        Whitelisted = 2 "Whitelisted",
        /// Installed, and not commissioned.
        InstalledNotCommissioned = 3 "InstalledNotCommissioned",
        /// Commissioned: what a search of the inventory shows unless it asks for the others, too.
        Commissioned = 4 "Commissioned",
        /// Taken out of service.
        Decommissioned = 5 "Decommissioned",
        /// Withdrawn from the DCC's services.
        Withdrawn = 6 "Withdrawn",
        /// Suspended, such as for firmware that is no longer on the Certified Products List.
        Suspended = 7 "Suspended",
        /// In recovery from a compromise of keys.
        Recovery = 8 "Recovery",
        /// Recovered from a compromise of keys.
        Recovered = 9 "Recovered",
    }
}

vocabulary! {
    /// The type of a Device (DUIS `sr:DeviceType`).
    DeviceType, "Device Type", "one of ESME, GSME, GPF, CHF, HCALCS, PPMID, IHD, CAD", {
        /// Electricity Smart Metering Equipment.
        Esme = 1 "ESME",
        /// Gas Smart Metering Equipment.
        Gsme = 2 "GSME",
        /// Gas Proxy Function.
        Gpf = 3 "GPF",
        /// Communications Hub Function.
        Chf = 4 "CHF",
        /// HAN Connected Auxiliary Load Control Switch.
        Hcalcs = 5 "HCALCS",
        /// Pre-Payment Meter Interface Device.
        Ppmid = 6 "PPMID",
        /// In-Home Display.
        Ihd = 7 "IHD",
        /// Consumer Access Device.
        Cad = 8 "CAD",
    }
}

impl DeviceType {
    /// Whether it is a Type 2 Device, which has no SMI Status (UC_Inventory_001).
    pub const fn is_type_2(self) -> bool {
        matches!(self, Self::Ihd | Self::Cad)
    }

    /// Whether it is a Smart Meter, which an MPxN leads to (H8.16(a)(ii)).
    pub const fn is_smart_meter(self) -> bool {
        matches!(self, Self::Esme | Self::Gsme)
    }

    /// What the abbreviation stands for: the "Description of Device" of UC_Inventory_002.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Esme => "Electricity Smart Metering Equipment",
            Self::Gsme => "Gas Smart Metering Equipment",
            Self::Gpf => "Gas Proxy Function",
            Self::Chf => "Communications Hub Function",
            Self::Hcalcs => "HAN Connected Auxiliary Load Control Switch",
            Self::Ppmid => "Pre-Payment Meter Interface Device",
            Self::Ihd => "In-Home Display",
            Self::Cad => "Consumer Access Device",
        }
    }
}

/// The variant of an Electricity Smart Meter (DUIS `sr:ESMEVariant`): 1 to 8 capital letters, such as `A` or `BDE`.
///
/// Schema 5.4 lists 25 of them. A combination that it does not list is kept: an inventory may not refuse a fact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EsmeVariant {
    /// Padded with zeros, so the order is that of the text.
    letters: [u8; 8],
}

impl EsmeVariant {
    /// The letters.
    pub fn as_str(&self) -> &str {
        let end = self.letters.iter().position(|letter| *letter == 0).unwrap_or(self.letters.len());
        // Only capital letters get past `from_str`.
        std::str::from_utf8(&self.letters[..end]).unwrap_or_default()
    }
}

impl FromStr for EsmeVariant {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut letters = [0; 8];
        match letters.get_mut(..text.len()) {
            Some(start) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                start.copy_from_slice(text.as_bytes());
                Ok(Self { letters })
            }
            _ => Err(ParseError::new("ESME Variant", "1 to 8 capital letters, such as A or BDE", text)),
        }
    }
}

impl fmt::Display for EsmeVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for EsmeVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_from_text_and_number() {
        for status in SmiStatus::ALL {
            assert_eq!(status.as_str().parse::<SmiStatus>().unwrap(), *status);
            assert_eq!(SmiStatus::from_number(status.number()), Some(*status));
        }
        for device_type in DeviceType::ALL {
            assert_eq!(device_type.as_str().parse::<DeviceType>().unwrap(), *device_type);
            assert_eq!(DeviceType::from_number(device_type.number()), Some(*device_type));
        }
        assert_eq!((SmiStatus::ALL.len(), DeviceType::ALL.len()), (9, 8));
    }

    #[test]
    fn no_device_is_a_smart_meter_and_of_type_2() {
        let of = |is: fn(DeviceType) -> bool| DeviceType::ALL.iter().copied().filter(move |one| is(*one));
        assert!(of(DeviceType::is_type_2).eq([DeviceType::Ihd, DeviceType::Cad]));
        assert!(of(DeviceType::is_smart_meter).eq([DeviceType::Esme, DeviceType::Gsme]));
    }

    #[test]
    fn an_esme_variant_is_its_letters() {
        for text in ["A", "BDE", "ADEF", "ABCDEFGH"] {
            assert_eq!(text.parse::<EsmeVariant>().unwrap().to_string(), text);
        }
        for text in ["", "a", "A1", "ABCDEFGHI", "É"] {
            assert!(text.parse::<EsmeVariant>().is_err(), "{text}");
        }
        assert!("A".parse::<EsmeVariant>().unwrap() < "AD".parse().unwrap());
    }
}
