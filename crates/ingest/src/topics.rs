//! Ingest from topics: read, decode, fold and write at the same time, until told to stop.
//!
//! The reader's thread polls; several tasks decode; one thread folds pieces in order into a batch; one task commits
//! batches in order. Every queue is bounded, so memory is: two batches and a few pieces, whatever the lag.
//!
//! An error never means that nothing was written. After any, all that was read and not committed is dropped, and the
//! partitions are read again from where the lake says that it is.

use crate::batch::{Beside, Filling, Outcome, Portion, Records};
use crate::chunk::Decoded;
use crate::committer::Committer;
use crate::error::IngestError;
use crate::letter_content::{LetterContent, letter_content};
use crate::limits::{
    BACK_OFF, BATCH_AGE, BATCH_AGES_BEHIND, BATCH_BYTES, BATCH_ROWS, CHUNKS_IN_FLIGHT, CONNECT, HEARTBEAT,
};
use crate::once::Once;
use crate::probe::stream;
use crate::record::decode_piece;
use bytes::Bytes;
use gridtrail_kafka::{
    Closed, Cluster, Control, Delivery, GapReason, KafkaError, KafkaSettings, Offsets, Piece, Reader, Record,
    Sink, Source,
};
use gridtrail_lake::{Lake, Skip, SkipReason, Stream};
use gridtrail_runtime::{Clock, with_causes};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How topics are followed.
#[derive(Debug, Clone)]
pub struct TopicSettings {
    /// How Kafka is reached, and which topics.
    pub kafka: KafkaSettings,
    /// Rows that close a batch.
    pub batch_rows: usize,
    /// Raw bytes that close a batch.
    pub batch_bytes: usize,
    /// Age that closes a batch.
    pub batch_age: Duration,
    /// How long topics without records go without a commit that says so.
    pub heartbeat: Duration,
    /// Where it ends once everything that the topics held at the start is in the lake: how long no broker may answer, or a
    /// transaction be undecided, before it fails.
    pub once: Option<Duration>,
}

impl TopicSettings {
    /// Defaults for all but where to read.
    pub fn of(kafka: KafkaSettings) -> Self {
        Self {
            kafka,
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
            batch_age: BATCH_AGE,
            heartbeat: HEARTBEAT,
            once: None,
        }
    }
}

/// What following topics came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    /// What became of the records.
    pub outcome: Outcome,
    /// Commits made.
    pub commits: u64,
}

/// Is told of every commit.
pub trait Observer: Send + Sync {
    /// A batch is committed, and this process's searches see it.
    fn committed(&self, outcome: Outcome);
}

/// A delivery on its way from decoding to folding.
enum Work {
    Piece { piece: Arc<Piece>, decoding: JoinHandle<Decoded> },
    Drain(SyncSender<()>),
}

/// A batch of one epoch, and who waits for it.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) filling: Filling,
    pub(crate) epoch: u64,
    bytes: usize,
    began: Option<Instant>,
    pub(crate) sources: BTreeMap<String, Arc<Source>>,
    /// When the broker appended the newest record of each source, where the topic keeps that time.
    pub(crate) appended_ms: BTreeMap<String, i64>,
    /// Sources that held more when the last of them was read.
    behind: BTreeSet<String>,
    pub(crate) drained: Vec<SyncSender<()>>,
}

impl Load {
    /// The batch as it is; what remains is empty.
    fn close(&mut self) -> Self {
        let next = Self { filling: self.filling.successor(), ..Self::default() };
        std::mem::replace(self, next)
    }
}

/// Follows topics into the lake until `stop` completes; what was read by then is committed first.
///
/// Errors: `Kafka` when no broker answers at the start, or a setting cannot be used; `Lake` when the lake is damaged. Everything else is tried again for as
/// long as it takes: a store that fails, a broker that is away, another ingester that was faster. With `once` there are
/// more: a topic that is not there, no broker that answers for so long, and `Hidden`.
pub async fn follow_topics(
    lake: &Lake,
    settings: TopicSettings,
    observer: Arc<dyn Observer>,
    stop: impl Future<Output = ()> + Send,
) -> Result<Followed, IngestError> {
    let runtime = Handle::current();
    let since = lake.clock().now();
    let connecting = settings.kafka.clone();
    let patience = settings.once.unwrap_or(CONNECT);
    let cluster = tokio::task::spawn_blocking(move || Cluster::connect(&connecting, patience));
    let cluster =
        Arc::new(cluster.await.map_err(|_| IngestError::Internal("connecting to Kafka panicked"))??);
    let topics = settings.kafka.topics.clone();
    let once = Once { lake: lake.clone(), cluster: Arc::clone(&cluster), topics, since, patience };
    if settings.once.is_some() {
        once.topics_are_there().await?;
    }
    declare(lake, &cluster, &settings.kafka.topics).await?;
    let control = Arc::new(Control::default());
    let (work, decoded) = sync_channel(CHUNKS_IN_FLIGHT);
    let (loads, filled) = mpsc::channel(1);
    let members = Members {
        kafka: settings.kafka.clone(),
        cluster: Arc::clone(&cluster),
        control: Arc::clone(&control),
        lake: lake.clone(),
        work,
        runtime: runtime.clone(),
    };
    let first = members.join()?;
    let mut reading = tokio::task::spawn_blocking(move || members.read(first));
    let ends_by_itself = settings.once.is_some();
    let folder = Folder { settings, clock: lake.clock().clone(), control: Arc::clone(&control), runtime };
    let folding = tokio::task::spawn_blocking(move || folder.run(&decoded, &loads));
    let committer =
        Committer::new(lake.clone(), lake.writer().await?, cluster, Arc::clone(&control), observer);
    let committing = tokio::spawn(committer.run(filled));
    let panicked = |_| IngestError::Internal("a stage of the ingest panicked");
    let (read, whole) = tokio::select! {
        () = stop => (None, Ok(())),
        ended = once.reached(), if ends_by_itself => (None, ended),
        ended = &mut reading => (Some(ended), Ok(())),
    };
    control.stop();
    let read = match read {
        Some(ended) => ended,
        None => reading.await,
    };
    // The reader's end closes the queues one after the other.
    folding.await.map_err(panicked)?;
    let followed = committing.await.map_err(panicked)??;
    read.map_err(panicked)??;
    whole.map(|()| followed)
}

/// Tells the lake of the topics before anything is read of them. One that is not there is told of, and read once it is.
async fn declare(lake: &Lake, cluster: &Arc<Cluster>, topics: &[String]) -> Result<(), IngestError> {
    let (asked, names) = (Arc::clone(cluster), topics.to_vec());
    let found = tokio::task::spawn_blocking(move || asked.topics(&names)).await;
    let found = found.map_err(|_| IngestError::Internal("asking Kafka panicked"))??;
    for name in topics.iter().filter(|name| !found.iter().any(|topic| topic.name == **name)) {
        tracing::warn!(
            topic = name,
            "the topic is not there; it is read once it is created, as by `gridtrail publish --create-topic`"
        );
    }
    let streams: Vec<Stream> = found.into_iter().map(|topic| stream(cluster.id(), topic)).collect();
    Ok(lake.writer().await?.declare(&streams).await?)
}

/// What one member of the group after another is made of.
struct Members {
    kafka: KafkaSettings,
    cluster: Arc<Cluster>,
    control: Arc<Control>,
    lake: Lake,
    work: SyncSender<Work>,
    runtime: Handle,
}

impl Members {
    fn join(&self) -> Result<Reader, KafkaError> {
        let offsets = Box::new(LakeOffsets { lake: self.lake.clone(), runtime: self.runtime.clone() });
        let sink = sink(self.work.clone(), self.runtime.clone());
        Reader::new(&self.kafka, Arc::clone(&self.cluster), Arc::clone(&self.control), offsets, sink)
    }

    /// Reads until the end is asked for. A client that cannot go on, as after its group forgot it, is replaced.
    fn read(self, first: Reader) -> Result<(), KafkaError> {
        let mut reader = first;
        loop {
            match reader.run() {
                Err(error) if !self.control.is_stopped() => {
                    tracing::error!(
                        error = with_causes(&error),
                        "the client cannot go on; joining the group anew"
                    );
                }
                done => return done,
            }
            std::thread::sleep(BACK_OFF.0);
            // What the one before handed on is not told from what the next one will, but by the epoch.
            self.control.restart(self.control.failed() + 1);
            reader = self.join()?;
        }
    }
}

/// Starts decoding what the reader hands on. Blocks while enough is under way.
fn sink(work: SyncSender<Work>, runtime: Handle) -> Sink {
    Box::new(move |delivery| {
        let next = match delivery {
            Delivery::Piece(piece) => {
                let piece = Arc::new(piece);
                let of = Arc::clone(&piece);
                let decoding = runtime.spawn_blocking(move || decode_piece(&of));
                Work::Piece { piece, decoding }
            }
            Delivery::Drain(answer) => Work::Drain(answer),
        };
        work.send(next).map_err(|_| Closed)
    })
}

/// The lake's positions, read anew each time: another ingester may have moved them.
struct LakeOffsets {
    lake: Lake,
    runtime: Handle,
}

impl Offsets for LakeOffsets {
    fn next_of(&mut self, sources: &[Arc<Source>]) -> Result<Vec<Option<i64>>, Box<dyn Error + Send + Sync>> {
        let writer = self.runtime.block_on(self.lake.writer())?;
        Ok(sources.iter().map(|source| writer.position(&source.id)).collect())
    }
}

/// Folds pieces in order into batches. A thread of its own: it is the busiest stage.
struct Folder {
    settings: TopicSettings,
    clock: Clock,
    control: Arc<Control>,
    runtime: Handle,
}

impl Folder {
    /// Ends when the reader or the committer does.
    fn run(self, work: &Receiver<Work>, loads: &mpsc::Sender<Load>) {
        let mut load = Load::default();
        let mut committed_at = Instant::now();
        loop {
            match work.recv_timeout(self.settings.batch_age / 4) {
                Ok(Work::Piece { piece, decoding }) => self.fold(&mut load, &piece, decoding),
                Ok(Work::Drain(answer)) => {
                    load.drained.push(answer);
                    if loads.blocking_send(std::mem::take(&mut load)).is_err() {
                        return;
                    }
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if load.filling.is_full(self.settings.batch_rows) || load.bytes >= self.settings.batch_bytes {
                if loads.blocking_send(load.close()).is_err() {
                    return;
                }
                committed_at = Instant::now();
            } else if self.is_due(&load, committed_at)
                && let Ok(place) = loads.try_reserve()
            {
                place.send(load.close());
                committed_at = Instant::now();
            }
        }
        if !load.filling.is_empty() {
            // A committer that ended has said why.
            let _ = loads.blocking_send(load);
        }
    }

    fn is_due(&self, load: &Load, committed_at: Instant) -> bool {
        // With a backlog, what is committed is old already: larger batches catch up sooner, and leave fewer runs.
        let age = self.settings.batch_age * if load.behind.is_empty() { 1 } else { BATCH_AGES_BEHIND };
        let old = load.began.is_some_and(|began| began.elapsed() >= age);
        old || (!load.filling.is_empty() && committed_at.elapsed() >= self.settings.heartbeat)
    }

    fn fold(&self, load: &mut Load, piece: &Arc<Piece>, decoding: JoinHandle<Decoded>) {
        let failed = self.control.failed();
        if piece.epoch <= failed {
            decoding.abort();
            return;
        }
        if load.epoch <= failed && !load.filling.is_empty() {
            *load = Load { drained: std::mem::take(&mut load.drained), ..Load::default() };
        }
        let Ok(decoded) = self.runtime.block_on(decoding) else {
            tracing::error!("decoding panicked; the piece is read again");
            return self.control.restart(piece.epoch);
        };
        let id = &piece.source.id;
        let portion = Portion {
            source: id,
            name: &format!("{}/{}", piece.source.topic, piece.source.partition),
            first: piece.first,
            from: piece.from,
            to: piece.to,
            hashed: &piece.bytes,
            skipped: piece
                .gaps
                .iter()
                .map(|gap| Skip { from: gap.from, to: gap.to, why: reason(gap.why) })
                .collect(),
            finished: false,
            now: self.clock.now(),
        };
        if let Err(error) = load.filling.take(portion, decoded, piece.as_ref()) {
            tracing::error!(%error, source = id, "what was read is dropped and read again");
            self.control.restart(piece.epoch);
            *load = Load { drained: std::mem::take(&mut load.drained), ..Load::default() };
            return;
        }
        if piece.behind {
            load.behind.insert(id.clone())
        } else {
            load.behind.remove(id)
        };
        load.epoch = piece.epoch;
        load.bytes += piece.bytes.len();
        load.sources.entry(id.clone()).or_insert_with(|| Arc::clone(&piece.source));
        if let Some(appended) = piece.records.last().and_then(|record| record.appended_ms) {
            load.appended_ms.insert(id.clone(), appended);
        }
        if load.began.is_none() && load.filling.moves() {
            load.began = Some(Instant::now());
        }
    }
}

fn reason(why: GapReason) -> SkipReason {
    match why {
        GapReason::NotDelivered => SkipReason::NotDelivered,
        GapReason::Lost => SkipReason::Lost,
        GapReason::BeforeFirstRead => SkipReason::BeforeFirstRead,
    }
}

impl Records for Piece {
    fn letter_content(&self, position: i64) -> LetterContent {
        let value = record_at(self, position).and_then(|record| self.value(record));
        letter_content(&value.unwrap_or_default())
    }

    fn beside(&self, position: i64) -> Beside {
        let Some(record) = record_at(self, position) else { return Beside::default() };
        // A letter never holds on to what was read with it.
        let key = self.key(record).map(|key| Bytes::copy_from_slice(&key));
        let headers = record.headers.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        Beside { key, headers: headers.collect() }
    }
}

fn record_at(piece: &Piece, offset: i64) -> Option<&Record> {
    let at = piece.records.binary_search_by_key(&offset, |record| record.offset).ok()?;
    piece.records.get(at)
}
