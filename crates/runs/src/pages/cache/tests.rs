use super::*;
use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::sync::LazyLock;

/// The footer of a file of one column of this name.
fn footer(column: &str) -> ArrowReaderMetadata {
    let values: ArrayRef = Arc::new(BinaryArray::from(vec![&b"12345678"[..]]));
    let batch = RecordBatch::try_from_iter([(column, values)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    ArrowReaderMetadata::load(&Bytes::from(bytes), ArrowReaderOptions::new()).unwrap()
}

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("device_id", DataType::Binary, true),
        Field::new("more", DataType::Binary, true),
    ]))
});

const fn table(keys: &'static [usize]) -> Definition {
    Definition {
        name: "t",
        schema: &COLUMNS,
        by_month: false,
        format: 1,
        needs: &[],
        keys,
        layout: || WriterProperties::builder().build(),
        note: None,
        made_with: Vec::new,
    }
}

/// It is the table that says what columns a file has, and no name of a column.
#[test]
fn only_a_file_that_look_ups_read_must_have_the_columns_of_its_table() {
    let check = |keys, column: &str| check_layout(&table(keys), &Path::from("t/1.parquet"), &footer(column));
    for column in ["device_id", "anchor"] {
        let error = check(&[0], column).unwrap_err().to_string();
        assert!(error.contains("another version of gridtrail"), "{error}");
        check(&[], column).unwrap();
    }
}
