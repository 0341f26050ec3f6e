//! Following topics no longer than until all that they held at the start is in the lake, or until it is plain that it will not
//! be: a topic is not there, no broker answers, a transaction is not decided.

use crate::error::IngestError;
use crate::limits::{ONCE_ASKS, ONCE_LOOKS, TOPIC_APPEARS};
use gridtrail_kafka::{Cluster, End, KafkaError, TopicPartition, describe_producers};
use gridtrail_lake::{Lake, Partition};
use gridtrail_model::Timestamp;
use gridtrail_runtime::with_causes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Watches over the end.
pub(crate) struct Once {
    pub(crate) lake: Lake,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) topics: Vec<String>,
    /// What the topics held at this time is to be in the lake.
    pub(crate) since: Timestamp,
    /// How long no broker may answer, or a transaction be undecided.
    pub(crate) patience: Duration,
}

/// What the brokers said of the topics.
struct Answer {
    /// A topic that is not there.
    missing: Option<String>,
    ends: HashMap<TopicPartition, End>,
}

/// Since when something stands in the way.
#[derive(Default)]
struct InTheWay {
    unanswered: Option<Instant>,
    missing: Option<Instant>,
    /// By partition: the last stable offset, all below which is in the lake.
    hidden: HashMap<TopicPartition, (i64, Instant)>,
}

impl Once {
    /// Errors: `Kafka` when one of the topics is not there, or no broker says so.
    pub(crate) async fn topics_are_there(&self) -> Result<(), IngestError> {
        let mut in_the_way = InTheWay::default();
        loop {
            let answer = self.ask(Vec::new()).await?;
            let missing = matches!(&answer, Ok(Answer { missing: Some(_), .. }) | Err(_));
            self.judge(&mut in_the_way, &answer, &[])?;
            if !missing {
                return Ok(());
            }
            tokio::time::sleep(ONCE_LOOKS).await;
        }
    }

    /// Completes when all is in the lake. Errors: `Kafka` and `Hidden`, when it will not be.
    pub(crate) async fn reached(&self) -> Result<(), IngestError> {
        let mut in_the_way = InTheWay::default();
        let mut asked = Instant::now();
        loop {
            tokio::time::sleep(ONCE_LOOKS).await;
            let left = self.left();
            if left.is_empty() {
                return Ok(());
            }
            if asked.elapsed() < ONCE_ASKS {
                continue;
            }
            asked = Instant::now();
            // Others of the group may read what this process does not. A store that fails is tried again.
            let _ = self.lake.refresh().await;
            let left = self.left();
            let of = left.iter().map(|p| (p.stream.topic.clone(), p.partition)).collect();
            let answer = self.ask(of).await?;
            self.judge(&mut in_the_way, &answer, &left)?;
        }
    }

    /// The partitions that are not complete up to the start.
    fn left(&self) -> Vec<Partition> {
        let snapshot = self.lake.snapshot();
        let ours =
            |p: &&Partition| p.stream.cluster == self.cluster.id() && self.topics.contains(&p.stream.topic);
        let partitions = snapshot.partitions().iter().filter(ours);
        partitions.filter(|p| p.complete_up_to.is_none_or(|at| at < self.since)).cloned().collect()
    }

    async fn ask(&self, of: Vec<TopicPartition>) -> Result<Result<Answer, KafkaError>, IngestError> {
        let (cluster, names) = (Arc::clone(&self.cluster), self.topics.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let found = cluster.topics(&names)?;
            let missing = names.into_iter().find(|name| found.iter().all(|topic| topic.name != *name));
            let ends = if of.is_empty() || missing.is_some() { HashMap::new() } else { cluster.ends(&of)? };
            Ok(Answer { missing, ends })
        });
        asking.await.map_err(|_| IngestError::Internal("asking Kafka panicked"))
    }

    /// Whether what stands in the way has done so for too long.
    fn judge(
        &self,
        in_the_way: &mut InTheWay,
        answer: &Result<Answer, KafkaError>,
        left: &[Partition],
    ) -> Result<(), IngestError> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.cluster.unanswered(error);
                let since = in_the_way.unanswered.get_or_insert_with(Instant::now);
                if since.elapsed() < self.patience {
                    return Ok(());
                }
                return Err(IngestError::Kafka(KafkaError::Unreachable {
                    bootstrap: self.cluster.bootstrap().to_owned(),
                    seconds: self.patience.as_secs(),
                    last: Some(with_causes(error)),
                }));
            }
        };
        in_the_way.unanswered = None;
        if let Some(topic) = &answer.missing {
            let since = in_the_way.missing.get_or_insert_with(Instant::now);
            let gone = since.elapsed() >= TOPIC_APPEARS;
            return if gone { Err(KafkaError::NoTopic(topic.clone()).into()) } else { Ok(()) };
        }
        in_the_way.missing = None;
        in_the_way.judge_partitions(answer, left, self)
    }
}

impl InTheWay {
    fn judge_partitions(
        &mut self,
        answer: &Answer,
        left: &[Partition],
        once: &Once,
    ) -> Result<(), IngestError> {
        let mut hidden = HashMap::new();
        for partition in left {
            let of = (partition.stream.topic.clone(), partition.partition);
            let (Some(end), Some(at)) = (answer.ends.get(&of), partition.position) else { continue };
            if at > end.high {
                let ((topic, partition), lake, end) = (of, at, end.high);
                return Err(KafkaError::EndsBefore { topic, partition, lake, end }.into());
            }
            if end.hides() && at >= end.readable {
                let same = self.hidden.get(&of).filter(|(last_stable, _)| *last_stable == end.readable);
                let since = same.map_or_else(Instant::now, |(_, since)| *since);
                hidden.insert(of, (end.readable, since));
            }
        }
        self.hidden = hidden;
        // While any other can be read, that goes on.
        let lasts = |(_, since): &(i64, Instant)| since.elapsed() >= once.patience;
        let all = self.hidden.len() == left.len() && self.hidden.values().all(lasts);
        let Some((of, (last_stable, _))) = self.hidden.iter().next().filter(|_| all) else { return Ok(()) };
        let high = answer.ends.get(of).map_or(*last_stable, |end| end.high);
        Err(IngestError::Hidden {
            topic: of.0.clone(),
            partition: of.1,
            last_stable: *last_stable,
            hidden: high - last_stable,
            command: describe_producers(once.cluster.bootstrap(), &of.0, of.1),
        })
    }
}
