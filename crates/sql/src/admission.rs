//! Which statements are planned, and which plans are carried out: lists of what is allowed, and nothing else.

use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::functions::{is_aggregate, is_scalar, is_window};
use crate::growth::is_unheld;
use crate::weight::weigh_plan;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::sql::parser::{ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

/// A statement that may be planned.
pub(crate) enum Admitted {
    /// One that is answered by rows.
    Query(Statement),
    /// One whose logical plan is told.
    Explain(Statement),
}

/// Admits a statement, before anything is planned for it.
pub(crate) fn admit(statement: Statement) -> Result<Admitted, SqlError> {
    match statement {
        Statement::Explain(ExplainStatement { options, statement }) => {
            if options.analyze || options.verbose {
                return Err(SqlError::refused("EXPLAIN with ANALYZE or VERBOSE"));
            }
            match admit(*statement)? {
                Admitted::Query(statement) => Ok(Admitted::Explain(statement)),
                Admitted::Explain(_) => Err(SqlError::refused("EXPLAIN of EXPLAIN")),
            }
        }
        Statement::Statement(inner) => match *inner {
            SqlStatement::Query(_) | SqlStatement::ShowTables { .. } | SqlStatement::ShowColumns { .. } => {
                Ok(Admitted::Query(Statement::Statement(inner)))
            }
            other => Err(SqlError::refused(first_word_of(&other.to_string()))),
        },
        Statement::CreateExternalTable(_) => Err(SqlError::refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(SqlError::refused("COPY")),
        Statement::Reset(_) => Err(SqlError::refused("RESET")),
    }
}

fn first_word_of(statement: &str) -> String {
    statement.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_ascii_uppercase()
}

/// Admits a plan, as it was made of a statement and before anything is rewritten.
pub(crate) fn admit_plan(plan: &LogicalPlan, catalogue: &Catalogue) -> Result<(), SqlError> {
    weigh_plan(plan)?;
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        let fault = match node_fault(node, catalogue) {
            Some(fault) => Some(fault),
            None => expressions_fault(node)?,
        };
        if fault.is_none() {
            return Ok(TreeNodeRecursion::Continue);
        }
        refused = fault;
        Ok::<_, DataFusionError>(TreeNodeRecursion::Stop)
    })?;
    refused.map_or(Ok(()), |what| Err(SqlError::Refused { what }))
}

/// What is wrong with a node itself.
fn node_fault(node: &LogicalPlan, catalogue: &Catalogue) -> Option<String> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_) => None,
        LogicalPlan::TableScan(scan) => {
            let name: &TableReference = &scan.table_name;
            (!catalogue.may_be_scanned(name)).then(|| format!("the table {name}"))
        }
        LogicalPlan::RecursiveQuery(_) => Some("WITH RECURSIVE".to_owned()),
        other => Some(first_word_of(&other.display().to_string())),
    }
}

/// What is wrong with the expressions of a node. Those of its subqueries are looked at with them.
fn expressions_fault(node: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let mut fault = None;
    node.apply_expressions(|root| {
        root.apply(|expression| {
            fault = expression_fault(expression);
            Ok(if fault.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(fault)
}

fn expression_fault(expression: &Expr) -> Option<String> {
    let unless = |allowed: bool, name: &str| (!allowed).then(|| format!("the function {name}"));
    match expression {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Placeholder(_)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Unnest(_) => None,
        Expr::ScalarFunction(function) => {
            unless(is_scalar(function.name()) && !is_unheld(&function.func), function.name())
        }
        Expr::AggregateFunction(function) => unless(is_aggregate(function.func.name()), function.func.name()),
        Expr::WindowFunction(function) => {
            let WindowFunction { fun, .. } = function.as_ref();
            let allowed = match fun {
                WindowFunctionDefinition::AggregateUDF(function) => is_aggregate(function.name()),
                WindowFunctionDefinition::WindowUDF(function) => is_window(function.name()),
            };
            unless(allowed, fun.name())
        }
        // Its text may quote what it is about, so none is given.
        _ => Some("an expression of this kind".to_owned()),
    }
}
