//! Prepared statements: planned once, for the session that planned them, and answered with values.

use crate::answer::{SqlAnswer, Terms};
use crate::asking::Asking;
use crate::elsewhere::{PlanBytes, PlanCodec};
use crate::error::SqlError;
use crate::keys::keys_of;
use crate::parameters;
use crate::passed::Passed;
use crate::record::Record;
use crate::yielding::begin;
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::memory::MemoryStream;
use std::sync::{Arc, Mutex, PoisonError};

/// A statement that was planned. It is its session's, and ends with it.
pub struct Prepared<'s> {
    asking: &'s Asking,
    state: SessionState,
    plan: LogicalPlan,
    parameters: SchemaRef,
    is_explained: bool,
    text: String,
    /// The record of the call that prepared it, which its first execution goes on with.
    record: Mutex<Option<Record>>,
}

impl std::fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl<'s> Prepared<'s> {
    pub(crate) fn new(
        asking: &'s Asking,
        (state, plan): (SessionState, LogicalPlan),
        parameters: SchemaRef,
        (is_explained, text): (bool, String),
    ) -> Self {
        Self { asking, state, plan, parameters, is_explained, text, record: Mutex::new(None) }
    }

    pub(crate) fn recorded(self, record: Option<Record>) -> Self {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
        self
    }

    /// The columns of its answers.
    ///
    /// Errors: `Statement`.
    pub fn schema(&self) -> Result<SchemaRef, SqlError> {
        if self.is_explained {
            return Ok(explained());
        }
        // What expressions come to is known when they were made fit for each other.
        Ok(Arc::clone(self.state.optimize(&self.plan)?.schema().inner()))
    }

    /// Its text as the access log has it, without any literal.
    pub fn recorded_text(&self) -> &str {
        &self.text
    }

    /// Its parameters: fields called `$1`, `$2` and so on, each of the type that its value is cast to.
    pub fn parameters(&self) -> SchemaRef {
        Arc::clone(&self.parameters)
    }

    #[cfg(test)]
    pub(crate) const fn logical_plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// Answers the statement with values for its parameters: one row, in the order of their numbers. `None`: it has none.
    ///
    /// Errors: every kind. Cancel-safe.
    pub async fn execute(&self, values: Option<&RecordBatch>) -> Result<SqlAnswer, SqlError> {
        self.execute_within(self.asking.terms(), values).await
    }

    pub(crate) async fn execute_within(
        &self,
        terms: Terms,
        values: Option<&RecordBatch>,
    ) -> Result<SqlAnswer, SqlError> {
        let mut record = self.record_within(&terms)?;
        match terms.begun(Box::pin(self.start(values, &terms, &mut record))).await {
            Ok(rows) => Ok(SqlAnswer::new(rows, terms, record)),
            Err(error) => {
                if let Some(record) = record {
                    record.end(Err(&error));
                }
                Err(error)
            }
        }
    }

    /// The record of carrying it out: the first time that of the call that prepared it.
    fn record_within(&self, terms: &Terms) -> Result<Option<Record>, SqlError> {
        let before = self.record.lock().unwrap_or_else(PoisonError::into_inner).take();
        match before {
            Some(record) => Ok(Some(record)),
            None => self.asking.record(terms),
        }
    }

    /// The plan of the statement with values for its parameters, for other processes to carry out: [`PlanCodec::carry_out`]. It is recorded as
    /// a statement of the caller's; how many rows it shows is known where it is carried out.
    ///
    /// Errors: every kind but `Expression`. Cancel-safe.
    pub async fn for_others(
        &self,
        values: Option<&RecordBatch>,
        codec: &PlanCodec,
    ) -> Result<PlanBytes, SqlError> {
        let terms = self.asking.terms();
        let mut record = self.record_within(&terms)?;
        let planned = async {
            terms.require()?;
            if self.is_explained {
                return Err(SqlError::refused("carrying out an EXPLAIN elsewhere"));
            }
            let plan = parameters::with_values(self.plan.clone(), &self.parameters, values)?;
            if let Some(record) = &mut record {
                record.looked_up(&keys_of(&plan)?);
            }
            let frame = DataFrame::new(self.state.clone(), plan);
            codec.encode(frame.create_physical_plan().await?)
        };
        let planned = terms.begun(Box::pin(planned)).await;
        if let Some(record) = record {
            record.end(planned.as_ref().map(|_| ()));
        }
        planned
    }

    async fn start(
        &self,
        values: Option<&RecordBatch>,
        terms: &Terms,
        record: &mut Option<Record>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        terms.require()?;
        let plan = parameters::with_values(self.plan.clone(), &self.parameters, values)?;
        let mut state = self.state.clone();
        let passed = Arc::new(Passed::default());
        state.config_mut().set_extension(Arc::clone(&passed));
        if let Some(record) = record {
            record.looked_up(&keys_of(&plan)?);
            record.carried_out(&passed);
        }
        if self.is_explained {
            return lines_of(&state.optimize(&plan)?);
        }
        let frame = DataFrame::new(state, plan);
        let context = Arc::new(frame.task_ctx());
        Ok(begin(frame.create_physical_plan().await?, context, &terms.stop)?)
    }
}

/// A statement that was prepared and never carried out ends well.
impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(record) = record {
            record.end(Ok(()));
        }
    }
}

/// The column of an EXPLAIN.
fn explained() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("logical_plan", DataType::Utf8, false)]))
}

/// A plan as rows: its nodes and expressions, without statistics.
fn lines_of(plan: &LogicalPlan) -> Result<SendableRecordBatchStream, SqlError> {
    let text = plan.display_indent().to_string();
    let lines: Vec<&str> = text.lines().collect();
    let batch = RecordBatch::try_new(explained(), vec![Arc::new(StringArray::from(lines))])
        .map_err(|error| SqlError::Internal(error.to_string()))?;
    Ok(Box::pin(MemoryStream::try_new(vec![batch], explained(), None)?))
}
