//! The weight of a plan: its nodes, and its expressions as they are when each column stands for what it is made of.

use super::Weight;
use super::repeated::{BETWEEN, COMPARED, Repeated, alternatives, cases, of_function, subsets_of};
use crate::error::SqlError;
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan};

/// Demands that a plan is no larger than what is rewritten and carried out.
///
/// Conditions are moved towards the tables that they are about, and name then what the columns of a select are made of. How large they may get is
/// what is counted, be they moved or not.
pub(crate) fn weigh_plan(plan: &LogicalPlan) -> std::result::Result<(), SqlError> {
    let mut weighing = Weighing::default();
    plan.visit_with_subqueries(&mut weighing)?;
    // What a subquery says of the rows around it becomes a condition of a join there.
    let of_outer = weighing.outer.saturating_mul(weighing.largest);
    weighing.weight.add(Weight { nodes: 0, expressions: of_outer });
    weighing.weight.check()
}

/// How many expressions each column of a node is made of.
type Columns = Vec<u64>;

#[derive(Default)]
struct Weighing {
    weight: Weight,
    /// For each node that is walked over, from the first: those of its subqueries and then of its inputs that are done.
    done: Vec<Vec<Columns>>,
    /// The most that a column is made of.
    largest: u64,
    /// How often subqueries name columns from around them.
    outer: u64,
}

impl Weighing {
    /// How many expressions one of a node is, over these inputs.
    fn expanded(&mut self, expression: &Expr, inputs: &[(&LogicalPlan, Columns)]) -> Result<u64> {
        let mut sizing = Sizing { inputs, repeated: Repeated::default(), sum: 0, outer: 0 };
        expression.visit(&mut sizing)?;
        self.outer = self.outer.saturating_add(sizing.outer);
        Ok(sizing.sum.max(1))
    }
}

/// How large an expression is where each column stands for what it is made of, and what the engine repeats is repeated.
struct Sizing<'a> {
    inputs: &'a [(&'a LogicalPlan, Columns)],
    repeated: Repeated,
    sum: u64,
    outer: u64,
}

impl TreeNodeVisitor<'_> for Sizing<'_> {
    type Node = Expr;

    fn f_down(&mut self, part: &Expr) -> Result<TreeNodeRecursion> {
        let times = self.repeated.within(times_of(part));
        let size = match part {
            Expr::Column(column) => size_of(column, self.inputs),
            Expr::OuterReferenceColumn(..) => {
                self.outer = self.outer.saturating_add(times);
                1
            }
            Expr::Alias(_) => 0,
            Expr::GroupingSet(GroupingSet::Cube(groups)) => subsets_of(groups.len()),
            _ => 1,
        };
        self.sum = self.sum.saturating_add(size.saturating_mul(times));
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, _: &Expr) -> Result<TreeNodeRecursion> {
        self.repeated.behind();
        Ok(TreeNodeRecursion::Continue)
    }
}

fn times_of(part: &Expr) -> u64 {
    match part {
        Expr::Between(_) => BETWEEN,
        Expr::InList(list) => alternatives(list.list.len()),
        Expr::Case(case) => cases(case.when_then_expr.len()),
        Expr::ScalarFunction(function) => of_function(function.name()),
        Expr::BinaryExpr(binary) if binary.op.supports_propagation() => COMPARED,
        _ => 1,
    }
}

/// How many branches the unions of a plan have together: a condition above them is put into each.
fn branches_of(plan: &LogicalPlan) -> Result<u64> {
    let mut branches = 1_u64;
    plan.apply(|node| {
        if let LogicalPlan::Union(union) = node {
            branches = branches.saturating_add(union.inputs.len().saturating_sub(1) as u64);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(branches)
}

/// What a column is made of; where it cannot be told which it is, the most that one is.
fn size_of(column: &Column, inputs: &[(&LogicalPlan, Columns)]) -> u64 {
    let found = inputs.iter().find_map(|(input, sizes)| {
        let place = input.schema().index_of_column_by_name(column.relation.as_ref(), &column.name)?;
        sizes.get(place).copied()
    });
    found.unwrap_or_else(|| largest_of(inputs))
}

fn largest_of(inputs: &[(&LogicalPlan, Columns)]) -> u64 {
    inputs.iter().flat_map(|(_, sizes)| sizes).copied().max().unwrap_or(1)
}

/// What the columns of a node are made of that hands on those of its inputs.
fn handed_on(node: &LogicalPlan, inputs: &[(&LogicalPlan, Columns)]) -> Columns {
    let columns = node.schema().fields().len();
    if let LogicalPlan::Union(_) = node {
        let at =
            |place| inputs.iter().filter_map(|(_, sizes): &(_, Columns)| sizes.get(place).copied()).max();
        return (0..columns).map(|place| at(place).unwrap_or(1)).collect();
    }
    let all: Columns = inputs.iter().flat_map(|(_, sizes)| sizes).copied().collect();
    match node {
        // It adds columns of its own, behind those.
        LogicalPlan::Window(_) => all.into_iter().chain(std::iter::repeat(1)).take(columns).collect(),
        _ if all.len() == columns => all,
        _ => vec![largest_of(inputs); columns],
    }
}

impl TreeNodeVisitor<'_> for Weighing {
    type Node = LogicalPlan;

    fn f_down(&mut self, _: &LogicalPlan) -> Result<TreeNodeRecursion> {
        self.weight.add(Weight::NODE);
        self.done.push(Vec::new());
        Ok(if self.weight.check().is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    }

    fn f_up(&mut self, node: &LogicalPlan) -> Result<TreeNodeRecursion> {
        let mut done = self.done.pop().unwrap_or_default();
        let nodes = node.inputs();
        let of_inputs = done.split_off(done.len().saturating_sub(nodes.len()));
        let inputs: Vec<(&LogicalPlan, Columns)> = nodes.into_iter().zip(of_inputs).collect();
        let mut sizes = Columns::new();
        let copies = if matches!(node, LogicalPlan::Filter(_)) { branches_of(node)? } else { 1 };
        node.apply_expressions(|expression| {
            let size = self.expanded(expression, &inputs)?;
            self.weight.add(Weight { nodes: 0, expressions: size.saturating_mul(copies) });
            sizes.push(size);
            Ok(TreeNodeRecursion::Continue)
        })?;
        let columns = match node {
            LogicalPlan::Projection(_) => sizes,
            // Its groups may be asked for what they are made of; what is aggregated of them is there only behind it.
            LogicalPlan::Aggregate(of) if sizes.len() == node.schema().fields().len() => {
                sizes.truncate(of.group_expr.len());
                sizes.resize(node.schema().fields().len(), 1);
                sizes
            }
            _ => handed_on(node, &inputs),
        };
        self.largest = columns.iter().copied().fold(self.largest, u64::max);
        if let Some(around) = self.done.last_mut() {
            around.push(columns);
        }
        Ok(if self.weight.check().is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    }
}
