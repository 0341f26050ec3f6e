//! Joins that give no rows: what each of them asks of every pair, whether the statement may go on, ends it.
//!
//! A join gives way when it hands over rows. One whose condition holds for no pair hands over none, and is asked for the next in one go until it
//! has tried all pairs. Its condition is evaluated some thousands of pairs at a time, and is where it can be ended.

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;

/// Says whether a statement may go on. Clones are of one statement.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    until: Instant,
    is_given_up: Arc<AtomicBool>,
}

/// A statement may not go on, as it passes through the engine.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the statement may not go on")]
pub(crate) struct Stopped;

impl Stop {
    pub(crate) fn at(until: Instant) -> Self {
        Self { until, is_given_up: Arc::default() }
    }

    /// Nobody waits for the statement any more.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.is_given_up.load(Ordering::Relaxed) || Instant::now() >= self.until {
            return Err(DataFusionError::External(Box::new(Stopped)));
        }
        Ok(())
    }
}

/// A condition that fails once its statement may not go on.
#[derive(Debug)]
pub(crate) struct Stoppable {
    condition: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl Stoppable {
    pub(crate) fn new(condition: Arc<dyn PhysicalExpr>, stop: Stop) -> Self {
        Self { condition, stop }
    }
}

impl PartialEq for Stoppable {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Stoppable {}

impl Hash for Stoppable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Stoppable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Stoppable {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        self.condition.evaluate(batch)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.condition.return_field(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [condition] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("a condition is one expression".to_owned()))?;
        Ok(Arc::new(Self::new(condition, self.stop.clone())))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
