//! Ingest from topics: read, decode, fold and write at the same time, until told to stop.
//!
//! The reader's thread polls; several tasks decode; one thread folds pieces in order into a batch; one task commits
//! batches in order. Every queue is bounded, so memory is: two batches and a few pieces, whatever the lag.
//!
//! An error never means that nothing was written. After any, all that was read and not committed is dropped, and the
//! partitions are read again from where the lake says that it is.

use crate::batch::{Filling, Outcome, Portion, Raw};
use crate::chunk::Decoded;
use crate::error::IngestError;
use crate::limits::{
    BACK_OFF, BATCH_AGE, BATCH_AGES_BEHIND, BATCH_BYTES, BATCH_ROWS, CHUNKS_IN_FLIGHT, CONNECT, HEARTBEAT,
};
use crate::probe::{self, Probe, Probes, Standing, stream};
use crate::record::decode_piece;
use gridtrail_kafka::{
    Closed, Cluster, Control, Delivery, GapReason, KafkaError, KafkaSettings, Offsets, Piece, Reader, Sink,
    Source,
};
use gridtrail_lake::{Lake, Skip, SkipReason, SourceEvidence, Stream, Writer};
use gridtrail_runtime::Clock;
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

/// Told of every commit.
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
struct Load {
    filling: Filling,
    epoch: u64,
    bytes: usize,
    began: Option<Instant>,
    sources: BTreeMap<String, Arc<Source>>,
    /// When the broker appended the newest record of each source, where the topic keeps that time.
    appended_ms: BTreeMap<String, i64>,
    /// Sources that held more when the last of them was read.
    behind: BTreeSet<String>,
    drained: Vec<SyncSender<()>>,
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
/// long as it takes: a store that fails, a broker that is away, another ingester that was faster.
pub async fn follow_topics(
    lake: &Lake,
    settings: TopicSettings,
    observer: Arc<dyn Observer>,
    stop: impl Future<Output = ()> + Send,
) -> Result<Followed, IngestError> {
    let runtime = Handle::current();
    let connecting = settings.kafka.clone();
    let cluster = tokio::task::spawn_blocking(move || Cluster::connect(&connecting, CONNECT));
    let cluster =
        Arc::new(cluster.await.map_err(|_| IngestError::Internal("connecting to Kafka panicked"))??);
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
    declare(lake, &cluster, &settings.kafka.topics).await?;
    let first = members.join()?;
    let mut reading = tokio::task::spawn_blocking(move || members.read(first));
    let folder = Folder { settings, clock: lake.clock().clone(), control: Arc::clone(&control), runtime };
    let folding = tokio::task::spawn_blocking(move || folder.run(&decoded, &loads));
    let committer = Committer {
        lake: lake.clone(),
        writer: Some(lake.writer().await?),
        cluster,
        control: Arc::clone(&control),
        probes: Probes::default(),
        observer,
        pause: BACK_OFF.0,
        followed: Followed::default(),
    };
    let committing = tokio::spawn(committer.run(filled));
    let panicked = |_| IngestError::Internal("a stage of the ingest panicked");
    let read = tokio::select! {
        () = stop => {
            control.stop();
            reading.await
        }
        ended = &mut reading => ended,
    };
    control.stop();
    // The reader's end closes the queues one after the other.
    folding.await.map_err(panicked)?;
    let followed = committing.await.map_err(panicked)??;
    read.map_err(panicked)??;
    Ok(followed)
}

/// Tells the lake of the topics before anything is read of them. One that is not there is told of, and read once it is.
async fn declare(lake: &Lake, cluster: &Arc<Cluster>, topics: &[String]) -> Result<(), IngestError> {
    let (asked, names) = (Arc::clone(cluster), topics.to_vec());
    let found = tokio::task::spawn_blocking(move || asked.topics(&names)).await;
    let found = found.map_err(|_| IngestError::Internal("asking Kafka panicked"))??;
    for name in topics.iter().filter(|name| !found.iter().any(|topic| topic.name == **name)) {
        tracing::warn!(topic = name, "the topic is not there; it is read once it is created");
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
                    tracing::error!(error = chain(&error), "the client cannot go on; joining the group anew");
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
            if load.filling.rows() >= self.settings.batch_rows || load.bytes >= self.settings.batch_bytes {
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
        if let Err(error) = load.filling.take(portion, decoded, |offset| raw(piece, offset)) {
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

fn raw(piece: &Piece, offset: i64) -> Raw {
    let at = piece.records.binary_search_by_key(&offset, |record| record.offset);
    let Ok(record) = at.map(|at| &piece.records[at]) else { return Raw::default() };
    Raw {
        value: piece.value(record).unwrap_or_default(),
        key: piece.key(record),
        headers: record.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect(),
    }
}

/// Commits batches in order.
struct Committer {
    lake: Lake,
    /// `None` after a failure, until there is a new one.
    writer: Option<Writer>,
    cluster: Arc<Cluster>,
    control: Arc<Control>,
    probes: Probes,
    observer: Arc<dyn Observer>,
    pause: Duration,
    followed: Followed,
}

impl Committer {
    /// Ends when the folder does. Errors: `Lake` when a log is damaged, or an entry of it another engine's: trying again is no cure.
    async fn run(mut self, mut loads: mpsc::Receiver<Load>) -> Result<Followed, IngestError> {
        while let Some(load) = loads.recv().await {
            if load.epoch <= self.control.failed() && !load.filling.is_empty() {
                continue;
            }
            let epoch = load.epoch;
            match self.commit(load).await {
                Ok(()) => self.pause = BACK_OFF.0,
                Err(error) if error.is_overtaken() => {
                    tracing::info!("another ingester was faster; reading on from where the lake is");
                    self.writer = None;
                    self.control.restart(epoch);
                }
                Err(error) if error.is_damage() => {
                    self.control.stop();
                    return Err(error);
                }
                Err(error) => {
                    let pause = self.pause;
                    tracing::warn!(
                        error = chain(&error),
                        ?pause,
                        "a batch was not committed; it is read again"
                    );
                    self.writer = None;
                    tokio::time::sleep(pause).await;
                    self.pause = (pause * 2).min(BACK_OFF.1);
                    self.control.restart(epoch);
                }
            }
        }
        Ok(self.followed)
    }

    async fn commit(&mut self, load: Load) -> Result<(), IngestError> {
        let Load { mut filling, sources, appended_ms, drained, epoch, .. } = load;
        if !filling.is_empty() {
            let sources: Vec<Arc<Source>> = sources.into_values().collect();
            // After the last record was read: what is said now of a topic's identity holds for all of them.
            let Some(probe) = self.probe(&sources).await? else { return Ok(()) };
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => none.insert(self.lake.writer().await?),
            };
            let streams = streams(&self.cluster, &probe, &sources);
            self.probes.push(probe);
            let mut again = false;
            for evidence in filling.sources_mut() {
                let Some(source) = sources.iter().find(|s| s.id == evidence.source) else { continue };
                again |= describe(evidence, source, &self.cluster, &self.probes, appended_ms.get(&source.id));
                name_others(evidence, &streams, source, writer);
            }
            let reached: Vec<_> = filling.sources_mut().iter().map(|e| (e.source.clone(), e.to)).collect();
            let outcome = filling.commit(streams, writer).await?;
            self.followed.commits += 1;
            self.followed.outcome.add(outcome);
            self.observer.committed(outcome);
            for (id, to) in reached {
                if let Some(source) = sources.iter().find(|s| s.id == id) {
                    self.control.committed((source.topic.clone(), source.partition), to);
                }
            }
            if again {
                self.control.restart(epoch);
            }
        }
        for answer in drained {
            // Who waited too long has gone on without it.
            let _ = answer.try_send(());
        }
        Ok(())
    }

    /// Asks the brokers, for as long as it takes. `None`: the batch came to nothing meanwhile, or the end did.
    async fn probe(&self, sources: &[Arc<Source>]) -> Result<Option<Probe>, IngestError> {
        loop {
            let (cluster, of, now) = (Arc::clone(&self.cluster), sources.to_vec(), self.lake.clock().now());
            let asking = tokio::task::spawn_blocking(move || probe::ask(&cluster, now, &of));
            match asking.await.map_err(|_| IngestError::Internal("asking Kafka panicked"))? {
                Ok(probe) => return Ok(Some(probe)),
                Err(error) if self.control.is_stopped() => {
                    tracing::warn!(error = chain(&error), "what was read last is left for the next start");
                    return Ok(None);
                }
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "no broker says whether the topics are still the same"
                    );
                    tokio::time::sleep(BACK_OFF.0).await;
                }
            }
        }
    }
}

/// The topics of a batch that are still what they were when they were read.
fn streams(cluster: &Cluster, probe: &Probe, sources: &[Arc<Source>]) -> Vec<Stream> {
    let mut streams: Vec<Stream> = sources
        .iter()
        .filter_map(|source| match probe.standing(cluster.id(), source) {
            Standing::Same(stream) => Some(stream),
            Standing::CreatedAgain { .. } | Standing::Gone => None,
        })
        .collect();
    streams.sort();
    streams.dedup();
    streams
}

/// Adds to the evidence of a partition what the brokers say of it. Whether the partitions are to be placed anew.
fn describe(
    evidence: &mut SourceEvidence,
    source: &Source,
    cluster: &Cluster,
    probes: &Probes,
    appended_ms: Option<&i64>,
) -> bool {
    let Some(newest) = probes.newest() else { return false };
    match newest.standing(cluster.id(), source) {
        Standing::Same(_) => {
            evidence.end = newest.end(source);
            let complete = probes.complete_up_to(source, evidence.to).map(|at| at.millis());
            // With a backlog no end is reached; what the broker appended in order before the last record is all here.
            evidence.complete_up_to_ms = complete.or(appended_ms.copied());
            false
        }
        Standing::CreatedAgain { id } => {
            // What was read may be of the one or of the other. It is kept, since a record too many does no harm to a
            // trail and one too few does; the new topic is read from its start.
            let event = format!(
                "topic {} was deleted and created again (its id is {id} now); records of this batch may be of either",
                source.topic
            );
            tracing::error!(source = source.id, event);
            evidence.event = Some(event);
            true
        }
        Standing::Gone => {
            let event = format!("topic {} was deleted", source.topic);
            tracing::error!(source = source.id, event);
            evidence.event = Some(event);
            false
        }
    }
}

/// The first that is read of a topic says which topics had its name before.
fn name_others(evidence: &mut SourceEvidence, streams: &[Stream], source: &Source, writer: &Writer) {
    let stream = streams.iter().find(|s| s.id == source.topic_id).filter(|_| evidence.first);
    let others = stream.map(|stream| writer.other_ids(stream)).unwrap_or_default();
    if let (Some(stream), false) = (stream, others.is_empty()) {
        let event = format!(
            "topic {} was deleted and created again: its id was {} before, and is {} now",
            stream.topic,
            others.join(", "),
            stream.id
        );
        tracing::error!(source = source.id, event);
        evidence.event = Some(event);
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
