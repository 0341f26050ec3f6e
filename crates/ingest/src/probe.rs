//! What the brokers said: which topics there are, and where partitions ended at which time.
//!
//! A partition is complete up to a time T when everything below the end that it had at T is committed: the end of all that
//! there was, be it readable or hidden behind a transaction. So each answer is kept until a commit reaches the ends in it.

use crate::limits::PROBES;
use gridtrail_kafka::{Cluster, End, KafkaError, Source, Topic, TopicPartition};
use gridtrail_lake::Stream;
use gridtrail_model::Timestamp;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// One answer.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The time before it was asked for.
    at: Timestamp,
    topics: Vec<Topic>,
    ends: HashMap<TopicPartition, End>,
}

/// How a topic of a batch stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The topic is the one that was read.
    Same(Stream),
    /// Another topic has its name.
    CreatedAgain {
        /// The id of the other one.
        id: String,
    },
    /// The topic is gone.
    Gone,
}

/// Asks about the topics of these partitions. Blocks.
pub(crate) fn ask(cluster: &Cluster, at: Timestamp, of: &[Arc<Source>]) -> Result<Probe, KafkaError> {
    let names: BTreeSet<&str> = of.iter().map(|source| source.topic.as_str()).collect();
    let topics = cluster.topics(&names.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    let there = |s: &&Arc<Source>| topics.iter().any(|t| t.name == s.topic && s.partition < t.partitions);
    let partitions: Vec<TopicPartition> =
        of.iter().filter(there).map(|s| (s.topic.clone(), s.partition)).collect();
    let ends = if partitions.is_empty() { HashMap::new() } else { cluster.ends(&partitions)? };
    Ok(Probe { at, topics, ends })
}

impl Probe {
    pub(crate) fn standing(&self, cluster: &str, source: &Source) -> Standing {
        match self.topics.iter().find(|topic| topic.name == source.topic) {
            None => Standing::Gone,
            Some(topic) if topic.id != source.topic_id => Standing::CreatedAgain { id: topic.id.clone() },
            Some(topic) => Standing::Same(stream(cluster, topic.clone())),
        }
    }

    /// Where a partition ended.
    pub(crate) fn end(&self, source: &Source) -> Option<End> {
        self.ends.get(&(source.topic.clone(), source.partition)).copied()
    }

    /// Where all partitions ended that were asked about.
    pub(crate) fn ends(&self) -> &HashMap<TopicPartition, End> {
        &self.ends
    }

    #[cfg(test)]
    pub(crate) fn of_ends(ends: HashMap<TopicPartition, End>) -> Self {
        Self { at: Timestamp::MIN, topics: Vec::new(), ends }
    }
}

/// A topic, as the lake knows it.
pub(crate) fn stream(cluster: &str, topic: Topic) -> Stream {
    let Topic { name, id, partitions } = topic;
    Stream { cluster: cluster.to_owned(), topic: name, id, partitions }
}

/// The answers so far, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Probes(VecDeque<Probe>);

impl Probes {
    pub(crate) fn push(&mut self, probe: Probe) {
        if self.0.len() == PROBES {
            // A long backlog: every other one is dropped, so that what is kept still spans it.
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.0.push_back(probe);
    }

    pub(crate) fn newest(&self) -> Option<&Probe> {
        self.0.back()
    }

    /// The latest time at which a partition ended where the lake is, or before. What cannot be read yet is part of it: a
    /// partition that hides records is complete up to before the first of them.
    pub(crate) fn complete_up_to(&self, source: &Source, position: i64) -> Option<Timestamp> {
        let reached = |probe: &&Probe| {
            let same = probe.topics.iter().any(|t| t.name == source.topic && t.id == source.topic_id);
            same && probe.end(source).is_some_and(|end| end.high <= position)
        };
        self.0.iter().rev().find(reached).map(|probe| probe.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    fn source() -> Source {
        Source { id: "kafka:c:one:0".into(), topic: "t".into(), topic_id: "one".into(), partition: 0 }
    }

    fn probe(ms: i64, id: &str, end: i64) -> Probe {
        hiding(ms, id, End { readable: end, high: end })
    }

    fn hiding(ms: i64, id: &str, end: End) -> Probe {
        let topic = Topic { name: "t".into(), id: id.into(), partitions: 1 };
        Probe { at: at(ms), topics: vec![topic], ends: [(("t".to_owned(), 0), end)].into() }
    }

    #[test]
    fn a_partition_that_hides_records_is_complete_up_to_before_they_came() {
        let mut probes = Probes::default();
        probes.push(probe(1, "one", 10));
        for (ms, high) in [(2, 11), (3, 25), (4, 25)] {
            probes.push(hiding(ms, "one", End { readable: 10, high }));
        }
        let complete = |probes: &Probes, at| probes.complete_up_to(&source(), at).map(Timestamp::millis);
        assert_eq!(complete(&probes, 10), Some(1));
        // The oldest transaction is decided, and another is open still.
        probes.push(hiding(5, "one", End { readable: 20, high: 30 }));
        assert_eq!(complete(&probes, 20), Some(2));
        probes.push(probe(6, "one", 31));
        assert_eq!(complete(&probes, 31), Some(6));
    }

    #[test]
    fn a_partition_is_complete_up_to_the_last_time_whose_end_is_reached() {
        let mut probes = Probes::default();
        for (ms, end) in [(1, 10), (2, 10), (3, 25), (4, 40)] {
            probes.push(probe(ms, "one", end));
        }
        let complete = |position| probes.complete_up_to(&source(), position).map(Timestamp::millis);
        assert_eq!(
            [9, 10, 24, 25, 39, 40, 99].map(complete),
            [None, Some(2), Some(2), Some(3), Some(3), Some(4), Some(4)]
        );
        // What another topic of the same name says counts for nothing.
        probes.push(probe(5, "two", 0));
        assert_eq!(probes.complete_up_to(&source(), 99).map(Timestamp::millis), Some(4));
    }

    #[test]
    fn a_long_backlog_keeps_old_answers_and_new_ones() {
        let mut probes = Probes::default();
        for n in 0..PROBES as i64 * 4 {
            probes.push(probe(n, "one", n));
        }
        assert!(probes.0.len() <= PROBES);
        assert_eq!(
            probes.complete_up_to(&source(), i64::MAX).map(Timestamp::millis),
            Some(PROBES as i64 * 4 - 1)
        );
        assert_eq!(probes.complete_up_to(&source(), 0).map(Timestamp::millis), Some(0));
    }
}
