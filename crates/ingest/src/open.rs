//! Transactions that hold reading back, as far as the last answers of the brokers tell.
//!
//! Where producers write in transactions, one is open at almost any moment, and decided in the next. So a transaction is told
//! of when it still is the oldest of its partition at the next look, and logged when it has lasted.

use crate::limits::{TIME_AGAIN, TRANSACTION_LASTS};
use crate::probe::Probe;
use gridtrail_kafka::{RecordTime, Source, TopicPartition, describe_producers};
use gridtrail_lake::OpenTransaction;
use std::collections::HashMap;
use std::time::Instant;

/// The oldest open transaction of each partition that hides records.
#[derive(Debug, Default)]
pub(crate) struct OpenTransactions(HashMap<TopicPartition, OldestOpen>);

#[derive(Debug)]
struct OldestOpen {
    last_stable: i64,
    since: Instant,
    /// Whether it was seen more than once.
    again: bool,
    /// Whether it was logged.
    logged: bool,
    /// When its first record was last looked for.
    asked: Option<Instant>,
    time: Option<RecordTime>,
}

impl OpenTransactions {
    /// Takes in an answer of the brokers. Gives the records whose times are wanted.
    pub(crate) fn take(&mut self, probe: &Probe, bootstrap: &str) -> Vec<(TopicPartition, i64)> {
        let mut wanted = Vec::new();
        for (partition, end) in probe.ends() {
            let seen =
                self.0.get_mut(partition).filter(|seen| end.hides() && seen.last_stable == end.readable);
            if let Some(seen) = seen {
                seen.again = true;
                seen.log_if_it_lasts(partition, end.high, bootstrap);
                let due = seen.asked.is_none_or(|asked| asked.elapsed() >= TIME_AGAIN);
                if seen.time.is_none() && due {
                    seen.asked = Some(Instant::now());
                    wanted.push((partition.clone(), end.readable));
                }
                continue;
            }
            if let Some(before) = self.0.remove(partition).filter(|before| before.logged) {
                let ((topic, partition), last_stable) = (partition, before.last_stable);
                tracing::info!(
                    topic,
                    partition,
                    last_stable,
                    "the transaction that held reading back is decided"
                );
            }
            if end.hides() {
                self.0.insert(partition.clone(), OldestOpen::now(end.readable));
            }
        }
        wanted
    }

    /// The times of the first records of partitions' transactions, where they could be learned.
    pub(crate) fn learn(&mut self, times: &HashMap<TopicPartition, RecordTime>) {
        for (partition, time) in times {
            if let Some(seen) = self.0.get_mut(partition) {
                seen.time = Some(*time);
            }
        }
    }

    /// What holds a partition back.
    pub(crate) fn of(&self, source: &Source) -> Option<OpenTransaction> {
        let seen = self.0.get(&(source.topic.clone(), source.partition)).filter(|seen| seen.again)?;
        Some(OpenTransaction {
            last_stable: seen.last_stable,
            record_ms: seen.time.map(|time| time.ms),
            appended: seen.time.is_some_and(|time| time.appended),
        })
    }
}

impl OldestOpen {
    fn now(last_stable: i64) -> Self {
        Self { last_stable, since: Instant::now(), again: false, logged: false, asked: None, time: None }
    }

    fn log_if_it_lasts(&mut self, of: &TopicPartition, high: i64, bootstrap: &str) {
        if self.logged || self.since.elapsed() < TRANSACTION_LASTS {
            return;
        }
        self.logged = true;
        let (topic, partition) = of;
        tracing::warn!(
            topic,
            partition,
            last_stable = self.last_stable,
            hidden = high - self.last_stable,
            producer = describe_producers(bootstrap, topic, *partition),
            "a transaction is not decided, and nothing behind it can be read"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_kafka::End;

    fn probe(readable: i64, high: i64) -> Probe {
        Probe::of_ends([(("t".to_owned(), 0), End { readable, high })].into())
    }

    fn source() -> Source {
        Source { id: "kafka:c:one:0".into(), topic: "t".into(), topic_id: "one".into(), partition: 0 }
    }

    /// Of a topic whose transactions are short, each look sees another one.
    #[test]
    fn a_transaction_is_told_of_at_the_second_look() {
        let mut open = OpenTransactions::default();
        assert_eq!((open.take(&probe(5, 9), ""), open.of(&source())), (vec![], None));
        assert_eq!((open.take(&probe(7, 12), ""), open.of(&source())), (vec![], None));
        let wanted = open.take(&probe(7, 20), "");
        assert_eq!(wanted, [(("t".to_owned(), 0), 7)]);
        let untimed = OpenTransaction { last_stable: 7, record_ms: None, appended: false };
        assert_eq!(open.of(&source()), Some(untimed));
        open.learn(&[(wanted[0].0.clone(), RecordTime { ms: 3, appended: true })].into());
        assert_eq!(open.take(&probe(7, 21), ""), []);
        let timed = OpenTransaction { last_stable: 7, record_ms: Some(3), appended: true };
        assert_eq!(open.of(&source()), Some(timed));
        assert_eq!((open.take(&probe(22, 22), ""), open.of(&source())), (vec![], None));
    }

    #[test]
    fn a_record_that_did_not_come_is_not_asked_for_at_every_look() {
        let mut open = OpenTransactions::default();
        open.take(&probe(7, 20), "");
        assert_eq!(open.take(&probe(7, 20), "").len(), 1);
        open.learn(&HashMap::new());
        assert_eq!(open.take(&probe(7, 20), ""), []);
    }
}
