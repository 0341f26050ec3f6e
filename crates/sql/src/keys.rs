//! The keys that a statement names, for the access log: what its conditions compare Devices and meter points with.

use crate::limits::RECORDED_KEYS_MAX;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use gridtrail_model::{DeviceId, Mpxn};

/// The first keys of a plan, each with its kind. What is no Device or meter point is left out: a statement may compare with any text.
pub(crate) fn keys_of(plan: &LogicalPlan) -> Result<Vec<(&'static str, String)>> {
    let mut keys = Vec::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|root| {
            root.apply(|expression| {
                note(expression, &mut keys);
                let is_full = keys.len() >= RECORDED_KEYS_MAX;
                Ok::<_, DataFusionError>(if is_full {
                    TreeNodeRecursion::Stop
                } else {
                    TreeNodeRecursion::Continue
                })
            })
        })
    })?;
    keys.truncate(RECORDED_KEYS_MAX);
    Ok(keys)
}

fn note(expression: &Expr, keys: &mut Vec<(&'static str, String)>) {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            note_pair(left, right, keys);
            note_pair(right, left, keys);
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            list.iter().take(RECORDED_KEYS_MAX).for_each(|value| note_pair(expr, value, keys));
        }
        _ => {}
    }
}

fn note_pair(column: &Expr, value: &Expr, keys: &mut Vec<(&'static str, String)>) {
    let (Expr::Column(column), Expr::Literal(value, _)) = (column, value) else { return };
    let (ScalarValue::Utf8(Some(text))
    | ScalarValue::LargeUtf8(Some(text))
    | ScalarValue::Utf8View(Some(text))) = value
    else {
        return;
    };
    let key = match column.name.as_str() {
        "device_id" => text.parse::<DeviceId>().ok().map(|device| ("device_id", device.to_string())),
        "mpxn" => text.parse::<Mpxn>().ok().map(|mpxn| ("mpxn", mpxn.to_string())),
        _ => None,
    };
    keys.extend(key.filter(|key| !keys.contains(key)));
}
