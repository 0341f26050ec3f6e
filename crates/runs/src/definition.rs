//! What a table is, wherever it lies.

use crate::error::RunsError;
use crate::pages::note::NoteKind;
use arrow::datatypes::{DataType, SchemaRef};
use deltalake_core::kernel::{DataType as DeltaType, PrimitiveType, StructField};
use parquet::file::properties::WriterProperties;
use std::sync::LazyLock;

/// The property that says of what format a table is.
pub(crate) const FORMAT: &str = "gridtrail.formatVersion";
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
    /// The version of what its files and its log mean. A table of a higher one is refused: a newer build wrote it.
    pub format: u32,
    /// The numbers of the columns with bloom filters, by which look-ups go; the first is the sort key. None: look-ups read no file of it.
    pub keys: &'static [usize],
    /// The Parquet settings of its files.
    pub layout: fn() -> WriterProperties,
    /// What the footers of its files say of their rows, where they say anything.
    pub note: Option<NoteKind>,
    /// The properties that it is made with, beside [`Windows`](crate::Windows) and its format.
    pub made_with: fn() -> Vec<(&'static str, String)>,
}

impl Definition {
    /// Where a new file of the table lies; in a month, where the table is by month.
    pub fn new_path(&self, month: Option<&str>) -> String {
        let name = uuid::Uuid::now_v7();
        match month {
            Some(month) => format!("{MONTH}={month}/{name}.parquet"),
            None => format!("{name}.parquet"),
        }
    }

    /// The properties that the table is made with, as the library takes them.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let format = (FORMAT, self.format.to_string());
        (self.made_with)().into_iter().chain([format]).map(|(name, value)| (name, Some(value)))
    }

    /// Refuses a table of a format that this build does not know. `said` is what the table says of its format: one that says nothing is
    /// of the first.
    pub(crate) fn check_format(&self, said: Option<&str>) -> Result<(), RunsError> {
        let found = said.unwrap_or("1");
        match found.parse::<u32>() {
            Ok(format) if (1..=self.format).contains(&format) => Ok(()),
            _ => Err(RunsError::Format { table: self.name, found: found.to_owned(), known: self.format }),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    static COLUMNS: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)])));
    static STRANGE: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("id", DataType::Float64, false)])));

    const fn table(schema: &'static LazyLock<SchemaRef>) -> Definition {
        Definition {
            name: "t",
            schema,
            by_month: true,
            format: 2,
            keys: &[],
            layout: || WriterProperties::builder().build(),
            note: None,
            made_with: Vec::new,
        }
    }

    #[test]
    fn a_table_of_a_newer_format_is_refused_by_name() {
        let table = table(&COLUMNS);
        for known in [None, Some("1"), Some("2")] {
            table.check_format(known).unwrap();
        }
        for unknown in ["3", "0", "", "two"] {
            let refused = table.check_format(Some(unknown)).unwrap_err().to_string();
            assert!(refused.contains("table t") && refused.contains(&format!("\"{unknown}\"")), "{refused}");
        }
    }

    #[test]
    fn a_column_that_has_no_place_in_a_delta_table_is_refused() {
        let names: Vec<_> = table(&COLUMNS).columns().unwrap().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["id", MONTH]);
        assert!(table(&STRANGE).columns().is_err());
    }
}
