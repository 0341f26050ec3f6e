//! The conditions that a scan takes in: comparisons of the Device, of the time of receipt, and of fields whose texts repeat, with what is
//! written in the statement.
//!
//! They cannot fail, and are compared by the lake with what rows and dictionaries say, never evaluated by the engine below the row filter.
//! What a scan gives may be more than they ask for, so the engine holds its rows against them once more.

use crate::columns::{DEVICE_ID, RECEIVED_AT, field_of};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use gridtrail_lake::{Condition, Is, ScanQuery, TrailField};
use gridtrail_model::{DeviceId, Timestamp};
use std::collections::BTreeSet;

/// The most Devices that are looked up one by one. With more, a table is gone through as a whole.
const DEVICES_MAX: usize = 1_000;

/// What a condition says of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    Devices(BTreeSet<DeviceId>),
    From(Timestamp),
    To(Timestamp),
    Within(Timestamp, Timestamp),
    Field(Condition),
}

/// Whether a scan takes a condition in.
pub(crate) fn takes(condition: &Expr) -> bool {
    bound_of(condition).is_some()
}

/// Narrows a scan to what conditions ask for, as far as it takes them in.
pub(crate) fn narrow(query: &mut ScanQuery, conditions: &[Expr]) {
    for bound in conditions.iter().filter_map(bound_of) {
        match bound {
            Bound::Devices(devices) => {
                query.devices = Some(match query.devices.take() {
                    Some(before) => before.intersection(&devices).copied().collect(),
                    None => devices,
                });
            }
            Bound::Field(condition) => query.conditions.push(condition),
            Bound::From(from) => query.from = query.from.max(Some(from)),
            Bound::To(to) => query.to = Some(query.to.map_or(to, |before| before.min(to))),
            Bound::Within(from, to) => {
                query.from = query.from.max(Some(from));
                query.to = Some(query.to.map_or(to, |before| before.min(to)));
            }
        }
    }
}

fn bound_of(condition: &Expr) -> Option<Bound> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            either(bound_of(left)?, bound_of(right)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (column_of(left), column_of(right), &**left, &**right) {
                (Some(column), _, _, Expr::Literal(value, _)) => compared(column, *op, value),
                (_, Some(column), Expr::Literal(value, _), _) => compared(column, op.swap()?, value),
                _ => None,
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) => match (&**expr, &**low, &**high) {
            (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _))
                if column.name == RECEIVED_AT =>
            {
                Some(Bound::Within(time_of(low)?.0, time_of(high)?.1))
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let value = |expression: &Expr| match expression {
                Expr::Literal(value, _) => text_of(value).map(str::to_owned),
                _ => None,
            };
            one_of(column_of(expr)?, list.iter().map(value).collect::<Option<_>>()?)
        }
        Expr::IsNull(expression) => is(column_of(expression)?, Is::Absent),
        Expr::IsNotNull(expression) => is(column_of(expression)?, Is::Present),
        _ => None,
    }
}

/// The column that an expression is, or whose text it is.
fn column_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) => match (&*cast.expr, cast.field.data_type()) {
            (Expr::Column(column), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
                if field_of(&column.name).is_some_and(Condition::is_of_use) =>
            {
                Some(&column.name)
            }
            _ => None,
        },
        _ => None,
    }
}

/// What two conditions say, of which either is enough: of one field alone.
fn either(one: Bound, other: Bound) -> Option<Bound> {
    match (one, other) {
        (Bound::Devices(mut one), Bound::Devices(other)) => {
            one.extend(other);
            (one.len() <= DEVICES_MAX).then_some(Bound::Devices(one))
        }
        (Bound::Field(one), Bound::Field(other)) if one.field == other.field => match (one.is, other.is) {
            (Is::OneOf(mut texts), Is::OneOf(more)) => {
                texts.extend(more);
                Some(Bound::Field(Condition { field: one.field, is: Is::OneOf(texts) }))
            }
            _ => None,
        },
        _ => None,
    }
}

/// That a column has one of some texts.
fn one_of(column: &str, texts: BTreeSet<String>) -> Option<Bound> {
    if column == DEVICE_ID {
        let devices: BTreeSet<DeviceId> = texts.iter().filter_map(|text| device_of(text)).collect();
        return (texts.len() <= DEVICES_MAX).then_some(Bound::Devices(devices));
    }
    is(column, Is::OneOf(texts))
}

/// That the field of a column is something, where scans make use of that.
fn is(column: &str, is: Is) -> Option<Bound> {
    let field = field_of(column).filter(|field| Condition::is_of_use(*field))?;
    let is_known = field != TrailField::RequestId || matches!(is, Is::OneOf(_));
    is_known.then_some(Bound::Field(Condition { field, is }))
}

fn compared(column: &str, operator: Operator, value: &ScalarValue) -> Option<Bound> {
    match (column, operator) {
        (RECEIVED_AT, Operator::Eq) => time_of(value).map(|(from, to)| Bound::Within(from, to)),
        (RECEIVED_AT, Operator::Gt | Operator::GtEq) => time_of(value).map(|(from, _)| Bound::From(from)),
        (RECEIVED_AT, Operator::Lt | Operator::LtEq) => time_of(value).map(|(_, to)| Bound::To(to)),
        (_, Operator::Eq) => one_of(column, BTreeSet::from([text_of(value)?.to_owned()])),
        _ => None,
    }
}

/// The Device that a text stands for. `None`: none, so that no row's Device is equal to it.
fn device_of(text: &str) -> Option<DeviceId> {
    text.parse().ok()
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_deref()
        }
        ScalarValue::Dictionary(_, value) => text_of(value),
        _ => None,
    }
}

/// The milliseconds around an instant. `None`: none that a timestamp can be.
fn time_of(value: &ScalarValue) -> Option<(Timestamp, Timestamp)> {
    let (value, in_milli) = match value {
        ScalarValue::TimestampSecond(Some(value), Some(_)) => (value.checked_mul(1_000)?, 1),
        ScalarValue::TimestampMillisecond(Some(value), Some(_)) => (*value, 1),
        ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => (*value, 1_000),
        ScalarValue::TimestampNanosecond(Some(value), Some(_)) => (*value, 1_000_000),
        _ => return None,
    };
    let low = value.div_euclid(in_milli);
    let high = if value.rem_euclid(in_milli) == 0 { low } else { low + 1 };
    Some((Timestamp::from_millis(low)?, Timestamp::from_millis(high)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};
    use gridtrail_lake::View;

    fn at(millis: i64) -> Expr {
        lit(ScalarValue::TimestampMillisecond(Some(millis), Some("+00:00".into())))
    }

    fn narrowed(conditions: &[Expr]) -> ScanQuery {
        let mut query = ScanQuery::all(View::Audit);
        narrow(&mut query, conditions);
        query
    }

    #[test]
    fn conditions_narrow_a_scan_together() {
        let (low, high) = (1_770_000_000_000, 1_770_000_500_000);
        let device = "00-DB-12-34-56-78-90-A0";
        let query = narrowed(&[
            col(RECEIVED_AT).gt(at(low)),
            at(high).gt_eq(col(RECEIVED_AT)),
            col(RECEIVED_AT).between(at(low - 5), at(high + 5)),
            col(DEVICE_ID).in_list(vec![lit(device), lit("00-DB-12-34-56-78-90-A1")], false),
            col(DEVICE_ID).eq(lit(device)),
        ]);
        assert_eq!(query.from, Timestamp::from_millis(low));
        assert_eq!(query.to, Timestamp::from_millis(high));
        assert_eq!(query.devices, Some([device.parse().unwrap()].into()));
    }

    /// A text that is no Device is equal to none, and finds nothing; it does not widen the scan.
    #[test]
    fn what_is_no_device_finds_nothing() {
        assert_eq!(narrowed(&[col(DEVICE_ID).eq(lit("x"))]).devices, Some(BTreeSet::new()));
    }

    #[test]
    fn texts_of_fields_that_repeat_are_taken_in() {
        let condition = |field, texts: &[&str]| Condition {
            field,
            is: Is::OneOf(texts.iter().map(ToString::to_string).collect()),
        };
        let words = |text: &str| {
            let kind = DataType::Int32.into();
            lit(ScalarValue::Dictionary(kind, Box::new(ScalarValue::Utf8(Some(text.to_owned())))))
        };
        let query = narrowed(&[
            col("response_code").eq(lit("E20")).or(col("response_code").eq(words("E21"))),
            col("service_reference_variant").in_list(vec![lit("4.8.1")], false),
            lit("1:2:3").eq(col("request_id")),
            col("mpxn").is_null(),
        ]);
        let expected = [
            condition(TrailField::ResponseCode, &["E20", "E21"]),
            condition(TrailField::Variant, &["4.8.1"]),
            condition(TrailField::RequestId, &["1:2:3"]),
            Condition { field: TrailField::Mpxn, is: Is::Absent },
        ];
        assert_eq!(query.conditions, expected);
    }

    #[test]
    fn nothing_else_is_taken_in() {
        let refused = [
            col(DEVICE_ID).not_eq(lit("x")),
            col(DEVICE_ID).gt(lit("x")),
            col(DEVICE_ID).in_list(vec![lit("x")], true),
            col("mpxn").gt(lit("1")),
            col("response_code").not_eq(lit("I0")),
            col("gbcs_transaction_sequence_number").is_null(),
            col("request_id").is_not_null(),
            col("mpxn").eq(lit("1")).or(col("mpxn").is_null()),
            col(RECEIVED_AT).not_between(at(1), at(2)),
            col(RECEIVED_AT).gt(lit(ScalarValue::TimestampMillisecond(Some(1), None))),
            (lit(1) / lit(0)).eq(col(DEVICE_ID)),
            col(DEVICE_ID).eq(lit("x")).or(col("mpxn").eq(lit("1"))),
        ];
        for condition in refused {
            assert!(!takes(&condition), "{condition}");
        }
    }
}
