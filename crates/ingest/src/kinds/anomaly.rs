//! Anomaly events: thresholds, when one was exceeded, and what became of quarantined communications.

use super::{PlainRecord, Reads, RecordKind, nothing_aside, nothing_settled};
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_codec::{Encoding, decode_anomaly};
use gridtrail_lake::Batch;
use gridtrail_model::Timestamp;

/// Anomaly events.
pub static ANOMALY_EVENTS: RecordKind = RecordKind {
    name: "anomaly events",
    file_mark: Some("anomaly"),
    topic_mark: Some("anomaly-events"),
    topic: "gridtrail.anomaly-events.v1",
    identity: Some("anomaly events"),
    reads: Reads::Plain(read),
    put_aside: nothing_aside,
    settle: nothing_settled,
};

fn read(encoding: Encoding, bytes: &[u8]) -> Result<Box<dyn PlainRecord>, String> {
    match decode_anomaly(encoding, bytes) {
        Ok(event) => Ok(Box::new(event)),
        Err(error) => Err(error.to_string()),
    }
}

impl PlainRecord for AnomalyEvent {
    fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    fn put_into(self: Box<Self>, batch: &mut Batch) {
        batch.anomaly.push(*self);
    }
}
