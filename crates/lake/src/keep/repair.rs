//! Repair: a damaged run is replaced by its rows, taken anew from the sources that the evidence names.
//!
//! A run that compaction wrote holds rows of many commits. Which rows those were, nobody knows any more; which it **may** have held, its
//! log entry says: its month, bucket, Devices and times, and since when commits went into it (`since_ms`). So all that those commits read
//! is read again, commit by commit as it was then, and of that everything stays that lies where the run's rows lie. That is a superset,
//! and does no harm: what other runs hold as well merges with it to the same.
//!
//! A row lies at the smallest time that is claimed for it, and its fragments may have been moved there from elsewhere; so a fragment that lies
//! outside stays, too, where another of its key lies inside.
//!
//! The new run takes the place of the damaged one in one commit, which moves the position that guards it: of two repairs, or a repair and a
//! compaction, one wins. Until then searches that need the run are refused.

use crate::commit_evidence::{Commit, Evidence};
use crate::error::LakeError;
use crate::evidence::{CommitKind, SourceEvidence};
use crate::lake::Lake;
use crate::read::resolve::OnRecord;
use crate::rows::bucket;
use crate::rows::encode;
use crate::rows::index::RunIndex;
use crate::rows::run::{self, RunFile, SortedFragments};
use crate::rows::schema::column;
use crate::tables::parked::SWEPT;
use crate::tables::registry::{Tables, side_files};
use crate::tables::table::Arriving;
use crate::tables::trails::{fence, level_0_fence};
use crate::write::writer::{upload_parked, upload_run};
use arrow::array::{Array, AsArray};
use deltalake_core::Path;
use gridtrail_model::{DeviceId, Fragment, Merge, Timestamp, TrailKey};
use gridtrail_runs::checksum::{ALTERED, checksum_of};
use gridtrail_runs::{Changes, Move, RunsError, Table, TableFile};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How far the clocks of writers may be apart, milliseconds.
const CLOCKS_MS: i64 = 60 * 60 * 1_000;

/// A damaged run.
#[derive(Debug, Clone)]
pub struct DamagedRun {
    run: Arc<RunFile>,
    /// The table.
    pub table: &'static str,
    /// Its path from the root of the store.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
    /// Rows that it had.
    pub rows: u64,
    /// Where the position that guards it was when it was found damaged.
    guarded_at: Option<i64>,
}

/// When the commits were made that may have gone into a damaged run.
#[derive(Debug, Clone, Copy)]
pub struct CommitTimes {
    since_ms: i64,
    until_ms: i64,
}

/// What a commit read that may have gone into a damaged run.
#[derive(Debug, Clone)]
pub struct CommitRead {
    /// The version that the commit made.
    pub version: u64,
    /// What it read of each source.
    pub sources: Vec<SourceEvidence>,
    /// Pieces of its evidence that were changed since, so that nobody knows what they stand for.
    pub broken: u64,
}

/// What was read again for a damaged run.
#[derive(Debug, Default)]
pub struct Reread {
    /// Fragments with a place, each as one commit read it: of those, what [`DamagedRun::may_be_of`] lets through.
    pub placed: Vec<Fragment>,
    /// Fragments that still have none.
    pub unplaced: Vec<Fragment>,
}

/// What took the place of a damaged run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Rows that the new run has: a superset of those that were read again and belong there.
    pub rows: u64,
    /// The version of the table from which on it is there.
    pub version: u64,
}

impl Lake {
    /// The runs, of trails and of what waits for its request, whose bytes are not those that were written.
    ///
    /// Cost: every byte of them is read. Errors: `Unavailable`; `Corrupt` where a log is damaged.
    pub async fn damaged_runs(&self) -> Result<Vec<DamagedRun>, LakeError> {
        let tables = self.maintenance().await?.tables;
        let mut damaged = Vec::new();
        for (table, index) in [(&tables.trails, &tables.runs), (&tables.parked, &tables.waiting)] {
            for run in index.iter() {
                let Some(why) = self.damage_of(&run.path, &run.file).await? else { continue };
                damaged.push(DamagedRun {
                    run: Arc::clone(run),
                    table: table.name(),
                    path: run.path.to_string(),
                    why,
                    rows: run.summary.rows,
                    guarded_at: table.position(&guard(run, table.name() == tables.trails.name())),
                });
            }
        }
        Ok(damaged)
    }

    pub(super) async fn damage_of(&self, path: &Path, file: &TableFile) -> Result<Option<String>, RunsError> {
        let found = match checksum_of(self.cache().store(), path).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(Some("it is not there".to_owned())),
            Err(error) => return Err(error),
        };
        if found.size != file.size {
            return Ok(Some(format!("it has {} bytes, and is said to have {}", found.size, file.size)));
        }
        Ok(file.xxh64.is_some_and(|xxh64| xxh64 != found.xxh64).then(|| ALTERED.to_owned()))
    }

    /// What the commits read that may have gone into a damaged run, oldest first, by the times of those.
    ///
    /// Cost and errors: those of [`Lake::evidence`].
    pub async fn commits_into(&self, times: CommitTimes) -> Result<Vec<CommitRead>, LakeError> {
        let mut commits = Vec::new();
        self.evidence(|commit| commits.extend(times.read_by(commit))).await?;
        Ok(commits)
    }

    /// The rows on record that fragments without a place could belong to, beside those of damaged runs.
    pub async fn on_record_beside(
        &self,
        fragments: &[Fragment],
        damaged: &[DamagedRun],
    ) -> Result<OnRecord, LakeError> {
        let paths = damaged.iter().map(|damaged| damaged.path.as_str()).collect();
        let snapshot = self.snapshot();
        Ok(snapshot.resolve_beside(&snapshot.cache, fragments, &paths).await?)
    }

    /// Has what was read again take the place of a damaged run. `told` goes into the evidence: what was read, and what could not be.
    ///
    /// Errors: `PositionMoved` when another job was faster; any other: nothing was replaced, or it was, see [`Lake::damaged_runs`].
    pub async fn replace_run(
        &self,
        damaged: &DamagedRun,
        reread: Reread,
        told: String,
    ) -> Result<Replaced, LakeError> {
        let mut tables = self.maintenance().await?.tables;
        let replaced = if damaged.table == tables.trails.name() {
            damaged.replace_placed(self, &mut tables, reread, told).await?
        } else {
            damaged.replace_parked(self, &mut tables, reread, told).await?
        };
        self.site().forget_damage(&damaged.path);
        self.refresh().await?;
        Ok(replaced)
    }
}

/// The position that guards a run.
fn guard(run: &RunFile, is_placed: bool) -> String {
    let month = run.file.month.as_deref().unwrap_or_default();
    match run.summary.bucket {
        _ if !is_placed => SWEPT.to_owned(),
        Some(bucket) => fence(month, bucket),
        None => level_0_fence(month),
    }
}

impl CommitTimes {
    /// Of a run that commits went into since a time, and that was written at another.
    pub(super) fn of(since_ms: Option<i64>, written_ms: i64) -> Self {
        Self { since_ms: since_ms.unwrap_or(i64::MIN), until_ms: written_ms.saturating_add(CLOCKS_MS) }
    }

    fn read_by(self, Commit { version, sources, .. }: Commit) -> Option<CommitRead> {
        let mut read = CommitRead { version, sources: Vec::new(), broken: 0 };
        for evidence in sources {
            match evidence {
                Evidence::Broken(_) => read.broken += 1,
                Evidence::Whole(evidence) => {
                    let there = (self.since_ms..=self.until_ms).contains(&evidence.committed_at_ms);
                    if there && evidence.records > evidence.dead_lettered && evidence.expired.is_none() {
                        read.sources.push(*evidence);
                    }
                }
            }
        }
        (read.broken > 0 || !read.sources.is_empty()).then_some(read)
    }
}

impl DamagedRun {
    /// When the commits were made that may have gone into it.
    pub fn commit_times(&self) -> CommitTimes {
        CommitTimes::of(self.run.summary.since_ms, self.run.file.written_ms)
    }

    /// From where the position that guards it is to be moved. Another run under the same guard may have been replaced since it was found; that this
    /// one is still there says that nobody took it.
    fn guarded_from(&self, app_id: &str, table: &Table, runs: &RunIndex) -> Option<i64> {
        let is_there = runs.iter().any(|run| run.path == self.run.path);
        if is_there { table.position(app_id) } else { self.guarded_at }
    }

    /// Whether it is one of what waits for its request: then only what finds a place or still has none is wanted, not what has one anyway.
    pub fn is_parked(&self) -> bool {
        self.run.file.month.is_none()
    }

    /// Which of some fragments are of the run's bucket and Devices, wherever in time they lie: the others cannot be parts of its rows.
    pub fn may_be_of(&self, fragments: &[Fragment]) -> Result<Vec<bool>, LakeError> {
        if fragments.is_empty() {
            return Ok(Vec::new());
        }
        let summary = &self.run.summary;
        let batch = encode::batch(&fragments.iter().collect::<Vec<_>>())?;
        let buckets = summary.bucket.map(|bucket| bucket::of_rows(&batch, bucket.of)).transpose()?;
        let devices = batch.column(column::DEVICE).as_binary_opt::<i32>();
        let devices = devices
            .ok_or(LakeError::Runs(RunsError::Internal("a batch of fragments lacks its key columns")))?;
        let bound = |text: &Option<String>| {
            text.as_deref().and_then(|text| Some(text.parse::<DeviceId>().ok()?.to_bytes()))
        };
        let (min, max) = (bound(&summary.min_device), bound(&summary.max_device));
        let lies = |row: usize| {
            let in_bucket = buckets.as_ref().and_then(|all| all.get(row)).copied()
                == summary.bucket.map(|bucket| bucket.number);
            let among = || {
                let device = devices.value(row);
                min.is_some_and(|min| min.as_slice() <= device)
                    && max.is_some_and(|max| device <= max.as_slice())
            };
            // Nothing says whether it had rows without a Device.
            in_bucket && (devices.is_null(row) || among())
        };
        Ok((0..fragments.len()).map(lies).collect())
    }

    /// Whether a fragment lies where the run's rows do.
    fn holds(&self, fragment: &Fragment) -> bool {
        let summary = &self.run.summary;
        fragment.placement().is_some_and(|at| {
            let in_month = self.run.file.month.as_ref().is_none_or(|month| *month == at.month());
            let in_time = (summary.min_received_ms..=summary.max_received_ms).contains(&at.millis());
            // What is older was let go, or never there.
            let young = summary.min_recorded_ms.is_none_or(|min| min <= fragment.recorded_at_max.millis());
            in_month && in_time && young
        })
    }

    /// The rows that take the place of the run's.
    fn rows_of(&self, placed: Vec<Fragment>) -> Vec<Fragment> {
        let mut keys: HashMap<TrailKey, Vec<Fragment>> = HashMap::new();
        placed.into_iter().for_each(|fragment| keys.entry(fragment.key).or_default().push(fragment));
        let mut rows = Vec::new();
        for fragments in keys.into_values() {
            if !fragments.iter().any(|fragment| self.holds(fragment)) {
                continue;
            }
            let whole = fragments.iter().skip(1).fold(fragments[0].clone(), |mut whole, fragment| {
                whole.merge(fragment.clone());
                whole
            });
            if self.holds(&whole) {
                rows.push(whole);
                continue;
            }
            let mut here: BTreeMap<(Option<DeviceId>, Option<Timestamp>), Fragment> = BTreeMap::new();
            for fragment in fragments.into_iter().filter(|fragment| self.holds(fragment)) {
                let place = (fragment.device.value().copied(), fragment.placement());
                match here.get_mut(&place) {
                    Some(known) => known.merge(fragment),
                    None => drop(here.insert(place, fragment)),
                }
            }
            rows.extend(here.into_values());
        }
        rows
    }

    async fn replace_placed(
        &self,
        lake: &Lake,
        tables: &mut Tables,
        reread: Reread,
        told: String,
    ) -> Result<Replaced, RunsError> {
        let rows = self.rows_of(reread.placed);
        // They may lie at other times than those of the damaged run did.
        tables.commit_beside(side_files(&Arriving::placed(&rows))?, lake.clock().now()).await?;
        let (count, mut add) = (rows.len() as u64, Vec::new());
        for (month, sorted) in SortedFragments::sort(&rows)?.by_month() {
            let (encoded, mut summary) = run::write(&sorted)?;
            (summary.bucket, summary.since_ms) = (self.run.summary.bucket, self.run.summary.since_ms);
            let path = match summary.bucket {
                Some(bucket) => bucket.run_path(Some(&month)),
                None => format!("month={month}/l0-{}.parquet", uuid::Uuid::now_v7()),
            };
            add.push(upload_run(&tables.trails, path, Some(month), encoded, &summary).await?);
        }
        let app_id = guard(&self.run, true);
        let from = self.guarded_from(&app_id, &tables.trails, &tables.runs);
        let moves = vec![Move { app_id, from, to: from.unwrap_or(0) + 1 }];
        let now_ms = lake.clock().now().millis();
        let evidence = SourceEvidence::of_repair(&self.path, told, now_ms);
        let changes = Changes {
            add,
            remove: vec![Arc::clone(&self.run.file)],
            moves,
            // What was moved elsewhere comes back among them, and is moved again.
            brings: true,
            now_ms,
            evidence: Some(json!({ "kind": CommitKind::Repair.name(), "sources": [evidence] })),
            ..Changes::default()
        };
        let version = tables.trails.commit(&changes).await?;
        Ok(Replaced { rows: count, version })
    }

    /// What waits still takes the place of a run of such; what found its row meanwhile goes there.
    async fn replace_parked(
        &self,
        lake: &Lake,
        tables: &mut Tables,
        reread: Reread,
        told: String,
    ) -> Result<Replaced, RunsError> {
        let now_ms = lake.clock().now().millis();
        let evidence = SourceEvidence::of_repair(&self.path, told, now_ms);
        tables.commit_beside(side_files(&Arriving::placed(&reread.placed))?, lake.clock().now()).await?;
        let mut add = Vec::new();
        for (month, sorted) in SortedFragments::sort(&reread.placed)?.by_month() {
            let (encoded, summary) = run::write(&sorted)?;
            let path = format!("month={month}/l0-{}.parquet", uuid::Uuid::now_v7());
            add.push(upload_run(&tables.trails, path, Some(month), encoded, &summary).await?);
        }
        let evidence = Some(json!({ "kind": CommitKind::Repair.name(), "sources": [evidence] }));
        let version = tables.trails.commit(&Changes { add, now_ms, evidence, ..Changes::default() }).await?;
        let rows = (reread.placed.len() + reread.unplaced.len()) as u64;
        let waits = reread.unplaced.is_empty();
        let since_ms = self.run.summary.since_ms;
        let add = if waits {
            Vec::new()
        } else {
            vec![upload_parked(&tables.parked, reread.unplaced, since_ms).await?]
        };
        let app_id = SWEPT.to_owned();
        let from = self.guarded_from(&app_id, &tables.parked, &tables.waiting);
        let changes = Changes {
            add,
            remove: vec![Arc::clone(&self.run.file)],
            moves: vec![Move { app_id, from, to: version.cast_signed() }],
            now_ms,
            evidence: Some(json!({ "kind": CommitKind::Repair.name() })),
            ..Changes::default()
        };
        tables.parked.commit(&changes).await?;
        Ok(Replaced { rows, version })
    }
}
