//! Events of access: assignments, grants, rescissions.
//!
//! A dead letter of one may be a rescission, so what it names is suspended until it is settled. The letter is told of in the table of events of
//! access, in the commit that puts it aside; so is its settling, whichever command did that. A grant that cannot be read ends nothing, and is a letter
//! like any other.

use super::{PlainRecord, Reads, RecordKind};
use gridtrail_access::{ACCESS_TOPIC_MARK, AccessEvent, AccessRecord, Cause, Unread};
use gridtrail_codec::{Encoding, decode_access, unread_access};
use gridtrail_lake::{Batch, DeadLetter, SourceEvidence};
use gridtrail_model::{EventId, Timestamp};
use sha2::{Digest, Sha256};

/// Characters of a letter's hash that stand in its id: 128 bits.
const HASH: usize = 32;

/// Events of access: assignments, grants, rescissions.
pub static ACCESS_EVENTS: RecordKind = RecordKind {
    name: "events of access",
    file_mark: Some("access"),
    topic_mark: Some(ACCESS_TOPIC_MARK),
    topic: "gridtrail.access-events.v1",
    identity: Some("events of access"),
    reads: Reads::Plain(read),
    put_aside,
    settle,
};

fn read(encoding: Encoding, bytes: &[u8]) -> Result<Box<dyn PlainRecord>, String> {
    match decode_access(encoding, bytes) {
        Ok(record) => Ok(Box::new(record)),
        Err(error) => Err(error.to_string()),
    }
}

impl PlainRecord for AccessRecord {
    fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    fn put_into(self: Box<Self>, batch: &mut Batch) {
        batch.access.push(*self);
    }
}

/// What one may have ended is suspended with it.
fn put_aside(letter: &DeadLetter, evidence: &mut SourceEvidence) -> Option<Box<dyn PlainRecord>> {
    let (record, of) = suspends(letter)?;
    tell(letter, &of);
    let places = if of.names_nobody() { &mut evidence.naming_nobody_at } else { &mut evidence.suspending_at };
    places.insert(letter.position);
    Some(Box::new(record))
}

fn settle(source: &str, position: i64, at: Timestamp) -> Option<Box<dyn PlainRecord>> {
    let id = letter_id(source, position)?;
    let event = AccessEvent::Settled { what: Cause::Letter(id.clone()), at, because: None };
    Some(Box::new(AccessRecord { id, recorded_at: at, event }))
}

/// What tells the letter from all others, among the events of access. `None`: never.
fn letter_id(source: &str, position: i64) -> Option<EventId> {
    let mut hash = Sha256::new();
    hash.update(source);
    hash.update([0]);
    hash.update(position.to_be_bytes());
    let mut id = format!("letter-{}", hex::encode(hash.finalize()));
    id.truncate("letter-".len() + HASH);
    id.parse().ok()
}

/// What a letter suspends. `None`: it ends nothing.
fn suspends(letter: &DeadLetter) -> Option<(AccessRecord, Unread)> {
    let place = format!("{}@{}", letter.source_name, letter.position);
    let unread = unread_access(&letter.raw, place)?;
    let id = letter_id(&letter.source, letter.position)?;
    let event = AccessEvent::Unread { letter: id.clone(), unread: unread.clone(), at: letter.read_at };
    Some((AccessRecord { id, recorded_at: letter.read_at, event }, unread))
}

/// Tells an operator.
fn tell(letter: &DeadLetter, unread: &Unread) {
    let (name, position, reason) = (&letter.source_name, letter.position, &letter.reason);
    if unread.names_nobody() {
        tracing::error!(
            name,
            position,
            reason,
            "an event of access cannot be read and names nobody: what it may have ended goes on; \
             mend it with `gridtrail dead-letters replay --with`, or dismiss it"
        );
    } else {
        tracing::error!(
            name,
            position,
            reason,
            "an event of access cannot be read in full: what it names is suspended until it is settled with \
             `gridtrail dead-letters replay` or `dismiss`"
        );
    }
}
