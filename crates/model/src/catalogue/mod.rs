//! Service Reference Variants and the catalogue of Service Requests.

mod table;

use crate::ParseError;
use std::fmt;
use std::str::FromStr;

/// A Service Reference Variant such as 4.8.1 or 11.2.
///
/// The form is checked, not the membership: a variant that the catalogue does not know is kept and shown, with
/// [`ServiceReferenceVariant::entry`] empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceReferenceVariant {
    group: u8,
    number: u8,
    // 0 means that the variant is the Service Reference itself; DUIS never writes a third part of 0.
    part: u8,
}

impl ServiceReferenceVariant {
    /// What the catalogue says of this variant.
    pub fn entry(self) -> Option<&'static CatalogueEntry> {
        let at = table::TABLE.binary_search_by_key(&self, |entry| entry.variant).ok()?;
        Some(&table::TABLE[at])
    }

    /// The Service Reference that the variant belongs to: 4.8 for 4.8.1.
    #[must_use]
    pub fn service_reference(self) -> Self {
        Self { part: 0, ..self }
    }

    /// Whether transactions of this variant are open to all Users through the meter-read search: 4.8.1, 4.8.2,
    /// 4.8.3 ("Read Profile Data") and 4.17 ("Retrieve Daily Consumption Log"), and no other
    /// (UC_MeterRead_001, Section H8.16(c)).
    pub fn is_meter_read(self) -> bool {
        matches!((self.group, self.number, self.part), (4, 8, 1..=3) | (4, 17, 0))
    }

    /// Whether its requests ask for a change of the Smart Metering Inventory, or its answers say what stands there (8.2).
    pub const fn is_of_inventory(self) -> bool {
        self.changes_inventory() || matches!((self.group, self.number, self.part), (8, 2, 0))
    }

    /// Whether its requests ask for a change of the Smart Metering Inventory: commissioning and decommissioning, updating the inventory, opting
    /// in, joins, the HAN Device Log, the status of Communications Hubs, and pre-notification.
    pub const fn changes_inventory(self) -> bool {
        matches!(
            (self.group, self.number, self.part),
            (8, 1, 1) | (8, 3 | 4 | 6 | 11, 0) | (8, 7 | 8, 1 | 2) | (8, 14, 1..=4) | (12, 2, 0)
        )
    }

    /// The variant as one number for storage, ascending in the same order.
    pub fn to_code(self) -> i32 {
        i32::from_be_bytes([0, self.group, self.number, self.part])
    }

    /// The inverse of [`ServiceReferenceVariant::to_code`].
    pub fn from_code(code: i32) -> Option<Self> {
        let [top, group, number, part] = code.to_be_bytes();
        (top == 0 && group > 0 && number > 0).then_some(Self { group, number, part })
    }
}

impl FromStr for ServiceReferenceVariant {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(
                "Service Reference Variant",
                "two or three numbers from 1 to 255 joined by '.', such as 4.8.1 or 11.2",
                text,
            )
        };
        let part = |part: &str| {
            let plain = part.bytes().all(|b| b.is_ascii_digit()) && !part.starts_with('0');
            part.parse().ok().filter(|_| plain).ok_or_else(wrong)
        };
        let mut parts = text.split('.');
        let (Some(group), Some(number)) = (parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let third = parts.next().map(part).transpose()?.unwrap_or(0);
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { group: part(group)?, number: part(number)?, part: third })
    }
}

impl fmt::Display for ServiceReferenceVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, number, part } = self;
        if *part == 0 {
            f.pad(&format!("{group}.{number}"))
        } else {
            f.pad(&format!("{group}.{number}.{part}"))
        }
    }
}

impl fmt::Debug for ServiceReferenceVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where a future-dated request waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FutureDating {
    /// The request cannot be future-dated.
    Never,
    /// At the DCC's Data Service Provider, which sends the command when the time has come.
    AtDcc,
    /// On the Device, which reports each instruction with an `8F66` or `8F67` alert.
    OnDevice,
    /// At the DCC and on the Device (6.23 only).
    AtDccAndOnDevice,
}

impl FutureDating {
    /// Whether the Device reports the outcome with `8F66` or `8F67` alerts after it accepted the command.
    pub const fn reports_by_alert(self) -> bool {
        matches!(self, Self::OnDevice | Self::AtDccAndOnDevice)
    }
}

/// A User Role that may be eligible to send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserRole {
    /// Import Supplier.
    IS,
    /// Export Supplier.
    ES,
    /// Gas Supplier.
    GS,
    /// Registered Supplier Agent.
    RSA,
    /// Electricity Distributor.
    ED,
    /// Gas Transporter.
    GT,
    /// Other User.
    OU,
}

impl UserRole {
    /// Every role.
    pub const ALL: &[Self] = &[Self::IS, Self::ES, Self::GS, Self::RSA, Self::ED, Self::GT, Self::OU];

    /// The code by which the catalogue names the role, such as `IS`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::IS => "IS",
            Self::ES => "ES",
            Self::GS => "GS",
            Self::RSA => "RSA",
            Self::ED => "ED",
            Self::GT => "GT",
            Self::OU => "OU",
        }
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for UserRole {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let role = Self::ALL.iter().copied().find(|role| role.code() == text);
        role.ok_or_else(|| ParseError::new("User Role", "one of IS, ES, GS, RSA, ED, GT and OU", text))
    }
}

/// What the catalogue says of one Service Reference Variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The variant.
    pub variant: ServiceReferenceVariant,
    /// Its name.
    pub name: &'static str,
    /// Whether it is a critical request: Transform, then a Signed Pre-Command.
    pub critical: bool,
    /// Where it waits when it is future-dated.
    pub future_dating: FutureDating,
    /// Whether it may be the body of a schedule created by 5.1.
    pub schedulable: bool,
    /// Whether the DCC answers it without any Device.
    pub non_device: bool,
    /// The Command Variants that DUIS allows.
    pub command_variants: &'static [u8],
    /// The User Roles that may send it.
    pub roles: &'static [UserRole],
}

/// All Service Reference Variants of DUIS 5.4, ascending.
pub fn catalogue() -> &'static [CatalogueEntry] {
    &table::TABLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_catalogue_is_ascending_and_whole() {
        assert!(catalogue().is_sorted_by(|a, b| a.variant < b.variant));
        let references: BTreeSet<_> = catalogue().iter().map(|e| e.variant.service_reference()).collect();
        assert_eq!((catalogue().len(), references.len()), (129, 95));
        for entry in catalogue() {
            assert_eq!(entry.variant.entry(), Some(entry));
            assert_eq!(entry.variant.to_string().parse::<ServiceReferenceVariant>().unwrap(), entry.variant);
            assert_eq!(ServiceReferenceVariant::from_code(entry.variant.to_code()), Some(entry.variant));
            assert_eq!(entry.critical, entry.command_variants.contains(&4), "{}", entry.variant);
        }
    }

    #[test]
    fn just_four_variants_are_meter_reads() {
        let reads: Vec<_> =
            catalogue().iter().filter(|e| e.variant.is_meter_read()).map(|e| e.variant.to_string()).collect();
        assert_eq!(reads, ["4.8.1", "4.8.2", "4.8.3", "4.17"]);
    }

    #[test]
    fn an_unknown_variant_is_kept_and_a_malformed_one_refused() {
        assert_eq!("99.1".parse::<ServiceReferenceVariant>().unwrap().entry(), None);
        for text in ["", "4", "4.", "4.8.1.1", "04.8", "4.8.0", "4.-8", "4.256", "a.b"] {
            assert!(text.parse::<ServiceReferenceVariant>().is_err(), "{text}");
        }
    }
}
