//! The parameters of prepared statements: which there are, of which types, and their values.

use crate::error::SqlError;
use crate::limits::PARAMETERS_MAX;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A plan whose parameters all have a type, and those types, in the order of their numbers.
///
/// A parameter of which the statement does not say what it is is a text.
pub(crate) fn typed(plan: LogicalPlan) -> std::result::Result<(LogicalPlan, SchemaRef), SqlError> {
    let types = types_of(&plan)?;
    let mut fields = Vec::new();
    for (position, (number, kind)) in types.iter().enumerate() {
        if *number != position + 1 {
            let why = format!("the statement has a parameter ${number} and none ${}", position + 1);
            return Err(SqlError::Statement(why));
        }
        fields.push(Field::new(format!("${number}"), kind.clone().unwrap_or(DataType::Utf8), true));
    }
    let parameters = Arc::new(Schema::new(fields));
    if types.values().all(Option::is_some) {
        return Ok((plan, parameters));
    }
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expression| expression.transform_up(text_unless_known))?;
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok((plan.data, parameters))
}

#[expect(clippy::unnecessary_wraps, reason = "as transformations of trees are")]
fn text_unless_known(expression: Expr) -> Result<Transformed<Expr>> {
    let Expr::Placeholder(Placeholder { id, field: None }) = expression else {
        return Ok(Transformed::no(expression));
    };
    let field = Arc::new(Field::new(&id, DataType::Utf8, true));
    Ok(Transformed::yes(Expr::Placeholder(Placeholder::new_with_field(id, Some(field)))))
}

/// Which parameters a plan has, by number, each with its type where one of its places tells it.
fn types_of(plan: &LogicalPlan) -> std::result::Result<BTreeMap<usize, Option<DataType>>, SqlError> {
    let mut types: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    let mut wrong = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|root| {
            root.apply(|expression| {
                let Expr::Placeholder(Placeholder { id, field }) = expression else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                let number = id.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
                let Some(number) = number.filter(|number| (1..=PARAMETERS_MAX).contains(number)) else {
                    wrong = Some(id.clone());
                    return Ok(TreeNodeRecursion::Stop);
                };
                let kind = field.as_ref().map(|field| plain(field.data_type()));
                let known = types.entry(number).or_default();
                *known = known.take().or(kind);
                Ok::<_, DataFusionError>(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match wrong {
        Some(id) => {
            let why = format!("{id} is no parameter: those are $1 to ${PARAMETERS_MAX}, or ? each");
            Err(SqlError::Statement(why))
        }
        None => Ok(types),
    }
}

/// A type as clients know it: a text with a dictionary is a text.
fn plain(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, value) => plain(value),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    }
}

/// A plan with values in place of its parameters.
pub(crate) fn with_values(
    plan: LogicalPlan,
    parameters: &Schema,
    values: Option<&RecordBatch>,
) -> std::result::Result<LogicalPlan, SqlError> {
    let (rows, columns) = values.map_or((1, 0), |values| (values.num_rows(), values.num_columns()));
    let wanted = parameters.fields().len();
    if values.is_none() && wanted > 0 {
        let why = format!("the statement has {wanted} parameters, and no value was given for any");
        return Err(SqlError::Statement(why));
    }
    if columns != wanted || rows != 1 {
        let why = format!("the statement takes one row of {wanted} values; there are {rows} of {columns}");
        return Err(SqlError::Statement(why));
    }
    let (Some(values), false) = (values, wanted == 0) else { return Ok(plan) };
    let value = |(column, field): (usize, &Arc<Field>)| {
        let value = ScalarValue::try_from_array(values.column(column), 0)?;
        value.cast_to(field.data_type())
    };
    let values: Result<Vec<ScalarValue>> = parameters.fields().iter().enumerate().map(value).collect();
    // What cannot be cast is told without the value: the caller has it.
    let values = values.map_err(|_| SqlError::Statement("a value does not fit its parameter".to_owned()))?;
    Ok(plan.with_param_values(values)?)
}
