//! Snapshots: the lake at one fixed vector of table versions, and the rows that a caller may see in it.
//!
//! **I4: a row leaves the lake only through an [`Access`].** The filter is applied here, beneath everything that
//! asks: an audit look-up sees the rows of the caller's User IDs, a meter-read look-up the rows of the four open
//! variants, and nothing else is ever returned. Whether a row of another User is open is decided by all that is known of it now
//! ([`Openness`]), whatever the snapshot.

use crate::anchor;
use crate::error::LakeError;
use crate::index::RunIndex;
use crate::inventory::InventoryRuns;
use crate::keyed::KeyedFiles;
use crate::limits::{APART_MS, RUNS_AT_ONCE};
use crate::lookup::{self, Seek};
use crate::nearby::Nearby;
use crate::openness::Openness;
use crate::run::RunSummary;
use crate::scan::{Reach, Scan};
use crate::schema::Trails;
use crate::sheet::Sheet;
use crate::streams::{Partition, Stream};
use crate::tables;
use crate::tables::LakeTable as _;
use crate::touched::Touching;
use deltalake_core::Path;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Access;
use gridtrail_model::{Anchor, DeviceId, Fragment, Named, ServiceReferenceVariant, Timestamp, TrailKey};
use gridtrail_runs::{OpenRun, Requests, Run as _, RunCache, RunsError, TableFile};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tokio::sync::OnceCell;

/// A fixed vector of table versions, by the names of the tables that look-ups read, the main one first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotVersion(Vec<(&'static str, u64)>);

impl fmt::Display for SnapshotVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, version)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={version}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for SnapshotVersion {
    type Err = LakeError;
    fn from_str(text: &str) -> Result<Self, LakeError> {
        let read = |text: &str| {
            let parts = text.split(',').map(|part| part.split_once('=')).collect::<Option<Vec<_>>>()?;
            let of = |table: &str| parts.iter().find(|(name, _)| *name == table)?.1.parse().ok();
            let versions: Vec<_> =
                looked_up().map(|table| Some((table, of(table)?))).collect::<Option<_>>()?;
            (parts.len() == versions.len()).then_some(Self(versions))
        };
        // A build that reads other tables wrote it: its versions are none that this one can go back to.
        let gone = || RunsError::VersionGone { version: text.chars().take(64).collect() };
        Ok(read(text).ok_or_else(gone)?)
    }
}

impl SnapshotVersion {
    /// What `version` says of each table that look-ups read.
    pub(crate) fn of_tables(version: impl Fn(&str) -> u64) -> Self {
        Self(looked_up().map(|table| (table, version(table))).collect())
    }

    /// The version of a table. `None`: look-ups do not read it.
    pub(crate) fn of(&self, table: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| *name == table).map(|(_, version)| *version)
    }

    /// The version of the main table, with every other table at its first: for stores of tests.
    pub fn of_trails(trails: u64) -> Self {
        Self::of_tables(|table| if table == tables::main() { trails } else { 0 })
    }

    /// The version of the main table.
    pub fn trails(&self) -> u64 {
        self.0.first().map_or(0, |(_, version)| *version)
    }
}

/// The names of the tables that look-ups read, the main one first.
fn looked_up() -> impl Iterator<Item = &'static str> {
    tables::ALL.iter().filter(|table| table.is_looked_up()).map(|table| table.definition().name)
}

/// Which rows a look-up is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The service audit trail: rows of the caller's User IDs (UC_ServiceAudit_001).
    Audit,
    /// Meter-read transactions of all Users: variants 4.8.1, 4.8.2, 4.8.3 and 4.17 (UC_MeterRead_001).
    MeterReads,
}

/// A place in the order of results: newest first, the trail key breaking ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowPosition {
    /// The row's placement time.
    pub placement: Timestamp,
    /// The row.
    pub key: TrailKey,
}

/// What to look up.
#[derive(Debug, Clone)]
pub struct KeyQuery {
    /// What the rows lie under.
    pub anchor: Anchor,
    /// Only rows whose messages name this.
    pub naming: Option<Named>,
    /// Which rows.
    pub view: View,
    /// Service Reference Variants; empty means all.
    pub variants: Vec<ServiceReferenceVariant>,
    /// Placement time at or after.
    pub from: Option<Timestamp>,
    /// Placement time at or before.
    pub to: Option<Timestamp>,
    /// Only rows after this one in the order of results.
    pub before: Option<RowPosition>,
    /// The most rows to return.
    pub limit: usize,
    /// Just this row.
    pub key: Option<TrailKey>,
    /// Only rows of which a fragment lies at one of these times, given ascending, or which wait there for their request.
    pub at: Option<Arc<[Timestamp]>>,
    /// Whether it is looked up in vain: as if all that lies there were of others, whoever's it is. Nothing is found.
    pub in_vain: bool,
}

impl KeyQuery {
    /// Every row of a Device in a view, the newest `limit` of them. Struct update syntax narrows it.
    pub fn all(device: DeviceId, view: View, limit: usize) -> Self {
        Self::under(Anchor::Device(device), view, limit)
    }

    /// Every row under an anchor in a view, the newest `limit` of them.
    pub const fn under(anchor: Anchor, view: View, limit: usize) -> Self {
        Self {
            anchor,
            naming: None,
            view,
            variants: Vec::new(),
            from: None,
            to: None,
            before: None,
            limit,
            key: None,
            at: None,
            in_vain: false,
        }
    }
}

/// A row that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub placement: Timestamp,
    /// The row, all its fragments merged. `Trail::from` makes it readable.
    pub fragment: Fragment,
}

/// What a look-up cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Runs of which pages were read: what the file list, the filters and the page index left.
    pub runs: u64,
    /// Data pages that were read, of all columns.
    pub pages: u64,
    /// Requests to the store.
    pub requests: u64,
    /// Bytes that they returned.
    pub bytes: u64,
}

impl Cost {
    /// What the requests of a look-up cost.
    pub(crate) fn of_requests(requests: &Requests) -> Self {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self { requests: count(&requests.gets), bytes: count(&requests.bytes), ..Self::default() }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            runs: sum.runs + cost.runs,
            pages: sum.pages + cost.pages,
            requests: sum.requests + cost.requests,
            bytes: sum.bytes + cost.bytes,
        })
    }
}

/// A run as the log lists it.
#[derive(Debug, Clone)]
pub(crate) struct RunFile {
    pub(crate) file: Arc<TableFile>,
    pub(crate) path: Path,
    pub(crate) summary: RunSummary,
    min_device: Option<DeviceId>,
    max_device: Option<DeviceId>,
    /// What its summary says of [`RunSummary::closing_targets`], or what was read of it where that says nothing.
    pub(crate) closing: OnceCell<Vec<DeviceId>>,
}

impl RunFile {
    pub(crate) fn new(file: Arc<TableFile>, path: Path) -> Result<Self, RunsError> {
        let summary = Self::summary_of(&file)?;
        let device = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
        let (min_device, max_device) = (device(&summary.min_device), device(&summary.max_device));
        let (Ok(min_device), Ok(max_device)) = (min_device, max_device) else {
            return Err(no_summary(&file));
        };
        let closing = summary.closing().map(OnceCell::from).unwrap_or_default();
        Ok(Self { file, path, summary, min_device, max_device, closing })
    }

    /// The run, its footer read once. Its summary says how long that is, so one request gets all of it.
    pub(crate) async fn open(&self, cache: &RunCache) -> Result<Arc<OpenRun>, RunsError> {
        cache.open(Trails.definition(), (&self.file, &self.path), self.summary.footer_bytes).await
    }

    /// What the log says of a run.
    pub(crate) fn summary_of(file: &TableFile) -> Result<RunSummary, RunsError> {
        let summary = file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok());
        summary.ok_or_else(|| no_summary(file))
    }

    /// How many bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let RunSummary { min_device, max_device, .. } = &self.summary;
        let texts = [min_device, max_device].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + self.path.as_ref().len() + texts + self.file.bytes()
    }

    /// Whether a Device lies within the run's bounds.
    pub(crate) fn may_hold(&self, device: DeviceId) -> bool {
        self.min_device.is_some_and(|min| min <= device) && self.max_device.is_some_and(|max| device <= max)
    }

    /// Whether it can hold rows of a Device.
    pub(crate) fn is_of(&self, device: DeviceId) -> bool {
        self.may_have(&device.to_bytes())
    }

    pub(crate) fn may_lie_within(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        from.is_none_or(|from| from.millis() <= self.summary.max_received_ms)
            && to.is_none_or(|to| self.summary.min_received_ms <= to.millis())
    }
}

fn no_summary(file: &TableFile) -> RunsError {
    RunsError::Corrupt { path: file.path.clone(), why: "its log entry has no summary".to_owned() }
}

/// The newest snapshot that a process has seen of a lake.
#[derive(Debug)]
pub(crate) struct Newest(RwLock<Arc<Snapshot>>);

impl Newest {
    /// The newest is what `first` makes, which is told where to ask for newer ones.
    pub(crate) fn new(first: impl FnOnce(Weak<Self>) -> Snapshot) -> Arc<Self> {
        Arc::new_cyclic(|newest| Self(RwLock::new(Arc::new(first(newest.clone())))))
    }

    pub(crate) fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, snapshot: Arc<Snapshot>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

/// The lake at one version. Cheap to share; it never changes.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) version: SnapshotVersion,
    pub(crate) trails: RunIndex,
    pub(crate) parked: RunIndex,
    pub(crate) keyed: KeyedFiles,
    pub(crate) inventory: InventoryRuns,
    pub(crate) complete_up_to: Option<Timestamp>,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) cache: RunCache,
    /// What is known by now: whether a row of another User may be shown is never decided by what was known then.
    pub(crate) by_now: Weak<Newest>,
}

/// Parked fragments of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many. Some may have found their request by now: they are shown with it, and swept to it later.
    pub rows: u64,
    /// The time of the oldest.
    pub oldest: Option<Timestamp>,
    /// How many are older than the limit that was asked about.
    pub before_limit: u64,
}

impl Snapshot {
    /// About how many bytes it takes beside what it shares with another.
    pub(crate) fn bytes_beside(&self, other: Option<&Self>) -> usize {
        let partition = |partition: &Partition| {
            let Stream { cluster, topic, id, .. } = &partition.stream;
            size_of::<Partition>() + cluster.len() + topic.len() + id.len()
        };
        size_of::<Self>()
            + self.trails.bytes_beside(other.map(|other| &other.trails))
            + self.parked.bytes_beside(other.map(|other| &other.parked))
            + self.keyed.bytes_beside(other.map(|other| &other.keyed))
            + self.inventory.bytes_beside(other.map(|other| &other.inventory))
            + self.partitions.iter().map(partition).sum::<usize>()
    }

    /// The version.
    pub fn version(&self) -> &SnapshotVersion {
        &self.version
    }

    /// Every event that was recorded up to this time is in the snapshot. `None`: nothing was ever read to its end.
    pub fn complete_up_to(&self) -> Option<Timestamp> {
        self.complete_up_to
    }

    /// Every partition of the topics that the lake follows, and how far each is read and complete.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// What waits for its request in this snapshot: how much, since when, and how much of it since before `limit`.
    /// No row's content leaves.
    ///
    /// The time of an answer is when it was sent to the User. Cost: the runs of the parked table that `limit` divides.
    /// Errors as [`Snapshot::lookup`].
    pub async fn waiting(&self, limit: Timestamp) -> Result<Waiting, LakeError> {
        let mut waiting = Waiting::default();
        for file in self.parked.iter().filter(|file| file.summary.rows > 0) {
            let summary = &file.summary;
            waiting.rows += summary.rows;
            let oldest = Timestamp::from_millis(summary.min_received_ms);
            waiting.oldest = waiting.oldest.into_iter().chain(oldest).min();
            if summary.max_received_ms < limit.millis() {
                waiting.before_limit += summary.rows;
            } else if summary.min_received_ms < limit.millis() {
                let run = file.open(&self.cache).await?;
                let fragments = lookup::all(&self.cache, &run).await?;
                let before = fragments.iter().filter(|f| f.placement().is_some_and(|at| at < limit));
                waiting.before_limit += before.count() as u64;
            }
        }
        Ok(waiting)
    }

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
    fn newest(&self) -> Option<Arc<Self>> {
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
        let parked = self.parked_of(cache, who, (query, under), &seek).await?;
        let nearby = query.at.as_deref().map(|at| nearby(query, at, &parked, (reach, above_ms)));
        if nearby.as_ref().is_some_and(Nearby::is_empty) {
            return Ok(Some(<_>::default()));
        }
        let files = self.trails.of_device(under, reach.from, reach.to);
        let files = files.filter(|file| nearby.as_ref().is_none_or(|nearby| nearby.meets(file))).collect();
        let mut touching = Touching::new(cache, &seek, files);
        let mut scan = Scan::new(who, (query, under), (reach, nearby), parked)?;
        let mut found = Vec::new();
        while found.len() < query.limit {
            let wanted = query.limit - found.len();
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
            found.extend(match query.view {
                View::Audit => rows,
                View::MeterReads => openness.keep_shown(rows).await?,
            });
            if horizon.is_none() && scan.is_done() {
                break;
            }
        }
        found.truncate(if query.in_vain { 0 } else { query.limit });
        Ok(Some((found, scan.cost())))
    }

    /// Parked fragments of what the query looks under. Each is joined to its leg where that is on record by now, so that
    /// what a reader sees never depends on when the sweep runs. However many files of them there are, it waits for the store twice, and then as
    /// [`Snapshot::resolve`] does.
    async fn parked_of(
        &self,
        cache: &RunCache,
        who: &Access,
        (query, under): (&KeyQuery, DeviceId),
        seek: &Seek,
    ) -> Result<Vec<Fragment>, RunsError> {
        let files: Vec<&Arc<RunFile>> = self.parked.of_device(under, None, None).collect();
        let runs = lookup::open_runs(cache, &files).await?;
        let reading: Vec<_> = runs.iter().map(|run| seek.sheets(cache, run)).collect();
        let sheets: Vec<Vec<Sheet>> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
        let mut fragments = Vec::new();
        for sheet in sheets.iter().flatten() {
            fragments.extend(lookup::all_of(sheet, under)?);
        }
        // Nothing is looked for on behalf of rows of others.
        fragments
            .retain(|fragment| query.view == View::MeterReads || who.user_ids().contains(&fragment.key.user));
        if fragments.is_empty() {
            return Ok(fragments);
        }
        let on_record = self.resolve(cache, &fragments).await?;
        let mut found = Vec::new();
        for fragment in fragments {
            match fragment.join(on_record.of(&fragment.key)) {
                Some(joined) => found.extend(joined.into_iter().filter(|f| f.anchor() == query.anchor)),
                None => found.push(fragment),
            }
        }
        Ok(found)
    }
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
