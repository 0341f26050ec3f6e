//! A table that is made up for tests of the machinery: one column of text, not by month.

use crate::definition::Definition;
use crate::delta::location::Location;
use crate::delta::table::Table;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::file::properties::WriterProperties;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

static COLUMNS: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)])));

pub(crate) static IDS: Definition = Definition {
    name: "ids",
    schema: &COLUMNS,
    by_month: false,
    format: 1,
    needs: &[],
    keys: &[],
    layout: || WriterProperties::builder().build(),
    note: None,
    made_with: Vec::new,
};

/// The table, new and in memory.
pub(crate) async fn new_table() -> (Location, Table) {
    let location = Location::parse("memory:///example", &HashMap::new()).unwrap();
    let table = Table::open_or_create(&location, &IDS, true).await.unwrap();
    (location, table)
}
