//! Answers: what a statement or a question about metadata will give, and its rows, as messages of bounded size.

use crate::columns::{plain, plain_schema};
use crate::error::FlightError;
use crate::limits::{MESSAGE_BYTES_MAX, SHEET_BYTES};
use crate::question::{Asker, FlightSql, Question};
use crate::statement::Statement;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{
    FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, SchemaAsIpc, SchemaResult, Ticket,
};
use futures::FutureExt as _;
use futures::future::{BoxFuture, pending};
use gridtrail_lake::Snapshot;
use gridtrail_model::Timestamp;
use gridtrail_sql::SqlAnswer;
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl FlightSql {
    /// What an answer will be, and the ticket for it.
    ///
    /// Errors: every kind but `Cancelled` and `RowTooLarge`.
    pub async fn describe(
        &self,
        asker: &Asker,
        question: Question,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, FlightError> {
        let (schema, ticket, end) = match question {
            Question::Statement(statement) => {
                let snapshot = self.snapshot_for(&statement).await?;
                let schema = self.columns_of(&snapshot, asker, &statement).await?;
                let (ticket, end) = self.ticket(&asker.who, &statement.pinned_to(snapshot.version()))?;
                (schema, ticket, Some(end))
            }
            Question::Prepared(statement, described) => {
                let snapshot = self.snapshot_for(&statement).await?;
                let (ticket, end) = self.ticket(&asker.who, &statement.pinned_to(snapshot.version()))?;
                (Arc::clone(&described.columns), ticket, Some(end))
            }
            Question::Metadata(metadata) => {
                (metadata.schema(), Ticket::new(metadata.command().to_vec()), None)
            }
        };
        // It names no address: the ticket is for the connection that it came by.
        let endpoint = FlightEndpoint { expiration_time: end.map(wire_time), ..FlightEndpoint::new() };
        let info = FlightInfo::new().try_with_schema(&schema)?;
        Ok(info.with_endpoint(endpoint.with_ticket(ticket)).with_descriptor(descriptor))
    }

    /// The columns of an answer.
    ///
    /// Errors: as those of [`FlightSql::describe`].
    pub async fn schema(&self, asker: &Asker, question: Question) -> Result<SchemaResult, FlightError> {
        let schema = match question {
            Question::Statement(statement) => {
                let snapshot = self.snapshot_for(&statement).await?;
                self.columns_of(&snapshot, asker, &statement).await?
            }
            Question::Prepared(_, described) => Arc::clone(&described.columns),
            Question::Metadata(metadata) => metadata.schema(),
        };
        Ok(SchemaAsIpc::new(&schema, &IpcWriteOptions::default()).try_into()?)
    }

    /// The rows of an answer. Dropped, nothing goes on.
    ///
    /// Errors: every kind.
    pub async fn rows(&self, asker: &Asker, question: Question) -> Result<Rows, FlightError> {
        let statement = match question {
            Question::Statement(statement) | Question::Prepared(statement, _) => statement,
            Question::Metadata(metadata) => {
                let session = self.session(&self.served.lake.snapshot(), asker)?;
                let batch = metadata.rows(&session)?;
                let lost = asker.rights.clone().lost(asker.who.clone(), self.clock.clone());
                let lost = lost.map(FlightError::Session).boxed();
                let ends = Ends { cancelled: CancellationToken::new(), lost };
                return Ok(Rows::new(batch.schema(), Source::Whole(Some(batch)), None, ends));
            }
        };
        let cancelled = self.cancellation(&statement);
        if cancelled.is_cancelled() {
            return Err(FlightError::Cancelled);
        }
        let snapshot = self.snapshot_for(&statement).await?;
        let session = self.session(&snapshot, asker)?;
        let values = statement.values()?;
        let answered = match &values {
            Some(values) => Box::pin(session.execute(statement.text(), values)).await,
            None => Box::pin(session.query(statement.text())).await,
        };
        let mut answer = answered.map_err(FlightError::Statement)?;
        let schema = plain_schema(&answer.schema());
        let version = Some(snapshot.version().to_string());
        let ends = Ends { cancelled, lost: answer.take_watch().map(FlightError::Statement).boxed() };
        Ok(Rows::new(schema, Source::Statement(Box::new(answer)), version, ends))
    }

    /// The columns of a statement's answer, as they go out.
    async fn columns_of(
        &self,
        snapshot: &Arc<Snapshot>,
        asker: &Asker,
        statement: &Statement,
    ) -> Result<SchemaRef, FlightError> {
        let session = self.session(snapshot, asker)?;
        let prepared = Box::pin(session.prepare(statement.text())).await.map_err(FlightError::Statement)?;
        let columns = prepared.schema().map_err(FlightError::Statement)?;
        Ok(plain_schema(&columns))
    }

    /// The snapshot that a statement is about.
    async fn snapshot_for(&self, statement: &Statement) -> Result<Arc<Snapshot>, FlightError> {
        match statement.version()? {
            Some(version) => Ok(self.served.lake.snapshot_at(&version).await?),
            None => Ok(self.served.lake.snapshot()),
        }
    }
}

fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let nanos = at.millis().rem_euclid(1_000) * 1_000_000;
    prost_types::Timestamp {
        seconds: at.millis().div_euclid(1_000),
        // Below a thousand million.
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// A message with some rows.
#[derive(Debug)]
pub struct Sheet {
    /// As it goes out.
    pub message: FlightData,
    /// How many rows it has.
    pub rows: usize,
}

/// Where rows come from.
enum Source {
    /// A statement that is carried out.
    Statement(Box<SqlAnswer>),
    /// What is there at once.
    Whole(Option<RecordBatch>),
}

/// What ends an answer from without.
pub struct Ends {
    /// Tells that the statement is cancelled.
    pub cancelled: CancellationToken,
    /// Tells that the caller may no longer see what they could see when it began, and why.
    pub lost: BoxFuture<'static, FlightError>,
}

impl Default for Ends {
    fn default() -> Self {
        Self { cancelled: CancellationToken::new(), lost: pending().boxed() }
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

/// The rows of an answer, as messages.
pub struct Rows {
    schema: SchemaRef,
    source: Source,
    version: Option<String>,
    ends: Ends,
    /// Rows that are to be told, and how many of them were.
    batch: Option<(RecordBatch, usize)>,
    options: IpcWriteOptions,
    context: IpcWriteContext,
    /// So many rows are tried in a message: fewer after one that was too large.
    rows_at_once: usize,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Rows {
    fn new(schema: SchemaRef, source: Source, version: Option<String>, ends: Ends) -> Self {
        let (options, context) = (IpcWriteOptions::default(), IpcWriteContext::default());
        Self { schema, source, version, ends, batch: None, options, context, rows_at_once: usize::MAX }
    }

    /// The first message, which says what the columns are.
    pub fn head(&self) -> FlightData {
        SchemaAsIpc::new(&self.schema, &self.options).into()
    }

    /// The version that is read; `None` for metadata.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What ends them from without, for whoever hands them on to wait for.
    pub fn take_ends(&mut self) -> Ends {
        std::mem::take(&mut self.ends)
    }

    /// The next message; `None` at the end. Cancel-safe as long as none is asked for afterwards.
    ///
    /// Errors: those of statements; `RowTooLarge`.
    pub async fn next(&mut self) -> Result<Option<Sheet>, FlightError> {
        loop {
            if let Some((batch, told)) = self.batch.take()
                && told < batch.num_rows()
            {
                let sheet = self.sheet(&batch, told)?;
                self.batch = Some((batch, told + sheet.rows));
                return Ok(Some(sheet));
            }
            let batch = match &mut self.source {
                Source::Statement(answer) => answer.next().await?,
                Source::Whole(batch) => batch.take(),
            };
            let Some(batch) = batch else { return Ok(None) };
            self.batch = Some((plain(&batch, &self.schema)?, 0));
        }
    }

    /// Ends them for whoever hands them on, in the words in which the access log has that.
    pub fn end_as(&mut self, outcome: &'static str, reason: &'static str) {
        match &mut self.source {
            Source::Statement(answer) => answer.end_as(outcome, reason),
            Source::Whole(batch) => *batch = None,
        }
    }

    /// A message with rows from one on, of which there are some.
    fn sheet(&mut self, batch: &RecordBatch, from: usize) -> Result<Sheet, FlightError> {
        loop {
            let rows = self.rows_at_once.min(batch.num_rows() - from);
            let message = self.message(&batch.slice(from, rows))?;
            let bytes = message.data_header.len() + message.data_body.len();
            if bytes > SHEET_BYTES && rows > 1 {
                self.rows_at_once = (rows.saturating_mul(SHEET_BYTES) / bytes).clamp(1, rows - 1);
                continue;
            }
            if bytes > MESSAGE_BYTES_MAX {
                return Err(FlightError::RowTooLarge { bytes });
            }
            if bytes < SHEET_BYTES / 4 {
                self.rows_at_once = self.rows_at_once.saturating_mul(2);
            }
            return Ok(Sheet { message, rows });
        }
    }

    fn message(&mut self, batch: &RecordBatch) -> Result<FlightData, FlightError> {
        // No column has a dictionary.
        let mut dictionaries = DictionaryTracker::new(false);
        let (_, encoded) =
            IpcDataGenerator::default().encode(batch, &mut dictionaries, &self.options, &mut self.context)?;
        Ok(encoded.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::{StreamExt as _, TryStreamExt as _, stream};

    fn rows_of(lengths: &[usize]) -> (Rows, RecordBatch) {
        let texts: StringArray = lengths.iter().map(|length| Some("x".repeat(*length))).collect();
        let batch = RecordBatch::try_from_iter([("text", Arc::new(texts) as _)]).unwrap();
        let source = Source::Whole(Some(batch.clone()));
        let schema = plain_schema(&batch.schema());
        (Rows::new(schema, source, None, Ends::default()), batch)
    }

    /// However rows are spread, no message is larger than clients take, and none is lost.
    #[tokio::test]
    async fn rows_come_in_messages_that_clients_take_and_none_is_lost() {
        let large = MESSAGE_BYTES_MAX - 2_000;
        for lengths in [vec![], vec![0; 9_000], vec![900; 9_000], vec![large; 3], {
            let mut mixed = vec![10; 5_000];
            (mixed[2_500], mixed[4_000]) = (large, SHEET_BYTES - 1);
            mixed
        }] {
            let (mut rows, batch) = rows_of(&lengths);
            let mut messages = vec![Ok(rows.head())];
            let mut counted = 0;
            while let Some(Sheet { message, rows }) = rows.next().await.unwrap() {
                assert!(message.data_body.len() + message.data_header.len() <= MESSAGE_BYTES_MAX);
                counted += rows;
                messages.push(Ok(message));
            }
            assert!(messages.len() < 100, "{} messages", messages.len());
            let read = FlightRecordBatchStream::new_from_flight_data(stream::iter(messages).boxed());
            let read: Vec<RecordBatch> = read.try_collect().await.unwrap();
            let whole = arrow::compute::concat_batches(&rows.schema, &read).unwrap();
            assert_eq!((whole.num_rows(), counted), (lengths.len(), lengths.len()));
            assert_eq!(whole.column(0).as_ref(), batch.column(0).as_ref());
        }
    }

    #[tokio::test]
    async fn a_row_that_no_message_takes_is_named() {
        let (mut rows, _) = rows_of(&[3, MESSAGE_BYTES_MAX, 4]);
        // What came before it is told: no message waits for the rest of its batch.
        assert_eq!(rows.next().await.unwrap().map(|sheet| sheet.rows), Some(1));
        assert!(matches!(rows.next().await, Err(FlightError::RowTooLarge { .. })));
    }
}
