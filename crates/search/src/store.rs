//! What a search needs of the lake. The lake is the one store in use; tests bring their own.

use async_trait::async_trait;
use gridtrail_access::Access;
use gridtrail_inventory::{InventoryFragment, InventoryKey};
use gridtrail_lake::{
    Anchors, AsOf, Cost, Elsewhere, Found, KeyQuery, Lake, LakeError, LakeErrorKind, Snapshot,
    SnapshotVersion, View,
};
use gridtrail_model::{Mpxn, Named, Timestamp};
use std::sync::Arc;

/// Why a store cannot answer: the lake's kind, and what lies beneath for the log.
#[derive(Debug, thiserror::Error)]
#[error("answer from the store")]
pub struct StoreError {
    kind: LakeErrorKind,
    earliest: Option<Timestamp>,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: LakeErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, earliest: None, source: source.into() }
    }

    /// The earliest instant that can be asked for, where an earlier one was.
    pub const fn earliest(&self) -> Option<Timestamp> {
        self.earliest
    }

    /// What the caller can do about it.
    pub const fn kind(&self) -> LakeErrorKind {
        self.kind
    }
}

impl From<LakeError> for StoreError {
    fn from(error: LakeError) -> Self {
        let earliest = if let LakeError::TooEarly { earliest } = &error { Some(*earliest) } else { None };
        Self { earliest, ..Self::new(error.kind(), error) }
    }
}

/// A source of snapshots. Every call is cancel-safe.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The newest snapshot seen.
    fn newest(&self) -> Arc<dyn Pinned>;
    /// The snapshot of a version. Errors: `VersionGone`, `Unavailable`.
    async fn at(&self, version: &SnapshotVersion) -> Result<Arc<dyn Pinned>, StoreError>;
    /// The snapshot of a moment. Errors: `VersionGone` where it is not, or no longer, to be had; `Unavailable`.
    async fn as_of(&self, as_of: AsOf) -> Result<Arc<dyn Pinned>, StoreError>;
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

/// The rows at one version, and the inventory. Every call is cancel-safe.
#[async_trait]
pub trait Pinned: PinnedInventory {
    /// The rows that the query asks for and the caller may see: newest first, one a trail key, at most
    /// `query.limit`; and what that cost.
    async fn lookup(&self, who: &Access, query: &KeyQuery) -> Result<(Vec<Found>, Cost), StoreError>;
    /// What rows lie under that name a meter point; as far as `who` may see them.
    async fn anchors_of(&self, who: &Access, mpxn: Mpxn) -> Result<Anchors, StoreError>;
    /// Where rows lie that name Devices or meter points beside what they lie under, for each of those; as far as `who` may see them.
    /// `in_vain`: as if it were all of others; nothing is found.
    async fn elsewhere(
        &self,
        who: (&Access, View),
        named: &[Named],
        in_vain: bool,
    ) -> Result<Vec<Vec<Elsewhere>>, StoreError>;
}

#[async_trait]
impl Store for Lake {
    fn newest(&self) -> Arc<dyn Pinned> {
        self.snapshot()
    }

    async fn at(&self, version: &SnapshotVersion) -> Result<Arc<dyn Pinned>, StoreError> {
        let snapshot: Arc<Snapshot> = self.snapshot_at(version).await?;
        Ok(snapshot)
    }

    async fn as_of(&self, as_of: AsOf) -> Result<Arc<dyn Pinned>, StoreError> {
        let snapshot: Arc<Snapshot> = self.snapshot_as_of(as_of).await?;
        Ok(snapshot)
    }
}

#[async_trait]
impl Pinned for Snapshot {
    async fn lookup(&self, who: &Access, query: &KeyQuery) -> Result<(Vec<Found>, Cost), StoreError> {
        Ok(self.lookup_with_cost(who, query).await?)
    }

    async fn anchors_of(&self, who: &Access, mpxn: Mpxn) -> Result<Anchors, StoreError> {
        Ok(self.anchors_of(who, mpxn).await?)
    }

    async fn elsewhere(
        &self,
        who: (&Access, View),
        named: &[Named],
        in_vain: bool,
    ) -> Result<Vec<Vec<Elsewhere>>, StoreError> {
        Ok(self.elsewhere(who, named, in_vain).await?)
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
