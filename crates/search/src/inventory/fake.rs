//! An inventory in memory, for tests here and above: slow and obvious.

use super::store::InventoryStore;
use crate::store::{PinnedInventory, StoreError};
use async_trait::async_trait;
use gridtrail_access::Access;
use gridtrail_inventory::{
    InventoryEvent, InventoryFact, InventoryFragment, InventoryKey, InventoryStatement, StatedFact,
};
use gridtrail_lake::{AsOf, Cost, LakeErrorKind, SnapshotVersion};
use gridtrail_model::{Mpxn, Named, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An inventory in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct FakeInventory(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Each version with the instant when it was made.
    snapshots: Vec<(Arc<FakeSnapshot>, Timestamp)>,
    /// Versions below this one are gone.
    kept_from: usize,
}

#[derive(Debug, Clone)]
struct FakeSnapshot {
    version: SnapshotVersion,
    complete_up_to: Option<Timestamp>,
    events: Vec<InventoryEvent>,
}

impl Default for FakeInventory {
    fn default() -> Self {
        let version = SnapshotVersion::of_trails(0);
        let empty = FakeSnapshot { version, complete_up_to: None, events: Vec::new() };
        Self(Arc::new(Mutex::new(State { snapshots: vec![(Arc::new(empty), Timestamp::MIN)], kept_from: 0 })))
    }
}

impl FakeInventory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events, as a new version that is made at an instant and is complete up to it.
    pub fn tell(&self, events: impl IntoIterator<Item = InventoryEvent>, at: Timestamp) {
        let mut state = self.state();
        let number = state.snapshots.len() as u64;
        let before = state.snapshots.last().map(|(last, _)| last.events.clone()).unwrap_or_default();
        let events = before.into_iter().chain(events).collect();
        let version = SnapshotVersion::of_trails(number);
        let next = FakeSnapshot { version, complete_up_to: Some(at), events };
        state.snapshots.push((Arc::new(next), at));
    }

    /// Makes every version but the newest go away.
    pub fn forget_old_versions(&self) {
        let mut state = self.state();
        state.kept_from = state.snapshots.len() - 1;
    }
}

impl State {
    fn at(&self, number: Option<usize>) -> Result<(Arc<dyn PinnedInventory>, Timestamp), StoreError> {
        let gone = || StoreError::new(LakeErrorKind::VersionGone, "the version was dropped");
        let number = number.filter(|number| *number >= self.kept_from).ok_or_else(gone)?;
        let (snapshot, at) = self.snapshots.get(number).ok_or_else(gone)?;
        let snapshot: Arc<dyn PinnedInventory> = Arc::clone(snapshot) as _;
        Ok((snapshot, *at))
    }
}

#[async_trait]
impl InventoryStore for FakeInventory {
    fn newest_inventory(&self) -> Arc<dyn PinnedInventory> {
        let state = self.state();
        match state.at(state.snapshots.len().checked_sub(1)) {
            Ok((newest, _)) => newest,
            Err(_) => unreachable!("there is always a version 0"),
        }
    }

    async fn inventory_at(&self, version: &SnapshotVersion) -> Result<Arc<dyn PinnedInventory>, StoreError> {
        let state = self.state();
        let number = state.snapshots.iter().position(|(snapshot, _)| snapshot.version == *version);
        Ok(state.at(number)?.0)
    }

    async fn inventory_as_of(
        &self,
        as_of: AsOf,
    ) -> Result<(Arc<dyn PinnedInventory>, Timestamp), StoreError> {
        let state = self.state();
        match as_of {
            AsOf::Version(version) => state.at(usize::try_from(version).ok()),
            AsOf::Instant(instant) => {
                let number = state.snapshots.iter().rposition(|(_, made)| *made <= instant);
                Ok((state.at(number)?.0, instant))
            }
        }
    }
}

#[async_trait]
impl PinnedInventory for FakeSnapshot {
    fn version(&self) -> &SnapshotVersion {
        &self.version
    }

    fn complete_up_to(&self) -> Option<Timestamp> {
        self.complete_up_to
    }

    async fn known(&self, _: &Access, about: &[Named]) -> Result<(Vec<InventoryFragment>, Cost), StoreError> {
        Ok((known(&self.events, about), Cost::default()))
    }

    async fn meter_points(&self, _: &Access, key: InventoryKey) -> Result<(Vec<Mpxn>, Cost), StoreError> {
        Ok((meter_points(&self.events, key), Cost::default()))
    }
}

/// What events say of some Devices and meter points.
pub(crate) fn known(events: &[InventoryEvent], about: &[Named]) -> Vec<InventoryFragment> {
    let of = |about: &Named| {
        let mut fragment = InventoryFragment::new(*about);
        for event in events.iter().filter(|event| event.about().contains(about)) {
            fragment.add(event.clone());
        }
        fragment
    };
    about.iter().map(of).collect()
}

/// The meter points that a registration ever gave a UPRN or postcode.
pub(crate) fn meter_points(events: &[InventoryEvent], key: InventoryKey) -> Vec<Mpxn> {
    let leads = events.iter().filter_map(|event| match &event.told {
        InventoryStatement::Fact(StatedFact { fact: InventoryFact::Registration { mpxn, data }, .. }) => {
            let has_it = match key {
                InventoryKey::Uprn(uprn) => data.uprn.value() == Some(&uprn),
                InventoryKey::Postcode(postcode) => data.postcode.value() == Some(&postcode),
                InventoryKey::Mpxn(_) | InventoryKey::Device(_) | InventoryKey::Request(_) => false,
            };
            has_it.then_some(*mpxn)
        }
        _ => None,
    });
    let leads: BTreeSet<Mpxn> = leads.collect();
    leads.into_iter().collect()
}
