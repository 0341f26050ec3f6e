//! Rows apart from what they were cut from.
//!
//! What aggregates give is cut from all of it, batch by batch, and each batch counts as large as all of it. A sort that holds batches within a
//! memory would take a few for all its memory, though they hold little.

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt as _;
use std::fmt;
use std::sync::Arc;

/// Gives the rows of another node, each batch with memory of its own.
#[derive(Debug)]
pub(crate) struct Apart {
    rows: Arc<dyn ExecutionPlan>,
}

impl Apart {
    pub(crate) fn new(rows: Arc<dyn ExecutionPlan>) -> Self {
        Self { rows }
    }
}

/// The rows of a batch in memory of their own, where it holds more than twice what they take.
fn apart(batch: RecordBatch) -> Result<RecordBatch> {
    let own = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    let own = own.sum::<std::result::Result<usize, _>>()?;
    if batch.get_array_memory_size() <= own.saturating_mul(2) {
        return Ok(batch);
    }
    // Batches have a few thousand rows.
    let all = UInt32Array::from_iter_values(0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
    Ok(take_record_batch(&batch, &all)?)
}

impl DisplayAs for Apart {
    fn fmt_as(&self, _: DisplayFormatType, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Apart")
    }
}

impl ExecutionPlan for Apart {
    fn name(&self) -> &'static str {
        "Apart"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.rows.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(children.pop().map_or(Arc::clone(&self) as _, |rows| Arc::new(Self { rows }) as _))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, part: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.rows.execute(part, context)?;
        let schema = rows.schema();
        let rows = rows.map(|batch| batch.and_then(apart));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, AsArray as _, StringArray};

    #[test]
    fn a_cut_of_much_takes_what_it_has() {
        let texts: StringArray = (0..10_000).map(|n| Some(format!("text {n}"))).collect();
        let all = RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap();
        let cut = all.slice(5_000, 10);
        let small = apart(cut.clone()).unwrap();
        assert_eq!(small, cut);
        assert!(small.get_array_memory_size() < 2_000 && cut.get_array_memory_size() > 100_000);
        // What has its own memory stays where it is.
        let place = |batch: &RecordBatch| batch.column(0).as_string::<i32>().values().as_ptr();
        assert_eq!(place(&apart(small.clone()).unwrap()), place(&small));
    }
}
