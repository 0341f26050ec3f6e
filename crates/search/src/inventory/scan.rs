//! All Devices of the inventory, for questions that no key leads to: shown as searches show them. Or some of them, for whoever keeps what a scan
//! gave, and which those are where something became otherwise.

use super::device::{HOPS_TO_PREMISES, InventoryDevice, held};
use super::find::TypeTwoShown;
use super::reach::Reach;
use crate::error::SearchError;
use crate::store::StoreError;
use gridtrail_access::Access;
use gridtrail_lake::{InventoryDevices, Snapshot};
use gridtrail_model::{DeviceId, Named, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Devices that are looked up at a time, with what is around them.
const DEVICES_AT_ONCE: usize = 64;

/// By what rules a scan shows Devices.
#[derive(Debug, Clone, Copy)]
pub struct InventoryRules {
    /// The instant of which all is so, as known then.
    pub at: Timestamp,
    /// Whether Type 2 Devices other than In-Home Displays are shown, which the Code does not ask for (H8.16(a)).
    pub every_type_two: bool,
}

impl InventoryRules {
    pub(super) const fn type_two(&self) -> TypeTwoShown {
        if self.every_type_two { TypeTwoShown::All } else { TypeTwoShown::InHomeDisplays }
    }
}

/// All Devices that a search could show, whatever their SMI Status, ascending; or those of some.
pub struct InventoryScan {
    snapshot: Arc<Snapshot>,
    who: Access,
    rules: InventoryRules,
    /// `None`: there are no more than those that wait.
    devices: Option<InventoryDevices>,
    waiting: VecDeque<DeviceId>,
}

impl std::fmt::Debug for InventoryScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InventoryScan").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl InventoryScan {
    /// Begins to read a snapshot.
    ///
    /// Errors: `Lake`; of a caller whose roles do not allow searches of the inventory, too.
    pub async fn new(
        snapshot: Arc<Snapshot>,
        who: Access,
        rules: InventoryRules,
    ) -> Result<Self, SearchError> {
        let devices = snapshot.inventory_devices(&who).await.map_err(StoreError::from)?;
        Ok(Self { snapshot, who, rules, devices: Some(devices), waiting: VecDeque::new() })
    }

    /// Begins to read some Devices of a snapshot.
    pub fn of_devices(
        snapshot: Arc<Snapshot>,
        who: Access,
        rules: InventoryRules,
        devices: BTreeSet<DeviceId>,
    ) -> Self {
        Self { snapshot, who, rules, devices: None, waiting: devices.into_iter().collect() }
    }

    /// The Devices that a scan may show otherwise where something of these Devices and meter points is otherwise, now or at any time: themselves,
    /// those that were ever installed at one of these meter points, and all around them over which it is looked for where a Device is.
    ///
    /// Cost: look-ups of the Devices that are named, and of those around them. Errors: `Lake`.
    pub async fn devices_shown_by(
        snapshot: &Snapshot,
        who: &Access,
        about: &BTreeSet<Named>,
    ) -> Result<BTreeSet<DeviceId>, SearchError> {
        let (mut devices, mut meter_points) = (BTreeSet::new(), BTreeSet::new());
        for named in about {
            match named {
                Named::Device(device) => drop(devices.insert(*device)),
                Named::Mpxn(_) => drop(meter_points.insert(*named)),
            }
        }
        devices.extend(named_with(snapshot, who, &meter_points).await?);
        let mut outermost = devices.clone();
        for _ in 0..HOPS_TO_PREMISES {
            let from = outermost.iter().copied().map(Named::Device).collect();
            outermost = named_with(snapshot, who, &from).await?;
            outermost.retain(|device| devices.insert(*device));
        }
        Ok(devices)
    }

    /// The next Devices; `None` at the end. A batch may be empty.
    ///
    /// Errors: `Lake`; `TooWide` where Devices have too many around them.
    pub async fn next(&mut self) -> Result<Option<Vec<InventoryDevice>>, SearchError> {
        let Some(some) = self.next_ids().await? else { return Ok(None) };
        // What it looks up is forgotten with it: of one answer, and so of one instant, it is all the same.
        let mut reach = Reach::new(&*self.snapshot, &self.who, self.rules.at);
        Ok(Some(held(&mut reach, self.rules.type_two().filter(true), &some).await?))
    }

    async fn next_ids(&mut self) -> Result<Option<Vec<DeviceId>>, SearchError> {
        if self.waiting.is_empty() {
            let Some(devices) = &mut self.devices else { return Ok(None) };
            let Some(devices) = devices.next().await.map_err(StoreError::from)? else { return Ok(None) };
            self.waiting.extend(devices);
        }
        let some = self.waiting.len().min(DEVICES_AT_ONCE);
        Ok(Some(self.waiting.drain(..some).collect()))
    }
}

/// The Devices that anything of some Devices and meter points ever named, be it corrected or withdrawn since.
async fn named_with(
    snapshot: &Snapshot,
    who: &Access,
    about: &BTreeSet<Named>,
) -> Result<BTreeSet<DeviceId>, SearchError> {
    let about: Vec<Named> = about.iter().copied().collect();
    let mut named = BTreeSet::new();
    for some in about.chunks(DEVICES_AT_ONCE) {
        let (known, _) = snapshot.inventory(who, some).await.map_err(StoreError::from)?;
        let all = known.iter().flat_map(|fragment| fragment.events()).flat_map(|event| event.about());
        named.extend(all.filter_map(|named| match named {
            Named::Device(device) => Some(device),
            Named::Mpxn(_) => None,
        }));
    }
    Ok(named)
}
