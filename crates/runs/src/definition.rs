//! What a table is, wherever it lies.

use crate::error::RunsError;
use arrow::datatypes::{DataType, SchemaRef};
use deltalake_core::kernel::{DataType as DeltaType, PrimitiveType, StructField};
use std::sync::LazyLock;

/// The column that a table by month is partitioned by.
pub(crate) const MONTH: &str = "month";

/// What is the same of a table in every lake and at every version.
#[derive(Debug)]
pub struct Definition {
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// The columns of its files, the sort key first.
    pub schema: &'static LazyLock<SchemaRef>,
    /// Whether its files lie by calendar month.
    pub by_month: bool,
    /// The properties that it is made with, beside [`Windows`](crate::Windows).
    pub made_with: fn() -> Vec<(&'static str, String)>,
}

impl Definition {
    /// The properties that the table is made with, as the library takes them.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        (self.made_with)().into_iter().map(|(name, value)| (name, Some(value)))
    }

    /// The Delta columns that the table is made with.
    pub(crate) fn columns(&self) -> Result<Vec<StructField>, RunsError> {
        let mut columns = Vec::new();
        for field in self.schema.fields() {
            let kind = DeltaType::Primitive(primitive(field.data_type())?);
            columns.push(StructField::new(field.name(), kind, field.is_nullable()));
        }
        if self.by_month {
            columns.push(StructField::new(MONTH, DeltaType::STRING, false));
        }
        Ok(columns)
    }
}

/// The Delta type of an Arrow type. One that no table of ours has is refused: whatever it was taken for, other engines would misread it.
fn primitive(kind: &DataType) -> Result<PrimitiveType, RunsError> {
    match kind {
        DataType::Binary => Ok(PrimitiveType::Binary),
        DataType::Boolean => Ok(PrimitiveType::Boolean),
        DataType::Int8 => Ok(PrimitiveType::Byte),
        DataType::Int64 => Ok(PrimitiveType::Long),
        DataType::Timestamp(..) => Ok(PrimitiveType::Timestamp),
        DataType::Utf8 => Ok(PrimitiveType::String),
        _ => Err(RunsError::Internal("a column of a table is of a type that has no place in a Delta table")),
    }
}
