//! Look-up: the rows that a caller may see in a snapshot.
//!
//! **I4: a row leaves the lake only through an [`Access`].** The filter is applied here, beneath everything that
//! asks: an audit look-up sees the rows of the caller's User IDs, a meter-read look-up the rows of the four open
//! variants, and nothing else is ever returned. Whether a row of another User is open is decided by all that is known of it now
//! ([`Openness`]), whatever the snapshot.

use crate::error::LakeError;
use crate::limits::{APART_MS, RUNS_AT_ONCE};
use crate::read::nearby::Nearby;
use crate::read::openness::Openness;
use crate::read::query::{Cost, Found, KeyQuery, Reach, View};
use crate::read::scan::{Scan, Sight};
use crate::read::snapshot::Snapshot;
use crate::rows::anchor;
use crate::rows::lookup::{self, Seek};
use crate::rows::run::{RunFile, TRAILS};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Access;
use gridtrail_model::{DeviceId, Fragment, Timestamp};
use gridtrail_runs::lookup::open_runs;
use gridtrail_runs::{RunCache, RunsError, Seeks as _, Sheet, Touching};
use std::sync::Arc;

impl Snapshot {
    /// Rows of one Device that `who` may see, newest first, one a trail key, at most `query.limit`.
    ///
    /// Runs are gone through from the newest down, and only until the rows asked for are found: a run that holds
    /// nothing newer than they are is not touched.
    ///
    /// Cost: one footer a run on first sight, then per run touched the pages that can hold the Device.
    /// Errors: `Unavailable` when the store does not answer, `Corrupt` when a run is damaged. Cancel-safe.
    ///
    /// ```
    /// use gridtrail_access::Access;
    /// use gridtrail_lake::{Found, KeyQuery, LakeError, Snapshot};
    ///
    /// async fn rows(snapshot: &Snapshot, who: &Access, query: &KeyQuery) -> Result<Vec<Found>, LakeError> {
    ///     snapshot.lookup(who, query).await
    /// }
    /// ```
    ///
    /// Without an [`Access`] there is nothing to call:
    ///
    /// ```compile_fail,E0061
    /// use gridtrail_access::Access;
    /// use gridtrail_lake::{Found, KeyQuery, LakeError, Snapshot};
    ///
    /// async fn rows(snapshot: &Snapshot, who: &Access, query: &KeyQuery) -> Result<Vec<Found>, LakeError> {
    ///     snapshot.lookup(query).await
    /// }
    /// ```
    pub async fn lookup(&self, who: &Access, query: &KeyQuery) -> Result<Vec<Found>, LakeError> {
        Ok(self.lookup_with_cost(who, query).await?.0)
    }

    /// [`Snapshot::lookup`], and what it cost.
    pub async fn lookup_with_cost(
        &self,
        who: &Access,
        query: &KeyQuery,
    ) -> Result<(Vec<Found>, Cost), LakeError> {
        let Some(under) = anchor::key_of(query.anchor) else { return Ok(<_>::default()) };
        let (cache, requests) = self.cache.counting();
        let newest = self.newest();
        let mut openness = Openness::new(newest.as_deref().unwrap_or(self), &cache, who);
        let mut above_ms = APART_MS;
        let (found, cost) = loop {
            match self.look(&cache, who, query, (under, above_ms), &mut openness).await? {
                Some(done) => break done,
                // The next fragment of a row may lie further up still. Twice as far at a time, so that it ends soon.
                None => above_ms = above_ms.saturating_mul(2),
            }
        };
        let cost: Cost = [cost, openness.cost(), Cost::of_requests(&requests)].into_iter().sum();
        cache.count_lookup(cost.runs, cost.pages);
        Ok((found, cost))
    }

    /// What is known by now of the lake, where that is more than this snapshot has: another server may have seen a version that this
    /// process has not.
    pub(crate) fn newest(&self) -> Option<Arc<Self>> {
        let newest = self.by_now.upgrade()?.get();
        (newest.version > self.version).then_some(newest)
    }

    /// Looks a query up, with fragments up to so far above the rows that it asks for. `None`: one of those has a fragment so
    /// close to that edge that another may lie behind it.
    async fn look(
        &self,
        cache: &RunCache,
        who: &Access,
        query: &KeyQuery,
        (under, above_ms): (DeviceId, i64),
        openness: &mut Openness<'_>,
    ) -> Result<Option<(Vec<Found>, Cost)>, RunsError> {
        let reach = Reach::of(query, above_ms);
        let Some(seek) = self.seek(cache, who, (query, under), reach).await? else {
            return Ok(Some(<_>::default()));
        };
        let parked = self.parked_of(cache, Sight::Of(who), (query, under), &seek).await?;
        let nearby = query.at.as_deref().map(|at| nearby(query, at, &parked, (reach, above_ms)));
        if nearby.as_ref().is_some_and(Nearby::is_empty) {
            return Ok(Some(<_>::default()));
        }
        let files = self.trails.of_device(under, reach.from, reach.to);
        let files = files.filter(|file| nearby.as_ref().is_none_or(|nearby| nearby.meets(file))).collect();
        let mut touching = Touching::new((cache, &TRAILS), &seek, files);
        let mut scan = Scan::new(Sight::Of(who), (query, under), (reach, nearby), parked)?;
        let mut found = Vec::new();
        while found.len() < query.limit {
            let Some((rows, is_last)) =
                next_rows(&mut touching, &mut scan, query.limit - found.len()).await?
            else {
                return Ok(None);
            };
            found.extend(match query.view {
                View::Audit => rows,
                View::MeterReads => openness.keep_shown(rows).await?,
            });
            if is_last {
                break;
            }
        }
        found.truncate(if query.in_vain { 0 } else { query.limit });
        Ok(Some((found, scan.cost())))
    }

    /// Parked fragments of what the query looks under. Each is joined to its leg where that is on record by now, so that
    /// what a reader sees never depends on when the sweep runs. However many files of them there are, it waits for the store twice, and then as
    /// [`Snapshot::resolve`] does.
    pub(crate) async fn parked_of(
        &self,
        cache: &RunCache,
        sight: Sight<'_>,
        (query, under): (&KeyQuery, DeviceId),
        seek: &Seek,
    ) -> Result<Vec<Fragment>, RunsError> {
        let files: Vec<&Arc<RunFile>> = self.parked.of_device(under, None, None).collect();
        let runs = open_runs(cache, &TRAILS, &files).await?;
        let reading: Vec<_> = runs.iter().map(|run| seek.sheets(cache, run)).collect();
        let sheets: Vec<Vec<Sheet>> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
        let mut fragments = Vec::new();
        for sheet in sheets.iter().flatten() {
            fragments.extend(lookup::all_of(sheet, under)?);
        }
        // Nothing is looked for on behalf of rows of others.
        fragments.retain(|fragment| match sight {
            Sight::Of(who) => query.view == View::MeterReads || who.user_ids().contains(&fragment.key.user),
            Sight::Commands => true,
        });
        self.joined_by_now(cache, fragments).await
    }

    /// Parked fragments, each joined to its leg where that is on record by now, as far as it lies where it waited.
    pub(crate) async fn joined_by_now(
        &self,
        cache: &RunCache,
        fragments: Vec<Fragment>,
    ) -> Result<Vec<Fragment>, RunsError> {
        if fragments.is_empty() {
            return Ok(fragments);
        }
        let on_record = self.resolve(cache, &fragments).await?;
        let mut found = Vec::new();
        for fragment in fragments {
            let anchor = fragment.anchor();
            match fragment.join(on_record.of(&fragment.key)) {
                Some(joined) => found.extend(joined.into_iter().filter(|part| part.anchor() == anchor)),
                None => found.push(fragment),
            }
        }
        Ok(found)
    }
}

/// The next rows of a look-up, of which some are wanted still: from so many runs as are needed for them; and whether they are the last.
/// All that lies at the time of one of them is among them. `None`: a fragment lies so close to the upper edge that another of its row may lie
/// behind it.
pub(crate) async fn next_rows(
    touching: &mut Touching<'_, RunFile, Seek>,
    scan: &mut Scan<'_>,
    wanted: usize,
) -> Result<Option<(Vec<Found>, bool)>, RunsError> {
    // Everything newer than the newest row of the runs that are left is known.
    let horizon = loop {
        let Some(horizon) = touching.horizon_ms() else { break None };
        if scan.has_times(wanted + 1, horizon) {
            break Some(horizon);
        }
        if let Some(sheets) = touching.next().await? {
            scan.locate(sheets)?;
        }
    };
    let Some(rows) = scan.settle(horizon, wanted + 1)? else { return Ok(None) };
    Ok(Some((rows, horizon.is_none() && scan.is_done())))
}

/// What is read near the times at which rows of a query are known to lie. What waited for its request was led to where it waited, and lies
/// with that by now.
fn nearby(
    query: &KeyQuery,
    at: &[Timestamp],
    parked: &[Fragment],
    (reach, around_ms): (Reach, i64),
) -> Nearby {
    let waiting = parked.iter().filter(|part| query.naming.is_none_or(|named| part.names(named)));
    let times = at.iter().copied().chain(waiting.filter_map(Fragment::placement)).collect();
    Nearby::of(times, (query, reach), around_ms)
}
