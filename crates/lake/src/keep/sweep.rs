//! Joining parked fragments to their rows.

use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::keep::maintenance::Maintenance;
use crate::limits::RUN_WAITS;
use crate::read::snapshot::Snapshot;
use crate::rows::lookup;
use crate::rows::run::{self, RunFile, RunSummary, SortedFragments};
use crate::tables::parked::SWEPT;
use crate::tables::registry::side_files;
use crate::tables::table::Arriving;
use crate::write::writer::{upload_parked, upload_run};
use gridtrail_model::{Anchor, Fragment, Merge as _, Timestamp, TrailKey};
use gridtrail_runs::{Changes, Move, RunsError};
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Weak};

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Parked fragments that found their row.
    pub joined: u64,
    /// Parked fragments that still wait.
    pub waiting: u64,
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
    /// Joins parked fragments to rows that are on record by now.
    ///
    /// The joined fragments are added to the main table first and only then taken out of the parked table, so that a
    /// kill in between loses nothing: adding again changes nothing. Never done by ingest, so that two ingesters, one
    /// parking a response while the other commits its request, cannot miss each other.
    pub async fn sweep(&mut self) -> Result<Swept, LakeError> {
        self.tables.refresh().await?;
        // Of this handle's own tables: the shared snapshot may be older than the position that is checked below,
        // and then files would be replaced that another sweep replaced already.
        let snapshot = Snapshot::of(&self.tables, self.lake.cache().clone(), Weak::new());
        let (mut joined, mut waiting, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for file in snapshot.parked.iter() {
            let (found, rest) = match self.join_file(&snapshot, file).await {
                // What is in it waits, as does what may belong to rows of a damaged run.
                Err(error @ RunsError::Corrupt { .. }) => {
                    let runs = snapshot.trails.iter().map(|run| &run.path);
                    self.lake.site().leave_alone(error, &runs.chain([&file.path]).collect::<Vec<_>>())?;
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
        let beside = side_files(&Arriving::placed(&joined))?;
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
}

/// Whether a result of a scheduled run is to lie where it was shown while it waited: at its own time.
pub fn has_waited(fragment: &Fragment, now: Timestamp) -> bool {
    let waited = now.millis().saturating_sub(fragment.recorded_at_max.millis());
    fragment.is_placed() && u128::try_from(waited).is_ok_and(|ms| ms >= RUN_WAITS.as_millis())
}
