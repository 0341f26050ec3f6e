//! Housekeeping: joining parked fragments to their rows, and copying evidence out of the log.

use crate::compaction::{Compacted, Compacting, CompactionSettings};
use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::evidence_table::{self, CommitEvidence};
use crate::lake::Lake;
use crate::limits::{COPIED_AT_ONCE, RUN_WAITS};
use crate::lookup;
use crate::run::{self, RunSummary, SortedFragments};
use crate::side_files;
use crate::snapshot::{RunFile, Snapshot};
use crate::tables::{self, Arriving, Gathering, SWEPT, Tables};
use crate::writer::{upload_parked, upload_run};
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_model::{Anchor, Fragment, Merge as _, Timestamp, TrailKey};
use gridtrail_runs::{Changes, EVIDENCE, LOG_READS_AT_ONCE, Move, NewFile, RunsError, commit_info};
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// The position in the `commits` table: the last version of the main table whose evidence was copied.
pub(crate) const COPIED: &str = "copied/trails";

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Parked fragments that found their row.
    pub joined: u64,
    /// Parked fragments that still wait.
    pub waiting: u64,
}

/// The lake's housekeeping. Any number may run at once: one wins, the others change nothing.
#[derive(Debug)]
pub struct Maintenance {
    pub(crate) lake: Lake,
    pub(crate) tables: Box<Tables>,
}

/// Fragments of several files, those of one row at one place made one: no run has a row twice.
fn one_a_place(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let mut places = BTreeMap::<(TrailKey, Anchor, Option<Timestamp>), Fragment>::new();
    for fragment in fragments {
        match places.entry((fragment.key, fragment.anchor(), fragment.placement())) {
            Entry::Occupied(mut known) => known.get_mut().merge(fragment),
            Entry::Vacant(free) => drop(free.insert(fragment)),
        }
    }
    places.into_values().collect()
}

impl Maintenance {
    pub(crate) fn new(lake: Lake, tables: Box<Tables>) -> Self {
        Self { lake, tables }
    }

    /// Joins parked fragments to rows that are on record by now.
    ///
    /// The joined fragments are added to the main table first and only then taken out of the parked table, so that a
    /// kill in between loses nothing: adding again changes nothing. Never done by ingest, so that two ingesters, one
    /// parking a response while the other commits its request, cannot miss each other.
    pub async fn sweep(&mut self) -> Result<Swept, LakeError> {
        self.tables.refresh().await?;
        // Of this handle's own tables: the shared snapshot may be older than the position that is checked below,
        // and then files would be replaced that another sweep replaced already.
        let snapshot = self.tables.snapshot(self.lake.cache().clone(), Weak::new());
        let (mut joined, mut waiting, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for file in snapshot.parked.iter() {
            let (found, rest) = match self.join_file(&snapshot, file).await {
                // What is in it waits, as does what may belong to rows of a damaged run.
                Err(error @ RunsError::Corrupt { .. }) => {
                    let runs = snapshot.trails.iter().map(|run| &run.path);
                    self.lake.leave_alone(error, &runs.chain([&file.path]).collect::<Vec<_>>())?;
                    waiting.extend((0..file.summary.rows).map(|_| None));
                    continue;
                }
                joined => joined?,
            };
            if found.is_empty() {
                waiting.extend(std::iter::repeat_n(None, rest.len()));
                continue;
            }
            count += file.summary.rows - rest.len() as u64;
            joined.extend(found);
            waiting.extend(rest.into_iter().map(Some));
            files.push(Arc::clone(file));
        }
        let since_ms = run::since(&files);
        let swept = Swept { joined: count, waiting: waiting.len() as u64 };
        if joined.is_empty() {
            return Ok(swept);
        }
        let version = self.add_joined(joined, since_ms).await?;
        let rest: Vec<Fragment> = waiting.into_iter().flatten().collect();
        let add = if rest.is_empty() {
            Vec::new()
        } else {
            vec![upload_parked(&self.tables.parked, one_a_place(rest), since_ms).await?]
        };
        let from = self.tables.parked.position(SWEPT);
        let changes = Changes {
            add,
            remove: files.iter().map(|run| Arc::clone(&run.file)).collect(),
            moves: vec![Move { app_id: SWEPT.to_owned(), from, to: version.cast_signed() }],
            now_ms: self.lake.clock().now().millis(),
            evidence: Some(json!({ "kind": CommitKind::Sweep.name() })),
            ..Changes::default()
        };
        self.tables.parked.commit(&changes).await?;
        self.lake.refresh().await?;
        Ok(swept)
    }

    /// The fragments of a parked run, joined where their row is on record, and the rest.
    async fn join_file(
        &self,
        snapshot: &Snapshot,
        file: &RunFile,
    ) -> Result<(Vec<Fragment>, Vec<Fragment>), RunsError> {
        let run = self.lake.cache().open_to_rewrite(&self.tables.parked, &file.file).await?;
        let now = self.lake.clock().now();
        let (mut joined, mut rest) = (Vec::new(), Vec::new());
        let fragments = lookup::all(self.lake.cache(), &run).await?;
        let on_record = snapshot.resolve(&snapshot.cache, &fragments).await?;
        for fragment in fragments {
            match fragment.join(on_record.of(&fragment.key)) {
                Some(parts) => joined.extend(parts),
                None if has_waited(&fragment, now) => joined.push(fragment),
                None => rest.push(fragment),
            }
        }
        Ok((joined, rest))
    }

    async fn add_joined(&mut self, joined: Vec<Fragment>, since_ms: Option<i64>) -> Result<u64, RunsError> {
        let joined = one_a_place(joined);
        // Where they lie now, they are to be found by all that they name.
        let beside = Arriving::placed(&joined).side_files()?;
        self.tables.commit_beside(beside, self.lake.clock().now()).await?;
        let mut add = Vec::new();
        for (month, sorted) in SortedFragments::sort(&joined)?.by_month() {
            let (encoded, summary) = run::write(&sorted)?;
            let summary = RunSummary { since_ms, ..summary };
            let path = format!("month={month}/l0-{}.parquet", uuid::Uuid::now_v7());
            add.push(upload_run(&self.tables.trails, path, Some(month), encoded, &summary).await?);
        }
        let changes = Changes {
            add,
            now_ms: self.lake.clock().now().millis(),
            evidence: Some(json!({ "kind": CommitKind::Sweep.name() })),
            ..Changes::default()
        };
        self.tables.trails.commit(&changes).await
    }

    /// Carries out what compaction is due, until nothing is.
    ///
    /// Killed at any moment, or dropped, it leaves the lake as it was, or with a job done: what was written and not
    /// committed is seen by nobody. Errors: `Unavailable`, `Corrupt`; what was done before stays.
    pub async fn compact(&mut self, settings: &CompactionSettings) -> Result<Compacted, LakeError> {
        let mut done = Compacted::default();
        self.tables.refresh().await?;
        if settings.full || self.is_uniting_due() {
            done.rows_united = self.unite_or_put_off(settings).await?;
        }
        for of in tables::ALL {
            let (lake, tables, settings) = (&self.lake, &mut *self.tables, *settings);
            of.compact(&mut Compacting { lake, tables, settings, done: &mut done }).await?;
        }
        self.gather().await?;
        Ok(done)
    }

    /// Keeps the small files of every table few.
    async fn gather(&mut self) -> Result<(), RunsError> {
        self.tables.refresh_all().await?;
        let runs = self.tables.runs.iter().chain(self.tables.waiting.iter());
        let oldest = runs.map(|run| run.summary.min_received_ms).min().and_then(Timestamp::from_millis);
        let now = self.lake.clock().now();
        for (of, table) in tables::ALL.iter().zip(self.tables.all()) {
            let (lake, runtime) = (self.lake.clone(), tokio::runtime::Handle::current());
            let read = table.clone();
            let work =
                move || runtime.block_on(of.gather(&Gathering { lake: &lake, table: &read, now, oldest }));
            let made = self.lake.detached().spawn_blocking(work).await;
            let made = match made.map_err(|_| RunsError::Internal("gathering a table panicked"))? {
                // It is left alone from now on, and the others are gathered without it.
                Err(error @ RunsError::Corrupt { .. }) => {
                    let files = table.files();
                    let paths = files.iter().map(|file| table.full_path(&file.path));
                    let paths = paths.collect::<Result<Vec<_>, _>>()?;
                    self.lake.leave_alone(error, &paths.iter().collect::<Vec<_>>())?;
                    None
                }
                made => made?,
            };
            if let Some(changes) = made {
                // Another process may have been faster.
                table.commit_unless_moved(&changes).await?;
            }
        }
        Ok(())
    }

    /// Copies the evidence of commits since the last copy into the `commits` table. Returns how many commits.
    ///
    /// Memory: the evidence of [`COPIED_AT_ONCE`] versions. Errors: `PositionMoved` when another process copied it first.
    pub async fn copy_evidence(&mut self) -> Result<u64, LakeError> {
        self.tables.trails.refresh().await?;
        self.tables.commits.refresh().await?;
        let (newest, mut copied) = (self.tables.trails.version(), 0);
        loop {
            let from = self.tables.commits.position(COPIED);
            let first = from.map_or(0, |copied| u64::try_from(copied).unwrap_or(0) + 1);
            if first > newest {
                return Ok(copied);
            }
            let last = newest.min(first + (COPIED_AT_ONCE - 1));
            copied += self.copy_versions(first..=last, from).await?;
        }
    }

    /// Copies the evidence of some versions. Returns how many commits.
    pub(crate) async fn copy_versions(
        &mut self,
        versions: RangeInclusive<u64>,
        from: Option<i64>,
    ) -> Result<u64, RunsError> {
        let (trails, last) = (&self.tables.trails, *versions.end());
        let read = |version: u64| async move {
            let entry = trails.log_entry(version).await?;
            let entry = entry.ok_or_else(|| RunsError::VersionGone { version: version.to_string() })?;
            Ok::<_, RunsError>(evidence_of(version, &entry))
        };
        let read: Vec<_> = stream::iter(versions).map(read).buffered(LOG_READS_AT_ONCE).try_collect().await?;
        let commits: Vec<CommitEvidence> = read.into_iter().flatten().collect();
        let mut add = Vec::new();
        if !commits.is_empty() {
            let (encoded, rows, tag) = evidence_table::write(&commits)?;
            let path = side_files::named_last(&self.tables.commits);
            let written = self.tables.commits.upload_encoded(&path, encoded).await?;
            add.push(NewFile { path, written, month: None, rows, tag, received: None });
        }
        let moves = vec![Move { app_id: COPIED.to_owned(), from, to: last.cast_signed() }];
        let now_ms = self.lake.clock().now().millis();
        self.tables.commits.commit(&Changes { add, moves, now_ms, ..Changes::default() }).await?;
        Ok(commits.len() as u64)
    }
}

/// Says that what was begun is wanted, for as long as it lives.
#[derive(Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn watch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a result of a scheduled run is to lie where it was shown while it waited: at its own time.
pub fn has_waited(fragment: &Fragment, now: Timestamp) -> bool {
    let waited = now.millis().saturating_sub(fragment.recorded_at_max.millis());
    fragment.is_placed() && u128::try_from(waited).is_ok_and(|ms| ms >= RUN_WAITS.as_millis())
}

pub(crate) fn evidence_of(version: u64, entry: &[u8]) -> Option<CommitEvidence> {
    let mut info = commit_info(entry)?;
    let evidence = info.get_mut(EVIDENCE)?.take();
    let kind = evidence.get("kind")?.as_str()?.to_owned();
    let sources = evidence.get("sources").and_then(|s| s.as_array().cloned()).unwrap_or_default();
    Some(CommitEvidence { version, kind, sources })
}
