//! The reader: a thread of its own that polls the client and hands pieces on.
//!
//! What a partition was given or taken from this process changes here and nowhere else. Every assignment names its
//! offsets, which come from the lake; whatever comes below the offset that is due is dropped, on every poll and not only
//! at the start, because a client may hand out records from before a seek.

use crate::cluster::{self, Bounds, Cluster, TopicPartition};
use crate::error::KafkaError;
use crate::headers::Headers;
use crate::piece::{Builder, GapReason, Incoming, Piece, Source};
use crate::settings::KafkaSettings;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode};
use rdkafka::message::{Message, Timestamp};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(50);
/// A piece is handed on once it holds so many bytes: large enough to make handing it over cheap.
const PIECE_BYTES: usize = 512 * 1024;
/// Or is so old.
const PIECE_AGE: Duration = Duration::from_millis(50);
/// How often partitions without records are reported, so that an idle partition is known to be complete.
const IDLE_EVERY: Duration = Duration::from_secs(1);
/// How long partitions that could not be placed wait for the next try.
const PLACE_AGAIN: Duration = Duration::from_secs(2);
/// How long the client may take to forget a partition that it read before. It takes no time to speak of.
const FORGET: Duration = Duration::from_secs(10);
/// How long partitions that are taken away wait for what was read of them to be committed.
const DRAIN: Duration = Duration::from_secs(15);

/// Where the lake is. Called on the reader's own thread; may block.
pub trait Offsets: Send {
    /// The offset that the lake needs next of each source, in turn; `None` where it knows nothing of a source.
    fn next_of(
        &mut self,
        sources: &[Arc<Source>],
    ) -> Result<Vec<Option<i64>>, Box<dyn std::error::Error + Send + Sync>>;
}

/// What a reader hands on, in order.
#[derive(Debug)]
pub enum Delivery {
    /// Some offsets of a partition.
    Piece(Piece),
    /// Partitions are about to be taken away: commit all that came before, then answer.
    Drain(SyncSender<()>),
}

/// Nobody takes what the reader reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Takes deliveries. Blocks while there is no room: that is what bounds the memory.
pub type Sink = Box<dyn FnMut(Delivery) -> Result<(), Closed> + Send>;

/// What the reader's owner can tell it while it runs.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    /// The newest epoch whose pieces came to nothing.
    failed: AtomicU64,
    committed: Mutex<HashMap<TopicPartition, i64>>,
}

impl Control {
    /// Ends the reader: it hands on what it has, waits for that to be committed, and leaves the group.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// The pieces of this epoch and of those before came to nothing: read again from where the lake is.
    pub fn restart(&self, epoch: u64) {
        self.failed.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Whether the end was asked for.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The newest epoch whose pieces are to be dropped.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// The lake has a partition up to an offset. The group is told, so that Kafka's own tools show how far it is.
    pub fn committed(&self, partition: TopicPartition, offset: i64) {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, offset);
    }
}

/// A partition that is being read.
#[derive(Debug)]
struct Reading {
    builder: Builder,
    /// Whether a record came since it was placed.
    started: bool,
    /// The offset that came first when it was not the one asked for.
    first_seen: Option<i64>,
}

/// Reads the partitions that the group gives this process.
pub struct Reader {
    consumer: BaseConsumer<Context>,
    cluster: Arc<Cluster>,
    control: Arc<Control>,
    offsets: Box<dyn Offsets>,
    sink: Sink,
    epoch: u64,
    reading: BTreeMap<TopicPartition, Reading>,
    /// The partition of the last record: records come in runs of one partition, so its name is seldom copied.
    last: TopicPartition,
    /// Partitions that are this process's and not read yet.
    waiting: BTreeSet<TopicPartition>,
    place_at: Instant,
    handed_on: Instant,
    idle_told: Instant,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("epoch", &self.epoch)
            .field("reading", &self.reading.keys())
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Joins the group. Nothing is read before [`Reader::run`].
    pub fn new(
        settings: &KafkaSettings,
        cluster: Arc<Cluster>,
        control: Arc<Control>,
        offsets: Box<dyn Offsets>,
        sink: Sink,
    ) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer<Context> = settings
            .member()?
            .create_with_context(Context::default())
            .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(KafkaError::broker("subscribe"))?;
        let now = Instant::now();
        Ok(Self {
            consumer,
            cluster,
            epoch: control.failed() + 1,
            control,
            offsets,
            sink,
            reading: BTreeMap::new(),
            last: TopicPartition::default(),
            waiting: BTreeSet::new(),
            place_at: now,
            handed_on: now,
            idle_told: now,
        })
    }

    /// Reads until it is stopped or nobody takes what it reads. Blocks: give it a thread.
    ///
    /// Errors: `Broker` when the client says that it cannot go on. A broker that does not answer is no error: the client
    /// goes on trying.
    pub fn run(mut self) -> Result<(), KafkaError> {
        while !self.control.stop.load(Ordering::Acquire) {
            match self.step() {
                Ok(()) => {}
                Err(Stop::Closed) => return Ok(()),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        // A closed sink or a slow commit: the lake's positions say how far it came.
        let _ = self.drain();
        self.tell_group(CommitMode::Sync);
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.take_changes()?;
        if self.control.failed() >= self.epoch {
            self.restart()?;
        }
        if !self.waiting.is_empty() && Instant::now() >= self.place_at {
            self.place()?;
        }
        // The message borrows the client, and taking it in needs the rest of the reader.
        let Self { consumer, reading, last, .. } = self;
        let (idle, after) = match consumer.poll(POLL) {
            Some(Ok(message)) => {
                if message.partition() != last.1 || message.topic() != last.0 {
                    *last = (message.topic().to_owned(), message.partition());
                }
                let headers = Headers::of(&message);
                (false, reading.get_mut(last).map_or(After::Nothing, |found| take(found, &message, headers)))
            }
            Some(Err(Client::PartitionEOF(_))) => (false, After::Nothing),
            Some(Err(error)) => (true, After::Error(error)),
            None => (true, After::Nothing),
        };
        match after {
            After::Nothing => {}
            After::Full => self.hand_on(&self.last.clone())?,
            After::ReadAgain => self.read_again(self.last.clone())?,
            After::Error(error) => self.failed(error)?,
        }
        if idle || self.handed_on.elapsed() >= PIECE_AGE {
            self.hand_on_all()?;
        }
        Ok(())
    }

    /// Hands on every piece that holds something; once in a while, those that hold nothing too.
    fn hand_on_all(&mut self) -> Result<(), Stop> {
        let tell_idle = self.idle_told.elapsed() >= IDLE_EVERY;
        if tell_idle {
            self.idle_told = Instant::now();
            self.tell_group(CommitMode::Async);
            self.pass_over_ends()?;
        }
        let due = self.reading.iter().filter(|(_, reading)| tell_idle || !reading.builder.is_empty());
        let due: Vec<_> = due.map(|(partition, _)| partition.clone()).collect();
        for partition in due {
            self.hand_on(&partition)?;
        }
        self.handed_on = Instant::now();
        Ok(())
    }

    fn hand_on(&mut self, partition: &TopicPartition) -> Result<(), Stop> {
        let Some(reading) = self.reading.get_mut(partition) else { return Ok(()) };
        let told = self.consumer.context().told_ends.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = reading.builder.take(told.get(partition).copied());
        drop(told);
        (self.sink)(Delivery::Piece(piece)).map_err(|Closed| Stop::Closed)
    }

    /// A partition may end in offsets without a record, such as a transaction's marker. The client takes markers in
    /// itself, in order with the records that it hands out, and its position is behind the last of either. That a
    /// partition's end was fetched would say less: the records before it may be on their way, and when the group
    /// changes, the client drops those and fetches them again.
    fn pass_over_ends(&mut self) -> Result<(), Stop> {
        for (partition, position) in self.positions()? {
            if let Some(reading) = self.reading.get_mut(&partition) {
                reading.builder.skip(position, GapReason::NotDelivered);
            }
        }
        Ok(())
    }

    /// The client's position in each partition that it reads, where it has one.
    fn positions(&self) -> Result<Vec<(TopicPartition, i64)>, Stop> {
        let failed = |e| Stop::Failed(KafkaError::broker("ask the client for its positions")(e));
        let list = self.consumer.position().map_err(failed)?;
        let position = |element: &TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some(((element.topic().to_owned(), element.partition()), offset)),
            _ => None,
        };
        Ok(list.elements().iter().filter_map(position).collect())
    }

    /// Takes in what the group changed.
    fn take_changes(&mut self) -> Result<(), Stop> {
        while let Some(change) = self.consumer.context().next_change() {
            match change {
                Change::Given(partitions) => {
                    tracing::info!(?partitions, "partitions given");
                    self.waiting.extend(partitions);
                    self.place_at = Instant::now();
                    // The group waits for an answer, even where nothing can be read yet.
                    self.assign(&TopicPartitionList::new())?;
                }
                Change::Taken(partitions) => {
                    let lost = self.consumer.assignment_lost();
                    tracing::info!(?partitions, lost, "partitions taken");
                    // What was read is committed first where that is still this process's to do. Either way the lake
                    // decides: of two owners, one commit wins.
                    if !lost {
                        self.drain()?;
                    }
                    self.waiting.retain(|partition| !partitions.contains(partition));
                    let read: Vec<_> =
                        partitions.into_iter().filter(|p| self.reading.remove(p).is_some()).collect();
                    self.unassign(&read)?;
                }
            }
        }
        Ok(())
    }

    /// Hands on all that was read, and waits a while for it to be committed.
    fn drain(&mut self) -> Result<(), Stop> {
        if self.reading.is_empty() {
            return Ok(());
        }
        self.hand_on_all()?;
        let (answer, answered) = sync_channel(1);
        (self.sink)(Delivery::Drain(answer)).map_err(|Closed| Stop::Closed)?;
        if answered.recv_timeout(DRAIN).is_err() {
            tracing::warn!("what was read last was not committed in time; it will be read again");
        }
        Ok(())
    }

    /// Drops what was read and not committed, and reads again from where the lake is.
    fn restart(&mut self) -> Result<(), Stop> {
        self.epoch = self.control.failed() + 1;
        let partitions: Vec<_> = std::mem::take(&mut self.reading).into_keys().collect();
        self.unassign(&partitions)?;
        self.waiting.extend(partitions);
        self.place_at = Instant::now();
        Ok(())
    }

    /// Starts reading what waits for it, as far as it can be learned where to start.
    fn place(&mut self) -> Result<(), Stop> {
        self.place_at = Instant::now() + PLACE_AGAIN;
        let starts = match self.starts() {
            Ok(starts) => starts,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "partitions cannot be read yet");
                return Ok(());
            }
        };
        if starts.is_empty() {
            return Ok(());
        }
        let mut fresh = TopicPartitionList::with_capacity(starts.len());
        for (partition, builder) in starts {
            add(&mut fresh, &partition, builder.next())?;
            self.waiting.remove(&partition);
            self.reading.insert(partition, Reading { builder, started: false, first_seen: None });
        }
        self.assign(&fresh)
    }

    /// Where to start with each partition that waits. A partition that is not there, or holds less than was read of
    /// it, goes on waiting.
    fn starts(&mut self) -> Result<Vec<(TopicPartition, Builder)>, KafkaError> {
        let names: BTreeSet<String> = self.waiting.iter().map(|(topic, _)| topic.clone()).collect();
        let topics = self.cluster.topics(&names.into_iter().collect::<Vec<_>>())?;
        let found: Vec<(TopicPartition, Arc<Source>)> = self
            .waiting
            .iter()
            .filter_map(|(name, partition)| {
                let topic = topics.iter().find(|t| t.name == *name && *partition < t.partitions)?;
                let id = format!("kafka:{}:{}:{partition}", self.cluster.id(), topic.id);
                let (topic, topic_id) = (name.clone(), topic.id.clone());
                let source = Source { id, topic: topic.clone(), topic_id, partition: *partition };
                Some(((topic, *partition), Arc::new(source)))
            })
            .collect();
        if found.is_empty() {
            return Err(KafkaError::NoTopic(
                self.waiting.iter().map(|(topic, _)| topic.as_str()).next().unwrap_or_default().to_owned(),
            ));
        }
        let partitions: Vec<TopicPartition> = found.iter().map(|(partition, _)| partition.clone()).collect();
        let bounds = self.cluster.bounds(&partitions)?;
        let sources: Vec<Arc<Source>> = found.iter().map(|(_, source)| Arc::clone(source)).collect();
        let positions = self.offsets.next_of(&sources).map_err(KafkaError::Positions)?;
        let starts = found.into_iter().zip(positions).filter_map(|((partition, source), position)| {
            let bounds = *bounds.get(&partition)?;
            Some((partition, start(source, self.epoch, position, bounds)?))
        });
        Ok(starts.collect())
    }

    /// The first record was not the one asked for. The client may have ignored the offset: it is asked once more, and
    /// then the broker is believed.
    fn read_again(&mut self, partition: TopicPartition) -> Result<(), Stop> {
        let Some(reading) = self.reading.get(&partition) else { return Ok(()) };
        let mut again = TopicPartitionList::with_capacity(1);
        add(&mut again, &partition, reading.builder.next())?;
        self.unassign(std::slice::from_ref(&partition))?;
        self.assign(&again)
    }

    fn failed(&mut self, error: Client) -> Result<(), Stop> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                tracing::error!(%error, "offsets that are due are gone; looking where the partitions begin now");
                self.start_over()?;
            }
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicId,
            ) => {
                tracing::warn!(%error, "a topic or partition is not there");
                self.start_over()?;
            }
            _ if matches!(error, Client::MessageConsumptionFatal(_)) => {
                return Err(Stop::Failed(KafkaError::broker("read")(error)));
            }
            // It was logged when it was told, and the client tries again by itself.
            _ => {}
        }
        Ok(())
    }

    /// Reads again from where the lake is, a little later.
    fn start_over(&mut self) -> Result<(), Stop> {
        self.control.restart(self.epoch);
        self.restart()?;
        self.place_at = Instant::now() + PLACE_AGAIN;
        Ok(())
    }

    fn tell_group(&self, mode: CommitMode) {
        let committed =
            std::mem::take(&mut *self.control.committed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut list = TopicPartitionList::with_capacity(committed.len());
        for (partition, offset) in committed.iter().filter(|(p, _)| self.reading.contains_key(*p)) {
            if add(&mut list, partition, *offset).is_err() {
                return;
            }
        }
        // Telemetry: a group that does not take it changes nothing.
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, mode)
        {
            tracing::debug!(%error, "the group was not told how far the lake is");
        }
    }

    fn cooperative(&self) -> bool {
        matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
    }

    /// Everything that is being read, each from the offset that is due.
    fn current(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(self.reading.len());
        for (partition, reading) in &self.reading {
            // Offsets that were read are offsets that can be written.
            let _ = add(&mut list, partition, reading.builder.next());
        }
        list
    }

    /// Has the client read these as well.
    fn assign(&self, fresh: &TopicPartitionList) -> Result<(), Stop> {
        let done = if self.cooperative() {
            self.consumer.incremental_assign(fresh)
        } else {
            // The eager protocol knows whole assignments only.
            self.consumer.assign(&self.current())
        };
        done.map_err(|e| Stop::Failed(KafkaError::broker("assign partitions")(e)))?;
        self.forgotten(fresh)
    }

    /// Waits until the client has forgotten how far it read these when it read them before, which it does on a thread of
    /// its own. From then on what it says of them is of this assignment, for it takes nothing in but in a poll.
    fn forgotten(&self, fresh: &TopicPartitionList) -> Result<(), Stop> {
        let began = Instant::now();
        let known = |((topic, partition), _): &(TopicPartition, i64)| {
            fresh.find_partition(topic, *partition).is_some()
        };
        while self.positions()?.iter().any(known) {
            if began.elapsed() > FORGET {
                let why = "the client does not forget how far it read a partition before";
                return Err(Stop::Failed(KafkaError::Internal(why)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Has the client read these no longer.
    fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), Stop> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition(topic, *partition);
        }
        let done = if self.cooperative() {
            self.consumer.incremental_unassign(&list)
        } else {
            self.consumer.unassign()
        };
        done.map_err(|e| Stop::Failed(KafkaError::broker("give partitions back")(e)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The client waits for what it takes away to be given back, and nobody reads its changes any more.
        self.consumer.context().closing.store(true, Ordering::Release);
    }
}

/// Why the reader ends.
enum Stop {
    Closed,
    Failed(KafkaError),
}

/// What is to be done after a poll.
enum After {
    Nothing,
    Full,
    ReadAgain,
    Error(Client),
}

/// Takes in one record of a partition. Those of a partition that was given back may still be on their way, and are dropped
/// before they come here.
fn take<'m>(
    reading: &mut Reading,
    message: &impl Message,
    headers: impl Iterator<Item = (Cow<'m, str>, &'m [u8])> + Clone,
) -> After {
    let (due, offset) = (reading.builder.next(), message.offset());
    if offset < due {
        return After::Nothing;
    }
    if offset > due && !reading.started && reading.first_seen != Some(offset) {
        reading.first_seen = Some(offset);
        return After::ReadAgain;
    }
    reading.started = true;
    reading.builder.skip(offset, GapReason::NotDelivered);
    let appended_ms = match message.timestamp() {
        Timestamp::LogAppendTime(ms) => Some(ms),
        Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
    };
    reading.builder.push(Incoming { appended_ms, value: message.payload(), key: message.key() }, headers);
    if reading.builder.len() >= PIECE_BYTES { After::Full } else { After::Nothing }
}

/// Where a partition is read from, given where the lake is and what the broker still has. `None`: it cannot be.
fn start(source: Arc<Source>, epoch: u64, position: Option<i64>, bounds: Bounds) -> Option<Builder> {
    let Bounds { low, high } = bounds;
    let (name, partition) = (source.topic.clone(), source.partition);
    match position {
        Some(at) if at > high => {
            tracing::error!(
                topic = name,
                partition,
                lake = at,
                end = high,
                "the partition ends before what the lake took from it: records were lost by the cluster. It is not read \
                 until an operator settles what became of them"
            );
            None
        }
        Some(at) => {
            let mut builder = Builder::new(source, epoch, at, false);
            if at < low {
                tracing::error!(
                    topic = name,
                    partition,
                    from = at,
                    to = low,
                    "records were deleted by the topic's retention before they were read; the gap is recorded"
                );
                builder.skip(low, GapReason::Lost);
            }
            Some(builder)
        }
        None => {
            let mut builder = Builder::new(source, epoch, 0, true);
            builder.skip(low, GapReason::BeforeFirstRead);
            Some(builder)
        }
    }
}

fn add(list: &mut TopicPartitionList, partition: &TopicPartition, offset: i64) -> Result<(), Stop> {
    list.add_partition_offset(&partition.0, partition.1, Offset::Offset(offset))
        .map_err(|e| Stop::Failed(KafkaError::broker("name an offset")(e)))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What the group changed.
#[derive(Debug)]
enum Change {
    Given(Vec<TopicPartition>),
    Taken(Vec<TopicPartition>),
}

/// What the client tells between polls. Kept until the reader looks.
#[derive(Default)]
struct Context {
    changes: Mutex<VecDeque<Change>>,
    /// Where partitions ended when the broker last told, as far as transactions are settled.
    told_ends: Mutex<HashMap<TopicPartition, i64>>,
    closing: AtomicBool,
}

impl Context {
    fn next_change(&self) -> Option<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, line: &str) {
        cluster::log(level, fac, line);
    }

    fn error(&self, error: Client, reason: &str) {
        cluster::log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let mut told = self.told_ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, partitions) in statistics.topics {
            for (number, partition) in partitions.partitions {
                told.insert((topic.clone(), number), partition.ls_offset);
            }
        }
    }
}

impl ConsumerContext for Context {
    /// Only noted: the reader answers after the poll, when it can wait for the lake.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            let given_back = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
                _ => consumer.unassign(),
            };
            if let Err(error) = given_back {
                tracing::debug!(%error, "partitions were not given back in good order");
            }
            return;
        }
        let named = partitions.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
        let change = match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Given(named),
            _ => Change::Taken(named),
        };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::OwnedMessage;

    /// A partition whose next offset is this one.
    fn reading(next: i64) -> Reading {
        let source =
            Source { id: "kafka:c:t:0".into(), topic: "t".into(), topic_id: "t".into(), partition: 0 };
        let builder = Builder::new(Arc::new(source), 1, next, false);
        Reading { builder, started: false, first_seen: None }
    }

    fn message(offset: i64) -> OwnedMessage {
        OwnedMessage::new(Some(b"x".to_vec()), None, "t".into(), Timestamp::NotAvailable, 0, offset, None)
    }

    /// Takes in records, and gives the offsets of those that were kept and the gaps between them.
    fn taken(reading: &mut Reading, offsets: &[i64]) -> (Vec<i64>, Vec<(i64, i64)>) {
        for offset in offsets {
            take(reading, &message(*offset), std::iter::empty());
        }
        let piece = reading.builder.take(None);
        let gaps = piece.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        (piece.records.iter().map(|record| record.offset).collect(), gaps)
    }

    /// A client may hand out records from before the offset that it was told to start at, and again later.
    #[test]
    fn records_below_the_offset_that_is_due_are_dropped_on_every_poll() {
        let mut reading = reading(10);
        assert_eq!(taken(&mut reading, &[3, 9, 10, 11]), (vec![10, 11], vec![]));
        assert_eq!(taken(&mut reading, &[0, 10, 11]), (vec![], vec![]));
        assert_eq!(taken(&mut reading, &[11, 12, 12, 14, 13]), (vec![12, 14], vec![(13, 14)]));
    }

    /// A client that ignored where to start must not make a gap of what it passed over.
    #[test]
    fn a_first_record_beyond_the_offset_that_is_due_is_asked_for_again_before_it_is_believed() {
        let mut ignored = reading(10);
        assert!(matches!(take(&mut ignored, &message(15), std::iter::empty()), After::ReadAgain));
        assert_eq!(taken(&mut ignored, &[10, 11]), (vec![10, 11], vec![]));
        let mut gone = reading(10);
        assert!(matches!(take(&mut gone, &message(15), std::iter::empty()), After::ReadAgain));
        assert_eq!(taken(&mut gone, &[15, 16]), (vec![15, 16], vec![(10, 15)]));
    }
}
