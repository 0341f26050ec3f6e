//! A lake in memory, for tests here and above: slow, obvious, and with faults on demand.

use crate::hub::{HubStore, PinnedHubs};
use crate::inventory::{self, InventoryStore};
use crate::store::{Pinned, PinnedInventory, Store, StoreError};
use async_trait::async_trait;
use gridtrail_access::Access;
use gridtrail_inventory::{InventoryEvent, InventoryFragment, InventoryKey};
use gridtrail_lake::{
    Anchors, AsOf, Cost, Elsewhere, Found, Hub, HubCommand, HubFound, KeyQuery, LakeErrorKind, RowPosition,
    SnapshotVersion, View,
};
use gridtrail_model::{Anchor, DeviceId, Fragment, Merge as _, Mpxn, Named, Timestamp, TrailKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

pub use crate::inventory::fake::FakeInventory;

/// What a look-up does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with an error of this kind.
    Kind(LakeErrorKind),
    /// It panics.
    Panic,
    /// It never answers.
    Hang,
}

/// A lake in memory. Clones share it. Its inventory has versions of its own.
#[derive(Debug, Clone)]
pub struct FakeLake(Arc<Mutex<State>>, FakeInventory);

#[derive(Debug)]
struct State {
    snapshots: Vec<Arc<FakeSnapshot>>,
    /// Versions below this one are gone.
    kept_from: usize,
    fault: Option<Fault>,
    hanging: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Clone)]
struct FakeSnapshot {
    version: SnapshotVersion,
    complete_up_to: Option<Timestamp>,
    rows: BTreeMap<(Anchor, RowPosition), Fragment>,
    pairs: BTreeSet<(Mpxn, Anchor)>,
    links: BTreeMap<(Named, Anchor), BTreeSet<Timestamp>>,
    told: Vec<InventoryEvent>,
    /// Of which keys it is known by now that their rows are not open to all, whatever was known at this version.
    closed: BTreeSet<TrailKey>,
    fault: Option<Fault>,
    hanging: Arc<watch::Sender<usize>>,
}

/// A look-up that hangs, for as long as somebody waits for it.
struct Hanging<'a>(&'a watch::Sender<usize>);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn version(number: usize) -> SnapshotVersion {
    SnapshotVersion::of_trails(number as u64)
}

impl Default for FakeLake {
    fn default() -> Self {
        let empty = FakeSnapshot {
            version: version(0),
            complete_up_to: None,
            rows: BTreeMap::new(),
            pairs: BTreeSet::new(),
            links: BTreeMap::new(),
            told: Vec::new(),
            closed: BTreeSet::new(),
            fault: None,
            hanging: Arc::default(),
        };
        let hanging = Arc::clone(&empty.hanging);
        let state = State { snapshots: vec![Arc::new(empty)], kept_from: 0, fault: None, hanging };
        Self(Arc::new(Mutex::new(state)), FakeInventory::default())
    }
}

impl FakeLake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits fragments, each under its own anchor, placement time and key, as a new version.
    ///
    /// # Panics
    /// On a fragment without a placement time.
    pub fn commit(&self, fragments: impl IntoIterator<Item = Fragment>, complete_up_to: Option<Timestamp>) {
        self.commit_told(fragments, [], complete_up_to);
    }

    /// The same, with events of the inventory.
    ///
    /// # Panics
    /// On a fragment without a placement time.
    pub fn commit_told(
        &self,
        fragments: impl IntoIterator<Item = Fragment>,
        told: impl IntoIterator<Item = InventoryEvent>,
        complete_up_to: Option<Timestamp>,
    ) {
        let mut state = self.state();
        let mut next = state.snapshots.last().map(|last| FakeSnapshot::clone(last)).unwrap_or_else(|| {
            unreachable!("there is always a version 0");
        });
        next.version = version(state.snapshots.len());
        next.complete_up_to = complete_up_to;
        next.told.extend(told);
        for fragment in fragments {
            let Some(placement) = fragment.placement() else {
                panic!("a row has a placement time");
            };
            let anchor = fragment.anchor();
            next.pairs.extend(fragment.mpxns().map(|mpxn| (mpxn, anchor)));
            let concerned = fragment.concerned_devices().iter();
            for device in fragment.device.iter().chain(concerned) {
                if anchor != Anchor::Device(*device) {
                    next.links.entry((Named::Device(*device), anchor)).or_default().insert(placement);
                }
            }
            let position = RowPosition { placement, key: fragment.key };
            match next.rows.get_mut(&(anchor, position)) {
                Some(row) => row.merge(fragment),
                None => {
                    next.rows.insert((anchor, position), fragment);
                }
            }
        }
        state.snapshots.push(Arc::new(next));
    }

    /// Its inventory.
    pub const fn inventory(&self) -> &FakeInventory {
        &self.1
    }

    /// Makes every version but the newest go away.
    pub fn forget_old_versions(&self) {
        let mut state = self.state();
        state.kept_from = state.snapshots.len() - 1;
    }

    /// From now on every read answers with this fault; `None` heals.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// How many look-ups hang.
    pub fn hanging(&self) -> watch::Receiver<usize> {
        self.state().hanging.subscribe()
    }
}

impl State {
    fn open(&self, number: usize) -> Arc<dyn Pinned> {
        let known = self.snapshots.last().into_iter().flat_map(|newest| newest.rows.values());
        let says_otherwise =
            |fragment: &&Fragment| fragment.variant.iter().any(|variant| !variant.is_meter_read());
        let closed = known.filter(says_otherwise).map(|fragment| fragment.key).collect();
        let snapshot =
            FakeSnapshot { fault: self.fault, closed, ..FakeSnapshot::clone(&self.snapshots[number]) };
        Arc::new(snapshot)
    }
}

#[async_trait]
impl Store for FakeLake {
    fn newest(&self) -> Arc<dyn Pinned> {
        let state = self.state();
        state.open(state.snapshots.len() - 1)
    }

    async fn at(&self, wanted: &SnapshotVersion) -> Result<Arc<dyn Pinned>, StoreError> {
        let state = self.state();
        let number = state.snapshots.iter().position(|snapshot| snapshot.version == *wanted);
        match number {
            Some(number) if number >= state.kept_from => Ok(state.open(number)),
            _ => Err(StoreError::new(LakeErrorKind::VersionGone, "the version was dropped")),
        }
    }

    async fn as_of(&self, as_of: AsOf) -> Result<Arc<dyn Pinned>, StoreError> {
        match as_of {
            AsOf::Version(number) => self.at(&version(usize::try_from(number).unwrap_or(usize::MAX))).await,
            // Its versions have no times.
            AsOf::Instant(_) => Ok(self.newest()),
        }
    }
}

#[async_trait]
impl InventoryStore for FakeLake {
    fn newest_inventory(&self) -> Arc<dyn PinnedInventory> {
        self.1.newest_inventory()
    }

    async fn inventory_at(&self, version: &SnapshotVersion) -> Result<Arc<dyn PinnedInventory>, StoreError> {
        self.1.inventory_at(version).await
    }

    async fn inventory_as_of(
        &self,
        as_of: AsOf,
    ) -> Result<(Arc<dyn PinnedInventory>, Timestamp), StoreError> {
        self.1.inventory_as_of(as_of).await
    }
}

impl FakeSnapshot {
    async fn fail_on_demand(&self) -> Result<(), StoreError> {
        match self.fault {
            None => Ok(()),
            Some(Fault::Kind(kind)) => Err(StoreError::new(kind, "secret inner detail of the store")),
            Some(Fault::Panic) => panic!("secret inner detail of a panic"),
            Some(Fault::Hang) => {
                self.hanging.send_modify(|count| *count += 1);
                let _hanging = Hanging(&self.hanging);
                std::future::pending().await
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
        self.fail_on_demand().await?;
        Ok((inventory::fake::known(&self.told, about), Cost::default()))
    }

    async fn meter_points(&self, _: &Access, key: InventoryKey) -> Result<(Vec<Mpxn>, Cost), StoreError> {
        self.fail_on_demand().await?;
        Ok((inventory::fake::meter_points(&self.told, key), Cost::default()))
    }
}

#[async_trait]
impl Pinned for FakeSnapshot {
    async fn lookup(&self, who: &Access, query: &KeyQuery) -> Result<(Vec<Found>, Cost), StoreError> {
        self.fail_on_demand().await?;
        let is_own = |fragment: &Fragment| who.user_ids().contains(&fragment.key.user);
        let mine = |fragment: &Fragment| match query.view {
            View::Audit => is_own(fragment),
            View::MeterReads => {
                fragment.is_meter_read() && (is_own(fragment) || !self.closed.contains(&fragment.key))
            }
        };
        let asked = |position: &RowPosition, fragment: &Fragment| {
            let variant = fragment.variant_shown();
            (query.variants.is_empty() || variant.is_some_and(|variant| query.variants.contains(&variant)))
                && query.from.is_none_or(|from| from <= position.placement)
                && query.to.is_none_or(|to| position.placement <= to)
                && query.before.is_none_or(|before| *position < before)
                && query.key.is_none_or(|key| position.key == key)
                && query.at.as_ref().is_none_or(|at| at.contains(&position.placement))
                && query.counts(position.placement, fragment)
        };
        let rows = self.rows.iter().rev().filter(|((anchor, position), fragment)| {
            *anchor == query.anchor
                && query.naming.is_none_or(|named| fragment.names(named))
                && mine(fragment)
                && asked(position, fragment)
        });
        let found = rows.take(query.limit).map(|((_, position), fragment)| Found {
            placement: position.placement,
            fragment: fragment.clone(),
        });
        Ok((found.collect(), Cost::default()))
    }

    async fn anchors_of(&self, who: &Access, mpxn: Mpxn) -> Result<Anchors, StoreError> {
        self.fail_on_demand().await?;
        let seen = |anchor: &Anchor| match anchor {
            Anchor::User(user) => who.user_ids().contains(user),
            _ => true,
        };
        let anchors = self.pairs.iter().filter(|(known, _)| *known == mpxn).map(|(_, anchor)| *anchor);
        Ok(Anchors { found: anchors.filter(seen).collect(), in_vain: Vec::new() })
    }

    async fn elsewhere(
        &self,
        _: (&Access, View),
        named: &[Named],
        in_vain: bool,
    ) -> Result<Vec<Vec<Elsewhere>>, StoreError> {
        self.fail_on_demand().await?;
        let of = |named: &Named| {
            let links = self.links.iter().filter(|((known, _), _)| known == named && !in_vain);
            let elsewhere = |((_, anchor), times): (&(Named, Anchor), &BTreeSet<Timestamp>)| Elsewhere {
                anchor: *anchor,
                at: Some(times.iter().copied().collect()),
            };
            links.map(elsewhere).collect()
        };
        Ok(named.iter().map(of).collect())
    }
}

/// It has no inventory, and so no hub.
impl HubStore for FakeLake {
    fn newest_hubs(&self) -> Arc<dyn PinnedHubs> {
        let state = self.state();
        let newest = state.snapshots.len() - 1;
        Arc::new(FakeSnapshot { fault: state.fault, ..FakeSnapshot::clone(&state.snapshots[newest]) })
    }
}

#[async_trait]
impl PinnedHubs for FakeSnapshot {
    fn version(&self) -> &SnapshotVersion {
        &self.version
    }

    fn complete_up_to(&self) -> Option<Timestamp> {
        self.complete_up_to
    }

    async fn hub(&self, _: &Access, _: DeviceId, _: Timestamp) -> Result<HubFound, StoreError> {
        self.fail_on_demand().await?;
        Ok(HubFound::Unknown)
    }

    async fn last_commands(&self, _: &Access, _: &Hub) -> Result<(Vec<HubCommand>, Cost), StoreError> {
        self.fail_on_demand().await?;
        Ok(<_>::default())
    }
}

/// Any trail key.
#[cfg(test)]
pub(crate) fn arbitrary_key() -> impl proptest::strategy::Strategy<Value = gridtrail_model::TrailKey> {
    use gridtrail_model::{CommandVariant, Leg, RequestId, ResponseId, Subject, TrailKey, UserId};
    use proptest::prelude::*;
    let parts = (any::<[u8; 8]>(), any::<[u8; 8]>(), any::<u64>());
    let request_id = parts.prop_map(|(originator, target, counter)| RequestId {
        originator: UserId::from_bytes(originator),
        target: DeviceId::from_bytes(target),
        counter,
    });
    let response_id = parts.prop_map(|(first, second, counter)| ResponseId {
        first: DeviceId::from_bytes(first),
        second: DeviceId::from_bytes(second),
        counter,
    });
    let code = "[0-9A-F]{4}|AD[0-9]|N[0-9]{1,3}".prop_map(|text| text.parse().unwrap());
    let leg = (request_id.clone(), 1u8..=9).prop_map(|(request_id, number)| {
        Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(number).unwrap() })
    });
    let alert = (response_id.clone(), code, any::<Option<u32>>()).prop_map(
        |(response_id, code, throttle_sequence)| Subject::Alert { response_id, code, throttle_sequence },
    );
    let subject = prop_oneof![
        leg,
        response_id.prop_map(Subject::ScheduledRun),
        alert,
        request_id.prop_map(Subject::Unjoined)
    ];
    (any::<[u8; 8]>(), subject)
        .prop_map(|(user, subject)| TrailKey { user: UserId::from_bytes(user), subject })
}
