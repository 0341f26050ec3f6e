//! Which partitions the reader reads, and from where: what the group gives and takes changes here and nowhere else.
//! Every assignment names its offsets, which come from the lake.

use crate::cluster::TopicPartition;
use crate::error::KafkaError;
use crate::piece::{Builder, Source};
use crate::reader::context::AssignmentChange;
use crate::reader::reading::{Reading, start};
use crate::reader::{Reader, Stop};
use gridtrail_runtime::with_causes;
use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long partitions that could not be placed wait for the next try.
const PLACE_AGAIN: Duration = Duration::from_secs(2);
/// How long the client may take to forget a partition that it read before. It takes no time to speak of.
const FORGET: Duration = Duration::from_secs(10);

impl Reader {
    /// Takes in what the group changed.
    pub(super) fn take_changes(&mut self) -> Result<(), Stop> {
        while let Some(change) = self.consumer.context().next_change() {
            match change {
                AssignmentChange::Given(partitions) => {
                    tracing::info!(?partitions, "partitions given");
                    self.waiting.extend(partitions);
                    self.place_at = Instant::now();
                    // The group waits for an answer, even where nothing can be read yet.
                    self.assign(&TopicPartitionList::new())?;
                }
                AssignmentChange::Taken(partitions) => {
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

    /// Drops what was read and not committed, and reads again from where the lake is.
    pub(super) fn restart(&mut self) -> Result<(), Stop> {
        self.epoch = self.control.failed() + 1;
        let partitions: Vec<_> = std::mem::take(&mut self.reading).into_keys().collect();
        self.unassign(&partitions)?;
        self.waiting.extend(partitions);
        self.place_at = Instant::now();
        Ok(())
    }

    /// Starts reading what waits for it, as far as it can be learned where to start.
    pub(super) fn place(&mut self) -> Result<(), Stop> {
        self.place_at = Instant::now() + PLACE_AGAIN;
        let starts = match self.starts() {
            Ok(starts) => starts,
            Err(error @ KafkaError::Broker { .. }) => {
                self.cluster.unanswered(&error);
                return Ok(());
            }
            Err(error) => {
                for partition in self.waiting.clone() {
                    self.refuse(partition, &error);
                }
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
            self.refused.remove(&partition);
            self.reading.insert(partition, Reading::new(builder));
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
        let mut starts = Vec::with_capacity(found.len());
        for ((partition, source), position) in found.into_iter().zip(positions) {
            let Some(bounds) = bounds.get(&partition) else { continue };
            match start(source, self.epoch, position, *bounds) {
                Ok(builder) => starts.push((partition, builder)),
                Err(error) => self.refuse(partition, &error),
            }
        }
        Ok(starts)
    }

    /// A partition cannot be read. Logged once, however often it is tried again.
    fn refuse(&mut self, partition: TopicPartition, error: &KafkaError) {
        let why = with_causes(error);
        if self.refused.get(&partition) != Some(&why) {
            tracing::error!(
                topic = partition.0,
                partition = partition.1,
                why,
                "a partition cannot be read yet"
            );
            self.refused.insert(partition, why);
        }
    }

    /// The first record was not the one asked for. The client may have ignored the offset: it is asked once more, and
    /// then the broker is believed.
    pub(super) fn read_again(&mut self, partition: TopicPartition) -> Result<(), Stop> {
        let Some(reading) = self.reading.get(&partition) else { return Ok(()) };
        let mut again = TopicPartitionList::with_capacity(1);
        add(&mut again, &partition, reading.builder.next())?;
        self.unassign(std::slice::from_ref(&partition))?;
        self.assign(&again)
    }

    /// Reads again from where the lake is, a little later.
    pub(super) fn start_over(&mut self) -> Result<(), Stop> {
        self.control.restart(self.epoch);
        self.restart()?;
        self.place_at = Instant::now() + PLACE_AGAIN;
        Ok(())
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

    /// The client's position in each partition that it reads, where it has one.
    pub(super) fn positions(&self) -> Result<Vec<(TopicPartition, i64)>, Stop> {
        let failed = |e| Stop::Failed(KafkaError::broker("ask the client for its positions")(e));
        let list = self.consumer.position().map_err(failed)?;
        let position = |element: &TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some(((element.topic().to_owned(), element.partition()), offset)),
            _ => None,
        };
        Ok(list.elements().iter().filter_map(position).collect())
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
    pub(super) fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), Stop> {
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

fn add(list: &mut TopicPartitionList, partition: &TopicPartition, offset: i64) -> Result<(), Stop> {
    list.add_partition_offset(&partition.0, partition.1, Offset::Offset(offset))
        .map_err(|e| Stop::Failed(KafkaError::broker("name an offset")(e)))
}
