//! Sorts and aggregates of a statement that may write to disks: groups are sorted before they are put together, and what is sorted holds no more
//! than it is.
//!
//! A sort writes what does not fit to disks and merges it again, and an aggregate over what is sorted holds one group at a time. The engine's
//! hashed aggregate writes, too, but keeps the room that its rows of keys had (dictionaries are such keys), and fails by that. What is aggregated
//! first, by hash and up to its memory, leaves one row a group where there are few groups, so that there is little to sort.

use crate::apart::Apart;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};
use std::sync::Arc;

/// Has the groups of aggregates sorted before they are put together.
#[derive(Debug)]
pub(crate) struct SortGroups;

impl PhysicalOptimizerRule for SortGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let hashed = node.downcast_ref::<AggregateExec>().filter(|of| is_hashed(of));
            Ok(match hashed.map(|of| (of, of.mode())) {
                Some((of, AggregateMode::Final | AggregateMode::FinalPartitioned)) => {
                    Transformed::yes(put_together(of, *of.mode(), Arc::clone(of.input()))?)
                }
                Some((of, AggregateMode::Single)) => {
                    Transformed::yes(put_together(of, AggregateMode::Final, first(of)?)?)
                }
                Some((of, AggregateMode::SinglePartitioned)) => {
                    Transformed::yes(put_together(of, AggregateMode::FinalPartitioned, first(of)?)?)
                }
                _ => match node.downcast_ref::<SortExec>() {
                    Some(sort) if sort.fetch().is_none() => {
                        let rows = Arc::new(Apart::new(Arc::clone(sort.input())));
                        let sorted = SortExec::new(sort.expr().clone(), rows);
                        let is_by_part = sort.preserve_partitioning();
                        Transformed::yes(Arc::new(sorted.with_preserve_partitioning(is_by_part)) as _)
                    }
                    _ => Transformed::no(node),
                },
            })
        });
        rewritten.data()
    }

    fn name(&self) -> &'static str {
        "sort_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether an aggregate holds all its groups at once, however many there are.
fn is_hashed(of: &AggregateExec) -> bool {
    !of.group_expr().is_true_no_grouping()
        && *of.input_order_mode() == InputOrderMode::Linear
        && of.limit_options().is_none()
}

/// What an aggregate of one step makes of its rows first.
fn first(of: &AggregateExec) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(Arc::new(AggregateExec::try_new(
        AggregateMode::Partial,
        of.group_expr().clone(),
        of.aggr_expr().to_vec(),
        of.filter_expr().to_vec(),
        Arc::clone(of.input()),
        of.input_schema(),
    )?))
}

/// The groups that were made first, sorted and put together.
fn put_together(
    of: &AggregateExec,
    mode: AggregateMode,
    first: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let groups = match of.mode() {
        AggregateMode::Final | AggregateMode::FinalPartitioned => of.group_expr().clone(),
        _ => of.group_expr().as_final(),
    };
    let schema = first.schema();
    let keys = schema.fields().iter().take(groups.num_group_exprs()).enumerate();
    let keys = keys
        .map(|(number, field)| PhysicalSortExpr::new_default(Arc::new(Column::new(field.name(), number))));
    let sorted = match LexOrdering::new(keys) {
        Some(keys) => {
            Arc::new(SortExec::new(keys, Arc::new(Apart::new(first))).with_preserve_partitioning(true))
        }
        None => first,
    };
    let (aggregates, input_schema) = (of.aggr_expr().to_vec(), of.input_schema());
    let filters = vec![None; aggregates.len()];
    Ok(Arc::new(AggregateExec::try_new(mode, groups, aggregates, filters, sorted, input_schema)?))
}
