//! `array_length`, by where the lists of a column end. The engine's own makes an array of every list to ask how long it is, and one of lists of
//! structs is several allocations.

use arrow::array::{Array as _, AsArray as _, UInt64Array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

const NAME: &str = "array_length";

/// The same function, unless it is `array_length`: that then gives the same results sooner.
pub(crate) fn by_offsets(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.name() == NAME { Arc::new(ScalarUDF::from(ByOffsets { inner: function })) } else { function }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ByOffsets {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ByOffsets {
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

    /// Of a column of lists, asked for their first dimension; all else is the engine's to answer.
    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = match arguments.args.as_slice() {
            [ColumnarValue::Array(array)] => array.as_list_opt::<i32>(),
            _ => None,
        };
        let Some(lists) = lists else { return self.inner.invoke_with_args(arguments) };
        // Offsets ascend.
        let lengths = lists.offsets().lengths().map(|length| length as u64).collect();
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::new(lengths, lists.nulls().cloned()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, ListArray};
    use arrow::datatypes::{Field, Int32Type};
    use datafusion::config::ConfigOptions;
    use datafusion::execution::SessionStateDefaults;
    use proptest::prelude::*;

    fn lengths(function: &ScalarUDF, lists: &ArrayRef) -> ArrayRef {
        let arguments = ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::clone(lists))],
            arg_fields: vec![Arc::new(Field::new("lists", lists.data_type().clone(), true))],
            number_rows: lists.len(),
            return_field: Arc::new(Field::new("lengths", DataType::UInt64, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        function.invoke_with_args(arguments).unwrap().into_array(lists.len()).unwrap()
    }

    proptest! {
        #[test]
        fn lists_are_as_long_as_the_engine_says(
            lists in prop::collection::vec(prop::option::of(prop::collection::vec(prop::option::of(any::<i32>()), 0..4)), 1..20),
            cut in 0_usize..20,
        ) {
            let engine = SessionStateDefaults::default_scalar_functions();
            let engine = engine.into_iter().find(|function| function.name() == NAME).unwrap();
            let ours = by_offsets(Arc::clone(&engine));
            prop_assert_ne!(&ours, &engine);
            let all: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
            let cut = cut % all.len();
            let part = all.slice(cut, all.len() - cut);
            prop_assert_eq!(&lengths(&ours, &part), &lengths(&engine, &part));
        }
    }
}
