//! Columns as clients get them: plain ones, without dictionaries and views.
//!
//! Drivers differ in what they read. That of JDBC shows the numbers of a dictionary and not its texts; some know no views. And each wants
//! the columns that it was told of beforehand, to the letter. So every column goes out as the plain type of its values, and may be NULL:
//! then what is told of a statement that is only planned is what its rows are.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The columns of an answer as they go out.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(plain_field).collect::<Vec<_>>()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let field =
        Field::new(field.name(), plain_type(field.data_type()), true).with_metadata(field.metadata().clone());
    Arc::new(field)
}

fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        // No driver shows a column of nothing but NULL.
        DataType::Null => DataType::Utf8,
        other => other.clone(),
    }
}

/// Rows as they go out.
pub(crate) fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |(column, field): (&ArrayRef, &FieldRef)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => cast(column, field.data_type()),
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<Result<_, _>>()?;
    // Of a statement without columns the number of rows is all that there is.
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, DictionaryArray, ListArray, StringArray, StringViewArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Int8Type;

    /// Dictionaries and views are gone wherever they stand, and the values are the same.
    #[test]
    fn every_column_is_of_the_plain_type_of_its_values() {
        let states: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
        let named = Field::new("state", states.data_type().clone(), true);
        let entries = StructArray::from(vec![(Arc::new(named), Arc::new(states.clone()) as ArrayRef)]);
        let item = Arc::new(Field::new_list_field(entries.data_type().clone(), true));
        let history = ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 1]), Arc::new(entries), None);
        let views = StringViewArray::from(vec![Some("x"), None, Some("a text that is longer than a view")]);
        let batch = RecordBatch::try_from_iter([
            ("state", Arc::new(states) as ArrayRef),
            ("history", Arc::new(history)),
            ("view", Arc::new(views)),
        ])
        .unwrap();
        let schema = plain_schema(&batch.schema());
        let plain = plain(&batch, &schema).unwrap();
        let text = DataType::Utf8;
        assert_eq!((schema.field(0).data_type(), schema.field(2).data_type()), (&text, &text));
        assert!(!format!("{schema:?}").contains("Dictionary"), "{schema:?}");
        let states: &StringArray = plain.column(0).as_any().downcast_ref().unwrap();
        assert_eq!(states.iter().collect::<Vec<_>>(), [Some("a"), None, Some("a")]);
        let history: &ListArray = plain.column(1).as_any().downcast_ref().unwrap();
        assert_eq!((history.value_length(0), history.value_length(1), history.value_length(2)), (2, 0, 1));
        let entries: &StructArray = history.values().as_any().downcast_ref().unwrap();
        let states: &StringArray = entries.column(0).as_any().downcast_ref().unwrap();
        assert_eq!(states.iter().collect::<Vec<_>>(), [Some("a"), None, Some("a")]);
    }
}
