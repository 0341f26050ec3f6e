//! A report on its way out: made by a task of its own, so that time, rights and cancellation count also while nobody reads.

use super::making::{Outlet, Piece, Work, make};
use super::message::span;
use crate::held::Held;
use crate::limits::REPORT_PROGRESS_EVERY;
use crate::record::{Caller, Record};
use crate::service::{Desk, reply};
use crate::status::CallError;
use futures::Stream;
use gridtrail_proto::query::v1::run_report_response::Part;
use gridtrail_proto::query::v1::{ReportEnd, ReportProgress, RunReportResponse};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

/// The call whose answer it is.
const CALL: &str = "ReportService.Run";

/// Pieces that wait to be taken: while one is on its way, the next is made, and no more.
const WAITING: usize = 1;

/// The messages of a report.
pub(super) struct Outflow {
    head: Option<RunReportResponse>,
    pieces: mpsc::Receiver<Piece>,
    end: oneshot::Receiver<Result<ReportEnd, CallError>>,
    /// How it ended, when all has been made.
    made: Option<ReportEnd>,
    /// Whether the last message has been taken.
    is_told: bool,
    is_over: bool,
    ticks: Interval,
    began: Instant,
    rows: Arc<AtomicU64>,
    bytes: u64,
    record: Option<Record>,
    _task: AbortOnDropHandle<()>,
    _held: Arc<Held>,
}

impl Outflow {
    /// Begins to make a report. The second is what the answer holds until its last part was written.
    pub(super) fn begin(
        (desk, caller, threads): (&Desk, Caller, &Handle),
        (head, work): (RunReportResponse, Work),
        mut record: Option<Record>,
    ) -> (Self, Arc<Held>) {
        let held = Arc::new(record.as_mut().map(Record::let_go).unwrap_or_default());
        let (to, pieces) = mpsc::channel(WAITING);
        let (ended, end) = oneshot::channel();
        let (began, rows) = (work.began, Arc::<AtomicU64>::default());
        let outlet = Outlet { pieces: to, made: Arc::clone(&rows) };
        let (desk, while_made, for_writing) = (desk.clone(), Arc::clone(&held), threads.clone());
        let task = threads.spawn(async move {
            let outcome = make((&desk, &caller, &for_writing), work, outlet).await;
            // Now it only waits to be taken: where others need its place, it can be given up.
            while_made.wait();
            // Nobody may be there any more.
            let _ = ended.send(outcome);
        });
        let mut ticks = interval_at(Instant::now() + REPORT_PROGRESS_EVERY, REPORT_PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outflow = Self {
            head: Some(head),
            pieces,
            end,
            made: None,
            is_told: false,
            is_over: false,
            ticks,
            began,
            rows,
            bytes: 0,
            record,
            _task: AbortOnDropHandle::new(task),
            _held: Arc::clone(&held),
        };
        (outflow, held)
    }

    /// Ends with an error: what waits is not sent.
    fn fail(&mut self, error: CallError) -> Poll<Option<Result<RunReportResponse, Status>>> {
        self.is_over = true;
        let status = match self.record.take() {
            Some(record) => record.reply::<()>(Err(error)),
            None => reply(CALL, Err(error)),
        };
        Poll::Ready(status.err().map(Err))
    }

    /// Sends a piece, of which the record takes note.
    fn send(&mut self, piece: Piece) -> Part {
        if let Some(record) = &mut self.record {
            record.shown_rows_of_report(piece.rows);
        }
        if let Part::Data(data) = &piece.part {
            self.bytes += data.len() as u64;
        }
        piece.part
    }

    fn progress(&self) -> Part {
        let rows = self.rows.load(Ordering::Relaxed);
        Part::Progress(ReportProgress { elapsed: Some(span(self.began.elapsed())), rows, bytes: self.bytes })
    }

    /// The next message; `None` where all have been taken.
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Part>, CallError>> {
        if self.is_told {
            return Poll::Ready(Ok(None));
        }
        if self.made.is_none()
            && let Poll::Ready(end) = Pin::new(&mut self.end).poll(context)
        {
            match end {
                Ok(Ok(end)) => self.made = Some(end),
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_panicked) => return Poll::Ready(Err(CallError::Panicked)),
            }
        }
        if self.ticks.poll_tick(context).is_ready() {
            return Poll::Ready(Ok(Some(self.progress())));
        }
        match self.pieces.poll_recv(context) {
            Poll::Ready(Some(piece)) => Poll::Ready(Ok(Some(self.send(piece)))),
            Poll::Ready(None) => match self.made.take() {
                Some(end) => {
                    self.is_told = true;
                    Poll::Ready(Ok(Some(self.send(Piece { rows: end.row_count, part: Part::End(end) }))))
                }
                // Its end is still to come, and wakes whoever waits.
                None => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Stream for Outflow {
    type Item = Result<RunReportResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(Ok(head)));
        }
        match std::task::ready!(this.poll_part(context)) {
            Ok(Some(part)) => Poll::Ready(Some(Ok(RunReportResponse { part: Some(part) }))),
            Ok(None) => {
                this.is_over = true;
                if let Some(record) = this.record.take() {
                    record.has_left();
                }
                Poll::Ready(None)
            }
            Err(error) => this.fail(error),
        }
    }
}
