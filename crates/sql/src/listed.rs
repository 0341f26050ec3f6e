//! Tables that are read from their first row to their last: no key leads into them. Their scan is as opaque as that of trails.

use crate::columns::UTC;
use crate::scanned::{Origin, Scanned, properties_of};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, StringDictionaryBuilder, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream::{self, BoxStream, StreamExt as _};
use gridtrail_model::Timestamp;
use std::fmt::{self, Display};
use std::sync::Arc;

/// Rows as they are read.
pub(crate) type Rows<T> = BoxStream<'static, Result<Vec<T>>>;

/// What reads rows from the first on, each time that it is called.
pub(crate) type Open<T> = Arc<dyn Fn() -> Rows<T> + Send + Sync>;

/// The same, of rows that are found by what is held beside them: that is lent by a reservation of its own.
pub(crate) type OpenHolding<T> = Arc<dyn Fn(MemoryReservation) -> Rows<T> + Send + Sync>;

/// A column of a table of such rows.
pub(crate) struct ColumnOf<T> {
    pub(crate) name: &'static str,
    pub(crate) comment: &'static str,
    pub(crate) kind: fn() -> DataType,
    pub(crate) fill: fn(&[T]) -> std::result::Result<ArrayRef, ArrowError>,
}

/// The columns of a table.
pub(crate) type Columns<T> = &'static [ColumnOf<T>];

pub(crate) fn schema_of<T: 'static>(columns: Columns<T>) -> SchemaRef {
    let field = |column: &ColumnOf<T>| Field::new(column.name, (column.kind)(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Reads the columns that are wanted of a table, from its first row on, and counts what it holds.
pub(crate) type Read = Arc<dyn Fn(&Scanned, MemoryReservation) -> Result<Batches> + Send + Sync>;

/// Columns as they are read.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch>>;

/// What reads such columns of rows.
pub(crate) fn read<T: Send + Sync + 'static>(columns: Columns<T>, open: Open<T>) -> Read {
    read_holding(columns, Arc::new(move |_| open()))
}

/// The same, of rows that are found by what is held beside them.
pub(crate) fn read_holding<T: Send + Sync + 'static>(columns: Columns<T>, open: OpenHolding<T>) -> Read {
    Arc::new(move |of, held| {
        let reading = Reading {
            columns,
            rows: open(held.new_empty()),
            schema: Arc::clone(&of.schema),
            wanted: Arc::clone(&of.wanted),
            left: of.limit,
            held,
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(batches.boxed())
    })
}

/// A table whose rows are read one after the other.
pub(crate) struct ListedTable {
    origin: Origin,
    schema: SchemaRef,
    read: Read,
}

impl ListedTable {
    pub(crate) fn new(origin: Origin, schema: SchemaRef, read: Read) -> Self {
        Self { origin, schema, read }
    }

    /// What it is of.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The scan of some of its columns.
    pub(crate) fn scan_of(&self, wanted: Arc<[usize]>, limit: Option<usize>) -> Result<ListedScan> {
        let schema = Arc::new(self.schema.project(&wanted)?);
        let of = Scanned { origin: Arc::clone(&self.origin), schema, wanted, limit };
        Ok(ListedScan::new(of, Arc::clone(&self.read)))
    }
}

impl fmt::Debug for ListedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedTable").finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ListedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _conditions: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.schema.fields().len();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..columns).collect());
        Ok(Arc::new(self.scan_of(wanted.into(), limit)?))
    }
}

/// Reads such a table. It has no children and no expressions, and tells no statistics and no metrics.
pub(crate) struct ListedScan {
    of: Scanned,
    read: Read,
    properties: Arc<PlanProperties>,
}

impl ListedScan {
    fn new(of: Scanned, read: Read) -> Self {
        let properties = properties_of(&of.schema, 1);
        Self { of, read, properties }
    }

    /// What it reads.
    pub(crate) const fn told(&self) -> &Scanned {
        &self.of
    }

    /// Its rows.
    pub(crate) fn batches(&self, held: MemoryReservation) -> Result<Batches> {
        (self.read)(&self.of, held)
    }
}

impl fmt::Debug for ListedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedScan").finish_non_exhaustive()
    }
}

impl DisplayAs for ListedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListedScan")
    }
}

impl ExecutionPlan for ListedScan {
    fn name(&self) -> &'static str {
        "ListedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, part: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if part != 0 {
            return Err(DataFusionError::Internal("there is no such part of a scan".to_owned()));
        }
        let held = MemoryConsumer::new("the rows being read").register(context.memory_pool());
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), self.batches(held)?)))
    }
}

struct Reading<T: 'static> {
    columns: Columns<T>,
    rows: Rows<T>,
    schema: SchemaRef,
    wanted: Arc<[usize]>,
    /// How many more rows are wanted.
    left: Option<usize>,
    held: MemoryReservation,
}

impl<T: 'static> Reading<T> {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(mut rows) = self.rows.next().await.transpose()? else {
            self.held.free();
            return Ok(None);
        };
        if let Some(left) = &mut self.left {
            rows.truncate(*left);
            *left -= rows.len();
        }
        let columns = self.wanted.iter().filter_map(|number| self.columns.get(*number));
        let arrays: std::result::Result<Vec<ArrayRef>, ArrowError> =
            columns.map(|column| (column.fill)(&rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays?, &options)?;
        self.held.try_resize(rows.len() * size_of::<T>() + batch.get_array_memory_size())?;
        Ok(Some(batch))
    }
}

pub(crate) fn text() -> DataType {
    DataType::Utf8
}

/// A text of a small set.
pub(crate) fn words() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(crate) fn count() -> DataType {
    DataType::UInt64
}

pub(crate) fn number() -> DataType {
    DataType::Int64
}

pub(crate) fn flag() -> DataType {
    DataType::Boolean
}

pub(crate) fn bytes() -> DataType {
    DataType::Binary
}

pub(crate) fn day() -> DataType {
    DataType::Date32
}

pub(crate) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
}

type Filled = std::result::Result<ArrayRef, ArrowError>;

pub(crate) fn texts<'t, T, V: Display>(rows: &'t [T], of: impl Fn(&'t T) -> Option<V>) -> Filled {
    Ok(Arc::new(rows.iter().map(|row| of(row).map(|value| value.to_string())).collect::<StringArray>()))
}

pub(crate) fn words_of<'t, T, V: Display>(rows: &'t [T], of: impl Fn(&'t T) -> Option<V>) -> Filled {
    let mut built = StringDictionaryBuilder::<Int32Type>::new();
    for row in rows {
        match of(row) {
            Some(value) => drop(built.append(value.to_string())?),
            None => built.append_null(),
        }
    }
    Ok(Arc::new(built.finish()))
}

pub(crate) fn counts<T>(rows: &[T], of: impl Fn(&T) -> Option<u64>) -> Filled {
    Ok(Arc::new(rows.iter().map(of).collect::<UInt64Array>()))
}

pub(crate) fn numbers<T>(rows: &[T], of: impl Fn(&T) -> Option<i64>) -> Filled {
    Ok(Arc::new(rows.iter().map(of).collect::<Int64Array>()))
}

/// Days since 1970-01-01.
pub(crate) fn days<T>(rows: &[T], of: impl Fn(&T) -> Option<i32>) -> Filled {
    Ok(Arc::new(rows.iter().map(of).collect::<Date32Array>()))
}

pub(crate) fn flags<T>(rows: &[T], of: impl Fn(&T) -> Option<bool>) -> Filled {
    Ok(Arc::new(rows.iter().map(of).collect::<BooleanArray>()))
}

pub(crate) fn bytes_of<'t, T>(rows: &'t [T], of: impl Fn(&'t T) -> Option<&'t [u8]>) -> Filled {
    Ok(Arc::new(rows.iter().map(of).collect::<BinaryArray>()))
}

pub(crate) fn times<T>(rows: &[T], of: impl Fn(&T) -> Option<Timestamp>) -> Filled {
    let millis = rows.iter().map(|row| of(row).map(Timestamp::millis)).collect::<TimestampMillisecondArray>();
    Ok(Arc::new(millis.with_timezone(UTC)))
}
