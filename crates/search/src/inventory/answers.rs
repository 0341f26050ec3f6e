//! The meter points that a caller answers for, and the Devices that were ever installed at them.
//!
//! Memory: some sixty bytes a meter point.

use super::pass::Pass;
use super::pertaining::Capacity;
use crate::error::SearchError;
use crate::store::StoreError;
use futures::TryStreamExt as _;
use gridtrail_access::UserIds;
use gridtrail_inventory::{InventoryFact, InventoryFragment, InventoryStatement, StatedFact};
use gridtrail_model::{DeviceId, Mpxn, Named, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// In the order of the User IDs of a meter point.
const CAPACITIES: [Capacity; 3] =
    [Capacity::ResponsibleSupplier, Capacity::NetworkParty, Capacity::RegisteredSupplierAgent];

/// What looking up a meter point holds until it was: its name twice, and its place in their order.
const LOOKED_UP_BYTES: usize = 2 * size_of::<Named>() + 32;

/// A meter point, and the numbers of the User IDs that answer for it, from 1 on; 0: none of the caller's.
#[derive(Debug, Clone, Copy)]
struct Point {
    mpxn: Mpxn,
    answering: [u32; CAPACITIES.len()],
}

/// For which meter points a caller answers at an instant, as known then.
#[derive(Debug, Default)]
pub(super) struct Answers {
    users: Vec<UserId>,
    /// Ascending.
    points: Vec<Point>,
    /// The Devices that anything ever said to be installed at one of them, by meter point, ascending.
    devices: Vec<(Mpxn, DeviceId)>,
}

/// A meter point that a caller answers for.
struct Answered {
    mpxn: Mpxn,
    by: [Option<UserId>; CAPACITIES.len()],
    devices: Vec<DeviceId>,
}

impl Answers {
    /// Those of the caller of a pass. Errors: `Lake`, `NoRoom`.
    pub(super) async fn read(pass: &Pass) -> Result<Self, SearchError> {
        let (snapshot, who, at) = (&pass.snapshot, &pass.who, pass.rules.at);
        let mut naming = snapshot.meter_points_naming(who, pass.at_once).await.map_err(StoreError::from)?;
        let mut mpxns: Vec<Mpxn> = Vec::new();
        while let Some(some) = naming.try_next().await.map_err(StoreError::from)? {
            mpxns.extend(some);
            pass.hold(mpxns.len() * LOOKED_UP_BYTES)?;
        }
        mpxns.sort_unstable();
        mpxns.dedup();
        let waiting = mpxns.len() * LOOKED_UP_BYTES;
        let about = mpxns.into_iter().map(Named::Mpxn).collect();
        let users = who.user_ids().clone();
        let answered = move |known| answered(&known, at, &users);
        let known = snapshot.inventory_of_many(who, about, pass.at_once, answered);
        let mut known = known.map_err(StoreError::from)?;
        let (mut answers, mut numbers) = (Self::default(), BTreeMap::new());
        while let Some(some) = known.try_next().await.map_err(StoreError::from)? {
            some.into_iter().flatten().for_each(|one| answers.add(one, &mut numbers));
            pass.hold(waiting + answers.bytes())?;
        }
        answers.points.sort_unstable_by_key(|point| point.mpxn);
        answers.devices.sort_unstable();
        Ok(answers)
    }

    fn add(&mut self, Answered { mpxn, by, devices }: Answered, numbers: &mut BTreeMap<UserId, u32>) {
        let mut number = |user: UserId| {
            *numbers.entry(user).or_insert_with(|| {
                self.users.push(user);
                u32::try_from(self.users.len()).unwrap_or(0)
            })
        };
        let answering = by.map(|user| user.map_or(0, &mut number));
        self.points.push(Point { mpxn, answering });
        self.devices.extend(devices.into_iter().map(|device| (mpxn, device)));
    }

    /// Bytes that they take, about.
    pub(super) fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<Point>()
            + self.devices.capacity() * size_of::<(Mpxn, DeviceId)>()
            + self.users.capacity() * size_of::<UserId>()
    }

    /// The next meter points from a number on, so many at most; `None`: there are no more.
    pub(super) fn next(&self, from: usize, at_most: usize) -> Option<Range<usize>> {
        let until = self.points.len().min(from + at_most);
        (from < until).then_some(from..until)
    }

    /// The Devices that were ever installed at some of the meter points, a Device perhaps more than once.
    pub(super) fn devices(&self, some: &Range<usize>) -> impl Iterator<Item = DeviceId> + '_ {
        let points = self.points.get(some.clone()).unwrap_or_default();
        let bounds = points.first().zip(points.last()).map(|(first, last)| (first.mpxn, last.mpxn));
        let range = bounds.map_or(0..0, |(first, last)| {
            let from = self.devices.partition_point(|(mpxn, _)| *mpxn < first);
            from..self.devices.partition_point(|(mpxn, _)| *mpxn <= last)
        });
        self.devices[range].iter().map(|(_, device)| *device)
    }

    /// Whether a meter point is one of some.
    pub(super) fn is_among(&self, some: &Range<usize>, mpxn: Mpxn) -> bool {
        let points = self.points.get(some.clone()).unwrap_or_default();
        points.binary_search_by_key(&mpxn, |point| point.mpxn).is_ok()
    }

    /// The first of some meter points, which are ascending, that the caller answers for; and the caller's User IDs that answer for any of them, each with
    /// its capacities.
    pub(super) fn answering(
        &self,
        mpxns: &BTreeSet<Mpxn>,
    ) -> Option<(Mpxn, BTreeMap<UserId, BTreeSet<Capacity>>)> {
        let mut users: BTreeMap<UserId, BTreeSet<Capacity>> = BTreeMap::new();
        let mut first = None;
        for mpxn in mpxns {
            let Ok(at) = self.points.binary_search_by_key(mpxn, |point| point.mpxn) else { continue };
            first.get_or_insert(*mpxn);
            for (capacity, number) in CAPACITIES.into_iter().zip(self.points[at].answering) {
                let number = usize::try_from(number).unwrap_or(0);
                if let Some(user) = number.checked_sub(1).and_then(|number| self.users.get(number)) {
                    users.entry(*user).or_default().insert(capacity);
                }
            }
        }
        first.map(|first| (first, users))
    }
}

/// What a meter point is, where one of some User IDs answers for it.
fn answered(known: &InventoryFragment, at: Timestamp, users: &UserIds) -> Option<Answered> {
    let Named::Mpxn(mpxn) = known.about() else { return None };
    let view = known.known_at(at);
    let by = [
        view.registered(|data| data.responsible_supplier),
        view.registered(|data| data.network_party),
        view.registered(|data| data.registered_supplier_agent),
    ];
    let by = by.map(|over_time| over_time.value_at(at).filter(|user| users.contains(user)));
    if by.iter().all(Option::is_none) {
        return None;
    }
    let installed = known.events().iter().filter_map(|event| match &event.told {
        InventoryStatement::Fact(StatedFact { fact: InventoryFact::Installation { device, .. }, .. }) => {
            Some(*device)
        }
        _ => None,
    });
    // Whatever was corrected since: each says for itself where it is.
    let devices: BTreeSet<DeviceId> = installed.collect();
    Some(Answered { mpxn, by, devices: devices.into_iter().collect() })
}
