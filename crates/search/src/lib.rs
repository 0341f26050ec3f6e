//! Searches of the service audit trail, of meter-read transactions and of the inventory: plain structs in, plain structs out.
//!
//! A search of rows names a Device, an MPxN, a UPRN or a User, is answered newest first, and is paged by a sealed token that pins the
//! snapshot. **I2: pages of one search never skip a row, never repeat one, and never show one that the caller may
//! not see now.** Each answer says how fresh it is and at which version it was given.
//!
//! This crate knows no gRPC, and of the lake only what [`Store`] asks for. The lake itself leaves out the rows that
//! an [`gridtrail_access::Access`] does not cover; nothing here filters rows by their owner.
//!
//! Cost: one key look-up a Device and page, each for one row more than the page holds.
//!
//! An MPxN or UPRN leads to Devices through the inventory and through what events named together (`search/resolution.rs`).

mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod hub;
mod inventory;
mod limits;
mod query;
mod reference;
mod room;
mod sealed;
mod search;
mod store;
mod token;
mod wire;

pub use error::{SearchError, SearchErrorKind, UserText, Violation};
pub use gridtrail_inventory::PropertyFilter;
pub use gridtrail_lake::{AsOf, BadAsOf, HubCommand};
pub use hub::{
    HubAnswer, HubField, HubFieldName, HubSearch, HubStore, HubTables, HubTablesShown, PinnedHubs,
};
pub use inventory::{
    ByDevice, Capacity, DeviceWithGroups, FirmwarePeriod, Group, GroupedDevice, InventoryDevice,
    InventoryKeys, InventoryPage, InventoryQuery, InventoryRules, InventoryScan, InventorySearch,
    InventoryStore, ListedDevice, PertainingDevice, PertainingScan, PostcodeKey, Premises, Reading,
    RegionPeriod, RelatedDevice, StatusPeriod, UnattachedHub, UnattachedHubScan,
};
pub use limits::{
    DEVICE_PAGE_DEFAULT, DEVICE_PAGE_MAX, DEVICES_MAX, GROUPED_DEVICES_MAX, INVENTORY_LOOKUPS_MAX,
    LISTED_BESIDE_MAX, METER_POINTS_MAX, METER_POINTS_OF_UPRN_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX,
    PAGE_TOKEN_BYTES_MAX, PAGE_TOKEN_LIFE_MS, VARIANTS_MAX,
};
pub use query::{Executed, Query, RowQuery, SearchKey, parse_from, parse_to};
pub use reference::TrailRef;
pub use room::{NoRoom, Room};
pub use sealed::{NotOpened, Sealed};
pub use search::{Answer, DeviceResolution, Page, Row, Search};
pub use store::{Pinned, PinnedInventory, Store, StoreError};
pub use token::PageKey;
