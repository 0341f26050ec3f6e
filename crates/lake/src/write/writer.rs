//! The writer: a batch of fragments becomes runs and one commit.
//!
//! Order of a batch, and why a kill between any two steps does no harm:
//! 1. runs are uploaded: files that no log names are invisible;
//! 2. side tables (events of access, dead letters, parked, and all that leads to rows) are committed, so that a repeat of the batch finds what is
//!    there, or adds what changes nothing;
//! 3. the main table is committed with the rows, the source positions and the evidence. Only this makes the batch
//!    count.

use crate::error::LakeError;
use crate::evidence::{CommitKind, SourceEvidence};
use crate::lake::Lake;
use crate::read::resolve::OnRecord;
use crate::rows::run::{self, RunSummary, SortedFragments};
use crate::streams::{self, MARK_FILES, Stream, complete_mark};
use crate::tables::access_events;
use crate::tables::dead_letters::{self, DeadLetter};
use crate::tables::registry::{SideFiles, Tables, side_files};
use crate::tables::table::Arriving;
use gridtrail_access::AccessRecord;
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_inventory::{InventoryEvent, PendingPart};
use gridtrail_model::{Fragment, Timestamp};
use gridtrail_runs::{Changes, Encoded, Move, NewFile, RunsError, Table};
use gridtrail_schedules::ScheduleEvent;
use serde_json::json;

/// What one batch of events came to.
#[derive(Debug, Default)]
pub struct Batch {
    /// Fragments with a place.
    pub fragments: Vec<Fragment>,
    /// Fragments whose request is not on record.
    pub parked: Vec<Fragment>,
    /// Events of access.
    pub access: Vec<AccessRecord>,
    /// What is told of the inventory.
    pub inventory: Vec<InventoryEvent>,
    /// What requests ask of the inventory, and what became of them.
    pub pending: Vec<PendingPart>,
    /// What is told of thresholds and quarantined communications.
    pub anomaly: Vec<AnomalyEvent>,
    /// What is told of DSP schedules.
    pub schedules: Vec<ScheduleEvent>,
    /// Records that could not be read.
    pub dead_letters: Vec<DeadLetter>,
    /// What was read of each source.
    pub sources: Vec<SourceEvidence>,
    /// The topics that sources are partitions of.
    pub streams: Vec<Stream>,
    /// What the commit is made for.
    pub kind: CommitKind,
}

/// Writes batches. One a process and task; any number of writers may share a lake.
#[derive(Debug)]
pub struct Writer {
    lake: Lake,
    tables: Box<Tables>,
}

/// What is told beside the events of Service Requests.
struct Beside {
    inventory: Vec<InventoryEvent>,
    pending: Vec<PendingPart>,
    anomaly: Vec<AnomalyEvent>,
    schedules: Vec<ScheduleEvent>,
}

/// A run that is encoded and not yet uploaded.
struct EncodedRun {
    month: String,
    encoded: Encoded,
    summary: RunSummary,
}

impl Lake {
    /// A writer of its own.
    pub async fn writer(&self) -> Result<Writer, LakeError> {
        self.refresh().await?;
        Ok(Writer { lake: self.clone(), tables: self.tables().await })
    }
}

impl Writer {
    /// The position up to which a source is committed; `None` when nothing of it is.
    pub fn position(&self, source: &str) -> Option<i64> {
        self.tables.trails.position(source)
    }

    /// The ids that a topic had before it was deleted and created again, as far as the lake knows.
    pub fn other_ids(&self, stream: &Stream) -> Vec<String> {
        streams::other_ids(self.tables.trails.positions(), stream)
    }

    /// Has the lake know of topics that nothing was read of yet, so that all can see that they are not complete. Commits
    /// nothing where it does already.
    pub async fn declare(&mut self, streams: &[Stream]) -> Result<(), LakeError> {
        let marks = streams::marks(self.tables.trails.positions(), streams);
        if marks.is_empty() {
            return Ok(());
        }
        let now_ms = self.lake.clock().now().millis();
        self.tables.trails.commit(&Changes { marks, now_ms, ..Changes::default() }).await?;
        self.lake.refresh().await
    }

    /// Takes in what other writers committed.
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        Ok(self.tables.refresh().await?)
    }

    /// The rows on record that fragments without a place could belong to: their keys, times and Devices, no more, and
    /// no older ones than can matter to [`Fragment::join`].
    ///
    /// Cost: the pages of each run that can hold one of them, each read once, so ask for many at once; from the newest
    /// month back until each has its rows. Where a run that can hold some is damaged, it is not known what is on record.
    pub async fn resolve(&self, fragments: &[Fragment]) -> Result<OnRecord, LakeError> {
        let snapshot = self.lake.snapshot();
        match snapshot.resolve(&snapshot.cache, fragments).await {
            Err(error @ RunsError::Corrupt { .. }) => {
                let runs: Vec<_> = snapshot.trails.iter().map(|run| &run.path).collect();
                self.lake.site().leave_alone(error, &runs)?;
                Ok(OnRecord::unknown())
            }
            resolved => Ok(resolved?),
        }
    }

    /// Commits a batch and makes it visible to this process. Returns the version of the main table.
    ///
    /// Errors: `PositionMoved` when another writer committed these sources first: drop the batch and read on from
    /// [`Writer::position`]. Any other error: nothing counts; commit again or start over.
    pub async fn commit(&mut self, batch: Batch) -> Result<u64, LakeError> {
        let now = self.lake.clock().now();
        let Batch { fragments, parked, access, inventory, pending, anomaly, schedules, .. } = batch;
        let (dead_letters, mut sources, streams, kind) =
            (batch.dead_letters, batch.sources, batch.streams, batch.kind);
        let beside = Beside { inventory, pending, anomaly, schedules };
        let (runs, parked, beside) = self.encode(fragments, parked, beside).await?;
        let mut add = Vec::new();
        for EncodedRun { month, encoded, summary } in runs {
            let path = format!("month={month}/l0-{}.parquet", uuid::Uuid::now_v7());
            add.push(upload_run(&self.tables.trails, path, Some(month), encoded, &summary).await?);
        }
        let moves = moves(&sources);
        // First of all: a rescission waits for nothing.
        self.commit_access(access, now).await?;
        self.commit_dead_letters(&dead_letters, &sources).await?;
        self.commit_parked(parked, &sources, now).await?;
        self.tables.commit_beside(beside, now).await?;
        // All is uploaded: what is left is one entry in the log, so this is the time of the commit.
        let now = self.lake.clock().now();
        for source in &mut sources {
            source.committed_at_ms = now.millis();
            source.seal = source.sealed_by();
        }
        let changes = Changes {
            add,
            moves,
            marks: self.marks(&sources, &streams, now),
            now_ms: now.millis(),
            evidence: Some(json!({ "kind": kind.name(), "sources": sources })),
            ..Changes::default()
        };
        let version = self.tables.trails.commit(&changes).await?;
        self.lake.refresh().await?;
        Ok(version)
    }

    /// Adds to the events of access what no source tells: what an operator settled.
    pub async fn tell(&mut self, access: Vec<AccessRecord>) -> Result<(), LakeError> {
        let now = self.lake.clock().now();
        Ok(self.commit_access(access, now).await?)
    }

    /// How far sources are complete with this commit: a time in the future never counts. And what tables were made.
    fn marks(&self, sources: &[SourceEvidence], streams: &[Stream], now: Timestamp) -> Vec<(String, i64)> {
        let mut marks = streams::marks(self.tables.trails.positions(), streams);
        let complete =
            |s: &SourceEvidence| Some((complete_mark(&s.source), s.complete_up_to_ms?.min(now.millis())));
        marks.extend(sources.iter().filter_map(complete));
        let newest = sources.iter().filter(|s| s.finished).filter_map(|s| s.recorded_max_ms).max();
        marks.extend(newest.map(|ms| (MARK_FILES.to_owned(), ms.min(now.millis()))));
        marks.extend(self.tables.marks_of_made());
        marks
    }

    /// The runs of a batch, its parked fragments at the times that they lie at, and what goes into side tables with all of it.
    async fn encode(
        &self,
        fragments: Vec<Fragment>,
        parked: Vec<Fragment>,
        beside: Beside,
    ) -> Result<(Vec<EncodedRun>, Vec<Fragment>, SideFiles), RunsError> {
        let since_ms = Some(self.lake.clock().now().millis());
        let work = move || {
            let parked: Vec<Fragment> = parked.into_iter().map(placed_by_history).collect();
            let arriving = Arriving {
                placed: &fragments,
                waiting: &parked,
                inventory: &beside.inventory,
                pending: &beside.pending,
                anomaly: &beside.anomaly,
                schedules: &beside.schedules,
                since_ms,
            };
            let beside = side_files(&arriving)?;
            let mut runs = Vec::new();
            for (month, sorted) in SortedFragments::sort(&fragments)?.by_month() {
                let (encoded, summary) = run::write(&sorted)?;
                runs.push(EncodedRun { month, encoded, summary: RunSummary { since_ms, ..summary } });
            }
            Ok((runs, parked, beside))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| RunsError::Internal("encoding a run panicked"))?
    }

    /// Events may be there twice after a repeat: each is a fact, however often it is told.
    async fn commit_access(&mut self, access: Vec<AccessRecord>, now: Timestamp) -> Result<(), RunsError> {
        if access.is_empty() {
            return Ok(());
        }
        let access = access_events::sorted(access);
        let path = format!("{}.parquet", uuid::Uuid::now_v7());
        let written = self.tables.access.upload_encoded(&path, access_events::write(&access)?).await?;
        let (rows, tag) = (access.len() as u64, "{}".to_owned());
        let file = NewFile { path, written, month: None, rows, tag, bounds: Vec::new() };
        let changes = Changes { add: vec![file], now_ms: now.millis(), ..Changes::default() };
        self.tables.access.commit(&changes).await.map(drop)
    }

    async fn commit_dead_letters(
        &mut self,
        letters: &[DeadLetter],
        sources: &[SourceEvidence],
    ) -> Result<(), RunsError> {
        let table = &mut self.tables.dead_letters;
        let (mut fresh, mut moves) = (Vec::new(), Vec::new());
        for source in sources {
            let from = table.position(&source.source);
            let known = from.unwrap_or(0);
            let before = fresh.len();
            fresh.extend(letters.iter().filter(|l| l.source == source.source && l.position >= known));
            if fresh.len() > before && known < source.to {
                moves.push(Move { app_id: source.source.clone(), from, to: source.to });
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let mut add = Vec::new();
        for part in dead_letters::by_file(&fresh) {
            let path = format!("{}.parquet", uuid::Uuid::now_v7());
            let (encoded, rows, tag) = dead_letters::write(part)?;
            let written = table.upload_encoded(&path, encoded).await?;
            add.push(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() });
        }
        let now_ms = self.lake.clock().now().millis();
        table.commit(&Changes { add, moves, now_ms, ..Changes::default() }).await?;
        Ok(())
    }

    /// Parked fragments may be there twice after a repeat: they merge when they are read.
    async fn commit_parked(
        &mut self,
        parked: Vec<Fragment>,
        sources: &[SourceEvidence],
        now: Timestamp,
    ) -> Result<(), RunsError> {
        if parked.is_empty() {
            return Ok(());
        }
        let sources: Vec<&str> = sources.iter().map(|s| s.source.as_str()).collect();
        let file = upload_parked(&self.tables.parked, parked, Some(now.millis())).await?;
        let changes = Changes {
            add: vec![file],
            now_ms: now.millis(),
            evidence: Some(json!({ "kind": "park", "sources": sources })),
            ..Changes::default()
        };
        self.tables.parked.commit(&changes).await.map(drop)
    }
}

/// Uploads one run of fragments without a place, each lying at the time of what is known of it.
///
/// `since_ms`: since when commits went into it.
pub(crate) async fn upload_parked(
    table: &Table,
    parked: Vec<Fragment>,
    since_ms: Option<i64>,
) -> Result<NewFile, RunsError> {
    let placed: Vec<Fragment> = parked.into_iter().map(placed_by_history).collect();
    let (encoded, summary) = run::write(&SortedFragments::sort(&placed)?)?;
    let summary = RunSummary { since_ms, ..summary };
    upload_run(table, format!("{}.parquet", uuid::Uuid::now_v7()), None, encoded, &summary).await
}

/// An unjoined fragment is shown at the time of its first answer, under the Device that its RequestID targets.
fn placed_by_history(mut fragment: Fragment) -> Fragment {
    if fragment.placement().is_none() {
        // A time that cannot be that of an event decides nothing.
        let recorded = fragment.recorded_at_max;
        let mut times = fragment.history().iter().map(|entry| entry.at);
        let first = times.find(|at| at.can_be_of_event(Some(recorded))).unwrap_or(recorded);
        fragment.received.add(first);
    }
    if let (None, Some(id)) = (fragment.device.value(), fragment.key.request_id()) {
        fragment.device.add(id.target);
    }
    fragment
}

pub(crate) async fn upload_run(
    table: &Table,
    path: String,
    month: Option<String>,
    encoded: Encoded,
    summary: &RunSummary,
) -> Result<NewFile, RunsError> {
    let written = table.upload_encoded(&path, encoded).await?;
    run::new_file(path, month, written, summary)
}

fn moves(sources: &[SourceEvidence]) -> Vec<Move> {
    let start = |s: &SourceEvidence| (!s.first).then_some(s.from);
    // What is said of dead letters reads no new position.
    let read = sources.iter().filter(|s| s.letters_of().is_none());
    read.map(|s| Move { app_id: s.source.clone(), from: start(s), to: s.to }).collect()
}
