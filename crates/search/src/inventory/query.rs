//! What a caller may ask of the inventory, and the rules for it.

use crate::error::{SearchError, Violation};
use crate::limits::{DEVICE_PAGE_DEFAULT, DEVICE_PAGE_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::query::{put_as_of, sha256};
use crate::wire::put_text;
use gridtrail_inventory::PropertyFilter;
use gridtrail_lake::AsOf;
use gridtrail_model::{DeviceId, Mpxn, Postcode, Uprn};
use std::fmt;

/// What to search by: a Device matches where it fits all that are given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InventoryKeys {
    /// A meter point.
    pub mpxn: Option<Mpxn>,
    /// One Device.
    pub device: Option<DeviceId>,
    /// A UPRN.
    pub uprn: Option<Uprn>,
    /// A full postcode, perhaps with a property filter.
    pub postcode: Option<PostcodeKey>,
}

/// A full postcode, and which of its premises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostcodeKey {
    /// The postcode.
    pub postcode: Postcode,
    /// Only premises that fit; `None`: all.
    pub property: Option<PropertyFilter>,
}

impl fmt::Display for PostcodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.postcode.fmt(f)?;
        self.property.iter().try_for_each(|property| write!(f, " {property}"))
    }
}

impl InventoryKeys {
    /// The keys that are given: under which name, and what.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let keys = [
            ("mpxn", self.mpxn.map(|key| key.to_string())),
            ("device_id", self.device.map(|key| key.to_string())),
            ("uprn", self.uprn.map(|key| key.to_string())),
            ("postcode", self.postcode.as_ref().map(PostcodeKey::to_string)),
        ];
        keys.into_iter().filter_map(|(name, key)| Some((name, key?))).collect()
    }
}

/// A search of the inventory. Source: UC_Inventory_001 and UC_Inventory_002, "Inputs".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InventoryQuery {
    /// What to search by.
    pub keys: InventoryKeys,
    /// Also Devices that are not Commissioned.
    pub include_not_commissioned: bool,
    /// The moment whose record is searched; `None`: now.
    pub as_of: Option<AsOf>,
    /// Most Devices on the page; `None` means 50, or 10 with those around each.
    pub page_size: Option<u32>,
    /// The token of the page before; `None` for the first page.
    pub page_token: Option<String>,
}

/// Which search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// UC_Inventory_001: one or more keys.
    Search,
    /// UC_Inventory_002: exactly one.
    Devices,
}

/// What of a query that keeps every rule is not read from the query itself.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) include_not_commissioned: bool,
    pub(super) page_size: usize,
    /// Differs between queries that may give different answers: all but page size and token.
    pub(super) fingerprint: [u8; 32],
}

impl Checked {
    /// Errors: `Invalid` with every rule that is broken.
    pub(super) fn of(kind: Kind, query: &InventoryQuery) -> Result<Self, SearchError> {
        let mut violations = Vec::new();
        let mut add = |field, rule: String| violations.push(Violation { field, rule });
        match (kind, query.keys.given().len()) {
            (_, 0) => {
                add("key", "one of mpxn, device_id, uprn and postcode at least".to_owned());
            }
            (Kind::Devices, 2..) => {
                add("key", "exactly one of mpxn, device_id, uprn and postcode".to_owned());
            }
            _ => {}
        }
        let (default, most) = match kind {
            Kind::Search => (PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX),
            Kind::Devices => (DEVICE_PAGE_DEFAULT, DEVICE_PAGE_MAX),
        };
        let page_size = query.page_size.unwrap_or(default);
        if !(1..=most).contains(&page_size) {
            add("page_size", format!("1 to {most} Devices; leave it out for {default}"));
        }
        if !violations.is_empty() {
            return Err(SearchError::Invalid(violations));
        }
        Ok(Self {
            include_not_commissioned: query.include_not_commissioned,
            // At most 1000 by the check above.
            page_size: usize::try_from(page_size).unwrap_or(usize::MAX),
            fingerprint: fingerprint(kind, query),
        })
    }
}

fn fingerprint(kind: Kind, query: &InventoryQuery) -> [u8; 32] {
    // Each part has a fixed length or follows its length, so that no two queries share one text.
    let mut text = vec![match kind {
        Kind::Search => 1,
        Kind::Devices => 2,
    }];
    text.push(u8::from(query.include_not_commissioned));
    let given = query.keys.given();
    // At most four.
    text.push(u8::try_from(given.len()).unwrap_or(u8::MAX));
    for (name, key) in given {
        put_text(&mut text, name);
        put_text(&mut text, &key);
    }
    put_as_of(&mut text, query.as_of);
    sha256(&text)
}
