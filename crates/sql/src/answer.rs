//! The answer to a statement.

use crate::error::SqlError;
use crate::record::Record;
use crate::rights::Rights;
use crate::stop::{Stop, Stopped};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _, pending};
use gridtrail_access::Access;
use gridtrail_runtime::Clock;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Until when a statement may go on, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) who: Option<Access>,
    pub(crate) rights: Option<Rights>,
    pub(crate) clock: Clock,
    pub(crate) began: Instant,
    /// By when it is to give rows.
    pub(crate) begun_by: Instant,
    pub(crate) until: Instant,
    /// Ends what gives no rows.
    pub(crate) stop: Stop,
}

impl Terms {
    /// Demands that the caller is let in still.
    pub(crate) fn require(&self) -> Result<(), SqlError> {
        match &self.who {
            Some(who) => Ok(who.require_any_role(self.clock.now())?),
            None => Ok(()),
        }
    }

    fn took_too_long(&self, until: Instant) -> SqlError {
        SqlError::Time { seconds: (until - self.began).as_secs() }
    }

    /// What an error of the engine says: that of a join that was stopped, that the time is over.
    fn fault_of(&self, error: DataFusionError) -> SqlError {
        match error.find_root() {
            DataFusionError::External(source) if source.is::<Stopped>() => self.took_too_long(self.until),
            _ => error.into(),
        }
    }

    /// What comes of the work until there are rows, within the time for that.
    pub(crate) async fn begun<T>(
        &self,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, SqlError> {
        match timeout_at(self.begun_by, work).await {
            // What does not wait is not interrupted.
            Ok(Ok(_)) if Instant::now() >= self.begun_by => Err(self.took_too_long(self.begun_by)),
            Ok(outcome) => outcome,
            Err(_) => Err(self.took_too_long(self.begun_by)),
        }
    }

    /// Whether it is known that nothing changed.
    fn are_unchanged(&self) -> bool {
        match (&self.who, &self.rights) {
            (Some(who), Some(rights)) => rights.are_unchanged(who, &self.clock),
            _ => true,
        }
    }

    async fn confirm(&self) -> Result<(), SqlError> {
        match (&self.who, &self.rights) {
            (Some(who), Some(rights)) => {
                let confirmed = timeout_at(self.until, rights.confirm(who, &self.clock)).await;
                confirmed.unwrap_or_else(|_| Err(self.took_too_long(self.until)))
            }
            _ => Ok(()),
        }
    }

    /// Waits until the caller has lost rights.
    fn lost(&self) -> BoxFuture<'static, SqlError> {
        match (&self.who, &self.rights) {
            (Some(who), Some(rights)) => rights.clone().lost(who.clone(), self.clock.clone()).boxed(),
            _ => pending().boxed(),
        }
    }
}

/// The answer to a statement: rows, a batch at a time.
///
/// It ends within a second where its caller may no longer see what it was begun with: no row leaves after that.
/// Dropped, it ends the work on the statement.
pub struct SqlAnswer {
    schema: SchemaRef,
    /// `None`: it is over.
    rows: Option<SendableRecordBatchStream>,
    terms: Terms,
    /// Looks at the rights of the caller while rows are waited for.
    lost: BoxFuture<'static, SqlError>,
    record: Option<Record>,
}

impl std::fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlAnswer").finish_non_exhaustive()
    }
}

impl SqlAnswer {
    pub(crate) fn new(rows: SendableRecordBatchStream, terms: Terms, mut record: Option<Record>) -> Self {
        if let Some(record) = &mut record {
            record.goes_on_until(terms.until);
        }
        Self { schema: rows.schema(), rows: Some(rows), lost: terms.lost(), terms, record }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Hands over the look at the caller's rights to whoever hands the rows on, who looks also while nobody waits for any: it gives why they are lost.
    /// What is known of them without asking is looked at here all the same.
    pub fn take_watch(&mut self) -> BoxFuture<'static, SqlError> {
        std::mem::replace(&mut self.lost, pending().boxed())
    }

    /// The next rows; `None` at the end, and after an error.
    ///
    /// Errors: `Access` and `RightsChanged` where the caller lost rights meanwhile; `Time`, `Memory`, `Expression`, `Lake`.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        let Some(mut rows) = self.rows.take() else { return Ok(None) };
        let outcome = self.step(&mut rows).await;
        match &outcome {
            Ok(Some(batch)) => {
                self.rows = Some(rows);
                if let Some(record) = &mut self.record {
                    record.shown(batch.num_rows());
                }
            }
            Ok(None) => self.end(Ok(())),
            Err(error) => self.end(Err(error)),
        }
        outcome
    }

    fn end(&mut self, outcome: Result<(), &SqlError>) {
        self.terms.stop.give_up();
        if let Some(record) = self.record.take() {
            record.end(outcome);
        }
    }

    /// Ends the statement for whoever hands its rows on: the access log has that as its outcome, and why. What has ended stays as it ended.
    pub fn end_as(&mut self, outcome: &'static str, reason: &'static str) {
        self.rows = None;
        self.terms.stop.give_up();
        if let Some(record) = self.record.take() {
            record.end_as(outcome, reason);
        }
    }

    async fn step(&mut self, rows: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>, SqlError> {
        self.terms.require()?;
        let batch = tokio::select! {
            biased;
            () = sleep_until(self.terms.until) => return Err(self.terms.took_too_long(self.terms.until)),
            lost = &mut self.lost => return Err(lost),
            batch = rows.next() => batch.transpose().map_err(|error| self.terms.fault_of(error))?,
        };
        self.terms.require()?;
        if !self.terms.are_unchanged() {
            self.terms.confirm().await?;
        }
        Ok(batch)
    }

    /// All rows.
    ///
    /// Errors: as those of [`SqlAnswer::next`].
    pub async fn all(mut self) -> Result<Vec<RecordBatch>, SqlError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }
}

/// What gives no rows is ended as well.
impl Drop for SqlAnswer {
    fn drop(&mut self) {
        self.terms.stop.give_up();
    }
}
