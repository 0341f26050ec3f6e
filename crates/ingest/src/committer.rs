//! Committing batches of topics, in order, with what the brokers say of the topics at that time.

use crate::error::IngestError;
use crate::limits::BACK_OFF;
use crate::open::OpenTransactions;
use crate::probe::{self, Probe, Probes, Standing};
use crate::topics::{Followed, Load, Observer};
use gridtrail_kafka::{Cluster, Control, Source};
use gridtrail_lake::{Lake, SourceEvidence, Stream, Writer};
use gridtrail_runtime::with_causes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Commits batches in order.
pub(crate) struct Committer {
    lake: Lake,
    /// `None` after a failure, until there is a new one.
    writer: Option<Writer>,
    cluster: Arc<Cluster>,
    control: Arc<Control>,
    probes: Probes,
    open: OpenTransactions,
    observer: Arc<dyn Observer>,
    pause: Duration,
    followed: Followed,
}

impl Committer {
    pub(crate) fn new(
        lake: Lake,
        writer: Writer,
        cluster: Arc<Cluster>,
        control: Arc<Control>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (probes, open, followed) = Default::default();
        let (writer, pause) = (Some(writer), BACK_OFF.0);
        Self { lake, writer, cluster, control, probes, open, observer, pause, followed }
    }

    /// Ends when the folder does.
    pub(crate) async fn run(mut self, mut loads: mpsc::Receiver<Load>) -> Result<Followed, IngestError> {
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
                // A log that is damaged, or has an entry of another engine: trying again is no cure.
                Err(error) if error.is_damage() => {
                    self.control.stop();
                    return Err(error);
                }
                Err(error) => {
                    let pause = self.pause;
                    tracing::warn!(
                        error = with_causes(&error),
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
            self.look_at_open(&probe).await?;
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => none.insert(self.lake.writer().await?),
            };
            let streams = streams(&self.cluster, &probe, &sources);
            self.probes.push(probe);
            let mut again = false;
            for evidence in filling.sources_mut() {
                let Some(source) = sources.iter().find(|s| s.id == evidence.source) else { continue };
                let said = Said { cluster: &self.cluster, probes: &self.probes, open: &self.open };
                again |= said.describe(evidence, source, appended_ms.get(&source.id));
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
            // Where the drain timed out, its receiver is gone.
            let _ = answer.try_send(());
        }
        Ok(())
    }

    /// Looks at the transactions that hold reading back, and at the time of what they hold back first.
    async fn look_at_open(&mut self, probe: &Probe) -> Result<(), IngestError> {
        let wanted = self.open.take(probe, self.cluster.bootstrap());
        if wanted.is_empty() {
            return Ok(());
        }
        let cluster = Arc::clone(&self.cluster);
        let asking = tokio::task::spawn_blocking(move || cluster.times_of(&wanted));
        match asking.await.map_err(|_| IngestError::Internal("asking Kafka panicked"))? {
            Ok(times) => self.open.learn(&times),
            // Without them the transactions are told of all the same.
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "the times of records were not learned")
            }
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
                    tracing::warn!(
                        error = with_causes(&error),
                        "what was read last is left for the next start"
                    );
                    return Ok(None);
                }
                Err(error) => {
                    self.cluster.unanswered(&error);
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

/// What the brokers say of the partitions.
struct Said<'a> {
    cluster: &'a Cluster,
    probes: &'a Probes,
    open: &'a OpenTransactions,
}

impl Said<'_> {
    /// Adds it to the evidence of a partition. Whether the partitions are to be placed anew.
    fn describe(&self, evidence: &mut SourceEvidence, source: &Source, appended_ms: Option<&i64>) -> bool {
        let Some(newest) = self.probes.newest() else { return false };
        match newest.standing(self.cluster.id(), source) {
            Standing::Same(_) => {
                evidence.end = newest.end(source).map(|end| end.high);
                evidence.open_transaction = self.open.of(source);
                let complete = self.probes.complete_up_to(source, evidence.to).map(|at| at.millis());
                // With a backlog no end is reached; what the broker appended in order before the last record is all here, and
                // so is what it appended before the one that is next.
                let next =
                    evidence.open_transaction.filter(|open| open.appended && open.last_stable <= evidence.to);
                let next_ms = next.and_then(|open| open.record_ms);
                evidence.complete_up_to_ms = complete.or(next_ms).or(appended_ms.copied());
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
