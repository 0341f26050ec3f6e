//! Ingest: from event files and topics to committed batches, exactly once.
//!
//! [`ingest_files`] takes in what lies under a path; [`follow_topics`] follows Kafka until it is told to stop.
//!
//! Sources hold records of one kind each, such as events of Service Requests, of access, of the inventory or of anomaly detection; their names tell which ([`RecordKind`]).
//!
//! Positions live in the lake's commits and nowhere else; a record that cannot be read becomes a dead letter with its
//! reason and position, and never stops what is around it. An event that cannot say when its request was received
//! gets that time from rows on record; one whose request is unknown is parked.
//!
//! **Invariant:** ingest never sees a row's content: the lake lends it keys, times and Devices.

mod batch;
mod chunk;
mod committer;
mod error;
mod files;
mod kinds;
mod letter_content;
mod letters;
mod limits;
mod made;
mod name;
mod once;
mod open;
mod plan;
mod probe;
mod record;
mod repair;
mod said;
mod sidecar;
mod topics;
mod unpack;
mod whole;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_ingest;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use batch::Outcome;
pub use error::IngestError;
pub use files::{FileSettings, Progress, Summary, ingest_files};
pub use kinds::{ACCESS_EVENTS, ANOMALY_EVENTS, INVENTORY_EVENTS, KINDS, RecordKind, SERVICE_EVENTS};
pub use letters::{Mended, Replayed, Unreadable, dismiss_letters, replay_letters};
pub use made::{
    Maker, ingest_made, ingest_made_access, ingest_made_anomaly, ingest_made_inventory,
    ingest_made_schedules, ingest_told_anomaly,
};
pub use name::{Content, ENDINGS, FileName, Packing};
pub use plan::holds_events;
pub use repair::{Lost, RepairSettings, Repaired, repair};
pub use topics::{Followed, Observer, TopicSettings, follow_topics};
pub use unpack::open as open_unpacked;
