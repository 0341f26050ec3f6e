//! What a search of the inventory needs of the lake. The lake is the one store in use; tests bring their own.

use crate::store::StoreError;
use async_trait::async_trait;
use gridtrail_access::Access;
use gridtrail_inventory::{InventoryFragment, InventoryKey};
use gridtrail_lake::{AsOf, Cost, Lake, Snapshot, SnapshotVersion};
use gridtrail_model::{Mpxn, Named, Timestamp};
use std::sync::Arc;

/// A source of snapshots of the inventory. Every call is cancel-safe.
#[async_trait]
pub trait InventoryStore: Send + Sync + 'static {
    /// The newest snapshot seen.
    fn newest_inventory(&self) -> Arc<dyn PinnedInventory>;
    /// The snapshot of a version. Errors: `VersionGone`, `Unavailable`.
    async fn inventory_at(&self, version: &SnapshotVersion) -> Result<Arc<dyn PinnedInventory>, StoreError>;
    /// The snapshot of a moment, and its instant: of a version, when it was committed. Errors: `VersionGone` where it is not, or no
    /// longer, to be had; `Unavailable`.
    async fn inventory_as_of(&self, as_of: AsOf)
    -> Result<(Arc<dyn PinnedInventory>, Timestamp), StoreError>;
}

/// The inventory at one version. Every call is cancel-safe.
#[async_trait]
pub trait PinnedInventory: Send + Sync {
    /// The version.
    fn version(&self) -> &SnapshotVersion;
    /// Everything recorded before this time is in the snapshot.
    fn complete_up_to(&self) -> Option<Timestamp>;
    /// What is known of some Devices and meter points, each in its place; and what that cost.
    async fn known(
        &self,
        who: &Access,
        about: &[Named],
    ) -> Result<(Vec<InventoryFragment>, Cost), StoreError>;
    /// The meter points that a registration ever gave a UPRN or postcode, ascending; and what that cost.
    async fn meter_points(&self, who: &Access, key: InventoryKey) -> Result<(Vec<Mpxn>, Cost), StoreError>;
}

#[async_trait]
impl InventoryStore for Lake {
    fn newest_inventory(&self) -> Arc<dyn PinnedInventory> {
        self.snapshot()
    }

    async fn inventory_at(&self, version: &SnapshotVersion) -> Result<Arc<dyn PinnedInventory>, StoreError> {
        let snapshot: Arc<Snapshot> = self.snapshot_at(version).await?;
        Ok(snapshot)
    }

    async fn inventory_as_of(
        &self,
        as_of: AsOf,
    ) -> Result<(Arc<dyn PinnedInventory>, Timestamp), StoreError> {
        let (snapshot, at) = self.snapshot_and_instant_as_of(as_of).await?;
        Ok((snapshot, at))
    }
}

#[async_trait]
impl PinnedInventory for Snapshot {
    fn version(&self) -> &SnapshotVersion {
        self.version()
    }

    fn complete_up_to(&self) -> Option<Timestamp> {
        self.complete_up_to()
    }

    async fn known(
        &self,
        who: &Access,
        about: &[Named],
    ) -> Result<(Vec<InventoryFragment>, Cost), StoreError> {
        Ok(self.inventory(who, about).await?)
    }

    async fn meter_points(&self, who: &Access, key: InventoryKey) -> Result<(Vec<Mpxn>, Cost), StoreError> {
        Ok(self.meter_points(who, key).await?)
    }
}
