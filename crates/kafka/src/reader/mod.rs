//! The reader: a thread of its own that polls the client and hands pieces on.
//!
//! Every assignment names its offsets, which come from the lake ([`assignment`]); whatever comes below the offset that is
//! due is dropped, on every poll and not only at the start, because a client may hand out records from before a seek
//! ([`reading`]).

mod assignment;
mod context;
mod control;
mod reading;

pub use control::{Closed, Control, Delivery, Offsets, Sink};

use crate::cluster::{Cluster, TopicPartition};
use crate::error::KafkaError;
use crate::headers::Headers;
use crate::piece::GapReason;
use crate::settings::KafkaSettings;
use context::ReaderContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use reading::{Reading, Taken};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(50);
/// A piece is handed on once it is so old, or full.
const PIECE_AGE: Duration = Duration::from_millis(50);
/// How often partitions without records are reported, so that an idle partition is known to be complete.
const IDLE_EVERY: Duration = Duration::from_secs(1);
/// How long partitions that are taken away wait for what was read of them to be committed.
const DRAIN: Duration = Duration::from_secs(15);

/// Reads the partitions that the group gives this process.
pub struct Reader {
    consumer: BaseConsumer<ReaderContext>,
    cluster: Arc<Cluster>,
    control: Arc<Control>,
    offsets: Box<dyn Offsets>,
    sink: Sink,
    topics: Vec<String>,
    epoch: u64,
    reading: BTreeMap<TopicPartition, Reading>,
    /// The partition of the last record: records come in runs of one partition, so its name is seldom copied.
    last: TopicPartition,
    /// Partitions that are this process's and not read yet.
    waiting: BTreeSet<TopicPartition>,
    /// Why they are not, by topic and partition, as it was told.
    refused: BTreeMap<TopicPartition, String>,
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
        let member = settings.member()?;
        let committed_only = member.get("isolation.level") != Some("read_uncommitted");
        let consumer: BaseConsumer<ReaderContext> = member
            .create_with_context(ReaderContext::nothing(committed_only, Arc::clone(cluster.brokers())))
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
            topics: settings.topics.clone(),
            reading: BTreeMap::new(),
            last: TopicPartition::default(),
            waiting: BTreeSet::new(),
            refused: BTreeMap::new(),
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
        while !self.control.is_stopped() {
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
                let taken =
                    reading.get_mut(last).map_or(Taken::Kept, |reading| reading.take(&message, headers));
                (false, After::Taken(taken))
            }
            Some(Err(Client::PartitionEOF(_))) => (false, After::Taken(Taken::Kept)),
            Some(Err(error)) => (true, After::Error(error)),
            None => (true, After::Taken(Taken::Kept)),
        };
        match after {
            After::Taken(Taken::Kept) => {}
            After::Taken(Taken::Full) => self.hand_on(&self.last.clone())?,
            After::Taken(Taken::ReadAgain) => self.read_again(self.last.clone())?,
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
        let piece = reading.builder.take(self.consumer.context().end_of(partition));
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
                self.tell_missing(&error);
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

    /// Names the topics that are not there, which the client does not.
    fn tell_missing(&self, error: &Client) {
        let found = self.cluster.topics(&self.topics).unwrap_or_default();
        let missing = self.topics.iter().filter(|name| !found.iter().any(|topic| topic.name == **name));
        let topics = missing.map(String::as_str).collect::<Vec<_>>().join(", ");
        tracing::warn!(%error, topics, "a topic or partition is not there");
    }

    fn tell_group(&self, mode: CommitMode) {
        let committed = self.control.take_committed();
        let mut list = TopicPartitionList::with_capacity(committed.len());
        for (partition, offset) in committed.iter().filter(|(p, _)| self.reading.contains_key(*p)) {
            let offset = Offset::Offset(*offset);
            if list.add_partition_offset(&partition.0, partition.1, offset).is_err() {
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
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The client waits for what it takes away to be given back, and nobody reads its changes any more.
        self.consumer.context().close();
    }
}

/// Why the reader ends.
enum Stop {
    Closed,
    Failed(KafkaError),
}

/// What is to be done after a poll.
enum After {
    Taken(Taken),
    Error(Client),
}
