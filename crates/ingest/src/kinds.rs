//! Kinds of records: what a source may hold. One definition each, in a file of its own, and one line in [`KINDS`].
//!
//! Names tell of which kind the records of a source are, and everything that goes by the kind of a record goes by its definition or over the
//! list: names of files and topics, the topics that are followed unless others are named, decoding, what becomes of a record, of one that cannot be
//! read, and of one that is settled later; the identity of a file; what `--help` says.
//!
//! Events of Service Requests are folded into trails. Records of any other kind are plain: each is a row of the table of its kind as it came, which its
//! definition puts into the lake's [`Batch`].

mod access;
mod anomaly;
mod inventory;
mod service;

pub use access::ACCESS_EVENTS;
pub use anomaly::ANOMALY_EVENTS;
pub use inventory::INVENTORY_EVENTS;
pub use service::SERVICE_EVENTS;

use gridtrail_codec::Encoding;
use gridtrail_lake::{Batch, DeadLetter, SourceEvidence};
use gridtrail_model::Timestamp;
use std::fmt;

/// Every kind, that of the sources whose names say nothing first.
pub static KINDS: &[&RecordKind] = &[&SERVICE_EVENTS, &ACCESS_EVENTS, &INVENTORY_EVENTS, &ANOMALY_EVENTS];

/// What the records of a source are.
pub struct RecordKind {
    /// What they are called: a plural.
    pub name: &'static str,
    /// The last part but one of the names of their files, as in `a.access.jsonl`. `None`: names that say nothing are of this kind.
    pub file_mark: Option<&'static str>,
    /// The part between dots of the names of their topics. `None`: names that say nothing are of this kind.
    pub topic_mark: Option<&'static str>,
    /// Their topic, unless another is named.
    pub topic: &'static str,
    /// What stands in the identity of a file beside its bytes, since the same bytes under another name are another thing.
    pub(crate) identity: Option<&'static str>,
    /// How a record is read, and what becomes of it.
    pub(crate) reads: Reads,
    /// What a dead letter is beside what it holds: a record of it, and what its evidence says.
    pub(crate) put_aside: fn(&DeadLetter, &mut SourceEvidence) -> Option<Box<dyn PlainRecord>>,
    /// That the letter at a position of a source is settled.
    pub(crate) settle: fn(&str, i64, Timestamp) -> Option<Box<dyn PlainRecord>>,
}

/// How records of a kind are read.
pub(crate) enum Reads {
    /// As events, which are folded into trails: from protobuf, JSON and DUIS.
    Events,
    /// As plain records, from protobuf and JSON.
    Plain(ReadPlain),
}

/// Reads a plain record. Errors: what is wrong with it.
pub(crate) type ReadPlain = fn(Encoding, &[u8]) -> Result<Box<dyn PlainRecord>, String>;

/// A record that is a row of the table of its kind as it came.
pub(crate) trait PlainRecord: Send + fmt::Debug {
    /// When it was recorded.
    fn recorded_at(&self) -> Timestamp;

    /// Puts it into a batch, among what goes into its table.
    fn put_into(self: Box<Self>, batch: &mut Batch);
}

impl fmt::Debug for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for RecordKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RecordKind {}

impl RecordKind {
    /// Of a file whose name has this for its last part but one.
    pub(crate) fn of_mark(mark: Option<&str>) -> &'static Self {
        let marked = |kind: &&&Self| kind.file_mark.is_some() && kind.file_mark == mark;
        KINDS.iter().find(marked).copied().unwrap_or(KINDS[0])
    }

    /// Of a topic.
    pub fn of_topic(name: &str) -> &'static Self {
        let marked =
            |kind: &&&Self| kind.topic_mark.is_some_and(|mark| name.split('.').any(|part| part == mark));
        KINDS.iter().find(marked).copied().unwrap_or(KINDS[0])
    }

    /// The topics of all kinds, unless others are named.
    pub fn topics() -> Vec<String> {
        KINDS.iter().map(|kind| kind.topic.to_owned()).collect()
    }

    /// Whether its records are folded into trails, as opposed to lying as they came in a table of their own.
    pub fn is_folded(&self) -> bool {
        matches!(self.reads, Reads::Events)
    }
}

/// A letter that is never more than what it holds.
fn nothing_aside(_: &DeadLetter, _: &mut SourceEvidence) -> Option<Box<dyn PlainRecord>> {
    None
}

/// Settling a letter is told by the evidence alone.
fn nothing_settled(_: &str, _: i64, _: Timestamp) -> Option<Box<dyn PlainRecord>> {
    None
}

#[cfg(test)]
pub(crate) mod tests;
