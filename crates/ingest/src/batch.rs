//! One batch under construction: folded events, and what was read of each source.

use crate::chunk::{Chunk, Decoded, Unread};
use crate::error::IngestError;
use crate::plan::{Source, hex};
use gridtrail_lake::{Batch, DeadLetter, SourceEvidence, Writer};
use gridtrail_model::{Fold, Fragment, RequestId, Resolved, Subject, Timestamp, TrailKey, UserId};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};

/// What became of the records of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Records that went into trails.
    pub stored: u64,
    /// Records that wait for their request.
    pub parked: u64,
    /// Records that could not be read.
    pub dead_lettered: u64,
}

/// A batch being filled, by one source after the other.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    fold: Fold,
    letters: Vec<DeadLetter>,
    sources: Vec<SourceEvidence>,
    hashes: Vec<Sha256>,
    /// Of each event that does not say when its request was received, the number of its source and its row: should
    /// the row stay without a place, the record is a parked one.
    unplaced: Vec<(usize, TrailKey)>,
}

impl Filling {
    pub(crate) fn rows(&self) -> usize {
        self.fold.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Takes in a decoded piece of a source.
    pub(crate) fn take(&mut self, source: &Source, chunk: &Chunk, decoded: Decoded) {
        let at = self.evidence_of(source, chunk);
        self.hashes[at].update(&chunk.bytes);
        let name = self.sources[at].name.clone();
        let mut letters = decoded.letters;
        let mut counts = (0, None::<i64>, None::<i64>);
        for (position, event) in decoded.events {
            let recorded = event.recorded_at.millis();
            counts.0 += 1;
            counts.1 = Some(counts.1.map_or(recorded, |min| min.min(recorded)));
            counts.2 = Some(counts.2.map_or(recorded, |max| max.max(recorded)));
            let says_when = event.correlation.request_received_at.is_some();
            match self.fold.add(event) {
                Ok(_) if says_when => {}
                Ok(key) => self.unplaced.push((at, key)),
                Err(rejection) => {
                    counts.0 -= 1;
                    letters.push(Unread {
                        position,
                        reason: rejection.to_string(),
                        raw: record_at(chunk, position),
                    });
                }
            }
        }
        let evidence = &mut self.sources[at];
        evidence.to = to_position(chunk.end);
        evidence.finished = chunk.last;
        evidence.records += counts.0 + letters.len() as u64;
        evidence.stored += counts.0;
        evidence.dead_lettered += letters.len() as u64;
        evidence.recorded_min_ms = min(evidence.recorded_min_ms, counts.1);
        evidence.recorded_max_ms = evidence.recorded_max_ms.max(counts.2);
        self.letters.extend(letters.into_iter().map(|unread| DeadLetter {
            source: source.id.clone(),
            source_name: name.clone(),
            position: to_position(unread.position),
            reason: unread.reason,
            raw: unread.raw,
        }));
    }

    fn evidence_of(&mut self, source: &Source, chunk: &Chunk) -> usize {
        if let Some(at) = self.sources.iter().rposition(|s| s.source == source.id) {
            return at;
        }
        self.hashes.push(Sha256::new());
        self.sources.push(SourceEvidence {
            source: source.id.clone(),
            name: source.path.display().to_string(),
            from: to_position(chunk.start),
            to: to_position(chunk.start),
            records: 0,
            stored: 0,
            parked: 0,
            dead_lettered: 0,
            sha256: String::new(),
            recorded_min_ms: None,
            recorded_max_ms: None,
            finished: false,
        });
        self.sources.len() - 1
    }

    /// Finds a place for what has none, and commits. Runs after the batch before it was committed, so a request in
    /// that batch is on record by now.
    pub(crate) async fn commit(mut self, writer: &mut Writer) -> Result<Outcome, IngestError> {
        let unplaced = self.fold.take_unplaced();
        let parked = self.place(unplaced, writer).await?;
        for (evidence, hash) in self.sources.iter_mut().zip(self.hashes) {
            evidence.sha256 = hex(&hash.finalize());
        }
        let waiting: HashSet<TrailKey> = parked.iter().map(|fragment| fragment.key).collect();
        for (source, _) in self.unplaced.iter().filter(|(_, key)| waiting.contains(key)) {
            self.sources[*source].parked += 1;
            self.sources[*source].stored -= 1;
        }
        let sum = |count: fn(&SourceEvidence) -> u64| self.sources.iter().map(count).sum();
        let outcome = Outcome {
            stored: sum(|s| s.stored),
            parked: sum(|s| s.parked),
            dead_lettered: sum(|s| s.dead_lettered),
        };
        let batch = Batch {
            fragments: self.fold.into_fragments(),
            parked,
            dead_letters: self.letters,
            sources: self.sources,
        };
        writer.commit(batch).await?;
        Ok(outcome)
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
        let known = self.rows_by_request();
        let mut parked = Vec::new();
        for fragment in unplaced {
            let mut rows = writer.resolve(&fragment).await?;
            let here = fragment.key.request_id().and_then(|id| known.get(&(fragment.key.user, id)));
            rows.extend(here.into_iter().flatten());
            if let Subject::ScheduledRun(_) = fragment.key.subject {
                rows.extend(self.fold.get(&fragment.key).and_then(resolved));
            }
            match fragment.join(&rows) {
                Some(parts) => parts.into_iter().for_each(|part| self.fold.merge(part)),
                None => parked.push(fragment),
            }
        }
        Ok(parked)
    }

    fn rows_by_request(&self) -> HashMap<(UserId, RequestId), Vec<Resolved>> {
        let mut known: HashMap<_, Vec<_>> = HashMap::new();
        for fragment in self.fold.fragments() {
            let TrailKey { user, .. } = fragment.key;
            if let (Some(id), Some(row)) = (fragment.key.request_id(), resolved(fragment)) {
                known.entry((user, id)).or_default().push(row);
            }
        }
        known
    }
}

fn resolved(fragment: &Fragment) -> Option<Resolved> {
    let received: Timestamp = fragment.placement()?;
    Some(Resolved { subject: fragment.key.subject, received, device: fragment.device.value().copied() })
}

/// The raw bytes of the record at a position of a piece, as far as a dead letter keeps them.
fn record_at(chunk: &Chunk, position: u64) -> bytes::Bytes {
    let start = usize::try_from(position - chunk.start).unwrap_or(0).min(chunk.bytes.len());
    let rest = chunk.bytes.slice(start..);
    match gridtrail_codec::next_frame(&rest) {
        gridtrail_codec::Frame::Complete { record, .. } if rest.first() != Some(&b'{') => {
            rest.slice_ref(record)
        }
        _ => {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            rest.slice(..end.min(crate::limits::LETTER_BYTES))
        }
    }
}

fn min(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

fn to_position(bytes: u64) -> i64 {
    // Files are far smaller than 2^63 bytes.
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
