//! A partition that is being read: where it starts, and which of the records that come are taken in.

use crate::cluster::{Bounds, End};
use crate::error::KafkaError;
use crate::limits::PIECE_BYTES;
use crate::piece::{Builder, GapReason, Incoming, Source};
use rdkafka::message::{Message, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// A partition that is being read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) builder: Builder,
    /// Whether a record came since it was placed.
    started: bool,
    /// The offset that came first when it was not the one asked for.
    first_seen: Option<i64>,
}

/// What is to be done after a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing.
    Kept,
    /// The piece is to be handed on.
    Full,
    /// The record was not the one asked for. The client may have ignored the offset: it is asked once more, and then believed.
    ReadAgain,
}

impl Reading {
    /// Nothing came yet.
    pub(crate) fn new(builder: Builder) -> Self {
        Self { builder, started: false, first_seen: None }
    }

    /// Takes in one record of the partition. Those of a partition that was given back may still be on their way, and are
    /// dropped before they come here.
    pub(crate) fn take<'m>(
        &mut self,
        message: &impl Message,
        headers: impl Iterator<Item = (Cow<'m, str>, &'m [u8])> + Clone,
    ) -> Taken {
        let (due, offset) = (self.builder.next(), message.offset());
        if offset < due {
            return Taken::Kept;
        }
        if offset > due && !self.started && self.first_seen != Some(offset) {
            self.first_seen = Some(offset);
            return Taken::ReadAgain;
        }
        self.started = true;
        self.builder.skip(offset, GapReason::NotDelivered);
        let appended_ms = match message.timestamp() {
            Timestamp::LogAppendTime(ms) => Some(ms),
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        self.builder.push(Incoming { appended_ms, value: message.payload(), key: message.key() }, headers);
        if self.builder.len() >= PIECE_BYTES { Taken::Full } else { Taken::Kept }
    }
}

/// Where a partition is read from, given where the lake is and what the broker still has. Errors: `EndsBefore`.
pub(crate) fn start(
    source: Arc<Source>,
    epoch: u64,
    position: Option<i64>,
    bounds: Bounds,
) -> Result<Builder, KafkaError> {
    let Bounds { low, end: End { high: end, .. } } = bounds;
    let (topic, partition) = (source.topic.clone(), source.partition);
    let Some(at) = position else {
        let mut builder = Builder::new(source, epoch, 0, true);
        builder.skip(low, GapReason::BeforeFirstRead);
        return Ok(builder);
    };
    if at > end {
        return Err(KafkaError::EndsBefore { topic, partition, lake: at, end });
    }
    let mut builder = Builder::new(source, epoch, at, false);
    if at < low {
        tracing::error!(
            topic,
            partition,
            from = at,
            to = low,
            "records were deleted by the topic's retention before they were read; the gap is recorded"
        );
        builder.skip(low, GapReason::Lost);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::OwnedMessage;

    /// A partition whose next offset is this one.
    fn reading(next: i64) -> Reading {
        let source =
            Source { id: "kafka:c:t:0".into(), topic: "t".into(), topic_id: "t".into(), partition: 0 };
        let builder = Builder::new(Arc::new(source), 1, next, false);
        Reading::new(builder)
    }

    fn message(offset: i64) -> OwnedMessage {
        OwnedMessage::new(Some(b"x".to_vec()), None, "t".into(), Timestamp::NotAvailable, 0, offset, None)
    }

    /// Takes in records, and gives the offsets of those that were kept and the gaps between them.
    fn taken(reading: &mut Reading, offsets: &[i64]) -> (Vec<i64>, Vec<(i64, i64)>) {
        for offset in offsets {
            reading.take(&message(*offset), std::iter::empty());
        }
        let piece = reading.builder.take(None);
        let gaps = piece.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        (piece.records.iter().map(|record| record.offset).collect(), gaps)
    }

    /// A client may hand out records from before the offset that it was told to start at, and again later.
    #[test]
    fn records_below_the_offset_that_is_due_are_dropped_on_every_poll() {
        let mut reading = reading(10);
        assert_eq!(taken(&mut reading, &[3, 9, 10, 11]), (vec![10, 11], vec![]));
        assert_eq!(taken(&mut reading, &[0, 10, 11]), (vec![], vec![]));
        assert_eq!(taken(&mut reading, &[11, 12, 12, 14, 13]), (vec![12, 14], vec![(13, 14)]));
    }

    /// A client that ignored where to start must not make a gap of what it passed over.
    #[test]
    fn a_first_record_beyond_the_offset_that_is_due_is_asked_for_again_before_it_is_believed() {
        let mut ignored = reading(10);
        assert!(matches!(ignored.take(&message(15), std::iter::empty()), Taken::ReadAgain));
        assert_eq!(taken(&mut ignored, &[10, 11]), (vec![10, 11], vec![]));
        let mut gone = reading(10);
        assert!(matches!(gone.take(&message(15), std::iter::empty()), Taken::ReadAgain));
        assert_eq!(taken(&mut gone, &[15, 16]), (vec![15, 16], vec![(10, 15)]));
    }

    /// By one isolation level the lake may have read what by another is not decided yet: no record was lost.
    #[test]
    fn a_partition_ends_where_its_records_do_and_not_where_they_can_be_read() {
        let reading = reading(10);
        let source = || Arc::clone(reading.builder.source());
        let starts_at = |position, bounds| start(source(), 1, Some(position), bounds).ok().map(|b| b.next());
        let hides = Bounds { low: 0, end: End { readable: 5, high: 12 } };
        assert_eq!(starts_at(12, hides), Some(12));
        assert_eq!(starts_at(13, hides), None);
    }
}
