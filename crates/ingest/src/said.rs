//! What a DUIS message says beside its own event: of the inventory facts, what a request asks for, and what became of one; that a communication was
//! quarantined; and of DSP schedules what is asked for, what came of it and what the DCC removed. All of it goes into the batch of the event, and is
//! counted nowhere. A request and its outcome are two messages that any two batches may hold: neither is looked for when the other comes, for they
//! are joined when they are read.

use gridtrail_anomaly::AnomalyEvent;
use gridtrail_codec::duis::{self, SaidOfInventory, is_of_inventory, is_of_quarantine, is_of_schedules};
use gridtrail_codec::{DecodeError, Receipt, capture};
use gridtrail_inventory::{PendingPart, RequestOutcome};
use gridtrail_lake::Batch;
use gridtrail_model::Event;
use gridtrail_schedules::ScheduleEvent;

/// What a message says beside its own event; nearly always nothing.
#[derive(Debug, Default)]
pub(crate) struct Said {
    inventory: SaidOfInventory,
    quarantined: Option<AnomalyEvent>,
    schedules: Vec<ScheduleEvent>,
}

impl Said {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.inventory.is_empty() && self.quarantined.is_none() && self.schedules.is_empty()
    }
}

/// A message that can be read once more.
pub(crate) trait Message {
    fn inventory(&self) -> Result<SaidOfInventory, DecodeError>;
    fn quarantined(&self, event: &Event) -> Result<Option<AnomalyEvent>, DecodeError>;
    fn schedules(&self, event: &Event) -> Result<Vec<ScheduleEvent>, DecodeError>;
}

/// A message that is a file or a record.
pub(crate) struct Alone<'a> {
    pub(crate) xml: &'a [u8],
    pub(crate) receipt: &'a Receipt,
}

impl Message for Alone<'_> {
    fn inventory(&self) -> Result<SaidOfInventory, DecodeError> {
        duis::inventory(self.xml, self.receipt)
    }

    fn quarantined(&self, event: &Event) -> Result<Option<AnomalyEvent>, DecodeError> {
        duis::quarantined(event, self.xml)
    }

    fn schedules(&self, event: &Event) -> Result<Vec<ScheduleEvent>, DecodeError> {
        duis::schedules(event, self.xml)
    }
}

impl Message for capture::Message<'_> {
    fn inventory(&self) -> Result<SaidOfInventory, DecodeError> {
        capture::Message::inventory(self)
    }

    fn quarantined(&self, event: &Event) -> Result<Option<AnomalyEvent>, DecodeError> {
        capture::Message::quarantined(self, event)
    }

    fn schedules(&self, event: &Event) -> Result<Vec<ScheduleEvent>, DecodeError> {
        capture::Message::schedules(self, event)
    }
}

/// What the message of an event says. It is read once more for each thing that it may say, which few need.
pub(crate) fn said(event: &Event, message: &impl Message) -> Said {
    let mut said = Said::default();
    if is_of_inventory(event) {
        said.inventory = read(event, message.inventory());
        said.inventory.outcome = said.inventory.outcome.filter(RequestOutcome::may_bring);
    }
    if is_of_quarantine(event) {
        said.quarantined = read(event, message.quarantined(event));
    }
    if is_of_schedules(event) {
        said.schedules = read(event, message.schedules(event));
    }
    said
}

fn read<T: Default>(event: &Event, read: Result<T, DecodeError>) -> T {
    // A message that could be read as an event can be read as this, too: a fault of ours, of which the event is not to be lost.
    read.unwrap_or_else(|error| {
        tracing::error!(event = event.id.as_str(), %error, "what a message says beside its event was not read");
        T::default()
    })
}

/// Puts what messages say into a batch.
pub(crate) fn put_into(batch: &mut Batch, said: impl IntoIterator<Item = Said>) {
    for Said { inventory: SaidOfInventory { facts, asked, outcome }, quarantined, schedules } in said {
        batch.inventory.extend(facts);
        batch.pending.extend(asked.map(PendingPart::Asked));
        batch.pending.extend(outcome.map(PendingPart::Outcome));
        batch.anomaly.extend(quarantined);
        batch.schedules.extend(schedules);
    }
}
