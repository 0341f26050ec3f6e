//! Dead letters of events of access: each may be a rescission, so what it names is suspended until it is settled.
//!
//! The letter is told of in the table of events of access, in the commit that puts it aside; so is its settling, whichever command did
//! that. A grant that cannot be read ends nothing, and is a letter like any other.

use crate::kind::RecordKind;
use gridtrail_access::{AccessEvent, AccessRecord, Cause, Unread};
use gridtrail_codec::unread_access;
use gridtrail_lake::{DeadLetter, SourceEvidence};
use gridtrail_model::{EventId, Timestamp};
use sha2::{Digest, Sha256};

/// Characters of a letter's hash that stand in its id: 128 bits.
const HASH: usize = 32;

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

/// What a letter suspends. `None`: it is of no event of access, or ends nothing.
pub(crate) fn suspends(letter: &DeadLetter) -> Option<(AccessRecord, Unread)> {
    if RecordKind::of_letter(&letter.source, &letter.source_name) != RecordKind::Access {
        return None;
    }
    let place = format!("{}@{}", letter.source_name, letter.position);
    let unread = unread_access(&letter.raw, place)?;
    let id = letter_id(&letter.source, letter.position)?;
    let event = AccessEvent::Unread { letter: id.clone(), unread: unread.clone(), at: letter.read_at };
    Some((AccessRecord { id, recorded_at: letter.read_at, event }, unread))
}

/// That a letter is settled. `None`: it was of no event of access.
pub(crate) fn settles(source: &str, name: &str, position: i64, at: Timestamp) -> Option<AccessRecord> {
    if RecordKind::of_letter(source, name) != RecordKind::Access {
        return None;
    }
    let id = letter_id(source, position)?;
    let event = AccessEvent::Settled { what: Cause::Letter(id.clone()), at, because: None };
    Some(AccessRecord { id, recorded_at: at, event })
}

/// That the letters are settled which some evidence says were dismissed.
pub(crate) fn dismissed(evidence: &SourceEvidence, at: Timestamp) -> Vec<AccessRecord> {
    let source = evidence.letters_of().unwrap_or_default();
    evidence
        .dismissed_at
        .iter()
        .filter_map(|position| settles(source, &evidence.name, position, at))
        .collect()
}

/// Tells an operator.
pub(crate) fn tell(letter: &DeadLetter, unread: &Unread) {
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
