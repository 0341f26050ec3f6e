//! Tables that are read from their first row to their last: no key leads into them. Their scan is as opaque as that of trails.

use crate::columns::UTC;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    StringDictionaryBuilder, TimestampMillisecondArray, UInt64Array,
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
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
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

/// A table whose rows are read one after the other.
pub(crate) struct ListedTable<T: 'static> {
    columns: Columns<T>,
    open: Open<T>,
}

impl<T: 'static> ListedTable<T> {
    pub(crate) fn new(columns: Columns<T>, open: Open<T>) -> Self {
        Self { columns, open }
    }
}

impl<T: 'static> fmt::Debug for ListedTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedTable").finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: Send + Sync + 'static> TableProvider for ListedTable<T> {
    fn schema(&self) -> SchemaRef {
        schema_of(self.columns)
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
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect());
        let schema = Arc::new(self.schema().project(&wanted)?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let (columns, open) = (self.columns, Arc::clone(&self.open));
        Ok(Arc::new(ListedScan { columns, open, schema, wanted: wanted.into(), limit, properties }))
    }
}

/// Reads such a table. It has no children and no expressions, and tells no statistics and no metrics.
struct ListedScan<T: 'static> {
    columns: Columns<T>,
    open: Open<T>,
    schema: SchemaRef,
    wanted: Arc<[usize]>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl<T: 'static> fmt::Debug for ListedScan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedScan").finish_non_exhaustive()
    }
}

impl<T: 'static> DisplayAs for ListedScan<T> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListedScan")
    }
}

impl<T: Send + Sync + 'static> ExecutionPlan for ListedScan<T> {
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
        let reading = Reading {
            columns: self.columns,
            rows: (self.open)(),
            schema: Arc::clone(&self.schema),
            wanted: Arc::clone(&self.wanted),
            left: self.limit,
            held: MemoryConsumer::new("the rows being read").register(context.memory_pool()),
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
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
