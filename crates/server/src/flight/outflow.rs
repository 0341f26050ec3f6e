//! Rows on their way out: made by a task of their own, so that time, rights and cancellation count also while nobody reads.

use crate::callers::{Allowance, CallerName};
use crate::held::Held;
use crate::record::{Record, name_of};
use crate::service::reply;
use crate::status::{CallError, told};
use arrow_flight::FlightData;
use futures::Stream;
use gridtrail_flight::{Ends, FlightError, Rows, Sheet};
use gridtrail_port::Place;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

/// Messages that wait to be taken: while one is on its way, the next is made, and no more.
const WAITING: usize = 1;

/// What the making of rows goes by.
pub(super) struct Work {
    /// What is left to the caller.
    pub(super) left: Arc<Allowance>,
    /// Until when it may go on.
    pub(super) until: Instant,
    /// The place of a statement among those that are carried out; metadata need none.
    pub(super) place: Option<Place<CallerName>>,
}

/// The messages of an answer.
pub(super) struct Outflow {
    call: &'static str,
    head: Option<FlightData>,
    sheets: mpsc::Receiver<Sheet>,
    end: oneshot::Receiver<Result<(), CallError>>,
    /// Whether all has been made.
    is_made: bool,
    is_over: bool,
    record: Option<Record>,
    _task: AbortOnDropHandle<()>,
    _held: Arc<Held>,
}

impl Outflow {
    /// Begins to make rows. The second is what the answer holds until its last part was written.
    pub(super) fn begin(
        call: &'static str,
        threads: &Handle,
        (rows, work): (Rows, Work),
        mut record: Option<Record>,
    ) -> (Self, Arc<Held>) {
        let held = Arc::new(record.as_mut().map(Record::let_go).unwrap_or_default());
        let (to, sheets) = mpsc::channel(WAITING);
        let (ended, end) = oneshot::channel();
        let (head, while_made) = (Some(rows.head()), Arc::clone(&held));
        let task = threads.spawn(async move {
            let outcome = make(rows, work, to).await;
            // Now it only waits to be taken: where others need its place, it can be given up.
            while_made.wait();
            // Nobody may be there any more.
            let _ = ended.send(outcome);
        });
        let task = AbortOnDropHandle::new(task);
        let outflow = Self {
            call,
            head,
            sheets,
            end,
            is_made: false,
            is_over: false,
            record,
            _task: task,
            _held: Arc::clone(&held),
        };
        (outflow, held)
    }

    /// Ends with an error: what waits is not sent.
    fn fail(&mut self, error: CallError) -> Poll<Option<Result<FlightData, Status>>> {
        self.is_over = true;
        let status = match self.record.take() {
            Some(record) => record.reply::<()>(Err(error)),
            None => reply(self.call, Err(error)),
        };
        Poll::Ready(status.err().map(Err))
    }
}

impl Stream for Outflow {
    type Item = Result<FlightData, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(Ok(head)));
        }
        if !this.is_made
            && let Poll::Ready(end) = Pin::new(&mut this.end).poll(context)
        {
            match end {
                Ok(Ok(())) => this.is_made = true,
                Ok(Err(error)) => return this.fail(error),
                Err(_panicked) => return this.fail(CallError::Panicked),
            }
        }
        match this.sheets.poll_recv(context) {
            Poll::Ready(Some(sheet)) => Poll::Ready(Some(Ok(sheet.message))),
            Poll::Ready(None) if this.is_made => {
                this.is_over = true;
                if let Some(record) = this.record.take() {
                    record.has_left();
                }
                Poll::Ready(None)
            }
            // Its end is still to come, and wakes whoever waits.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Makes rows to their end, or until they may not go on.
async fn make(mut rows: Rows, work: Work, to: mpsc::Sender<Sheet>) -> Result<(), CallError> {
    let Work { left, until, place } = work;
    let Ends { cancelled, lost } = rows.take_ends();
    let outcome = tokio::select! {
        outcome = hand_over(&mut rows, &left, to) => outcome,
        lost = lost => Err(lost.into()),
        () = cancelled.cancelled() => Err(FlightError::Cancelled.into()),
        () = tokio::time::sleep_until(until) => Err(CallError::TooSlow),
    };
    if let Err(error) = &outcome {
        let (code, reason) = told(error);
        rows.end_as(name_of(code), reason);
    }
    drop((rows, place));
    outcome
}

async fn hand_over(rows: &mut Rows, left: &Allowance, to: mpsc::Sender<Sheet>) -> Result<(), CallError> {
    while let Some(sheet) = rows.next().await? {
        left.pace(sheet.rows as u64).await;
        if to.send(sheet).await.is_err() {
            // Who asked is gone.
            return Ok(());
        }
    }
    Ok(())
}
