//! Which Devices the inventory says anything of: for questions that no key leads to.
//!
//! The runs of the table are merged, in which Devices come before all other keys. Memory: a row group of each run of the table.

use crate::error::LakeError;
use crate::read::inventory::permit;
use crate::read::snapshot::Snapshot;
use crate::tables::inventory::{INVENTORY, InventoryRule, column, unreadable};
use arrow::array::{Array as _, AsArray as _};
use gridtrail_access::{Access, Component};
use gridtrail_inventory::InventoryKey;
use gridtrail_model::DeviceId;
use gridtrail_runs::{Merge, lookup};

/// Devices, being read.
pub struct InventoryDevices {
    merge: Merge<InventoryRule>,
    last: Option<DeviceId>,
    is_over: bool,
}

impl std::fmt::Debug for InventoryDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InventoryDevices").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The Devices of which the inventory says anything, be they in it still or not: what may be shown of each, a search decides.
    ///
    /// Errors: `NotPermitted` where the caller's roles do not allow searches of the inventory; `Unavailable`, `Corrupt`.
    pub async fn inventory_devices(&self, who: &Access) -> Result<InventoryDevices, LakeError> {
        permit(who, Component::Inventory)?;
        let runs: Vec<_> = self.inventory.iter().collect();
        let runs = lookup::open_runs(&self.cache, &INVENTORY, &runs).await?;
        let merge = Merge::new(InventoryRule, &self.cache, runs).await?;
        Ok(InventoryDevices { merge, last: None, is_over: false })
    }
}

impl InventoryDevices {
    /// The next Devices, ascending, each once; `None` at the end. A batch may be empty. Errors: as those of a look-up.
    pub async fn next(&mut self) -> Result<Option<Vec<DeviceId>>, LakeError> {
        if self.is_over {
            return Ok(None);
        }
        let Some(batch) = self.merge.next().await? else { return Ok(None) };
        let corrupt = || unreadable(INVENTORY.name);
        let keys = batch.columns().get(column::KEY).and_then(|keys| keys.as_binary_opt::<i32>());
        let keys = keys.ok_or_else(corrupt)?;
        let mut devices = Vec::new();
        for row in 0..keys.len() {
            let key = keys.value(row).try_into().ok().and_then(InventoryKey::from_bytes);
            let InventoryKey::Device(device) = key.ok_or_else(corrupt)? else {
                self.is_over = true;
                break;
            };
            if self.last.replace(device) != Some(device) {
                devices.push(device);
            }
        }
        Ok(Some(devices))
    }
}
