//! Scans and tables of plans that another process made: what they read is found when they are first asked for rows.

use crate::elsewhere::PlanCodec;
use crate::elsewhere::told::{Told, ToldScan};
use crate::error::{PartError, SqlError};
use crate::passed::Passed;
use crate::scanned::properties_of;
use crate::table::{Source, TableOf};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{TryStreamExt as _, stream};
use gridtrail_lake::LakeError;
use gridtrail_model::Timestamp;
use gridtrail_search::InventoryRules;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What another process said of a table, and the rights that it sealed for that.
pub(super) struct Received {
    pub(super) codec: PlanCodec,
    pub(super) told: Told,
    /// The bytes that say it, to which the rights are bound.
    pub(super) bytes: Vec<u8>,
    pub(super) rights: Vec<u8>,
}

impl Received {
    pub(super) fn table(&self) -> Result<&'static TableOf> {
        TableOf::known(&self.told.table).ok_or_else(|| unreadable("it names a table that there is not"))
    }

    /// The table over what it reads here, its lake at those versions, for whom the rights are: they have to be allowed the table.
    async fn opened(&self) -> Result<(&'static TableOf, Source), SqlError> {
        let Self { codec, told, .. } = self;
        let who = codec.key.open(&self.rights, &self.bytes, codec.clock.now())?;
        let lake = codec.lakes.lake(&told.lake).await?;
        let of_lake = |error: LakeError| SqlError::Lake(error.into());
        let version = told.version.parse().map_err(of_lake)?;
        let snapshot = lake.snapshot_at(&version).await.map_err(of_lake)?;
        let calls = match &told.calls {
            Some(address) => Some(codec.lakes.lake(address).await?),
            None => None,
        };
        let rules =
            |(at, every_type_two)| Some(InventoryRules { at: Timestamp::from_millis(at)?, every_type_two });
        let due_after = Timestamp::from_millis(told.due_after_ms)
            .ok_or_else(|| SqlError::Internal("a plan says a time that there is not".to_owned()))?;
        let parts = NonZeroU32::new(told.parts).unwrap_or(NonZeroU32::MIN);
        let source = Source {
            lake: Some(lake),
            calls,
            inventory: told.inventory.and_then(rules),
            is_of_reports: told.is_of_reports,
            ..Source::new((snapshot, due_after), who, parts)
        };
        let table = TableOf::named(&told.table, &source);
        let table = table.ok_or_else(|| SqlError::Statement(format!("there is no table {}", told.table)))?;
        Ok((table, source))
    }

    /// Rows that came with it, of a table that one process alone knows. What seals them was opened before.
    fn rows_of(&self, table: &TableOf) -> Result<Option<Vec<RecordBatch>>> {
        let Some(rows) = &self.told.rows else { return Ok(None) };
        if !table.is_of_process() {
            return Err(unreadable("rows came with it of a table that is read from a lake"));
        }
        Ok(Some(StreamReader::try_new(rows.as_slice(), None)?.collect::<std::result::Result<_, _>>()?))
    }
}

pub(super) fn unreadable(why: &str) -> DataFusionError {
    DataFusionError::Internal(format!("a plan of another process cannot be read: {why}"))
}

/// A scan of a plan that another process made.
pub(super) struct ReceivedScan {
    found: Arc<Found>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

/// What it reads, and the node that does, once it was asked for rows.
struct Found {
    of: Received,
    scan: ToldScan,
    node: OnceCell<Arc<dyn ExecutionPlan>>,
}

impl ReceivedScan {
    pub(super) fn new(of: Received) -> Result<Self> {
        let scan = of.told.scan.clone().ok_or_else(|| unreadable("it does not say what of a table"))?;
        let schema = Arc::new(of.table()?.info().schema.project(&scan.wanted)?);
        let properties = properties_of(&schema, scan.parts);
        Ok(Self { found: Arc::new(Found { of, scan, node: OnceCell::new() }), schema, properties })
    }

    /// The bytes that it came as, which stay as they are when it goes on to another process.
    pub(super) fn received(&self) -> &Received {
        &self.found.of
    }
}

impl Found {
    async fn node(&self, context: &TaskContext) -> Result<Arc<dyn ExecutionPlan>> {
        let (table, source) = self.of.opened().await.map_err(PartError::from)?;
        let (wanted, limit): (Arc<[usize]>, _) = (self.scan.wanted.as_slice().into(), self.scan.limit);
        let Some(view) = table.view() else {
            let listed = table.listed_over(&source);
            let listed = listed.ok_or_else(|| unreadable("this process has nothing of its table"))?;
            return Ok(Arc::new(listed.scan_of(wanted, limit)?));
        };
        let trails = table.trails_over(&source).ok_or_else(|| unreadable("nobody's rights came with it"))?;
        let query = self.scan.query(view).ok_or_else(|| unreadable("its conditions are none of a scan"))?;
        let passed = context.session_config().get_extension::<Passed>().unwrap_or_default();
        Ok(Arc::new(trails.scan_of(query, (wanted, limit), passed).await?))
    }
}

impl fmt::Debug for ReceivedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedScan").finish_non_exhaustive()
    }
}

impl DisplayAs for ReceivedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedScan")
    }
}

impl ExecutionPlan for ReceivedScan {
    fn name(&self) -> &'static str {
        "ReceivedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, part: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let found = Arc::clone(&self.found);
        let schema = Arc::clone(&self.schema);
        let batches = stream::once(async move {
            if found.of.told.rows.is_some() {
                let (table, _) = found.of.opened().await.map_err(PartError::from)?;
                let rows = found.of.rows_of(table)?.unwrap_or_default();
                let rows: SendableRecordBatchStream = Box::pin(MemoryStream::try_new(rows, schema, None)?);
                return Ok(rows);
            }
            let node = found.node.get_or_try_init(|| found.node(&context)).await?;
            node.execute(part, Arc::clone(&context))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches.try_flatten())))
    }
}

/// A table of a plan that another process made.
pub(super) struct ReceivedTable {
    of: Received,
    schema: SchemaRef,
}

impl ReceivedTable {
    pub(super) fn new(of: Received) -> Result<Self> {
        let schema = of.table()?.info().schema;
        Ok(Self { of, schema })
    }

    pub(super) const fn received(&self) -> &Received {
        &self.of
    }
}

impl fmt::Debug for ReceivedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedTable").finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ReceivedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, conditions: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(self.of.table()?.supported(conditions))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        conditions: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (table, source) = self.of.opened().await.map_err(PartError::from)?;
        if let Some(rows) = self.of.rows_of(table)? {
            let rows = MemTable::try_new(Arc::clone(&self.schema), vec![rows])?;
            return rows.scan(state, projection, conditions, limit).await;
        }
        let provider = table.over(&source);
        let provider = provider.ok_or_else(|| unreadable("this process has nothing of its table"))?;
        provider.scan(state, projection, conditions, limit).await
    }
}
