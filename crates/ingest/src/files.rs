//! Ingest from files: read, decode, fold and write at the same time.
//!
//! One task reads pieces in order; several decode them; one folds them in order into a batch; one commits batches in
//! order. Every queue is bounded, so memory is: two batches and a few pieces.
//!
//! Kill it at any instant and run it again: each source is read on from the position in the lake's own commit.

use crate::batch::{Filling, LetterPlace, Outcome, Portion, RecordContent, Records};
use crate::chunk::{Chunk, Chunks, Decoded, Holds, Sizes, decode_chunk, record_at, to_position};
use crate::error::IngestError;
use crate::letter_content::{LetterContent, letter_content};
use crate::limits::{BATCH_ROWS, CHUNKS_IN_FLIGHT, FILE_BATCH_BYTES, RESTARTS};
use crate::plan::{Plan, Source, plan};
use crate::whole;
use gridtrail_lake::{Lake, Writer};
use gridtrail_model::{Event, Timestamp};
use gridtrail_runtime::Clock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Is told how far an ingest is.
pub trait Progress: Send + Sync {
    /// So many bytes are to be read in all.
    fn start(&self, bytes: u64);
    /// So many more bytes and events were folded.
    fn advance(&self, bytes: u64, events: u64);
    /// A file was read to its end, by this ingest from its beginning: how many of its records could be read, and how many could not.
    fn file_read(&self, _path: &Path, _read: u64, _unread: u64) {}
    /// Whether to read on. Otherwise what was read is committed, and the ingest ends; the next one goes on from there.
    fn go_on(&self) -> bool {
        true
    }
}

/// How files are ingested.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Receipt time of plain DUIS files that have no sidecar. Without it they become dead letters.
    pub recorded_at: Option<Timestamp>,
    /// Rows that close a batch.
    pub batch_rows: usize,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self { recorded_at: None, batch_rows: BATCH_ROWS }
    }
}

/// What an ingest did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files read.
    pub files: u64,
    /// Files that were in the lake already.
    pub known_files: u64,
    /// Files that were not read, since their names tell of nothing that is, and receipt sidecars of no message.
    pub passed_over: Vec<PathBuf>,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// What became of the records.
    pub outcome: Outcome,
    /// Commits made.
    pub commits: u64,
}

/// A piece on its way from decoding to folding.
struct Piece {
    source: Arc<Source>,
    decoding: JoinHandle<(Chunk, Decoded)>,
}

/// Ingests every file of events under a path ([`crate::FileName`]), those of access among them.
///
/// Idempotent and resumable. Errors: `Nothing` and `Ending` when there is none, `File` when something cannot be read at all, `Lake` when a batch cannot be
/// written; what was committed before stays.
pub async fn ingest_files(
    lake: &Lake,
    path: &Path,
    settings: &FileSettings,
    progress: Arc<dyn Progress>,
) -> Result<Summary, IngestError> {
    let mut summary = Summary::default();
    for _ in 0..RESTARTS {
        let writer = lake.writer().await?;
        let mut plan = plan(path, settings.recorded_at, &writer).await?;
        summary.known_files = plan.known;
        let files = plan.sources.clone();
        summary.passed_over = std::mem::take(&mut plan.passed_over);
        match run(writer, lake.clock(), plan, settings, Arc::clone(&progress), &mut summary).await {
            Err(error) if error.is_overtaken() => tracing::info!("another ingester was faster; reading on"),
            Err(error) => return Err(error),
            Ok(()) => {
                whole::settle(lake, files).await?;
                return Ok(summary);
            }
        }
    }
    Err(IngestError::Contended)
}

async fn run(
    writer: Writer,
    clock: &Clock,
    plan: Plan,
    settings: &FileSettings,
    progress: Arc<dyn Progress>,
    summary: &mut Summary,
) -> Result<(), IngestError> {
    progress.start(plan.sources.iter().map(|s| s.size - s.from).sum());
    let (pieces, decoded) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let (batches, filled) = mpsc::channel(1);
    let reading = tokio::spawn(read(plan.sources, pieces, Arc::clone(&progress)));
    let batch_rows = settings.batch_rows;
    let runtime = tokio::runtime::Handle::current();
    let clock = clock.clone();
    let folding = tokio::task::spawn_blocking(move || {
        fold(&runtime, decoded, &batches, batch_rows, &clock, progress.as_ref())
    });
    let committing = tokio::spawn(commit(writer, filled));
    // A stage that fails closes its queues, and the others end; the last stage's error is the cause of the others'.
    let panicked = |_| IngestError::Internal("a stage of the ingest panicked");
    let (outcome, commits) = committing.await.map_err(panicked)??;
    folding.await.map_err(panicked)??;
    let (files, bytes) = reading.await.map_err(panicked)??;
    summary.files += files;
    summary.bytes += bytes;
    summary.commits += commits;
    summary.outcome.add(outcome);
    Ok(())
}

/// Reads files to their ends, unless it is told to stop. How many were read to their ends, and how many bytes in all.
async fn read(
    sources: Vec<Source>,
    pieces: mpsc::Sender<Piece>,
    progress: Arc<dyn Progress>,
) -> Result<(u64, u64), IngestError> {
    let (mut files, mut bytes) = (0, 0);
    for source in sources {
        let source = Arc::new(source);
        let failed = |error| IngestError::File { path: source.path.clone(), source: error };
        let mut chunks = Chunks::open(&source, Sizes::default()).map_err(failed)?;
        loop {
            if !progress.go_on() {
                return Ok((files, bytes));
            }
            let reading = tokio::task::spawn_blocking(move || (chunks.next(), chunks));
            let (chunk, rest) =
                reading.await.map_err(|_| IngestError::Internal("reading a file panicked"))?;
            chunks = rest;
            let Some(chunk) = chunk.map_err(failed)? else { break };
            // A place in the queue first, then the work: what is in flight stays bounded.
            let Ok(place) = pieces.reserve().await else { return Ok((files, bytes)) };
            bytes += chunk.end - chunk.start;
            let of = Arc::clone(&source);
            let decoding = tokio::task::spawn_blocking(move || {
                let decoded = decode_chunk(&chunk, (of.kind, &of.form));
                (chunk, decoded)
            });
            place.send(Piece { source: Arc::clone(&source), decoding });
        }
        files += 1;
    }
    Ok((files, bytes))
}

/// Folds pieces in order into batches. Runs on a thread of its own: it is the busiest stage.
fn fold(
    runtime: &tokio::runtime::Handle,
    mut pieces: mpsc::Receiver<Piece>,
    batches: &mpsc::Sender<Filling>,
    batch_rows: usize,
    clock: &Clock,
    progress: &dyn Progress,
) -> Result<(), IngestError> {
    let (mut filling, mut bytes) = (Filling::default(), 0);
    // Of the file that is being read: records that could be read, and those that could not.
    let (mut read, mut unread) = (0, 0);
    while let Some(Piece { source, decoding }) = pieces.blocking_recv() {
        let (chunk, decoded) =
            runtime.block_on(decoding).map_err(|_| IngestError::Internal("decoding a file panicked"))?;
        progress.advance(chunk.bytes.len() as u64, decoded.read());
        read += decoded.read();
        unread += decoded.letters.len() as u64;
        if chunk.last {
            let (read, unread) = (std::mem::take(&mut read), std::mem::take(&mut unread));
            if source.from == 0 {
                progress.file_read(&source.path, read, unread);
            }
        }
        let now = clock.now();
        let portion = Portion {
            source: &source.id,
            name: &source.path.display().to_string(),
            first: chunk.start == 0,
            from: to_position(chunk.start),
            to: to_position(chunk.end),
            hashed: &chunk.bytes,
            skipped: Vec::new(),
            finished: chunk.last,
            now,
        };
        // A message that has its receipt at last.
        let event =
            decoded.events.first().filter(|_| !source.settles.is_empty()).map(|(_, event)| event.clone());
        filling.take(portion, decoded, &InFile { chunk: &chunk, source: &source })?;
        if let Some(event) = event {
            settle(&mut filling, &source, &chunk.bytes, &event, now);
        }
        bytes += chunk.bytes.len();
        let is_full = filling.is_full(batch_rows) || bytes >= FILE_BATCH_BYTES;
        if is_full && !matches!(chunk.holds, Holds::Part) {
            let next = filling.successor();
            if batches.blocking_send(std::mem::replace(&mut filling, next)).is_err() {
                return Ok(());
            }
            bytes = 0;
        }
    }
    if !filling.is_empty() {
        // A closed queue means that committing failed, and its own error is the one to tell.
        let _ = batches.blocking_send(filling);
    }
    Ok(())
}

pub(crate) async fn commit(
    mut writer: Writer,
    mut batches: mpsc::Receiver<Filling>,
) -> Result<(Outcome, u64), IngestError> {
    let (mut total, mut commits) = (Outcome::default(), 0);
    while let Some(batch) = batches.recv().await {
        let outcome = batch.commit(Vec::new(), &mut writer).await?;
        total.add(outcome);
        commits += 1;
    }
    Ok((total, commits))
}

/// The records of a piece of a file.
struct InFile<'a> {
    chunk: &'a Chunk,
    source: &'a Source,
}

impl Records for InFile<'_> {
    fn letter_content(&self, position: i64) -> LetterContent {
        letter_content(record_at(self.chunk, &self.source.form, position))
    }
}

/// Settles the letters that a message left as it had no receipt, or none that could be read: they were replayed by this.
fn settle(filling: &mut Filling, source: &Source, value: &[u8], event: &Event, now: Timestamp) {
    let name = source.path.display().to_string();
    for letter in &source.settles {
        let place = LetterPlace { source: letter, name: &name, position: 0 };
        // Where the event fits no row, it has become a letter of this source as well, and both stay open.
        let _ =
            filling.replay(place, value, RecordContent::Event(Box::new(event.clone()), Box::default()), now);
    }
}
