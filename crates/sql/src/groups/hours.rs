//! Times that are cut to an hour or to more: in UTC all of an hour are cut alike, so each hour is cut once.

use crate::columns::UTC;
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use datafusion::common::ScalarValue;
use datafusion::common::hash_utils::RandomState;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use std::collections::HashMap;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
/// Hours of some four and a half years that are found by a table, from some time before the first on.
const TABLE_HOURS: i64 = 40_000;
const HOURS_BEFORE: i64 = 20_000;
/// Not cut yet: nobody's time, in milliseconds.
const UNCUT: i64 = i64::MIN;

/// A key that is a time which is cut.
pub(super) struct Hours {
    /// The time.
    time: Arc<dyn PhysicalExpr>,
    /// What cuts the times of a batch of its own.
    cut: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// The first hour of the table.
    first: i64,
    table: Vec<i64>,
    others: HashMap<i64, i64, RandomState>,
}

fn is_hour_or_more(unit: &ScalarValue) -> bool {
    let (ScalarValue::Utf8(Some(unit))
    | ScalarValue::Utf8View(Some(unit))
    | ScalarValue::LargeUtf8(Some(unit))) = unit
    else {
        return false;
    };
    ["hour", "day", "week", "month", "quarter", "year"].contains(&unit.to_lowercase().as_str())
}

impl Hours {
    /// `None`: the key is something else.
    pub(super) fn of(key: &Arc<dyn PhysicalExpr>, input: &Schema) -> Option<Self> {
        let function =
            key.downcast_ref::<ScalarFunctionExpr>().filter(|function| function.name() == "date_trunc")?;
        let [unit, time] = function.args() else { return None };
        let unit = unit.downcast_ref::<Literal>().filter(|unit| is_hour_or_more(unit.value()))?;
        let kind = DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
        if time.data_type(input).ok()? != kind {
            return None;
        }
        let schema = Arc::new(Schema::new(vec![Field::new("at", kind, true)]));
        let unit = Arc::new(Literal::new(unit.value().clone()));
        let cut = Arc::clone(key).with_new_children(vec![unit, Arc::new(Column::new("at", 0))]).ok()?;
        let (table, others) = (Vec::new(), HashMap::default());
        Some(Self { time: Arc::clone(time), cut, schema, first: UNCUT, table, others })
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        // A map has room for twice as many, as a rule.
        self.table.capacity() * size_of::<i64>() + 2 * self.others.capacity() * size_of::<(i64, i64)>()
    }

    /// The times of a batch, cut.
    pub(super) fn cut(&mut self, batch: &RecordBatch) -> Result<ArrayRef> {
        let wrong = || DataFusionError::Internal("a time is of another type than planned".to_owned());
        let times = self.time.evaluate(batch)?.into_array(batch.num_rows())?;
        let times = times.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(wrong)?;
        let mut cut = Vec::with_capacity(times.len());
        for (row, time) in times.values().iter().enumerate() {
            cut.push(if times.is_valid(row) { self.hour(time.div_euclid(HOUR_MS))? } else { 0 });
        }
        let cut = TimestampMillisecondArray::new(cut.into(), times.nulls().cloned());
        Ok(Arc::new(cut.with_timezone(UTC)))
    }

    /// What the times of an hour are cut to.
    #[inline]
    fn hour(&mut self, hour: i64) -> Result<i64> {
        if self.first == UNCUT {
            self.first = hour.saturating_sub(HOURS_BEFORE);
        }
        let at = hour.checked_sub(self.first).filter(|at| (0..TABLE_HOURS).contains(at));
        let Some(at) = at.and_then(|at| usize::try_from(at).ok()) else {
            if let Some(cut) = self.others.get(&hour) {
                return Ok(*cut);
            }
            let cut = self.ask(hour)?;
            self.others.insert(hour, cut);
            return Ok(cut);
        };
        if self.table.len() <= at {
            self.table.resize(at + 1, UNCUT);
        }
        if self.table[at] == UNCUT {
            self.table[at] = self.ask(hour)?;
        }
        Ok(self.table[at])
    }

    /// Has the engine cut the first time of an hour.
    fn ask(&self, hour: i64) -> Result<i64> {
        let wrong = || DataFusionError::Internal("a time could not be cut".to_owned());
        let first = TimestampMillisecondArray::from(vec![hour.checked_mul(HOUR_MS).ok_or_else(wrong)?]);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(first.with_timezone(UTC))])?;
        let cut = self.cut.evaluate(&batch)?.into_array(1)?;
        let cut = cut.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(wrong)?;
        if cut.is_valid(0) { Ok(cut.value(0)) } else { Err(wrong()) }
    }
}
