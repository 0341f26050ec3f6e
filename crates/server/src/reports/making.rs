//! Making a report: rows as they come, or the bytes of a form, which a thread of its own writes down.

use super::message::rows_message;
use crate::callers::{Allowance, CallerName};
use crate::limits::REPORT_PIECE_BYTES;
use crate::status::CallError;
use gridtrail_lake::Snapshot;
use gridtrail_port::Place;
use gridtrail_proto::query::v1::ReportEnd;
use gridtrail_proto::query::v1::run_report_response::Part;
use gridtrail_reports::{
    About, Order, Output, OutputError, OutputFormat, RecordBatch, Report, ReportError, ReportRows,
};
use gridtrail_runtime::Clock;
use gridtrail_sql::{Rights, SecuredSession, SqlLimits};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Batches that wait to be written down.
const BATCHES_WAITING: usize = 1;

/// A report that is to be made.
pub(super) struct Work {
    pub(super) order: Order<'static>,
    pub(super) report: &'static Report,
    /// How it is written down; `None`: it is not, its rows are sent.
    pub(super) form: Option<OutputFormat>,
    pub(super) about: About,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) clock: Clock,
    pub(super) limits: SqlLimits,
    pub(super) rights: Rights,
    /// What is left to the caller.
    pub(super) left: Arc<Allowance>,
    pub(super) began: Instant,
    /// Until when it may go on.
    pub(super) until: Instant,
    /// Its place among those that are made, for as long as any thread is at work on it.
    pub(super) place: Arc<Place<CallerName>>,
}

/// A part of the stream.
pub(super) struct Piece {
    pub(super) part: Part,
    /// How many rows there are, up to and with those of this piece.
    pub(super) rows: u64,
}

/// Where pieces go, and how many rows are made.
#[derive(Clone)]
pub(super) struct Outlet {
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) made: Arc<AtomicU64>,
}

/// Makes a report to its end, or until it may not go on.
pub(super) async fn make(threads: &Handle, work: Work, to: Outlet) -> Result<ReportEnd, CallError> {
    let Work { order, report, form, about, snapshot, clock, limits, rights, left, until, place, .. } = work;
    let lost = rights.clone().lost(order.who().clone(), clock.clone());
    let making = async {
        let rights = |session: SecuredSession| session.with_rights(rights);
        let rows = Box::pin(order.carry_out(about, &snapshot, (clock, limits), rights)).await?;
        match form {
            None => send_rows(report, rows, (&left, to)).await,
            Some(form) => send_bytes((report, form), rows, (&left, to), (threads, Arc::clone(&place))).await,
        }
    };
    let outcome = tokio::select! {
        outcome = making => outcome,
        lost = lost => Err(ReportError::Sql(lost).into()),
        () = tokio::time::sleep_until(until) => Err(CallError::TooSlow),
    };
    drop(place);
    outcome
}

/// The next rows, when the caller's minute has room for them.
async fn next_of(
    rows: &mut ReportRows,
    (left, to): (&Allowance, &Outlet),
) -> Result<Option<RecordBatch>, CallError> {
    let Some(batch) = rows.next().await? else { return Ok(None) };
    let count = batch.num_rows() as u64;
    left.pace(count).await;
    to.made.fetch_add(count, Ordering::Relaxed);
    Ok(Some(batch))
}

async fn send_rows(
    report: &Report,
    mut rows: ReportRows,
    (left, to): (&Allowance, Outlet),
) -> Result<ReportEnd, CallError> {
    let (kinds, mut row_count) = (report.kinds(), 0);
    while let Some(batch) = next_of(&mut rows, (left, &to)).await? {
        let mut from = 0;
        while from < batch.num_rows() {
            let message = rows_message(&batch, &kinds, from)?;
            from += message.rows.len();
            row_count += message.rows.len() as u64;
            if to.pieces.send(Piece { part: Part::Rows(message), rows: row_count }).await.is_err() {
                // Who asked is gone.
                return Ok(ReportEnd::default());
            }
        }
    }
    Ok(ReportEnd { row_count, ..ReportEnd::default() })
}

/// What is told to the thread that writes down.
enum Told {
    Rows(RecordBatch),
    /// There are no more.
    End,
}

async fn send_bytes(
    (report, form): (&'static Report, OutputFormat),
    mut rows: ReportRows,
    (left, to): (&Allowance, Outlet),
    (threads, place): (&Handle, Arc<Place<CallerName>>),
) -> Result<ReportEnd, CallError> {
    let (tell, told) = mpsc::channel(BATCHES_WAITING);
    // However this ends, so does the writing, also where it waits for somebody to take a piece.
    let given_up = CancellationToken::new();
    let _given_up = given_up.clone().drop_guard();
    let (about, sink) = (rows.about().clone(), Sink::new(to.clone(), (threads.clone(), given_up)));
    let writing = threads.spawn_blocking(move || {
        let written = write_down((report, form, &about), told, sink);
        drop(place);
        written
    });
    loop {
        let batch = next_of(&mut rows, (left, &to)).await?;
        let told = batch.map_or(Told::End, Told::Rows);
        let is_end = matches!(told, Told::End);
        // Where nobody listens, the thread has failed and says so.
        if tell.send(told).await.is_err() || is_end {
            break;
        }
    }
    // What a panic says may quote data, so it is left to the panic hook.
    writing.await.map_err(|_| CallError::Panicked)?.map_err(CallError::ReportForm)
}

/// Writes rows down as they come. Where they end without their end, nothing more is written.
fn write_down(
    (report, form, about): (&Report, OutputFormat, &About),
    mut told: mpsc::Receiver<Told>,
    sink: Sink,
) -> Result<ReportEnd, OutputError> {
    let mut output = Output::new(form, report, about, sink)?;
    loop {
        match told.blocking_recv() {
            Some(Told::Rows(batch)) => output.write(&batch)?,
            Some(Told::End) => break,
            // They broke off, and whoever made them knows why.
            None => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
        }
    }
    let (sink, row_count) = output.finish()?;
    Ok(sink.end(row_count)?)
}

/// Takes the bytes of a form, and sends them on in pieces of one size.
struct Sink {
    to: Outlet,
    /// What waits for a piece to be taken.
    threads: Handle,
    given_up: CancellationToken,
    waiting: Vec<u8>,
    hash: Sha256,
    byte_count: u64,
}

impl Sink {
    fn new(to: Outlet, (threads, given_up): (Handle, CancellationToken)) -> Self {
        Self { to, threads, given_up, waiting: Vec::new(), hash: Sha256::new(), byte_count: 0 }
    }

    /// Sends on what waits. It waits itself while the piece before was not taken, until the report is given up.
    fn send(&mut self) -> io::Result<()> {
        let data = std::mem::take(&mut self.waiting);
        self.hash.update(&data);
        self.byte_count += data.len() as u64;
        // Something of each row that is made may be in it.
        let rows = self.to.made.load(Ordering::Relaxed);
        let sending = self.to.pieces.send(Piece { part: Part::Data(data), rows });
        match self.threads.block_on(self.given_up.run_until_cancelled(sending)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn end(mut self, row_count: u64) -> io::Result<ReportEnd> {
        if !self.waiting.is_empty() {
            self.send()?;
        }
        let sha256 = hex::encode(self.hash.finalize());
        Ok(ReportEnd { row_count, byte_count: self.byte_count, sha256 })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (some, _) = bytes.split_at(bytes.len().min(REPORT_PIECE_BYTES - self.waiting.len()));
        self.waiting.extend_from_slice(some);
        if self.waiting.len() == REPORT_PIECE_BYTES {
            self.send()?;
        }
        Ok(some.len())
    }

    /// Pieces have one size, whenever a form thinks that it is time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::runtime::Runtime;

    proptest! {
        // Each of them hashes megabytes.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However bytes come, they leave in pieces of one size but for the last, none is lost, and the checksum is theirs.
        #[test]
        fn bytes_leave_in_pieces_and_none_is_lost(lengths in prop::collection::vec(0..3 * REPORT_PIECE_BYTES / 2, 0..8)) {
            let (pieces, mut taken) = mpsc::channel(32);
            let runtime = Runtime::new().unwrap();
            let by = (runtime.handle().clone(), CancellationToken::new());
            let mut sink = Sink::new(Outlet { pieces, made: Arc::new(AtomicU64::new(7)) }, by);
            let bytes: Vec<u8> = (0..=250).cycle().take(lengths.iter().sum()).collect();
            let mut rest = bytes.as_slice();
            for length in lengths {
                let (some, after) = rest.split_at(length);
                sink.write_all(some).unwrap();
                rest = after;
            }
            let end = sink.end(9).unwrap();
            let mut whole = Vec::new();
            while let Some(Piece { part: Part::Data(data), rows }) = taken.blocking_recv() {
                prop_assert!(whole.len() % REPORT_PIECE_BYTES == 0 && !data.is_empty() && rows == 7);
                prop_assert!(data.len() <= REPORT_PIECE_BYTES);
                whole.extend(data);
            }
            prop_assert_eq!(&whole, &bytes);
            prop_assert_eq!(end.row_count, 9);
            prop_assert_eq!(end.byte_count, bytes.len() as u64);
            prop_assert_eq!(end.sha256, hex::encode(Sha256::digest(&bytes)));
        }
    }

    #[test]
    fn bytes_that_nobody_takes_end_the_writing() {
        let (pieces, taken) = mpsc::channel(1);
        let runtime = Runtime::new().unwrap();
        let by = (runtime.handle().clone(), CancellationToken::new());
        let mut sink = Sink::new(Outlet { pieces, made: Arc::default() }, by);
        drop(taken);
        let refused = sink.write_all(&vec![0; 2 * REPORT_PIECE_BYTES]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }

    /// Somebody holds the connection and takes nothing: what waits for them ends with the report.
    #[test]
    fn a_report_that_is_given_up_ends_the_writing() {
        let (pieces, _not_taken) = mpsc::channel(1);
        let (runtime, given_up) = (Runtime::new().unwrap(), CancellationToken::new());
        let by = (runtime.handle().clone(), given_up.clone());
        let mut sink = Sink::new(Outlet { pieces, made: Arc::default() }, by);
        let writing = runtime.spawn_blocking(move || sink.write_all(&vec![0; 3 * REPORT_PIECE_BYTES]));
        given_up.cancel();
        let refused = runtime.block_on(writing).unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }
}
