//! Searches of the Smart Metering Inventory: the Devices that match (UC_Inventory_001), and all that is held of them and of the Devices
//! around them (UC_Inventory_002).
//!
//! An answer is what was so at one instant, as it was known at that instant, of one version of the lake: a page token pins both. Nothing
//! is anybody's own here, so no User ID filters it; it still leaves the lake only through an [`Access`].
//!
//! Cost: a bounded number of look-ups by key, in rounds: meter points, their Devices, those around these, and where all of them stand.

mod answers;
mod brief;
mod device;
#[cfg(any(test, feature = "fake"))]
pub(crate) mod fake;
mod find;
mod pass;
mod pertaining;
mod pertaining_scan;
mod query;
mod reach;
mod scan;
mod store;
#[cfg(test)]
mod tests;
mod token;

pub use device::{
    DeviceWithGroups, FirmwarePeriod, Group, ListedDevice, Premises, RegionPeriod, RelatedDevice,
    StatusPeriod,
};
pub use device::{GroupedDevice, InventoryDevice};
pub use pertaining::{Capacity, PertainingDevice, UnattachedHub};
pub use pertaining_scan::{PertainingScan, Reading, UnattachedHubScan};
pub use query::{InventoryKeys, InventoryQuery, PostcodeKey};
pub use scan::{InventoryRules, InventoryScan};
pub use store::InventoryStore;

use crate::error::SearchError;
use crate::search::out_of_reach;
use crate::store::{PinnedInventory, StoreError};
use crate::token::{PAGE, PageKey, expiry_from, gone};
use find::{Matches, TypeTwoShown};
use gridtrail_access::{Access, Component};
use gridtrail_lake::{Cost, LakeErrorKind, SnapshotVersion};
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_runtime::Clock;
use query::{Checked, Kind};
use reach::Reach;
use std::fmt;
use std::sync::Arc;
use token::InventoryToken;

/// Answers searches of the inventory over one store. Clones share it.
#[derive(Clone)]
pub struct InventorySearch {
    store: Arc<dyn InventoryStore>,
    clock: Clock,
    page_key: PageKey,
    type_two: TypeTwoShown,
}

impl fmt::Debug for InventorySearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InventorySearch").finish_non_exhaustive()
    }
}

/// A row of an answer, which comes in the order of Device IDs.
pub trait ByDevice {
    /// The Device that it is of.
    fn device(&self) -> DeviceId;
}

/// One page of an answer.
#[derive(Debug, Clone)]
pub struct InventoryPage<T> {
    /// The Devices, ascending.
    pub devices: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next_page_token: Option<String>,
    /// Freshness: everything recorded before this time, UTC, is in the answer.
    pub complete_up_to: Option<Timestamp>,
    /// The version that every page is answered at.
    pub version: SnapshotVersion,
    /// The instant of which all this was so, as known then.
    pub as_at: Timestamp,
    /// How many premises matched; 0 where none were asked for.
    pub premises_matched: usize,
    /// Whether the caller may follow the link from each Device to its service audit trail.
    pub may_follow_audit_trail: bool,
    /// Most Devices on the page.
    pub page_size: usize,
    /// What finding them cost.
    pub cost: Cost,
    /// Devices that were left out on the way, since they are not Commissioned, ascending.
    left_out: Vec<DeviceId>,
    seal: Seal,
}

/// What the tokens of an answer are made with.
#[derive(Debug, Clone)]
struct Seal {
    page_key: PageKey,
    who: Access,
    fingerprint: [u8; 32],
    expires_at: Timestamp,
}

impl<T: ByDevice> InventoryPage<T> {
    /// Ends the page behind its first Devices, of which there is at least one: its token goes on from there. For whoever has no room for
    /// more.
    ///
    /// Errors: `Seal`.
    pub fn end_after(&mut self, devices: usize) -> Result<(), SearchError> {
        if devices >= self.devices.len() {
            return Ok(());
        }
        self.devices.truncate(devices.max(1));
        self.next_page_token = self.token_behind_the_last()?;
        Ok(())
    }

    /// How many Devices were left out on the way through this page, since they are not Commissioned: each is counted on one page.
    pub fn not_commissioned_left_out(&self) -> usize {
        let last = self.devices.last().filter(|_| self.next_page_token.is_some());
        let before = |device: &&DeviceId| last.is_none_or(|last| **device < last.device());
        self.left_out.iter().filter(before).count()
    }

    fn token_behind_the_last(&self) -> Result<Option<String>, SearchError> {
        let Seal { page_key, who, fingerprint, expires_at } = &self.seal;
        let token = |last: &T| {
            let (version, at, last) = (self.version.clone(), self.as_at, last.device());
            InventoryToken { version, at, last, expires_at: *expires_at }.seal(page_key, who, fingerprint)
        };
        self.devices.last().map(token).transpose()
    }
}

/// Where and when a page is answered.
struct Moment {
    snapshot: Arc<dyn PinnedInventory>,
    at: Timestamp,
    /// The last Device of the page before.
    after: Option<DeviceId>,
    expires_at: Timestamp,
}

impl InventorySearch {
    /// A search over `store`, which tells the time by `clock` and seals page tokens with `page_key`. `every_type_two`: Type 2 Devices other
    /// than In-Home Displays are shown, too, which the Code does not ask for (H8.16(a)).
    pub fn new(store: impl InventoryStore, clock: Clock, page_key: PageKey, every_type_two: bool) -> Self {
        let type_two = if every_type_two { TypeTwoShown::All } else { TypeTwoShown::InHomeDisplays };
        Self { store: Arc::new(store), clock, page_key, type_two }
    }

    /// One page of the Devices that match.
    ///
    /// Errors: every kind but `NotFound`; `Exhausted` where the keys stand for too many meter points or Devices. Cancel-safe. Source:
    /// UC_Inventory_001.
    pub async fn search(
        &self,
        who: &Access,
        query: &InventoryQuery,
    ) -> Result<InventoryPage<ListedDevice>, SearchError> {
        let (checked, moment) = self.begin(Kind::Search, who, query).await?;
        let mut reach = Reach::new(&*moment.snapshot, who, moment.at);
        let matches = Matches::listed(&mut reach, &query.keys).await?;
        let turn = self.shown(&mut reach, &matches, &checked, moment.after).await?;
        let devices = device::listed(&mut reach, &matches, &turn.devices).await?;
        self.page((devices, turn), matches.premises, (who, &checked, &moment), reach.cost())
    }

    /// One page of the Devices that match, each with the Devices around it.
    ///
    /// Errors: as [`InventorySearch::search`]; `Exhausted` also where a Device has too many around it. Cancel-safe. Source:
    /// UC_Inventory_002.
    pub async fn devices(
        &self,
        who: &Access,
        query: &InventoryQuery,
    ) -> Result<InventoryPage<DeviceWithGroups>, SearchError> {
        let (checked, moment) = self.begin(Kind::Devices, who, query).await?;
        let mut reach = Reach::new(&*moment.snapshot, who, moment.at);
        let matches = Matches::installed(&mut reach, &query.keys).await?;
        let turn = self.shown(&mut reach, &matches, &checked, moment.after).await?;
        let filter = self.type_two.filter(query.include_not_commissioned);
        let devices = device::with_groups(&mut reach, filter, &turn.devices).await?;
        self.page((devices, turn), matches.premises, (who, &checked, &moment), reach.cost())
    }

    async fn begin(
        &self,
        kind: Kind,
        who: &Access,
        query: &InventoryQuery,
    ) -> Result<(Checked, Moment), SearchError> {
        let now = self.clock.now();
        who.require(Component::Inventory, now)?;
        let checked = Checked::of(kind, query)?;
        let Some(text) = &query.page_token else {
            let (snapshot, at) = match query.as_of {
                None => (self.store.newest_inventory(), now),
                Some(as_of) => {
                    let (snapshot, at) = self.store.inventory_as_of(as_of).await.map_err(out_of_reach)?;
                    // What will be so is not what was known.
                    (snapshot, at.min(now))
                }
            };
            return Ok((checked, Moment { snapshot, at, after: None, expires_at: expiry_from(now) }));
        };
        let token = InventoryToken::open(&self.page_key, text, (who, &checked.fingerprint), now)?;
        let snapshot = self.store.inventory_at(&token.version).await;
        let snapshot = snapshot.map_err(|error: StoreError| match error.kind() {
            LakeErrorKind::VersionGone => gone(PAGE),
            _ => error.into(),
        })?;
        let InventoryToken { at, last, expires_at, .. } = token;
        Ok((checked, Moment { snapshot, at, after: Some(last), expires_at }))
    }

    async fn shown(
        &self,
        reach: &mut Reach<'_>,
        matches: &Matches,
        checked: &Checked,
        after: Option<DeviceId>,
    ) -> Result<find::Turn, SearchError> {
        let filter = self.type_two.filter(checked.include_not_commissioned);
        matches.turn(reach, filter, after, checked.page_size).await
    }

    fn page<T: ByDevice>(
        &self,
        (devices, turn): (Vec<T>, find::Turn),
        premises_matched: usize,
        (who, checked, moment): (&Access, &Checked, &Moment),
        cost: Cost,
    ) -> Result<InventoryPage<T>, SearchError> {
        let mut page = InventoryPage {
            devices,
            next_page_token: None,
            complete_up_to: moment.snapshot.complete_up_to(),
            version: moment.snapshot.version().clone(),
            as_at: moment.at,
            premises_matched,
            may_follow_audit_trail: who.permits(Component::ServiceAudit),
            page_size: checked.page_size,
            cost,
            left_out: turn.left_out,
            seal: Seal {
                page_key: self.page_key.clone(),
                who: who.clone(),
                fingerprint: checked.fingerprint,
                expires_at: moment.expires_at,
            },
        };
        if !turn.is_last {
            page.next_page_token = page.token_behind_the_last()?;
        }
        Ok(page)
    }
}
