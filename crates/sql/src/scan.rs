//! The node of a plan that reads rows: opaque, so that no rule of the engine looks through it.
//!
//! It has no children and no expressions, tells no statistics and no metrics, and takes in nothing when a plan is rewritten.

use crate::error::ScanError;
use crate::passed::Passed;
use crate::scanned::{Scanned, properties_of};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream;
use gridtrail_lake::{ScanColumns, ScanPart, ScanQuery, TrailField, View};
use std::fmt;
use std::sync::Arc;

/// Reads the parts of a scan.
pub(crate) struct TrailScan {
    of: Scanned,
    passed: Arc<Passed>,
    parts: Vec<ScanPart>,
    /// The fields that are wanted, in the order of the schema.
    fields: Arc<[TrailField]>,
    properties: Arc<PlanProperties>,
}

impl TrailScan {
    pub(crate) fn new(of: Scanned, (view, passed): (View, Arc<Passed>), parts: Vec<ScanPart>) -> Self {
        let properties = properties_of(&of.schema, parts.len());
        let all: Vec<TrailField> = TrailField::of_view(view).collect();
        let fields = of.wanted.iter().filter_map(|number| all.get(*number)).copied().collect();
        Self { of, passed, parts, fields, properties }
    }

    /// What it reads, and which rows of that.
    pub(crate) fn told(&self) -> (&Scanned, usize, Option<&ScanQuery>) {
        (&self.of, self.parts.len(), self.parts.first().map(ScanPart::query))
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
        let batch_rows = context.session_config().batch_size();
        let reading = Reading {
            passed: Arc::clone(&self.passed),
            base: usize::try_from(scan.column_bytes()).unwrap_or(usize::MAX),
            columns: scan.columns(Arc::clone(&self.fields)).in_batches_of(batch_rows),
            schema: Arc::clone(&self.of.schema),
            left: self.of.limit,
            held,
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.of.schema), batches)))
    }
}

/// One part, being read.
struct Reading {
    passed: Arc<Passed>,
    /// Bytes that reading the part takes.
    base: usize,
    columns: ScanColumns,
    schema: SchemaRef,
    /// How many more rows are wanted.
    left: Option<usize>,
    held: MemoryReservation,
}

impl Reading {
    /// Takes of the session's memory what the scan holds, with a batch of so many bytes.
    fn hold(&mut self, batch: usize) -> Result<()> {
        let carried = usize::try_from(self.columns.carried_bytes()).unwrap_or(usize::MAX);
        self.held.try_resize(self.base.saturating_add(carried).saturating_add(batch))
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        self.hold(0)?;
        let Some(columns) = self.columns.next().await.map_err(ScanError::from)? else {
            self.held.free();
            return Ok(None);
        };
        self.passed.add_of_others(columns.of_others);
        let options = RecordBatchOptions::new().with_row_count(Some(columns.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.arrays, &options)?;
        self.hold(batch.get_array_memory_size())?;
        let Some(left) = &mut self.left else { return Ok(Some(batch)) };
        let batch = batch.slice(0, batch.num_rows().min(*left));
        *left -= batch.num_rows();
        Ok(Some(batch))
    }
}
