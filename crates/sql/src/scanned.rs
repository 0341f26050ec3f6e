//! What a scan reads, as far as it is the same whatever it scans.

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{Partitioning, PlanProperties};
use std::any::Any;
use std::sync::Arc;

/// What a scan is of, for whoever tells other processes: nothing of it matters to the scan.
pub(crate) type Origin = Arc<dyn Any + Send + Sync>;

/// Which columns a scan reads of what, and how many rows at most.
#[derive(Clone)]
pub(crate) struct Scanned {
    pub(crate) origin: Origin,
    /// The columns that are wanted.
    pub(crate) schema: SchemaRef,
    /// Their numbers, in the order that they are wanted in.
    pub(crate) wanted: Arc<[usize]>,
    pub(crate) limit: Option<usize>,
}

/// What is told of a scan in so many parts: nothing but that it ends.
pub(crate) fn properties_of(schema: &SchemaRef, parts: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(schema)),
        Partitioning::UnknownPartitioning(parts),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}
