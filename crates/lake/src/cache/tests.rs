use super::*;
use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use parquet::arrow::ArrowWriter;

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

#[test]
fn only_a_run_of_fragments_must_have_their_columns() {
    let check = |path: &str, column: &str| check_layout(&Path::from(path), &footer(column));
    for path in ["lake/trails/month=2026-03/l0-1.parquet", "lake/parked/1.parquet", "trails/1.parquet"] {
        for column in ["device_id", "anchor"] {
            let error = check(path, column).unwrap_err().to_string();
            assert!(error.contains("another version of gridtrail"), "{path}: {error}");
        }
    }
    for path in ["lake/found_under/1.parquet", "trails/found_under/month=2026-03/1.parquet", "1.parquet"] {
        check(path, "device_id").unwrap();
    }
}
