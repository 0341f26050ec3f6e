//! What a table is, wherever it lies.

use crate::error::RunsError;
use crate::pages::note::NoteKind;
use arrow::datatypes::{DataType, SchemaRef};
use deltalake_core::kernel::{ArrayType, DataType as DeltaType, PrimitiveType, StructField, StructType};
use parquet::file::properties::WriterProperties;
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
    /// The version of what its files and its log mean: the newest that this build knows, and what it writes. A table or a file of a higher one
    /// is refused: a newer build wrote it.
    pub format: u32,
    /// What its files need of whoever reads them, beyond plain Parquet: names of one word. A file that names another is refused.
    pub needs: &'static [&'static str],
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
        let all = (self.made_with)().into_iter().chain(self.format_properties());
        all.map(|(name, value)| (name, Some(value)))
    }

    /// The Delta columns that the table is made with.
    pub(crate) fn columns(&self) -> Result<Vec<StructField>, RunsError> {
        let mut columns = Vec::new();
        for field in self.schema.fields() {
            columns.push(StructField::new(field.name(), delta_type(field.data_type())?, field.is_nullable()));
        }
        if self.by_month {
            columns.push(StructField::new(MONTH, DeltaType::STRING, false));
        }
        Ok(columns)
    }
}

const NO_PLACE: RunsError =
    RunsError::Internal("a column of a table is of a type that has no place in a Delta table");

/// The Delta type of an Arrow type. One that no table of ours has is refused: whatever it was taken for, other engines would misread it.
fn delta_type(kind: &DataType) -> Result<DeltaType, RunsError> {
    match kind {
        DataType::List(element) => {
            Ok(ArrayType::new(delta_type(element.data_type())?, element.is_nullable()).into())
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                Ok(StructField::new(field.name(), delta_type(field.data_type())?, field.is_nullable()))
            });
            let fields: Vec<StructField> = fields.collect::<Result<_, RunsError>>()?;
            Ok(StructType::try_new(fields).map_err(|_| NO_PLACE)?.into())
        }
        kind => Ok(DeltaType::Primitive(primitive(kind)?)),
    }
}

fn primitive(kind: &DataType) -> Result<PrimitiveType, RunsError> {
    match kind {
        DataType::Decimal128(precision, scale) => {
            let scale = u8::try_from(*scale).map_err(|_| NO_PLACE)?;
            PrimitiveType::decimal(*precision, scale).map_err(|_| NO_PLACE)
        }
        DataType::Int32 => Ok(PrimitiveType::Integer),
        DataType::Binary => Ok(PrimitiveType::Binary),
        DataType::Boolean => Ok(PrimitiveType::Boolean),
        DataType::Int8 => Ok(PrimitiveType::Byte),
        DataType::Int64 => Ok(PrimitiveType::Long),
        DataType::Timestamp(..) => Ok(PrimitiveType::Timestamp),
        DataType::Utf8 => Ok(PrimitiveType::String),
        _ => Err(NO_PLACE),
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
            format: 1,
            needs: &[],
            keys: &[],
            layout: || WriterProperties::builder().build(),
            note: None,
            made_with: Vec::new,
        }
    }

    #[test]
    fn a_column_that_has_no_place_in_a_delta_table_is_refused() {
        let names: Vec<_> = table(&COLUMNS).columns().unwrap().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["id", MONTH]);
        assert!(table(&STRANGE).columns().is_err());
    }
}
