//! The node of a plan that reads rows: opaque, so that no rule of the engine looks through it.
//!
//! It has no children and no expressions, tells no statistics and no metrics, and takes in nothing when a plan is rewritten.

use crate::columns;
use crate::error::ScanError;
use crate::passed::Passed;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream;
use gridtrail_access::{Access, Disclosure};
use gridtrail_lake::{Found, ScanPart, ScanRows, View};
use std::fmt;
use std::sync::Arc;

/// About how many bytes a row takes before it is put into columns.
const ROW_BYTES: usize = size_of::<Found>() + 1_024;

/// Who reads, which rows, and what counts them.
type Caller = (Access, View, Arc<Passed>);

/// Reads the parts of a scan.
pub(crate) struct TrailScan {
    caller: Caller,
    parts: Vec<ScanPart>,
    schema: SchemaRef,
    /// The numbers of the columns that are wanted.
    wanted: Arc<[usize]>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl TrailScan {
    pub(crate) fn new(
        caller: Caller,
        parts: Vec<ScanPart>,
        (schema, wanted): (SchemaRef, Vec<usize>),
        limit: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(parts.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { caller, parts, schema, wanted: wanted.into(), limit, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for TrailScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailScan").finish_non_exhaustive()
    }
}

impl DisplayAs for TrailScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrailScan")
    }
}

impl ExecutionPlan for TrailScan {
    fn name(&self) -> &'static str {
        "TrailScan"
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
        let scan = self.parts.get(part);
        let scan =
            scan.ok_or_else(|| DataFusionError::Internal("there is no such part of a scan".to_owned()))?;
        let held = MemoryConsumer::new("the rows being read").register(context.memory_pool());
        let reading = Reading {
            caller: self.caller.clone(),
            base: usize::try_from(scan.bytes()).unwrap_or(usize::MAX),
            rows: scan.rows(),
            schema: Arc::clone(&self.schema),
            wanted: Arc::clone(&self.wanted),
            left: self.limit,
            held,
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// One part, being read.
struct Reading {
    caller: Caller,
    /// Bytes that reading the part takes.
    base: usize,
    rows: ScanRows,
    schema: SchemaRef,
    wanted: Arc<[usize]>,
    /// How many more rows are wanted.
    left: Option<usize>,
    held: MemoryReservation,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        self.held.try_resize(self.base)?;
        let Some(mut found) = self.rows.next().await.map_err(ScanError::from)? else {
            self.held.free();
            return Ok(None);
        };
        if let Some(left) = &mut self.left {
            found.truncate(*left);
            *left -= found.len();
        }
        self.held.try_resize(self.base.saturating_add(found.len() * ROW_BYTES))?;
        let (who, view, passed) = &self.caller;
        let is_of_another = |row: &&Found| who.disclosure(row.fragment.key.user) == Disclosure::MeterRead;
        passed.add_of_others(found.iter().filter(is_of_another).count());
        Ok(Some(columns::batch((who, *view), &found, (&self.schema, &self.wanted))?))
    }
}
