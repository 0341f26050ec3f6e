//! What the client tells between polls, kept until the reader looks.

use crate::brokers::{Brokers, client_context};
use crate::cluster::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the group changed.
#[derive(Debug)]
pub(crate) enum AssignmentChange {
    Given(Vec<TopicPartition>),
    Taken(Vec<TopicPartition>),
}

/// What the client has told.
pub(crate) struct ReaderContext {
    changes: Mutex<VecDeque<AssignmentChange>>,
    /// Where partitions ended when the broker last told, as far as they can be read.
    ends: Mutex<HashMap<TopicPartition, i64>>,
    /// Whether only what transactions have decided is read.
    committed_only: bool,
    brokers: Arc<Brokers>,
    closing: AtomicBool,
}

impl ReaderContext {
    pub(crate) fn nothing(committed_only: bool, brokers: Arc<Brokers>) -> Self {
        let (changes, ends, closing) = Default::default();
        Self { changes, ends, committed_only, brokers, closing }
    }

    /// What the group changed next.
    pub(crate) fn next_change(&self) -> Option<AssignmentChange> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Where a partition ended when the broker last told, which is every second.
    pub(crate) fn end_of(&self, partition: &TopicPartition) -> Option<i64> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied()
    }

    fn note_ends(&self, statistics: Statistics) {
        let mut told = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, partitions) in statistics.topics {
            for (number, partition) in partitions.partitions {
                let end = if self.committed_only { partition.ls_offset } else { partition.hi_offset };
                told.insert((topic.clone(), number), end);
            }
        }
    }

    /// Nobody reads the changes any more: partitions that are taken away are given back at once.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

client_context!(ReaderContext, note_ends);

impl ConsumerContext for ReaderContext {
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
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => AssignmentChange::Given(named),
            _ => AssignmentChange::Taken(named),
        };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}
