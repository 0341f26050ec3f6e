//! A pass through the inventory for one caller: what it reads, how much of it at the same time, and in what room.

use super::brief::{Brief, Briefs};
use super::scan::InventoryRules;
use crate::error::SearchError;
use crate::room::Room;
use crate::store::StoreError;
use futures::TryStreamExt as _;
use gridtrail_access::Access;
use gridtrail_lake::Snapshot;
use gridtrail_model::{DeviceId, Named};
use std::num::NonZeroU32;
use std::sync::Arc;

/// What each thing that is read at the same time holds, about: what is known of a thousand Devices, and the pages that say it.
pub(super) const READING_BYTES: usize = 16 << 20;

/// What looking up a Device holds until it was: its name twice, and its place in their order.
const LOOKED_UP_BYTES: usize = size_of::<DeviceId>() + 2 * size_of::<Named>() + 32;

/// A pass.
pub(super) struct Pass {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) who: Access,
    pub(super) rules: InventoryRules,
    /// How much is read at the same time.
    pub(super) at_once: NonZeroU32,
    pub(super) room: Arc<dyn Room>,
}

impl Pass {
    /// Has so many bytes held beside what reading takes. Errors: `NoRoom`.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), SearchError> {
        let reading = usize::try_from(self.at_once.get()).unwrap_or(1).saturating_mul(READING_BYTES);
        Ok(self.room.hold(reading.saturating_add(bytes))?)
    }

    /// Looks up those of some Devices that are not among others yet. `beside`: bytes that are held already.
    ///
    /// Errors: `Lake`, `NoRoom`.
    pub(super) async fn look_at(
        &self,
        briefs: &mut Briefs,
        devices: impl IntoIterator<Item = DeviceId>,
        beside: usize,
    ) -> Result<(), SearchError> {
        let new = briefs.unknown(devices);
        let (at, beside) = (self.rules.at, beside + new.len() * LOOKED_UP_BYTES);
        self.hold(beside + briefs.bytes())?;
        let about = new.into_iter().map(Named::Device).collect();
        let brief = move |known| Brief::of(&known, at);
        let known = self.snapshot.inventory_of_many(&self.who, about, self.at_once, brief);
        let mut known = known.map_err(StoreError::from)?;
        while let Some(some) = known.try_next().await.map_err(StoreError::from)? {
            some.into_iter().flatten().for_each(|one| briefs.add(one));
            self.hold(beside + briefs.bytes())?;
        }
        Ok(())
    }
}
