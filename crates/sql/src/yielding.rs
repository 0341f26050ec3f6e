//! Statements that give way: what makes many rows of few stops now and then, so that it can be ended.
//!
//! The engine has leaves and exchanges give way. A join of a few rows with themselves asks its leaves for nothing while it makes millions of
//! rows, and an aggregate above it asks for all of them in one go: without this, neither a caller who goes nor the time of a statement would
//! end it, and it would hold up all other statements. A join that gives no rows at all is ended by its condition.

use crate::stop::{Stop, Stoppable};
use arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
    SymmetricHashJoinExec,
};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt as _;
use std::sync::Arc;

/// Batches that are made before they are asked for.
const AHEAD: usize = 1;

/// Begins to carry out a plan, in a task of its own: whoever waits for its rows can look at the clock meanwhile, however long the next one takes.
pub(crate) fn begin(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    stop: &Stop,
) -> Result<SendableRecordBatchStream> {
    Ok(in_task_of_its_own(execute_stream(giving_way(plan, stop)?, context)?))
}

/// The same for one part of a plan.
pub(crate) fn begin_part(
    (plan, part): (Arc<dyn ExecutionPlan>, usize),
    context: Arc<TaskContext>,
    stop: &Stop,
) -> Result<SendableRecordBatchStream> {
    Ok(in_task_of_its_own(giving_way(plan, stop)?.execute(part, context)?))
}

fn in_task_of_its_own(mut batches: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut task = RecordBatchReceiverStream::builder(batches.schema(), AHEAD);
    let rows = task.tx();
    task.spawn(async move {
        while let Some(batch) = batches.next().await {
            if rows.send(batch).await.is_err() {
                // Nobody waits for them any more.
                break;
            }
        }
        Ok(())
    });
    task.build()
}

/// Has nodes that make more rows than they take give way, and joins end with their statement. The last change of a plan: what rules of the engine
/// look for is not hidden from them.
fn giving_way(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    let rewritten = plan.transform_up(|node| {
        let node = match stoppable(node.as_ref(), stop)? {
            Some(join) => join,
            None if makes_more(node.as_ref()) => node,
            None => return Ok(Transformed::no(node)),
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as _))
    });
    rewritten.data()
}

/// A join whose condition ends it with its statement. `None`: the node is none, or one that hands over rows as long as it finds pairs.
fn stoppable(node: &dyn ExecutionPlan, stop: &Stop) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let Some(filter) = held(join.filter(), *join.join_type(), stop) else { return Ok(None) };
        return Ok(Some(join.builder().with_filter(Some(filter)).build_exec()?));
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let Some(filter) = held(join.filter(), *join.join_type(), stop) else { return Ok(None) };
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?;
        return Ok(Some(Arc::new(join)));
    }
    if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        let Some(filter) = held(join.filter().as_ref(), join.join_type, stop) else { return Ok(None) };
        let join = SortMergeJoinExec::try_new(
            Arc::clone(&join.left),
            Arc::clone(&join.right),
            join.on.clone(),
            Some(filter),
            join.join_type,
            join.sort_options.clone(),
            join.null_equality,
        )?;
        return Ok(Some(Arc::new(join)));
    }
    Ok(None)
}

/// What a join asks of each pair, held to its statement. One that asks for no more than whether there is a pair hands over nothing while it finds
/// others, so that it is held as well, by what asks nothing.
fn held(filter: Option<&JoinFilter>, kind: JoinType, stop: &Stop) -> Option<JoinFilter> {
    let stoppable = |condition| Arc::new(Stoppable::new(condition, stop.clone()));
    match (filter, kind) {
        (Some(filter), _) => {
            let condition = stoppable(Arc::clone(filter.expression()));
            Some(JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema())))
        }
        (None, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) => None,
        (None, _) => {
            let nothing = stoppable(Arc::new(Literal::new(ScalarValue::Boolean(Some(true)))));
            Some(JoinFilter::new(nothing, Vec::new(), Arc::new(Schema::empty())))
        }
    }
}

fn makes_more(node: &dyn ExecutionPlan) -> bool {
    node.is::<CrossJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<SymmetricHashJoinExec>()
        || node.is::<UnnestExec>()
}
