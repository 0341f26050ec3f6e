//! The secured session: the only way to a statement's answer.

use crate::admission::{Admitted, admit, admit_plan};
use crate::catalogue::{CATALOGUE, Catalogue, SCHEMA};
use crate::columns::UTC;
use crate::error::SqlError;
use crate::functions;
use crate::groups::GroupByWords;
use crate::limits::{BATCH_ROWS, STATEMENT_BYTES_MAX, SqlLimits};
use crate::table::TrailTable;
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::config::Dialect;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use futures::StreamExt as _;
use gridtrail_access::Access;
use gridtrail_lake::Snapshot;
use gridtrail_runtime::Clock;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// A session of one caller over one snapshot.
///
/// It is made for the rights that its caller has then. Whoever asks again later, or with other rights, gets another session: no plan and no
/// memory is shared between two.
pub struct SecuredSession {
    state: SessionState,
    catalogue: Catalogue,
    who: Access,
    clock: Clock,
    limits: SqlLimits,
}

impl std::fmt::Debug for SecuredSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecuredSession").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl SecuredSession {
    /// A session over a snapshot, with the tables that the caller's Job Type Roles allow.
    ///
    /// Errors: `Access` where the access is over or the caller has no role.
    pub fn new(
        snapshot: &Arc<Snapshot>,
        who: &Access,
        clock: Clock,
        limits: SqlLimits,
    ) -> Result<Self, SqlError> {
        who.require_any_role(clock.now())?;
        let permitted = TrailTable::ALL.into_iter().filter(|(.., component)| who.permits(*component));
        let table = |(name, view, _)| {
            let table = TrailTable::new(snapshot, who, view, limits.parts);
            (name, Arc::new(table) as Arc<dyn TableProvider>)
        };
        let catalogue = Catalogue::of(permitted.map(table));
        let state = state(&catalogue, &limits)?;
        Ok(Self { state, catalogue, who: who.clone(), clock, limits })
    }

    /// Answers one statement.
    ///
    /// Errors: every kind. Cancel-safe: nothing goes on when the answer is dropped.
    pub async fn query(&self, statement: &str) -> Result<SqlAnswer, SqlError> {
        self.who.require_any_role(self.clock.now())?;
        let until = Instant::now() + self.limits.time;
        match timeout_at(until, self.start(statement)).await {
            Ok(rows) => self.answer(rows?, until),
            Err(_) => Err(self.took_too_long()),
        }
    }

    fn answer(&self, rows: SendableRecordBatchStream, until: Instant) -> Result<SqlAnswer, SqlError> {
        let (who, clock, limits) = (self.who.clone(), self.clock.clone(), self.limits.clone());
        Ok(SqlAnswer { rows, until, who, clock, limits })
    }

    async fn start(&self, statement: &str) -> Result<SendableRecordBatchStream, SqlError> {
        if statement.len() > STATEMENT_BYTES_MAX {
            let why =
                format!("a statement may have {STATEMENT_BYTES_MAX} bytes; this one has {}", statement.len());
            return Err(SqlError::Statement(why));
        }
        let statement = self.state.sql_to_statement(statement, &Dialect::PostgreSQL)?;
        match admit(statement)? {
            Admitted::Query(statement) => {
                let plan = self.state.statement_to_plan(statement).await?;
                admit_plan(&plan, &self.catalogue)?;
                self.rows_of(plan).await
            }
            Admitted::Explain(statement) => {
                let plan = self.state.statement_to_plan(statement).await?;
                admit_plan(&plan, &self.catalogue)?;
                let plan = self.state.optimize(&plan)?;
                let lines = plan.display_indent().to_string();
                let lines: Vec<&str> = lines.lines().collect();
                let schema = Arc::new(Schema::new(vec![Field::new("logical_plan", DataType::Utf8, false)]));
                let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(lines))])
                    .map_err(|error| SqlError::Internal(error.to_string()))?;
                let memory = datafusion::physical_plan::memory::MemoryStream::try_new(
                    vec![batch.clone()],
                    batch.schema(),
                    None,
                );
                Ok(Box::pin(memory?))
            }
        }
    }

    async fn rows_of(&self, plan: LogicalPlan) -> Result<SendableRecordBatchStream, SqlError> {
        Ok(DataFrame::new(self.state.clone(), plan).execute_stream().await?)
    }

    fn took_too_long(&self) -> SqlError {
        SqlError::Time { seconds: self.limits.time.as_secs() }
    }
}

/// What a session knows: its tables, the functions of the lists, memory of its own, and no file or address.
fn state(catalogue: &Catalogue, limits: &SqlLimits) -> Result<SessionState, SqlError> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOGUE, SCHEMA)
        .with_information_schema(true)
        .with_collect_statistics(false)
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(usize::try_from(limits.parts.get()).unwrap_or(1));
    let execution = &mut config.options_mut().execution;
    execution.enable_recursive_ctes = false;
    // Times of statements are of the zone that columns are of.
    execution.time_zone = Some(UTC.to_owned());
    let mut rules = PhysicalOptimizer::new().rules;
    rules.push(Arc::new(GroupByWords));
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime(limits)?)
        .with_catalog_list(Arc::new(catalogue.clone()))
        .with_physical_optimizer_rules(rules);
    Ok(functions::register(builder).build())
}

fn runtime(limits: &SqlLimits) -> Result<Arc<RuntimeEnv>, SqlError> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    // The engine's own: nothing reads files here, and nothing is to begin to.
    let files = ObjectStoreUrl::local_filesystem();
    runtime.deregister_object_store(files.as_ref())?;
    Ok(runtime)
}

/// The answer to a statement: rows, a batch at a time.
pub struct SqlAnswer {
    rows: SendableRecordBatchStream,
    until: Instant,
    who: Access,
    clock: Clock,
    limits: SqlLimits,
}

impl std::fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlAnswer").finish_non_exhaustive()
    }
}

impl SqlAnswer {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next rows; `None` at the end.
    ///
    /// Errors: `Access` where the caller's access ended meanwhile; `Time`, `Memory`, `Expression`, `Lake`.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        self.who.require_any_role(self.clock.now())?;
        match timeout_at(self.until, self.rows.next()).await {
            Ok(batch) => Ok(batch.transpose()?),
            Err(_) => Err(SqlError::Time { seconds: self.limits.time.as_secs() }),
        }
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
