//! The inventory of many Devices and meter points: for questions that no key leads to, and that ask for a part of it.
//!
//! - Which meter points name a User: all rows of meter points are gone through, by three columns.
//! - What is known of many: look-ups, sorted as their rows lie, so that a page is read once for all whose rows it has, and some of them at the same time.
//!
//! Both go on in tasks of their own, which end with whoever reads.

use crate::error::LakeError;
use crate::read::inventory::permit;
use crate::read::snapshot::Snapshot;
use crate::tables::inventory::{INVENTORY, column, kind_of, unreadable};
use futures::stream::{self, BoxStream, StreamExt as _};
use gridtrail_access::{Access, Component, UserIds};
use gridtrail_inventory::{InventoryFragment, InventoryKey, names_user};
use gridtrail_model::{Mpxn, Named};
use gridtrail_runs::{Bucket, OpenRun, Run as _, RunCache, RunsError, lookup};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

/// Keys that are looked up together: some ten megabytes of what is known of Devices, until something is made of it.
const KEYS_AT_ONCE: usize = 1_024;

/// Something that comes a few at a time, in no order.
pub type Passing<T> = BoxStream<'static, Result<Vec<T>, LakeError>>;

impl Snapshot {
    /// The meter points of which any row says, or asks, that one of the caller's User IDs answers for them, at whatever time: each, perhaps more than once.
    /// Who answers for one now, what is known of it says.
    ///
    /// Cost: the keys, kinds and bodies of all rows of meter points, so many row groups at the same time. Errors: `NotPermitted` where the caller's roles do
    /// not allow searches of the inventory; `Unavailable`, `Corrupt`.
    pub async fn meter_points_naming(
        &self,
        who: &Access,
        at_once: NonZeroU32,
    ) -> Result<Passing<Mpxn>, LakeError> {
        permit(who, Component::Inventory)?;
        let runs: Vec<_> = self.inventory.iter().collect();
        let runs = lookup::open_runs(&self.cache, &INVENTORY, &runs).await?;
        let mut parts = Vec::new();
        for run in runs {
            for group in 0..run.metadata.metadata().num_row_groups() {
                let [from, until] = InventoryKey::MPXNS;
                let rows = lookup::rows_between(&run, group, from, until);
                parts.extend(rows.map(|rows| (Arc::clone(&run), group, rows)));
            }
        }
        let (cache, users) = (self.cache.clone(), who.user_ids().clone());
        let read = move |(run, group, rows): (Arc<OpenRun>, usize, Range<usize>)| {
            let (cache, users) = (cache.clone(), users.clone());
            in_a_task(async move { naming(&cache, &run, (group, rows), &users).await })
        };
        Ok(stream::iter(parts).map(read).buffer_unordered(at_once_of(at_once)).boxed())
    }

    /// What is known of many Devices and meter points, each once, in no order, and made into something at once: so the memory that this takes is that of some
    /// thousands of them, however many there are.
    ///
    /// Errors: as those of a look-up.
    pub fn inventory_of_many<T: Send + 'static>(
        self: &Arc<Self>,
        who: &Access,
        mut about: Vec<Named>,
        at_once: NonZeroU32,
        make: impl Fn(InventoryFragment) -> T + Send + Sync + 'static,
    ) -> Result<Passing<T>, LakeError> {
        permit(who, Component::Inventory)?;
        self.sort_as_they_lie(&mut about);
        let (snapshot, make) = (Arc::clone(self), Arc::new(make));
        let mut from = 0;
        let parts = std::iter::from_fn(move || {
            let part = about.get(from..about.len().min(from + KEYS_AT_ONCE)).filter(|part| !part.is_empty());
            from += KEYS_AT_ONCE;
            part.map(<[Named]>::to_vec)
        });
        let look = move |part: Vec<Named>| {
            let (snapshot, make) = (Arc::clone(&snapshot), Arc::clone(&make));
            in_a_task(async move {
                let known = snapshot.known_in_passing(&part).await?;
                Ok(known.into_iter().map(|known| make(known)).collect())
            })
        };
        Ok(stream::iter(parts).map(look).buffer_unordered(at_once_of(at_once)).boxed())
    }

    /// Sorts by bucket, and then by key, which is the order of rows in a bucket's runs.
    fn sort_as_they_lie(&self, about: &mut [Named]) {
        let buckets =
            self.inventory.iter().filter_map(|run| run.facts().bucket).map(|bucket| bucket.of).max();
        let of = buckets.unwrap_or(1);
        about.sort_by_cached_key(|named| {
            let key = InventoryKey::from(*named).to_bytes();
            (Bucket::of_key(&key, of).number, key)
        });
    }
}

fn at_once_of(at_once: NonZeroU32) -> usize {
    usize::try_from(at_once.get()).unwrap_or(1)
}

/// Has a task of its own do something, which ends where nobody waits for it.
async fn in_a_task<T: Send + 'static>(
    work: impl Future<Output = Result<Vec<T>, RunsError>> + Send + 'static,
) -> Result<Vec<T>, LakeError> {
    let done = AbortOnDropHandle::new(tokio::spawn(work)).await;
    let done = done.map_err(|_| RunsError::Internal("reading the inventory panicked"))?;
    Ok(done?)
}

/// The meter points in some rows of a group that name one of some User IDs.
async fn naming(
    cache: &RunCache,
    run: &OpenRun,
    (group, rows): (usize, Range<usize>),
    users: &UserIds,
) -> Result<Vec<Mpxn>, RunsError> {
    const COLUMNS: &[usize] = &[column::KEY, column::KIND, column::BODY];
    let mut found: Vec<Mpxn> = Vec::new();
    lookup::each_sheet(cache, run, group, (vec![rows], COLUMNS), |sheet, part| {
        let corrupt = || unreadable(sheet.path());
        let text = |number| sheet.texts(number, &part);
        let (keys, kinds, bodies) = (text(column::KEY)?, text(column::KIND)?, text(column::BODY)?);
        for ((key, kind), body) in keys.into_iter().zip(kinds).zip(bodies) {
            let key = key.and_then(|key| InventoryKey::from_bytes(key.try_into().ok()?));
            // Others lie in the same pages.
            let InventoryKey::Mpxn(mpxn) = key.ok_or_else(corrupt)? else { continue };
            if found.last() == Some(&mpxn) {
                continue;
            }
            let kind = kind.and_then(kind_of).ok_or_else(corrupt)?;
            let names = names_user(kind, body.ok_or_else(corrupt)?, |user| users.contains(user));
            if names.ok_or_else(corrupt)? {
                found.push(mpxn);
            }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}
