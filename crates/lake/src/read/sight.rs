//! What a look-up reads before it knows whether its caller may see any of it: nothing that tells of what they may not see.
//!
//! Something of others that shows nothing to a caller costs what costs that is not there: the footers of the same runs, the same
//! questions to the filters of their viewers, and no page. Runs of earlier builds know no viewers, and are read as far as their filter of
//! Devices says, until maintenance writes them anew.

use crate::error::LakeError;
use crate::limits::RUNS_AT_ONCE;
use crate::read::query::{KeyQuery, Reach, View};
use crate::read::snapshot::Snapshot;
use crate::rows::anchor;
use crate::rows::lookup::Seek;
use crate::rows::run::RunFile;
use crate::rows::viewers::Viewer;
use crate::tables::named_rows::{self, NamedRows};
use crate::tables::pairs::{self, PairTable};
use crate::tables::table::LakeTable as _;
use futures::stream::{self, StreamExt, TryStreamExt};
use gridtrail_access::Access;
use gridtrail_model::{Anchor, DeviceId, Mpxn, Named, Timestamp, UserId};
use gridtrail_runs::{RunCache, RunsError, Seeks as _};
use std::cmp::Reverse;
use std::sync::Arc;

/// Where a search by a meter point leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Anchors {
    /// What rows lie under that are of it; ascending.
    pub found: Vec<Anchor>,
    /// For a meter point that nothing names, what the next lower one leads to. To look there [in vain](KeyQuery::in_vain) takes as long
    /// as it does to find that all of a meter point is of others.
    pub in_vain: Vec<Anchor>,
}

/// Where rows lie that name something which they do not lie under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What they lie under.
    pub anchor: Anchor,
    /// At which times a fragment of each lies there, ascending: see [`KeyQuery::at`]. `None`: nobody knows, as earlier builds wrote of
    /// some of them no more than what they lie under.
    pub at: Option<Arc<[Timestamp]>>,
}

impl Snapshot {
    /// What a look-up seeks under a key. `None`: nothing that lies there is to be shown, as far as runs say.
    ///
    /// Of the caller's own rows every run is judged by itself. Of everybody's meter reads all is read or nothing: whether a row is open
    /// is decided on all fragments of it, and with them on those that say otherwise.
    pub(crate) async fn seek(
        &self,
        cache: &RunCache,
        who: &Access,
        (query, under): (&KeyQuery, DeviceId),
        reach: Reach,
    ) -> Result<Option<Seek>, RunsError> {
        // No row lies under what is sought in vain, in the same runs.
        let sought = match query.in_vain {
            true => DeviceId::from_bytes(under.to_bytes().map(|byte| !byte)),
            false => under,
        };
        match query.view {
            View::Audit if who.user_ids().is_all() => Ok(Some(Seek::all(sought))),
            View::Audit => Ok(Some(Seek::shown_to(sought, who.user_ids().iter().map(Viewer::User)))),
            View::MeterReads => {
                let open = Seek::shown_to(sought, std::iter::once(Viewer::Everybody));
                Ok(self.meets(cache, &open, (under, reach)).await?.then(|| Seek::all(sought)))
            }
        }
    }

    /// Whether any run that a look-up goes through, or a later one, can hold what is sought.
    async fn meets(
        &self,
        cache: &RunCache,
        seek: &Seek,
        (under, reach): (DeviceId, Reach),
    ) -> Result<bool, RunsError> {
        let parked = self.parked.of_device(under, None, None);
        let within = self.trails.of_device(under, reach.from, reach.to).chain(parked);
        if any_meets(cache, seek, within).await? {
            return Ok(true);
        }
        // The fragment that says that a row is open may lie at any time above the row's lowest one.
        let Some(to) = reach.to else { return Ok(false) };
        any_meets(cache, seek, self.trails.of_device(under, Some(to), None)).await
    }

    /// What rows lie under that name a meter point; as far as `who` may see them.
    ///
    /// Under a Device that events named together with it, every row is one of the meter point. Under anything else, only rows are meant
    /// that [name](KeyQuery::naming) it.
    pub async fn anchors_of(&self, who: &Access, mpxn: Mpxn) -> Result<Anchors, LakeError> {
        let users = || who.user_ids().iter();
        let read = |keys: Vec<DeviceId>| {
            keys.into_iter().filter_map(|key| anchor::of_key(key, users())).collect::<Vec<_>>()
        };
        let is_shown = |key| anchor::of_key(key, users()).is_some();
        let keys = pairs::of_mpxn(&self.cache, self.keyed.of(PairTable.definition()), mpxn, is_shown).await?;
        Ok(Anchors { found: read(keys.found), in_vain: read(keys.beside) })
    }

    /// Where rows lie that name Devices or meter points beside what they lie under, for each of those: as far as links say, and as far as
    /// `who` may see the rows. `in_vain`: as if it were of others, whoever's it is. Nothing is found.
    ///
    /// Cost: of what no such row names, a question to the filter of each file. It waits for the store twice at most, however many are
    /// sought; four times in a lake of an earlier build.
    pub async fn elsewhere(
        &self,
        (who, view): (&Access, View),
        named: &[Named],
        in_vain: bool,
    ) -> Result<Vec<Vec<Elsewhere>>, LakeError> {
        let viewers = || {
            // A meter read is shown as everybody's, the caller's own as well.
            let (users, all) = match view {
                View::Audit => (Some(who.user_ids().iter().map(Viewer::User)), None),
                View::MeterReads => (None, Some(Viewer::Everybody)),
            };
            users.into_iter().flatten().chain(all)
        };
        let prints: Vec<_> =
            named.iter().map(|named| named_rows::prints(*named, viewers(), in_vain)).collect();
        let links = named_rows::places(&self.cache, self.keyed.of(NamedRows.definition()), &prints).await?;
        let before =
            pairs::of_devices(&self.cache, self.keyed.of(PairTable.definition()), named, (viewers, in_vain))
                .await?;
        let mut all = Vec::with_capacity(named.len());
        for (before, places) in before.into_iter().zip(links) {
            let whole = before.iter().map(|under| (*under, None));
            let places = places.chunk_by(|(one, _), (other, _)| one == other);
            let linked = places.filter_map(|places| {
                let under = places.first()?.0;
                let times = || places.iter().map(|(_, at)| *at).collect();
                // All that lies there and names it is found already.
                (!before.contains(&under)).then(|| (under, Some(times())))
            });
            let anchored =
                |(under, at)| Some(Elsewhere { anchor: anchor::of_key(under, who.user_ids().iter())?, at });
            all.push(whole.chain(linked).filter_map(anchored).collect());
        }
        Ok(all)
    }

    /// Devices that events named together with a meter point, ascending.
    pub(crate) async fn devices_of(&self, mpxn: Mpxn) -> Result<Vec<DeviceId>, RunsError> {
        let keys =
            pairs::of_mpxn(&self.cache, self.keyed.of(PairTable.definition()), mpxn, |_| true).await?.found;
        let anchors = keys.into_iter().filter_map(|key| anchor::of_key(key, std::iter::empty::<UserId>()));
        Ok(anchors.filter_map(Anchor::device).collect())
    }
}

/// Whether any of some runs can hold what is sought. Those in memory are asked first, the newest of them before all; the footers of the
/// others are fetched together.
async fn any_meets<'a>(
    cache: &RunCache,
    seek: &Seek,
    files: impl Iterator<Item = &'a Arc<RunFile>>,
) -> Result<bool, RunsError> {
    let mut files: Vec<&Arc<RunFile>> = files.collect();
    files.sort_by_key(|file| Reverse(file.summary.max_received_ms));
    let mut unknown = Vec::new();
    for file in files {
        match cache.opened(&file.path) {
            Some(run) if seek.is_met_by(&run) => return Ok(true),
            Some(_) => {}
            None => unknown.push(file.open(cache)),
        }
    }
    let runs: Vec<_> = stream::iter(unknown).buffered(RUNS_AT_ONCE).try_collect().await?;
    Ok(runs.iter().any(|run| seek.is_met_by(run)))
}
