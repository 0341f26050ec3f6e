//! Repair: the rows of damaged runs, read again from the sources that the evidence names.
//!
//! The lake says which ranges of which sources may have gone into a run. Each is looked for: files by their content, under the
//! paths that were given and where they were read; topics by cluster and id; dead letters that were replayed in the lake. What is there
//! is read, decoded and folded as it was then, commit by commit, and what is not is told.

use crate::batch::{Filling, RecordContent, join};
use crate::chunk::{Chunks, Decoded, Sizes, decode_chunk};
use crate::error::IngestError;
use crate::kinds::{ANOMALY_EVENTS, INVENTORY_EVENTS, RecordKind};
use crate::letters::{Mended, told_by};
use crate::limits::CONNECT;
use crate::plan::{Source, sources_under};
use crate::record::event_bytes;
use crate::said;
use gridtrail_kafka::{Bounds, Cluster, KafkaSettings, RangeHash, TopicPartition, reread_messages};
use gridtrail_lake::{
    Batch, CommitRead, CommitTimes, DamagedRun, DeadLetter, Lake, Reread, SourceEvidence, has_waited,
};
use gridtrail_model::{Event, Fragment, Timestamp};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where sources are looked for, and what is done.
#[derive(Debug, Clone, Default)]
pub struct RepairSettings {
    /// Files and folders, beside the paths at which files were read.
    pub paths: Vec<PathBuf>,
    /// The brokers of topics.
    pub kafka: Option<KafkaSettings>,
    /// The receipt time that plain DUIS files without one were given.
    pub recorded_at: Option<Timestamp>,
    /// Whether nothing is replaced, and only said what could be.
    pub dry: bool,
    /// Whether a run is replaced though not all that may have gone into it can be read again.
    pub accept_loss: bool,
}

/// A range of a source that cannot be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The source.
    pub source: String,
    /// Its name.
    pub name: String,
    /// Where the range begins.
    pub from: i64,
    /// Where the next one begins.
    pub to: i64,
    /// Records that it had.
    pub records: u64,
    /// Why not.
    pub why: String,
}

/// What became of a damaged run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
    /// Rows that it had.
    pub rows_before: u64,
    /// Ranges of sources that were read again.
    pub ranges: u64,
    /// Those that cannot be.
    pub lost: Vec<Lost>,
    /// Rows of the run that took its place; `None`: none did.
    pub rows: Option<u64>,
}

/// Replaces every damaged run whose rows can be had again. A run of which something is lost stays where it is, unless the settings
/// accept that.
///
/// Memory: the rows of a run, and the answers among what is read again that have no place. Errors: `Lake`; what was replaced before stays.
pub async fn repair(lake: &Lake, settings: &RepairSettings) -> Result<Vec<Repaired>, IngestError> {
    let damaged = lake.damaged_runs().await?;
    let mut readers = Readers { lake, settings, files: None, topics: None, letters: None };
    let mut all = Vec::new();
    for run in &damaged {
        let (reread, ranges, lost) = readers.reread(run, &damaged).await?;
        let mut repaired = Repaired {
            path: run.path.clone(),
            why: run.why.clone(),
            rows_before: run.rows,
            ranges,
            lost,
            rows: None,
        };
        if repaired.is_to_be_replaced(settings) {
            repaired.rows = Some(lake.replace_run(run, reread, told(&repaired)).await?.rows);
        }
        all.push(repaired);
    }
    for run in &lake.damaged_inventory().await? {
        let tells = |kind: &RecordKind| kind.is_folded() || kind == &INVENTORY_EVENTS;
        let read = readers.reread_beside(run.commit_times(), tells, |told| run.rows_in(told)).await?;
        let (rows, ranges, lost) = read;
        let (path, why) = (run.path.clone(), run.why.clone());
        let mut repaired = Repaired { path, why, rows_before: run.rows, ranges, lost, rows: None };
        if repaired.is_to_be_replaced(settings) {
            repaired.rows = Some(lake.replace_inventory(run, rows, told(&repaired)).await?.rows);
        }
        all.push(repaired);
    }
    for file in &lake.damaged_anomaly().await? {
        let tells = |kind: &RecordKind| kind.is_folded() || kind == &ANOMALY_EVENTS;
        let read = readers.reread_beside(file.commit_times(), tells, Batch::anomaly_rows).await?;
        let (rows, ranges, lost) = read;
        let (path, why) = (file.path.clone(), file.why.clone());
        let mut repaired = Repaired { path, why, rows_before: file.rows, ranges, lost, rows: None };
        if repaired.is_to_be_replaced(settings) {
            repaired.rows = Some(lake.replace_anomaly(file, rows, told(&repaired)).await?.rows);
        }
        all.push(repaired);
    }
    for file in &lake.damaged_schedules().await? {
        let read =
            readers.reread_beside(file.commit_times(), RecordKind::is_folded, Batch::schedule_rows).await?;
        let (rows, ranges, lost) = read;
        let (path, why) = (file.path.clone(), file.why.clone());
        let mut repaired = Repaired { path, why, rows_before: file.rows, ranges, lost, rows: None };
        if repaired.is_to_be_replaced(settings) {
            repaired.rows = Some(lake.replace_schedules(file, rows, told(&repaired)).await?.rows);
        }
        all.push(repaired);
    }
    Ok(all)
}

impl Repaired {
    /// Whether what was read again may take the place of the run.
    fn is_to_be_replaced(&self, settings: &RepairSettings) -> bool {
        !settings.dry && (self.lost.is_empty() || settings.accept_loss)
    }
}

/// What the evidence says of a repair.
fn told(repaired: &Repaired) -> String {
    let Repaired { path, why, rows_before, ranges, lost, .. } = repaired;
    let mut text = format!(
        "{path} was damaged ({why}); its {rows_before} rows were taken anew from {ranges} ranges of their sources"
    );
    for Lost { source, from, to, records, .. } in lost.iter().take(20) {
        text.push_str(&format!("; {records} records of {source}, {from} to {to}, could not be read again"));
    }
    text
}

/// Reads sources again.
struct Readers<'a> {
    lake: &'a Lake,
    settings: &'a RepairSettings,
    /// Files that were looked at, by their source.
    files: Option<HashMap<String, Arc<Source>>>,
    topics: Option<Topics>,
    letters: Option<Arc<Vec<DeadLetter>>>,
}

impl Readers<'_> {
    /// All that may have gone into a run.
    async fn reread(
        &mut self,
        run: &DamagedRun,
        damaged: &[DamagedRun],
    ) -> Result<(Reread, u64, Vec<Lost>), IngestError> {
        let (mut reread, mut waiting) = (Reread::default(), Vec::new());
        let (mut ranges, mut lost) = (0, Vec::new());
        for commit in self.lake.commits_into(run.commit_times()).await? {
            lost.extend(lost_evidence(&commit));
            let sources = commit.sources;
            let mut filling = Filling::default();
            for evidence in sources.iter().filter(|evidence| is_folded(evidence)) {
                ranges += 1;
                let events = self.read_again(evidence, &mut lost).await?.events;
                // One that cannot be folded was a dead letter then.
                for event in events {
                    let _ = filling.again(event);
                }
            }
            let unplaced = filling.take_unplaced();
            let on_record = self.lake.on_record_beside(&unplaced, damaged).await?;
            for fragment in unplaced {
                match join(filling.fold(), &fragment, &on_record) {
                    Some(parts) => keep(run, parts, true, &mut reread)?,
                    None => waiting.push(fragment),
                }
            }
            keep(run, filling.into_fragments(), false, &mut reread)?;
        }
        self.settle(run, damaged, waiting, &mut reread).await?;
        Ok((reread, ranges, lost))
    }

    /// All rows beside the trails that commits of some times told, from sources of the kinds that tell any; those that `rows_in` takes of a batch.
    async fn reread_beside<R: Ord>(
        &mut self,
        times: CommitTimes,
        tells: impl Fn(&RecordKind) -> bool,
        rows_in: impl Fn(&Batch) -> Vec<R>,
    ) -> Result<(Vec<R>, u64, Vec<Lost>), IngestError> {
        let (mut rows, mut ranges, mut lost) = (Vec::new(), 0, Vec::new());
        for commit in self.lake.commits_into(times).await? {
            lost.extend(lost_evidence(&commit));
            for evidence in commit.sources.iter().filter(|evidence| tells(kind_of(evidence))) {
                ranges += 1;
                rows.extend(rows_in(&self.read_again(evidence, &mut lost).await?.told));
            }
            // Much of it is there more than once.
            rows.sort();
            rows.dedup();
        }
        Ok((rows, ranges, lost))
    }

    /// Finds a place for what found none in its commit: among the rows that were read again, or by having waited.
    async fn settle(
        &self,
        run: &DamagedRun,
        damaged: &[DamagedRun],
        waiting: Vec<Fragment>,
        reread: &mut Reread,
    ) -> Result<(), IngestError> {
        let mut rows = Filling::default();
        reread.placed.iter().for_each(|fragment| rows.merge(fragment.clone()));
        let on_record = self.lake.on_record_beside(&waiting, damaged).await?;
        let now = self.lake.clock().now();
        for fragment in waiting {
            match join(rows.fold(), &fragment, &on_record) {
                Some(parts) => keep(run, parts, true, reread)?,
                None if has_waited(&fragment, now) => keep(run, vec![fragment], true, reread)?,
                None => reread.unplaced.push(fragment),
            }
        }
        Ok(())
    }

    /// What a range holds, as far as it can be read again.
    async fn read_again(
        &mut self,
        evidence: &SourceEvidence,
        lost: &mut Vec<Lost>,
    ) -> Result<ReadAgain, IngestError> {
        let mut read = if let Some(source) = evidence.letters_of() {
            self.letters_of(evidence, source).await?
        } else if evidence.source.starts_with("kafka:") {
            self.topic_of(evidence).await?
        } else if evidence.source.starts_with("file:") {
            self.file_of(evidence).await?
        } else {
            ReadAgain::nothing("it was made within gridtrail, and is stored nowhere".to_owned())
        };
        if let Some(why) = read.lost.take() {
            let SourceEvidence { source, name, from, to, records, .. } = evidence.clone();
            lost.push(Lost { source, name, from, to, records, why });
        }
        Ok(read)
    }

    /// What a range of a file holds.
    async fn file_of(&mut self, evidence: &SourceEvidence) -> Result<ReadAgain, IngestError> {
        if self.files.is_none() {
            self.files = Some(identified(self.settings.paths.clone(), self.settings.recorded_at).await?);
        }
        let known = self.files.get_or_insert_default();
        let mut found = known.get(&evidence.source).cloned();
        if found.is_none() && Path::new(&evidence.name).exists() {
            // Where it was read.
            let more = identified(vec![PathBuf::from(&evidence.name)], self.settings.recorded_at).await?;
            found = more.get(&evidence.source).cloned();
            known.extend(more);
        }
        let Some(source) = found else {
            return Ok(ReadAgain::nothing("no file of this content was found".to_owned()));
        };
        let evidence = evidence.clone();
        blocking(move || read_file(&source, &evidence)).await
    }

    async fn topic_of(&mut self, evidence: &SourceEvidence) -> Result<ReadAgain, IngestError> {
        let Some(settings) = self.settings.kafka.clone() else {
            return Ok(ReadAgain::nothing("it is a topic: name its brokers with --kafka".to_owned()));
        };
        if self.topics.is_none() {
            let asking = settings.clone();
            self.topics = Some(blocking(move || Topics::connect(&asking)).await?);
        }
        let Some(topics) = self.topics.clone() else { return Ok(ReadAgain::default()) };
        let evidence = evidence.clone();
        blocking(move || topics.read(&settings, &evidence)).await
    }

    async fn letters_of(
        &mut self,
        evidence: &SourceEvidence,
        source: &str,
    ) -> Result<ReadAgain, IngestError> {
        if evidence.event.is_some() {
            return Ok(ReadAgain::nothing(
                "dead letters were replayed with other bytes than are stored".to_owned(),
            ));
        }
        let letters = match &self.letters {
            Some(letters) => Arc::clone(letters),
            None => Arc::new(self.lake.dead_letters().await?.rest().await?),
        };
        self.letters = Some(Arc::clone(&letters));
        let mended = Mended { recorded_at: self.settings.recorded_at, ..Mended::default() };
        let mut read = ReadAgain::default();
        for position in evidence.replayed_at.iter() {
            let letter = letters.iter().find(|letter| letter.source == source && letter.position == position);
            let told = letter.map(|letter| told_by(letter, &letter.raw, &mended));
            match told {
                Some(Ok(RecordContent::Event(event, said))) => {
                    read.events.push(*event);
                    said::put_into(&mut read.told, [*said]);
                }
                Some(Ok(RecordContent::Plain(record))) => record.put_into(&mut read.told),
                Some(Err(why)) => read.lost = Some(format!("a dead letter cannot be read again: {why}")),
                None => read.lost = Some("a dead letter that was replayed is not there any more".to_owned()),
            }
        }
        Ok(read)
    }
}

/// Keeps what may be of a run. Of one of what waits, that is what was joined to a row since.
fn keep(
    run: &DamagedRun,
    fragments: Vec<Fragment>,
    joined: bool,
    reread: &mut Reread,
) -> Result<(), IngestError> {
    if run.is_parked() {
        // What had a place when it was read never waited.
        if joined {
            reread.placed.extend(fragments);
        }
        return Ok(());
    }
    let here = run.may_be_of(&fragments)?;
    reread
        .placed
        .extend(fragments.into_iter().zip(here).filter_map(|(fragment, here)| here.then_some(fragment)));
    Ok(())
}

/// That a commit read what nobody knows any more.
fn lost_evidence(commit: &CommitRead) -> Option<Lost> {
    let why = "its evidence was changed: what it read is not known".to_owned();
    let name = format!("version {}", commit.version);
    (commit.broken > 0).then(|| Lost { source: String::new(), name, from: 0, to: 0, records: 0, why })
}

/// What the records were that some evidence tells of.
fn kind_of(evidence: &SourceEvidence) -> &'static RecordKind {
    RecordKind::of_source(&evidence.source, &evidence.name)
}

/// Whether trails were made of what some evidence tells of. Other kinds have tables of their own.
fn is_folded(evidence: &SourceEvidence) -> bool {
    kind_of(evidence).is_folded()
}

/// What was read of a range.
#[derive(Debug, Default)]
struct ReadAgain {
    events: Vec<Event>,
    /// What it tells beside, by table.
    told: Batch,
    /// Why not all of it was.
    lost: Option<String>,
}

impl ReadAgain {
    fn nothing(why: String) -> Self {
        Self { lost: Some(why), ..Self::default() }
    }

    /// Takes in what was decoded of a range. What was a dead letter then says nothing until it is replayed.
    fn take(&mut self, decoded: Decoded, evidence: &SourceEvidence) {
        let put_aside = |position: &i64| evidence.dead_lettered_at.contains(*position);
        let said = decoded.said.into_iter().filter(|(position, _)| !put_aside(position));
        said::put_into(&mut self.told, said.map(|(_, said)| said));
        decoded.plain.into_iter().for_each(|record| record.put_into(&mut self.told));
        self.events.extend(decoded.events.into_iter().map(|(_, event)| event));
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| IngestError::Internal("reading a source again panicked"))?
}

fn bytes_of(position: i64) -> u64 {
    u64::try_from(position).unwrap_or(0)
}

/// The event files under some paths, by their source.
async fn identified(
    paths: Vec<PathBuf>,
    recorded_at: Option<Timestamp>,
) -> Result<HashMap<String, Arc<Source>>, IngestError> {
    blocking(move || {
        let mut found = HashMap::new();
        for path in paths {
            for source in sources_under(&path, recorded_at)? {
                found.insert(source.id.clone(), Arc::new(source));
            }
        }
        Ok(found)
    })
    .await
}

fn read_file(source: &Source, evidence: &SourceEvidence) -> Result<ReadAgain, IngestError> {
    let (from, to) = (bytes_of(evidence.from), bytes_of(evidence.to));
    let failed = |error| IngestError::File { path: source.path.clone(), source: error };
    let part = Source { from, size: source.size.min(to), ..source.clone() };
    let mut chunks = Chunks::open(&part, Sizes::default()).map_err(failed)?;
    let mut read = ReadAgain::default();
    while let Some(chunk) = chunks.next().map_err(failed)? {
        let decoded = decode_chunk(&chunk, (part.kind, &part.form));
        read.take(decoded, evidence);
    }
    Ok(read)
}

/// The topics of a cluster.
#[derive(Clone)]
struct Topics {
    cluster: Arc<Cluster>,
}

impl Topics {
    fn connect(settings: &KafkaSettings) -> Result<Self, IngestError> {
        Ok(Self { cluster: Arc::new(Cluster::connect(settings, CONNECT)?) })
    }

    /// The partition that a source is, where it still is; otherwise why not.
    fn partition(&self, evidence: &SourceEvidence) -> Result<Result<TopicPartition, String>, IngestError> {
        let Some((name, number)) = evidence.name.rsplit_once('/') else {
            return Ok(Err("its evidence names no topic".to_owned()));
        };
        let mut parts = evidence.source.split(':').skip(1);
        let (cluster, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if cluster != self.cluster.id() {
            return Ok(Err(format!(
                "it is of cluster {cluster}, and the brokers are of {}",
                self.cluster.id()
            )));
        }
        let topics = self.cluster.topics(&[name.to_owned()])?;
        if !topics.iter().any(|topic| topic.name == name && topic.id == id) {
            return Ok(Err("the topic is not there, or was deleted and created again".to_owned()));
        }
        Ok(number
            .parse()
            .map(|number| (name.to_owned(), number))
            .map_err(|_| "its evidence names no partition".to_owned()))
    }

    fn read(&self, settings: &KafkaSettings, evidence: &SourceEvidence) -> Result<ReadAgain, IngestError> {
        let partition = match self.partition(evidence)? {
            Ok(partition) => partition,
            Err(why) => return Ok(ReadAgain::nothing(why)),
        };
        let bounds = self.cluster.bounds(std::slice::from_ref(&partition))?;
        let low = bounds.get(&partition).map_or(evidence.to, |Bounds { low, .. }| *low);
        let from = evidence.from.max(low);
        let (mut decoded, mut hash) = (Decoded::default(), RangeHash::default());
        let kind = RecordKind::of_topic(&partition.0);
        reread_messages(settings, &partition, from, evidence.to, |offset, value, headers| {
            hash.record(offset, value);
            let Some(value) = value else { return };
            if let Ok((encoding, bytes)) = event_bytes(headers().into_iter(), value) {
                decoded.record(offset, (kind, encoding), bytes, value);
            }
        })?;
        let lost = if from > evidence.from {
            Some(format!("the topic's retention deleted what lay below offset {low}"))
        } else {
            (hash.finish() != evidence.sha256).then(|| "the topic holds other records there now".to_owned())
        };
        let mut read = ReadAgain { lost, ..ReadAgain::default() };
        read.take(decoded, evidence);
        Ok(read)
    }
}
