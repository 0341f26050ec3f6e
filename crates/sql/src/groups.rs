//! Grouping by words: what the engine does row by row, done by places in dictionaries.
//!
//! The engine's own grouping makes a row of bytes of each row's keys where one of them has a dictionary, and looks that up. Columns of trails
//! have few different words, and repeat them. So here each word of a batch is looked up once, a row's group is found by the places of its
//! words, and what is aggregated of a group is left to the engine's own accumulators.
//!
//! The node stands above the row filter, and takes the place of one of the engine's: it sees what that would see.

mod hours;
mod keys;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt as _, stream};
use hours::Hours;
use keys::Groups;
use std::fmt;
use std::sync::Arc;

/// Has aggregates go by the words of their keys, where they can.
#[derive(Debug)]
pub(crate) struct GroupByWords;

impl PhysicalOptimizerRule for GroupByWords {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let grouped = node.downcast_ref::<AggregateExec>().filter(|of| can_go_by_words(of));
            Ok(match grouped {
                Some(_) => Transformed::yes(Arc::new(WordGroups { aggregate: node }) as _),
                None => Transformed::no(node),
            })
        });
        rewritten.data()
    }

    fn name(&self) -> &'static str {
        "group_by_words"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_word(kind: &DataType) -> bool {
    matches!(kind, DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8)
}

/// Whether an aggregate is one that may go by the words of its keys, of which at least one has to have a dictionary, or be a time that is cut.
fn can_go_by_words(of: &AggregateExec) -> bool {
    let is_of_mode = matches!(
        of.mode(),
        AggregateMode::Partial | AggregateMode::Single | AggregateMode::SinglePartitioned
    );
    let group = of.group_expr();
    let kinds: Result<Vec<DataType>> =
        group.expr().iter().map(|(key, _)| key.data_type(&of.input_schema())).collect();
    let is_key = |kind: &DataType| {
        is_word(kind)
            || matches!(
                kind,
                DataType::Utf8
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Timestamp(TimeUnit::Millisecond, _)
            )
    };
    is_of_mode
        && group.is_single()
        && !group.has_grouping_set()
        && of.limit_options().is_none()
        && of.dynamic_expressions_produced().is_empty()
        && of.aggr_expr().iter().all(|one| one.groups_accumulator_supported() && one.order_bys().is_empty())
        && kinds.is_ok_and(|kinds| {
            let is_cut =
                |(key, _): &(Arc<dyn PhysicalExpr>, String)| Hours::of(key, &of.input_schema()).is_some();
            kinds.iter().all(is_key) && (kinds.iter().any(is_word) || group.expr().iter().any(is_cut))
        })
}

/// An aggregate whose groups go by words.
pub(crate) struct WordGroups {
    /// The engine's node that this one stands for.
    aggregate: Arc<dyn ExecutionPlan>,
}

impl WordGroups {
    /// Groups that stand for an aggregate.
    pub(crate) fn over(aggregate: Arc<dyn ExecutionPlan>) -> Result<Self> {
        match aggregate.downcast_ref::<AggregateExec>().is_some_and(can_go_by_words) {
            true => Ok(Self { aggregate }),
            false => Err(DataFusionError::Internal("an aggregate that cannot go by words".to_owned())),
        }
    }

    /// The engine's node that it stands for.
    pub(crate) const fn aggregate(&self) -> &Arc<dyn ExecutionPlan> {
        &self.aggregate
    }

    fn of(&self) -> Result<&AggregateExec> {
        let aggregate = self.aggregate.downcast_ref::<AggregateExec>();
        aggregate.ok_or_else(|| DataFusionError::Internal("no aggregate to stand for".to_owned()))
    }
}

impl fmt::Debug for WordGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordGroups").field("aggregate", &self.aggregate).finish()
    }
}

impl DisplayAs for WordGroups {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WordGroups: ")?;
        self.of().map_err(|_| fmt::Error)?.fmt_as(kind, f)
    }
}

impl ExecutionPlan for WordGroups {
    fn name(&self) -> &'static str {
        "WordGroups"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.aggregate.children()
    }

    fn apply_expressions(
        &self,
        take: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.aggregate.apply_expressions(take)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let aggregate = Arc::clone(&self.aggregate).replace_children(children, options)?;
        Ok(Arc::new(Self { aggregate }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, part: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let of = self.of()?;
        let schema = of.schema();
        let keys = of.group_expr().expr().iter().map(|(key, _)| match Hours::of(key, &of.input_schema()) {
            Some(hours) => Key::Hours(hours),
            None => Key::Of(Arc::clone(key)),
        });
        let is_partial = *of.mode() == AggregateMode::Partial;
        // What is partial gives up what it holds, as what writes to disks does.
        let gives_up = is_partial && context.runtime_env().disk_manager.tmp_files_enabled();
        let held = MemoryConsumer::new("groups of words").with_can_spill(gives_up);
        let held = held.register(context.memory_pool());
        let grouping = Grouping {
            groups: Groups::of(of.group_expr().expr().len(), of.aggr_expr())?,
            input: Some(of.input().execute(part, Arc::clone(&context))?),
            keys: keys.collect(),
            aggregates: of.aggr_expr().to_vec(),
            filters: of.filter_expr().to_vec(),
            is_partial,
            schema: Arc::clone(&schema),
            batch_rows: context.session_config().batch_size(),
            ready: None,
            held,
        };
        let batches = stream::try_unfold(grouping, |mut grouping| async move {
            Ok(grouping.next().await?.map(|batch| (batch, grouping)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// What rows are grouped by.
enum Key {
    Of(Arc<dyn PhysicalExpr>),
    Hours(Hours),
}

/// One part, being aggregated.
struct Grouping {
    input: Option<SendableRecordBatchStream>,
    keys: Vec<Key>,
    aggregates: Vec<Arc<AggregateFunctionExpr>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Whether states are given, for somebody else to put together.
    is_partial: bool,
    schema: SchemaRef,
    batch_rows: usize,
    groups: Groups,
    /// What was made of groups, and how much of it was given.
    ready: Option<(RecordBatch, usize)>,
    held: MemoryReservation,
}

impl Grouping {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some((batch, given)) = &mut self.ready {
                let rows = self.batch_rows.min(batch.num_rows() - *given);
                if rows > 0 {
                    let part = batch.slice(*given, rows);
                    *given += rows;
                    return Ok(Some(part));
                }
                self.ready = None;
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            match input.next().await.transpose()? {
                Some(batch) => {
                    self.take(&batch)?;
                    match self.held.try_resize(self.bytes()) {
                        Ok(()) => {}
                        // Whoever puts states together may have more than one of a group.
                        Err(_) if self.is_partial => self.make()?,
                        Err(error) => return Err(error),
                    }
                }
                None => {
                    self.input = None;
                    self.make()?;
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        let of_key = |key: &Key| match key {
            Key::Of(_) => 0,
            Key::Hours(hours) => hours.bytes(),
        };
        self.groups.bytes() + self.keys.iter().map(of_key).sum::<usize>()
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let value = |of: &Arc<dyn PhysicalExpr>| of.evaluate(batch)?.into_array(rows);
        let of_key = |key: &mut Key| match key {
            Key::Of(key) => value(key),
            Key::Hours(hours) => hours.cut(batch),
        };
        let keys: Vec<ArrayRef> = self.keys.iter_mut().map(of_key).collect::<Result<_>>()?;
        self.groups.find(&keys, rows)?;
        for ((aggregate, filter), accumulator) in
            self.aggregates.iter().zip(&self.filters).zip(&mut self.groups.accumulators)
        {
            let values: Vec<ArrayRef> = aggregate.expressions().iter().map(value).collect::<Result<_>>()?;
            let filter = filter.as_ref().map(value).transpose()?;
            let filter = filter.as_ref().map(|filter| {
                filter
                    .as_boolean_opt()
                    .ok_or_else(|| DataFusionError::Internal("a filter is no truth value".to_owned()))
            });
            accumulator.update_batch(
                &values,
                &self.groups.of_rows,
                filter.transpose()?,
                self.groups.count,
            )?;
        }
        Ok(())
    }

    /// Makes rows of all groups so far, and begins anew.
    fn make(&mut self) -> Result<()> {
        let anew = Groups::of(self.keys.len(), &self.aggregates)?;
        let mut groups = std::mem::replace(&mut self.groups, anew);
        let mut columns = groups.keys(&self.schema)?;
        for accumulator in &mut groups.accumulators {
            match self.is_partial {
                true => columns.extend(accumulator.state(EmitTo::All)?),
                false => columns.push(accumulator.evaluate(EmitTo::All)?),
            }
        }
        self.held.free();
        self.ready = Some((RecordBatch::try_new(Arc::clone(&self.schema), columns)?, 0));
        Ok(())
    }
}
