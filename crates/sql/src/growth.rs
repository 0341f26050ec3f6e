//! Functions whose results may be much larger than their arguments: how large is worked out before they are evaluated, and what would not
//! fit fails.
//!
//! The engine counts what sorts, joins and aggregates hold, and not what an expression makes. Without this, `a || a`, nested forty times,
//! would take all memory that there is.

use crate::error::TooLarge;
use crate::limits::SqlLimits;
use arrow::array::{Array, ArrayRef, AsArray as _, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::core::{named_struct, r#struct};
use datafusion::functions_nested::make_array::make_array_udf;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::any::Any;
use std::sync::Arc;

/// The function that `a || b` is.
pub(crate) const CONCATENATION: &str = "||";

/// How large the results of one expression over one batch may be: so small a part of a session's memory, for as many may be held at a time
/// as expressions are nested.
const PART_OF_MEMORY: usize = 64;

/// The least that results may take, however little memory there is.
const BYTES_MIN: usize = 256 * 1024;

/// Bytes that a session lets results of one expression over one batch take.
pub(crate) fn bytes_max(limits: &SqlLimits) -> usize {
    (limits.memory_bytes / PART_OF_MEMORY).max(BYTES_MIN)
}

/// A function of the engine, held to a size where its results may grow.
pub(crate) fn held(function: Arc<ScalarUDF>, bytes_max: usize) -> Arc<ScalarUDF> {
    if grown(function.name(), &[], 0).is_none() {
        return function;
    }
    Arc::new(ScalarUDF::from(Held { inner: function, bytes_max }))
}

/// How many bytes the results of a function may take. `None`: hardly more than its arguments.
fn grown(name: &str, arguments: &[ColumnarValue], rows: usize) -> Option<usize> {
    let all = || arguments.iter().map(|value| weight_of(value, rows)).sum::<usize>();
    let longest_of = |number: usize| arguments.get(number).map_or(0, longest);
    let first = || arguments.first().map_or(0, |value| weight_of(value, rows));
    Some(match name {
        CONCATENATION | "concat" | "make_array" | "named_struct" | "struct" => all(),
        "concat_ws" => {
            all().saturating_add(arguments.len().saturating_mul(rows).saturating_mul(longest_of(0)))
        }
        // Between any two characters, at most, what is put in the place of others.
        "replace" | "regexp_replace" => {
            first().saturating_add(rows).saturating_mul(longest_of(2).saturating_add(1))
        }
        "translate" => first().saturating_mul(4),
        "array_to_string" => {
            let values = arguments.first().map_or(0, |list| values_of(list, rows));
            first().saturating_mul(3).saturating_add(values.saturating_mul(longest_of(1)))
        }
        // The longest that a letter of a format stands for.
        "to_char" => rows.saturating_mul(longest_of(1)).saturating_mul(16),
        _ => return None,
    })
}

fn weight_of(value: &ColumnarValue, rows: usize) -> usize {
    match value {
        ColumnarValue::Array(array) => slice_bytes(array),
        ColumnarValue::Scalar(scalar) => bytes_of(scalar).saturating_mul(rows),
    }
}

fn slice_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

fn bytes_of(scalar: &ScalarValue) -> usize {
    match scalar.try_as_str() {
        Some(text) => text.map_or(0, str::len).saturating_add(size_of::<u64>()),
        None => scalar.size(),
    }
}

/// The length of the longest text.
fn longest(value: &ColumnarValue) -> usize {
    match value {
        ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten().map_or(0, str::len),
        ColumnarValue::Array(array) => match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(str::len).max().unwrap_or(0),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(str::len).max().unwrap_or(0),
            DataType::Utf8View => array.as_string_view().iter().flatten().map(str::len).max().unwrap_or(0),
            _ => slice_bytes(array),
        },
    }
}

/// How many values lists have, all together.
fn values_of(list: &ColumnarValue, rows: usize) -> usize {
    match list {
        ColumnarValue::Array(array) => match array.as_list_opt::<i32>() {
            Some(lists) => lists.values().len(),
            None => slice_bytes(array),
        },
        ColumnarValue::Scalar(scalar) => scalar.size().saturating_mul(rows),
    }
}

fn check(name: &str, arguments: &[ColumnarValue], rows: usize, bytes_max: usize) -> Result<()> {
    match grown(name, arguments, rows) {
        Some(bytes) if bytes > bytes_max => {
            let why = format!("{name} would make up to {bytes} bytes of some rows; {bytes_max} are allowed");
            Err(TooLarge(why).into())
        }
        _ => Ok(()),
    }
}

/// A function of the engine whose results are weighed first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Held {
    inner: Arc<ScalarUDF>,
    bytes_max: usize,
}

/// What it is, the engine's function says. What it would be made into to be faster, it does not: that would be another function, unheld.
impl ScalarUDFImpl for Held {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.schema_name(arguments)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), &arguments.args, arguments.number_rows, self.bytes_max)?;
        self.inner.invoke_with_args(arguments)
    }
}

/// Whether a function is one whose results may grow, and is not held.
pub(crate) fn is_unheld(function: &ScalarUDF) -> bool {
    let inner: &dyn Any = function.inner().as_ref();
    grown(function.name(), &[], 0).is_some() && !inner.is::<Held>() && !inner.is::<Concatenation>()
}

/// What `||` of texts is. No statement can call it by a name.
pub(crate) fn concatenation(bytes_max: usize) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(Concatenation { signature, bytes_max }))
}

/// Makes what has signs of its own in a statement functions that are held: `a || b` of texts, `[a, b]` and `{a: b}`. Of lists, the engine's
/// own planner says what `||` is.
#[derive(Debug)]
pub(crate) struct Holding {
    concatenation: Arc<ScalarUDF>,
    list: Arc<ScalarUDF>,
    named: Arc<ScalarUDF>,
    unnamed: Arc<ScalarUDF>,
}

impl Holding {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            concatenation: concatenation(bytes_max),
            list: held(make_array_udf(), bytes_max),
            named: held(named_struct(), bytes_max),
            unnamed: held(r#struct(), bytes_max),
        }
    }
}

impl ExprPlanner for Holding {
    fn plan_array_literal(&self, values: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(self.list.call(values)))
    }

    fn plan_struct_literal(&self, values: Vec<Expr>, is_named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        let function = if is_named { &self.named } else { &self.unnamed };
        Ok(PlannerResult::Planned(function.call(values)))
    }

    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_list = |side: &Expr| side.get_type(schema).map(|kind| kind.is_list());
        if expression.op != BinaryOperator::StringConcat
            || is_list(&expression.left)?
            || is_list(&expression.right)?
        {
            return Ok(PlannerResult::Original(expression));
        }
        let RawBinaryExpr { left, right, .. } = expression;
        Ok(PlannerResult::Planned(self.concatenation.call(vec![left, right])))
    }
}

/// Two texts, one behind the other; nothing where one of them is nothing.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenation {
    signature: Signature,
    bytes_max: usize,
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &'static str {
        CONCATENATION
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names: Vec<String> = arguments.iter().map(|one| one.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let is_plain = |kind: &DataType| {
            let kind = match kind {
                DataType::Dictionary(_, value) => value,
                other => other,
            };
            kind.is_string() || kind.is_primitive() || kind.is_null() || *kind == DataType::Boolean
        };
        match arguments {
            [left, right] if is_plain(left) && is_plain(right) => Ok(vec![DataType::Utf8; 2]),
            _ => plan_err!("|| takes two texts"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        check(CONCATENATION, &arguments.args, rows, self.bytes_max)?;
        let is_scalar = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let text = |value: &ColumnarValue| -> Result<StringArray> {
            let array = value.to_array(if is_scalar { 1 } else { rows })?;
            Ok(cast(&array, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let [left, right] = arguments.args.as_slice() else { return exec_err!("|| takes two texts") };
        let joined = concat_elements_utf8(&text(left)?, &text(right)?)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
