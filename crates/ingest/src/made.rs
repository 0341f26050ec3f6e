//! Ingest of events that are made within this process: nothing to read or decode, all else as from files.
//!
//! For regions that would be too large as files. A position is the number of an event, and the evidence hashes their
//! identifiers. The events come in pieces by a bounded queue, so memory does not grow with their number.

use crate::batch::{Filling, MadeRecords, Portion};
use crate::chunk::{Decoded, to_position};
use crate::error::IngestError;
use crate::files::{Summary, commit};
use crate::kinds::PlainRecord;
use crate::limits::{BATCH_ANOMALY_EVENTS, BATCH_INVENTORY_EVENTS, BATCH_ROWS, BATCH_SCHEDULE_EVENTS};
use gridtrail_access::AccessRecord;
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_inventory::InventoryEvent;
use gridtrail_lake::{Batch, Lake};
use gridtrail_model::{Event, Timestamp};
use gridtrail_runtime::Clock;
use gridtrail_schedules::ScheduleEvent;
use tokio::sync::mpsc;

/// Where made events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// Tells it from all others: a lake takes in each maker once.
    pub id: String,
    /// A name that a person knows.
    pub name: String,
}

impl Maker {
    /// The source, as a lake's positions name it.
    pub fn source(&self) -> String {
        format!("made:{}", self.id)
    }
}

/// Ingests all events that a queue gives, in pieces, until it is closed.
///
/// Not resumable: what a maker that was cut short left in the lake stays there. Errors: `Lake`.
pub async fn ingest_made(
    lake: &Lake,
    maker: &Maker,
    events: mpsc::Receiver<Vec<Event>>,
) -> Result<Summary, IngestError> {
    let writer = lake.writer().await?;
    let (batches, filled) = mpsc::channel(1);
    let (clock, folded) = (lake.clock().clone(), maker.clone());
    let folding = tokio::task::spawn_blocking(move || fold(&folded, events, &batches, &clock));
    let committing = tokio::spawn(commit(writer, filled));
    let panicked = |_| IngestError::Internal("a stage of the ingest panicked");
    // When committing fails, folding ends by itself, and the cause is the one to tell.
    let (outcome, commits) = committing.await.map_err(panicked)??;
    folding.await.map_err(panicked)??;
    Ok(Summary { outcome, commits, ..Summary::default() })
}

/// Ingests events of access that were made, all in one batch; once, however often it is asked for. Errors: `Lake`.
pub async fn ingest_made_access(
    lake: &Lake,
    maker: &Maker,
    records: Vec<AccessRecord>,
) -> Result<Summary, IngestError> {
    let all = (usize::MAX, true);
    ingest_made_plain(lake, (maker, "access"), all, |record| record.id.as_str(), records.into_iter()).await
}

/// Ingests inventory events that were made, a batch at a time; each once, however often it is asked for: one that was cut short goes on from where
/// the lake is. Errors: `Lake`.
pub async fn ingest_made_inventory(
    lake: &Lake,
    maker: &Maker,
    events: impl Iterator<Item = InventoryEvent>,
) -> Result<Summary, IngestError> {
    let all = (BATCH_INVENTORY_EVENTS, true);
    ingest_made_plain(lake, (maker, "inventory"), all, |event| event.id.as_str(), events).await
}

/// The same of anomaly events.
pub async fn ingest_made_anomaly(
    lake: &Lake,
    maker: &Maker,
    events: impl Iterator<Item = AnomalyEvent>,
) -> Result<Summary, IngestError> {
    let told = (BATCH_ANOMALY_EVENTS, true);
    ingest_made_plain(lake, (maker, "anomaly"), told, |event| event.id.as_str(), events).await
}

/// The same of events of schedules, which no records of their own tell: elsewhere DUIS messages do.
pub async fn ingest_made_schedules(
    lake: &Lake,
    maker: &Maker,
    events: impl Iterator<Item = ScheduleEvent>,
) -> Result<Summary, IngestError> {
    let told = (BATCH_SCHEDULE_EVENTS, true);
    ingest_made_plain(lake, (maker, "schedules"), told, |event| event.id.as_str(), events).await
}

impl PlainRecord for ScheduleEvent {
    fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    fn put_into(self: Box<Self>, batch: &mut Batch) {
        batch.schedules.push(*self);
    }
}

/// Ingests anomaly events by which nobody can tell how complete the lake is: what became of one file that a User sent is recorded now, whatever else
/// has not come yet. Each once, however often it is asked for. Errors: `Lake`.
pub async fn ingest_told_anomaly(
    lake: &Lake,
    maker: &Maker,
    events: impl Iterator<Item = AnomalyEvent>,
) -> Result<Summary, IngestError> {
    let told = (BATCH_ANOMALY_EVENTS, false);
    ingest_made_plain(lake, (maker, "anomaly"), told, |event| event.id.as_str(), events).await
}

/// Ingests records of one kind that were made, so many in a batch, from where the lake is. `completes`: whether the lake is complete up to the newest of
/// them once all are in. `id` is what the evidence hashes of each.
async fn ingest_made_plain<R: PlainRecord + 'static>(
    lake: &Lake,
    (maker, kind): (&Maker, &str),
    (at_once, completes): (usize, bool),
    id: fn(&R) -> &str,
    records: impl Iterator<Item = R>,
) -> Result<Summary, IngestError> {
    let mut writer = lake.writer().await?;
    let source = format!("{}:{kind}", maker.source());
    let mut from = writer.position(&source).unwrap_or(0);
    let mut records = records.skip(usize::try_from(from).unwrap_or(usize::MAX)).peekable();
    let mut summary = Summary::default();
    while records.peek().is_some() {
        let made: Vec<R> = records.by_ref().take(at_once).collect();
        let to = from + to_position(made.len() as u64);
        let hashed: Vec<u8> = made.iter().flat_map(|record| id(record).bytes()).collect();
        let portion = Portion {
            source: &source,
            name: &maker.name,
            first: from == 0,
            from,
            to,
            hashed: &hashed,
            skipped: Vec::new(),
            finished: completes && records.peek().is_none(),
            now: lake.clock().now(),
        };
        let plain = made.into_iter().map(|record| Box::new(record) as Box<dyn PlainRecord>).collect();
        let mut filling = Filling::default();
        filling.take(portion, Decoded { plain, ..Decoded::default() }, &MadeRecords)?;
        summary.outcome.add(filling.commit(Vec::new(), &mut writer).await?);
        summary.commits += 1;
        from = to;
    }
    Ok(summary)
}

fn fold(
    maker: &Maker,
    mut events: mpsc::Receiver<Vec<Event>>,
    batches: &mpsc::Sender<Filling>,
    clock: &Clock,
) -> Result<(), IngestError> {
    let source = maker.source();
    let mut filling = Filling::default();
    let mut from = 0;
    let mut finished = false;
    let mut ids = Vec::new();
    while !finished {
        let made = events.blocking_recv();
        finished = made.is_none();
        let made = made.unwrap_or_default();
        ids.clear();
        made.iter().for_each(|event| ids.extend_from_slice(event.id.as_str().as_bytes()));
        let to = from + to_position(made.len() as u64);
        let portion = Portion {
            source: &source,
            name: &maker.name,
            first: from == 0,
            from,
            to,
            hashed: &ids,
            skipped: Vec::new(),
            finished,
            now: clock.now(),
        };
        let decoded = Decoded { events: (from..).zip(made).collect(), ..Decoded::default() };
        filling.take(portion, decoded, &MadeRecords)?;
        from = to;
        if finished || filling.rows() >= BATCH_ROWS {
            let next = filling.successor();
            // A closed queue means that committing failed, and its own error is the one to tell.
            if batches.blocking_send(std::mem::replace(&mut filling, next)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
