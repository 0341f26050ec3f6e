//! What a search of the inventory needs of the lake. The lake is the one store in use; tests bring their own.

use crate::store::{PinnedInventory, StoreError};
use async_trait::async_trait;
use gridtrail_lake::{AsOf, Lake, Snapshot, SnapshotVersion};
use gridtrail_model::Timestamp;
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
