//! One batch under construction: folded events, and what was read of each source.

use crate::chunk::{Decoded, Unread};
use crate::error::IngestError;
use crate::kinds::{PlainRecord, RecordKind};
use crate::letter_content::LetterContent;
use crate::limits::BATCH_LETTER_BYTES;
use crate::said::{self, Said};
use bytes::Bytes;
use gridtrail_lake::{Batch, CommitKind, DeadLetter, OnRecord, Skip, SourceEvidence, Stream, Writer};
use gridtrail_model::{
    CommandVariant, Event, Fold, Folded, Fragment, Leg, Rejection, Resolved, Subject, Timestamp, TrailKey,
};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// What became of the records of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Records that went into trails, or into the table of their kind.
    pub stored: u64,
    /// Records that wait for their request.
    pub parked: u64,
    /// Records that could not be read.
    pub dead_lettered: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, more: Self) {
        self.stored += more.stored;
        self.parked += more.parked;
        self.dead_lettered += more.dead_lettered;
    }
}

/// What was read of a source at once, beside its events.
pub(crate) struct Portion<'a> {
    pub(crate) source: &'a str,
    pub(crate) name: &'a str,
    /// Whether the lake knew nothing of the source before.
    pub(crate) first: bool,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// What goes into the hash of the evidence.
    pub(crate) hashed: &'a [u8],
    pub(crate) skipped: Vec<Skip>,
    /// Whether the source ends with it.
    pub(crate) finished: bool,
    /// The time by which a `recorded_at` is in the future.
    pub(crate) now: Timestamp,
}

/// What a topic keeps of a record beside its value.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) key: Option<Bytes>,
    pub(crate) headers: Vec<(String, Bytes)>,
}

/// What dead letters hold of the records of a portion.
pub(crate) trait Records {
    /// The record at a position, of which an event was made that is no row.
    fn letter_content(&self, position: i64) -> LetterContent;

    /// What stands beside its value.
    fn beside(&self, _position: i64) -> Beside {
        Beside::default()
    }
}

/// Records that are made within this process: nothing is kept of them.
pub(crate) struct MadeRecords;

impl Records for MadeRecords {
    fn letter_content(&self, _position: i64) -> LetterContent {
        LetterContent::default()
    }
}

/// Where a dead letter stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetterPlace<'a> {
    pub(crate) source: &'a str,
    pub(crate) name: &'a str,
    pub(crate) position: i64,
}

/// What a record told.
#[derive(Debug)]
pub(crate) enum RecordContent {
    /// Of a Service Request, response or alert; with what its message says beside it.
    Event(Box<Event>, Box<Said>),
    /// A row of the table of its kind.
    Plain(Box<dyn PlainRecord>),
}

/// A batch being filled, by one source after the other.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    kind: CommitKind,
    fold: Fold,
    plain: Vec<Box<dyn PlainRecord>>,
    /// What messages say beside their events, which alone are counted.
    said: Vec<Said>,
    letters: Vec<DeadLetter>,
    letter_bytes: usize,
    sources: Vec<SourceEvidence>,
    hashes: Vec<Sha256>,
    /// Sum of `recorded_at` over the records of each source that could be read.
    recorded: Vec<i128>,
    /// Of each event that does not say when its request was received: the number of its source, its position and its
    /// row. Should the row stay without a place, the record is a parked one.
    unplaced: Vec<(usize, i64, TrailKey)>,
}

impl Filling {
    pub(crate) fn rows(&self) -> usize {
        self.fold.len() + self.plain.len() + self.said.len()
    }

    /// Whether it is to be committed, for its rows or for the bytes of its dead letters.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.rows() >= rows || self.letter_bytes >= BATCH_LETTER_BYTES
    }

    /// An empty batch that is likely to become as large as this one.
    pub(crate) fn successor(&self) -> Self {
        Self { fold: Fold::with_room(self.fold.len()), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether any position of any source was read.
    pub(crate) fn moves(&self) -> bool {
        self.sources.iter().any(|source| source.first || source.from != source.to)
    }

    pub(crate) fn sources_mut(&mut self) -> &mut [SourceEvidence] {
        &mut self.sources
    }

    /// Takes in a decoded portion of a source.
    ///
    /// Errors: the portion does not go on where the one before it ended.
    pub(crate) fn take(
        &mut self,
        portion: Portion<'_>,
        decoded: Decoded,
        records: &impl Records,
    ) -> Result<(), IngestError> {
        let at = self.evidence_of(&portion)?;
        self.hashes[at].update(portion.hashed);
        let (mut letters, mut said) = (decoded.letters, decoded.said);
        for (position, event) in decoded.events {
            if let Err(rejection) = self.add(at, position, event, portion.now) {
                let raw = records.letter_content(position);
                letters.push(Unread { position, reason: rejection.to_string(), raw });
                // What a dead letter says is heard when it is read again.
                said.retain(|(of, _)| *of != position);
            }
        }
        self.said.extend(said.into_iter().map(|(_, said)| said));
        for record in decoded.plain {
            self.add_plain(at, record, portion.now);
        }
        let evidence = &mut self.sources[at];
        evidence.to = portion.to;
        evidence.finished = portion.finished;
        evidence.skipped.extend(portion.skipped);
        evidence.skipped.extend(decoded.skipped);
        evidence.dead_lettered += letters.len() as u64;
        evidence.records = evidence.stored + evidence.dead_lettered;
        letters.iter().for_each(|letter| evidence.dead_lettered_at.insert(letter.position));
        self.letter_bytes += letters.iter().map(|letter| letter.raw.bytes.len()).sum::<usize>();
        for unread in letters {
            let Beside { key, headers } = records.beside(unread.position);
            self.put_aside(
                at,
                DeadLetter {
                    source: portion.source.to_owned(),
                    source_name: portion.name.to_owned(),
                    position: unread.position,
                    reason: unread.reason,
                    raw: unread.raw.bytes,
                    extent: unread.raw.extent,
                    key,
                    headers,
                    read_at: portion.now,
                },
            );
        }
        Ok(())
    }

    /// Keeps a dead letter, with what it is to its kind.
    fn put_aside(&mut self, at: usize, letter: DeadLetter) {
        let kind = RecordKind::of_source(&letter.source, &letter.source_name);
        self.plain.extend((kind.put_aside)(&letter, &mut self.sources[at]));
        self.letters.push(letter);
    }

    /// Folds an event of a source, and counts it.
    fn add(&mut self, at: usize, position: i64, event: Event, now: Timestamp) -> Result<(), Rejection> {
        let recorded = event.recorded_at;
        let received = event.correlation.request_received_at;
        let says_when = received.is_some_and(|received| received.can_be_of_event(Some(now)));
        let Folded { key, duplicate } = self.fold.add_read_at(event, now)?;
        if !says_when {
            self.unplaced.push((at, position, key));
        }
        let evidence = &mut self.sources[at];
        if duplicate {
            evidence.duplicates += 1;
            evidence.duplicates_at.insert(position);
        }
        self.count(at, recorded, now);
        Ok(())
    }

    /// Takes in a row of the table of its kind, and counts it.
    fn add_plain(&mut self, at: usize, record: Box<dyn PlainRecord>, now: Timestamp) {
        self.count(at, record.recorded_at(), now);
        self.plain.push(record);
    }

    /// Counts a record that is stored.
    fn count(&mut self, at: usize, recorded_at: Timestamp, now: Timestamp) {
        let (recorded, now) = (recorded_at.millis(), now.millis());
        let evidence = &mut self.sources[at];
        evidence.stored += 1;
        evidence.recorded_min_ms = min(evidence.recorded_min_ms, Some(recorded));
        evidence.recorded_max_ms = evidence.recorded_max_ms.max(Some(recorded));
        evidence.future += u64::from(recorded > now);
        self.recorded[at] += i128::from(recorded.min(now));
    }

    /// A batch of dead letters that are read again.
    pub(crate) fn of_letters() -> Self {
        Self { kind: CommitKind::Replay, ..Self::default() }
    }

    /// Takes in the event that a dead letter holds, of which `value` is what was read.
    pub(crate) fn replay(
        &mut self,
        letter: LetterPlace<'_>,
        value: &[u8],
        told: RecordContent,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let about = SourceEvidence::of_letters(letter.source, letter.name);
        let found = self.sources.iter().position(|source| source.source == about.source);
        let at = found.unwrap_or_else(|| self.start(about));
        let added = match told {
            RecordContent::Event(event, said) => {
                let added = self.add(at, letter.position, *event, now);
                if added.is_ok() {
                    self.said.extend(Some(*said).filter(|said| !said.is_empty()));
                }
                added
            }
            RecordContent::Plain(record) => {
                self.add_plain(at, record, now);
                let kind = RecordKind::of_source(letter.source, letter.name);
                self.plain.extend((kind.settle)(letter.source, letter.position, now));
                Ok(())
            }
        };
        if let Err(rejection) = added {
            if found.is_none() {
                (_, _, _) = (self.sources.pop(), self.hashes.pop(), self.recorded.pop());
            }
            return Err(rejection);
        }
        self.hashes[at].update(value);
        self.sources[at].records += 1;
        self.sources[at].replayed_at.insert(letter.position);
        Ok(())
    }

    fn evidence_of(&mut self, portion: &Portion<'_>) -> Result<usize, IngestError> {
        if let Some(at) = self.sources.iter().rposition(|s| s.source == portion.source) {
            return if self.sources[at].to == portion.from {
                Ok(at)
            } else {
                Err(IngestError::Internal("a portion of a source does not follow the one before it"))
            };
        }
        Ok(self.start(SourceEvidence {
            source: portion.source.to_owned(),
            name: portion.name.to_owned(),
            first: portion.first,
            from: portion.from,
            to: portion.from,
            ..SourceEvidence::default()
        }))
    }

    fn start(&mut self, evidence: SourceEvidence) -> usize {
        self.hashes.push(Sha256::new());
        self.recorded.push(0);
        self.sources.push(evidence);
        self.sources.len() - 1
    }

    /// Finds a place for what has none, and commits. Runs after the batch before it was committed, so a request in
    /// that batch is on record by now.
    pub(crate) async fn commit(
        mut self,
        streams: Vec<Stream>,
        writer: &mut Writer,
    ) -> Result<Outcome, IngestError> {
        let unplaced = self.fold.take_unplaced();
        let parked = self.place(unplaced, writer).await?;
        let waiting: HashSet<TrailKey> = parked.iter().map(|fragment| fragment.key).collect();
        for (source, position, _) in self.unplaced.iter().filter(|(_, _, key)| waiting.contains(key)) {
            let evidence = &mut self.sources[*source];
            evidence.parked += 1;
            evidence.stored -= 1;
            evidence.parked_at.insert(*position);
        }
        let (batch, outcome) = self.into_batch(parked, streams);
        writer.commit(batch).await?;
        Ok(outcome)
    }

    /// The batch, beside `parked`, and what became of its records.
    pub(crate) fn into_batch(mut self, parked: Vec<Fragment>, streams: Vec<Stream>) -> (Batch, Outcome) {
        for ((evidence, hash), recorded) in self.sources.iter_mut().zip(self.hashes).zip(self.recorded) {
            evidence.sha256 = hex::encode(hash.finalize());
            let read = i128::from(evidence.stored + evidence.parked);
            // The mean of values of 64 bits has 64 bits.
            evidence.recorded_mean_ms = recorded.checked_div(read).and_then(|mean| i64::try_from(mean).ok());
        }
        // What settles a letter beside records that were read is one of them.
        let replay = self.kind == CommitKind::Replay;
        let counted = || self.sources.iter().filter(|source| replay || source.letters_of().is_none());
        let sum = |count: fn(&SourceEvidence) -> u64| counted().map(count).sum();
        let outcome = Outcome {
            stored: sum(|s| s.stored),
            parked: sum(|s| s.parked),
            dead_lettered: sum(|s| s.dead_lettered),
        };
        let mut batch = Batch {
            fragments: self.fold.into_fragments(),
            parked,
            dead_letters: self.letters,
            sources: self.sources,
            streams,
            kind: self.kind,
            ..Batch::default()
        };
        said::put_into(&mut batch, self.said);
        self.plain.into_iter().for_each(|record| record.put_into(&mut batch));
        (batch, outcome)
    }

    /// Joins unplaced fragments to rows of this batch or of the lake; gives back those without either.
    async fn place(
        &mut self,
        unplaced: Vec<Fragment>,
        writer: &Writer,
    ) -> Result<Vec<Fragment>, IngestError> {
        if unplaced.is_empty() {
            return Ok(Vec::new());
        }
        let on_record = writer.resolve(&unplaced).await?;
        if on_record.is_unknown() {
            return Ok(unplaced);
        }
        // Before anything is joined: what a row was joined with has no say in what else is joined to it.
        let here: Vec<Vec<Resolved>> = unplaced.iter().map(|fragment| self.legs_of(&fragment.key)).collect();
        let mut parked = Vec::new();
        for (fragment, here) in unplaced.into_iter().zip(here) {
            let mut rows = on_record.of(&fragment.key).to_vec();
            rows.extend(here);
            if let Subject::ScheduledRun(_) = fragment.key.subject {
                rows.extend(self.fold.get(&fragment.key).and_then(Resolved::of));
            }
            match fragment.join(&rows) {
                Some(parts) => parts.into_iter().for_each(|part| self.fold.merge(part)),
                None => parked.push(fragment),
            }
        }
        Ok(parked)
    }

    /// The legs of a key's request that this batch touches.
    fn legs_of(&self, key: &TrailKey) -> Vec<Resolved> {
        legs_of(&self.fold, key)
    }
}

/// What is read again for a repair: no evidence is made of it.
impl Filling {
    pub(crate) fn again(&mut self, event: Event) -> Result<(), Rejection> {
        self.fold.add(event).map(drop)
    }

    pub(crate) fn merge(&mut self, fragment: Fragment) {
        self.fold.merge(fragment);
    }

    pub(crate) fn fold(&self) -> &Fold {
        &self.fold
    }

    pub(crate) fn take_unplaced(&mut self) -> Vec<Fragment> {
        self.fold.take_unplaced()
    }

    pub(crate) fn into_fragments(self) -> Vec<Fragment> {
        self.fold.into_fragments()
    }
}

/// The legs of a key's request that a fold touches.
fn legs_of(fold: &Fold, key: &TrailKey) -> Vec<Resolved> {
    let Some(request_id) = key.request_id() else { return Vec::new() };
    let leg = |command_variant| Subject::Leg(Leg { request_id, command_variant });
    let keys = CommandVariant::all().map(|variant| TrailKey { subject: leg(variant), ..*key });
    keys.filter_map(|key| Resolved::of(fold.get(&key)?)).collect()
}

/// Joins a fragment without a place to rows of a fold or of the lake. `None`: there are none that it belongs to.
pub(crate) fn join(fold: &Fold, fragment: &Fragment, on_record: &OnRecord) -> Option<Vec<Fragment>> {
    let mut rows = on_record.of(&fragment.key).to_vec();
    rows.extend(legs_of(fold, &fragment.key));
    if let Subject::ScheduledRun(_) = fragment.key.subject {
        rows.extend(fold.get(&fragment.key).and_then(Resolved::of));
    }
    fragment.join(&rows)
}

/// A batch by which letters are settled that were dismissed: what its evidence says, and what that is to their kinds.
pub(crate) fn dismissal(sources: Vec<SourceEvidence>, at: Timestamp) -> Batch {
    let mut settled = Vec::new();
    for evidence in &sources {
        let source = evidence.letters_of().unwrap_or_default();
        let kind = RecordKind::of_source(source, &evidence.name);
        settled
            .extend(evidence.dismissed_at.iter().filter_map(|position| (kind.settle)(source, position, at)));
    }
    let mut batch = Batch { sources, kind: CommitKind::Dismissal, ..Batch::default() };
    settled.into_iter().for_each(|record| record.put_into(&mut batch));
    batch
}

fn min(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}
